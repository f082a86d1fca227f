"""Every format is read back by a program that did not write it."""

import html
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyannote.database.util import load_rttm

import builders
from builders import transcript, word, words
from sessionscribe.artifacts.speakers import Turn
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export, Format
from sessionscribe.core.text import columns
from sessionscribe.formats.subtitles import cues
from sessionscribe.stages.correct.apply import overlay
from sessionscribe.stages.export.export import write_export

FORMATS: tuple[Format, ...] = ("json", "srt", "vtt", "txt", "tsv", "rttm")
AS_SPOKEN = {"min_cue_s": 0, "max_chars_per_s": 0}  # cues stay no longer than their words
HOSTILE = [
    "<b>bold</b>",
    "a & b &amp; c",
    "--> 00:00:01.000 --> 00:00:02.000",
    "back\\Nslash \\h \\n {\\an8}{x}{\\p1}",
    '"quoted"\ttab',
    "line\n\n2\nbreak\r\u2028end",
    "NOTE WEBVTT STYLE",
    "nul\0 bell\a",
    "<v Bob>mine</v> <00:01.000>",
    "42",
]


def export(folder: Path, of: Transcript, format: Format, **options: object) -> str:
    path = folder / f"out.{format}"
    write_export(transcript=of, format=format, options=Export.model_validate(options), output=path)
    raw = path.read_bytes()
    assert b"\r" not in raw
    return raw.decode("utf-8")


@dataclass(frozen=True)
class ReadCue:
    start: float
    end: float
    speaker: str | None
    lines: list[str]


def strict_vtt(text: str) -> list[ReadCue]:
    """Read WebVTT by the letter of its specification (the part that we use); anything else is an error."""
    time = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"
    assert re.match(r"WEBVTT\n(\n|$)", text)
    assert "\0" not in text
    found = []
    for block in re.split(r"\n{2,}", text.removeprefix("WEBVTT").strip("\n")):
        if not block:
            continue
        number, timing, *payload = block.split("\n")
        assert number.isdigit()
        match = re.fullmatch(f"{time} --> {time}", timing)
        assert match
        assert payload
        assert "-->" not in "\n".join(payload)
        voice = re.match(r"<v ([^>\n]+)>", payload[0])
        lines = [payload[0][voice.end() :] if voice else payload[0], *payload[1:]]
        assert not any(re.search(r"[<>]|&(?!(amp|lt|gt|#92);)", line) for line in lines)
        h, m, s, ms, h2, m2, s2, ms2 = map(int, match.groups())
        start, end = h * 3600 + m * 60 + s + ms / 1000, h2 * 3600 + m2 * 60 + s2 + ms2 / 1000
        assert start < end
        speaker = html.unescape(voice[1]) if voice else None
        found.append(ReadCue(start, end, speaker, [html.unescape(line) for line in lines]))
    return found


def ffmpeg_cues(path: Path) -> list[tuple[int, int, str]]:
    """Read a subtitle file with FFmpeg: start and end in milliseconds, and what it takes for the text."""
    with av.open(str(path)) as file:
        return [
            (packet.pts, packet.pts + packet.duration, bytes(packet).decode())
            for packet in file.demux()
            if packet.pts is not None and packet.duration is not None
        ]


def test_json_is_the_artifact(tmp_path: Path) -> None:
    made = transcript(("A", words("hello there")), (None, words("who", 5)))
    export(tmp_path, made, "json")
    assert Transcript.read(tmp_path / "out.json") == made


def test_names_stand_everywhere_in_place_of_labels(tmp_path: Path) -> None:
    made = transcript(("S1", words("hello")), ("S2", words("hi", 3)), ("S3", words("bye", 6)))
    names = {"S1": "Anna Ek", "S3": "Anna Ek", "S9": "nobody"}
    made = overlay(made, names, []).transcript
    export(tmp_path, made, "json")
    read = Transcript.read(tmp_path / "out.json")
    assert read.speakers == ["Anna Ek", "S2"]
    assert [s.speaker for s in read.segments] == ["Anna Ek", "S2", "Anna Ek"]
    assert {w.speaker for s in read.segments for w in s.words} == {"Anna Ek", "S2"}
    assert {t.speaker for t in read.turns} == {"Anna Ek", "S2"}
    for name in FORMATS:
        text = export(tmp_path, made, name)
        assert "S1" not in text
        assert ("Anna_Ek" if name == "rttm" else "Anna Ek") in text


def test_srt_is_read_by_ffmpeg(tmp_path: Path) -> None:
    made = transcript(("Anna", words("hello there", 1)), (None, words("who is it", 3661)))
    export(tmp_path, made, "srt", **AS_SPOKEN)
    assert ffmpeg_cues(tmp_path / "out.srt") == [
        (1000, 1700, "Anna: hello there"),
        (3_661_000, 3_662_100, "who is it"),
    ]


def test_vtt_is_read_by_ffmpeg_and_a_strict_parser(tmp_path: Path) -> None:
    made = transcript(("Anna & <Bo>", words("hello there", 1)), (None, words("who is it", 3661)))
    text = export(tmp_path, made, "vtt", **AS_SPOKEN)
    assert strict_vtt(text) == [
        ReadCue(1.0, 1.7, "Anna & <Bo>", ["hello there"]),
        ReadCue(3661.0, 3662.1, None, ["who is it"]),
    ]
    assert [c[:2] for c in ffmpeg_cues(tmp_path / "out.vtt")] == [(1000, 1700), (3_661_000, 3_662_100)]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_stays_text(tmp_path: Path, hostile: str) -> None:
    made = transcript((hostile, [word(hostile, 1, 2)]), ("B", [word("after", 3, 4)]), session="a b")
    plain = " ".join("".join(c for c in hostile if c.isprintable() or c.isspace()).split())
    options = {"max_line_chars": 200, "max_cue_s": 60, **AS_SPOKEN}

    first, second = strict_vtt(export(tmp_path, made, "vtt", **options))
    assert (first.lines, first.speaker) == ([plain], plain)
    assert (second.lines, second.speaker) == (["after"], "B")
    assert len(ffmpeg_cues(tmp_path / "out.vtt")) == 2

    export(tmp_path, made, "srt", **options)
    (start, end, shown), (*_, after) = ffmpeg_cues(tmp_path / "out.srt")
    back = shown.replace("‹", "<").replace("→", "-->").replace("∖", "\\").replace("\n", " ")
    assert (start, end, back, after) == (1000, 2000, f"{plain}: {plain}", "B: after")

    export(tmp_path, made, "tsv")
    table = pd.read_csv(tmp_path / "out.tsv", sep="\t", dtype=str, keep_default_na=False)
    cell = f"'{plain}" if plain.startswith("-") else plain  # no spreadsheet computes it
    assert table.to_numpy().tolist() == [["1000", "2000", cell, cell], ["3000", "4000", "B", "after"]]

    export(tmp_path, made, "rttm")
    label = plain.replace(" ", "_").replace('"', "'")
    assert load_rttm(tmp_path / "out.rttm")["a_b"].labels() == sorted([label, "B"])

    lines = export(tmp_path, made, "txt").splitlines()
    assert lines == [f"[00:00:01] {plain}: {plain}", "[00:00:03] B: after"]


def test_rttm_has_the_turns_with_their_overlaps(tmp_path: Path) -> None:
    made = transcript(("A", words("hello")), session="sess")
    turns = [Turn(start=0, end=2.5, speaker="A"), Turn(start=2.2504, end=3.0004, speaker="B C")]
    turns.append(Turn(start=4, end=4, speaker="A"))
    text = export(tmp_path, made.model_copy(update={"turns": turns}), "rttm")
    assert text.startswith("SPEAKER sess 1 0.000 2.500 <NA> <NA> A <NA> <NA>\n")
    read = load_rttm(tmp_path / "out.rttm")["sess"].itertracks(yield_label=True)
    found = [(round(s.start, 3), round(s.end, 3), name) for s, _, name in read]
    assert found == [(0, 2.5, "A"), (2.25, 3.0, "B_C")]


def test_txt_has_a_paragraph_for_each_turn(tmp_path: Path) -> None:
    made = transcript(
        ("A", words("one two", 0)),
        ("A", words("three", 1.5)),
        ("B", words("four", 3)),
        (None, words("five", 3700)),
        (None, words("six", 3704)),
    )
    assert export(tmp_path, made, "txt").splitlines() == [
        "[00:00:00] A: one two three",
        "[00:00:03] B: four",
        "[01:01:40] five",
        "[01:01:44] six",
    ]


def test_an_empty_transcript_gives_valid_empty_files(tmp_path: Path) -> None:
    empty = transcript(duration_s=2400.0, flags=["no speech was found"])
    texts = {name: export(tmp_path, empty, name) for name in FORMATS}
    assert texts["srt"] == texts["txt"] == texts["rttm"] == ""
    assert strict_vtt(texts["vtt"]) == []
    assert texts["tsv"] == "start\tend\tspeaker\ttext\n"
    assert Transcript.read(tmp_path / "out.json") == empty


def test_cues_end_with_sentences_and_clauses_where_they_can(tmp_path: Path) -> None:
    text = "We went down to the old river house. Nobody was there, so we sat on the steps and waited for rain"
    made = transcript(("A", words(text)))
    shown = strict_vtt(export(tmp_path, made, "vtt", max_line_chars=32))
    assert [c.lines for c in shown] == [
        ["We went down to the", "old river house."],
        ["Nobody was there, so we sat on", "the steps and waited for rain"],
    ]


def test_no_cue_of_a_word_or_two_is_left_over(tmp_path: Path) -> None:
    made = transcript(("A", words("we sat on the steps and waited for the rain to fall on the old house")))
    shown = strict_vtt(export(tmp_path, made, "vtt", max_line_chars=32))
    assert [len(" ".join(c.lines)) > 20 for c in shown] == [True, True]


def test_a_cue_ends_before_a_pause(tmp_path: Path) -> None:
    made = transcript(("A", words("and then we", 0) + words("went off to the", 2) + words("x y z", 5)))
    assert [c.lines[0] for c in strict_vtt(export(tmp_path, made, "vtt", max_cue_s=4.0))] == [
        "and then we went off to the",
        "x y z",
    ]


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("zh", ["今天", "天气", "很", "好,", "我们", "去", "Python", "user", "group", "吧。"]),
        ("ja", ["これ", "は", "長い", "文章", "です。"] * 3),
        ("th", ["สวัสดี", "ครับ", "ผม", "ชื่อ", "สมชาย"]),
        ("ar", ["مرحبا", "بكم", "في", "الاجتماع", "الأسبوعي"]),
        ("he", ["שלום", "לכולם,", "ברוכים", "הבאים"]),
        ("ko", ["안녕하세요", "여러분"]),
    ],
)
def test_scripts_are_written_as_they_are_written(tmp_path: Path, language: str, texts: list[str]) -> None:
    found = [word(text, i * 0.5, i * 0.5 + 0.4) for i, text in enumerate(texts)]
    made = transcript(("A", found), language=language)
    shown = strict_vtt(export(tmp_path, made, "vtt", max_line_chars=12))
    assert all(columns(line) <= 12 for cue in shown for line in cue.lines)
    together = "".join(line for cue in shown for line in cue.lines).replace(" ", "")
    assert together == "".join(texts)
    text = export(tmp_path, made, "txt").strip()
    assert text.startswith("\u200f") == (language in {"ar", "he"})
    if language in {"ar", "he", "ko"}:
        assert text.endswith(" ".join(texts))
    elif language == "zh":
        assert text.endswith("今天天气很好,我们去Python user group吧。")
    else:
        assert text.endswith("".join(texts))


def test_letters_keep_their_marks_when_a_word_is_longer_than_a_line(tmp_path: Path) -> None:
    made = transcript(("A", [word("ที่นี่" * 10, 0, 6)]), language="th")
    shown = strict_vtt(export(tmp_path, made, "vtt", max_line_chars=10))
    assert not any(re.match("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]", line) for c in shown for line in c.lines)
    assert "".join(line for c in shown for line in c.lines) == "ที่นี่" * 10


def test_a_long_name_has_a_line_of_its_own_in_srt(tmp_path: Path) -> None:
    made = transcript(("Bartholomew of the Hill", words("good evening everybody here")))
    text = export(tmp_path, made, "srt", max_line_chars=30)
    assert text.split("\n")[2:4] == ["Bartholomew of the Hill:", "good evening everybody here"]


def test_people_who_talk_at_once_get_cues_that_do_not_overlap(tmp_path: Path) -> None:
    made = transcript(("A", [word("long", 0, 5)]), ("B", [word("yes", 1, 1.5)]), ("C", [word("no", 1, 1.2)]))
    shown = strict_vtt(export(tmp_path, made, "vtt", **AS_SPOKEN))
    assert [(c.start, c.end, c.speaker) for c in shown] == [(0, 1, "A"), (1, 1.001, "C"), (1.001, 1.5, "B")]


def test_each_of_those_who_talk_at_once_is_seen_as_long_as_was_spoken_or_the_shortest_time(
    tmp_path: Path,
) -> None:
    made = transcript(("A", [word("long", 0, 5)]), ("B", [word("yes", 1, 1.5)]), ("C", [word("no", 1, 1.2)]))
    shown = strict_vtt(export(tmp_path, made, "vtt", min_cue_s=0.8))
    assert [(c.start, c.end, c.speaker) for c in shown] == [(0, 1, "A"), (1, 1.2, "C"), (1.2, 2, "B")]
    made = transcript(("A", [word("long", 0, 5)]), ("B", [word("yes", 0.1, 4)]), ("C", [word("no", 6, 9)]))
    shown = strict_vtt(export(tmp_path, made, "vtt", min_cue_s=0.8))
    assert [(c.start, c.end, c.speaker) for c in shown] == [(0, 0.8, "A"), (0.8, 4, "B"), (6, 9, "C")]


def test_a_cue_stays_on_into_a_pause_until_it_could_be_read(tmp_path: Path) -> None:
    made = transcript(
        ("A", [word("1234567890", 0, 0.1), word("1234567890", 0.1, 0.2)]),
        ("B", [word("soon", 1, 1.1)]),
        ("A", [word("ok", 5, 5.1)]),
        duration_s=5.5,
    )

    def ends(**options: float) -> list[float]:
        return [c.end for c in strict_vtt(export(tmp_path, made, "vtt", **options))]

    assert ends(min_cue_s=0, max_chars_per_s=0) == [0.2, 1.1, 5.1]
    assert ends(min_cue_s=0.8, max_chars_per_s=0) == [0.8, 1.8, 5.5]  # the session ends
    assert ends(min_cue_s=0.8, max_chars_per_s=10) == [1.0, 1.8, 5.5]  # the next one begins
    assert ends(min_cue_s=0, max_chars_per_s=30) == [0.7, 1.133, 5.1]
    assert ends(min_cue_s=9, max_cue_s=2, max_chars_per_s=0) == [1.0, 3.0, 5.5]


@pytest.mark.parametrize(
    ("split_at", "after_clause", "after_sentence"),
    [
        ("clauses", "It was late already,", "It was late, we had come home."),
        ("sentences", "It was late already, so we went to", "It was late, we had come home."),
        ("length", "It was late already, so we went to", "It was late, we had come home. Then"),
    ],
)
def test_where_cues_end_early_is_a_setting(
    tmp_path: Path, split_at: str, after_clause: str, after_sentence: str
) -> None:
    options = {"max_line_chars": 36, "max_lines": 1, "split_at": split_at}
    for first, rest in (
        (after_clause, "bed and slept"),
        (after_sentence, "we talked on and on until morning"),
    ):
        start = (
            "It was late already, so we went to"
            if "already" in first
            else "It was late, we had come home. Then"
        )
        made = transcript(("A", words(f"{start} {rest}")))
        assert strict_vtt(export(tmp_path, made, "vtt", **options))[0].lines == [first]


def test_full_width_letters_count_two(tmp_path: Path) -> None:
    made = transcript(("A", [word("これ", i, i + 0.9) for i in range(6)]), language="ja")
    shown = strict_vtt(export(tmp_path, made, "vtt", max_line_chars=10, max_lines=1))
    assert [c.lines for c in shown] == [["これこれ"], ["これこれ"], ["これこれ"]]


def test_words_have_their_times_in_karaoke(tmp_path: Path) -> None:
    made = transcript(("Anna", words("so it is", 1)), ("B", [word("x", 3, 3.1), word("y", 3, 3.2)]))
    lines = export(tmp_path, made, "vtt", karaoke=True, **AS_SPOKEN).split("\n")
    assert lines[4] == "<v Anna>so <00:00:01.400>it <00:00:01.800>is"
    assert lines[8] == "<v B>x y"  # no time that is not after the one before it


def test_cue_settings_stand_after_the_times(tmp_path: Path) -> None:
    made = transcript(("Anna", words("a --> b", 1)))
    lines = export(tmp_path, made, "vtt", vtt_settings="line:85% align:start", **AS_SPOKEN).split("\n")
    assert lines[3:5] == ["00:00:01.000 --> 00:00:02.100 line:85% align:start", "<v Anna>a --&gt; b"]


@pytest.mark.parametrize(
    "wrong", ["line", "line:85%  align:start", "align:up", "size:101%", "region:a", "x\ny"]
)
def test_other_cue_settings_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="vtt_settings"):
        Export(vtt_settings=wrong)


def test_lines_from_right_to_left_are_marked(tmp_path: Path) -> None:
    made = transcript(
        ("Anna", words("Google שלום לכולם", 1)), ("נועה", words("hello Google", 5)), language="he"
    )
    srt = export(tmp_path, made, "srt").split("\n")
    assert srt[2] == "\u202bAnna: Google שלום לכולם\u202c"
    assert srt[6] == "נועה: hello Google"
    vtt = export(tmp_path, made, "vtt").split("\n")
    assert vtt[4] == "<v Anna>&rlm;Google שלום לכולם"
    assert vtt[8] == "<v נועה>hello Google"


texts = st.text(st.sampled_from("ab, .?-<>&é漢ที่ \u0301"), max_size=14)
spoken = st.lists(
    st.tuples(
        st.sampled_from(["A", "Bob the Builder", None]),
        st.lists(st.tuples(texts, st.integers(0, 1500), st.integers(0, 9000)), min_size=1, max_size=12),
    ),
    max_size=5,
)


@pytest.mark.usefixtures("fast_disk")
@given(
    raw=spoken,
    limits=st.tuples(st.integers(10, 42), st.integers(1, 3), st.sampled_from([0.5, 2.0, 7.0])),
    language=st.sampled_from(["en", "zh", "th"]),
    split_at=st.sampled_from(["clauses", "sentences", "length"]),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cues_keep_every_letter_and_every_limit(
    tmp_path_factory: pytest.TempPathFactory,
    raw: list,
    limits: tuple[int, int, float],
    language: str,
    split_at: str,
) -> None:
    line, most, longest = limits
    time, segments = 0, []
    for speaker, parts in raw:
        found = []
        for text, pause, length in parts:
            found.append(word(text, (time + pause) / 1000, (time + pause + length) / 1000))
            time += pause + length
        segments.append((speaker, found))
    made = transcript(*segments, language=language)
    options = Export(max_line_chars=line, max_lines=most, max_cue_s=longest, split_at=split_at)
    shown = cues(made, options, label_in_text=False)
    for cue in shown:
        assert 1 <= len(cue.lines) <= most
        assert all(text and columns(text) <= line for text in cue.lines)
        assert 0 < cue.end - cue.start <= longest * 1000
    assert all(a.end <= b.start for a, b in pairwise(shown))

    def letters(pieces: list[str]) -> str:
        return "".join("".join(pieces).split())

    for speaker in ("A", "Bob the Builder", None):
        wanted = letters([w.text for who, found in segments if who == speaker for w in found])
        assert letters([text for cue in shown if cue.speaker == speaker for text in cue.lines]) == wanted

    # In SubRip the label is in the text; a long one has a line of its own.
    for cue in cues(made, options, label_in_text=True):
        short = not cue.speaker or len(cue.speaker) < line // 2
        assert len(cue.lines) <= most + (not short)
        assert all(columns(text) <= line for text in cue.lines[not short :])
        assert not cue.speaker or cue.lines[0].startswith(f"{cue.speaker}:")
    strict_vtt(export(tmp_path_factory.getbasetemp(), made, "vtt", max_line_chars=line))


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_transcript_gives_the_same_bytes(tmp_path: Path, name: Format) -> None:
    made = transcript(("A", words("hello there")), ("B", words("hi", 3)))
    assert export(tmp_path / "1", made, name) == export(tmp_path / "2", made, name)
    assert builders.ENGINE in made.engines
