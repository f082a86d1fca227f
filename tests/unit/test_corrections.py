"""Corrections over a transcript: what a person changed is what stands there, and nothing of it gets lost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import transcript, word, words
from sessionscribe.artifacts import SpokenWord, Transcript
from sessionscribe.corrections.atoms import atoms
from sessionscribe.corrections.edited import Atom
from sessionscribe.corrections.making import make
from sessionscribe.corrections.overlay import Overlaid, overlay
from sessionscribe.corrections.table import Edit

VOCABULARY = ["the", "a", "no", "Strahd", "castle", "went", "up", "hill,", "and", "then.", "don't", "ü", "…"]
SPEAKERS = ["SPEAKER_00", "SPEAKER_01", "Anna"]
Said = list[tuple[str, str | None]]


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """A few segments of words that often repeat; some of no length, some at the same time."""
    segments, at = [], 0.0
    for _ in range(draw(st.integers(0, 6))):
        found = []
        for text in draw(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=8)):
            length = draw(st.sampled_from([0.0, 0.2, 0.3]))
            found.append(word(text, round(at, 3), round(at + length, 3)))
            at += length + draw(st.sampled_from([0.0, 0.05, 1.5]))
        segments.append((draw(st.sampled_from([*SPEAKERS, None])), found))
        at = max(0.0, at - draw(st.sampled_from([0.0, 0.0, 0.5])))  # people talk at once
    return transcript(*segments, duration_s=at + 5)


def said(of: Transcript) -> Said:
    return [
        (atom, found.speaker)
        for segment in of.segments
        for found in segment.words
        for atom in atoms(found.text)
    ]


def copy_of(lines: Said) -> list[Atom]:
    return [Atom(text, speaker, number) for number, (text, speaker) in enumerate(lines)]


@st.composite
def changed(draw: st.DrawFn, lines: Said) -> Said:
    """What a person might make of it: words replaced, left out, added; given to somebody else."""
    result: Said = []
    people = st.sampled_from([*dict.fromkeys(speaker for _, speaker in lines if speaker), "Carla"])
    for text, speaker in lines:
        what = draw(st.sampled_from(["", "", "", "", "", "word", "out", "add", "who"]))
        if what == "word":
            result.append((draw(st.sampled_from([*VOCABULARY, "Quite"])), speaker))
        elif what == "add":
            result += [
                (text, speaker),
                (
                    draw(st.sampled_from([*VOCABULARY, "new"])),
                    draw(st.sampled_from([speaker, speaker, draw(people)])),
                ),
            ]
        elif what == "who":
            result.append((text, draw(people)))
        elif not what:
            result.append((text, speaker))
    return result


def corrected(of: Transcript, edits: Sequence[Edit]) -> Overlaid:
    return overlay(of, {}, edits)


def same(found: Said, wanted: Said) -> None:
    assert [text for text, _ in found] == [text for text, _ in wanted]
    # Of whom the copy says nothing, anybody may have said it.
    assert [a for (_, a), (_, b) in zip(found, wanted, strict=True) if b] == [b for _, b in wanted if b]


def enough_in_common(old: Said, new: Said) -> bool:
    from rapidfuzz.distance import Levenshtein

    errors = Levenshtein.distance([text for text, _ in old], [text for text, _ in new])
    return errors < 0.4 * min(len(old), len(new)) or not old


@settings(max_examples=300, deadline=None, report_multiple_bugs=False)
@given(st.data())
def test_what_was_changed_is_what_stands_there(data: st.DataObject) -> None:
    made = data.draw(transcripts())
    wanted = data.draw(changed(said(made)))
    if not enough_in_common(said(made), wanted):
        return
    found = make(made, {}, [], copy_of(wanted))
    result = corrected(made, found.edits)
    same(said(result.transcript), wanted)
    assert {c.state for c in result.corrections} <= {"applied", "fulfilled"}
    again = make(made, {}, found.edits, copy_of(said(result.transcript)))
    assert (again.new, again.gone) == ([], [])
