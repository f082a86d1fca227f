"""Disables the telemetry of dependencies; call it before importing any of them."""

import os

OFF = {
    "DO_NOT_TRACK": "1",  # Hugging Face's packages and many others
    "DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_XET_TELEMETRY_ENABLED": "0",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime sends some when it is imported
    "PYANNOTE_METRICS_ENABLED": "0",
    "OTEL_SDK_DISABLED": "true",  # used by pyannote
    "DVC_NO_ANALYTICS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "WANDB_MODE": "disabled",
    "WANDB_ERROR_REPORTING": "false",
    "COMET_MODE": "DISABLED",
}
"""Environment variables; child processes inherit them."""


def switch_off() -> None:
    """Disable telemetry in this process and its children, whatever the user's environment says."""
    os.environ.update(OFF)
