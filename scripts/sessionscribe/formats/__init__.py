"""Transcripts as other programs write and read them, a module for each family of formats.

A writer takes a transcript with names in place of labels, and the export settings; it returns the file's
content, which depends on nothing else: no clock, no machine, no order of chance. What can be read has a
reader (``read_…``) beside its writer; ``references`` chooses it by the file's name. ``player`` is what pages
share.
"""
