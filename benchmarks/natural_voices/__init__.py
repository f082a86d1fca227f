"""Conversations with natural voices: what accuracy is measured on, and the demo's recordings.

A tool of ours with an environment of its own (``envs/voices.txt``); the product never imports it.
"""

import sessionscribe  # noqa: F401 -- switches telemetry off before onnxruntime is imported
