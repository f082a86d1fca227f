"""Word and character errors (jiwer), and errors in times and speakers of matching words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sessionscribe.evaluation.intervals import Array, Counts
from sessionscribe.evaluation.normalise import Normaliser
from sessionscribe.formats.utterances import PlainTranscript, PlainWord, Region


@dataclass(frozen=True)
class Times:
    """Errors in the times of matching words, in seconds, with the block of each word."""

    starts: Array
    ends: Array
    blocks: NDArray[np.int64]


@dataclass(frozen=True)
class _Token:
    """A normalised word, with its original word, that word's number, and its block."""

    text: str
    word: PlainWord
    number: int
    block: int


def word_errors(reference: PlainTranscript, hypothesis: PlainTranscript, normaliser: Normaliser) -> Counts:
    """Count word errors; in languages without spaces, every character is a word."""
    import jiwer  # noqa: PLC0415

    truth, blocks = _texts(reference, normaliser)
    found, _ = _texts(hypothesis, normaliser)
    aligned = jiwer.process_words(" ".join(truth), " ".join(found))
    return _counted(aligned.alignments[0], blocks, len(reference.utterances or ()))


def character_errors(
    reference: PlainTranscript, hypothesis: PlainTranscript, normaliser: Normaliser
) -> Counts:
    """Count character errors, including spaces between words as in jiwer (if the language has them)."""
    import jiwer  # noqa: PLC0415

    between = "" if normaliser.unspaced else " "
    truth, blocks = _texts(reference, normaliser)
    found, _ = _texts(hypothesis, normaliser)
    of_characters = [
        block for word, block in zip(truth, blocks, strict=True) for block in [block] * len(word + between)
    ]
    aligned = jiwer.process_characters(between.join(truth), between.join(found))
    if truth and between:
        of_characters.pop()  # no space after the last word
    return _counted(aligned.alignments[0], of_characters, len(reference.utterances or ()))


def match(
    reference: PlainTranscript,
    hypothesis: PlainTranscript,
    normaliser: Normaliser,
    names: Mapping[str, str] | None,
) -> tuple[Times, Counts]:
    """Compare times and speakers of the words that both sides have.

    Args:
        reference: the reference; times are only compared if its words have their own.
        hypothesis: the transcript.
        normaliser: determines when two words are the same.
        names: the mapping of the hypothesis's speakers to the reference's; without it, speakers are not
            compared.
    """
    import jiwer  # noqa: PLC0415

    truth, found = _tokens(reference, normaliser), _tokens(hypothesis, normaliser)
    aligned = jiwer.process_words(" ".join(t.text for t in truth), " ".join(t.text for t in found))
    starts, ends, time_blocks = [], [], []
    wrong, speaker_blocks = [], []
    seen: set[tuple[int, int]] = set()
    for chunk in aligned.alignments[0]:
        if chunk.type != "equal":
            continue
        for step in range(chunk.ref_end_idx - chunk.ref_start_idx):
            right, guess = truth[chunk.ref_start_idx + step], found[chunk.hyp_start_idx + step]
            if (right.number, guess.number) in seen:  # the normaliser makes two words of "don't"
                continue
            seen.add((right.number, guess.number))
            if None not in (right.word.start, right.word.end, guess.word.start, guess.word.end):
                starts.append(abs(guess.word.start - right.word.start))  # type: ignore[operator]
                ends.append(abs(guess.word.end - right.word.end))  # type: ignore[operator]
                time_blocks.append(right.block)
            if names is not None and right.word.speaker is not None:
                wrong.append(float(names.get(guess.word.speaker or "") != right.word.speaker))
                speaker_blocks.append(right.block)
    _, blocks = np.unique(speaker_blocks, return_inverse=True)
    errors = np.bincount(blocks, wrong).astype(np.float64)
    return (
        Times(np.array(starts, np.float64), np.array(ends, np.float64), np.array(time_blocks, np.int64)),
        Counts(errors, np.bincount(blocks).astype(np.float64)),
    )


def without_ignored(said: PlainTranscript, ignored: Sequence[Region]) -> PlainTranscript:
    """Return a transcript without the words whose middle is in an ignored region."""
    if not ignored or said.utterances is None:
        return said

    def counts(start: float | None, end: float | None) -> bool:
        middle = round(((start or 0.0) + (end or 0.0)) / 2, 6)
        return not any(a <= middle < b for a, b in ignored)

    kept = []
    for part in said.utterances:
        if part.words:
            words = tuple(word for word in part.words if counts(word.start, word.end))
            if len(words) == len(part.words):
                kept.append(part)
            elif words:
                kept.append(replace(part, words=words, text=" ".join(word.text for word in words)))
        elif counts(part.start, part.end):
            kept.append(part)
    return replace(said, utterances=tuple(kept))


def _texts(said: PlainTranscript, normaliser: Normaliser) -> tuple[list[str], list[int]]:
    """Return the normalised words, and the utterance of each."""
    words, blocks = [], []
    for block, part in enumerate(said.utterances or ()):
        found = normaliser.words(part.text)
        words += found
        blocks += [block] * len(found)
    return words, blocks


def _tokens(said: PlainTranscript, normaliser: Normaliser) -> list[_Token]:
    tokens = []
    number = 0
    for block, part in enumerate(said.utterances or ()):
        for word in part.each_word():
            tokens += [_Token(text, word, number, block) for text in normaliser.words(word.text)]
            number += 1
    return tokens


def _counted(chunks: Sequence[Any], blocks: Sequence[int], count: int) -> Counts:
    """Sum up jiwer's alignment by blocks; insertions belong to the block of the word before them."""
    size = max(1, count)
    errors, sums = np.zeros(size), {"substitutions": 0.0, "deletions": 0.0, "insertions": 0.0}
    for chunk in chunks:
        start, end = chunk.ref_start_idx, chunk.ref_end_idx
        if chunk.type == "insert":
            inserted = chunk.hyp_end_idx - chunk.hyp_start_idx
            errors[blocks[max(0, start - 1)] if blocks else 0] += inserted
            sums["insertions"] += inserted
        elif chunk.type != "equal":
            np.add.at(errors, np.array(blocks[start:end], np.int64), 1.0)
            sums["deletions" if chunk.type == "delete" else "substitutions"] += end - start
    totals = np.bincount(np.array(blocks, np.int64), minlength=size).astype(np.float64)
    return Counts(errors, totals, sums)
