"""From an edited copy of a transcript to corrections.

``edited`` reads a copy, ``rebase`` transfers one of an older export to the present transcript, ``comparison``
finds the differences, ``edits`` turns them into corrections, ``context_windows`` adds the surrounding words
that locate each, and ``verification`` checks that the corrected transcript equals the copy.
"""
