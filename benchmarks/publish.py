"""What it costs to publish sessions and to pull one: `sessionscribe publish`, `dvc pull`, putting in place.

    python benchmarks/publish.py [--short] [--folder FOLDER]

It makes a project of finished sessions with git and DVC (files of the right names and plausible sizes,
records with the right keys and checksums; nobody spoke), publishes all of them to a remote that is a folder,
publishes again when nothing has changed, and pulls one session into a fresh clone. It prints one JSON object:
wall and CPU seconds, and the seconds that the checksums alone take (SHA-256 as our records have them, MD5 as
DVC's). The bars are held to CPU seconds: on a busy machine all else is waiting. `--short` makes a small
project: does it work?
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scan import CHUNK_BYTES, FLAC_BYTES, PARTS, SETTINGS, SMALL_BYTES, Cost, cost

if TYPE_CHECKING:
    from sessionscribe.planning.steps import Step

ROOT = Path(__file__).resolve().parents[1]
SET_UP = (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore")
SESSIONS, CHUNKS = 100, 24  # of ten minutes each: four hours
BAR_PUBLISH_S, BAR_PULL_S = 15.0, 4.0
REMOTE = """\
[core]
    remote = store
    analytics = false
    check_update = false
['remote "store"']
    url = ../../remote
    verify = true
"""


def make(folder: Path, sessions: int, chunks: int) -> None:
    """Make a project of finished sessions; its converted audio is holes."""
    from sessionscribe.config import settings  # noqa: PLC0415 -- not in the process that measures
    from sessionscribe.manifest import manifest  # noqa: PLC0415 -- not in the process that measures
    from sessionscribe.planning.plan import Plan  # noqa: PLC0415

    (folder / "config").mkdir(parents=True)
    for part in PARTS:
        (folder / part).symlink_to(ROOT / part)
    for name in SET_UP:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".dvc/config").write_text(REMOTE, encoding="utf-8")
    (folder.parent / "remote").mkdir()
    (folder / "config/config.yaml").write_text(SETTINGS, encoding="utf-8")
    rows = [
        manifest.Row(
            session=f"session-{number:04}",
            layout="recording",
            track="mix",
            source=f"recordings/session-{number:04}.m4a",
            checksum=f"{number:064x}",
            duration_s=chunks * 600.0,
        )
        for number in range(sessions)
    ]
    manifest.write(folder / "config/sessions.tsv", rows)
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "Benchmark"),
        ("config", "user.email", "benchmark@example.org"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=Set up"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    os.chdir(folder)
    chance = random.Random(1)
    for session in Plan(settings.load([Path("config/config.yaml")])).sessions.values():
        for step in session.pending.values():
            for output in step.outputs:
                fill(Path(output), chunks, chance)
            if not step.keyed:
                record(step)


def fill(path: Path, chunks: int, chance: random.Random) -> None:
    """Write a file of a plausible size, unlike all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".flac":
        with path.open("wb") as file:
            file.truncate(FLAC_BYTES * chunks)
        return
    size = CHUNK_BYTES if path.parts[1] == "transcribe" or path.suffix == ".npz" else SMALL_BYTES * chunks
    if path.suffix == ".npz":
        path.write_bytes(chance.randbytes(size) + b"PK\5\6" + bytes(18))
        return
    content = {
        "schema_version": 2,
        "session": path.parts[2].partition(".")[0],
        "layout": "recording",
        "duration_s": 600.0 * chunks,
        "language": "en",
        **{name: [] for name in ("segments", "speakers", "turns", "gaps", "engines")},
        "flags": [chance.randbytes(size // 2).hex()],
        "diarization": "none",
    }
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def record(step: Step) -> None:
    """Write the settings and the record of a step, as its jobs do."""
    from sessionscribe.artifacts.provenance import Output, Provenance  # noqa: PLC0415
    from sessionscribe.core.files import sha256  # noqa: PLC0415
    from sessionscribe.planning.settings_files import settings_text  # noqa: PLC0415
    from sessionscribe.planning.steps import Folder, files  # noqa: PLC0415

    def entry(path: str) -> Output:
        return Output(path=path, size=Path(path).stat().st_size, sha256=sha256(Path(path)))

    read = [path for need in step.needs if isinstance(need, Folder) for path in files(need)]
    made = Provenance(
        rule=step.rule,
        key=step.key,
        outputs=[entry(path) for path in step.outputs],
        inputs=[entry(path) for path in read],
        options=step.settings.get("options", {}),
    )
    for name, text in ((step.settings_file, settings_text(step.settings)), (step.record, made.text())):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")


def hashing_s(folder: Path) -> float:
    """Return the CPU seconds that the checksums of what is published take."""
    began = time.process_time()
    for path in (folder / "results/publish").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            hashlib.sha256(data).hexdigest()
            hashlib.md5(data, usedforsecurity=False).hexdigest()
    return time.process_time() - began


def measure(folder: Path, sessions: int, chunks: int) -> dict[str, dict[str, float]]:
    """Publish a project, publish again, pull a session; return what each took.

    Raises:
        RuntimeError: a command failed, or not all that is published is there after the pull.
    """
    command = [sys.executable, __file__, "--make", str(sessions), str(chunks)]
    subprocess.run([*command, "--folder", str(folder / "here")], check=True)
    sessionscribe = [sys.executable, "-m", "sessionscribe.cli.main"]
    found: dict[str, dict[str, float]] = {}

    def note(name: str, taken: Cost, **more: float) -> None:
        figures = {"wall_s": taken.wall_s, "cpu_s": taken.cpu_s, "peak_mb": taken.peak_mb, **more}
        found[name] = {key: round(value, 2) for key, value in figures.items()}

    taken, printed = cost(folder / "here", [*sessionscribe, "publish"])
    if f"{sessions} published, 0 unchanged" not in printed:
        raise RuntimeError(printed[-2000:])
    hashing = hashing_s(folder / "here")
    note("publish", taken, hashing_cpu_s=hashing, beyond_hashing_cpu_s=taken.cpu_s - hashing)
    taken, printed = cost(folder / "here", [*sessionscribe, "publish"])
    if f"0 published, {sessions} unchanged" not in printed:
        raise RuntimeError(printed[-2000:])
    note("publish, nothing new", taken)
    subprocess.run(["git", "clone", "--quiet", "here", "there"], cwd=folder, check=True)
    dvc = [sys.executable, "-m", "dvc"]
    note(
        "pull one",
        cost(folder / "there", [*dvc, "pull", f"results/publish/session-{sessions - 1:04}.dvc"])[0],
    )
    taken, printed = cost(folder / "there", [*sessionscribe, "status"])
    if printed.count(" complete\n") != 1:
        raise RuntimeError(printed[-2000:])
    note("put in place, and status", taken)
    note("status", cost(folder / "there", [*sessionscribe, "status"])[0])
    return found


def main() -> int:
    """Run the benchmark, or make one project."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="a small project: does it work?")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--make", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.folder, *arguments.make)
        return 0
    os.environ["PYTHONPATH"] = str(ROOT / "scripts")
    with tempfile.TemporaryDirectory(prefix="publish-", dir=arguments.folder) as temporary:
        os.environ["DVC_SITE_CACHE_DIR"] = f"{temporary}/dvc"
        size = (4, 3) if arguments.short else (SESSIONS, CHUNKS)
        found = measure(Path(temporary), *size)
    slow = [
        name
        for name, figure, bar in (
            ("publish", found["publish"]["beyond_hashing_cpu_s"], BAR_PUBLISH_S),
            ("pull one", found["pull one"]["cpu_s"] + found["put in place, and status"]["cpu_s"], BAR_PULL_S),
        )
        if figure > bar
    ]
    bars = {"publish, beyond hashing": BAR_PUBLISH_S, "pull one and put it in place": BAR_PULL_S}
    print(json.dumps({"ok": not slow, "figures": found, "bars_s": bars, "above": slow}, indent=1))
    return int(bool(slow))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "scripts"))
    sys.exit(main())
