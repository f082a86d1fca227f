"""sessionscribe: recordings in, speaker-labelled transcripts out.

Each package may import those to its right only, which ``make lint`` checks: ``cli notebook``; ``runners
publish sharing editing``; ``planning``; ``manifest evaluation``; ``stages``; ``engines``; ``audio jobs``;
``formats storage``; ``artifacts config``; ``core``. Nothing in here knows Snakemake, its ``config``
dictionary or the working directory; models are touched only by ``engines``.
"""

from pathlib import Path

from sessionscribe.core import telemetry

telemetry.switch_off()  # before anything else is imported, here and in workers elsewhere
PACKAGE = Path(__file__).resolve().parent
__version__ = "0.1.0"
