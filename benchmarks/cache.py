"""What the cache of remote recordings holds back: a bursty load on a cache of a fifth of all recordings.

    python benchmarks/cache.py [--uses N] [--processes N]

Sessions are worked on in bursts (seven uses of ten are of one of the last 20 recordings, the others of any,
the popular more often). It prints one JSON object: the share of uses for which a copy was there, the most
that lay on this machine as a share of all recordings, and what a use costs. The files are real and small: a
byte stands for a megabyte.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from sessionscribe.storage.cache import Cache  # noqa: E402

RECORDINGS, SHARE = 500, 0.2
BAR_HIT_RATE, BAR_PEAK = 0.70, 0.20


def sizes() -> list[int]:
    """Return the sizes of all recordings."""
    draw = random.Random(3)
    return [draw.randint(50, 150) for _ in range(RECORDINGS)]


def stored(folder: Path) -> int:
    """Return what lies in a cache, in bytes; what is on its way counts too."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            if not name.startswith("."):
                with contextlib.suppress(FileNotFoundError):
                    total += os.stat(os.path.join(place, name)).st_size
    return total


def work(folder: Path, uses: int, seed: int) -> dict[str, float]:
    """Use recordings; return the peak of what was stored and the time that a use took."""
    all_sizes, draw = sizes(), random.Random(seed)
    cache = Cache(folder, max_bytes=int(sum(all_sizes) * SHARE), max_age_s=7 * 86_400)
    weights = [1 / (number + 1) for number in range(RECORDINGS)]
    recent: list[int] = []
    peak, spent = 0, 0.0
    for _ in range(uses):
        burst = bool(recent) and draw.random() < 0.7
        number = draw.choice(recent[-20:]) if burst else draw.choices(range(RECORDINGS), weights)[0]
        recent.append(number)
        content = b"x" * all_sizes[number]
        began = time.perf_counter()
        with cache.use(cache.path(str(number)), len(content), lambda path: path.write_bytes(content)):  # noqa: B023
            spent += time.perf_counter() - began
        peak = max(peak, stored(folder))
    return {"peak": peak, "ms_per_use": round(1000 * spent / uses, 2)}


def main() -> None:
    """Run the load in one or more processes and print what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uses", type=int, default=3000, help="uses in all")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(Path(options.worker[0]), options.uses, int(options.worker[1]))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "cache"
        share = options.uses // options.processes
        command = [sys.executable, __file__, "--uses", str(share), "--worker", str(folder)]
        children = [
            subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True)
            for seed in range(options.processes)
        ]
        told = [json.loads(child.communicate()[0]) for child in children]
        counts = Cache(folder, max_bytes=0, max_age_s=0).counts()
    peak = max(line["peak"] for line in told) / sum(sizes())
    found = {
        "processes": options.processes,
        "uses": counts.hits + counts.misses,
        "hit_rate": round(counts.hit_rate, 3),
        "peak_share": round(peak, 4),
        "ms_per_use": max(line["ms_per_use"] for line in told),
        "ok": counts.hit_rate >= BAR_HIT_RATE and peak <= BAR_PEAK,
    }
    print(json.dumps(found))
    sys.exit(0 if found["ok"] else 1)


if __name__ == "__main__":
    main()
