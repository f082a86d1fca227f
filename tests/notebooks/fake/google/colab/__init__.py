"""A stand-in for Colab's own package: what the notebook asks of it, on this machine."""
