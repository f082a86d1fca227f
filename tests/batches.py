"""Batches in a project whose models work on an instance of EC2: moto says what it is, a real sshd is it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import aws
from aws import Box
from project import Project
from sshd import eventually

PROFILE = "profiles/away"
CHUNKS = "results/transcribe/*/*/*.[0-9]*.json"


@dataclass
class Away:
    """A project with a profile for a box, and commands in it."""

    project: Project
    box: Box
    endpoint: str

    @classmethod
    def prepared(cls, project: Project, box: Box, endpoint: str = "") -> Away:
        """Write the profile: the one for EC2, quick in what it waits for."""
        (project / "ssh_config").write_text(box.entry)
        values = yaml.safe_load((project / "profiles/ec2/config.yaml").read_text())
        values |= {
            "warm-runner": ["ec2:gpu"],
            "warm-ssh-config": "ssh_config",
            "warm-remote-python": sys.executable,
            "warm-remote-stop-command": box.power_off,
            "warm-lease": 5,
            "cores": 2,
        }
        (project / PROFILE).mkdir(exist_ok=True)
        (project / PROFILE / "config.yaml").write_text(yaml.safe_dump(values))
        return cls(project, box, endpoint or box.cloud.url)

    @property
    def environment(self) -> dict[str, str]:
        found = self.project.environment(**self.box.cloud.environment)
        return found | {"AWS_ENDPOINT_URL": self.endpoint}

    def line(self, *arguments: str) -> list[str]:
        command = [sys.executable, "-m", "sessionscribe.cli.main", "batch", *arguments]
        return [*command, "--profile", PROFILE, "--configfile", "config/test.yaml"]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a batch to its end."""
        where = {"cwd": self.project.root, "env": self.environment}
        return subprocess.run(self.line(*arguments), **where, capture_output=True, text=True, check=False)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a batch in a process group of its own, so that it or all of it can be killed."""
        return subprocess.Popen(
            self.line(*arguments),
            cwd=self.project.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=(self.project / "said").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )

    def reports(self) -> list[dict[str, Any]]:
        """Return all reports, the oldest first."""
        folder = self.project / "logs/batch/reports"
        found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
        return sorted(found, key=lambda report: (report["timestamp"], report["runId"]))

    def take_away(self, count: int) -> list[Path]:
        """Delete chunk transcripts, and return which."""
        taken = sorted(self.project.root.glob(CHUNKS))[:count]
        for path in taken:
            path.unlink()
        return taken

    def events(self) -> list[str]:
        """Return what is noted of machines."""
        with suppress(FileNotFoundError):
            lines = (self.project / "logs/usage/machines.jsonl").read_text().splitlines()
            return [json.loads(line)["event"] for line in lines]
        return []

    def processes(self) -> list[int]:
        """Return what runs in the project's folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (entry / "cwd").resolve() == self.project.root.resolve():
                    found.append(int(entry.name))
        return found


@contextmanager
def network_of(box: Box) -> Iterator[tuple[Network, str]]:
    """Have a network that can be cut, and the address of the cloud behind it."""
    network = Network(box)

    def change(_action: str, _ask: Callable[[], bytes]) -> tuple[int, bytes] | None:
        return (503, aws.refusal("Unavailable")) if network.is_cut else None

    with aws.changed(box.cloud, change) as address:
        yield network, address
        network.mend()


class Network:
    """What is between home and the cloud; when it is cut, nobody is told: all just falls silent."""

    def __init__(self, box: Box) -> None:
        self._box, self.is_cut = box, False

    def cut(self) -> None:
        """Let nothing through any more."""
        self.is_cut = True
        self._box.host.stop()
        self._tell_relays(signal.SIGSTOP)

    def mend(self) -> None:
        """Let everything through again."""
        self.is_cut = False
        self._tell_relays(signal.SIGCONT)

    def _tell_relays(self, number: int) -> None:
        relay = str(self._box.host.folder / "relay.py").encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if relay in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), number)


def stop_in_the_middle(away: Away, how: str, network: Network) -> float:
    """Start a batch, stop it while its machine works, and return how long the machine was up then (s).

    Args:
        away: where.
        how: ``TERM``, ``INT`` or ``KILL``, with ``group`` for the whole process group, or ``cut``.
        network: what is cut.
    """
    running = away.start()
    try:
        at_work = eventually(lambda: away.box.host.pids("serve.py"), 120)
        assert at_work, (away.project / "said").read_text()
        began = time.monotonic()
        if how == "cut":
            network.cut()
        else:
            number = signal.Signals[f"SIG{how.split(maxsplit=1)[0]}"]
            (os.killpg if "group" in how else os.kill)(running.pid, number)
        while away.box.cloud.state(away.box.id) == "running" and time.monotonic() < began + 120:
            if running.poll() is not None and not away.processes():
                break
            time.sleep(0.1)
        took_s = time.monotonic() - began
        network.mend()
        running.wait(120)
        return took_s
    finally:
        running.kill()
