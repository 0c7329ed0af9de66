"""The one training loop: `zoo train` in the command line, `zoo.training.loop.train` in Python."""
