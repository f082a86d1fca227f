"""Recordings and results elsewhere: on rclone's remotes, on S3, in Google Drive for desktop.

``rclone`` runs the program, ``locations`` parses names of places, ``listing`` lists folders, ``ranges`` reads
parts of remote files, ``transfer`` copies whole ones, and ``cache`` keeps copies for a while. Most of it is
only imported when something remote is used.
"""
