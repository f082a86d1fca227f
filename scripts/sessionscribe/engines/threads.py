"""NumPy's threads, which decide about the last digits of what models hear."""

from __future__ import annotations


def one_for_matrices() -> None:
    """Let NumPy multiply matrices with one thread in this process, however it was started.

    Snakemake sets OMP_NUM_THREADS for a script and not for a worker; a spectrogram made with two threads
    differs from one made with one, and word probabilities then do by up to 0.01. Engines have their own.
    """
    import numpy as np  # noqa: F401, PLC0415 -- its library must be there
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    threadpool_limits(limits=1, user_api="blas")
