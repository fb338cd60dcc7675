"""The services around podrole for demo and tests: real programs where they exist, fakes otherwise."""
