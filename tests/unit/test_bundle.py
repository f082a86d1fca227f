"""Session bundles: what is in them, what an import keeps, and what it refuses before anything is written."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from project import ROOT
from published import TABLE, Clone, rows
from remotes import serving
from sessionscribe.artifacts.provenance import Output, Provenance
from sessionscribe.cli import main as cli
from sessionscribe.core import files, seal
from sessionscribe.manifest import manifest
from sessionscribe.sharing import bundle_reader

Members = list[tuple[zipfile.ZipInfo, bytes]]
UNREADABLE = (
    ("results/transcribe/one/", b"[" * 100_000),
    ("results/transcribe/one/", b"[1]"),
    ("results/transcribe/one/", b'{"a":"\\ud800"}'),
    ("results/settings/one/plan_chunks", b'{"a":' * 100_000),
)
"""Contents of files in a bundle that cannot be given another session's name."""


def project(root: Path, *sessions: str) -> Clone:
    """Return a project in which the commands work, with these sessions and nothing made."""
    root.mkdir(parents=True)
    (root / "config").mkdir()
    (root / "Snakefile").touch()
    models = root.parent / "models"
    for name in ("speech", "voices"):
        (models / name).mkdir(parents=True, exist_ok=True)
        (models / name / "model.bin").write_text(name)
    settings: dict[str, Any] = {
        "manifest": TABLE,
        "chunk": {"target_s": 10, "search_s": 2},
        "transcribe": {"model": str(models / "speech"), "device": "cpu", "compute_type": "int8"},
        "diarize": {"model": str(models / "voices"), "device": "cpu", "chunk_s": 10},
        "export": {"formats": ["json", "srt"]},
    }
    settings["transcribe"]["language"] = "en"
    (root / "config/config.yaml").write_text(yaml.safe_dump(settings))
    manifest.write(root / TABLE, [row for name in sessions for row in rows(name)])
    return Clone(root, settings)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished session ``one`` in ``here``, its work bundle in ``one.work.zip``, and an empty ``there``."""
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        clone = project(root / "here", "one")
        clone.finish()
        project(root / "there")
        patch.chdir(root / "here")
        assert cli.main(["bundle", "one", "--to", ".."]) == 0
    return root


@pytest.fixture
def place(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_disk: None) -> Path:
    """A copy of it; the present folder is ``there``."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    for name in ("here", "there"):
        settings = (tmp_path / name / "config/config.yaml").read_text()
        (tmp_path / name / "config/config.yaml").write_text(settings.replace(str(template), str(tmp_path)))
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path


def clone(place: Path, name: str = "there") -> Clone:
    return Clone(place / name, yaml.safe_load((place / name / "config/config.yaml").read_text()))


def written(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_what_was_packed_is_there_after_an_import(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "../one.work.zip"]) == 0
    assert "one: placed" in (out := capsys.readouterr().out)
    assert "Go on" not in out, "all is done"
    assert clone(place).todo() == {}
    assert clone(place).results() == clone(place, "here").results()
    assert manifest.read(Path(TABLE)) == manifest.read(Path("../here") / TABLE)
    assert cli.main(["import", "../one.work.zip"]) == 0
    assert "one: placed 0 files" in capsys.readouterr().out


def test_results_go_without_audio_and_their_records_say_so(place: Path) -> None:
    os.chdir(place / "here")
    assert cli.main(["bundle", "--results"]) == 0
    os.chdir(place / "there")
    assert cli.main(["import", "../here/bundles"]) == 0
    assert clone(place).todo() == {}
    assert not list(Path("results").rglob("*.flac"))
    assert cli.main(["import", "../one.work.zip"]) == 0
    assert list(Path("results").rglob("*.flac")), "what was left out comes with a bundle that has it"


def test_since_takes_what_is_new(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chdir(place / "here")
    assert cli.main(["bundle", "--since", "../two.work.zip"]) == 2
    assert "two.work.zip: contains no bundle" in capsys.readouterr().err
    assert cli.main(["bundle", "--since", "../one.work.zip"]) == 0
    assert "nothing new: one" in capsys.readouterr().out
    chunk = next(Path("results").rglob("mix.0001.json"))
    chunk.write_text("{}\n")
    (record,) = Path("results/provenance/one").glob("merge_transcript.json")
    content = json.loads(seal.unsealed(record.read_bytes()))
    for entry in content["inputs"]:
        if entry["path"] == str(chunk):
            entry |= {"size": 3, "sha256": files.sha256(chunk)}
    record.write_text(seal.sealed(json.dumps(content, separators=(",", ":"))))
    assert cli.main(["bundle", "--since", "../one.work.zip", "--to", "../parts"]) == 0
    (part,) = (place / "parts").glob("one.part-0001-*.zip")
    with zipfile.ZipFile(part) as archive:
        assert archive.namelist() == ["bundle.json", str(chunk), str(record)]


def test_a_file_that_is_not_what_its_job_wrote_is_not_packed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.chdir(place / "here")
    Path("results/merge/one.json").write_text("{}\n")
    assert cli.main(["bundle", "--results", "--to", "../bad"]) == 1
    assert "one.json: was changed or damaged after its job had written it" in capsys.readouterr().err
    assert not list((place / "bad").glob("*"))


def test_work_done_here_stays(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = clone(place)
    manifest.write(Path(TABLE), rows("one"))
    settings = here.settings | {"merge": {"segment_gap_s": 2.5}}
    Path("config/config.yaml").write_text(yaml.safe_dump(settings))
    here = clone(place)
    here.finish("something else was said")
    before = here.results()
    assert cli.main(["import", "../one.work.zip"]) == 0
    out = capsys.readouterr().out
    assert "kept as made here: assign_speakers" in out
    assert "merge.segment_gap_s: 2.5 here, 1.0 in the bundle" in out
    assert here.results() == before
    assert cli.main(["import", "../one.work.zip", "--force"]) == 0
    assert here.todo()["merge_transcript"] == 1, "what is here now was made with the bundle's settings"
    assert yaml.safe_load(Path("bundles/one.settings.yaml").read_text()) == {"merge": {"segment_gap_s": 1.0}}


def test_another_recording_of_that_name_is_not_touched(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [manifest.replace(row, checksum="f" * 64) for row in rows("one")]
    manifest.write(Path(TABLE), other)
    before = written(Path())
    assert cli.main(["import", "../one.work.zip"]) == 2
    assert "is used for another recording here" in capsys.readouterr().err
    Path("config/.sessions.tsv.lock").unlink()
    assert written(Path()) == before


def test_a_session_whose_name_is_taken_comes_under_another(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = [manifest.replace(row, session="ONE", checksum="f" * 64) for row in rows("one")]
    manifest.write(Path(TABLE), taken)
    assert cli.main(["import", "../one.work.zip"]) == 2, "one name on some systems"
    assert "`--as NAME`" in capsys.readouterr().err
    assert cli.main(["import", "../one.work.zip", "--as", "../two"]) == 2
    assert "../two: is not a valid session name" in capsys.readouterr().err
    assert cli.main(["import", "../one.work.zip", "--as", "two"]) == 0
    assert "2 of 2 chunks" in capsys.readouterr().out
    there = clone(place)
    assert there.todo("two").keys() == {
        "merge_transcript",
        "cluster_speakers",
        "assign_speakers",
        "audit_session",
        "write_export",
    }, "what took long is here"
    assert cli.main(["verify", "two"]) == 0
    before = written(place)
    for start, content in UNREADABLE:
        evil = edited(place, content_of(start, content))
        code, said = cli.main(["import", str(evil), "--as", "three"]), capsys.readouterr().err
        assert (code, len(said.splitlines())) == (2, 1), (start, content[:9], said)
        evil.unlink()
    assert written(place) == before
    assert not list(Path(".sessionscribe").iterdir())


def test_settings_that_name_files_or_models_of_anybody_stay_at_home(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(place / "one.work.zip") as archive:
        (first, text), *members = [(info, archive.read(info)) for info in archive.infolist()]
    about = json.loads(text)
    about["models"] = {}
    for section, name, value in (
        ("transcribe", "model", "evil/model"),
        ("diarize", "model", "../evil"),
        ("name", "voices", "/tmp/voices"),
        ("name", "table", "x.tsv"),
        ("export", "audio", "https://evil.example/"),
        ("export", "pdf_fonts", ["x.ttf"]),
        ("export", "max_lines", 3),
    ):
        about["settings"][section][name] = value
    with zipfile.ZipFile(place / "one.work.zip", "w") as archive:
        archive.writestr(first, json.dumps(about))
        for info, data in members:
            archive.writestr(info, data)
    Path("config/config.yaml").write_text(
        Path("config/config.yaml").read_text().replace("search_s: 2", "search_s: 3")
    )
    assert cli.main(["import", "../one.work.zip"]) == 0
    assert "evil/model in the bundle" in capsys.readouterr().out
    taken = yaml.safe_load(Path("bundles/one.settings.yaml").read_text())
    assert taken == {"chunk": {"search_s": 2.0}, "export": {"max_lines": 3}}


def test_a_speech_model_goes_along_where_asked_for(place: Path) -> None:
    os.chdir(place / "here")
    assert cli.main(["bundle", "--models", "--to", ".."]) == 0
    os.chdir(place / "there")
    own = Path("own")
    own.mkdir()
    (own / "model.bin").write_text("another one")
    settings = clone(place).settings
    settings["transcribe"]["model"] = "own"
    Path("config/config.yaml").write_text(yaml.safe_dump(settings))
    assert cli.main(["import", "../one.work.zip"]) == 0
    taken = yaml.safe_load(Path("bundles/one.settings.yaml").read_text())
    (brought,) = Path("bundles/models").iterdir()
    assert taken == {"transcribe": {"model": str(brought)}}
    settings["transcribe"] |= taken["transcribe"]
    assert Clone(place / "there", settings).todo() == {}, "with the settings that are offered all is done"


def test_the_home_row_keeps_its_source(place: Path) -> None:
    moved = [manifest.replace(row, source="elsewhere/one.flac") for row in rows("one")]
    manifest.write(Path(TABLE), [*moved, *rows("two")])
    before = Path(TABLE).read_bytes()
    assert cli.main(["import", "../one.work.zip"]) == 0
    assert Path(TABLE).read_bytes() == before


def test_corrections_go_along_and_those_that_are_here_stay(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edits = Path("config/corrections/one.tsv")
    (place / "here" / edits).parent.mkdir()
    (place / "here" / edits).write_text("edit\twas\tnow\nwords\ta\tb\n")
    os.chdir(place / "here")
    clone(place, "here").finish()
    assert cli.main(["bundle", "--to", ".."]) == 0
    os.chdir(place / "there")
    assert cli.main(["import", "../one.work.zip"]) == 0
    assert edits.read_bytes() == (place / "here" / edits).read_bytes()
    edits.write_text("edit\twas\tnow\n")
    assert cli.main(["import", "../one.work.zip"]) == 0
    assert "its corrections of one differ from those here, which stay" in capsys.readouterr().err
    assert edits.read_text() == "edit\twas\tnow\n"


def test_a_flipped_byte_anywhere_is_found(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bundle", "--check", "../one.work.zip"]) == 0
    whole = (place / "one.work.zip").read_bytes()
    for at in random.Random(3).sample(range(len(whole)), 40):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << at % 8
        (place / "one.work.zip").write_bytes(spoilt)
        assert cli.main(["bundle", "--check", "../one.work.zip"]) == 2, at
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["s3", "webdav"])
def test_places_on_remotes(place: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    bucket = place / "far/bucket"
    bucket.mkdir(parents=True)
    with serving(kind, place / "far"):
        os.chdir(place / "here")
        assert cli.main(["bundle", "--to", "far:bucket/b"]) == 0
        assert cli.main(["bundle", "--since", "far:bucket/b", "--to", "far:bucket/b"]) == 0
        assert "nothing new: one" in capsys.readouterr().out
        if kind == "s3":
            assert cli.main(["bundle", "--check", "far:bucket/b/one.work.zip"]) == 0
            assert "as it was sent (md5)" in capsys.readouterr().out
        os.chdir(place / "there")
        assert cli.main(["import", "far:bucket/b"]) == 0
        assert cli.main(["status", "--from", "far:bucket/b"]) == 2
    assert clone(place).results() == clone(place, "here").results()
    assert not list(Path(".sessionscribe").iterdir())


# Hostile archives: each is a bundle of which one thing is not as it should be.


def change(about: dict[str, Any], members: Members, name: str, data: bytes) -> None:
    """Put a file into a bundle as a bundle would have it, whatever its name."""
    about["files"].append({"path": name, "size": len(data), "sha256": sha256(data).hexdigest()})
    members.append((zipfile.ZipInfo(name), data))


def renamed(name: str) -> Callable[[dict[str, Any], Members], None]:
    def edit(about: dict[str, Any], members: Members) -> None:
        change(about, members, name, b"{}\n")

    return edit


def about_with(**values: Any) -> Callable[[dict[str, Any], Members], None]:
    return lambda about, _: about.update(values)


def member_with(number: int, **values: Any) -> Callable[[dict[str, Any], Members], None]:
    def edit(_: dict[str, Any], members: Members) -> None:
        for name, value in values.items():
            setattr(members[number][0], name, value)

    return edit


def content_of(start: str, data: bytes) -> Callable[[dict[str, Any], Members], None]:
    """Return what gives another content to the files whose names start so."""

    def edit(about: dict[str, Any], members: Members) -> None:
        for number, (info, _) in enumerate(members):
            if info.filename.startswith(start):
                members[number] = (zipfile.ZipInfo(info.filename), data)
                about["files"][number] |= {"size": len(data), "sha256": sha256(data).hexdigest()}

    return edit


def extra_member(_: dict[str, Any], members: Members) -> None:
    members.append((zipfile.ZipInfo("results/merge/one.other.json"), b"{}"))


def twice(about: dict[str, Any], members: Members) -> None:
    about["files"].append(about["files"][-1])
    members.append(members[-1])


def twin(about: dict[str, Any], members: Members) -> None:
    change(about, members, "results/merge/one.JSON", b"{}")


def missing(_: dict[str, Any], members: Members) -> None:
    members.pop()


def other_content(_: dict[str, Any], members: Members) -> None:
    about, data = members[-1]
    members[-1] = about, data[:-2] + b" \n"


def other_size(about: dict[str, Any], _: Members) -> None:
    about["files"][-1]["size"] -= 1


def bomb(about: dict[str, Any], members: Members) -> None:
    change(about, members, "results/export/one/one.json", bytes(5 << 20))
    members[-1][0].compress_type = zipfile.ZIP_DEFLATED


def of_another_session(about: dict[str, Any], members: Members) -> None:
    change(about, members, "results/merge/two.json", b"{}\n")


def huge(about: dict[str, Any], members: Members) -> None:
    about["rows"] += "x" * (65 << 20)


def link(_: dict[str, Any], members: Members) -> None:
    members[-1][0].external_attr = (stat.S_IFLNK | 0o777) << 16


def two_recordings(about: dict[str, Any], _: Members) -> None:
    lines = about["rows"].splitlines()
    about["rows"] = "\n".join([*lines, lines[1].replace("one\t", "two\t", 1)]) + "\n"


def longest(about: dict[str, Any], _: Members) -> None:
    about["rows"] = about["rows"].replace("\t21\t", "\t1e12\t")


def many_parts(about: dict[str, Any], _: Members) -> None:
    head, row = about["rows"].splitlines()
    parts = [row.replace("recording\tmix", f"live\tp{n}").replace("\t21\t", f"\t9e6\t{n}") for n in (1, 2)]
    about["rows"] = "\n".join([head, *parts]) + "\n"


def record(rule: str, *outputs: str, left_out: tuple[str, ...] = ()) -> bytes:
    made = [Output(path=path, size=3, sha256=sha256(b"{}\n").hexdigest()) for path in outputs]
    return Provenance(rule=rule, key="0" * 12, outputs=made, left_out=list(left_out)).sealed().encode()


def voice_of_all(about: dict[str, Any], members: Members) -> None:
    """In the folder of enrolled voices, by a session of that folder's name."""
    voice = "results/name/voices/0123456789ab.json"
    about |= {"session": "voices", "rows": about["rows"].replace("one\t", "voices\t", 1), "files": []}
    members.clear()
    change(about, members, voice, b"{}\n")
    change(about, members, "results/provenance/voices/embed_voice.json", record("embed_voice", voice))


def left_out(about: dict[str, Any], members: Members) -> None:
    """An export that is said to be no loss."""
    lie = record("write_export", left_out=("results/export/one/one.srt",))
    change(about, members, "results/provenance/one/x.json", lie)


def record_that_is_none(about: dict[str, Any], members: Members) -> None:
    change(about, members, "results/provenance/one/x.json", b'{"rule": 3}\n')


HOSTILE: dict[str, Callable[[dict[str, Any], Members], None]] = {
    "a member that is not listed": extra_member,
    "a member twice": twice,
    "names that are one on some systems": twin,
    "a listed file that is missing": missing,
    "the parent folder": renamed("results/merge/../../Snakefile"),
    "an absolute path": renamed("/etc/cron.d/one"),
    "a backslash": renamed("results\\merge\\one.json"),
    "a drive letter": renamed("C:/results/merge/one.json"),
    "a hidden name": renamed("results/merge/one/.profile"),
    "a name that is a device": renamed("results/export/one/con.txt"),
    "a decomposed letter": renamed("results/export/one/one.e\u0301"),
    "a line break": renamed("results/export/one/one\n.json"),
    "outside of the results": renamed("config/config.yaml"),
    "somebody else's corrections": renamed("config/corrections/two.tsv"),
    "a published form": renamed("results/publish/one/session.json"),
    "a voice": renamed("results/name/voices/0123456789ab.json"),
    "a voice of all": voice_of_all,
    "a folder of a model": renamed("bundles/models/0123456789abcdef/x/model.bin"),
    "a settings file": renamed("bundles/one.settings.yaml"),
    "a name longer than files have": renamed(f"results/export/one/{'x' * 250}"),
    "another session's": of_another_session,
    "a recording that never ends": longest,
    "parts that never end": many_parts,
    "a loss that is said to be none": left_out,
    "a file of no step": renamed("results/merge/one.other.json"),
    "a record that is none": record_that_is_none,
    "a link": link,
    "other content": other_content,
    "another size": other_size,
    "a bomb": bomb,
    "an immense table": huge,
    "a later version": about_with(schema_version=9),
    "unknown keys": about_with(run="rm -rf /"),
    "settings that there are not": about_with(settings={"shell": {"command": "rm"}}),
    "settings that are no matter of results": about_with(settings={"upload": {"to": "evil:"}}),
    "rows of another session": about_with(session="two"),
    "rows of two sessions": two_recordings,
    "rows that are none": about_with(rows='session\t"'),
    "a session that is a path": about_with(session="../x"),
}


def at(data: bytes, position: int, replacement: bytes) -> bytes:
    return data[:position] + replacement + data[position + len(replacement) :]


def last(data: bytes) -> int:
    """Return where the listing's entry of the last member begins."""
    return data.rindex(b"PK\1\2")


RAW: dict[str, Callable[[bytes], bytes]] = {
    "a NUL in a name": lambda data: data.replace(b"results/merge/one.json", b"results/merge/one\0json"),
    "encrypted": lambda data: at(data, last(data) + 8, b"\1"),
    "an unknown compression": lambda data: at(data, last(data) + 10, b"\x0e"),
    "a member that begins where another does": lambda data: at(data, last(data) + 42, bytes(4)),
    "something before it": lambda data: b"#!/bin/sh\n" + data,
    "cut short": lambda data: data[: len(data) // 2],
    "a listing without an end": lambda data: at(data, data.rindex(b"PK\5\6") + 12, b"\xff\xff\xff\xff"),
    "no archive": lambda _: b"{}",
}


@pytest.mark.parametrize("kind", [*HOSTILE, *RAW])
def test_a_hostile_archive_is_refused_with_one_line_and_nothing_is_written(
    place: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind in RAW:
        evil = place / "evil.zip"
        evil.write_bytes(RAW[kind]((place / "one.work.zip").read_bytes()))
    else:
        evil = edited(place, HOSTILE[kind])
    before = written(place)
    assert cli.main(["import", str(evil)]) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith(f"sessionscribe: {evil}: "), said.err
    assert said.out == ""
    assert written(place) == before


def edited(place: Path, edit: Callable[[dict[str, Any], Members], None]) -> Path:
    """Return a copy of the bundle with something changed."""
    with zipfile.ZipFile(place / "one.work.zip") as archive:
        (first, text), *members = [(info, archive.read(info)) for info in archive.infolist()]
    about = json.loads(text)
    edit(about, members)
    evil = place / "evil.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(evil, "w") as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        archive.writestr(first, json.dumps(about))
        for info, data in members:
            archive.writestr(info, data, info.compress_type)
    return evil


@pytest.mark.parametrize("hidden", [False, True])
def test_a_listing_that_would_fill_the_memory_is_not_read(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hidden: bool
) -> None:
    bundle = place / "one.work.zip"
    data = bundle.read_bytes()
    end = data.rindex(b"PK\5\6")
    count, _, size, start = struct.unpack_from("<HHII", data, end + 8)
    if hidden:  # the long form of the end says how large it is, the short one that it is small
        long = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
        long += struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
        bundle.write_bytes(data[:end] + long + at(data[end:], 12, b"\1\0\0\0"))
    monkeypatch.setattr(bundle_reader, "MOST_MANIFEST", size - 1)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert cli.main(["import", "../one.work.zip"]) == 2
    assert "has more members than any session" in capsys.readouterr().err


def test_what_is_too_large_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "../one.work.zip", "--max-gb", "0.000001"]) == 2
    assert "more than 1e-06" in capsys.readouterr().err
    assert not Path("results").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_a_large_bundle_needs_little_memory(place: Path) -> None:
    audio = next((place / "here/results/convert").rglob("*.flac"))
    with audio.open("wb") as file:
        file.truncate(200 << 20)
    record = place / "here/results/provenance/one/convert_audio.mix.json"
    content = json.loads(seal.unsealed(record.read_bytes()))
    for entry in content["outputs"]:
        if entry["path"].endswith(".flac"):
            entry |= {"size": audio.stat().st_size, "sha256": files.sha256(audio)}
    record.write_text(seal.sealed(json.dumps(content, separators=(",", ":"))))
    script = (
        "import sys; from sessionscribe.cli.main import main; code = main(sys.argv[1:]); "
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]); sys.exit(code)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    for folder, command in (("here", ["bundle", "--to", ".."]), ("there", ["import", "../one.work.zip"])):
        done = subprocess.run(
            [sys.executable, "-c", script, *command],
            cwd=place / folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        assert int(done.stdout.split()[-1]) < 200_000, "KB"
