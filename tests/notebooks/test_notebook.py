"""notebooks/transcribe.ipynb, run as on Colab: resumes, survives a Drive that loses files, keeps secrets."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import jupytext
import nbformat
import pytest
from colab_machine import Machine, shown
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

import small_disks
from project import ROOT, Project
from sessionscribe.notebook.platforms import age_s

SOURCE = ROOT / "notebooks/transcribe.py"
LIBRARY = ROOT / "scripts/sessionscribe"
CANARY = "canary-token-9f3b1c"
GIVEN = {"IPython", "google", "kaggle_secrets"}
"""What the platforms' own Python has."""


def exports(project: Project) -> dict[str, bytes]:
    return project.results("results/export")


def words(project: Project) -> dict[str, bytes]:
    found = project.results("results/transcribe")
    return {name: data for name, data in found.items() if "/." not in name}


def come_home(home: Project, to: Path, machine: Machine) -> Project:
    """Import what is on Drive into a clone that has the recording and no results."""
    subprocess.run(["git", "clone", "-q", str(machine.repository), str(to)], check=True)
    project = Project(to)
    done = project.command(sys.executable, "-m", "sessionscribe.cli.main", "import", str(machine.folder))
    assert done.code == 0, done.text
    return project


def test_the_notebook_is_that_of_its_source() -> None:
    sys.path.insert(0, str(ROOT / "notebooks"))
    import build  # noqa: PLC0415

    text = SOURCE.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert text == build.built(SOURCE), "run `make notebooks`"
    notebook = nbformat.reads(text, as_version=4)
    assert [cell.id for cell in notebook.cells] == [f"cell-{n:02}" for n in range(len(notebook.cells))]
    for cell in jupytext.read(SOURCE).cells:
        assert len(cell.source.splitlines()) <= 10, cell.source


def test_what_runs_in_the_kernel_needs_pythons_own_library_only() -> None:
    ahead, seen = sorted((LIBRARY / "notebook").glob("*.py")), set()
    while ahead:
        path = ahead.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 10))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                if name.split(".")[0] == "sessionscribe":
                    below = LIBRARY.parent / name.replace(".", "/")
                    ahead.append(below.with_suffix(".py") if not below.is_dir() else below / "__init__.py")
                else:
                    assert name.split(".")[0] in sys.stdlib_module_names, f"{path}: {name}"
    assert len(seen) > 7


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
def test_it_is_imported_by_the_pythons_of_colab_and_kaggle(version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python"))
    if not found:
        pytest.skip(f"no Python {version} here")
    script = "import sessionscribe.notebook as n; n.NotebookSession.__init__"
    environment = {"PYTHONPATH": str(LIBRARY.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([str(found[0]), "-c", script], env=environment, check=True)


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, origin: Project, home: Project
) -> tuple[Machine, nbformat.NotebookNode]:
    """A run on a Drive that is slow and loses a save; a secret is there."""
    root = tmp_path_factory.mktemp("whole")
    machine = Machine(root / "content", root / "drive", origin.root)
    machine.folder.mkdir(parents=True)
    (machine.folder / "talk.work.zip").write_bytes((home / "bundles/talk.work.zip").read_bytes())
    machine.environment = {"FAKE_DRIVE_MODE": "loses", "FAKE_SECRET_HF_TOKEN": CANARY}
    return machine, machine.run()


def test_a_whole_run_gives_the_bytes_of_one_at_home(
    whole: tuple[Machine, nbformat.NotebookNode], home: Project, tmp_path: Path
) -> None:
    machine, notebook = whole
    text = shown(notebook)
    assert "Google Colab: 12.0 hours left" in text
    assert "There is no GPU: this will take a long time." in text
    assert "talk.results.zip: MD5 " in text
    assert (machine.root / "released").exists()
    for path in (machine.folder / "talk.results.zip", machine.folder / "status.json"):
        assert path.exists(), text
    assert json.loads((machine.folder / "status.json").read_text())["sessions"][0]["status"] == "complete"
    parts = list(machine.folder.glob("*.part-*.zip"))
    assert [path for path in parts if ".again-2" in path.name], "what got lost was sent again"
    back = come_home(home, tmp_path / "back", machine)
    assert exports(back) == exports(home)
    assert len(text) < 20_000, "no flood of output"


def test_no_secret_is_left_anywhere(whole: tuple[Machine, nbformat.NotebookNode]) -> None:
    machine, notebook = whole
    assert "HF_TOKEN: found" in shown(notebook)
    assert CANARY not in nbformat.writes(notebook)
    for path in machine.root.parent.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def when_something_is_saved(colab: Machine, act: Callable[[], None]) -> None:
    """Do something as soon as the first save lies on Drive."""

    def watch() -> None:
        while not list(colab.folder.glob("*.part-*.zip")):
            time.sleep(0.05)
        act()

    threading.Thread(target=watch, daemon=True).start()


def execute(client: NotebookClient, notebook: nbformat.NotebookNode, *numbers: int) -> None:
    for number in numbers or range(len(notebook.cells)):
        client.execute_cell(notebook.cells[number], number)


def test_a_machine_that_is_taken_away_costs_the_chunk_in_flight_at_most(
    colab: Machine, home: Project, tmp_path: Path
) -> None:
    notebook = colab.notebook(stop_after="transcribe")
    client = colab.client(notebook)

    def vanish() -> None:
        while pids := colab.pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    when_something_is_saved(colab, vanish)
    with pytest.raises((DeadKernelError, RuntimeError)):
        execute(client, notebook)
    again = Machine(tmp_path / "another", colab.drive, colab.repository)
    text = shown(again.run(stop_after="transcribe"))
    assert "talk: placed" in text
    assert words(again.project) == words(home)


def test_at_the_end_of_its_time_all_is_saved_and_the_machine_released(
    colab: Machine, tmp_path: Path, home: Project
) -> None:
    def freeze() -> None:  # so that the work takes longer than there is time
        for pid in colab.pids("serve.py"):
            os.kill(pid, signal.SIGSTOP)

    when_something_is_saved(colab, freeze)
    text = shown(colab.run(hours=(age_s() + 60) / 3600))
    assert "The time of this machine is nearly over: stopping, and saving." in text
    assert "Traceback" not in text
    assert (colab.root / "released").exists()
    back = come_home(home, tmp_path / "back", colab)
    assert words(back) == words(colab.project)


def test_a_drive_that_is_full_keeps_nothing_from_going_on(
    origin: Project, home: Project, tmp_path: Path
) -> None:
    work = home / "bundles/talk.work.zip"
    size = work.stat().st_size // 1024 + 12
    with small_disks.mounted(tmp_path / "drive", f"size={size}k") as drive:
        colab = Machine(tmp_path / "content", drive, origin.root)
        colab.folder.mkdir()
        (colab.folder / work.name).write_bytes(work.read_bytes())
        notebook = colab.notebook(stop_after="transcribe")
        client = colab.client(notebook)
        try:
            execute(client, notebook, *range(len(notebook.cells) - 1))
            assert "No space left on device" in shown(notebook)
            assert "run this cell again" in shown(notebook)
            subprocess.run(["mount", "-o", "remount,size=100m", str(drive)], check=True)
            execute(client, notebook, len(notebook.cells) - 2, len(notebook.cells) - 1)
        finally:
            client._cleanup_kernel()
        assert words(come_home(home, tmp_path / "back", colab)) == words(home)


def test_a_mount_that_is_refused_is_told(colab: Machine) -> None:
    colab.environment = {"FAKE_DRIVE_MODE": "refused"}
    with pytest.raises(CellExecutionError) as failed:
        colab.run()
    wanted = "Google Drive was not mounted (mount failed). Run this cell again, and allow it."
    assert wanted in str(failed.value)


def test_without_a_gpu_that_is_required_one_line_says_so(colab: Machine) -> None:
    notebook = colab.notebook(require_gpu=True)
    client = colab.client(notebook)
    try:
        with pytest.raises(CellExecutionError):
            execute(client, notebook)
    finally:
        client._cleanup_kernel()
    said = shown(notebook).splitlines()
    assert said[-1].startswith("There is no GPU. Choose one (Runtime, Change runtime type), or untick")
    assert "Traceback" not in shown(notebook)
