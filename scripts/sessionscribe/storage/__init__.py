"""Recordings that lie elsewhere, and results that go there: rclone's remotes, S3, Google Drive Desktop.

``rclone`` runs the program, ``locations`` understands what names a place, ``listing`` says what is there,
``ranges`` reads parts of a remote file, ``transfer`` copies whole ones, ``cache`` keeps copies for a while.
Imported only where something remote is asked for: reading the manifest and the Snakefile needs none of it.
"""
