"""Chunks to words: the language, windows of speech, fallback decoding, hallucinations."""
