"""Writers and readers of transcripts, a module for each family of formats.

A writer takes a transcript (with names instead of labels) and the export settings, and returns the content of
the file, which depends on nothing else. Formats that can be read have a reader (``read_…``) next to the
writer; ``references`` chooses it by the file's name. ``player`` has what pages share.
"""
