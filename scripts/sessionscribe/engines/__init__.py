"""The only modules that import torch, faster-whisper and pyannote.audio."""

import os
import warnings

# Read when OpenMP starts: threads that wait must not spin, or a busy machine does six times the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
warnings.filterwarnings("ignore", message=".*torchcodec.*")  # pyannote gets its audio in memory
