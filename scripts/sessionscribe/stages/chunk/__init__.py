"""Speech detection, and the chunks of tracks."""
