"""Transcripts are read from every format alike; what is broken is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyannote.database.util import load_rttm, load_uem

import builders
from sessionscribe.config.settings import Export, Format
from sessionscribe.core.errors import UserError
from sessionscribe.evaluation import transcripts
from sessionscribe.formats import references
from sessionscribe.formats.registry import ending
from sessionscribe.formats.utterances import SpeakerTurn
from sessionscribe.stages.export.export import write_export

TRANSCRIPT = builders.transcript(
    ("Anna", builders.words("Hello there, Ben & co.", 1.0)),
    ("Ben", builders.words("Me <too>.", 3.0)),
    ("Anna", builders.words("Good.", 5.0)),
    ("Ben", builders.words("Yes, good.", 6.5)),
    session="talk",
    duration_s=10.0,
)
SAID = [
    ("Anna", "Hello there, Ben & co."),
    ("Ben", "Me <too>."),
    ("Anna", "Good."),
    ("Ben", "Yes, good."),
]
STM = """;; a comment
talk 1 Anna 1.0 3.9 <o,f0,female> Hello there, Ben & co.

talk 1 Ben 3.0 3.7 Me <too>.
talk 1 Anna 5.0 5.3 Good.
talk 1 Ben 6.5 7.2 Yes, good.
"""
SEGLST = [
    {"session_id": "talk", "speaker": who, "start_time": float(n), "end_time": n + 0.5, "words": text}
    for n, (who, text) in enumerate(SAID)
]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def lines(path: Path) -> list[tuple[str | None, str]]:
    (said,) = references.read([path]).values()
    assert said.session == "talk"
    return [(part.speaker, part.text) for part in said.utterances or ()]


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("json", "talk.json"),
        ("vtt", "talk.vtt"),
        ("txt", "talk.txt"),
        ("stm", "talk.stm"),
        ("seglst", "talk.seglst.json"),
        ("whisperx", "talk.json"),
    ],
)
def test_our_exports_are_read_back(tmp_path: Path, format: Format, name: str) -> None:
    path = tmp_path / name
    write_export(transcript=TRANSCRIPT, format=format, options=Export(), output=path)
    assert lines(path) == SAID


@pytest.mark.parametrize(("format", "name"), [("ctm", "talk.ctm"), ("whisper", "talk.json")])
def test_our_exports_without_speakers_are_read_back(tmp_path: Path, format: Format, name: str) -> None:
    path = tmp_path / name
    write_export(transcript=TRANSCRIPT, format=format, options=Export(), output=path)
    words = [word for segment in TRANSCRIPT.segments for word in segment.words]
    found = references.read([path])["talk"].words
    assert [word.text for word in found] == [word.text for word in words]
    assert [t for w in found for t in (w.start, w.end)] == pytest.approx(
        [t for w in words for t in (w.start, w.end)]
    )


def test_our_srt_is_read_back_with_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    write_export(transcript=TRANSCRIPT, format="srt", options=Export(), output=path)
    assert [speaker for speaker, _ in lines(path)] == [speaker for speaker, _ in SAID]
    assert lines(path)[0] == SAID[0]


def test_braces_are_text_in_srt_and_marks_of_style_are_none(tmp_path: Path) -> None:
    said = builders.transcript((None, builders.words("say {this} now", 1.0)), session="talk", duration_s=3)
    path = tmp_path / "talk.srt"
    write_export(transcript=said, format="srt", options=Export(), output=path)
    assert lines(path) == [(None, "say {this} now")]
    write(path, path.read_text().replace("say {this}", "{\\an8}say <i>{this}</i>"))
    assert lines(path) == [(None, "say {this} now")]


HEBREW = builders.transcript(
    ("דנה", builders.words("שלום לכולם", 1.0)),
    ("יוסי", builders.words("Google היא חברה", 4.0)),
    ("דנה", builders.words("נכון", 7.0)),
    ("יוסי", builders.words("תודה רבה", 9.0)),
    session="talk",
    duration_s=12.0,
)


@pytest.mark.parametrize("format", ["txt", "srt", "vtt", "stm", "seglst", "maxqda"])
def test_our_exports_from_right_to_left_are_read_back_without_their_marks(
    tmp_path: Path, format: Format
) -> None:
    path = tmp_path / f"talk.{ending(format)}"
    write_export(transcript=HEBREW, format=format, options=Export(), output=path)
    assert lines(path) == [(part.speaker, part.text) for part in HEBREW.segments]


def test_marks_of_direction_are_no_letters_wherever_they_are(tmp_path: Path) -> None:
    marks = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    told = {"start_time": 1, "end_time": 2, "speaker": f"A{marks}nna", "words": f"{marks}Hello the{marks}re"}
    write(tmp_path / "a.seglst", json.dumps([told]))
    write(tmp_path / "a.json", json.dumps([told], ensure_ascii=False))
    write(tmp_path / "a.txt", f"{marks}[00:00:01]{marks} A{marks}nna: Hello the{marks}re{marks}\n")
    write(tmp_path / "a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<v A&rlm;nna>&lrm;Hello the&#8207;re\n")
    for path in tmp_path.iterdir():
        (said,) = references.read([path]).values()
        assert [(part.speaker, part.text) for part in said.utterances or ()] == [("Anna", "Hello there")], (
            path
        )


def test_a_maxqda_export_has_times_and_signs_of_its_own(tmp_path: Path) -> None:
    long = "Prof. Dr. Wilhelmina van der Heuvel: Chair of #1"
    said = builders.transcript(
        (long, builders.words("in C# now: #1", 1.0)), (None, builders.words("who?", 4.0)), duration_s=6
    )
    path = tmp_path / "talk.maxqda.txt"
    write_export(transcript=said, format="maxqda", options=Export(), output=path)
    assert "#00:00:04-3#" in path.read_text()
    assert lines(path) == [(long, "in C# now: #1"), (None, "who?")]
    assert lines(write(path, path.read_text().replace(" #00:00:04-3#", ""))) == [
        (long, "in C# now: #1"),
        (None, "who?"),
    ]


def test_rttm_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    write_export(transcript=TRANSCRIPT, format="rttm", options=Export(), output=path)
    said = references.read([path])["talk"]
    assert said.utterances is None
    assert [(t.speaker, t.start, t.end) for t in said.turns or ()] == [
        (t.speaker, pytest.approx(t.start), pytest.approx(t.end)) for t in TRANSCRIPT.turns
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.stm", STM),
        ("x.json", json.dumps(SEGLST)),
        ("x.seglst", json.dumps(SEGLST)),
        ("talk.txt", "Anna: Hello there, Ben & co.\nBen: Me <too>.\n\nAnna: Good.\nBen: Yes, good.\n"),
        (
            "talk.vtt",
            "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Anna>Hello <c.loud>there</c>, <00:01.500>Ben &amp; co."
            "</v>\n<v.first Ben>Me &lt;too&gt;.\n\nNOTE x\n\n3\n00:00:03.000 --> 00:00:04.000 align:start\n"
            "<v Anna>Good.\n\n00:05.000 --> 00:06.000\n<v Ben>Yes,\ngood.\n",
        ),
    ],
)
def test_foreign_files(tmp_path: Path, name: str, text: str) -> None:
    assert lines(write(tmp_path / name, text)) == SAID


def test_whispers_own_json(tmp_path: Path) -> None:
    words = [
        {"word": " Hello", "start": 0.5, "end": 0.9, "probability": 0.9},
        {"word": " 12", "speaker": "B"},
    ]
    content = {
        "text": "x",
        "segments": [{"id": 0, "start": 0.5, "end": 1.5, "text": " Hello 12", "words": words}],
    }
    said = references.read([write(tmp_path / "talk.json", json.dumps(content | {"language": "en"}))])["talk"]
    assert [(w.text, w.start, w.speaker) for w in said.words] == [("Hello", 0.5, None), ("12", None, "B")]
    assert (said.language, said.turns) == ("en", None)


def test_ctm_words_are_one_utterance_up_to_a_pause(tmp_path: Path) -> None:
    text = ";; x\nb 1 2.5 0.5 more\na 1 0.0 0.5 one 0.99\na 1 0.6 0.4 two\na 2 0.1 0.2 other\n"
    text += "a 1 4.0 0.5 three\n"
    found = references.read([write(tmp_path / "x.ctm", text)])
    assert list(found) == ["a", "b"]
    assert [u.text for u in found["a"].utterances or ()] == ["one two", "other", "three"]
    assert [(w.text, w.start, w.end) for w in found["a"].words][:2] == [("one", 0.0, 0.5), ("two", 0.6, 1.0)]
    assert found["a"].turns is None


def test_a_label_counts_if_it_comes_again(tmp_path: Path) -> None:
    text = "Note: it rains.\nAnna: Yes.\nAnna: No.\n"
    assert lines(write(tmp_path / "talk.txt", text)) == [
        (None, "Note: it rains."),
        ("Anna", "Yes."),
        ("Anna", "No."),
    ]


def test_words_and_turns_of_one_session_may_come_from_two_files(tmp_path: Path) -> None:
    write(tmp_path / "words.stm", "talk 1 A 0 2 one two\n")
    write(tmp_path / "turns.rttm", "SPEAKER talk 1 0.500 1.000 <NA> <NA> X <NA> <NA>\n")
    write(tmp_path / "scored.uem", "talk 1 0.25 1.75\n")
    said = references.read([tmp_path])["talk"]
    assert [u.text for u in said.utterances or ()] == ["one two"]
    assert said.turns == (SpeakerTurn(0.5, 1.5, "X"),)
    assert said.scored == ((0.25, 1.75),)
    write(tmp_path / "again.stm", "talk 1 A 0 2 one two\n")
    with pytest.raises(UserError, match="talk: two files have its words"):
        references.read([tmp_path])


def test_an_stm_may_say_what_does_not_count(tmp_path: Path) -> None:
    text = "t 1 A 0 2 one\nt 1 inter_segment_gap 2 5 <o,,unknown> ignore_time_segment_in_scoring\n"
    said = references.read([write(tmp_path / "t.stm", text)])["t"]
    assert said.ignored == ((2.0, 5.0),)
    assert [u.text for u in said.utterances or ()] == ["one"]


def test_without_speakers_there_are_no_turns(tmp_path: Path) -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,000\nHello {\\an8}there\n\n"
    srt += "2\n00:00:03,500 --> 00:00:04,000\n<i>Yes</i>\n"
    said = references.read([write(tmp_path / "talk.srt", srt)])["talk"]
    assert [(u.start, u.end, u.text) for u in said.utterances or ()] == [
        (1.0, 2.0, "Hello there"),
        (3.5, 4.0, "Yes"),
    ]
    assert said.turns is None


def test_rttm_with_comments_odd_names_and_what_is_not_a_turn(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.rttm",
        ";; a comment of more words than a turn has: one two three four five\n"
        "SPKR-INFO talk 1 <NA> <NA> <NA> unknown NA <NA>\n"
        "SPEAKER talk 1 0.0 1.5 <NA> <NA> NA <NA> <NA>\n"
        'SPEAKER talk 1 1.0 2.0 <NA> <NA> "Ann <NA> <NA>\n',
    )
    assert references.read([path])["talk"].turns == (SpeakerTurn(0, 1.5, "NA"), SpeakerTurn(1, 3, '"Ann'))


def test_rttm_and_uem_as_pyannote_reads_them(tmp_path: Path) -> None:
    turns = write(
        tmp_path / "x.rttm",
        "SPEAKER b 1 4.250 1.125 <NA> <NA> Anna <NA> <NA>\nSPEAKER a 1 0 2 <NA> <NA> 1 <NA> <NA>\n"
        "SPEAKER b 1 0.5 9 <NA> <NA> Ben <NA> <NA>\nSPEAKER 007 1 0.5 9 <NA> <NA> Ben <NA> <NA>\n",
    )
    regions = write(tmp_path / "x.uem", "b 1 3 4.5\na 1 0.25 1.75\nb 1 0 2\n")
    found = references.read([turns, regions])
    theirs = load_rttm(turns)
    assert set(found) == set(theirs)
    for name, said in found.items():
        made = [(part.start, part.end, who) for part, _, who in theirs[name].itertracks(yield_label=True)]
        assert sorted((t.start, t.end, t.speaker) for t in said.turns or ()) == sorted(made)
    scored = {name: sorted(said.scored) for name, said in found.items() if said.scored}
    assert scored == {
        name: [(part.start, part.end) for part in made] for name, made in load_uem(regions).items()
    }


def test_a_path_that_is_not_there_is_said_whatever_its_ending(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        references.read([tmp_path / "meeting"])


def test_nothing_said_is_not_an_error(tmp_path: Path) -> None:
    for name, text in (
        ("a.srt", ""),
        ("b.txt", "\n"),
        ("c.vtt", "WEBVTT\n"),
        ("d.json", "[]"),
        ("e.rttm", ""),
        ("f.vtt", "WEBVTT - talk\n\nNOTE nobody speaks\n\n\nSTYLE\n::cue {}\n"),
    ):
        (said,) = references.read([write(tmp_path / name, text)]).values()
        assert not said.utterances
        assert not said.turns


BROKEN = [
    ("x.stm", "talk 1 A 0\n", "line 1 has 4 fields"),
    ("x.stm", "talk 1 A zero 1 one\n", "line 1: zero is not a time"),
    ("x.stm", "talk 1 A \x1b[31m 1 one\n", r"line 1: \\x1b\[31m is not a time"),
    ("x.stm", "talk 1 A nan 1 one\n", "line 1: nan is not a time"),
    ("x.stm", "talk 1 A 2 1 one\n", "line 1: the end is before the start"),
    ("x.stm", "talk 1 A 0 1 { one / two }\n", "alternatives"),
    ("x.ctm", "talk 1 0 one\n", "line 1 has 4 fields"),
    ("x.ctm", "talk 1 0 -1 one\n", "line 1: -1 is not a time"),
    ("x.ctm", "talk 1 * * <ALT_BEGIN>\n", "alternatives"),
    ("x.rttm", "hello\n", "SPEAKER"),
    ("x.rttm", "SPEAKER talk 1 a b <NA> <NA> X <NA> <NA>\n", "line 1: a is not a time"),
    ("x.rttm", "SPEAKER talk 1 nan 1 <NA> <NA> X <NA> <NA>\n", "line 1: nan is not a time"),
    ("x.rttm", "SPEAKER talk 1 2 -1 <NA> <NA> X <NA> <NA>\n", "line 1: -1 is not a time"),
    ("x.rttm", "SPEAKER talk 1\n", "line 1 has 3 fields"),
    ("x.rttm", "SPEAKER talk 1 0 inf <NA> <NA> X <NA> <NA>\n", "not a time"),
    ("x.rttm", "SPEAKER a 1 0 1 - - X - -\nSPEAKER a b c d e f g h i j k l m\n", "line 2: c is not a time"),
    ("x.uem", "talk 1 a b\n", "line 1: a is not a time"),
    ("x.uem", "talk 1 0\n", "line 1 has 3 fields"),
    ("x.uem", "talk 1 4 1\n", "line 1: the end is before the start"),
    ("x.uem", "talk 1 -1 4\n", "line 1: -1 is not a time"),
    ("x.srt", "this is no subtitle\n", "has no cues"),
    ("x.vtt", "this is no subtitle\n", "is not valid"),
    ("x.vtt", "WEBVTT\n\n00:00:01.000 -> 00:00:02.000\nHello\n", "has no cues"),
    ("x.vtt", "WEBVTT\n\n00:xx --> 5\nHello\n", "is not valid"),
    ("x.json", "{", "is not valid JSON"),
    ("x.json", "[" * 100_000, "is not valid JSON"),
    ("x.json", '"text"', "neither a transcript"),
    ("x.json", '{"words": 1}', "neither a transcript"),
    ("x.json", '{"segments": [{"start": -1}]}', "segments.0.start"),
    ("x.json", '{"segments": [{"start": NaN, "text": "x"}]}', "segments.0.start"),
    ("x.json", '[{"words": 1}]', "0.words"),
    ("x.json", '{"session": "x", "words": [{}], "turns": []}', "is neither a transcript nor SegLST"),
    ("x.docx", "", "files ending in .docx cannot be read"),
    ("x", "", "files ending in nothing cannot be read"),
]


@pytest.mark.parametrize(("name", "text", "message"), BROKEN, ids=[f"{n}-{m}" for n, _, m in BROKEN])
def test_broken_files_are_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        references.read([write(tmp_path / name, text)])
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert str(caught.value).isprintable()


def test_files_that_are_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        references.read([tmp_path / "gone.stm"])
    with pytest.raises(UserError, match="no file of a known format"):
        references.read([tmp_path])
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not UTF-8"):
        references.read([tmp_path / "x.txt"])


def test_stm_and_ctm_agree_with_meeteval(tmp_path: Path) -> None:
    meeteval = pytest.importorskip("meeteval")
    stm = write(tmp_path / "x.stm", "a 1 A 0.5 1.25 one two\nb 1 B 2 3.5 three\na 1 B 3 4 four\n")
    ctm = write(tmp_path / "x.ctm", "a 1 0.5 0.25 one\na 1 1.0 0.5 two\n")
    for path in (stm, ctm):
        wanted = sorted(
            (part["session_id"], part.get("speaker") if path != ctm else None, word)
            for part in meeteval.io.load(path).to_seglst()
            for word in part["words"].split()
        )
        found = references.read([path])
        assert wanted == sorted((s, w.speaker, w.text) for s, said in found.items() for w in said.words)
        times = sorted(
            (float(p["start_time"]), float(p["end_time"])) for p in meeteval.io.load(path).to_seglst()
        )
        units = [u for said in found.values() for u in (said.words if path == ctm else said.utterances or ())]
        assert times == sorted((u.start, u.end) for u in units)


# --- what a user may name ----------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        path = tmp_path / "results/export" / name / f"{name}.json"
        TRANSCRIPT.model_copy(update={"session": name}).write(path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "sessions"),
    [
        ("one", ["one"]),
        ("results/export/two", ["two"]),
        ("results/export", ["one", "two"]),
        ("results/export/one/one.json", ["one"]),
    ],
)
def test_a_session_a_folder_or_a_file(project: Path, name: str, sessions: list[str]) -> None:
    assert list(transcripts.read(name)) == sessions


def test_a_session_without_an_export_in_json(project: Path) -> None:
    TRANSCRIPT.model_copy(update={"session": "three"}).write(project / "results/diarize/three.json")
    assert list(transcripts.read("three")) == ["three"]


def test_a_session_is_what_its_last_step_made_of_it_not_an_export_that_is_asked_for_no_more(
    project: Path,
) -> None:
    for folder, text in (("diarize", "heard again"), ("correct", "and corrected")):
        made = builders.transcript(("Anna", builders.words(text)), session="one")
        made.write(project / f"results/{folder}/one.json")
        assert [part.text for part in transcripts.read("one")["one"].utterances or ()] == [text]


@pytest.mark.parametrize("name", ["four", "results/export/four/four.json"])
def test_what_is_not_there(project: Path, name: str) -> None:
    with pytest.raises(UserError):
        transcripts.read(name)


def chunks(folder: Path, *, version: int = 2) -> Path:
    plan = builders.plan(20.0, [(10.0, "silence")])
    heard = [builders.words("one two", 1.0), builders.words("three four", 12.0)]
    for index, words in enumerate(heard):
        path = folder / f"main.{index:04d}.json"
        builders.chunk(plan, index, words).write(path)
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"schema_version": version, "of another version": 1}))
    (folder / "language.json").write_text('{"session": "s"}')
    return folder


@pytest.mark.parametrize("version", [1, 2])
def test_a_folder_of_chunks_is_merged(tmp_path: Path, version: int, fast_disk: None) -> None:
    said = transcripts.read(str(chunks(tmp_path / "results/transcribe/s/0123", version=version)))["s"]
    assert [(w.text, w.start) for w in said.words] == [
        ("one", 1.0),
        ("two", 1.4),
        ("three", 12.0),
        ("four", 12.4),
    ]


def test_a_folder_that_lacks_a_chunk(tmp_path: Path, fast_disk: None) -> None:
    folder = chunks(tmp_path / "results/transcribe/s/0123")
    (folder / "main.0000.json").unlink()
    with pytest.raises(UserError, match="chunk 0 of track main is missing"):
        transcripts.read(str(folder))
    (folder / "main.0000.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"main.0000.json: cannot be read \(maximum recursion depth"):
        transcripts.read(str(folder))
