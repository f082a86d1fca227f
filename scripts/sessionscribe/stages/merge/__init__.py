"""Merging the chunks of a session."""
