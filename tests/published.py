"""A project with git and DVC, whose sessions were never heard: what is published are made-up results."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import builders
from project import ROOT
from sessionscribe.artifacts.provenance import Output, Provenance
from sessionscribe.config import loading
from sessionscribe.core.files import sha256
from sessionscribe.core.locks import locked
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.results import write_settings
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import Folder, Step
from sessionscribe.publish import history
from sessionscribe.publish.dvc_store import Store
from sessionscribe.publish.publishing import Done, Publisher
from sessionscribe.publish.state import LOCK

if TYPE_CHECKING:
    import pytest

SET_UP = (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore")
ZIP_END = "PK\5\6" + 18 * "\0"
TABLE = "config/sessions.tsv"
DVC_CONFIG = """\
[core]
    remote = store
    analytics = false
    check_update = false
['remote "store"']
    url = ../../remote
    verify = true
"""
IDENTITY = ("-c", "user.name=Anna", "-c", "user.email=anna@example.org")


def isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep out this machine's settings of DVC and git; nothing is left outside the test's folder."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "dvc" / name))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    identity = tmp_path / "gitconfig"
    identity.write_text("[user]\nname = Anna\nemail = anna@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(identity))


def rows(session: str) -> list[Row]:
    """A recording of two chunks."""
    return [
        Row(
            session,
            "recording",
            "mix",
            f"recordings/{session}.flac",
            session.encode().hex().ljust(64, "0"),
            21.0,
        )
    ]


class Clone:
    """A clone of the project, at work in this process."""

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        self.root, self.settings = root, settings

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *IDENTITY, *arguments], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout

    def pull(self, *sessions: str) -> None:
        """Do what `dvc pull` does, without the start of a process."""
        store = Store(self.root)
        for session in sessions:
            store.fetch(history.version_of(self.root, session))
            store.checkout(session)
        store.close()

    def ask(self, *command: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's commands."""
        program = Path(sys.executable).parent / command[0]
        return subprocess.run(
            [str(program), *command[1:]], cwd=self.root, check=check, capture_output=True, text=True
        )

    def plan(self) -> Plan:
        return Plan(loading.validate(self.settings), self.root)

    def session(self, name: str = "one") -> SessionPlan:
        return self.plan().sessions[name]

    def todo(self, name: str = "one") -> Counter[str]:
        return Counter(step.rule for step in self.session(name).pending.values())

    def finish(self, words: str = "we will meet again on friday") -> None:
        """Make all that is pending, with settings and records as the jobs write them."""
        for session in self.plan().sessions.values():
            for step in session.pending.values():
                if not step.keyed:
                    write_settings(self.root / step.settings_file, step.settings)
                for output in step.outputs:
                    self._make(step, output, words)
                if not step.keyed:
                    self._record(step)

    def _make(self, step: Step, output: str, words: str) -> None:
        path = self.root / output
        path.parent.mkdir(parents=True, exist_ok=True)
        if step.rule == "assign_speakers":
            builders.transcript(("Anna", builders.words(words)), session=step.session).write(path)
        else:
            text = json.dumps({"made": output, "by": step.key, "of": words}, ensure_ascii=False)
            path.write_text(text + (ZIP_END if output.endswith(".npz") else "\n"), encoding="utf-8")

    def _record(self, step: Step) -> None:
        def entry(name: str) -> Output:
            path = self.root / name
            return Output(path=name, size=path.stat().st_size, sha256=sha256(path))

        folders = [need for need in step.needs if isinstance(need, Folder)]
        read = [name for folder in folders for name in folder.outputs]
        Provenance(
            rule=step.rule,
            key=step.key,
            outputs=[entry(name) for name in step.outputs],
            inputs=[entry(name) for name in read],
            versions={"sessionscribe": "0"},
        ).write(self.root / step.record)

    def publish(self, name: str = "one", *, audio: bool = False, force: bool = False) -> Done:
        with locked(self.root / LOCK) as lock:  # what a killed one left at work finishes
            assert lock is not None
            store = Store(self.root)
            try:
                publisher = Publisher(self.root, TABLE, audio=audio, force=force, store=store, lock=lock)
                return publisher.publish(self.session(name))
            finally:
                store.close()

    def clone(self, to: Path) -> Clone:
        """Return a fresh clone of what is committed."""
        subprocess.run(["git", "clone", "-q", str(self.root), str(to)], check=True, capture_output=True)
        _identify(to)
        return Clone(to, self.settings)

    def results(self, session: str = "") -> dict[str, bytes]:
        """Return path and content of all results or a session's, published forms left out."""
        found = (path for path in (self.root / "results").rglob("*") if path.is_file())
        named = {str(path.relative_to(self.root)): path for path in found}
        return {
            name: path.read_bytes()
            for name, path in named.items()
            if "/publish/" not in name and f"/{session}" in name
        }


def _identify(root: Path) -> None:
    for name, value in (("user.name", "Anna"), ("user.email", "anna@example.org")):
        subprocess.run(["git", "config", name, value], cwd=root, check=True)


def set_up(root: Path) -> None:
    """Make a folder a git and DVC repository as a clone of this project is one."""
    for name in SET_UP:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    _identify(root)


def moved(root: Path, settings: dict[str, Any]) -> Clone:
    """Return a clone that was copied along with what it was cloned from."""
    clone = Clone(root, json.loads(json.dumps(settings)))
    if clone.git("remote"):
        clone.git("remote", "set-url", "origin", str(root.parent / "here"))
    return clone


def made_up(root: Path, sessions: Sequence[str] = ("one", "two")) -> Clone:
    """Return a project of finished sessions; beside its folder, that of a DVC remote."""
    root.mkdir(parents=True)
    set_up(root)
    for name in ("speech", "voices"):
        folder = root.parent / "models" / name
        folder.mkdir(parents=True)
        (folder / "model.bin").write_text(name)
    settings = {
        "manifest": TABLE,
        "chunk": {"target_s": 10, "search_s": 2},
        "transcribe": {
            "model": str(root.parent / "models/speech"),
            "device": "cpu",
            "compute_type": "int8",
            "language": "en",
        },
        "diarize": {"model": str(root.parent / "models/voices"), "device": "cpu", "chunk_s": 10},
        "export": {"formats": ["json", "srt"]},
    }
    clone = Clone(root, settings)
    (root / "config").mkdir()
    manifest.write(root / TABLE, [row for name in sessions for row in rows(name)])
    (root.parent / "remote").mkdir()
    (root / ".dvc/config").write_text(DVC_CONFIG)
    clone.git("add", "--all")
    clone.git("commit", "-qm", "Set up")
    clone.finish()
    return clone
