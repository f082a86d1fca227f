"""What jobs note of themselves: what they made of what, why they failed, what they used."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Seconds


class Output(Part):
    """A file that a job made."""

    path: str
    """Below the project's folder."""
    size: int
    """In bytes."""
    sha256: str
    """Of the content."""


class Provenance(Artifact):
    """What a job made, and the key of all that determined it. ``results/provenance/{session}/….json``.

    It is written last: an output is taken as made only if its record is there, names the wanted key and the
    size that the file really has. ``flags`` and ``verdict`` are here as well so that a status table need not
    read what may be long. One of ``left_out`` was not published with the others, and may be absent until
    something reads it.
    """

    rule: str
    """The job's rule."""
    key: str
    """Fingerprint of all that determined the outputs."""
    outputs: list[Output]
    """What it made."""
    inputs: list[Output] = []
    """What it read."""
    left_out: list[str] = []
    """Outputs that were not published with the others, and may be absent."""
    options: dict[str, object] = {}
    """Settings of the job."""
    versions: dict[str, str] = {}
    """Of programs."""
    flags: list[str] = []
    """What a reader should know."""
    verdict: str = ""
    """An audit's, else empty."""


class Failure(Artifact):
    """Why a job failed, for the status table. ``logs/failed/{session}/….json``."""

    session: str
    rule: str
    """The job's rule."""
    output: str
    """The first file it was to make."""
    message: str
    """One line: where, what, what to do."""
    log: str
    """The job's log."""


class JobUsage(Artifact):
    """What a job used. ``logs/usage/{session}/{rule}.….json``; times in seconds.

    ``queued_s`` is the wait for a worker, ``audio_s`` the audio it worked through, ``gpu_s`` the time it had
    the GPU compute for it, ``loads`` the models it had to load and how long each took. Jobs
    that run at once in one worker share its CPU time equally. ``peak_memory_mb`` is the process's; a worker's
    memory holds its models.
    """

    session: str
    rule: str
    """The job's rule."""
    output: str
    """The first file it was to make."""
    ok: bool
    """Whether it succeeded."""
    started: str
    """When it began (UTC)."""
    host: str
    """On which machine."""
    queued_s: Seconds
    """How long it waited for a worker; 0 in a process of its own."""
    wall_s: Seconds
    """From start to end."""
    cpu_s: Seconds
    """CPU time; jobs that run at once in one worker share it equally."""
    gpu_s: Seconds
    """How long a GPU computed for it."""
    audio_s: Seconds
    """The audio it worked through."""
    peak_memory_mb: float
    """Most memory of its process, a worker's models included."""
    peak_gpu_memory_mb: float
    """Most memory in use on the GPU."""
    gpu_load: float | None = None
    """Mean load of the GPU while it computed for it (0 to 1); null where nobody can tell."""
    gpu_temperature_c: int | None = None
    """Highest temperature of the GPU meanwhile, in °C."""
    loads: dict[str, Seconds] = {}
    """Models it had to load, and how long each took."""
