"""The command `podrole`. Imports `injector`, which never imports this package."""
