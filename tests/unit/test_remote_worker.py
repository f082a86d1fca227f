"""A worker on another machine: how long a job may take there, and that only whole files come home."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import sshd
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.runners import job_bundle
from sessionscribe.runners.command_machine import CommandMachine
from sessionscribe.runners.connection import Connection
from sessionscribe.runners.costs import PRICES
from sessionscribe.runners.errors import DiedError, DisconnectedError
from sessionscribe.runners.machine import Address, Commands, Machine, Settings
from sessionscribe.runners.machine import Host as AlwaysOn
from sessionscribe.runners.remote import RemoteWorker
from sessionscribe.runners.usage_log import USAGE_LOG
from sshd import Host

JOB = """
import time
from pathlib import Path
time.sleep(snakemake.params.task["sleep_s"])
Path(snakemake.output.made).write_text("made" * snakemake.params.task["words"])
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with sshd.started(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture
def box(host: Host) -> Machine:
    return AlwaysOn("ssh:gpu-box", Address("gpu-box", ("-F", str(host.config))))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = tmp_path / "project"
    (project / "scripts").mkdir(parents=True)
    (project / "scripts/listen.py").write_text(JOB)
    (tmp_path / "staging").mkdir()
    return Settings(project, tmp_path / "staging", python=sys.executable)


def listen(
    machine: Machine,
    settings: Settings,
    seconds: int,
    *,
    sleep_s: float = 0,
    words: int = 1000,
    runtime: int = 0,
) -> dict[str, Any]:
    """Have a job hear a track of some seconds (0: no track), sleep and write, and return the reply."""
    track = f"results/convert/talk/{seconds}.flac"
    (settings.project / track).parent.mkdir(parents=True, exist_ok=True)
    samples = np.zeros(seconds * SAMPLE_RATE, "int16")
    soundfile.write(settings.project / track, samples, SAMPLE_RATE, subtype="PCM_16")
    request = {
        "script": str(settings.project / "scripts/listen.py"),
        "rule": "listen",
        "threads": 1,
        "input": [["audio", track]] if seconds else [],
        "output": [["made", f"results/made/{seconds}.txt"]],
        "params": [["task", {"session": "talk", "sleep_s": sleep_s, "words": words}]],
        "log": [[None, f"logs/{seconds}.log"]],
        "wildcards": [],
        "resources": [["runtime", runtime]] if runtime else [],
    }
    worker = RemoteWorker(machine, settings)
    try:
        return worker.run(request, bool)
    finally:
        worker.close(0)


def test_how_long_a_job_may_take_follows_from_its_audio(
    host: Host, box: Machine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_bundle, "OVERHEAD_S", 0.0)
    patient = replace(settings, per_audio_second=0.5)
    with pytest.raises(DiedError, match="gave no answer within 2 s and was ended"):
        listen(box, patient, 4, sleep_s=3)
    assert sshd.eventually(lambda: not host.processes(), 10)
    assert not (settings.project / "results/made").exists()
    assert "gave no answer" in (settings.project / "logs/4.log").read_text()
    assert listen(box, patient, 40, sleep_s=3)["code"] == 0
    assert (settings.project / "results/made/40.txt").read_text() == "made" * 1000


def test_a_job_that_hears_nothing_has_the_time_that_its_rule_says(
    box: Machine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_bundle, "OVERHEAD_S", 1.0)
    with pytest.raises(DiedError, match="gave no answer within 1 s"):
        listen(box, settings, 0, sleep_s=3)
    # As when models are fetched over a slow line.
    assert listen(box, settings, 0, sleep_s=3, runtime=1)["code"] == 0
    # What hears something is bounded by that (`warm-patience`), however long its rule would wait.
    with pytest.raises(DiedError, match="gave no answer within 2 s"):
        listen(box, replace(settings, per_audio_second=0.5), 2, sleep_s=4, runtime=1)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[int]]:
    """What is fetched, and how often, from now on, a file is changed on its way home."""
    fetch, names_fetched, spoil = Connection.fetch, [], [0]

    def changed(self: Connection, names: list[str], folder: str, into: Path) -> None:
        fetch(self, names, folder, into)
        names_fetched.extend(names)
        if spoil[0]:
            spoil[0] -= 1
            arrived = into / names[0]
            arrived.write_bytes(b"M" + arrived.read_bytes()[1:])

    monkeypatch.setattr(Connection, "fetch", changed)
    return names_fetched, spoil


def test_small_files_come_with_the_reply(
    box: Machine, settings: Settings, fetched: tuple[list[str], list[int]]
) -> None:
    reply = listen(box, settings, 1)
    assert reply["code"] == 0
    assert not fetched[0]
    assert (settings.project / "results/made/1.txt").read_text() == "made" * 1000
    (record,) = map(json.loads, (settings.project / USAGE_LOG).read_text().splitlines())
    assert record["bytes_down"] > len(json.dumps(reply))


@pytest.mark.parametrize("times", [1, 2])
def test_what_does_not_arrive_as_it_was_made_is_fetched_again(
    box: Machine, settings: Settings, fetched: tuple[list[str], list[int]], times: int
) -> None:
    names, fetched[1][0] = fetched[0], times
    made = settings.project / "results/made/1.txt"
    if times == 1:
        assert listen(box, settings, 1, words=500_000)["code"] == 0
        assert made.read_text() == "made" * 500_000
    else:
        with pytest.raises(UserError, match=r"did not arrive intact.*Check the disks"):
            listen(box, settings, 1, words=500_000)
        assert not made.exists()
    assert names == ["results/made/1.txt"] * 2


def test_a_machine_that_was_started_and_never_reached_is_in_the_ledger(settings: Settings) -> None:
    nowhere = Address("nowhere", ("-o", "ProxyCommand=false"))
    machine = CommandMachine("ssh:nowhere", nowhere, Commands("true", "true", "false"), settings)
    machine.boot_s = 0
    with pytest.raises(DisconnectedError, match="ssh does not answer"):
        listen(machine, settings, 1)
    (record,) = map(json.loads, (settings.project / USAGE_LOG).read_text().splitlines())
    assert (record["runner"], record["work"]) == ("ssh:nowhere", {})
    assert record["wall_s"] > 0


def test_a_machine_is_stopped_though_its_price_cannot_be_read(settings: Settings, tmp_path: Path) -> None:
    (settings.project / PRICES).mkdir(parents=True)
    nowhere, up = Address("nowhere", ("-o", "ProxyCommand=false")), tmp_path / "up"
    commands = Commands(f"touch {up}", f"rm {up}", f"test -e {up}")
    machine = CommandMachine("ssh:nowhere", nowhere, commands, settings)
    machine.boot_s = 0
    with pytest.raises(DisconnectedError, match="ssh does not answer"):
        listen(machine, settings, 1)
    assert not up.exists()
    (record,) = map(json.loads, (settings.project / USAGE_LOG).read_text().splitlines())
    assert record["price"] is None
