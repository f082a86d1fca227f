"""`sessionscribe find`: what is new, moved, changed, gone, unprocessed, incomplete, failed, orphaned."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

import media
from remotes import Server, serving
from sessionscribe.artifacts.provenance import Failure, Output, Provenance
from sessionscribe.cli import main
from sessionscribe.config import settings
from sessionscribe.jobs import job
from sessionscribe.manifest import additions, manifest, sources
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.results import write_settings
from sessionscribe.sharing.find import look_below, survey


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("s3", tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def far(served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (served.folder / "rec").mkdir()
    yield served.folder / "rec"
    shutil.rmtree(served.folder / "rec")


def put(folder: Path, *names: str) -> None:
    tone = media.write_tone(Path("tone.wav"), 0.1).read_bytes()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(tone + name.encode())


def add(*given: str) -> None:
    found = additions.add(
        sources.discover(given),
        manifest.read(Path("config/sessions.tsv")),
        root=Path(),
        settings={},
        exact=False,
        report=lambda *_: None,
    )
    assert not found.problems
    manifest.write(Path("config/sessions.tsv"), found.rows)


def find(*given: str) -> set[tuple[str, str]]:
    plan = Plan(settings.Config())
    found = survey(plan, given)
    return {(finding.kind, finding.what) for finding in found if finding.kind != "unprocessed"}


@pytest.mark.parametrize("where", ["here", "far"])
def test_what_became_of_recordings(far: Path, where: str) -> None:
    folder, place = (far, "far:rec") if where == "far" else (Path("rec"), "rec")
    put(folder, "a.wav", "b.wav", "c.wav", "d.wav")
    add(place)
    assert find() == set()
    (folder / "a.wav").rename(folder / "new name.wav")
    media.write_tone(folder / "b.wav", 0.3)
    (folder / "c.wav").unlink()
    put(folder, "e.wav", "notes.txt")
    assert find() == {
        ("moved", f"{place}/a.wav"),
        ("changed", f"{place}/b.wav"),
        ("gone", f"{place}/c.wav"),
        ("new", f"{place}/e.wav"),
    }
    add(place)
    assert find() == {("gone", f"{place}/c.wav")}


@pytest.mark.parametrize("spelt", ["rec", "rec/", "./rec", "{here}/rec", "../{name}/rec", "link"])
def test_recordings_are_known_however_their_place_is_written(far: Path, tmp_path: Path, spelt: str) -> None:
    put(Path("rec"), "a.wav", "b.wav", "c.wav")
    Path("link").symlink_to("rec")
    add("rec")
    place = spelt.format(here=tmp_path, name=tmp_path.name)
    assert find(place) == set()
    Path("rec/a.wav").rename("rec/new.wav")
    Path("rec/b.wav").unlink()
    put(Path("rec"), "d.wav")
    assert find(place) == {("moved", "rec/a.wav"), ("gone", "rec/b.wav"), ("new", "rec/d.wav")}


def test_recordings_outside_the_project_are_known_however_their_place_is_written(
    far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "audio", "a.wav", "b.wav")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    add("../audio")
    (tmp_path / "audio/b.wav").unlink()
    gone = {("gone", str(tmp_path.resolve() / "audio/b.wav"))}
    assert find("../audio") == find(str(tmp_path / "audio")) == find() == gone


def test_a_folder_is_resolved_once_however_many_files_it_has(
    far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(Path("rec"), "more/c.wav", *(f"{number}.wav" for number in range(50)))
    Path("rec/link.wav").symlink_to("more/c.wav")
    files = [file for group in sources.discover(["rec", "rec/../rec/more"]) for file in group.files]
    asked: list[Path] = []
    plain = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path, **more: asked.append(path) or plain(path, **more))
    noted = additions.notes(files, Path())
    assert len(asked) == 3
    assert sorted(noted.values()) == sorted(
        ["rec/link.wav", "rec/more/c.wav", *(f"rec/{number}.wav" for number in range(50))]
    )


def test_what_was_added_by_name_is_not_gone_for_its_ending(far: Path) -> None:
    put(Path(), "rec/talk.recorded")
    add("rec/talk.recorded")
    assert find() == set()
    Path("rec/talk.recorded").unlink()
    assert find() == {("gone", "rec/talk.recorded")}


def test_new_parts_and_new_live_sessions(far: Path) -> None:
    put(far, "users/u1/eve/chunk-0.wav", "users/u1/eve/chunk-1.wav", "users/u1/noon/chunk-0.wav")
    put(far, "users/u2/eve/chunk-0.wav")
    add("far:rec/users")
    put(far, "users/u1/eve/chunk-2.wav", "users/u1/morning/chunk-0.wav", "users/u1/morning/chunk-1.wav")
    put(far, "users/u1/eve/transcription-chunk-0.json", "users/u2/morning/chunk-0.wav")
    eve, morning, another = "far:rec/users/u1/eve", "far:rec/users/u1/morning", "far:rec/users/u2/morning"
    assert {line for line in find() if line[0] == "new"} == {("new", eve), ("new", morning)}
    assert ("new", another) in find("far:rec/users")
    assert find("far:rec/users/u1/eve") == {("new", eve), ("untranscribed", eve)}
    put(far, "users/u1/eve/transcription-chunk-1.json", "users/u1/eve/transcription-chunk-2.json")
    assert find("far:rec/users/u1/eve") == {("new", eve)}


@pytest.mark.parametrize(
    ("recordings", "places"),
    [
        ("", ""),
        ("rec/2026/a rec/2026/b", "rec/2026"),
        ("Recordings/2026/a Meetings/b", "Meetings Recordings/2026"),  # not the whole Drive
        ("/srv/rec/a /home/x/b", "/home/x /srv/rec"),  # not the whole server
        ("rec/a rec/more/b rec/more/deep/c", "rec"),
        ("rec/u1/s1/a rec/u1/s2/a", "rec/u1"),  # a folder of sessions: others come there
        ("rec/u1/s1/a rec/u1/s2/a rec/u2/s1/a", "rec/u1 rec/u2/s1"),
        ("s1/a s2/a", "s1 s2"),
        ("a rec/b", "* rec"),  # what is right in the root is no reason to search the whole of it
        ("/a /rec/b", "/* /rec"),
    ],
)
def test_remotes_are_searched_where_recordings_are(recordings: str, places: str) -> None:
    assert look_below({PurePosixPath(name).parent for name in recordings.split()}) == places.split()


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ("a/one.wav b/two.wav", "a/new.wav b/new.wav"),  # side by side, in nothing but the bucket
        ("a/one.wav own.wav", "a/new.wav new.wav"),
        ("own.wav", "new.wav"),
    ],
)
def test_a_bucket_is_not_listed_for_what_lies_in_it(
    far: Path, there: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionscribe.storage.locations.S3_REMOTE", "far")
    names = there.split()
    put(far, *names, "music/song.wav")
    add(*(f"s3://rec/{name}" for name in names))
    assert find() == set()
    put(far, *found.split())
    (far / names[-1]).unlink()
    assert find() == {
        *(("new", f"s3://rec/{name}") for name in found.split()),
        ("gone", f"s3://rec/{names[-1]}"),
    }
    assert ("new", "s3://rec/music/song.wav") in find("s3://rec")


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("rec/users/{user}/{session}", [f"rec/users/{user}" for user in range(7)]),
        ("rec/users/{session}/s1", ["rec/users"]),
        ("rec/users/{user}/{session}/s1", [f"rec/users/{user}" for user in range(7)]),
        ("rec/{session}", ["rec"]),
    ],
)
def test_a_thousand_sessions_are_some_places(name: str, places: list[str]) -> None:
    folders = {PurePosixPath(name.format(user=number % 7, session=f"{number:04}")) for number in range(1000)}
    assert look_below(folders) == places


def test_a_drive_is_not_listed_for_what_lies_in_two_of_its_folders(tmp_path: Path, far: Path) -> None:
    drive = tmp_path / "drive"
    put(drive, "own.wav", "Recordings [old]/2026/a.wav", "Meetings/b.wav", "Music/song.wav")
    with serving("webdav", drive, "drive"):
        add("drive:own.wav", "drive:Recordings [old]/2026/a.wav", "drive:Meetings/b.wav")
        assert find() == set()
        put(drive, "Meetings/new.wav", "next.wav")
        (drive / "own.wav").unlink()
        (drive / "Recordings [old]/2026/a.wav").unlink()
        assert find() == {
            ("new", "drive:Meetings/new.wav"),
            ("new", "drive:next.wav"),
            ("gone", "drive:own.wav"),
            ("gone", "drive:Recordings [old]/2026/a.wav"),
        }
        assert ("new", "drive:Music/song.wav") in find("drive:")


def test_a_remote_that_is_away_is_told_of_once(far: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(far, *(f"u{number}/s/a{number}.wav" for number in range(20)), "b/a.wav")
    add("far:rec")
    table = Path("config/sessions.tsv")
    table.write_text(table.read_text().replace("far:rec/u", "nowhere:rec/u"))
    asked: list[str] = []
    plain = sources.discover
    monkeypatch.setattr(
        sources, "discover", lambda given, **more: asked.extend(given) or plain(given, **more)
    )
    assert [(kind, what.partition("/")[0]) for kind, what in find()] == [("unreachable", "nowhere:rec")]
    assert len(asked) < 20


def test_a_remote_that_is_away_hides_nothing_else(far: Path, served: Server) -> None:
    put(far, "a.wav")
    put(Path("rec"), "b.wav")
    add("far:rec", "rec")
    (Path("config/sessions.tsv")).write_text(
        Path("config/sessions.tsv").read_text().replace("far:rec", "nowhere:rec")
    )
    put(Path("rec"), "c.wav")
    assert find() == {("unreachable", "nowhere:rec"), ("new", "rec/c.wav")}


def test_a_server_has_folders_from_its_root_and_from_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nas = tmp_path / "srv"
    with serving("sftp", nas, "nas"):
        put(nas, "vol/a.wav", "rec/b.wav", "rec/more/c.wav")
        add("nas:/vol", "nas:rec")
        assert find() == set()
        shutil.rmtree(nas / "vol")
        (nas / "rec/b.wav").unlink()
        assert find() == {("gone", "nas:/vol/a.wav"), ("gone", "nas:rec/b.wav")}
        # Only the user's folder was looked at.
        assert find("nas:") == {("gone", "nas:rec/b.wav")}


def test_what_failed_and_what_was_begun(far: Path) -> None:
    put(Path("rec"), "a.wav", "b.wav")
    add("rec")
    step = Plan(settings.Config()).sessions["a"].steps.works[0]
    log, about = "logs/ingest/a/mix.log", {"session": "a", "rule": step.rule, "output": step.outputs[0]}
    note, _ = job.notes_of(step.rule, "a", log)
    Failure(message="a.wav: cannot be read. Copy it again", log=log, **about).write(note)
    begun = Plan(settings.Config()).sessions["b"].steps.works[0]
    Path(begun.outputs[0]).parent.mkdir(parents=True)
    Path(begun.outputs[0]).write_text("{}\n")
    made = Output(path=begun.outputs[0], size=3, sha256="")
    write_settings(Path(begun.settings_file), begun.settings)
    Provenance(rule=begun.rule, key=begun.key, outputs=[made]).write(Path(begun.record))
    assert find() == {("failed", "a"), ("incomplete", "b")}


def test_sessions_and_what_belongs_to_none(far: Path) -> None:
    put(Path("rec"), "a.wav")
    add("rec")
    put(Path("results"), "export/old/old.srt", "merge/old.json", "merge/a.json")
    assert find() == {("orphaned", "old")}
    plan = Plan(settings.Config())
    (line,) = (f for f in survey(plan, []) if f.kind == "unprocessed")
    assert str(line) == "unprocessed   a  (0.00 h)"


@pytest.mark.parametrize("place", ["nosuch", "/nosuch/rec", "re", "rec/d.wav"])
def test_a_place_that_is_not_there_is_one_clear_line(
    far: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(Path("rec"), "a.wav")
    add("rec")
    Path("Snakefile").touch()
    assert main.main(["find", "rec", place]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"sessionscribe: {place}: does not exist. Check the name")


@pytest.mark.parametrize("place", ["rec", "./rec/"])
def test_of_a_folder_that_is_gone_its_recordings_tell(far: Path, place: str) -> None:
    put(Path("rec"), "a.wav")
    add("rec")
    shutil.rmtree("rec")
    assert find(place) == {("gone", "rec/a.wav")}
