"""Published sessions: nothing is lost or doubled, whatever was killed, damaged or done by others."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from project import ROOT
from published import DVC_CONFIG, TABLE, Clone, isolate, made_up, moved
from sessionscribe.artifacts.published import Published
from sessionscribe.cli import publish
from sessionscribe.config import settings
from sessionscribe.core import locks
from sessionscribe.core.errors import UserError
from sessionscribe.planning import status
from sessionscribe.planning.session_files import is_safe
from sessionscribe.publish import history, pack, state, unpack, versions
from sessionscribe.publish.dvc_store import RemoteError, Store
from sessionscribe.publish.state import CONTENTS, is_shared

CHUNK = "results/transcribe/one/*/mix.0001.json"


@pytest.fixture(autouse=True)
def dvc_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_disk: None) -> None:
    isolate(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Two finished sessions, not published (do not change them: copy them)."""
    return made_up(tmp_path_factory.mktemp("template") / "here")


@pytest.fixture
def here(template: Clone, tmp_path: Path) -> Clone:
    """Two finished sessions, not published."""
    shutil.copytree(template.root.parent, tmp_path, dirs_exist_ok=True, symlinks=True)
    return moved(tmp_path / "here", template.settings)


@pytest.fixture(scope="module")
def pulled(template: Clone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project that is published and of a clone that pulled it (copy it)."""
    folder = tmp_path_factory.mktemp("pulled")
    shutil.copytree(template.root.parent, folder, dirs_exist_ok=True, symlinks=True)
    here = moved(folder / "here", template.settings)
    here.publish("one")
    here.publish("two")
    clone = here.clone(folder / "there")
    clone.pull("one", "two")
    assert unpack.put_in_place(clone.root) == []
    return folder


@pytest.fixture
def there(pulled: Path, here: Clone) -> Clone:
    """A fresh clone into which both sessions were pulled; ``here`` has published them."""
    shutil.rmtree(here.root.parent / "here")
    shutil.copytree(pulled, here.root.parent, dirs_exist_ok=True, symlinks=True)
    return moved(here.root.parent / "there", here.settings)


def chunk(clone: Clone) -> Path:
    (path,) = clone.root.glob(CHUNK)
    return path


@pytest.mark.parametrize(
    "data",
    ['{"a":1}\n', '{"a":1}', '{"a":\n1}\n', "", "\n", '{"b":"\u2028é\0"}\n', "[1]\n", "x\r\n"],
    ids=repr,
)
def test_a_line_has_the_bytes_of_its_file(data: str) -> None:
    path = 'results/merge/"ä\\".json'
    line = pack.line_of(path, data.encode())
    assert line.count(b"\n") == 1
    assert pack.content_of(path, line) == data.encode()


def test_a_packed_artifact_is_a_line_of_json(here: Clone) -> None:
    here.publish()
    lines = (here.root / "results/publish/one/transcribe.jsonl").read_text().splitlines()
    chunks = {line["path"]: line["content"] for line in map(json.loads, lines)}
    assert chunks[str(chunk(here).relative_to(here.root))] == json.loads(chunk(here).read_bytes())


def test_a_published_page_has_its_waveform(here: Clone, tmp_path: Path) -> None:
    here.settings["export"] = {"formats": ["html", "json"]}
    here.finish()
    here.publish()
    there = here.clone(tmp_path / "there")
    there.pull("one")
    assert unpack.put_in_place(there.root) == []
    for name in ("results/export/one.waveform.json", "results/export/one/one.html"):
        assert (there.root / name).read_bytes() == (here.root / name).read_bytes()
    assert there.todo().keys() == set()


def test_publishing_is_one_commit_a_session_and_nothing_the_second_time(here: Clone) -> None:
    manifest = here.root / TABLE
    manifest.write_text(manifest.read_text() + "\n")
    (here.root / "mine.txt").write_text("staged, and no business of ours")
    here.git("add", "mine.txt")
    assert [here.publish(name).word for name in ("one", "two")] == ["published", "published"]
    shown = here.git("log", "-2", "--reverse", "--name-only", "--format=%s").split("\n")
    assert [line for line in shown if line] == [
        "Publish one: 6 words, demo",
        TABLE,  # without it nobody else knows of the sessions
        "results/publish/one.dvc",
        "Publish two: 6 words, demo",
        "results/publish/two.dvc",
    ]
    assert here.git("status", "--porcelain") == "A  mine.txt\n"
    assert [here.publish(name).word for name in ("one", "two")] == ["unchanged", "unchanged"]


@pytest.mark.parametrize("remote", [True, False])
def test_to_push_is_advised_only_where_others_could_have_the_data(
    here: Clone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], remote: bool
) -> None:
    if not remote:
        (here.root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    monkeypatch.chdir(here.root)
    sessions = [here.session("one")]
    assert publish.publish_sessions(sessions, settings.validate(here.settings), configfiles=[]) == 0
    said = capsys.readouterr().out
    assert "1 published, 0 unchanged" in said
    assert ("git push" in said) is remote
    assert ("No DVC remote is set up" in said) is not remote


def test_the_same_results_are_the_same_version(here: Clone) -> None:
    first = here.publish().version
    shutil.rmtree(here.root / "results/publish/one")
    assert here.publish().version == first
    shutil.rmtree(here.root / "results/publish/.here")
    assert here.publish(force=True).version == first


def test_a_pulled_session_is_finished_without_its_audio(here: Clone, there: Clone) -> None:
    assert there.todo() == there.todo("two") == Counter()
    pulled, made = there.results(), here.results()
    assert {name for name in made if name not in pulled} == {
        "results/convert/one/mix.flac",
        "results/convert/two/mix.flac",
    }
    differ = {name for name in pulled if pulled[name] != made[name]}
    assert differ == {f"results/provenance/{name}/convert_audio.mix.json" for name in ("one", "two")}


def test_a_deleted_chunk_stays_deleted_and_is_redone_alone(there: Clone) -> None:
    (there.root / "recordings").mkdir()
    (there.root / "recordings/one.flac").touch()
    chunk(there).unlink()
    assert unpack.put_in_place(there.root) == []
    todo = Counter(
        # The audio was not published: it is made again, once the recording is found to be the same.
        convert_audio=1,
        transcribe_chunk=1,
        merge_transcript=1,
        assign_speakers=1,
        audit_session=1,
        write_export=1,
    )
    assert there.todo() == todo
    assert there.todo("two") == Counter()
    there.plan().forget()  # as a run does that dies at once
    assert there.todo() == todo


def test_without_the_recording_what_needs_it_is_held_back_and_named(there: Clone) -> None:
    chunk(there).unlink()
    plan = there.plan()
    assert not plan.due()
    assert plan.sessions["one"].done("transcribe_chunk") == 1
    (remark,) = plan.remarks
    assert "one: needs the recording recordings/one.flac" in remark
    assert "1 transcribe_chunk" in remark
    assert [found.status for found in status.collect(plan)] == ["blocked", "complete"]


@pytest.mark.parametrize(
    ("setting", "value", "rules"),
    [
        ("export", {"formats": ["json", "srt", "md"]}, {"write_export"}),
        ("export", {"formats": ["html"]}, {"write_export"}),  # its waveform it does without
        (
            "diarize",
            {"num_speakers": 2},
            {
                "cluster_speakers",
                "assign_speakers",
                "audit_session",
                "write_export",
            },
        ),
        ("transcribe", {"hotwords": "Friday"}, set()),
    ],
)
def test_a_changed_setting_redoes_what_depends_on_it(
    there: Clone, setting: str, value: dict[str, object], rules: set[str]
) -> None:
    there.settings[setting] |= value
    assert there.todo().keys() == rules
    assert bool(there.session().blocked) is (setting == "transcribe")
    waveform = "results/export/one.waveform.json"
    assert there.plan().is_unavailable(waveform) is ("html" in there.settings["export"]["formats"])


def test_forced_work_is_held_back_too(there: Clone) -> None:
    plan = there.plan()
    plan.force(["transcribe_chunk"], everything=False)
    assert not plan.due()


def test_a_dry_look_costs_no_second_unpacking(there: Clone) -> None:
    assert state.unknown(there.root) == []
    there.pull("one")
    assert unpack.put_in_place(there.root) == []
    assert state.unknown(there.root) == []


def test_audio_is_published_where_asked_for(here: Clone, tmp_path: Path) -> None:
    here.publish(audio=True)
    clone = here.clone(tmp_path / "there")
    clone.pull("one")
    assert unpack.put_in_place(clone.root) == []
    assert clone.results() == here.results("one")
    chunk(clone).unlink()
    assert clone.todo()["transcribe_chunk"] == 1
    assert "convert_audio" not in clone.todo()


def test_audio_that_is_not_here_is_left_out_even_where_asked_for(there: Clone) -> None:
    there.publish(audio=True)
    assert Published.read(there.root / "results/publish/one/session.json").left_out == [
        "results/convert/one/mix.flac"
    ]
    assert there.publish(audio=True).word == "unchanged"


def test_results_made_here_are_never_overwritten_unsaid(here: Clone, there: Clone) -> None:
    there.settings["merge"] = {"segment_gap_s": 2}
    there.finish("quite other words")
    mine = there.results()
    here.settings["merge"] = {"segment_gap_s": 3}
    here.finish("words of today")
    here.publish()
    there.git("pull", "-q")
    there.pull("one")
    (problem,) = unpack.put_in_place(there.root)
    assert "has unpublished results" in problem
    assert there.results() == mine
    with pytest.raises(UserError, match="others have published"):
        there.publish()
    assert unpack.unpack(there.root, "one", force=True) > 0
    assert b"words" in there.results()["results/diarize/one.json"]
    assert there.results()["results/diarize/one.json"] == here.results()["results/diarize/one.json"]


def test_a_version_of_others_is_published_over_only_by_force(here: Clone, there: Clone) -> None:
    for clone, words in ((here, "words of today"), (there, "words of mine")):
        clone.settings["merge"] = {"segment_gap_s": 2}
        clone.finish(words)
    theirs = here.publish().version
    there.git("pull", "-q")
    with pytest.raises(UserError, match="not pulled here"):
        there.publish()
    assert history.version_of(there.root, "one") == theirs
    assert there.publish(force=True).version != theirs


def test_changed_results_are_not_published_as_what_the_job_wrote(here: Clone) -> None:
    path = here.root / "results/merge/one.json"
    path.write_bytes(path.read_bytes().replace(b"friday", b"monday"))
    with pytest.raises(UserError, match=r"results/merge/one\.json: was changed or damaged"):
        here.publish()
    assert not (here.root / "results/publish/one").exists()


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_damaged_object_is_refused(here: Clone, tmp_path: Path) -> None:
    here.publish()
    objects = [path for path in (tmp_path / "remote/files/md5").rglob("*") if path.is_file()]
    flip(max(objects, key=lambda path: path.stat().st_size))
    clone = here.clone(tmp_path / "there")
    done = clone.ask("dvc", "pull", "results/publish/one.dvc")
    assert done.returncode != 0
    assert unpack.put_in_place(clone.root) == []
    store = Store(clone.root)
    with pytest.raises(RemoteError, match="missing or damaged"):
        unpack.take(clone.root, store, "one")
    store.close()
    assert clone.results() == {}


def test_a_remote_that_would_not_notice_is_refused(here: Clone) -> None:
    (here.root / ".dvc/config").write_text(DVC_CONFIG.replace("verify = true", "verify = false"))
    with pytest.raises(UserError, match="dvc remote modify store verify true"):
        here.publish()


@pytest.mark.parametrize("name", ["transcribe.jsonl", "diarize.zip", "export/one.srt", CONTENTS])
def test_damage_after_the_pull_is_noticed_before_anything_is_written(
    here: Clone, tmp_path: Path, name: str
) -> None:
    here.publish()
    clone = here.clone(tmp_path / "there")
    clone.pull("one")
    flip(clone.root / "results/publish/one" / name)
    (problem,) = unpack.put_in_place(clone.root)
    assert name in problem or name == CONTENTS  # which then names what it should not
    assert clone.results() == {}


OWN = (
    "results/merge/one.json",
    "results/diarize/one.turns.json",
    "results/transcribe/one/0123456789ab/main.0000.json",
    "results/settings/one/merge_transcript.0123456789ab.json",
    "results/provenance/one/convert_audio.main.json",
    "results/name/one.json",
    "results/name/voices/0123456789ab.json",
    "results/export/one/one.TextGrid",
)
FOREIGN = (
    "/etc/passwd",
    "results/../Snakefile",
    "results/publish/one/session.json",
    "results/publish/one.dvc",
    "results/upload/uploads.tsv",
    "results/upload/one/transcription.json",
    "results/aside/one.json",
    "results/merge/.tmp",
    "scripts/x.py",
    "results//x/y",
    "results/x",
    "results",
    "results/merge/two.json",
    "results/merge/onetwo.json",
    "results/export/two/two.srt",
    "results/settings/two/merge_transcript.0123456789ab.json",
    "results/provenance/one",
    "results/name/one/x.json",
    "results/name/voices/.checksums.json",
    "results/name/voices/../one.json",
    "results/merge/one.\0.json",
    "results/merge/one.\n.json",
    "results/merge/one.\ud800.json",
    "results/merge/one.\u202etxt",
    f"results/merge/one.{'ü' * 128}",
    "results/export/one/a/b/c",
    "",
)


@pytest.mark.parametrize("path", OWN)
def test_a_pack_writes_what_a_sessions_steps_make(path: str) -> None:
    assert is_safe(path, "one") or is_shared(path)


@pytest.mark.parametrize("path", FOREIGN, ids=repr)
def test_a_pack_writes_nowhere_but_among_its_own_results(path: str) -> None:
    assert not is_safe(path, "one")
    assert not is_shared(path)


def test_the_voices_of_all_are_none_of_a_session_of_that_name() -> None:
    assert not is_safe("results/name/voices/x.json", "voices")


@pytest.fixture
def unplaced(there: Clone) -> Clone:
    """A clone into which both sessions were pulled, and nothing is put in its place yet."""
    for path in (*(there.root / "results").iterdir(), there.root / "results/publish/.here"):
        if path.name != "publish":
            shutil.rmtree(path)
    (there.root / "results/publish/one" / CONTENTS).chmod(0o644)
    return there


def claim(clone: Clone, **changes: object) -> list[str]:
    """Change what a pulled session says of its first file, and return what is said of that."""
    contents = clone.root / "results/publish/one" / CONTENTS
    text = json.loads(contents.read_bytes())
    del text["sha256"]  # who makes it up can seal it
    text["files"][0] |= changes
    contents.write_text(json.dumps(text))
    return unpack.put_in_place(clone.root)


def placed(clone: Clone) -> set[str]:
    """Return the sessions whose files are in their place."""
    return {path.split("/")[2].split(".")[0] for path in clone.results()}


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "results/../Snakefile"},
        {"path": "results/merge/two.json"},
        {"path": "results/upload/uploads.tsv"},
        {"path": "results/merge/one.\0.json"},
        {"path": "results/merge/one." + "x" * 300},
        {"path": "results/merge/one.json"},  # twice
        {"pack": "../../../config/config.yaml"},
        {"pack": "/etc/passwd"},
        {"pack": ""},
        {"pack": "export"},
        {"size": -1},
        {"size": 10**15},
    ],
    ids=repr,
)
def test_a_hostile_pack_is_one_line_and_stops_no_other_session(
    unplaced: Clone, changes: dict[str, object]
) -> None:
    (problem,) = claim(unplaced, **changes)
    assert problem.isprintable()
    assert "one" in problem
    assert len(problem) < 500
    assert placed(unplaced) == {"two"}


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 100_000, "null", '"\\ud800"'], ids=["", "{", "[", "0", "s"]
)
def test_a_damaged_pack_is_one_line_and_stops_no_other_session(unplaced: Clone, content: str) -> None:
    (unplaced.root / "results/publish/one" / CONTENTS).write_text(content)
    (problem,) = unpack.put_in_place(unplaced.root)
    assert problem.startswith(f"{unplaced.root}/results/publish/one/")
    assert placed(unplaced) == {"two"}


@pytest.mark.parametrize("change", [{"flags": 5}, {"left_out": 7}, {"key": None}, {"outputs": "x"}], ids=repr)
def test_a_pulled_record_that_is_none_is_refused(unplaced: Clone, change: dict[str, object]) -> None:
    """The plan of all sessions is made of the records, before any job would look into them."""
    folder = unplaced.root / "results/publish/one"
    lines = (folder / "provenance.jsonl").read_text().splitlines(keepends=True)
    line = json.loads(lines[0])
    del line["content"]["sha256"]
    line["content"] |= change
    data = (json.dumps(line["content"]) + "\n").encode()
    (folder / "provenance.jsonl").chmod(0o644)
    (folder / "provenance.jsonl").write_text(pack.line_of(line["path"], data).decode() + "".join(lines[1:]))
    contents = json.loads((folder / CONTENTS).read_bytes())
    del contents["sha256"]
    (entry,) = (entry for entry in contents["files"] if entry["path"] == line["path"])
    entry |= {"size": len(data), "sha256": sha256(data).hexdigest()}
    (folder / CONTENTS).write_text(json.dumps(contents))
    (problem,) = unpack.put_in_place(unplaced.root)
    assert f"{line['path']}: is not the record of a job" in problem
    assert placed(unplaced) == {"two"}


def test_a_folder_in_place_of_a_file_is_one_line(unplaced: Clone) -> None:
    (unplaced.root / "results/merge/one.json").mkdir(parents=True)
    (problem,) = unpack.put_in_place(unplaced.root)
    assert "results/merge/one.json" in problem
    assert "two" in placed(unplaced)


def test_a_pulled_voice_never_replaces_one_that_is_here(unplaced: Clone) -> None:
    """Voices are all sessions': by one of them, nobody decides who speaks in the others."""
    voice = "results/name/voices/0123456789ab.json"
    (unplaced.root / voice).parent.mkdir(parents=True)
    (unplaced.root / voice).write_text("ours")
    pack_file = unplaced.root / "results/publish/one/ingest.jsonl"
    path = json.loads(pack_file.read_text())["path"]
    pack_file.chmod(0o644)
    pack_file.write_text(pack_file.read_text().replace(path, voice, 1))
    assert claim(unplaced, path=voice) == []
    assert (unplaced.root / voice).read_text() == "ours"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("path: one", "path: ../../scripts"),
        ("path: one", "path: two"),
        (".dir", ""),
        ("- md5", "- {}\n- md5"),
    ],
)
def test_a_dvc_file_of_another_folder_is_refused(unplaced: Clone, old: str, new: str) -> None:
    target = unplaced.root / "results/publish/one.dvc"
    text = target.read_text()
    assert old in text
    target.write_text(text.replace(old, new))
    before = {path: path.read_bytes() for path in unplaced.root.rglob("*") if path.is_file()}
    store = Store(unplaced.root)
    with pytest.raises(UserError):
        unpack.take(unplaced.root, store, "one")
    store.close()
    assert {path: content for path, content in before.items() if path.read_bytes() != content} == {}
    assert placed(unplaced) == set()


def test_versions_tell_what_changed_and_come_back(here: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    here.publish()
    first = here.results("one")
    here.settings["transcribe"]["beam_size"] = 3
    here.finish("we will eat again on friday")
    here.publish()
    second = here.results("one")
    store = Store(here.root)
    new, old = versions.collect(here.root, store, "one")
    assert new.words == "1 word differs (16.7%)"
    assert new.changes == ("transcribe.beam_size: 5 → 3",)
    assert (old.words, old.changes) == ("", ())
    text = history.at(here.root, "one", old.revision.commit)
    unpack.take(here.root, store, "one", text=text)
    assert here.results("one").items() >= first.items()
    monkeypatch.chdir(here.root)
    said = "\n".join(publish._after_restore("one", settings.validate(here.settings)))
    assert "a run would redo" in said, "what it was made with is not in force"
    assert "transcribe.beam_size was `5`, is `3`" in said
    here.settings["transcribe"]["beam_size"] = 5
    said = "\n".join(publish._after_restore("one", settings.validate(here.settings)))
    assert said == "`sessionscribe publish one` makes it the newest version."
    here.git("restore", "results/publish/one.dvc")
    unpack.take(here.root, store, "one")
    assert here.results("one") == second  # with the chunks of both, by the names of their folders
    store.close()


def test_an_old_version_does_not_overwrite_what_was_not_published(here: Clone) -> None:
    here.publish()
    revision = here.git("rev-parse", "HEAD").strip()
    here.settings["merge"] = {"segment_gap_s": 2}
    here.finish("never published")
    before = here.results()
    store = Store(here.root)
    with pytest.raises(UserError, match="unpublished results"):
        unpack.take(here.root, store, "one", text=history.at(here.root, "one", revision))
    store.close()
    assert here.results() == before
    assert here.git("status", "--porcelain") == ""


def test_a_revision_without_the_session_is_named(here: Clone) -> None:
    with pytest.raises(UserError, match=r"HEAD: has no published version of one"):
        history.at(here.root, "one", "HEAD")


@pytest.mark.parametrize(
    ("url", "noted"),
    [
        ("webdavs://anna:secret@host:8443/x", "webdavs://host:8443/x"),
        ("https://anna:secret@host/x?sig=secret#secret", "https://host/x"),
        ("s3://bucket/folder", "s3://bucket/folder"),
        ("/srv/store", "/srv/store"),
    ],
)
def test_what_is_noted_of_a_remote_has_no_password(here: Clone, url: str, noted: str) -> None:
    config_file = here.root / ".dvc/config"
    config_file.write_text(DVC_CONFIG.replace("../../remote", url))
    store = Store(here.root)
    assert store.remote == f"store {noted}"
    store.close()


def test_an_address_that_is_none_is_one_clear_line(here: Clone) -> None:
    (here.root / ".dvc/config").write_text(DVC_CONFIG.replace("../../remote", "ssh://[no"))
    with pytest.raises(UserError, match="DVC failed"):
        Store(here.root)


def test_a_half_written_lock_note_of_dvc_is_no_obstacle(here: Clone) -> None:
    here.publish("two")
    (here.root / ".dvc/tmp/rwlock").write_text('{"write": {')
    assert here.publish().word == "published"


@pytest.mark.parametrize("left", ["", "x|{host}|999999|1", None], ids=["other kind", "killed", "none"])
def test_without_file_locks_publishing_works_also_after_kill_9(
    here: Clone, no_locks: None, left: str | None
) -> None:
    lock = here.root / ".dvc/tmp/lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    if left is not None:
        lock.write_text(left.format(host=socket.getfqdn()))
    here.publish()
    assert not lock.exists()


def test_without_file_locks_that_of_another_machine_is_named(here: Clone, no_locks: None) -> None:
    lock = here.root / ".dvc/tmp/lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("x|node7|12|1")
    with pytest.raises(UserError, match=r"belongs to process 12 on node7. Wait .*: rm '.*/.dvc/tmp/lock'"):
        here.publish()


@pytest.mark.parametrize("killed_in", ["added", "push"])
def test_what_was_packed_and_went_no_further_is_published_though_others_looked_at_it(
    here: Clone, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    here.publish()
    before = here.git("rev-parse", "HEAD")
    here.settings["transcribe"]["beam_size"] = 3
    here.finish("we will eat again on friday")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as death:
        death.setattr(Store, killed_in, killed)
        death.setattr(os, "utime", lambda *_, **__: None)  # what is known of it was written, and no more
        with pytest.raises(KeyboardInterrupt):
            here.publish()
    assert unpack.put_in_place(here.root) == []  # as `status` or `run` do
    assert here.publish().word == "published"
    assert here.git("rev-parse", "HEAD") != before
    clone = here.clone(here.root.parent / "there")
    clone.pull("one")
    assert unpack.put_in_place(clone.root) == []
    assert clone.todo() == Counter(), "the new version is there"


def test_a_version_is_named_whole_or_not_at_all(here: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    here.publish()
    target = here.root / "results/publish/one.dvc"
    before = target.read_bytes()
    here.settings["transcribe"]["beam_size"] = 3
    here.finish("we will eat again on friday")

    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".dvc"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left"):
            here.publish()
    assert target.read_bytes() == before
    assert here.git("status", "--porcelain") == ""
    assert here.publish().word == "published"
    assert target.read_bytes() != before


KILLED = """\
import sys
sys.path[:0] = sys.argv[1].split(":")
from pathlib import Path
import published
clone = published.Clone(Path(sys.argv[2]), __import__("json").loads(sys.argv[3]))
print("ready", flush=True)
for name in ("one", "two"):
    clone.publish(name)
"""


def test_after_kill_9_at_any_moment_the_next_one_finishes(here: Clone, tmp_path: Path) -> None:
    """The last of ever longer lives is that of a `publish` which was let alone."""
    command = [
        sys.executable,
        "-c",
        KILLED,
        f"{ROOT}/tests:{ROOT}/scripts",
        str(here.root),
        json.dumps(here.settings),
    ]
    chance, kills = random.Random(6), 0
    for life_s in [chance.uniform(0, 0.3 + 0.3 * i) for i in range(6)]:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(life_s)
        os.killpg(process.pid, signal.SIGKILL)
        kills += process.wait() != 0
        process.stdout.close()
    assert kills
    for name in ("one", "two"):
        here.publish(name)
    assert here.git("status", "--porcelain") == ""
    clone = here.clone(tmp_path / "there")
    clone.pull("one", "two")
    assert unpack.put_in_place(clone.root) == []
    assert clone.todo() == clone.todo("two") == Counter()
    assert len(here.git("log", "--oneline", "results/publish").splitlines()) == 2


def test_killed_between_writing_and_noting_unpacking_goes_on(here: Clone, tmp_path: Path) -> None:
    here.publish()
    clone = here.clone(tmp_path / "there")
    clone.pull("one")
    assert unpack.put_in_place(clone.root) == []
    whole = clone.results()
    shutil.rmtree(clone.root / "results/publish/.here")
    (clone.root / "results/merge/one.json").unlink()
    assert unpack.put_in_place(clone.root) == []
    assert clone.results() == whole


def test_what_another_process_is_packing_is_left_to_it(here: Clone, tmp_path: Path) -> None:
    here.publish()
    clone = here.clone(tmp_path / "there")
    clone.pull("one")
    with locks.locked(clone.root / state.LOCK):
        assert unpack.put_in_place(clone.root) == []
        assert clone.results() == {}
    assert unpack.put_in_place(clone.root) == []
    assert clone.results() != {}


def test_what_is_published_names_what_it_was_made_with(here: Clone) -> None:
    here.publish()
    published = Published.read(here.root / "results/publish/one" / CONTENTS)
    assert published.rows[0]["checksum"] == b"one".hex().ljust(64, "0")
    assert published.settings["transcribe"]["beam_size"] == 5
    assert published.engines[0].model == "demo"
    assert published.transcript == "results/diarize/one.json"
    assert published.left_out == ["results/convert/one/mix.flac"]


def test_what_is_not_committed_is_named_and_what_lies_outside_is_not_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "config").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", root], check=True)
    (root / "config/names.tsv").write_text("session\tspeaker\tname\n")
    (tmp_path / "formats.yaml").write_text("")
    paths = ("config/names.tsv", "config/voices", "../formats.yaml", str(tmp_path / "formats.yaml"))
    assert history.dirty(root, *paths) == {"config/names.tsv"}
