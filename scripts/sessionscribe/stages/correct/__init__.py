"""Names and a person's corrections.

``table`` is the corrections file. ``places`` finds the words that a row changes (with ``locate``), ``names``
resolves the names of speakers, and ``apply`` applies it all (``retime`` to words, ``turns`` to turns).
"""
