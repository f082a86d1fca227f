"""A job whose worker died is a failed one in the status table, though it could not say so itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionscribe.artifacts.provenance import Failure
from sessionscribe.core.errors import UserError
from sessionscribe.runners.errors import DiedError
from snakemake_executor_plugin_warm.executor import note_lost

DEATH = DiedError("its worker was killed by SIGKILL (memory?)")


def request(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "rule": "transcribe_chunk",
        "params": [["settings", settings]],
        "wildcards": [],
        "output": [["chunk", "results/transcribe/talk/abc/mix.0000.json"], [None, ["b"]]],
        "log": [[None, "logs/transcribe/talk/abc/mix.0000.log"]],
    }


def test_the_failure_lies_where_the_job_itself_would_have_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    note_lost(request({"session": "talk"}), DEATH)
    found = Failure.read(tmp_path / "logs/failed/talk/transcribe_chunk.mix.0000.json")
    assert found.session == "talk"
    assert found.output == "results/transcribe/talk/abc/mix.0000.json"
    assert found.log == "logs/transcribe/talk/abc/mix.0000.log"
    died = "talk: transcribe_chunk failed: its worker was killed by SIGKILL (memory?). Run again"
    assert found.message.startswith(died)
    note_lost(request({"session": "talk"}), UserError("has no GPU", where="box", hint="Use another"))
    (path,) = (tmp_path / "logs/failed/talk").iterdir()
    assert Failure.read(path).message == "talk: transcribe_chunk failed: box: has no GPU. Use another"


def test_jobs_of_other_workflows_have_no_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    note_lost(request({"number": 1}), DEATH)
    assert list(tmp_path.iterdir()) == []
