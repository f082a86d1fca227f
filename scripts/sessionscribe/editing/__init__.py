"""From an edited copy of a transcript to corrections.

``edited`` reads a copy of an export, ``rebase`` carries over one of an older export, ``comparison`` finds the
differences, and ``edits`` makes lines of them, which ``context_windows`` lets be found again and
``verification`` lays over the transcript to see that it reads as the copy does.
"""
