"""What `sessionscribe serve` costs: the page of a session of four hours, an edit in it, a search in many.

    python benchmarks/serve.py [--sessions 1000]

CPU seconds are the server's (a machine at work would make others of wall time), memory is its resident set.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import builders  # noqa: E402
from sessionscribe.manifest import manifest  # noqa: E402
from sessionscribe.manifest.manifest import Row  # noqa: E402
from sessionscribe.web.search import INDEX  # noqa: E402

HOURS, WORDS = 4, 36_000
FREQUENCIES = [1 / (n + 2.7) for n in range(20_000)]
"""How often each word is said, as in any language (Zipf, Mandelbrot)."""
BARS = {"page_s": 3.0, "edit_s": 1.5, "memory_mb": 400.0, "search_ms": 50.0}


def write_session(root: Path, name: str, words: int, seed: int) -> None:
    """Write the transcript of a made-up session, four speakers in turns of 20 words."""
    chance = random.Random(seed)
    text = [f"w{n}" for n in chance.choices(range(len(FREQUENCIES)), FREQUENCIES, k=words)]
    step = HOURS * 3600 / WORDS
    parts = [
        (
            f"SPEAKER_0{n // 20 % 4}",
            [builders.word(text[k], k * step, k * step + 0.3) for k in range(n, min(n + 20, words))],
        )
        for n in range(0, words, 20)
    ]
    builders.transcript(*parts, session=name, duration_s=words * step).write(
        root / f"results/diarize/{name}.json"
    )


def project(root: Path, sessions: int) -> None:
    """Make a project of three long sessions and many of one hour."""
    for name in ("Snakefile", "rules", "scripts", "config", "profiles"):
        (root / name).symlink_to(ROOT / name) if name != "config" else (root / name).mkdir()
    names = {f"long{n}": WORDS for n in range(3)} | {f"s{n:04d}": WORDS // HOURS for n in range(sessions)}
    rows = [
        Row(name, "recording", "mix", f"{name}.flac", f"{n:064x}", HOURS * 3600.0)
        for n, name in enumerate(names)
    ]
    manifest.write(root / "config/sessions.tsv", rows)
    (root / "config/config.yaml").write_text(
        yaml.safe_dump({"transcribe": {"model": "base", "device": "cpu"}})
    )
    for number, (name, words) in enumerate(names.items()):
        write_session(root, name, words, number)


def main() -> int:
    """Measure and print; return 1 where a bar is not held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        project(root, options.sessions)
        command = [sys.executable, "-m", "sessionscribe.cli.main", "serve", "--port", "0"]
        server = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address, _, token = server.stdout.readline().strip().partition("?token=")
        process = psutil.Process(server.pid)

        def ask(path: str, body: object = None) -> tuple[str, float, float]:
            """Return an answer, the server's CPU seconds and the seconds that it took."""
            before, began = sum(process.cpu_times()[:2]), time.perf_counter()
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(address + path, data, {"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=600) as answer:
                text = answer.read().decode()
            return text, sum(process.cpu_times()[:2]) - before, time.perf_counter() - began

        try:
            ask("healthz")
            while "still to be read" in ask("search?q=w9")[0]:
                time.sleep(5)
            index_s = sum(process.cpu_times()[:2])
            index_mb = (root / INDEX).stat().st_size / 1e6
            _, plan_s, _ = ask("api/sessions")
            page, page_s, _ = ask("s/long0")
            for name in ("long1", "long2"):
                ask(f"s/{name}")
            assert page.count("data-n=") == WORDS
            change = {"op": "words", "first": 500, "last": 500, "text": "Strahd"}
            _, edit_s, _ = ask("api/s/long0/edits", {"base": "", "changes": [change]})
            asked = ["w7", '"w1 w2"', "w12*", "w1 w3", "nothing"]
            times = [ask(f"api/search?q={urllib.parse.quote(text)}")[1] for text in asked * 10]
            found = {
                "plan_s": plan_s,
                "page_s": page_s,
                "edit_s": edit_s,
                "index_s": index_s,
                "index_mb": index_mb,
                "search_ms": statistics.mean(times) * 1000,
                "memory_mb": process.memory_info().rss / 1e6,
            }
        finally:
            server.terminate()
            server.wait(10)
    for name, value in found.items():
        bar = f"  (bar {BARS[name]:g}{'' if value <= BARS[name] else ', NOT held'})" if name in BARS else ""
        print(f"{name:10} {value:8.2f}{bar}")
    return int(any(found[name] > bar for name, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
