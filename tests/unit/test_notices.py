"""Notices reach a real mail server and a webhook, say what happened, and never more than they may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from remotes import free_port
from sessionscribe.batch import notices, report
from sessionscribe.batch.check import check
from sessionscribe.batch.report import BatchReport, Failure, Gpu, Machine, Transcription
from sessionscribe.config.settings import Config, validate
from webhooks import webhook

SECRET = "T0pS3cretT0ken"
NOW = datetime.now(UTC)


class Mailbox(Message):
    """What the mail server was given."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[EmailMessage] = []

    def prepare_message(self, session: Any, envelope: Any) -> EmailMessage:
        return message_from_bytes(envelope.content, policy=policy.default)  # type: ignore[no-any-return, call-overload]

    def handle_message(self, message: EmailMessage) -> None:  # type: ignore[override]
        self.mails.append(message)


@pytest.fixture
def mail() -> Iterator[tuple[int, Mailbox]]:
    box, port = Mailbox(), free_port()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield port, box
    server.stop()


@pytest.fixture
def hook() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    with webhook() as found:
        yield found


def batch(*, ago: timedelta = timedelta(0), **given: Any) -> BatchReport:
    stamp = (NOW - ago).strftime(report.TIME)
    return BatchReport(timestamp=stamp, status=given.pop("status", "success"), run_id=stamp, **given)


def settings(folder: Path, *urls: str, **told: Any) -> Config:
    (folder / "notify.txt").write_text("# where to\n\n" + "\n".join(urls), encoding="utf-8")
    return validate({"notify": {"urls_file": str(folder / "notify.txt"), **told}})


FAILED = Transcription(chunks_transcribed=21, chunks_failed=3)
FAILURE = Failure(
    session="talk", rule="transcribe_chunk", output="o", key="k", message=SECRET, last_tried="2026-11-30"
)


def test_a_mail_and_a_webhook_say_what_where_and_what_next(
    tmp_path: Path,
    mail: tuple[int, Mailbox],
    hook: tuple[int, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(notices.ADDRESSES, f"json://user:{SECRET}@127.0.0.1:{hook[0]}/{SECRET}")
    url = f"mailto://127.0.0.1:{mail[0]}?to=a@example.com&from=x@example.org&mode=insecure"
    done = batch(status="partial", transcription=FAILED, failures=[FAILURE], completed=["monday", "friday"])
    notices.notify(done, settings(tmp_path, url), tmp_path)
    (message,) = mail[1].mails
    (posted,) = hook[1]
    assert "3 of 24 chunks failed" in message["Subject"]
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    for said in (
        "talk (transcribe_chunk)",
        "sessionscribe status",
        str(tmp_path),
        "2 sessions are finished: monday, friday",
    ):
        assert said in text
        assert said in posted["message"]
    assert SECRET not in text
    assert done.notices == ["sent: failed, session_complete"]


def test_without_digest_each_kind_is_a_message_of_its_own(
    tmp_path: Path, hook: tuple[int, list[dict[str, Any]]]
) -> None:
    gpu = Gpu(we_started_it=True, start_time="2026-11-30T12:00:00Z", runtime_seconds=2400)
    stopped = Machine(runner="ec2:other", we_started_it=True, stop_time="2026-11-30T12:30:00Z")
    machines = [stopped, Machine(runner="ec2:gpu", we_started_it=True)]
    config = settings(tmp_path, f"json://127.0.0.1:{hook[0]}", digest=False)
    notices.notify(batch(gpu=gpu, gpus=machines, completed=["monday"]), config, tmp_path)
    assert sorted(": ec2:gpu was started but not seen to stop" in got["title"] for got in hook[1]) == [
        False,
        True,
    ]


def test_the_same_kind_is_told_once_in_six_hours_and_sessions_are_not_forgotten(
    tmp_path: Path, hook: tuple[int, list[dict[str, Any]]]
) -> None:
    config = settings(tmp_path, f"json://127.0.0.1:{hook[0]}")
    told = []
    for hours in (9, 7, 5, 2):
        one = batch(
            ago=timedelta(hours=hours), status="partial", transcription=FAILED, completed=[f"at-{hours}"]
        )
        if hours == 9:
            one.notices = ["sent: failed, session_complete"]
        elif hours < 7:
            notices.notify(one, config, tmp_path)
            told.append(one.notices)
        path = report.path_for(one, tmp_path)
        one.write(path)
    assert told == [["sent: failed, session_complete"], []]
    (message,) = hook[1]
    assert "2 sessions are finished: at-5, at-7." in message["message"]


def test_what_is_not_asked_for_or_did_not_happen_is_not_told(
    tmp_path: Path, hook: tuple[int, list[dict[str, Any]]]
) -> None:
    url = f"json://127.0.0.1:{hook[0]}"
    known = batch(status="skipped", failures=[FAILURE], reason="1 job is left out")
    notices.notify(known, settings(tmp_path, url), tmp_path)
    failed = batch(status="failed", reason="the lock cannot be read")
    notices.notify(failed, settings(tmp_path, url, events=["high_cost"]), tmp_path)
    assert hook[1] == []


def test_a_day_that_costs_too_much_is_told(tmp_path: Path, hook: tuple[int, list[dict[str, Any]]]) -> None:
    price = {"runner": "ec2:*", "per_hour": 1.5, "currency": "USD", "date": "2026-11-30", "source": "test"}
    use = {
        **dict.fromkeys(("wall_s", "busy_s"), 3600),
        **dict.fromkeys(("bytes_up", "bytes_down"), 0),
        **{"runner": "ec2:gpu", "work": {}, "price": price},
    }
    log = tmp_path / "logs/usage/runners.jsonl"
    log.parent.mkdir(parents=True)
    today, before = NOW.strftime(report.TIME), (NOW - timedelta(days=2)).strftime(report.TIME)
    config = settings(tmp_path, f"json://127.0.0.1:{hook[0]}")
    for stops, messages in (((before, before, today), 0), ((today, today), 1)):
        log.write_text("".join(json.dumps(use | {"stop": stop}) + "\n" for stop in stops))
        notices.notify(batch(), config, tmp_path)
        assert len(hook[1]) == messages
    assert "3.00 USD today" in hook[1][0]["message"]


def test_wrong_addresses_are_a_line_each_without_their_secrets_and_others_are_used(
    tmp_path: Path, hook: tuple[int, list[dict[str, Any]]], capfd: pytest.CaptureFixture[str]
) -> None:
    urls = (f"slakc://{SECRET}", f"json://127.0.0.1:{hook[0]}", f"json://me:{SECRET}@127.0.0.1:9/{SECRET}")
    done = batch(status="failed", reason="the lock cannot be read")
    notices.notify(done, settings(tmp_path, *urls), tmp_path)
    shown = capfd.readouterr()
    lines = shown.err.splitlines()
    assert len(lines) == 2
    assert "notify.txt, line 3: is not an address that Apprise knows" in lines[0]
    assert "notify.txt, line 5: the notification by JSON was not delivered" in lines[1]
    assert len(hook[1]) == 1
    assert done.notices[0] == "sent: failed"
    assert SECRET not in shown.out + shown.err + done.text()


def test_a_server_that_does_not_answer_delays_nothing_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket  # noqa: PLC0415

    monkeypatch.setattr(notices, "LIMIT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = (
            f"mailto://127.0.0.1:{silent.getsockname()[1]}?to=a@example.com&from=x@example.org&mode=insecure"
        )
        done = batch(status="failed", reason="no")
        began = datetime.now(UTC)
        notices.notify(done, settings(tmp_path, url), tmp_path)
    assert datetime.now(UTC) - began < timedelta(seconds=2)
    assert "was not delivered" in done.notices[0]


def test_silence_is_told_by_who_looks(tmp_path: Path, hook: tuple[int, list[dict[str, Any]]]) -> None:
    config = settings(tmp_path, f"json://127.0.0.1:{hook[0]}")
    for one in (batch(ago=timedelta(hours=7)), batch(ago=timedelta(hours=1), status="failed")):
        one.write(report.path_for(one, tmp_path))
    assert "No batch has succeeded since" in notices.notify_of_silence(config, tmp_path)
    assert len(hook[1]) == 1
    quiet = batch(ago=timedelta(hours=2), status="skipped")
    quiet.write(report.path_for(quiet, tmp_path))
    assert notices.notify_of_silence(config, tmp_path) == ""


def test_check_says_where_notices_go_and_tries_them(
    tmp_path: Path,
    hook: tuple[int, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    good = settings(tmp_path, f"json://127.0.0.1:{hook[0]}")
    (tmp_path / "box/requests").mkdir(parents=True)
    (tmp_path / "box/requests/a.json").touch()
    check(good, {"warm-runner": f"mailbox:{tmp_path}/box"}, notify=True, alerts=True)
    shown = capfd.readouterr().out
    assert f"ok      mailbox:{tmp_path}/box: can be read; 1 file\n" in shown
    assert "ok      notifications: sent to JSON" in shown
    assert "FAILED  last batch: No batch has succeeded yet" in shown
    assert [got["message"].splitlines()[0] for got in hook[1]] == [
        "Notifications about batches arrive here.",
        "No batch has succeeded yet.",
    ]
    wrong = settings(tmp_path, f"slakc://{SECRET}")
    assert check(wrong, {}) == 1
    shown = capfd.readouterr().out
    assert "FAILED" in shown
    assert "is not an address that Apprise knows" in shown
    assert SECRET not in shown
