"""Batches: what is missing is made, the GPU stopped and the outcome reported, with nobody there."""
