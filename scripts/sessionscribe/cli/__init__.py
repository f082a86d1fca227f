"""The command `sessionscribe`, a module for each of its commands."""
