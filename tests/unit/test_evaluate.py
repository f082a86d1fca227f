"""Measures against known answers: documented examples of the libraries, and small cases counted by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate

import builders
from sessionscribe.cli import main
from sessionscribe.core.errors import UserError
from sessionscribe.evaluation import attributed
from sessionscribe.evaluation.evaluate import Options, evaluate, measures, pairs, score_session
from sessionscribe.evaluation.intervals import Bootstrap, quantile, ratio
from sessionscribe.evaluation.normalise import normaliser
from sessionscribe.evaluation.report import tables
from sessionscribe.evaluation.speakers import speaker_errors
from sessionscribe.formats.utterances import (
    PlainTranscript,
    PlainWord,
    SpeakerTurn,
    Utterance,
    turns_of,
)

HEAVY = {
    "jiwer",
    "pandas",
    "scipy",
    "pyannote",
    "meeteval",
    "rapidfuzz",
    "whisper_normalizer",
    "webvtt",
    "rich",
}
QUICK = Options(language="en", bootstrap=Bootstrap(200))


def said(*texts: str, session: str = "s", **more: object) -> PlainTranscript:
    """One utterance for each text."""
    return PlainTranscript(session, utterances=tuple(Utterance(text) for text in texts), **more)  # type: ignore[arg-type]


def spoken(*parts: tuple[str, float, float, str | None], session: str = "s") -> PlainTranscript:
    """Utterances with speaker and times; their words share the time evenly."""
    utterances = []
    for text, start, end, speaker in parts:
        texts = text.split()
        step = (end - start) / max(1, len(texts))
        words = tuple(
            PlainWord(word, start + i * step, start + (i + 1) * step, speaker) for i, word in enumerate(texts)
        )
        utterances.append(Utterance(text, start, end, speaker, words))
    return PlainTranscript(session, utterances=tuple(utterances), turns=turns_of(utterances))


def turns(*parts: tuple[float, float, str], session: str = "s") -> PlainTranscript:
    return PlainTranscript(session, turns=tuple(SpeakerTurn(*part) for part in parts))


def value(
    reference: PlainTranscript, hypothesis: PlainTranscript, name: str, options: Options = QUICK
) -> float:
    return evaluate([(reference, hypothesis)], options).pooled[name].value


# --- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "hypothesis", "wer"),
    [
        ("hello world", "hello duck", 0.5),  # jiwer's documentation
        ("X", "X Y Y", 2.0),  # jiwer's tests: more errors than words
        ("i can spell", "i kan cpell", 2 / 3),
        ("one two three four", "", 1.0),
        ("one two", "one two", 0.0),
    ],
)
def test_wer(reference: str, hypothesis: str, wer: float) -> None:
    as_written = replace(QUICK, as_written=True)
    assert value(said(reference), said(hypothesis), "wer", as_written) == pytest.approx(wer)


def test_cer_counts_spaces_as_jiwer_does() -> None:
    as_written = replace(QUICK, as_written=True)
    assert value(said("i can spell"), said("i kan cpell"), "cer", as_written) == pytest.approx(2 / 11)
    assert value(said("ab cd"), said("abcd"), "cer", as_written) == pytest.approx(1 / 5)


def test_kinds_of_errors_belong_to_utterances() -> None:
    score = score_session(said("a b c", "d e", "f"), said("a x c d", "y", "z f"), QUICK)
    words = score.counts["wer"]
    assert list(words.totals) == [3, 2, 1]
    assert list(words.errors) == [1, 2, 0]
    assert words.sums == {"substitutions": 2, "deletions": 0, "insertions": 1}
    assert score.counts["cer"].totals.sum() == len("a b c d e f")


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "Mr. Smith's colour isn't twenty-one (laughs), hmm.", "mister smith is color is not 21"),
        ("en", "I'd pay $2.5 million", "i would pay $2500000"),
        ("de", "Größe, „Übermut“ [lacht]!", "größe übermut"),
        ("hi", "हिन्दी।", "हिन्दी"),
        ("ja", "今日は、 晴れ。", "今 日 は 晴 れ"),
        (None, "It's", "it s"),
    ],
)
def test_whispers_normalisation(language: str | None, text: str, words: str) -> None:
    assert " ".join(normaliser(language).words(text)) == words


def test_without_spaces_characters_are_words() -> None:
    options = replace(QUICK, language="zh")
    assert value(said("今天天气好"), said("今天天很好"), "wer", options) == pytest.approx(1 / 5)
    assert value(said("今天 天气好"), said("今天天气好"), "cer", options) == 0


def test_the_language_of_the_transcript_decides() -> None:
    options = replace(QUICK, language=None)
    assert value(said("twenty one"), said("21", language="en"), "wer", options) == 0
    assert value(said("twenty one"), said("21", language="de"), "wer", options) == 1


def test_nothing_found_and_nothing_said() -> None:
    assert value(said("one two"), said(), "wer") == 1.0
    scores = evaluate([(said(""), said("one"))], QUICK)
    assert "wer" not in scores.pooled
    assert scores.missing["s"]["WER"] == "the reference has no words"
    assert "not measured" in tables(scores, QUICK).lower()


def test_what_does_not_count_is_left_out() -> None:
    reference = replace(spoken(("one", 0, 1, "A"), ("two", 9, 10, "A")), ignored=((1.0, 9.0),))
    hypothesis = spoken(("one", 0, 1, "x"), ("noise of music", 2, 8, "x"), ("two", 9, 10, "x"))
    assert value(reference, hypothesis, "wer") == 0
    assert value(reference, hypothesis, "der") == 0


# --- times and speakers of words ---------------------------------------------------------------------------


def test_times_of_the_words_that_both_have() -> None:
    reference = spoken(("one two three four", 0.0, 4.0, "A"))
    texts = ["One,", "two,", "tree", "four."]
    moved = [(0.1, 1.0), (1.2, 2.0), (2.0, 3.4), (3.0, 4.0)]
    words = [PlainWord(t, a, b, "x") for t, (a, b) in zip(texts, moved, strict=True)]
    part = Utterance(" ".join(texts), 0.1, 4.0, "x", tuple(words))
    hypothesis = PlainTranscript("s", utterances=(part,), turns=turns_of([part]))
    found = evaluate([(reference, hypothesis)], QUICK).pooled
    assert found["start_median_s"].value == pytest.approx(0.1)
    assert found["start_median_s"].counts["total"] == 3
    assert found["start_p95_s"].value == pytest.approx(np.quantile([0.1, 0.2, 0.0], 0.95))
    assert found["end_p95_s"].value == pytest.approx(0)


def test_words_without_times_of_their_own_have_no_time_error() -> None:
    reference = PlainTranscript("s", utterances=(Utterance("one two", 0, 2, "A"),))
    scores = evaluate([(reference, spoken(("one two", 0, 2, "x")))], QUICK)
    assert "start_median_s" not in scores.pooled
    assert "word times" in scores.missing["s"]


def test_speakers_of_words_under_the_best_mapping() -> None:
    reference = spoken(("a b c d e f", 0, 6, "anna"), ("g h i j", 6, 10, "ben"))
    hypothesis = spoken(("a b c d e", 0, 5, "S2"), ("f g h i j", 5, 10, "S1"))
    assert value(reference, hypothesis, "word_speaker_error") == pytest.approx(0.1)
    nobody = spoken(("a b c d e f", 0, 6, "S1"), ("g h", 6, 8, None), ("i j", 8, 10, "S2"))
    assert value(reference, nobody, "word_speaker_error") == pytest.approx(0.2)


# --- speakers ----------------------------------------------------------------------------------------------

# The example of pyannote.metrics' documentation: its DER is 0.516.
REFERENCE = turns((0, 10, "A"), (12, 20, "B"), (24, 27, "A"), (30, 40, "C"))
HYPOTHESIS = turns((2, 13, "a"), (13, 14, "d"), (14, 20, "b"), (22, 38, "c"), (38, 40, "d"))


def test_der_of_pyannotes_example() -> None:
    score = score_session(REFERENCE, HYPOTHESIS, QUICK)
    found = measures([score], QUICK.bootstrap)["der"]
    assert found.value == pytest.approx(0.516, abs=5e-4)
    counts = {name: found.counts[f"{name}_s"] for name in ("missed", "false_alarm", "confused")}
    assert counts == {"missed": 2, "false_alarm": 7, "confused": 7}
    assert found.counts["total"] == 31
    speakers = speaker_errors(REFERENCE, HYPOTHESIS)
    assert speakers is not None
    assert speakers.names == {"a": "A", "b": "B", "c": "C"}
    assert score.missing["WER"] == "the reference has no words"


def test_jer_of_a_case_by_hand() -> None:
    # A: 8 of 10 s in common, 10 s in all: 0.2. B: nothing found: 1.
    found = evaluate([(turns((0, 10, "A"), (20, 22, "B")), turns((0, 8, "x")))], QUICK).pooled
    assert found["jer"].value == pytest.approx((0.2 + 1) / 2)
    assert found["der"].value == pytest.approx(4 / 12)
    assert found["der"].counts["speakers_found"] == 1


def test_overlap_is_scored_unless_left_out() -> None:
    reference, hypothesis = turns((0, 10, "A"), (5, 10, "B")), turns((0, 10, "x"))
    assert value(reference, hypothesis, "der") == pytest.approx(5 / 15)
    assert value(reference, hypothesis, "der", replace(QUICK, skip_overlap=True)) == 0


def test_a_collar_is_counted_on_either_side_as_nist_does() -> None:
    reference, hypothesis = turns((1, 9, "A")), turns((0.8, 9.2, "x"))
    assert value(reference, hypothesis, "der") == pytest.approx(0.4 / 8)
    assert value(reference, hypothesis, "der", replace(QUICK, collar_s=0.25)) == 0
    wider = turns((0.7, 9.2, "x"))
    assert value(reference, wider, "der", replace(QUICK, collar_s=0.25)) == pytest.approx(0.05 / 7.5)


def test_only_scored_regions_count() -> None:
    reference = replace(turns((0, 10, "A")), scored=((0.0, 4.0),))
    assert value(reference, turns((2, 10, "x"), (20, 30, "y")), "der") == pytest.approx(0.5)
    shorter = replace(turns((0, 10, "A")), duration_s=12.0)
    assert value(shorter, turns((0, 10, "x"), (11, 30, "x")), "der") == pytest.approx(0.1)


def test_minutes_add_up_to_pyannotes_own_figure() -> None:
    random = np.random.default_rng(1)

    def conversation(names: str) -> PlainTranscript:
        starts = random.uniform(0, 600, 80)
        return turns(*((s, s + random.uniform(0.5, 15), names[i % len(names)]) for i, s in enumerate(starts)))

    def annotation(side: PlainTranscript) -> Annotation:
        made = Annotation()
        for index, turn in enumerate(side.turns or ()):
            made[Segment(turn.start, turn.end), index] = turn.speaker
        return made

    for _ in range(5):
        reference, hypothesis = conversation("ABC"), conversation("CBXY")
        end = max(reference.end, hypothesis.end)
        for collar, skip in ((0.0, False), (0.25, True)):
            found = speaker_errors(reference, hypothesis, collar_s=collar, skip_overlap=skip)
            assert found is not None
            options = {"collar": 2 * collar, "skip_overlap": skip}
            both = annotation(reference), annotation(hypothesis)
            uem = Timeline([Segment(0, end)])
            assert len(found.der.totals) > 9
            assert found.der.errors.sum() / found.der.totals.sum() == pytest.approx(
                DiarizationErrorRate(**options)(*both, uem=uem)
            )
            jaccard = JaccardErrorRate(**options)(*both, uem=uem)
            assert found.jer.errors.sum() / found.jer.totals.sum() == pytest.approx(jaccard)


def test_no_speech_found() -> None:
    assert value(turns((0, 10, "A")), turns(), "der") == 1.0
    assert value(turns((0, 10, "A")), turns(), "jer") == 1.0


def test_a_reference_without_speakers() -> None:
    scores = evaluate([(said("yes please"), spoken(("yes", 0, 1, "x")))], QUICK)
    assert scores.pooled["wer"].value == 0.5
    assert not {"der", "jer", "cpwer", "tcpwer", "word_speaker_error"} & set(scores.pooled)
    assert scores.missing["s"]["DER"] == "the reference has no turns"
    if find_spec("meeteval"):
        assert scores.missing["s"]["cpWER"] == "the reference has no speakers"


# --- both --------------------------------------------------------------------------------------------------


def by_speaker(**texts: str) -> PlainTranscript:
    return PlainTranscript(
        "s", utterances=tuple(Utterance(text, speaker=name) for name, text in texts.items())
    )


@pytest.mark.skipif(find_spec("meeteval") is None, reason="meeteval is not installed")
@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors", "words"),
    [  # meeteval's documentation
        ({"a": "a b c", "b": "d e f"}, {"x": "d e f", "y": "a b c"}, 0, 6),
        ({"a": "a b", "b": "c d"}, {"x": "a b", "y": "c d", "z": "e f"}, 2, 4),
        ({"a": "a", "b": "b", "c": "c d"}, {"x": "a", "y": "b"}, 2, 4),
        ({"a": "a", "b": "b", "c": "c"}, {"w": "b", "x": "c", "y": "d", "z": "a"}, 1, 3),
        ({"a": "a b", "b": "k"}, {"x": " ", "y": "a e f"}, 3, 3),
    ],
)
def test_cpwer_of_meetevals_examples(
    reference: dict[str, str], hypothesis: dict[str, str], errors: int, words: int
) -> None:
    chosen = normaliser(None, plain=True)
    found = attributed.attributed_errors(by_speaker(**reference), by_speaker(**hypothesis), chosen)
    assert not isinstance(found, str)
    assert (found.errors.sum(), found.totals.sum()) == (errors, words)


@pytest.mark.skipif(find_spec("meeteval") is None, reason="meeteval is not installed")
def test_tcpwer_forgives_some_seconds_and_no_more() -> None:
    reference = spoken(("yes please", 0, 2, "A"), ("now", 3, 4, "B"))
    shifted = spoken(("yes please", 3, 5, "x"), ("now", 3, 4, "y"))
    assert value(reference, shifted, "tcpwer") == 0
    assert value(reference, shifted, "cpwer") == 0
    # both words come too late: two are lost and two are added
    assert value(reference, shifted, "tcpwer", replace(QUICK, word_collar_s=1.0)) == pytest.approx(4 / 3)
    untimed = by_speaker(x="yes please", y="now")
    scores = evaluate([(reference, untimed)], QUICK)
    assert scores.pooled["cpwer"].value == 0
    assert scores.missing["s"]["tcpWER"] == "the hypothesis has no times"


@pytest.mark.skipif(find_spec("meeteval") is None, reason="meeteval is not installed")
def test_more_speakers_than_meeteval_takes() -> None:
    many = by_speaker(**{f"s{n}": f"w{n}" for n in range(21)})
    found = attributed.attributed_errors(many, many, normaliser("en"))
    assert isinstance(found, str)
    assert "21 speakers" in found


def test_without_meeteval_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributed, "find_spec", lambda name: None)
    talk = spoken(("one two", 0, 2, "A"))
    scores = evaluate([(talk, talk)], QUICK)
    assert scores.pooled["wer"].value == scores.pooled["der"].value == 0
    assert "cpwer" not in scores.pooled
    text = tables(scores, QUICK)
    assert text.count("requirements-evaluation.txt") == 1
    assert "Not measured: cpWER, tcpWER (needs meeteval" in text


# --- together and intervals --------------------------------------------------------------------------------


def test_pooled_rates_are_of_all_words_together() -> None:
    both = [(said("a b c d", session="x"), said("a b c")), (said("e", session="y"), said("f"))]
    scores = evaluate(both, QUICK)
    assert {name: found["wer"].value for name, found in scores.sessions.items()} == {"x": 0.25, "y": 1.0}
    assert scores.pooled["wer"].value == pytest.approx(2 / 5)
    assert scores.drawn == "segments"


def test_few_sessions_draw_segments_many_draw_sessions() -> None:
    both = [(said("a b", "c d", session=str(n)), said("a b x d" if n < 2 else "a b c d")) for n in range(5)]
    assert evaluate(both[:4], QUICK).drawn == "segments"
    scores = evaluate(both, QUICK)
    assert scores.drawn == "sessions"
    low, high = scores.pooled["wer"].interval or (1.0, 0.0)
    assert (low, high) == (0.0, pytest.approx(0.2))  # no session of the two, or four of five draws are


def test_intervals_hold_the_true_value_as_often_as_they_say() -> None:
    random = np.random.default_rng(7)
    totals = np.full(60, 10.0)
    hits = 0
    for number in range(200):
        errors = random.binomial(10, 0.2, 60).astype(float)
        low, high = Bootstrap(300, seed=number).interval(60, ratio(errors, totals)) or (1.0, 0.0)
        hits += low <= 0.2 <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_intervals_are_the_same_each_time_and_none_for_one_block() -> None:
    errors, totals = np.arange(20.0), np.full(20, 30.0)
    once = Bootstrap(100, seed=3).interval(20, ratio(errors, totals))
    assert once == Bootstrap(100, seed=3).interval(20, ratio(errors, totals))
    assert once != Bootstrap(100, seed=4).interval(20, ratio(errors, totals))
    assert Bootstrap().interval(1, ratio(errors[:1], totals[:1])) is None
    assert Bootstrap(0).interval(20, ratio(errors, totals)) is None


def test_draws_of_silent_minutes_are_left_out_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Bootstrap(200).interval(2, ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])))
    assert found == (0.25, 0.25)


def test_a_quantile_of_drawn_blocks() -> None:
    values, blocks = np.array([5.0, 1.0, 3.0, 9.0]), np.array([0, 0, 1, 2])
    median = quantile(values, blocks, 0.5)
    assert median(np.array([1.0, 1.0, 1.0])) == 3.0
    assert median(np.array([0.0, 0.0, 2.0])) == 9.0
    assert median(np.array([2.0, 0.0, 0.0])) == 1.0
    assert np.isnan(median(np.array([0.0, 0.0, 0.0])))


# --- what belongs together ---------------------------------------------------------------------------------


def test_one_and_one_belong_together_whatever_their_names() -> None:
    assert pairs({"x": said("a", session="x")}, {"y": said("b", session="y")}, every=True)


def test_a_reference_without_a_transcript_is_no_small_matter() -> None:
    found = {name: said("a", session=name) for name in "xy"}
    wanted = {name: said("a", session=name) for name in "yz"}
    assert len(pairs(found, wanted, every=False)) == 1
    with pytest.raises(UserError, match=r"z: has no transcript to compare with"):
        pairs(found, wanted, every=True)
    with pytest.raises(UserError, match=r"x, y: has no reference"):
        pairs(found, {name: said("a", session=name) for name in "vw"}, every=False)


# --- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_disk: None) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        made = builders.transcript(
            ("SPEAKER_00", builders.words("Hello there, everybody.", 1.0)),
            ("SPEAKER_01", builders.words("Good morning.", 3.0)),
            session=name,
            duration_s=10.0,
        )
        made.write(tmp_path / f"results/export/{name}/{name}.json")
    stm = ["one 1 A 1.0 2.1 hello there everyone", "one 1 B 3.0 3.7 good morning"]
    stm += [line.replace("one 1", "two 1") for line in stm]
    (tmp_path / "ref.stm").write_text("\n".join(stm) + "\n")
    return tmp_path


def test_the_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = ["--max-wer", "0.2", "--max-der", "0.001"]
    command = ["evaluate", "results/export", "--reference", "ref.stm", "--json", "out/scores.json"]
    assert main.main([*command, *bars]) == 0
    out = capsys.readouterr().out
    assert "| one " in out
    assert "| all " in out
    assert "| 2/2 " in out
    assert "| 2 of 2 right " in out
    content = json.loads((project / "out/scores.json").read_text())
    assert list(content["sessions"]) == ["one", "two"]
    wer = content["pooled"]["wer"]
    assert (wer["value"], wer["substitutions"], wer["total"]) == (0.2, 2, 10)
    assert wer["low"] <= 0.2 <= wer["high"]
    assert content["interval"]["pooled_draws"] == "segments"
    main.main([*command, *bars])
    assert json.loads((project / "out/scores.json").read_text()) == content


def test_one_session_of_many_references(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["evaluate", "results/export/two", "--reference", "ref.stm"]) == 0
    out = capsys.readouterr().out
    assert "| two " in out
    assert "| one " not in out
    (project / "ref.stm").write_text((project / "ref.stm").read_text() + "three 1 A 0 1 hello\n")
    assert main.main(["evaluate", "results/export", "--reference", "ref.stm"]) == 2
    assert "three: has no transcript to compare with" in capsys.readouterr().err


def test_control_characters_of_a_session_do_not_reach_the_terminal(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "xy":
        (project / f"{name}.json").write_text(json.dumps([{"session_id": "\x1b[2J", "words": "one"}]))
    assert main.main(["evaluate", "x.json", "--reference", "y.json"]) == 0
    assert "\\x1b[2J" in capsys.readouterr().out


def test_a_bar_that_is_missed_fails(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["evaluate", "one", "--reference", "ref.stm", "--max-wer", "0.19"]) == 1
    assert "the WER is 20.00 %, the bar is 19.00 %" in capsys.readouterr().err
    (project / "one.txt").write_text("hello there everyone good morning\n")
    assert main.main(["evaluate", "one", "--reference", "one.txt", "--max-der", "1"]) == 1
    assert "the DER was not measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "three", "--reference", "ref.stm"],
        ["evaluate", "one", "--reference", "gone.stm"],
        ["evaluate", "one", "--reference", "ref.stm", "--collar", "-1"],
        ["evaluate", "one", "--reference", "ref.stm", "--max-wer", "nan"],
        ["diff", "one", "three"],
        ["evaluate", "one", "--reference", "ref.stm", "--resamples", "1"],
        ["evaluate", "one", "--reference", "ref.stm", "--resamples", "0", "--json", "results"],
        ["evaluate", "one", "--reference", "ref.stm", "--resamples", "0", "--json", "ref.stm/x.json"],
        ["diff", "one", "one", "--html", "results"],
    ],
)
def test_what_is_asked_wrongly_is_one_line(
    project: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_command_starts_without_what_is_heavy(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").touch()
    code = "import sys; from sessionscribe.cli import main as cli; code = cli.main(['status'])"
    code += f"; assert not {HEAVY} & set(sys.modules); sys.exit(code)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["evaluate", "diff"])
def test_what_is_no_utf8_is_written_as_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = tmp_path / os.fsdecode(b"M\xfcller.json")
    path.write_text('{"segments": [{"text": "hello \\ud800", "speaker": "A"}]}', encoding="utf-8")
    output = tmp_path / "output"
    options = {
        "evaluate": ["--reference", str(path), "--resamples", "0", "--json", str(output)],
        "diff": [str(path), "--html", str(output)],
    }
    assert main.main([command, str(path), *options[command]]) == 0
    written = output.read_text(encoding="utf-8")
    assert r"M\udcfcller" in written
    if command == "evaluate":
        assert os.fsdecode(b"M\xfcller") in json.loads(written)["sessions"]
    assert capsys.readouterr().out.encode()


def test_names_of_sessions_in_an_error_are_one_short_line() -> None:
    odd = {f"a\n{n}\x1b[31m": said("a") for n in range(1000)}
    with pytest.raises(UserError, match="and 990 more") as caught:
        pairs({"x": said("a")}, odd, every=False)
    assert str(caught.value).isprintable()
    with pytest.raises(UserError, match="and 990 more: has no transcript to compare with") as caught:
        pairs({}, odd, every=False)
    assert str(caught.value).isprintable()


@pytest.mark.skipif(find_spec("meeteval") is None, reason="meeteval is not installed")
def test_attributed_errors_do_not_depend_on_the_names_of_sessions() -> None:
    reference = spoken(("hello there", 0, 1, "A"), ("good morning", 1, 2, "B"), session="this")
    hypothesis = spoken(("hello there", 0, 1, "x"), ("good evening", 1, 2, "y"), session="that")
    for name in ("cpwer", "tcpwer"):
        assert value(reference, hypothesis, name) == 0.25
