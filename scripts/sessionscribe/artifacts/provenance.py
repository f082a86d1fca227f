"""Records of jobs: their inputs and outputs, failures and usage."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Seconds


class Output(Part):
    """A file that a job made."""

    path: str
    """The path, relative to the project."""
    size: int
    sha256: str


class Provenance(Artifact):
    """The record of a job, with the key of its outputs. ``results/provenance/{session}/….json``.

    It is written last: outputs without a matching record do not count as made. Flags and verdict are repeated
    here so that a status table need not read long files.
    """

    rule: str
    key: str
    """The fingerprint of everything that determined the outputs."""
    outputs: list[Output]
    """The files written."""
    inputs: list[Output] = []
    """The files read."""
    left_out: list[str] = []
    """Outputs that were not published, and may be absent until they are needed."""
    options: dict[str, object] = {}
    """The settings of the job."""
    versions: dict[str, str] = {}
    flags: list[str] = []
    verdict: str = ""
    """The verdict of an audit, else empty."""


class Failure(Artifact):
    """The failure of a job, for `sessionscribe status`. ``logs/failed/{session}/….json``."""

    session: str
    rule: str
    output: str
    message: str
    """One line: where, what is wrong, and what to do."""
    log: str
    """The log of the job."""


class JobUsage(Artifact):
    """The resources that a job used. ``logs/usage/{session}/{rule}.….json``; times in seconds."""

    session: str
    rule: str
    output: str
    ok: bool
    """Whether the job succeeded."""
    started: str
    """When the job started (UTC)."""
    host: str
    """The machine."""
    queued_s: Seconds
    """How long the job waited for a worker; 0 if it had its own process."""
    wall_s: Seconds
    """The time from start to end."""
    cpu_s: Seconds
    """The CPU time; simultaneous jobs of a worker share it equally."""
    gpu_s: Seconds
    """How long the GPU computed for the job."""
    audio_s: Seconds
    """The length of the audio processed."""
    peak_memory_mb: float
    """The peak memory of the process, including loaded models."""
    peak_gpu_memory_mb: float
    """The peak memory in use on the GPU."""
    gpu_load: float | None = None
    """The mean load of the GPU while it computed for the job (0 to 1); null if unknown."""
    gpu_temperature_c: int | None = None
    """The highest temperature of the GPU meanwhile, in °C."""
    loads: dict[str, Seconds] = {}
    """The loading times of models that the job had to load."""
