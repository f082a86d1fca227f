"""Recordings to 16 kHz mono FLAC."""
