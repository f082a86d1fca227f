"""What the services on loopback have in common: they run the command of a submission, as a container would.

There is no image, but what a container does not get from the machine that submits is not there either: the
folder is a new, empty one, and of the environment there is what the service was told. The project's folder is
where it is, as the shared volume.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from project import SAME_KERNEL


@dataclass
class Container:
    """A submission: waiting, running or ended."""

    command: Sequence[str]
    environment: dict[str, str]
    gpus: int
    process: subprocess.Popen[bytes] | None = None
    code: int | None = None
    output: str = ""
    removed: bool = False


@dataclass
class Machine:
    """One machine with one GPU, which takes submissions in the order in which they come."""

    image: Path
    containers: list[Container] = field(default_factory=list)
    _gpu: threading.Lock = field(default_factory=threading.Lock)

    def run(self, command: Sequence[str], environment: dict[str, str], *, gpus: int = 0) -> Container:
        """Start a submission, as soon as the GPU is free if it needs that."""
        container = Container(command, environment, gpus)
        self.containers.append(container)
        threading.Thread(target=self._run, args=[container], daemon=True).start()
        return container

    def _run(self, container: Container) -> None:
        path = f"{self.image}:/usr/bin:/bin"
        with tempfile.TemporaryDirectory() as folder:
            own = {"PATH": path, "HOME": folder, "HF_HUB_OFFLINE": "1", **SAME_KERNEL}
            if container.gpus:
                self._gpu.acquire()
            try:
                if container.removed:
                    return
                container.process = subprocess.Popen(
                    list(container.command),
                    cwd=folder,
                    env=own | container.environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                output, _ = container.process.communicate()
                container.output = output.decode(errors="replace")
                container.code = container.process.returncode
            finally:
                if container.gpus:
                    self._gpu.release()

    @staticmethod
    def remove(container: Container) -> None:
        """End it at once, with all that it started."""
        container.removed = True
        if container.process and container.process.poll() is None:
            os.killpg(container.process.pid, 9)

    def running(self) -> list[Container]:
        """Return what still runs."""
        return [c for c in self.containers if c.process and c.process.poll() is None]


def make_image(folder: Path, packages: str) -> Path:
    """Return a folder for PATH with this environment's `python` and more packages, as the image has them."""
    folder.mkdir()
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return folder
