"""Batches: unattended runs that make what is missing, stop the GPU, and report what it cost."""
