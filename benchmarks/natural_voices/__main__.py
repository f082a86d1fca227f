"""Make conversations: ``python -m natural_voices NAME… --to FOLDER`` (names of ``texts/``)."""

from __future__ import annotations

import argparse
from pathlib import Path

from .conversation import write

parser = argparse.ArgumentParser(prog="natural_voices", description=__doc__)
parser.add_argument("names", nargs="+")
parser.add_argument("--to", type=Path, required=True)
arguments = parser.parse_args()
for name in arguments.names:
    write(name, arguments.to)
