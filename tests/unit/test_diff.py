"""Two transcripts are compared word by word, and shown so that a person sees what differs."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import builders
from sessionscribe.cli import main
from sessionscribe.core.errors import UserError
from sessionscribe.evaluation.diff import Diff, diff, same_session
from sessionscribe.evaluation.diff_report import hunks, marked, paragraphs, summary_lines, write_html
from sessionscribe.formats.utterances import PlainTranscript, PlainWord, Utterance


def said(
    *parts: tuple[str | None, str], start: float = 0.0, session: str = "s", language: str = "en"
) -> PlainTranscript:
    """Utterances (speaker, text), a word each half second."""
    utterances = []
    clock = start
    for speaker, text in parts:
        words = []
        for word in text.split():
            words.append(PlainWord(word, clock, clock + 0.4, speaker))
            clock += 0.5
        utterances.append(Utterance(text, words[0].start, words[-1].end, speaker, tuple(words)))
    return PlainTranscript(session, utterances=tuple(utterances), language=language)


def plain(found: Diff) -> list[str]:
    return ["".join(text for _, text in line).strip() for line in hunks(found)]


def texts(found: Diff) -> list[tuple[str, str, str]]:
    return [
        (piece.kind, " ".join(w.text for w in piece.before), " ".join(w.text for w in piece.after))
        for piece in found.pieces
    ]


def test_the_same_is_the_same() -> None:
    one = said(("A", "Hello there, everybody."), ("B", "Yes."))
    found = diff(one, one)
    assert [kind for kind, *_ in texts(found)] == ["same"]
    assert plain(found) == []
    assert (found.summary.wer, found.summary.same, found.summary.shift_max_s) == (0, 4, 0)


def test_changed_added_lost_and_written_otherwise() -> None:
    found = diff(
        said(("A", "Hello there my dear friend good morning")),
        said(("A", "hello, where my friend good good morning")),
    )
    assert texts(found) == [
        ("same", "Hello", "hello,"),
        ("changed", "there", "where"),
        ("same", "my", "my"),
        ("changed", "dear", ""),
        ("same", "friend", "friend"),
        ("changed", "", "good"),
        ("same", "good morning", "good morning"),
    ]
    s = found.summary
    assert (s.same, s.rewritten, s.changed, s.added, s.lost) == (5, 1, 1, 1, 1)
    assert s.wer == pytest.approx(3 / 7)
    assert plain(found) == [
        "[00:00:00] A: hello, [-there-] {+where+} my [-dear-] friend {+good+} good morning"
    ]


def test_names_of_speakers_are_matched_and_what_another_says_is_shown() -> None:
    before = said(("Anna", "one two three four"), ("Ben", "five six seven"))
    after = said(("S1", "one two three"), ("S0", "four five six seven"))
    found = diff(before, after)
    assert found.names == {"S1": "Anna", "S0": "Ben"}
    assert found.summary.other_speaker == 1
    assert plain(found) == ["[00:00:00] Anna: one two three <Anna → Ben: four> five six seven"]
    assert "S0 is Ben" in summary_lines(found)[-1]


def test_without_speakers_on_a_side_they_are_not_compared() -> None:
    found = diff(said((None, "one two")), said(("A", "one two")))
    assert found.summary.other_speaker == 0
    assert plain(found) == []
    assert "not compared" in summary_lines(found)[-1]


def test_shifts() -> None:
    found = diff(said(("A", "one two three")), said(("A", "one two three"), start=0.75))
    s = found.summary
    assert (s.shift_median_s, s.shift_p95_s, s.shift_max_s, s.moved) == (0.75, 0.75, 0.75, 3)
    untimed = PlainTranscript("s", utterances=(Utterance("one two"),))
    assert diff(said(("A", "one two")), untimed).summary.shift_median_s is None


def test_far_differences_are_lines_of_their_own_with_their_times() -> None:
    middle = " ".join(f"w{n}" for n in range(40))
    found = diff(said(("A", f"x {middle} y")), said(("A", f"z {middle} y y")))
    assert plain(found) == [
        "[00:00:00] A: [-x-] {+z+} w0 w1 w2 w3",
        "[00:00:18] A: w36 w37 w38 w39 {+y+} y",
    ]


def test_every_word_of_both_sides_is_in_the_difference() -> None:
    draw = random.Random(4)
    for _ in range(30):
        sides = [
            said(
                *((draw.choice("AB"), " ".join(draw.choices("abcd", k=draw.randint(1, 6)))) for _ in range(5))
            )
            for _ in range(2)
        ]
        found = diff(*sides)
        assert [w for p in found.pieces for w in p.before] == list(sides[0].words)
        assert [w for p in found.pieces for w in p.after] == list(sides[1].words)
        s = found.summary
        assert s.same + s.changed + s.lost == s.before
        assert s.same + s.changed + s.added == s.after
        assert all(one.kind != other.kind or one.kind == "speaker" for one, other in pairwise(found.pieces))
        # the page has both texts in it
        runs = [run for part in paragraphs(found) for run in part.runs]
        for side, left_out in zip(sides, ("added", "lost"), strict=True):
            shown = "".join(text for kind, text in runs if kind != left_out).replace(" ", "")
            assert shown == "".join(word.text for word in side.words)


def test_nothing_on_a_side() -> None:
    nothing = PlainTranscript("s", utterances=())
    found = diff(nothing, said(("A", "one two")))
    assert (found.summary.added, found.summary.wer) == (2, 2)
    assert diff(nothing, nothing).pieces == ()
    assert diff(said(("A", "one")), nothing).summary.lost == 1
    assert plain(diff(said(("A", "one")), nothing)) == ["[00:00:00] A: [-one-]"]
    with pytest.raises(UserError, match="has no words"):
        diff(nothing, PlainTranscript("s", turns=()))


def test_four_hours_of_words_take_seconds() -> None:
    draw = random.Random(0)
    words = [f"w{int(draw.paretovariate(0.8))}" for _ in range(40_000)]
    changed = [w if draw.random() > 0.15 else draw.choice(["x", "", f"{w} y"]) for w in words]
    sides = said(("A", " ".join(words))), said(("A", " ".join(changed)))
    began = time.process_time()
    found = diff(*sides)
    assert time.process_time() - began < 10
    assert 0.1 < found.summary.wer < 0.2


# --- the page ----------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Text by element, and every reference to something outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)
        self.outside += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append((self.open[-1] if self.open else "", data.strip()))


def test_the_page(tmp_path: Path) -> None:
    before = said(("A", "one two three"), ("B", "four <b>five</b>"), session="<script>")
    after = said(("A", "one too three"), ("A", "four"), ("B", "<b>five</b>"), session="<script>")
    path = tmp_path / "page.html"
    write_html(diff(before, after), "a.json", "b & c.json", path)
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert page.outside == []
    assert ("h1", "<script>") in page.text
    assert {("del", "two"), ("ins", "too"), ("mark", "four"), ("ins", "b & c.json")} <= set(page.text)
    assert ("p", "<b>five</b>") in page.text


def test_a_page_without_spaces_between_words(tmp_path: Path) -> None:
    before, after = (
        PlainTranscript(
            "s",
            (Utterance(text, words=tuple(PlainWord(w, space=False) for w in text.split())),),
            language="ja",
        )
        for text in ("今日 は 晴れ", "今日 も 晴れ")
    )
    (part,) = paragraphs(diff(before, after))
    assert part.runs == [("same", "今日"), ("lost", "は"), ("added", "も"), ("same", "晴れ")]
    path = tmp_path / "page.html"
    write_html(diff(before, after), "a", "b", path)
    assert "今日<del>は</del><ins>も</ins>晴れ" in path.read_text(encoding="utf-8")


# --- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_disk: None) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("old", "Hello there everybody."), ("new", "Hello everybody.")):
        made = builders.transcript(("SPEAKER_00", builders.words(text, 1.0)), session="talk")
        made.write(tmp_path / name / "talk.json")
    return tmp_path


def test_the_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["diff", "old", "new/talk.json", "--html", "out/page.html"]) == 0
    out = capsys.readouterr().out
    assert "[00:00:01] SPEAKER_00: Hello [-there-] everybody." in out
    assert "1 lost" in out
    assert (project / "out/page.html").is_file()
    assert main.main(["diff", "old", "new", "--summary"]) == 0
    assert "[-there-]" not in capsys.readouterr().out


def test_control_characters_of_a_transcript_do_not_reach_the_terminal(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "bad.txt").write_text("Hello \x1b[31mthere\x07 everybody.\n")
    assert main.main(["diff", "old", "bad.txt"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31mthere\\x07" in out


def test_which_sessions_are_compared() -> None:
    one, two = said(("A", "a"), session="one"), said(("A", "a"), session="two")
    assert same_session({"one": one}, {"two": two}) == (one, two)
    both = {"one": one, "two": two}
    assert same_session({"one": one}, both) == (one, one)
    with pytest.raises(UserError, match="have 2 sessions in common"):
        same_session(both, both)
    with pytest.raises(UserError, match="have no sessions in common"):
        same_session(both, {"three": replace(one, session="three")})


def test_marks_of_a_speaker_who_is_nobody() -> None:
    before, after = said(("A", "one two"), (None, "three")), said(("A", "one two three"))
    found = diff(before, after)
    assert list(marked(found.pieces[-1], found)) == [("speaker", "<nobody → A: three>")]


def test_what_would_turn_a_line_around_is_left_out_and_what_spells_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    persian = "می‌روم"  # with a zero-width non-joiner
    for name, text in (("a", f"\u202eevil\x1b[31m {persian} one"), ("b", f"good {persian} two")):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    page = tmp_path / "page.html"
    assert main.main(["diff", *(str(tmp_path / f"{n}.txt") for n in "ab"), "--html", str(page)]) == 0
    for shown in (capsys.readouterr().out, page.read_text(encoding="utf-8")):
        assert persian in shown
        assert r"evil\x1b[31m" in shown
        assert "u202e" not in shown
        assert "\u202e" not in shown
        assert "\x1b" not in shown
