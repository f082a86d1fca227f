"""The finished files in the requested formats."""
