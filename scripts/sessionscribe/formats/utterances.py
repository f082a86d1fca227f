"""A transcript of a session, as read from any format.

The classes are dataclasses for speed; their annotations are only validated when pydantic reads JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import undirected

HINT = "Name the files to use: for each session one with its words and one with its speakers"

Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, AfterValidator(undirected)]
"""Text without marks of direction, which JSON may contain as escapes."""


@dataclass(frozen=True)
class PlainWord:
    """A word; times in seconds, if the source has them for words; ``space``: whether a space precedes it."""

    text: Annotated[Text, Field(validation_alias=AliasChoices("text", "word"))]
    start: Time | None = None
    end: Time | None = None
    speaker: Text | None = None
    space: bool = True


@dataclass(frozen=True)
class Utterance:
    """A segment of one speaker; ``words`` is empty if they have no times."""

    text: Text = ""
    start: Time | None = None
    end: Time | None = None
    speaker: Text | None = None
    words: tuple[PlainWord, ...] = ()

    def each_word(self) -> tuple[PlainWord, ...]:
        """Return its words, without times if they have none of their own."""
        return self.words or tuple(PlainWord(text, speaker=self.speaker) for text in self.text.split())


@dataclass(frozen=True)
class SpeakerTurn:
    """A turn of a speaker, in seconds."""

    start: Time
    end: Time
    speaker: Text


Region = tuple[float, float]
"""A region ``[start, stop)`` in seconds."""


@dataclass(frozen=True)
class PlainTranscript:
    """The transcript of a session; what its source lacks is None.

    ``scored`` are the regions in which speakers are scored; nothing is scored in ``ignored`` regions.
    """

    session: str
    utterances: tuple[Utterance, ...] | None = None
    turns: tuple[SpeakerTurn, ...] | None = None
    language: str | None = None
    duration_s: float | None = None
    scored: tuple[Region, ...] | None = None
    ignored: tuple[Region, ...] = ()

    @property
    def words(self) -> tuple[PlainWord, ...]:
        """All words, utterance by utterance."""
        return tuple(word for part in self.utterances or () for word in part.each_word())

    @property
    def has_speakers(self) -> bool:
        """Whether any of its words has a speaker."""
        return any(word.speaker for word in self.words)

    @property
    def end(self) -> float:
        """The end of its last utterance or turn, 0 without times."""
        ends = [part.end for part in self.utterances or () if part.end is not None]
        return max([*ends, *(turn.end for turn in self.turns or ())], default=0.0)


def turns_of(utterances: Iterable[Utterance]) -> tuple[SpeakerTurn, ...] | None:
    """Return the turns of utterances, or None if no utterance has times and a speaker."""
    timed = [
        SpeakerTurn(part.start, part.end, part.speaker)
        for part in utterances
        if part.speaker and part.start is not None and part.end is not None
    ]
    return tuple(turn for turn in timed if turn.end > turn.start) if timed else None


def joined(parts: Iterable[PlainTranscript]) -> dict[str, PlainTranscript]:
    """Join the transcripts of each session, for example those of an STM and an RTTM.

    Turns from a file take precedence over those derived from utterances.

    Raises:
        UserError: two transcripts have words, turns or scored regions of the same session.
    """
    found: dict[str, PlainTranscript] = {}
    for part in parts:
        before = found.setdefault(part.session, part)
        if before is part:
            continue
        known = {field.name: getattr(part, field.name) for field in fields(part)}
        news = {name: value for name, value in known.items() if value is not None}
        for name, what in (("utterances", "words"), ("scored", "scored regions"), ("turns", "turns")):
            if name in news and getattr(before, name) is not None:
                raise UserError(f"two files have its {what}", where=part.session, hint=HINT)
        found[part.session] = replace(before, **news | {"ignored": before.ignored + part.ignored})
    return {
        name: said if said.turns is not None else replace(said, turns=turns_of(said.utterances or ()))
        for name, said in sorted(found.items())
    }


def invalid(path: Path, what: str) -> UserError:
    """Return the error for an invalid file; ``what`` may quote any of its content."""
    return UserError(
        visible(what)[:200], where=path, hint=f"Correct it: it is read as {path.suffix.lstrip('.').upper()}"
    )
