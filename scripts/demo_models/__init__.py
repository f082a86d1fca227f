"""Training of the small demo models on synthesised speech; never needed at run time."""

import os

# No telemetry; this must be set before any module imports pyannote.
os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")
