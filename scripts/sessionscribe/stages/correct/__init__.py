"""Names and people's corrections, laid over the transcript.

``table`` is the file of corrections. ``places`` finds with ``lookup`` where its lines belong, ``names`` who
is called what; ``overlay`` applies them (``rewriting``: words, ``turns``: who speaks when).
"""
