"""The first-party plugins, one package each; imported as `zoo_plugins`."""
