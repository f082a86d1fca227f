"""Speaker diarization: who speaks when, and who says each word."""
