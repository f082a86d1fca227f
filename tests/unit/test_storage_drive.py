"""Google Drive as it is: files of one name, shortcuts to nothing, documents, refusals; the real rclone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_storage_sources import add

import drive
import media
from drive import APPS, Drive
from sessionscribe.config.settings import Config, Ingest
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import manifest
from sessionscribe.planning.plan import Plan
from sessionscribe.sharing.find import survey
from sessionscribe.stages.ingest import remote
from sessionscribe.storage import listing, rclone, transfer

FOLDER, SHORTCUT, DOCUMENT = (f"{APPS}.{kind}" for kind in ("folder", "shortcut", "document"))


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    with drive.serving(tmp_path) as served:
        for name, value in served.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("PATIENCE", "HASTE"):
            monkeypatch.setattr(rclone, name, ("--retries=1", "--low-level-retries=1"))
        monkeypatch.setattr(listing, "_features", {})
        monkeypatch.chdir(tmp_path)
        yield served


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.write_tone(tmp_path_factory.mktemp("tone") / "tone.wav", 0.1).read_bytes()


def test_what_is_no_single_recording_is_named_and_all_others_are_added(google: Drive, tone: bytes) -> None:
    rec = google.put("Rec", mime=FOLDER)
    talk = google.put("talk.wav", tone, parent=rec)
    twins = [google.put("twin.wav", tone[:-n], parent=rec) for n in (2, 4)]
    for _ in range(2):
        google.put("[sent] twice.wav", tone[:-6], parent=rec)  # by a recorder that tried again
    gone = {"targetId": "nowhere", "targetMimeType": "audio/wav"}
    google.put("gone.wav", parent=rec, mime=SHORTCUT, shortcutDetails=gone)
    google.put("link.wav", parent=rec, mime=SHORTCUT, shortcutDetails={**gone, "targetId": talk})
    google.put("Notes", b"text", parent=rec, mime=DOCUMENT)

    added = add("gd:Rec")
    assert {row.source for row in added.rows} == {
        "gd:Rec/talk.wav",
        "gd:Rec/[sent] twice.wav",
        "gd:Rec/link.wav",
    }
    problems = {str(problem.where): problem.what for problem in added.problems}
    assert problems == {
        "gd:Rec/twin.wav": f"exists 2 times ({len(tone) - 2} bytes of 2026-11-01 12:00, id {twins[0]}; "
        f"{len(tone) - 4} bytes of 2026-11-01 12:00, id {twins[1]})",
        "gd:Rec/gone.wav": "is a shortcut to a file that is gone, or not shared with this login",
    }
    manifest.write(Path("config/sessions.tsv"), added.rows)
    twins.append(google.put("talk.wav", tone[:-8], parent=rec))  # only now
    found = survey(Plan(Config()), ["gd:Rec"])
    assert [finding.what for finding in found if finding.kind == "unreachable"] == [
        "gd:Rec/gone.wav",
        "gd:Rec/talk.wav",
        "gd:Rec/twin.wav",
    ]
    assert {finding.kind for finding in found} == {"unreachable", "unprocessed"}
    for name, what in {
        "twin.wav": "exists 2 times",
        "gone.wav": "is a shortcut",
        "Notes.docx": "is a Google",
    }.items():
        (problem,) = add(f"gd:Rec/{name}").problems
        assert problem.what.startswith(what)
        with pytest.raises(UserError, match=what):  # what was added before, too
            remote.check(f"gd:Rec/{name}", "md5:0", Ingest())
    assert remote.check("gd:Rec/[sent] twice.wav", "", Ingest()).size == len(tone) - 6
    with pytest.raises(UserError, match="does not exist"):
        remote.check("gd:Rec/other.wav", "", Ingest())
    with pytest.raises(UserError, match="does not exist"):
        remote.check("gd:Other/other.wav", "", Ingest())


def test_of_folders_of_one_name_none_is_passed_over(google: Drive, tone: bytes) -> None:
    for content in (tone, tone[:-2]):
        google.put("talk.wav", content, parent=google.put("Rec", mime=FOLDER))
    week = google.put("Week", mime=FOLDER)
    for content in (tone, tone[:-2]):
        google.put("talk.wav", content, parent=google.put("Monday", parent=week, mime=FOLDER))
    google.put("talk.wav", tone, parent=google.put("Good", mime=FOLDER))
    for source, folder in {
        "gd:Rec": "gd:Rec",
        "gd:Rec/talk.wav": "gd:Rec",
        "gd:Week": "gd:Week/Monday",
    }.items():
        with pytest.raises(UserError, match=r"exists 2 times, of which rclone sees only one \(id-") as error:
            add(source)
        assert error.value.where == folder
    assert len(add("gd:Good").rows) == 1


@pytest.mark.parametrize(
    ("status", "code", "message", "reason", "what"),
    [
        (
            403,
            "downloadQuotaExceeded",
            "The download quota for it has been exceeded.",
            "quota",
            "download limit",
        ),
        (404, "notFound", "Shared drive not found: 0AX", "remote", "no such shared drive"),
    ],
)
def test_a_refusal_has_its_meaning_whatever_was_asked_for(
    google: Drive,
    tone: bytes,
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: int,
    code: str,
    message: str,
    reason: str,
    what: str,
) -> None:
    made = google.put("talk.wav", tone)
    google.refuse = {made: (status, code, message)}
    with pytest.raises(rclone.RcloneError, match=what) as error:
        transfer.download("gd:talk.wav", Path("talk.wav"), "")
    assert error.value.reason == reason
    (problem,) = add("gd:talk.wav").problems
    assert what in problem.what, "where parts are read, too"
    google.refuse = {"list": (status, code, message)}
    with pytest.raises(UserError, match=what):
        add("gd:")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute', rateLimitExceeded",
            "limit",
        ),
        ("<p>your computer or network may be sending automated queries", "limit"),
        ("The user's Drive storage quota has been exceeded., storageQuotaExceeded", "full"),
        ("The user has exceeded their upload limit., userUploadLimitExceeded", "quota"),
        ('empty token found - please run "rclone config reconnect gd:"', "credentials"),
    ],
)
def test_refusals_are_told_apart_though_they_read_alike(message: str, reason: str) -> None:
    assert rclone.RcloneError("error", [f"googleapi: Error 403: {message}"], where="gd:").reason == reason
