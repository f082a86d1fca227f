"""Conversations with natural voices: what accuracy is measured on, and the demo's recordings.

A tool of ours with an environment of its own (``envs/voices.txt``); the product never imports it.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is imported
