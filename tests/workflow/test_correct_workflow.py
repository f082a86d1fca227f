"""Corrections, as a person makes them: an edited export, one command, a run; and back."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import yaml

from project import Project

DUO = ("--config", "sessions=['duo']")
STEPS = Counter(correct_transcript=1, write_export=1)


def edit(project: Project, ending: str, old: str, new: str) -> Path:
    """Make a copy of an export of `duo` and change something in it."""
    given = project / f"results/export/duo/duo.{ending}"
    copy = project / f"edited.{ending}"
    text = given.read_text(encoding="utf-8")
    assert old in text
    copy.write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy


def words_of(project: Project, path: str) -> list[tuple[str, str | None]]:
    found = json.loads((project / path).read_bytes())
    return [(word["text"], word["speaker"]) for part in found["segments"] for word in part["words"]]


def test_an_edited_export_corrects_all_of_them_and_nothing_else(project: Project, finished: Project) -> None:
    before = words_of(project, "results/export/duo/duo.json")
    first = before[0][0]
    copy = edit(project, "srt", first, "Strahd,")
    copy.write_text(copy.read_text(encoding="utf-8").replace("bob:", "Dr Bob:"), encoding="utf-8")
    done = project.sessionscribe("correct", "duo", copy.name, "--author", "Ada")
    assert done.code == 0, done.text
    assert "2 new edits" in done.out
    assert project.plan() == STEPS
    run = project.sessionscribe("run")
    assert run.code == 0, run.text

    wanted = [("Strahd,", before[0][1]), *before[1:]]
    named = [(text, "Dr Bob" if speaker == "bob" else speaker) for text, speaker in wanted]
    assert words_of(project, "results/export/duo/duo.json") == named
    for ending in ("srt", "vtt", "txt", "tsv"):
        text = (project / f"results/export/duo/duo.{ending}").read_text(encoding="utf-8")
        assert "Strahd," in text
        assert "Dr Bob" in text
        assert "bob:" not in text
    assert "Dr_Bob" in (project / "results/export/duo/duo.rttm").read_text()
    (project / "results/correct/duo.json").unlink()
    assert project.plan() == STEPS, "it is looked after like all results"
    assert project.snakemake().code == 0
    for folder in ("results/diarize", "results/merge", "results/transcribe"):
        assert project.results(folder) == finished.results(folder)
    listed = project.sessionscribe("correct", "duo", "--list")
    assert listed.out.endswith("config/corrections/duo.tsv: 2 applied\n")
    # What is corrected is a reference for what the machine heard.
    asked = (
        "evaluate",
        "results/diarize/duo.json",
        "--reference",
        "duo",
        "--resamples",
        "0",
        "--max-wer",
        "0",
    )
    scored = project.command("sessionscribe", *asked)
    assert scored.code == 1, scored.text
    assert "the bar is 0.00 %" in scored.err

    (project / "config/corrections/duo.tsv").unlink()
    assert project.plan() == Counter(write_export=1)
    assert project.snakemake().code == 0
    assert project.results("results/correct") == {}, "nothing there was corrected any more"
    assert project.results("results/export") == finished.results("results/export")


def test_a_bad_corrections_file_spoils_its_session_only(project: Project) -> None:
    folder = project / "config/corrections"
    folder.mkdir()
    (folder / "duo.tsv").write_text("edit\twas\tnow\tspaker\n")
    (folder / "live.tsv").write_bytes("edit\twas\tnow\nwords\tMüller\tb\n".encode("latin-1"))
    (folder / "talk.tsv").write_text("edit\twas\tnow\nname\tSPEAKER_00\tAnna\nname\tSPEAKER_09\tBen\n")
    (folder / "tolk.tsv").write_text("edit\twas\tnow\n")
    assert project.plan() == Counter(correct_transcript=3, write_export=3)
    done = project.sessionscribe("run")
    assert done.code == 1
    told = sorted(line for line in done.text.splitlines() if "correct_transcript failed" in line)
    assert len(told) == 2
    assert "duo.tsv: there is no column `spaker`. Did you mean `speaker`?" in told[0]
    assert "live.tsv: cannot be read" in told[1]
    assert "Save it as UTF-8 text" in told[1]
    assert project.status() == {"talk": "complete", "duo": "failed", "live": "failed"}
    shown = project.sessionscribe("status")
    assert "talk: 1 correction has no place (sessionscribe correct talk --list)" in shown.out
    assert "tolk.tsv: there is no session `tolk`. Did you mean `talk`?" in shown.err
    assert "there is no speaker SPEAKER_09" in project.sessionscribe("correct", "talk", "--list").out
    assert "Anna" in (project / "results/export/talk/talk.txt").read_text()


def test_corrections_stay_when_it_is_transcribed_again(project: Project) -> None:
    copy = edit(project, "txt", words_of(project, "results/export/duo/duo.json")[2][0], "Barovia")
    assert project.sessionscribe("correct", "duo", copy.name).code == 0
    kept = (project / "config/corrections/duo.tsv").read_bytes()
    settings = yaml.safe_load(project.settings.read_text())
    settings["transcribe"]["hotwords"] = "Zermatt"
    project.settings.write_text(yaml.safe_dump(settings))
    shutil.rmtree(project / "results/export/duo")
    done = project.snakemake(*DUO)
    assert done.code == 0, done.text
    (found,) = json.loads((project / "results/correct/duo.corrections.json").read_bytes())["corrections"]
    there = "Barovia" in {text for text, _ in words_of(project, "results/export/duo/duo.json")}
    assert found["state"] == ("applied" if there else "open")
    assert (project / "config/corrections/duo.tsv").read_bytes() == kept
