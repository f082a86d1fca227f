"""Who speaks when, and which word is whose."""
