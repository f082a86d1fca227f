"""The only modules that import torch, faster-whisper and pyannote.audio."""
