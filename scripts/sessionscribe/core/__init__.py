"""Basics for all packages: errors, files, text, times, tables."""
