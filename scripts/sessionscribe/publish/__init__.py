"""Finished sessions as versions that others can pull: packed, stored by DVC, tracked by Git.

A session's package is in ``results/publish/{session}/`` (``pack``). DVC stores it
(``dvc_store``), and Git has a short file that names its version (``history``). ``publishing`` publishes
session by session; ``unpack`` pulls and unpacks; ``versions`` compares versions.
"""
