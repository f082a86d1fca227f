"""The sessions: finding and probing recordings, and the manifest."""
