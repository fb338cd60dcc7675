"""The command `podrole`: one module per subcommand. May import `injector`."""
