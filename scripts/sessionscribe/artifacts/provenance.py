"""What jobs note of themselves: what they made of what, why they failed, what they used."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Seconds


class Output(Part):
    """A file that a job made."""

    path: str
    """Below the project's folder."""
    size: int
    sha256: str


class Provenance(Artifact):
    """What a job made, and the key of all that determined it. ``results/provenance/{session}/….json``.

    It is written last: an output counts as made only if its record is there, names the wanted key and the
    size that the file really has. Flags and verdict are repeated so that a status table need not read long
    files.
    """

    rule: str
    key: str
    """Fingerprint of everything that determined the outputs."""
    outputs: list[Output]
    """What it made."""
    inputs: list[Output] = []
    """What it read."""
    left_out: list[str] = []
    """Outputs that were not published with the others, and may be absent until something reads them."""
    options: dict[str, object] = {}
    """Settings of the job."""
    versions: dict[str, str] = {}
    """Of programs."""
    flags: list[str] = []
    verdict: str = ""
    """An audit's, else empty."""


class Failure(Artifact):
    """Why a job failed, for the status table. ``logs/failed/{session}/….json``."""

    session: str
    rule: str
    output: str
    message: str
    """One line: where, what, what to do."""
    log: str
    """The job's log."""


class JobUsage(Artifact):
    """What a job used. ``logs/usage/{session}/{rule}.….json``; times in seconds."""

    session: str
    rule: str
    output: str
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
    """Most memory of its process, including the models of a worker."""
    peak_gpu_memory_mb: float
    """Most memory in use on the GPU."""
    gpu_load: float | None = None
    """Mean load of the GPU while it computed for it (0 to 1); null if it is unknown."""
    gpu_temperature_c: int | None = None
    """Highest temperature of the GPU meanwhile, in °C."""
    loads: dict[str, Seconds] = {}
    """Models it had to load, and how long each took."""
