"""What an audit found, in plain words: the lines that the status table and the exports show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sessionscribe.artifacts.audit import Audit, LanguageAudit
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.text import counted
from sessionscribe.engines import prompts
from sessionscribe.stages.transcribe.fallback import ECHO, MISLED

AGREED = 0.6  # share of the votes from which the language is not in doubt
CONFIDENT_VOTE = 0.8  # probability from which a single vote tells of another language
MUCH_UNSURE = 0.05  # share of words in stretches of low probability that is worth a flag
SHOWN = 3  # places that a flag names


def flags_of(audit: Audit, transcript: Transcript, conversions: Sequence[Conversion]) -> list[str]:
    """Return a line for each kind of thing that deserves a second look."""
    several = len(conversions) > 1
    return [
        *transcript.flags,
        *(
            f"track {conversion.track}: {warning}" if several else warning
            for conversion in conversions
            for warning in conversion.warnings
        ),
        *_speech(audit),
        *_faint(audit),
        *_text(audit),
        *_language(audit.language),
        *_misled(audit),
        *([prompts.no_room(audit.unused_prompt)] if audit.unused_prompt else []),
        *(
            f"speaker {found.speaker} has {found.share:.1%} of the speech only: perhaps nobody"
            for found in audit.speakers
            if found.phantom
        ),
    ]


def _speech(audit: Audit) -> list[str]:
    if not audit.gaps:
        return []
    lacking = sum(gap.speech_s for gap in audit.gaps)
    longest = max(audit.gaps, key=lambda gap: gap.speech_s)
    number = counted(len(audit.gaps), "stretch", "stretches")
    return [
        f"{number} of speech without a word, {lacking:.1f} s in all "
        f"(the longest from {longest.start:.1f} to {longest.end:.1f} s)"
    ]


def _faint(audit: Audit) -> list[str]:
    if not audit.faint:
        return []
    longest = sorted(audit.faint, key=lambda part: part.start - part.end)[:SHOWN]
    places = ", ".join(f"{part.start:.1f} to {part.end:.1f}" for part in longest)
    number = counted(len(audit.faint), "stretch", "stretches")
    total = sum(part.end - part.start for part in audit.faint)
    return [f"{number} of faint speech that was not decoded, {total:.1f} s in all (the longest: {places} s)"]


def _text(audit: Audit) -> list[str]:
    found = []
    if audit.repeats:
        found.append(f"{counted(len(audit.repeats), 'phrase')} repeated many times")
    doubted = sum(part.words for part in audit.unsure)
    if doubted > MUCH_UNSURE * audit.words.kept:
        found.append(f"{doubted} of {audit.words.kept} words in stretches of low probability")
    return found


def _misled(audit: Audit) -> list[str]:
    number = sum(part.reason in (ECHO, MISLED) and part.winner == "second" for part in audit.redecoded)
    if not number:
        return []
    return [f"hotwords misled the model in {counted(number, 'window')}, decoded without them; fewer may help"]


def _language(language: LanguageAudit) -> list[str]:
    votes = [vote.language for vote in language.votes]
    others = Counter(
        vote.language
        for vote in language.votes
        if vote.language != language.language
        and (language.probability < AGREED or vote.probability >= CONFIDENT_VOTE)
    )
    if language.given or not others:
        return []
    number = {language.language: votes.count(language.language), **dict(others.most_common())}
    return [
        f"perhaps several languages: {', '.join(f'{code} ({count})' for code, count in number.items())} of "
        f"{len(votes)} votes; all was taken for {language.language}. For each in its own: "
        "`transcribe.language: mixed`, or `--language mixed` for `sessionscribe add`"
    ]
