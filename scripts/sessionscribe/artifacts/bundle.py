"""What a session bundle says of itself: its first member, ``bundle.json``."""

from __future__ import annotations

from typing import Literal

from sessionscribe.artifacts.base import Artifact
from sessionscribe.artifacts.provenance import Output

MANIFEST = "bundle.json"
Kind = Literal["work", "results", "part"]


class SessionBundle(Artifact):
    """The contents of a ZIP with what a session's steps have made: its first member, ``bundle.json``.

    It names no time, machine or person: the same content is the same bytes.
    """

    kind: Kind
    """`work`: with the audio, to continue; `results`: without; `part`: only what other bundles lack."""
    session: str
    rows: str
    """Its rows of the manifest, as text: a recording's source is part of the keys."""
    settings: dict[str, dict[str, object]]
    """The sections of the configuration that keys depend on."""
    models: dict[str, str]
    """What identifies the models: `speech`, `speakers`."""
    engine: str
    """What its chunks are transcribed with."""
    program: str
    """Our version."""
    requirements: str
    """SHA-256 of `envs/requirements.txt`."""
    files: list[Output]
    """What is in it, in order."""
    left_out: list[str]
    """Files that are made again where they are needed: converted audio."""

    @property
    def contents(self) -> set[tuple[str, str]]:
        """Path and checksum of each file."""
        return {(file.path, file.sha256) for file in self.files}
