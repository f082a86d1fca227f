"""The only modules that import torch, faster-whisper and pyannote.audio."""

import os
import warnings

# Telemetry of what is imported here; onnxruntime has sent some by the time that a call could switch it off.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

# Read when OpenMP starts: threads that wait must not spin, or a busy machine does six times the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
warnings.filterwarnings("ignore", message=".*torchcodec.*")  # pyannote gets its audio in memory
