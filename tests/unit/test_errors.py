"""Errors that a user reads, and how a command goes on after one."""

from __future__ import annotations

import pytest

from sessionscribe.errors import UserError, one_by_one
from sessionscribe.storage.rclone import RcloneError


def test_one_that_fails_keeps_no_other_from_being_done(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[int] = []

    def act(number: int) -> None:
        if number == 2:
            raise UserError("is not finished", where="two", hint="Run it first")
        done.append(number)

    assert one_by_one([1, 2, 3], act)
    assert done == [1, 3]
    assert capsys.readouterr().err == "sessionscribe: two: is not finished. Run it first\n"
    assert not one_by_one([1, 3], act)


@pytest.mark.parametrize(("said", "tries"), [("connection refused", 1), ("object not found", 3)])
def test_a_server_that_is_away_is_not_waited_for_again(said: str, tries: int) -> None:
    tried: list[int] = []

    def act(number: int) -> None:
        tried.append(number)
        raise RcloneError("error", [said], where="far:")

    assert one_by_one([1, 2, 3], act)
    assert len(tried) == tries
