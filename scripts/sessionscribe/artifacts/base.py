"""The base of all files that stages exchange: pydantic models, validated when read.

Times of words, segments and turns are in seconds, rounded to a millisecond: relative to the *track* up to
the chunk transcript, to the *session* from the merged transcript on. Positions of cuts are samples at
``SAMPLE_RATE``. ``docs/records.md`` has an example of each file; its tables consist of the docstrings below
the fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from sessionscribe.core import seal
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_text

LAYOUTS = ("recording", "multitrack", "live")
Layout = Annotated[
    Literal["recording", "multitrack", "live"],
    BeforeValidator(lambda layout: "multitrack" if layout == "tracks" else layout),  # in old files
]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Samples = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """A piece of an artifact. Unknown keys are refused, since a newer file may mean something else."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Artifact(Part):
    """A JSON file of its own. The default of ``schema_version`` is the version that is written."""

    schema_version: int = 1

    @classmethod
    def version(cls) -> int:
        """Return the version that is written; files of older versions are read as well."""
        version: int = cls.model_fields["schema_version"].default
        return version

    @field_validator("schema_version")
    @classmethod
    def _migrated(cls, version: int) -> int:
        return max(version, cls.version())

    def text(self) -> str:
        """Return the artifact as a line of JSON, which depends on its content only."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) + "\n"

    def place(self) -> list[str]:
        """Return the names that the path of the file contains: those of its session and track, if any."""
        return [name for field in ("session", "track") if (name := getattr(self, field, ""))]

    def sealed(self) -> str:
        """Return the content of the file: the line, with a checksum at its end."""
        return seal.sealed(self.text())

    def write(self, path: Path) -> None:
        """Write the artifact to ``path`` atomically."""
        write_text(path, self.sealed())

    @classmethod
    def read_all(cls, paths: Iterable[str | Path]) -> list[Self]:
        """Read and validate several artifacts."""
        return [cls.read(Path(path)) for path in paths]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate an artifact.

        Raises:
            UserError: the file is missing, damaged, invalid, of a newer version, or a copy of another one.
        """
        hint = "Delete the file and run again: only it and what depends on it are recreated"
        try:
            artifact = cls.model_validate_json(seal.unsealed(Path(path).read_bytes()))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            what = f"is not a valid {cls.__name__} ({place or 'file'}: {first['msg']})"
            raise UserError(what, where=path, hint=hint) from error
        except (OSError, ValueError) as error:
            raise UserError(f"cannot be read ({error})", where=path, hint=hint) from error
        if artifact.schema_version != cls.version():
            what = f"has schema version {artifact.schema_version}, this program reads {cls.version()}"
            raise UserError(what, where=path, hint=hint)
        parts = Path(path).parts[-5:]
        names = {name for part in parts for name in part.split(".")}
        if "results" in parts[:-2] and not names.issuperset(artifact.place()):
            what = f"is a copy of another file, of {' '.join(artifact.place())}"
            raise UserError(what, where=path, hint=hint)
        return artifact


def older(*removed: str, **renamed: str) -> Any:
    """Return a validator for files of older versions, some of whose fields were removed or renamed."""

    def migrate(cls: type[Part], content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {renamed.get(key, key): value for key, value in content.items() if key not in removed}

    return model_validator(mode="before")(migrate)


class SessionArtifact(Artifact):
    """An artifact of a whole session."""

    session: str
    layout: Layout
    """`recording`, `multitrack` or `live`."""

    _older = older(shape="layout")
