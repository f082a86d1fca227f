"""Files that are not what their jobs wrote are found, set aside and made again."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from test_plan import Project

from sessionscribe.core import seal
from sessionscribe.planning.verify import verify


@pytest.fixture
def project(tmp_path: Path, fast_disk: None) -> Project:
    found = Project(tmp_path)
    found.finish()
    for record in (tmp_path / "results/provenance").rglob("*.json"):
        content = json.loads(record.read_text())
        for entry in (*content["inputs"], *content["outputs"]):
            entry["sha256"] = sha256((tmp_path / entry["path"]).read_bytes()).hexdigest()
        record.write_text(json.dumps(content))
    return found


def swap(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"made", b"MADE"))


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_sound_project_differs_nowhere(project: Project) -> None:
    for session in ("talk", "duo", "eve"):
        assert verify(project.root, session, quick=False) == ([], [])


@pytest.mark.parametrize(
    ("spoil", "quick", "found"), [(halve, True, 1), (halve, False, 1), (swap, False, 1), (swap, True, 0)]
)
@pytest.mark.parametrize("rule", ["transcribe_chunk", "embed_chunk", "convert_audio", "write_export"])
def test_a_spoilt_file_is_set_aside_and_made_again(
    project: Project, spoil: Callable[[Path], None], quick: bool, found: int, rule: str
) -> None:
    path = project.files(rule)[0]
    spoil(path)
    spoilt = path.read_bytes()
    assert project.todo("talk") == Counter()
    lines, unrecorded = verify(project.root, "talk", quick=quick)
    assert (len(lines), unrecorded) == (found, [])
    if found:
        name = path.relative_to(project.root)
        assert lines[0].startswith(f"{name}: has ")
        aside = project.root / "results/aside" / name.relative_to("results")
        assert aside.read_bytes() == spoilt
        assert project.todo("talk")[rule] == 1
        path.write_bytes(spoilt)  # again: nothing that was set aside is lost
        verify(project.root, "talk", quick=quick)
        assert aside.with_name(f"{aside.name}.1").read_bytes() == spoilt


def test_a_record_that_is_none_is_set_aside(project: Project) -> None:
    (project.root / "results/provenance/talk/merge_transcript.json").write_text("{")
    lines, _ = verify(project.root, "talk", quick=True)
    assert lines == [
        "results/provenance/talk/merge_transcript.json: is no record of talk; "
        "set aside as results/aside/provenance/talk/merge_transcript.json"
    ]
    assert project.todo("talk")["merge_transcript"] == 1


def test_files_that_no_record_tells_of_are_listed_and_stay(project: Project) -> None:
    project.write("results/export/talk/notes.txt", "mine")
    assert verify(project.root, "talk", quick=False) == ([], ["results/export/talk/notes.txt"])
    assert (project.root / "results/export/talk/notes.txt").exists()


def test_damage_to_files_without_a_record_is_found(project: Project) -> None:
    """After a failed run the records are gone; checksums and names in the files are left."""
    for record in (project.root / "results/provenance/talk").iterdir():
        record.unlink()
    (language,), (first, second, *_) = project.files("detect_language"), project.files("transcribe_chunk")
    language.write_text('{"session":"ta')
    for path, session in ((first, "duo"), (second, "talk")):
        path.write_text(seal.sealed(json.dumps({"session": session})))
    for array in project.files("embed_chunk"):
        with zipfile.ZipFile(array, "w") as archive:
            archive.writestr("x.npy", b"made")
    swap(array)
    (merged,) = project.files("merge_transcript")
    merged.unlink()
    merged.symlink_to("nowhere")
    lines, _ = verify(project.root, "talk", quick=False)
    spoilt = {line.partition(":")[0] for line in lines}
    assert spoilt == {str(path.relative_to(project.root)) for path in (language, first, array, merged)}


def test_the_record_of_another_session_is_none(project: Project) -> None:
    records = project.root / "results/provenance"
    name = "write_export.json"
    (records / "talk" / name).write_bytes((records / "duo" / name).read_bytes())
    lines, _ = verify(project.root, "talk", quick=True)
    assert lines[0].startswith(f"results/provenance/talk/{name}: is no record of talk; ")
