"""Finished sessions as versions that others can pull: packed, kept by DVC, named by git.

What is published of a session lies in ``results/publish/{session}/`` (``contents``, ``pack``); DVC stores it
(``store``) and git has the file of a few lines that names it (``history``). ``publishing`` does this session
by session; ``unpack`` puts what was pulled in its place; ``versions`` lists and brings back.
"""
