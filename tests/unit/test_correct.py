"""The stage and its file: lines written by hand, what is wrong with them, what becomes of each."""

from __future__ import annotations

import re
import time
from itertools import permutations
from pathlib import Path

import pytest

from builders import transcript, word, words
from sessionscribe.artifacts.speakers import NamedSpeaker, Names, Turn
from sessionscribe.artifacts.transcript import Corrections, Made, Transcript
from sessionscribe.cli import main
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.stages.correct import table
from sessionscribe.stages.correct.apply import Overlaid, overlay
from sessionscribe.stages.correct.correct import correct_transcript
from sessionscribe.stages.correct.table import Edit

STRAHL = "we saw Strahl at the gate and Strahl saw us"


def talk() -> Transcript:
    return transcript(
        ("SPEAKER_00", words(STRAHL, 60)),
        ("SPEAKER_01", words("yes he did", 70)),
        ("SPEAKER_00", words("good", 71.5)),
        duration_s=100,
    )


def text(of: Transcript) -> str:
    return " / ".join(f"{segment.speaker}: {segment.text}" for segment in of.segments)


def lay(edits: list[Edit], of: Transcript | None = None, **names: str) -> Overlaid:
    return overlay(of or talk(), names, edits)


def states(laid: Overlaid) -> list[tuple[str, str | None]]:
    return [(found.state, found.reason) for found in laid.corrections]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config/corrections/s.tsv"


def written(file: Path, *rows: str, header: str = "edit\tstart\tend\tspeaker\twas\tnow") -> list[Edit]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return table.read(file)


# Lines by hand.


def test_a_time_and_two_words_are_enough(file: Path) -> None:
    laid = lay(written(file, "words\t1:01\t\t\tStrahl\tStrahd", "words\t01:03,2\t\t\tStrahl\tStrahd,"))
    assert text(laid.transcript).startswith("SPEAKER_00: we saw Strahd at the gate and Strahd, saw us /")
    assert states(laid) == [("applied", None)] * 2
    laid = lay(written(file, "words\t1:01\t\t\tat the gate\t"))  # nothing around it, and not quite its time
    assert text(laid.transcript).startswith("SPEAKER_00: we saw Strahl and Strahl saw us /")
    assert states(laid) == [("applied", None)]


def test_without_a_time_words_are_replaced_everywhere_but_where_a_line_says_else(file: Path) -> None:
    edits = written(file, "words\t\t\t\tStrahl\tStrahd", "words\t62.8\t\t\tStrahl\tthe Strahl")
    laid = lay(edits)
    assert "saw Strahd at the gate and the Strahl saw us" in text(laid.transcript)
    assert [found.places for found in laid.corrections] == [1, 1]
    assert lay(edits[:1]).corrections[0].places == 2
    again = lay(edits[:1], transcript(("A", words("Strahd came"))))
    assert states(again) == [("fulfilled", None)]
    assert states(lay(edits[:1], transcript(("A", words("he came"))))) == [
        ("open", "`Strahl` is nowhere in the transcript")
    ]


def test_a_stretch_of_time_is_given_to_somebody(file: Path) -> None:
    laid = lay(written(file, "speaker\t1:02.4\t1:05\t\t\tBen"))
    assert text(laid.transcript).startswith(
        "SPEAKER_00: we saw Strahl at the gate / Ben: and Strahl saw us / SPEAKER_01: yes"
    )
    assert laid.transcript.speakers == ["SPEAKER_00", "SPEAKER_01", "Ben"]
    assert [(t.start, t.end, t.speaker) for t in laid.transcript.turns[:2]] == [
        (60.0, 62.35, "SPEAKER_00"),
        (62.35, 63.9, "Ben"),
    ]


def test_a_narrower_stretch_holds_within_a_wider_one(file: Path) -> None:
    edits = written(file, "speaker\t60\t64\t\t\tBen", "speaker\t61.2\t62.3\t\tat the gate\tCarla")
    for order in permutations(edits):
        assert text(lay(list(order)).transcript).startswith(
            "Ben: we saw Strahl / Carla: at the gate / Ben: and Strahl saw us"
        )


def test_what_is_one_speakers_now_is_one_segment(file: Path) -> None:
    laid = lay(written(file, "speaker\t70\t\t\tyes he did\tSPEAKER_00"))
    assert text(laid.transcript).endswith("SPEAKER_00: yes he did good")
    assert laid.transcript.speakers == ["SPEAKER_00"]
    assert {turn.speaker for turn in laid.transcript.turns} == {"SPEAKER_00"}


def test_added_words_stand_in_the_pause_of_the_one_who_says_them(file: Path) -> None:
    laid = lay(written(file, "words\t1:05\t\tBen\t\toh no", "words\t64\t\t\t\ttoo"))
    assert "saw us too / Ben: oh no / SPEAKER_01: yes" in text(laid.transcript)
    too, oh, no = (w for s in laid.transcript.segments for w in s.words if w.corrected)
    assert (too.start, too.end, too.probability) == (64.0, 64.4, 1.0)
    assert (oh.start, no.end) == (65.0, 65.8)


def test_names_are_given_to_labels_and_go_with_the_voice(file: Path) -> None:
    edits = written(file, "name\t60\t64\t\tSPEAKER_00\tAnna")
    assert lay(edits).transcript.speakers == ["Anna", "SPEAKER_01"]
    # Clustered anew: who was called SPEAKER_00 is SPEAKER_01 now.
    other = transcript(("SPEAKER_01", words(STRAHL, 60)), ("SPEAKER_00", words("yes", 70)))
    assert lay(edits, other).transcript.speakers == ["Anna", "SPEAKER_00"]
    assert lay(written(file, "name\t\t\t\tSPEAKER_00\tAnna"), other).transcript.speakers == [
        "SPEAKER_01",
        "Anna",
    ]


def test_a_name_that_was_found_is_corrected_in_all_places(file: Path) -> None:
    edits = written(file, "name\t\t\t\tAda\tAnna", "speaker\t70\t\t\tyes he did\tAda")
    laid = lay(edits, SPEAKER_00="Ada")
    assert text(laid.transcript).endswith("Anna: yes he did good")
    assert laid.transcript.speakers == ["Anna"]


def test_two_labels_of_one_name_are_one_speaker_with_turns_that_do_not_overlap() -> None:
    made = talk()
    turns = [Turn(start=0, end=5, speaker="SPEAKER_00"), Turn(start=4, end=9, speaker="SPEAKER_01")]
    made = made.model_copy(update={"turns": turns})
    laid = lay([], made, SPEAKER_00="Anna", SPEAKER_01="Anna")
    assert laid.transcript.turns == [Turn(start=0, end=9, speaker="Anna")]
    assert laid.transcript.speakers == ["Anna"]


def test_a_second_speaker_changes_places_with_the_first() -> None:
    made = talk()
    first = made.segments[1].words[0].model_copy(update={"second_speaker": "SPEAKER_00"})
    part = made.segments[1].model_copy(update={"words": [first, *made.segments[1].words[1:]]})
    made = made.model_copy(update={"segments": [made.segments[0], part, made.segments[2]]})
    laid = lay([Edit("speaker", 70, 70.3, was="yes", now="SPEAKER_00")], made)
    found = laid.transcript.segments[1].words[0]
    assert (found.speaker, found.second_speaker, found.corrected) == ("SPEAKER_00", "SPEAKER_01", True)
    assert found.probability == 0.9


# What does not fit.


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        (
            ["words\t60.8\t\t\tStrahl at\tStrahd at", "words\t61.2\t\t\tat the\tby the"],
            ["contradicts line 3", "contradicts line 2"],
        ),
        (
            ["words\t60.8\t\t\tStrahl\tStrahd", "words\t60.8\t\t\tStrahl\tStrad"],
            ["contradicts line 3", "contradicts line 2"],
        ),
        (["words\t60.8\t\t\tStrahl\tStrahd", "words\t60.8\t\t\tStrahl\tStrahd"], [None, None]),
        (["words\t64\t\t\t\ta", "words\t64\t\t\t\tb"], ["contradicts line 3", "contradicts line 2"]),
        (
            ["speaker\t60\t62\t\t\tBen", "speaker\t61\t64\t\t\tCarla"],
            ["contradicts line 3", "contradicts line 2"],
        ),
        (["words\t30\t\t\tStrahl\tStrahd"], ["`Strahl` is no longer at 00:00:30.000"]),
        (["speaker\t10\t20\t\t\tBen"], ["nobody speaks at 00:00:10.000 any more"]),
        (["speaker\t60\t64\t\t\tSPEAKER_07"], ["there is no speaker SPEAKER_07"]),
        (["words\t64\t\tSPEAKER_07\t\tyes"], ["there is no speaker SPEAKER_07"]),
        (["name\t\t\t\tBen\tAnna"], ["there is no speaker Ben"]),
        (
            ["name\t\t\t\tSPEAKER_00\tAnna", "name\t\t\t\tSPEAKER_00\tBen"],
            ["contradicts line 3", "contradicts line 2"],
        ),
        (["name\t63\t71\t\tBen\tAnna"], ["several speak at 00:01:03.000: who is Ben?"]),
    ],
)
def test_what_has_no_place_is_listed_with_the_reason(
    file: Path, rows: list[str], reasons: list[str | None]
) -> None:
    laid = lay(written(file, *rows))
    assert [found.reason for found in laid.corrections] == reasons
    if None not in reasons:
        assert laid.transcript == talk()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("edit\twas\tnow\tspekaer\n", "s.tsv: there is no column `spekaer`. Did you mean `speaker`?"),
        ("was\tnow\na\tb\n", "the column `edit` is missing"),
        ("edit,was,now\n", "its columns are not separated by tabs"),
        ("edit\twas\tnow\nword\ta\tb\n", "line 2: `edit` must be words, speaker or name and is `word`"),
        ("edit\tstart\twas\tnow\nwords\t1:2x\ta\tb\n", "line 2: `start` must be a time such as 1:02:03.5"),
        ("edit\tstart\tend\twas\tnow\nwords\t9\t8\ta\tb\n", "line 2: ends before it begins"),
        ("edit\twas\tnow\n\nwords\t\t\n", "line 3: has neither `was` nor `now`"),
        ("edit\twas\tnow\nwords\t\tx\n", "`start` is missing"),
        ("edit\twas\tnow\nname\tx\t\n", "`now` is missing"),
        ("edit\twas\tnow\nname\t\tx\n", "`was` is missing"),
        ("edit\twas\tnow\nspeaker\tx\tB\n", "needs `start`"),
        ("edit\tstart\twas\tnow\nwords\t\t\u200e\tx\n", "line 2: `start` is missing"),
        ("edit\tstart\twas\tnow\nwords\t9\t\u200f\t\u202b \n", "line 2: has neither `was` nor `now`"),
        ("edit\twas\tnow\nname\tx\t\u200e\n", "`now` is missing"),
        ("edit\twas\tnow\nname\t\u200e\tx\n", "`was` is missing"),
        ("edit\tstart\twas\tnow\nspeaker\t9\t\u200e\tB\n", "needs `start`"),
        ("edit\twas\tnow\nwords\ta\tb\tc\n", "line 2: 4 fields where the header has 3"),
        ('edit\twas\tnow\nwords\t"a\tb\nwords\tc\td\n', "line 2: a quotation mark is not closed"),
        ('edit\twas\tnow\nwords\ta\t"b', "line 2: a quotation mark is not closed"),
        (
            'edit\twas\tnow\n\nwords\ta\t"b' + "\nwords\tc\td" * 20_000,
            "line 3: a quotation mark is not closed",
        ),
        ('edit\twas\tnow\nwords\t"a\tb\nwords"\tc\td\n', "line 2: a quotation mark is not closed"),
        (b"edit\twas\tnow\nwords\tM\xfc\tb\n", "s.tsv: cannot be read"),
    ],
)
def test_a_file_that_cannot_be_understood_is_one_clear_line(
    file: Path, content: str | bytes, message: str
) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as raised:
        table.read(file)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_spreadsheets_quotation_marks_and_byte_order_mark_are_read(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes('\ufeffedit\twas\tnow\r\n\t"""Strahl"""\tStrahd\r\n'.encode())
    assert table.read(file) == [Edit("words", was='"Strahl"', now="Strahd")]


def test_what_is_written_is_read(file: Path) -> None:
    edits = [
        Edit("name", 1.5, 3.25, was="SPEAKER_00", now='Anna "A" Ek'),
        Edit("words", None, None, was="x", now="", note="a note"),
        Edit("words", 3725.007, 3725.5, "Ben", "", "=1", "before", "after", "n", "me", "2026-11-21"),
    ]
    table.write(file, edits)
    assert table.read(file) == edits
    assert "01:02:05.007" in file.read_text()
    table.write(file, [])
    assert not file.exists()
    assert table.read(file) == []


def test_the_lines_in_the_docs_are_understood(file: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/usage.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```text\n(edit\t.*?)^```", page, re.MULTILINE | re.DOTALL)
    file.parent.mkdir(parents=True)
    file.write_text(example, encoding="utf-8")
    assert [edit.edit for edit in table.read(file)] == ["name", "words", "words", "speaker"]
    assert set(
        re.findall(
            r"`(\w+)`",
            page.partition(example)[2].partition("| Column |")[2].partition("Corrections survive")[0],
        )
    ) == {*table.COLUMNS} - {"edit", "was", "now"}


# The stage.


def test_the_stage_writes_the_transcript_and_what_became_of_each_line(file: Path, tmp_path: Path) -> None:
    written(file, "words\t60.8\t\t\tStrahl\tStrahd", "words\t9\t\t\tStrahl\tStrahd")
    named = NamedSpeaker(speaker="SPEAKER_00", name="Anna", origin="voice")
    made = Made(sources={"mix": "1"}, models={}, settings={"merge": {"segment_gap_s": 1.0}}, versions={})
    output, report = tmp_path / "s.json", tmp_path / "s.corrections.json"
    flags = correct_transcript(
        transcript=talk().model_copy(update={"flags": ["a gap"], "made": made}),
        names=Names(session="s", speakers=[named], flags=[]),
        labels={"SPEAKER_00": "everywhere", "SPEAKER_01": "Ben"},
        edits=file,
        settings={"name": {"threshold": 0.6}},
        output=output,
        report=report,
    )
    found = Transcript.read(output)
    assert text(found).startswith("Anna: we saw Strahd at the gate and Strahl saw us / Ben: yes")
    assert flags == ["1 correction has no place (sessionscribe correct s --list)"]
    assert found.flags == ["a gap", *flags]
    assert found.made == made.model_copy(
        update={"settings": {"merge": {"segment_gap_s": 1.0}, "name": {"threshold": 0.6}}}
    )
    assert [(one.line, one.state) for one in Corrections.read(report).corrections] == [
        (2, "applied"),
        (3, "open"),
    ]


def test_without_corrections_it_is_what_was_heard(tmp_path: Path) -> None:
    output, report = tmp_path / "s.json", tmp_path / "s.corrections.json"
    flags = correct_transcript(
        transcript=talk(), names=None, labels={}, edits=None, settings={}, output=output, report=report
    )
    assert Transcript.read(output) == talk()
    assert b"corrected" not in output.read_bytes()
    assert (flags, Corrections.read(report).corrections) == ([], [])


def test_an_empty_transcript_takes_words(tmp_path: Path) -> None:
    laid = lay([Edit("words", 3.0, now="hello there", speaker="Anna")], transcript(duration_s=60))
    assert text(laid.transcript) == "Anna: hello there"
    assert [(w.start, w.end) for w in laid.transcript.segments[0].words] == [(3.0, 3.4), (3.4, 3.8)]


def test_a_large_archive_of_corrections_is_quick(tmp_path: Path) -> None:
    """Four hours of talk with two thousand corrections: seconds, not minutes."""
    many = [word(f"w{n % 997}", n * 0.4, n * 0.4 + 0.3) for n in range(36_000)]
    parts = [("A" if n % 2 else "B", many[n * 20 : n * 20 + 20]) for n in range(1800)]
    edits = [
        Edit("words", round(n * 0.4, 3), was=f"w{n % 997}", now=f"x{n}", before=f"w{(n - 1) % 997}")
        for n in range(1, 36_000, 18)
    ]
    made = transcript(*parts, duration_s=14_400)
    begun = time.process_time()
    laid = lay(edits, made)
    assert {found.state for found in laid.corrections} == {"applied"}
    assert time.process_time() - begun < 10


# The command.


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").touch()
    manifest.write(Path("config/sessions.tsv"), [Row("s", "recording", "mix", "in.wav", "0" * 64, 100.0)])
    talk().write(Path("results/diarize/s.json"))
    return tmp_path


def test_the_list_says_what_became_of_each(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(table.path_of("s"), "name\t\t\t\tSPEAKER_00\tAnna", "words\t9\t\t\tStrahl\tStrahd")
    assert main.main(["correct", "s", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "line 2    applied    name     SPEAKER_00 is Anna"
    assert lines[1].startswith(
        "line 3    NO PLACE   words    00:00:09.000  Strahl → Strahd  (`Strahl` is no longer"
    )
    assert lines[2] == "config/corrections/s.tsv: 1 applied, 1 no place"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tt"], "there is no session `tt`. There are: s"),
        (["s", "x.srt", "--list"], "--list: takes no file"),
        (["s", "none.srt"], "there is no such file"),
    ],
)
def test_a_wrong_command_is_one_clear_line(
    project: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["correct", *arguments]) == 2
    assert message in capsys.readouterr().err


SPOKEN = [f"word{number}" for number in range(50)]


@pytest.mark.parametrize("rest", [["wo"], []], ids=["in a word", "between words"])
def test_a_copy_that_was_cut_off_is_refused_but_with_force(
    project: Path, rest: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    transcript(("A", words(" ".join(SPOKEN)))).write(Path("results/diarize/s.json"))
    Path("cut.txt").write_text(f"A: {' '.join([*SPOKEN[:20], *rest])}\n")
    lacking = 30 - len(rest)
    assert main.main(["correct", "s", "cut.txt"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sessionscribe: cut.txt: leaves out {lacking} of 50 words of the transcript")
    assert line.endswith("To record it anyway, add --force")
    assert not table.path_of("s").exists()
    assert main.main(["correct", "s", "cut.txt", "--force"]) == 0
    said = f"s: 1 new edit in config/corrections/s.tsv, {lacking} words left out; "
    assert said in capsys.readouterr().out
    # What is left out already is not left out again by a copy that is changed elsewhere.
    Path("next.txt").write_text(f"A: {' '.join([*SPOKEN[1:20], *rest])}\n")
    assert main.main(["correct", "s", "next.txt"]) == 0
    assert "s.tsv, 1 word left out; " in capsys.readouterr().out


@pytest.mark.parametrize("kept", [25, 30])
def test_half_of_the_words_may_be_left_out(project: Path, kept: int) -> None:
    transcript(("A", words(" ".join(SPOKEN)))).write(Path("results/diarize/s.json"))
    Path("cut.txt").write_text(f"A: {' '.join(SPOKEN[:kept])}\n")
    assert main.main(["correct", "s", "cut.txt"]) == 0
    assert table.path_of("s").is_file()


def test_most_of_a_few_words_may_be_left_out(project: Path) -> None:
    transcript(("A", words(" ".join(SPOKEN[:20])))).write(Path("results/diarize/s.json"))
    Path("cut.txt").write_text(f"A: {SPOKEN[0]}\n")
    assert main.main(["correct", "s", "cut.txt"]) == 0


def test_a_session_without_a_transcript_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("results/diarize/s.json").unlink()
    assert main.main(["correct", "s"]) == 2
    assert "s: there is no transcript yet. Make it first" in capsys.readouterr().err


def test_a_corrected_session_is_a_reference_and_one_that_is_not_is_none(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(table.path_of("s"), "words\t60.8\t\t\tStrahl\tStrahd")
    for edits in (None, table.path_of("s")):
        correct_transcript(
            transcript=talk(),
            names=None,
            labels={},
            edits=edits,
            settings={},
            output=Path("results/correct/s.json"),
            report=Path("results/correct/s.corrections.json"),
        )
        asked = "evaluate results/diarize/s.json --reference s --resamples 0"
        code = main.main(asked.split())
        printed = capsys.readouterr()
        if edits is None:
            assert code == 2
            assert "s: has no corrections, so its transcript is no reference" in printed.err
        else:
            assert code == 0
            assert "| s       | 14    | 7.1 " in printed.out
