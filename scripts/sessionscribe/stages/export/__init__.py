"""The finished files, in each format that is asked for."""
