"""What jobs note of themselves: what they made of what, why they failed, what they used."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Seconds


class Output(Part):
    """A file that a job made."""

    path: str
    size: int
    sha256: str


class Provenance(Artifact):
    """What a job made, and the key of all that determined it. ``results/provenance/{session}/….json``.

    It is written last: an output is taken as made only if its record is there, names the wanted key and the
    size that the file really has. ``flags`` and ``verdict`` are here as well so that a status table need not
    read what may be long. One of ``left_out`` was not published with the others, and may be absent until
    something reads it.
    """

    rule: str
    key: str
    outputs: list[Output]
    inputs: list[Output] = []
    left_out: list[str] = []
    options: dict[str, object] = {}
    versions: dict[str, str] = {}
    flags: list[str] = []
    verdict: str = ""


class Failure(Artifact):
    """Why a job failed, for the status table. ``logs/failed/{session}/….json``."""

    session: str
    rule: str
    output: str
    message: str
    log: str


class JobUsage(Artifact):
    """What a job used. ``logs/usage/{session}/{rule}.….json``; times in seconds.

    ``queued_s`` is the wait for a worker, ``audio_s`` the audio it worked through, ``gpu_s`` the time it had
    the GPU compute for it, ``loads`` the models it had to load and how long each took. Jobs
    that run at once in one worker share its CPU time equally. ``peak_memory_mb`` is the process's; a worker's
    memory holds its models.
    """

    session: str
    rule: str
    output: str
    ok: bool
    started: str
    host: str
    queued_s: Seconds
    wall_s: Seconds
    cpu_s: Seconds
    gpu_s: Seconds
    audio_s: Seconds
    peak_memory_mb: float
    peak_gpu_memory_mb: float
    loads: dict[str, Seconds] = {}
