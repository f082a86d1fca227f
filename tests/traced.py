"""Whom a program tries to reach, seen from the kernel."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sessionscribe.core import telemetry

STRACE = ("strace", "--seccomp-bpf", "-f", "-qq", "-e", "trace=connect", "-o")
"""Before the file to write and the command."""
CONNECT = re.compile(r"connect\(\d+(?:<[^>]*>)?, \{sa_family=AF_INET6?, (.*?)\}")
LOOPBACK = re.compile(r"\"(127\.[\d.]+|::1|::ffff:127\.[\d.]+)\"")


def attempts(trace: Path) -> list[str]:
    """Return the attempts to reach another machine, or a name server, that strace noted."""
    found = CONNECT.findall(trace.read_text(errors="replace"))
    return [to for to in found if not LOOPBACK.search(to) or "htons(53)" in to]


def reporting(home: Path) -> dict[str, str]:
    """Return an environment in which every dependency may report, and a home without any file."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in telemetry.OFF}
    asking = dict.fromkeys(("PYANNOTE_METRICS_ENABLED", "HF_XET_TELEMETRY_ENABLED"), "1")
    folders = {f"XDG_{kind}_HOME": f"{home}/.{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
    return kept | asking | folders | {"HOME": str(home)}
