"""sessionscribe: recordings in, speaker-labelled transcripts out.

One module per stage of the workflow (``ingest convert chunk transcribe merge diarize export``), the file
contracts between them in ``artifacts``, the settings in ``config``. Nothing in here knows Snakemake, its
``config`` dictionary or the working directory; models are touched only by ``engines``.
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
__version__ = "0.1.0"
