"""Training of the small demo models on synthesised speech; never needed at run time."""

import os

os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")  # before any module here imports pyannote: no telemetry
