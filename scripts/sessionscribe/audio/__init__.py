"""Audio: decode media, read FLAC, cut it, lay windows over it."""
