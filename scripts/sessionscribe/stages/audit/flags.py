"""The findings of an audit as lines for the status table and the exports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from sessionscribe.artifacts.audit import Audit, LanguageAudit
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.artifacts.transcript import SpokenWord, Transcript
from sessionscribe.core.text import counted, normalised
from sessionscribe.core.units import clock
from sessionscribe.engines import prompts
from sessionscribe.stages.transcribe.fallback import ECHO, MISLED

AGREED = 0.6
"""Share of the votes from which the language is certain."""
CONFIDENT_VOTE = 0.8
"""Probability from which a single vote suggests another language."""
MUCH_UNSURE = 0.05
"""Share of words in passages of low probability from which there is a flag."""
SAME_TIME_S = 0.5
"""If the same word begins on two tracks within this time, one of them picks up the other's voice."""
MUCH_REPEATED = 0.05
"""Share of such words from which there is a flag."""
MOST = 20
"""Lines of each kind at the end of documents; the file of the audit has all."""


def flags_of(audit: Audit, transcript: Transcript, conversions: Sequence[Conversion]) -> list[str]:
    """Return a line for each kind of finding that deserves a second look."""
    several = len(conversions) > 1
    warnings = [
        f"track {conversion.track}: {warning}" if several else warning
        for conversion in conversions
        for warning in conversion.warnings
    ]
    return [*transcript.flags, *warnings, *_on_several_tracks(transcript), *_flags(audit)]


def _on_several_tracks(transcript: Transcript) -> Iterator[str]:
    """Yield a flag if the microphones of a multitrack session pick up each other's voices."""
    if transcript.layout != "multitrack":
        return
    words = sorted((word for part in transcript.segments for word in part.words), key=attrgetter("start"))
    last: dict[str, SpokenWord] = {}
    repeated = 0
    for word in words:
        other = last.get(text := normalised(word.text), word)
        repeated += other.speaker != word.speaker and word.start - other.start <= SAME_TIME_S
        last[text] = word
    if repeated > MUCH_REPEATED * len(words):
        yield (
            f"{repeated} of {counted(len(words), 'word')} are on another track at the same time: one track "
            "is a mix, or microphones pick up other voices, so words are repeated, with the wrong speaker"
        )


def _flags(audit: Audit) -> Iterator[str]:
    if audit.gaps:
        lacking = sum(gap.speech_s for gap in audit.gaps)
        longest = max(audit.gaps, key=lambda gap: gap.speech_s)
        yield (
            f"{counted(len(audit.gaps), 'stretch', 'stretches')} of speech without a word, {lacking:.1f} s "
            f"in all (the longest from {clock(longest.start)} to {clock(longest.end)})"
        )
    if audit.repeats:
        yield f"{counted(len(audit.repeats), 'phrase')} repeated many times"
    doubted = sum(part.words for part in audit.unsure)
    if doubted > MUCH_UNSURE * audit.words.kept:
        yield f"{doubted} of {audit.words.kept} words in stretches of low probability"
    yield from _language(audit.language)
    misled = sum(part.reason in (ECHO, MISLED) and part.winner == "second" for part in audit.redecoded)
    if misled:
        yield f"hotwords misled the model in {counted(misled, 'window')} (decoded without them): use fewer"
    if audit.unused_prompt:
        yield prompts.no_room(audit.unused_prompt)
    for found in audit.speakers:
        if found.phantom:
            yield f"speaker {found.speaker} has only {found.share:.1%} of the speech: it may not be a person"


def _language(language: LanguageAudit) -> Iterator[str]:
    votes = [vote.language for vote in language.votes]
    others = Counter(
        vote.language
        for vote in language.votes
        if vote.language != language.language
        and (language.probability < AGREED or vote.probability >= CONFIDENT_VOTE)
    )
    if language.given or not others:
        return
    number = {language.language: votes.count(language.language), **dict(others.most_common())}
    yield (
        f"perhaps several languages: {', '.join(f'{code} ({count})' for code, count in number.items())} of "
        f"{len(votes)} votes; all was decoded as {language.language}. To decode each passage in its own: "
        "`transcribe.language: mixed`, or `--language mixed` for `sessionscribe add`"
    )


def audited(transcript: Transcript, audit: Audit) -> Transcript:
    """Return the transcript with the audit's lines in front of its own flags, without duplicates."""
    lines = [*_summary(audit), *audit.problems, *audit.flags, *transcript.flags, *_places(audit)]
    return transcript.model_copy(update={"flags": list(dict.fromkeys(lines))})


def _summary(audit: Audit) -> list[str]:
    words, speech = audit.words, sum(track.speech_s for track in audit.tracks)
    chunks, planned = (sum(getattr(track, name) for track in audit.tracks) for name in ("chunks", "planned"))
    found = [
        f"Audit: {audit.verdict}",
        f"{chunks} of {counted(planned, 'chunk')} and {words.heard - words.lost} of "
        f"{counted(words.heard, 'word')} are in the transcript",
    ]
    if audit.covered is not None:
        found.append(f"{audit.covered:.1%} of {clock(speech)} of speech has words")
    return found


def _places(audit: Audit) -> list[str]:
    """Return the passages that deserve a second look."""
    return [
        *_some(
            f"{clock(gap.start)} to {clock(gap.end)}: {gap.speech_s:.1f} s of speech without a word"
            for gap in audit.gaps
        ),
        *_some(f"{clock(part.start)} removed: “{part.text}” ({part.reason})" for part in audit.removed),
        *_some(
            f"{clock(part.start)} to {clock(part.end)} decoded again ({part.reason}): the {part.winner} "
            f"version was kept, {counted(part.words, 'word')}"
            for part in audit.redecoded
        ),
    ]


def _some(lines: Iterable[str]) -> Sequence[str]:
    every = list(lines)
    more = [f"… and {len(every) - MOST} more of these"] if len(every) > MOST else []
    return [*every[:MOST], *more]
