"""What one source, a transcript of any format, says of a session.

The classes are dataclasses for speed; what their annotations demand is checked only when pydantic reads JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import undirected

HINT = "Name the files that count: for each session one with its words and one with its speakers"


Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, AfterValidator(undirected)]
"""In JSON, marks of direction may be written as escapes."""


@dataclass(frozen=True)
class PlainWord:
    """A word as it is written; times in seconds, if the source has them for each word.

    ``space`` says whether one stands before it.
    """

    text: Annotated[Text, Field(validation_alias=AliasChoices("text", "word"))]
    start: Time | None = None
    end: Time | None = None
    speaker: Text | None = None
    space: bool = True


@dataclass(frozen=True)
class Utterance:
    """What one speaker says without a break; ``words`` is empty if only the whole has times."""

    text: Text = ""
    start: Time | None = None
    end: Time | None = None
    speaker: Text | None = None
    words: tuple[PlainWord, ...] = ()

    def each_word(self) -> tuple[PlainWord, ...]:
        """Return its words; without times of their own they have none."""
        return self.words or tuple(PlainWord(text, speaker=self.speaker) for text in self.text.split())


@dataclass(frozen=True)
class SpeakerTurn:
    """A stretch of speech of one speaker, in seconds."""

    start: Time
    end: Time
    speaker: Text


Region = tuple[float, float]
"""A stretch ``[start, stop)`` in seconds."""


@dataclass(frozen=True)
class PlainTranscript:
    """What a source says of a session; what it does not know is None.

    ``scored`` are the only regions that count for speakers, ``ignored`` regions count for nothing.
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
        """Where its last word or turn ends, 0 without times."""
        ends = [part.end for part in self.utterances or () if part.end is not None]
        return max([*ends, *(turn.end for turn in self.turns or ())], default=0.0)


def turns_of(utterances: Iterable[Utterance]) -> tuple[SpeakerTurn, ...] | None:
    """Return the utterances as speakers' turns; None if none has times and a speaker."""
    timed = [
        SpeakerTurn(part.start, part.end, part.speaker)
        for part in utterances
        if part.speaker and part.start is not None and part.end is not None
    ]
    return tuple(turn for turn in timed if turn.end > turn.start) if timed else None


def joined(parts: Iterable[PlainTranscript]) -> dict[str, PlainTranscript]:
    """Return one source per session, where several files speak of the same one (an STM and an RTTM).

    Turns that a file states go before those that follow from another file's utterances.

    Raises:
        UserError: two files have words, or two have turns of their own.
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


def broken(path: Path, what: str) -> UserError:
    """Return the error for a broken file; what it quotes of the file may hold anything."""
    return UserError(
        visible(what)[:200], where=path, hint=f"Correct it: it is read as {path.suffix.lstrip('.').upper()}"
    )
