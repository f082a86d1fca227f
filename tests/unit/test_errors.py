"""Errors that a user reads, and how a command goes on after one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sessionscribe.core.errors import UserError, describe, one_by_one, visible
from sessionscribe.engines.prompts import no_room
from sessionscribe.storage.rclone import RcloneError

THREE = {"one": 1, "two": 2, "three": 3}


def test_messages_quote_only_the_ends_of_what_somebody_pasted() -> None:
    pasted = f"Vallaki{'x' * 20_000}Krezk"
    for message in (
        visible(pasted),
        no_room([pasted]),
        str(UserError(f"there is no `{pasted}`", where=pasted, hint="Look")),
    ):
        assert "Vallaki" in message
        assert "Krezk" in message
        assert len(message) < 1500
    assert visible("/a/path") == "/a/path"
    assert len(visible(pasted, None)) == len(pasted)


def test_one_that_fails_keeps_no_other_from_being_done(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[int] = []

    def act(number: int) -> None:
        if number == 2:
            raise UserError("is not finished", where="two", hint="Run it first")
        done.append(number)

    assert one_by_one(THREE, act)
    assert done == [1, 3]
    assert capsys.readouterr().err == "sessionscribe: two: is not finished. Run it first\n"
    assert not one_by_one({"one": 1, "three": 3}, act)


@pytest.mark.parametrize(("number", "tries"), [(errno.EACCES, 3), (errno.ENOSPC, 1), (errno.EDQUOT, 1)])
def test_a_file_that_cannot_be_read_concerns_one_and_a_full_disk_all(
    capsys: pytest.CaptureFixture[str], number: int, tries: int
) -> None:
    tried: list[int] = []

    def act(item: int) -> None:
        tried.append(item)
        if item == 1:
            raise OSError(number, os.strerror(number))

    assert one_by_one(THREE, act) == (1 if number == errno.EACCES else os.EX_IOERR)
    assert len(tried) == tries
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sessionscribe: one: ")
    assert "report it" not in line


def test_where_nobody_listens_nothing_more_is_done() -> None:
    tried: list[int] = []

    def act(item: int) -> None:
        tried.append(item)
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        one_by_one(THREE, act)
    assert len(tried) == 1


def test_a_full_disk_says_so_and_what_to_do() -> None:
    text = describe(OSError(errno.ENOSPC, "No space left on device", "results/a.json"), "talk")
    assert text.startswith("results/a.json: the disk is full (")
    assert "Make room and run again: nothing is lost" in text
    assert "the disk is full" in describe(OSError(errno.EDQUOT, "quota"), "talk")
    copied = OSError(errno.ENOSPC, "No space left on device", "results/a.json", None, "/there/a.json")
    assert describe(copied, "talk").startswith("/there/a.json: the disk is full (")


def test_whose_a_file_is_that_may_not_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As after one run with `sudo`."""
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "export/talk.txt"))
    assert "belongs to" not in describe(error, "talk")
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert f"permission denied ({tmp_path} belongs to {tmp_path.owner()})" in describe(error, "talk")


@pytest.mark.parametrize(("said", "tries"), [("connection refused", 1), ("object not found", 3)])
def test_a_server_that_is_away_is_not_waited_for_again(said: str, tries: int) -> None:
    tried: list[int] = []

    def act(number: int) -> None:
        tried.append(number)
        raise RcloneError("error", [said], where="far:")

    assert one_by_one(THREE, act)
    assert len(tried) == tries
