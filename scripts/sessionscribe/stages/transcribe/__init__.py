"""Transcription: the language, windows of speech, fallback decoding and hallucination filters."""
