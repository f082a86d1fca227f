"""The scorer of the demo models: perfect exports score perfectly, each kind of error is counted as itself."""

import json

import pytest

from demo_models.evaluation import (
    main,
    pooled,
    read_rttm,
    score_folder,
    score_session,
    tokens_of,
    words_by_turn,
)

TRUTH = {
    "session": "talk",
    "duration_s": 10.0,
    "words": [
        {"text": "Hello", "start": 0.5, "end": 1.0, "speaker": "anna"},
        {"text": "there,", "start": 1.0, "end": 2.0, "speaker": "anna"},
        {"text": "Don't", "start": 1.8, "end": 2.4, "speaker": "ben"},
        {"text": "now.", "start": 2.0, "end": 2.5, "speaker": "anna"},
        {"text": "worry!", "start": 2.4, "end": 4.0, "speaker": "ben"},
    ],
    "turns": [
        {"speaker": "anna", "start": 0.5, "end": 2.5},
        {"speaker": "ben", "start": 1.8, "end": 4.0},
    ],
}
NAMES = {"anna": "SPEAKER_01", "ben": "SPEAKER_00"}


def export(shift: float = 0.0) -> dict:
    words = [
        {
            **word,
            "start": word["start"] + shift,
            "end": word["end"] + shift,
            "speaker": NAMES[word["speaker"]],
        }
        for word in words_by_turn(TRUTH)
    ]
    return {"session": "talk", "duration_s": 10.0, "segments": [{"start": 0.5, "end": 4.0, "words": words}]}


def write(folder, made: dict, turns: list[dict]) -> None:
    (folder / "talk").mkdir(parents=True)
    (folder / "talk" / "talk.json").write_text(json.dumps(made))
    lines = [
        f"SPEAKER talk 1 {t['start']} {t['end'] - t['start']:.3f} <NA> <NA> {NAMES[t['speaker']]} <NA> <NA>"
        for t in turns
    ]
    (folder / "talk" / "talk.rttm").write_text("\n".join(lines) + "\n")


@pytest.fixture
def truth_folder(tmp_path):
    folder = tmp_path / "truth"
    folder.mkdir()
    (folder / "talk.json").write_text(json.dumps(TRUTH))
    (folder / "other.json").write_text(json.dumps({"not": "a truth file"}))
    return folder


def test_normalisation():
    assert [t.text for t in tokens_of(TRUTH["words"])] == ["hello", "there", "don't", "now", "worry"]
    assert [t.text for t in tokens_of([{"text": "Twenty-one (’tis)", "start": 0}])] == [
        "twenty",
        "one",
        "tis",
    ]


def test_overlapping_turns_keep_their_words_together():
    assert [w["text"] for w in words_by_turn(TRUTH)] == ["Hello", "there,", "now.", "Don't", "worry!"]


def test_perfect_export(tmp_path, truth_folder, capsys):
    write(tmp_path / "export", export(), TRUTH["turns"])
    report = tmp_path / "scores.json"
    arguments = ["--export", str(tmp_path / "export"), "--truth", str(truth_folder), "--json", str(report)]
    assert main([*arguments, "--max-wer", "0", "--max-der", "0.001"]) == 0
    figures = json.loads(report.read_text())["all"]
    assert (figures["wer"], figures["der"], figures["word_speaker_accuracy"]) == (0, 0, 1)
    assert (figures["counts_right"], figures["sessions"], figures["start_error_p95_s"]) == (1, 1, 0)
    assert "1 of 1 right" in capsys.readouterr().out


def test_errors_are_counted(tmp_path, truth_folder):
    made = export(shift=0.25)
    words = made["segments"][0]["words"]
    words[0]["text"] = "Hollow"
    words[1]["speaker"] = NAMES["ben"]
    del words[2]
    write(tmp_path / "export", made, [{**TRUTH["turns"][0], "end": 1.5}, TRUTH["turns"][1]])
    (score,) = score_folder(tmp_path / "export", truth_folder)
    assert (score.substitutions, score.deletions, score.insertions, score.words) == (1, 1, 0, 5)
    assert (score.matched, score.right_speaker) == (3, 2)
    assert score.start_errors == pytest.approx([0.25] * 3)
    assert score.missed_s == pytest.approx(1.0)
    assert score.der == pytest.approx(1.0 / 4.2)


def test_no_speech_found(tmp_path):
    (tmp_path / "empty.rttm").write_text("")
    score = score_session(TRUTH, None, read_rttm(tmp_path / "empty.rttm"))
    assert score.der == pytest.approx(1.0)
    assert (score.speakers, score.speakers_found, score.counts_right) == (2, 0, 0)
    empty = score_session(TRUTH, {"segments": []}, read_rttm(tmp_path / "empty.rttm"))
    assert empty.wer == pytest.approx(1.0)


def test_missing_export_is_named(tmp_path, truth_folder, capsys):
    assert main(["--export", str(tmp_path), "--truth", str(truth_folder)]) == 2
    assert "talk.json is missing" in capsys.readouterr().err


def test_pooled_adds_up(tmp_path, truth_folder):
    write(tmp_path / "export", export(), TRUTH["turns"])
    (score,) = score_folder(tmp_path / "export", truth_folder)
    assert pooled([score, score]).speech_s == pytest.approx(2 * score.speech_s)
