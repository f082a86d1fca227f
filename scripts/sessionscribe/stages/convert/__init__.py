"""Conversion of recordings to 16 kHz mono FLAC."""
