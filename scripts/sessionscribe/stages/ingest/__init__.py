"""Finding and checking source files."""
