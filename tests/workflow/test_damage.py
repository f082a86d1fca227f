"""Any file of a finished project that is deleted is found, and made again to the byte."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from project import Project, jobs
from sessionscribe.core import seal

DUO = ("--config", "sessions=['duo']")
EXPORTS = {"write_export": 1}
AUDIT = {"audit_session": 1}
FROM_TRANSCRIPT = {"assign_speakers": 1, **AUDIT, **EXPORTS}
FROM_MERGE = {"merge_transcript": 1, **FROM_TRANSCRIPT}
FROM_TURNS = {"cluster_speakers": 1, **FROM_TRANSCRIPT}
FROM_TIMELINE = {"build_timeline": 1, **FROM_TURNS, **FROM_MERGE}
FROM_PLAN = {"plan_chunks": 1, **FROM_TURNS, **FROM_MERGE}
FROM_AUDIO = {"convert_audio": 1, **FROM_PLAN, **FROM_TIMELINE}
MODEL = {"check_models": 1}


CASES: list[tuple[str, dict[str, int]]] = [
    ("ingest/duo/alice.json", {"fetch_recording": 1}),
    ("ingest/duo/bob.json", {"fetch_recording": 1}),
    ("convert/duo/alice.flac", FROM_AUDIO),
    ("convert/duo/bob.json", FROM_AUDIO),
    ("chunk/duo/alice.plan.json", FROM_PLAN),
    ("chunk/duo/bob.plan.json", FROM_PLAN),
    ("chunk/duo.timeline.json", FROM_TIMELINE),
    ("transcribe/duo/*/language.json", {"detect_language": 1, **MODEL}),
    ("transcribe/duo/*/alice.0000.json", {"transcribe_chunk": 1, **MODEL, **FROM_MERGE}),
    ("transcribe/duo/*/bob.0000.json", {"transcribe_chunk": 1, **MODEL, **FROM_MERGE}),
    ("merge/duo.json", FROM_MERGE),
    ("diarize/duo.turns.json", FROM_TURNS),
    ("diarize/duo.json", FROM_TRANSCRIPT),
    ("audit/duo.json", AUDIT),
    ("provenance/duo/audit_session.json", AUDIT),
    ("export/duo/duo.srt", {"write_export": 1}),
    ("export/duo/duo.json", {"write_export": 1}),
    ("provenance/duo/fetch_recording.alice.json", {"fetch_recording": 1}),
    ("provenance/duo/plan_chunks.bob.json", FROM_PLAN),
    ("provenance/duo/merge_transcript.json", FROM_MERGE),
    ("provenance/duo/write_export.json", {"write_export": 1}),
    ("settings/duo/merge_transcript.*.json", FROM_MERGE),
    ("settings/duo/convert_audio.alice.*.json", FROM_AUDIO),
]


def found(project: Project, pattern: str) -> Path:
    (path,) = (project / "results").glob(pattern)
    return path


def test_a_deleted_file_is_made_again_with_what_depends_on_it(project: Project) -> None:
    for pattern, wanted in CASES:
        path = found(project, pattern)
        path.rename(project / "away")
        assert project.plan(*DUO) == Counter(wanted), pattern
        (project / "away").rename(path)


def test_damage_in_many_places_is_repaired_in_one_run_to_the_byte(
    project: Project, finished: Project
) -> None:
    """By every rule that makes something of tracks; one of a recording's two stretches is heard again."""
    of_tracks = (
        "ingest/duo/alice.json",
        "convert/duo/alice.flac",
        "transcribe/duo/*/language.json",
        "transcribe/duo/*/alice.0000.json",
        "settings/duo/merge_transcript.*.json",
        "provenance/duo/write_export.json",
    )
    of_talk = (
        "diarize/talk/*/0001.npz",
        "transcribe/talk/*/mix.0001.json",
        "export/talk/talk.srt",
        "convert/talk/mix.flac",
    )
    for pattern in (*of_tracks, *of_talk):
        found(project, pattern).unlink()
    both = Counter(FROM_AUDIO | {"transcribe_chunk": 1})
    wanted = both + both + Counter(MODEL | {"fetch_recording": 1, "detect_language": 1, "embed_chunk": 1})
    done = project.snakemake()
    assert done.code == 0, done.text
    assert jobs(project.log()) == wanted
    assert project.results() == finished.results()


def test_every_kind_of_file_has_been_damaged(finished: Project) -> None:
    """Each folder of results, so that a new kind of file gets its case."""
    kinds = {path.name for path in (finished / "results").iterdir()}
    assert kinds == {name.split("/")[0] for name, _ in CASES}


def test_what_cannot_be_written_keeps_the_older_exports(project: Project) -> None:
    """A stage that fails leaves what was finished before."""
    exports = project.results("results/export/duo")
    (chunk,) = (project / "results/transcribe/duo").glob("*/alice.0000.json")
    chunk.unlink()
    tokenizer = project / "tests/data/models/toy-whisper/tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes()[:1000])
    done = project.sessionscribe("run", "--session", "duo")
    assert done.code != 0
    assert project.results("results/export/duo") == exports
    assert project.status()["duo"] == "failed"
    assert project.status()["talk"] != "failed"


# Bits that flip, in files whose size and time stay.

READ_BY = {
    "transcribe/duo/*/alice.0000.json": "merge/duo.json",
    "chunk/duo.timeline.json": "merge/duo.json",
    "diarize/duo.json": "export/duo/duo.srt",
}


def flip(path: Path, at: int) -> None:
    """Change one bit of a file, and neither its size nor its time."""
    data, times = bytearray(path.read_bytes()), path.stat()
    data[at] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_no_flipped_bit_of_a_json_file_is_read_unseen(finished: Project) -> None:
    names = [path for path in (finished / "results").rglob("*.json") if path.parent.parent.name != "export"]
    for data in (path.read_bytes() for path in names):
        assert seal.unsealed(data) != data
        body = data.rindex(b',"sha256":"')
        for at in {*range(0, body, 1 + body // 40), *range(body + 11, len(data) - 3)}:
            with pytest.raises(ValueError, match="damaged"):
                seal.unsealed(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


@pytest.mark.parametrize(("damaged", "reader"), READ_BY.items(), ids=list(READ_BY))
def test_who_reads_a_damaged_file_says_so_and_makes_nothing_of_it(
    project: Project, finished: Project, damaged: str, reader: str
) -> None:
    path, last = found(project, damaged), found(project, reader)
    before = project.results("results/export")
    last.unlink()
    flip(path, path.stat().st_size // 2)
    done = project.snakemake(*DUO)
    assert done.code != 0
    assert f"{path.relative_to(project.root)}: cannot be read (it is damaged" in done.text
    assert "Traceback" not in done.text
    left = project.results("results/export")
    assert all(before[name] == content for name, content in left.items())
    assert project.sessionscribe("verify", "duo").code == 1
    assert project.snakemake(*DUO).code == 0
    aside = {name for name in project.results() if name.startswith("results/aside/")}
    assert project.results() == finished.results() | {name: project.results()[name] for name in aside}


def test_a_copy_of_another_file_is_not_read(project: Project, finished: Project) -> None:
    """The audio of another session has another length; all else says whose it is."""
    copies = {
        "convert/duo/alice.flac": "convert/talk/mix.flac",
        "diarize/talk.turns.json": "diarize/live.turns.json",
    }
    for path, other in copies.items():
        found(project, path).write_bytes(found(project, other).read_bytes())
    found(project, "transcribe/duo/*/alice.0000.json").unlink()
    found(project, "diarize/talk.json").unlink()
    before = project.results("results/export")
    done = project.sessionscribe("run")
    assert done.code == 1
    assert "results/convert/duo/alice.flac: has another length than its track: it was replaced" in done.text
    assert "results/diarize/talk.turns.json: is a copy of another file, of live." in done.text
    left = project.results("results/export")
    assert all(before[name] == content for name, content in left.items())
    assert project.sessionscribe("verify").code == 1
    assert project.snakemake().code == 0
    now = project.results()
    assert {name: now[name] for name in finished.results()} == finished.results()


def test_settings_that_are_not_this_clones_are_written_again(project: Project, finished: Project) -> None:
    """A pulled session brings settings along: which model is loaded is no matter of theirs."""
    path = found(project, "settings/duo/merge_transcript.*.json")
    path.write_text(path.read_text().replace("results/transcribe/duo", "results/transcribe/live"))
    (project / "results/merge/duo.json").unlink()
    assert project.snakemake(*DUO).code == 0
    assert project.results() == finished.results()
