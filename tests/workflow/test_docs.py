"""Every command of the README and the docs, as a reader would type it, in a copy of the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import builders
import forks
import media
from project import DEMO, ROOT, Once, Project, copy_project, cut_audio
from sessionscribe.config.settings import Export
from sessionscribe.formats.references import read_file
from sessionscribe.stages.export.export import write_export

PAGES = sorted(
    path.relative_to(ROOT)
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "envs/README.md"]
    if "```bash\n" in path.read_text(encoding="utf-8")
    and path.name != "versioning.md"  # needs a second clone: test_publish_workflow types it
)
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What takes hours, installs, or would call these tests: shown instead of done, with all options checked.
DRY = (
    (re.compile(r"\bmake (?=[a-z])"), "make -n "),
    (re.compile(r"(snakemake -s rules/\w+\.smk\b)"), r"\1 -n"),
    (re.compile(r"^(sessionscribe transcribe .*)"), r"\1 -n"),
    (re.compile(r"^(sessionscribe batch check) --profile ec2$"), r"\1"),
    (re.compile(r"^sessionscribe batch (--profile ec2)$"), r"sessionscribe batch once \1 --dry-run"),
    (re.compile(r"^(sessionscribe batch install .*)"), r"\1 --print"),
    (re.compile(r"\bapt-get install\b"), "apt-get install --simulate"),
    (re.compile(r"\buv pip install\b"), "uv pip install --dry-run"),
)


def commands(page: Path) -> list[str]:
    """Return the commands of a page's bash blocks, one by one."""
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def finish_sessions(project: Project) -> None:
    """Put what a finished run has of the demo sessions where it has it: the truth, less a word."""
    for path in sorted((DEMO / "truth").glob("*.json")):
        (truth,) = read_file(path)
        said = sorted(truth.words, key=lambda word: word.start or 0.0)[1:]
        words = [builders.word(w.text, w.start or 0.0, w.end or 0.0) for w in said]
        made = builders.transcript(("SPEAKER_00", words), session=path.stem, duration_s=truth.duration_s)
        made.write(project / f"results/diarize/{path.stem}.json")
        made.write(project / f"results/export/{path.stem}/{path.stem}.json")
        text = project / f"results/export/{path.stem}/{path.stem}.txt"
        write_export(transcript=made, format="txt", options=Export(), output=text)
    audio = cut_audio(DEMO / "recordings/meeting.mp4", project / "results/convert/meeting/mix.flac", 0, 30)
    plan = builders.plan(soundfile.info(audio).duration, session="meeting", track="mix")
    builders.timeline(plan).write(project / "results/chunk/meeting.timeline.json")
    turns = builders.turns((0, 15, "SPEAKER_00")).model_copy(update={"session": "meeting"})
    turns.write(project / "results/diarize/meeting.turns.json")


def write_calls(project: Project) -> None:
    """Write the recordings of several speakers each that the docs name."""
    sides = [media.tone(1, frequency=frequency) for frequency in (300, 500)]
    media.write_media(project / "call.wav", [media.Sound(np.concatenate(sides))])
    media.write_media(project / "obs.mkv", [media.Sound(side) for side in (*sides, sides[0])], picture_s=1)


def fill_clone(folder: Path) -> None:
    project = copy_project(folder)
    shutil.copytree(DEMO, project / "resources/demo")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(ROOT / name, project / name)
    unneeded = shutil.ignore_patterns("__pycache__")
    for name in ("tests", "benchmarks"):
        shutil.copytree(ROOT / name, project / name, ignore=unneeded, dirs_exist_ok=True)
    (project / ".venv").symlink_to(sys.prefix)
    finish_sessions(project)
    write_calls(project)


@pytest.fixture
def clone(once: Once, tmp_path: Path) -> Project:
    """The project as a fresh clone that was set up: its own manifest is empty, its profiles are linked."""
    project = Project(once("clone", fill_clone)).copy(tmp_path / "clone")
    done = project.command(sys.executable, "envs/link_profiles.py", XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert done.code == 0, done.text
    return project


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_works(page: Path, clone: Project) -> None:
    lines = commands(page)
    assert lines
    for pattern, dry in DRY:
        lines = [pattern.sub(dry, line) for line in lines]
    homes = {f"XDG_{kind}_HOME": str(clone.root.parent / kind.lower()) for kind in ("CONFIG", "CACHE")}
    with forks.commands() as folder:
        # One shell for a page: what a reader sets, stays set; the first command that fails ends it.
        script = f"set -eu\nPATH={folder}:$PATH\n" + "\n".join(
            f"echo '+' {i}; {line.replace('bin/activate', f'bin/activate; PATH={folder}:$PATH')}"
            for i, line in enumerate(lines)
        )
        done = clone.command("bash", "-c", script, **homes)
    last = int(done.out.rsplit("+ ", 1)[1].split()[0])
    assert done.code == 0, f"{page}: {lines[last]}\n{done.text[-2000:]}"


@pytest.mark.parametrize(
    "page", [Path("README.md"), *(p.relative_to(ROOT) for p in (ROOT / "docs").rglob("*.md"))], ids=str
)
def test_links_lead_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)  # examples of output
    for target in re.findall(r"\]\((?!https?:)([^)#]+)?(?:#[^)]*)?\)", text):
        if target:
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_the_readme_shows_the_two_commands() -> None:
    assert commands(Path("README.md"))[:2] == ["make demo", "make test"]


def test_ci_calls_the_readmes_test_command() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert "make test" in lines[-1]
    listed = subprocess.run(
        ["git", "ls-files", "-s", ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert listed.stdout.startswith("100755")
