"""The services around podrole, for the demo and the tests: real programs where there are any."""
