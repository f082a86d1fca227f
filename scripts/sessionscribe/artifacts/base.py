"""What every file has that stages hand to one another: one pydantic model each, validated when read.

Times in artifacts that people and other programs read (words, segments, turns) are seconds as float, rounded
to a millisecond, counted from the start of the *track* up to the chunk transcript and from the start of the
*session* from the merged transcript on. Where audio is cut, positions are integer samples at ``SAMPLE_RATE``.
``docs/records.md`` shows an example of each; what it says of a field is the docstring below it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

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
    BeforeValidator(lambda layout: "multitrack" if layout == "tracks" else layout),  # its name once
]
Seconds = Annotated[float, Field(ge=0)]
Samples = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """A piece of an artifact. Unknown keys are refused: a newer file is never half understood."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Artifact(Part):
    """A file of its own, in JSON; ``kind`` and ``schema_version`` say how to read it."""

    schema_version: int = 1
    VERSION: ClassVar[int] = 1
    OLDER: ClassVar[frozenset[int]] = frozenset()
    """Earlier versions that are read, too."""

    @field_validator("schema_version")
    @classmethod
    def _brought_up(cls, version: int) -> int:
        return cls.VERSION if version in cls.OLDER else version

    def text(self) -> str:
        """Return the artifact as a line of JSON that depends on its content only."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) + "\n"

    def sealed(self) -> str:
        """Return the artifact as it is written: the line, with its own checksum at its end."""
        return seal.sealed(self.text())

    def write(self, path: Path) -> None:
        """Write the artifact to ``path`` atomically."""
        write_text(path, self.sealed())

    @classmethod
    def read_all(cls, paths: Iterable[str | Path]) -> list[Self]:
        """Read and validate the artifacts of these files, in their order."""
        return [cls.read(Path(path)) for path in paths]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate an artifact.

        Raises:
            UserError: the file is missing, damaged, of another schema version or not valid.
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
        if artifact.schema_version != cls.VERSION:
            what = f"has schema version {artifact.schema_version}, this program reads {cls.VERSION}"
            raise UserError(what, where=path, hint=hint)
        return artifact


def older(*gone: str, **renamed: str) -> Any:
    """Return a validator for files of earlier versions: some fields are gone, others have new names."""

    def brought_up(cls: type[Part], content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {renamed.get(key, key): value for key, value in content.items() if key not in gone}

    return model_validator(mode="before")(brought_up)


class SessionArtifact(Artifact):
    """An artifact of a whole session, which says how its files belong together."""

    session: str
    layout: Layout
    """`recording`, `multitrack` or `live`."""

    _older = older(shape="layout")
