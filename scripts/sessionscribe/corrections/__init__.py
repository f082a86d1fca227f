"""Corrections that people make: the file they are kept in, and what lays them over a transcript.

``table`` is the file. ``places`` finds with ``lookup`` where its lines belong, ``names`` who is called what;
``overlay`` applies them (``rewriting``: words, ``turns``: who speaks when). The other way round, ``edited``
reads an edited copy of an export, ``rebase`` carries over one of an older export, ``comparison`` finds the
differences, and ``making`` makes lines of them, which ``anchors`` lets be found again and ``verification``
lays over the transcript to see that it reads as the copy does. ``command`` is ``sessionscribe correct``.
"""
