"""The contents of a session bundle."""

from __future__ import annotations

from typing import Literal

from sessionscribe.artifacts.base import Artifact
from sessionscribe.artifacts.provenance import Output

MANIFEST = "bundle.json"
Kind = Literal["work", "results", "part"]


class SessionBundle(Artifact):
    """The contents of a ZIP with a session's results; its first member, ``bundle.json``.

    It names no time, machine or person, so the same content is the same file.
    """

    kind: Kind
    """`work` (with audio, to continue), `results` (without) or `part` (what other bundles lack)."""
    session: str
    rows: str
    """The session's rows of the manifest, as text."""
    settings: dict[str, dict[str, object]]
    """The sections of the configuration on which keys depend."""
    models: dict[str, str]
    """The identities of the models `speech` and `speakers`."""
    engine: str
    """The engine for chunks."""
    program: str
    """The version of this program."""
    requirements: str
    """The SHA-256 of `envs/requirements.txt`."""
    files: list[Output]
    """The files, in order."""
    left_out: list[str]
    """Converted audio that is recreated when needed."""

    @property
    def contents(self) -> set[tuple[str, str]]:
        """The path and checksum of each file."""
        return {(file.path, file.sha256) for file in self.files}
