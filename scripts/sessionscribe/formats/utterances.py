"""What one source, a transcript of any format, says of a session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sessionscribe.core.errors import UserError, visible

HINT = "Name the files that count: for each session one with its words and one with its speakers"


@dataclass(frozen=True)
class PlainWord:
    """A word as it is written; times in seconds, where the source has them for each word.

    ``space`` says whether one stands before it.
    """

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    space: bool = True


@dataclass(frozen=True)
class Utterance:
    """What one speaker says without a break; ``words`` is empty where only the whole has times."""

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    words: tuple[PlainWord, ...] = ()

    def each_word(self) -> tuple[PlainWord, ...]:
        """Return its words; without times of their own they have none."""
        return self.words or tuple(PlainWord(text, speaker=self.speaker) for text in self.text.split())


@dataclass(frozen=True)
class SpeakerTurn:
    """A stretch of speech of one speaker, in seconds."""

    start: float
    end: float
    speaker: str


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
    """Return the utterances as speakers' turns; None where none has times and a speaker.

    Utterances of one speaker that touch are one turn.
    """
    timed = [u for u in utterances if u.speaker and u.start is not None and u.end is not None]
    if not timed:
        return None
    return tuple(
        SpeakerTurn(u.start, u.end, u.speaker)  # type: ignore[arg-type]
        for u in timed
        if u.end > u.start  # type: ignore[operator]
    )


def joined(parts: Iterable[PlainTranscript]) -> dict[str, PlainTranscript]:
    """Return one source per session, where several files speak of the same one (an STM and an RTTM).

    Turns that a file states go before those that follow from another file's utterances.

    Raises:
        UserError: two files have words, or two have turns of their own.
    """
    found: dict[str, PlainTranscript] = {}
    for part in parts:
        if part.session not in found:
            found[part.session] = part
            continue
        before = found[part.session]
        for name in ("utterances", "scored", "turns"):
            if getattr(before, name) is not None and getattr(part, name) is not None:
                what = {"utterances": "words", "scored": "scored regions", "turns": "turns"}[name]
                raise UserError(f"two files have its {what}", where=part.session, hint=HINT)
        found[part.session] = replace(
            before,
            **{
                name: getattr(part, name)
                for name in ("utterances", "turns", "language", "duration_s", "scored")
                if getattr(part, name) is not None
            },
            ignored=before.ignored + part.ignored,
        )
    return {
        name: said if said.turns is not None else replace(said, turns=turns_of(said.utterances or ()))
        for name, said in sorted(found.items())
    }


def broken(path: Path, what: str) -> UserError:
    """Return the error for a broken file; what it quotes of the file may hold anything."""
    return UserError(
        visible(what)[:200], where=path, hint=f"Correct it: it is read as {path.suffix.lstrip('.').upper()}"
    )
