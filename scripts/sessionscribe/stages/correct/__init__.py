"""Names and people's corrections, laid over the transcript.

``table`` is the file of corrections. ``places`` finds with ``locate`` where its lines belong, ``names`` who
is called what; ``apply`` applies them (``retime``: words, ``turns``: who speaks when).
"""
