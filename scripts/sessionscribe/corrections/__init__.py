"""Corrections that people make: the file they are kept in, and what lays them over a transcript.

``table`` is the file, ``places`` finds where its lines belong, ``overlay`` applies them; ``edited`` reads an
edited copy of an export, ``making`` finds what was changed in it, ``command`` is ``sessionscribe correct``.
"""
