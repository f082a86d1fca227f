"""Whatever ends a batch: a machine that it started stops, one that was up stays up; the report says which."""

from __future__ import annotations

import pytest

from aws import Box
from batches import PROFILE, Away, network_of, stop_in_the_middle
from project import Project
from sshd import eventually


@pytest.mark.parametrize("how", ["TERM", "INT group", "KILL", "KILL group", "cut"])
def test_a_machine_that_a_batch_started_stops_whatever_ends_it(project: Project, box: Box, how: str) -> None:
    with network_of(box) as (network, address):
        away = Away.prepared(project, box, address)
        away.take_away(3)
        took_s = stop_in_the_middle(away, how, network)
        assert box.cloud.state(box.id) == "stopped"
        assert took_s < 120
        if "KILL" in how:
            assert not away.reports()
            assert eventually(lambda: not away.processes(), 30)
            done = away.run("--max-sessions", "1")
            assert done.returncode == 0, done.stdout + done.stderr
    report = away.reports()[0]
    # When the network is back, the machine is started again.
    ended = {"KILL": "crashed", "KILL group": "crashed", "cut": "success"}
    assert report["status"] == ended.get(how, "interrupted")
    assert report["gpu"]["weStartedIt"]
    assert not report["gpu"]["wasRunning"]
    assert report["gpu"]["stopTime"]
    assert report["gpu"]["costUSD"] > 0
    assert away.events()[:2] == ["start", "ready"]
    assert "stopped" in away.events()
    assert not box.cloud.alarms()


@pytest.mark.parametrize("how", ["KILL", "TERM group"])
def test_a_machine_that_was_up_is_left_running(project: Project, box: Box, how: str) -> None:
    box.cloud.client().start_instances(InstanceIds=[box.id])
    assert eventually(lambda: box.starts, 20)
    with network_of(box) as (network, address):
        away = Away.prepared(project, box, address)
        away.take_away(3)
        stop_in_the_middle(away, how, network)
        assert eventually(lambda: not box.host.processes(), 30)
        if how == "KILL":
            away.run("--max-sessions", "1")
    assert box.cloud.state(box.id) == "running"
    report = away.reports()[0]
    assert report["gpu"]["wasRunning"]
    assert not report["gpu"]["weStartedIt"]
    assert report["gpu"]["startTime"] is None
    assert report["gpu"]["stopTime"] is None
    assert box.starts == 1


def test_a_check_asks_aws_and_starts_nothing(project: Project, box: Box) -> None:
    away = Away.prepared(project, box)
    done = away.run("check")
    assert "ec2:gpu: off; we may start and stop it" in done.stdout, done.stdout + done.stderr
    assert "lock: .sessionscribe/batch-lock.json can be read and written; not locked" in done.stdout
    assert "price of ec2:gpu" in done.stdout
    assert box.starts == 0
    assert away.events() == []
    box.cloud.instance("doomed", behaviour="terminate")
    profile = project / PROFILE / "config.yaml"
    profile.write_text(profile.read_text().replace("ec2:gpu", "ec2:doomed"))
    done = away.run("check")
    assert done.returncode == 1
    assert "FAILED  ec2:doomed: would be terminated" in done.stdout
