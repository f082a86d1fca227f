"""A machine of Colab's that is ours: a kernel for a notebook, and a stand-in for Colab and its Drive."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from project import ROOT, Project
from sessionscribe.notebook.platforms import age_s

FAKE = Path(__file__).parent / "fake"
TALK = ROOT / "tests/data/toy/recordings/meeting.mp4"


@dataclass
class Machine:
    """A machine of Colab's that is ours: a folder, in which the notebook's kernel works, and a Drive."""

    root: Path
    drive: Path
    repository: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        return Project(self.root / "sessionscribe")

    @property
    def folder(self) -> Path:
        """The folder on Drive."""
        return self.drive / "sessionscribe"

    def notebook(self, **parameters: Any) -> Any:
        """Return the notebook, with the values of its form set."""
        notebook = nbformat.read(ROOT / "notebooks/transcribe.ipynb", as_version=4)
        given = {
            "repository": str(self.repository),
            "profile": "demo-test",
            "hours": age_s() / 3600 + 12,
            "python": sys.executable,
            "require_gpu": False,
            "save_minutes": 0.01,
            "patience_s": 3,
            **parameters,
        }
        for cell in notebook.cells[1:3]:
            for name in list(given):
                lines = cell.source.splitlines()
                if any(line.startswith(f"{name} = ") for line in lines):
                    value = given.pop(name)
                    cell.source = "\n".join(
                        f"{name} = {value!r}" if line.startswith(f"{name} = ") else line for line in lines
                    )
        assert not given, "the form has these fields"
        return notebook

    def pids(self, name: str = "") -> list[int]:
        """Return the processes of this machine, or those that ``name`` is in the command line of."""
        mark, found = f"FAKE_RELEASED={self.root / 'released'}".encode(), []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                environment = (folder / "environ").read_bytes() if folder.name.isdigit() else b""
                if mark in environment.split(b"\0") and name.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return found

    def client(self, notebook: Any) -> NotebookClient:
        self.root.mkdir(exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SNAKEMAKE", "HF_"))}
        environment = kept | {
            "PYTHONPATH": str(FAKE),
            "FAKE_DRIVE": str(self.drive),
            "FAKE_RELEASED": str(self.root / "released"),
            "HF_HUB_OFFLINE": "1",
            **self.environment,
        }
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(self.root)}})
        client.create_kernel_manager()
        client.start_new_kernel(env=environment)
        client.start_new_kernel_client()
        return client

    def run(self, **parameters: Any) -> Any:
        """Run all cells; return the notebook with what they showed."""
        notebook = self.notebook(**parameters)
        client = self.client(notebook)
        try:
            for number, cell in enumerate(notebook.cells):
                client.execute_cell(cell, number)
        finally:
            client._cleanup_kernel()
        return notebook


def shown(notebook: Any) -> str:
    """Return what a notebook's cells showed."""

    def text(output: Any) -> str:
        live = output.get("data", {}).get("text/plain", "")
        return output.get("text") or live or "\n".join(output.get("traceback", []))

    return "".join(text(output) for cell in notebook.cells for output in cell.get("outputs", []))
