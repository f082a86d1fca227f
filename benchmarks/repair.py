"""One chunk transcript is deleted in an archive of 100 sessions: how long until the exports are whole again?

    python benchmarks/repair.py [--sessions N] [--folder FOLDER]

99 sessions are made as benchmarks/scan.py makes them, one is real: the demo meeting, run to its end. Then a
chunk transcript of it is deleted, and `sessionscribe run` repairs it. Prints one JSON object: seconds from
the command to its end, the engine's own part (the chunk's job: import, load, decode), and the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import scan

BAR_S = 6.0
SESSION = "meeting"


def sessionscribe(folder: Path, *arguments: str) -> float:
    """Run a command in the folder and return how long it took (s)."""
    began = time.monotonic()
    command = [sys.executable, "-m", "sessionscribe.cli.main", *arguments]
    environment = os.environ | {"PYTHONPATH": str(scan.ROOT / "scripts")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def exports(folder: Path) -> dict[str, bytes]:
    """Return the finished files of the real session."""
    return {path.name: path.read_bytes() for path in (folder / f"results/export/{SESSION}").iterdir()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=100, help="in the archive (default: 100)")
    parser.add_argument("--folder", type=Path, help="for the archive (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="repair-") as scratch:
        folder = options.folder or Path(scratch) / "archive"
        scan.make(folder.resolve(), options.sessions - 1, 120, finished=True)
        os.chdir(scan.ROOT)
        sessionscribe(folder, "add", str(scan.ROOT / "tests/data/toy/recordings/meeting.mp4"))
        sessionscribe(folder, "run", "--session", SESSION)
        before = exports(folder)
        (chunk,) = (folder / f"results/transcribe/{SESSION}").glob("*/mix.0000.json")
        chunk.unlink()
        whole_s = sessionscribe(folder, "run")
        usage = json.loads((folder / f"logs/usage/{SESSION}/transcribe_chunk.mix.0000.json").read_text())
        rest_s = whole_s - usage["wall_s"]
        print(
            json.dumps(
                {
                    "sessions": options.sessions,
                    "whole_s": round(whole_s, 2),
                    "engine_s": usage["wall_s"],
                    "rest_s": round(rest_s, 2),
                    "bar_s": BAR_S,
                    "held": rest_s <= BAR_S,
                    "same_exports": exports(folder) == before,
                }
            )
        )


if __name__ == "__main__":
    main()
