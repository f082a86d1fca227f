"""The check of models before any other work."""
