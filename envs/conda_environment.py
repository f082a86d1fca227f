"""Write ``sessionscribe.yaml``, the conda environment with the packages of ``requirements.txt``.

The versions are spelled out because Snakemake copies the file elsewhere before it calls conda: a relative
``-r requirements.txt`` would not be found from there. Run by ``make lock``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ENVS = Path(__file__).resolve().parent
HEADER = """\
# Written by `make lock` from requirements.txt: do not edit. For `snakemake --sdm conda`.
name: sessionscribe
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def render(requirements: str) -> str:
    """Turn a pinned requirement file into the environment file."""
    pins = re.findall(r"^([^\s#][^\\\n]*?)\s*\\?$", requirements, flags=re.MULTILINE)
    return HEADER + "".join(f'      - "{pin}"\n' for pin in pins)


def main() -> int:
    """Write the file."""
    text = render((ENVS / "requirements.txt").read_text(encoding="utf-8"))
    (ENVS / "sessionscribe.yaml").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
