"""Words: what an engine's pieces are, and that nothing of its text is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import group_pieces, join_words, single_spaced, spaces_before
from sessionscribe.formats.subtitles import cues

# As Whisper's tokenizer parts them, and the words that a reader sees.
WRITTEN = {
    "money": ([" It", " costs", " $1", ",500", "."], ["It", "costs", "$1,500."]),
    "euros": ([" 50", " €", " oder", " €", " 60"], ["50 €", "oder", "€ 60"]),
    "percent": ([" 50", "%", " or", " 3", ".5", " %"], ["50%", "or", "3.5 %"]),
    "hyphens": ([" A", " well", "-known", " 21", "-year", "-old"], ["A", "well-known", "21-year-old"]),
    "time": ([" At", " 9", ":30", " a", ".m", ".,"], ["At", "9:30", "a.m.,"]),
    "address": ([" 12", "/3", " Elm", " St", ".,", " a", "@b", ".org"], ["12/3", "Elm", "St.,", "a@b.org"]),
    "apostrophes": ([" Don", "'t", " rock", " '", "n", "'", " roll"], ["Don't", "rock", "'n'", "roll"]),
    "quotes": ([" She", " said", ",", " “", "Yes", ".”"], ["She", "said,", "“Yes.”"]),
    "ampersand": ([" AT", "&", "T", " or", " A", " &", " B"], ["AT&T", "or", "A", "&", "B"]),
    "dash": ([" So", " –", " no", "—never"], ["So –", "no—never"]),
    "dialogue": ([" -", " Hello", " there"], ["- Hello", "there"]),
    "French": ([" «", " Ça", " va", " ?", " »", " dit", "-il", " !"], ["« Ça", "va ? »", "dit-il !"]),
    "German": ([" »", "Donau", "dampf", "schiff", "«,", " sagte"], ["»Donaudampfschiff«,", "sagte"]),
    "Spanish": ([" ¿", "Qué", " tal", "?"], ["¿Qué", "tal?"]),
    "Chinese": (
        [*"今天", "3", ".", "5", *"元。「好」", "A", "股"],
        ["今", "天", "3.5", "元。", "「好」", "A", "股"],
    ),
    "Japanese": ([*"東京", " Tower", " に、"], ["東", "京", "Tower", "に、"]),
    "Thai": ([*"สวัสดี", " ครับ"], ["ส", "วั", "ส", "ดี", "ครับ"]),
    "Arabic": ([" مرحبا", "،", " كيف", " حالك", "؟"], ["مرحبا،", "كيف", "حالك؟"]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_word_is_what_a_reader_takes_for_one(name: str) -> None:
    pieces, words = WRITTEN[name]
    assert [word.text for word in group_pieces(pieces)] == words


@pytest.mark.parametrize("name", WRITTEN)
def test_joined_words_are_the_text_of_the_engine(name: str) -> None:
    pieces, _ = WRITTEN[name]
    assert join_words(group_pieces(pieces)) == single_spaced("".join(pieces))


PIECES = st.lists(st.text(st.sampled_from(" ab1.,-$%?«»\u00a0今。สั\u200d\n'"), max_size=4), max_size=12)


@given(pieces=PIECES)
def test_of_any_pieces_joined_words_are_the_text(pieces: list[str]) -> None:
    words = group_pieces(pieces)
    text = single_spaced("".join(pieces))
    assert join_words(words) == text
    assert spaces_before(text, [word.text for word in words]) == [word.space for word in words]
    taken = [number for word in words for number in range(word.first, word.stop)]
    assert taken == sorted(set(taken))


def old_chunk(*pieces: str) -> dict[str, Any]:
    """A chunk transcript as it was written before words knew their spaces."""
    words = [
        {"text": piece.strip(), "start": float(n), "end": n + 0.5, "probability": 0.9 - n / 100}
        for n, piece in enumerate(pieces)
    ]
    scores = {
        "average_log_probability": -0.2,
        "no_speech_probability": 0.0,
        "compression_ratio": 1.0,
        "temperature": 0.0,
    }
    segment = {"start": 0.0, "end": len(pieces), "text": "".join(pieces).strip(), "words": words, **scores}
    made = builders.chunk(builders.plan(60), 0).model_dump(mode="json")
    again = {"start": 0, "end": 1, "reason": "", "winner": "batched", "words": 0, "first": 0, "second": 0}
    removed = [{**segment, "reason": "why"}]
    return {
        **made,
        "schema_version": 4,
        "segments": [segment],
        "removed": removed,
        "redecoded": [{**again, "loser": [segment]}],
    }


@pytest.mark.parametrize("name", ["money", "hyphens", "French", "Chinese", "Thai"])
def test_old_chunks_are_read_with_the_spaces_that_their_text_has(name: str) -> None:
    pieces, words = WRITTEN[name]
    found = ChunkTranscript.model_validate(old_chunk(*pieces))
    assert found.schema_version == ChunkTranscript.version()
    for segment in (found.segments[0], found.removed[0], found.redecoded[0].loser[0]):
        assert [word.text for word in segment.words] == words
        assert join_words(segment.words) == segment.text == "".join(pieces).strip()
        assert segment.words[-1].end == len(pieces) - 0.5


def test_subtitles_do_not_break_inside_a_word() -> None:
    made = builders.transcript(
        ("A", [builders.word(text, n, n + 1) for n, text in enumerate(["va ?", "$1,500"])])
    )
    shown = cues(made, Export(max_line_chars=10, max_lines=1), label_in_text=False)
    assert [cue.lines for cue in shown] == [("va ?",), ("$1,500",)]
