"""Where tracks have speech, and where they are cut."""
