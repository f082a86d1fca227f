"""Are the models there, asked before any other work."""
