"""Switches off the telemetry of dependencies, before any of them is imported."""

import os

OFF = {
    "DO_NOT_TRACK": "1",  # Hugging Face's packages and many others
    "DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_XET_TELEMETRY_ENABLED": "0",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime has sent some by the time that a call could switch it off
    "PYANNOTE_METRICS_ENABLED": "0",
    "OTEL_SDK_DISABLED": "true",  # by which pyannote reports
    "DVC_NO_ANALYTICS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "WANDB_MODE": "disabled",
    "WANDB_ERROR_REPORTING": "false",
    "COMET_MODE": "DISABLED",
}
"""Environment variables; child processes inherit them."""


def switch_off() -> None:
    """Switch telemetry off in this process and in those that it starts, whatever the user's shell says."""
    os.environ.update(OFF)
