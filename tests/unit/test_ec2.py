"""Instances of EC2: found, started, seen to stop, and what AWS may have against it. On moto's server."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import aws
import sshd
from aws import REGION, Box, Cloud, changed, refusal
from sessionscribe.core.errors import UserError
from sessionscribe.runners import managed_machine
from sessionscribe.runners.ec2 import POWER_OFF, Instance
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Machine, Settings
from sessionscribe.runners.managed_machine import ManagedMachine
from sessionscribe.runners.registry import machine_of

NUMBERS = itertools.count()
Ask = Callable[[], bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with aws.cloud(tmp_path_factory.mktemp("aws")) as server:
        yield server


@pytest.fixture
def cloud(server: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed_machine, "POLL_S", 0.2)


@pytest.fixture
def off(cloud: Cloud) -> tuple[str, str]:
    """The id and the name of an instance that is off."""
    name = f"box-{next(NUMBERS)}"
    return cloud.instance(name), name


@pytest.fixture
def box(cloud: Cloud, off: tuple[str, str], tmp_path: Path) -> Iterator[Box]:
    with sshd.prepared(tmp_path / "host", off[1]) as host:
        made = Box(cloud, host, off[0])
        (tmp_path / "ssh_config").write_text(made.entry)
        yield made
        made.end()


def instance(name: str, *ssh: str, **more: str) -> Machine:
    return machine_of(name, Settings(Path("/project"), ssh=ssh, **more))


def machine(name: str, folder: Path) -> Instance:
    made = instance(name, "-F", str(folder / "ssh_config"))
    assert isinstance(made, Instance)
    assert isinstance(made, ManagedMachine)
    return made


@pytest.mark.parametrize("argument", ["", "-oProxyCommand=x", "a b", "us-east-1/", "me@", "i-1/2"])
def test_what_cannot_be_an_instance_is_said_so(argument: str) -> None:
    with pytest.raises(UserError, match="names no instance"):
        instance(f"ec2:{argument}")


def test_it_is_started_used_and_stopped(box: Box, tmp_path: Path) -> None:
    found = machine(f"ec2:{box.host.name}", tmp_path)
    assert found.state() == "off"
    address = found.start()
    about = box.cloud.about(box.id)
    assert about["State"]["Name"] == "running"
    assert address.destination == box.host.name
    assert address.machine_type == "g5.xlarge"
    assert f"HostName={about['PublicIpAddress']}" in address.options
    assert set(box.asked.read_text().split()) == {about["PublicIpAddress"]}
    assert box.known_hosts.read_text().startswith(box.id), "the key is known by the id, not by the address"
    assert found.stop_command == POWER_OFF
    (alarm,) = box.cloud.alarms()
    assert alarm["Dimensions"] == [{"Name": "InstanceId", "Value": box.id}]
    assert alarm["AlarmActions"] == [f"arn:aws:automate:{REGION}:ec2:stop"]
    assert found.start().destination == address.destination, "again after a lost connection"
    found.stop()
    found.stop()
    assert box.cloud.state(box.id) == "stopped"
    assert box.starts == 1
    assert not box.cloud.alarms()


def test_what_was_up_stays_up(box: Box, tmp_path: Path) -> None:
    box.cloud.client().start_instances(InstanceIds=[box.id])
    found = machine(f"ec2:me@{REGION}/{box.id}", tmp_path)
    assert found.start().destination == f"me@{box.id}"
    assert found.stop_command == ""
    found.stop()
    assert box.cloud.state(box.id) == "running"


def test_whoever_is_killed_has_a_successor_that_stops_it(off: tuple[str, str], cloud: Cloud) -> None:
    program = (
        "from pathlib import Path\n"
        "from sessionscribe.runners.machine import Settings\n"
        "from sessionscribe.runners.registry import machine_of\n"
        "options = Settings(Path.cwd(), ssh=('-o', 'ProxyCommand=echo booting >&2; false'))\n"
        f"machine = machine_of('ec2:{off[0]}', options)\n"
        "machine.start()\n"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=subprocess.DEVNULL,
    )
    assert sshd.eventually(lambda: cloud.state(off[0]) == "running", 20)
    assert cloud.alarms()
    killed.kill()  # while it waits for ssh
    killed.wait()
    assert aws.wait_until_off(cloud, off[0], 15)
    assert sshd.eventually(lambda: not cloud.alarms(), 10)


def test_powering_off_needs_no_password(tmp_path: Path) -> None:
    for name, text in (("id", "echo $FAKE"), ("sudo", 'echo sudo "$@"'), ("shutdown", 'echo shutdown "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    for uid, expected in (("0", "shutdown -P now\n"), ("1000", "sudo -n shutdown -P now\n")):
        environment = {"PATH": str(tmp_path), "FAKE": uid}  # nothing else: this machine stays on
        command = ["/bin/sh", "-c", POWER_OFF]
        assert subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout == (expected)


def test_one_that_would_vanish_when_it_powers_off_is_not_started(cloud: Cloud) -> None:
    box = cloud.instance("fleeting", behaviour="terminate")
    found = instance(f"ec2:{box}")
    with pytest.raises(UnusableError, match="would be terminated") as error:
        found.start()
    assert "--instance-initiated-shutdown-behavior stop" in str(error.value)
    found.stop()
    assert cloud.state(box) == "stopped"


def test_names_that_do_not_name_one(cloud: Cloud) -> None:
    for _ in range(2):
        cloud.instance("twin")
    gone = cloud.instance("gone")
    cloud.client().terminate_instances(InstanceIds=[gone])
    for name, message in (
        ("twin", f"names 2 instances in {REGION}"),
        ("nobody", f"is not an instance in {REGION}"),
        (f"us-east-1/{gone}", "is not an instance in us-east-1"),
        (gone, "was terminated"),
    ):
        found = instance(f"ec2:{name}")
        with pytest.raises(UnusableError, match=message):
            found.start()
        found.stop()


def test_without_credentials_or_region_it_says_what_to_do(
    cloud: Cloud, off: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(UnusableError, match="aws sso login"):
            instance(f"ec2:{off[0]}").start()
        other.delenv("AWS_ACCESS_KEY_ID")
        with pytest.raises(UnusableError, match=r"Unable to locate credentials.*aws configure"):
            instance(f"ec2:{off[0]}").start()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(UnusableError, match="set AWS_REGION"):
        instance(f"ec2:{off[0]}").start()


def test_wrong_credentials_and_missing_permissions(cloud: Cloud, off: tuple[str, str]) -> None:
    cloud.tell("reset-auth", "0")  # from now on moto looks at credentials
    try:
        with pytest.raises(UnusableError, match=r"AWS refuses the credentials \(AuthFailure\)") as error:
            instance(f"ec2:{off[0]}").start()
    finally:
        cloud.tell("reset-auth", "1000000")
    assert aws.SECRET not in str(error.value)


REFUSALS = {
    "InsufficientInstanceCapacity": (500, DisconnectedError, "no capacity for such an instance there now"),
    "UnauthorizedOperation": (403, UnusableError, "do not allow StartInstances.*Allow `ec2:StartInst"),
    "Unheard": (400, UnusableError, r"AWS refuses StartInstances \(Unheard: no\)"),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_what_aws_refuses_is_one_line(
    cloud: Cloud, off: tuple[str, str], monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    status, kind, message = REFUSALS[code]

    def refuse(action: str, _ask: Ask) -> tuple[int, bytes] | None:
        return (status, refusal(code)) if action == "StartInstances" else None

    with changed(cloud, refuse) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        found = instance(f"ec2:{off[0]}")
        with pytest.raises(kind, match=message) as error:
            found.start()
        assert "\n" not in str(error.value)
        found.stop()
    assert cloud.state(off[0]) == "stopped"


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"no gateway"])
def test_what_is_started_while_its_answer_is_lost_is_stopped(
    cloud: Cloud, off: tuple[str, str], monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    answers = iter([(502, body), (403, refusal("UnauthorizedOperation"))])

    def lose(action: str, ask: Ask) -> tuple[int, bytes] | None:
        if action == "StartInstances":
            ask()
            return next(answers)
        return 200, ask().replace(b"<name>running</name>", b"<name>stopped</name>")

    with changed(cloud, lose) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        found = instance(f"ec2:{off[0]}")
        with pytest.raises(DisconnectedError, match="AWS does not answer"):
            found.start()
        assert cloud.state(off[0]) == "running"
        assert found.stop_command, "it may be ours"
        with pytest.raises(UnusableError, match="do not allow StartInstances"):
            found.start()
        assert cloud.alarms()
        found.stop()
    assert cloud.state(off[0]) == "stopped"
    assert not cloud.alarms()


def test_one_that_somebody_terminated_and_aws_has_forgotten_is_off(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = threading.Event()

    def forget(action: str, _ask: Ask) -> tuple[int, bytes] | None:
        known = not forgotten.is_set() or action != "DescribeInstances"
        return None if known else (400, refusal("InvalidInstanceID.NotFound"))

    with changed(box.cloud, forget) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        found = instance(f"ec2:{box.id}", "-F", str(tmp_path / "ssh_config"))
        found.start()
        forgotten.set()
        found.stop()
        with pytest.raises(UnusableError, match="was terminated"):
            found.start()
        found.stop()


def test_where_aws_will_not_stop_it_it_stops_itself(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expire(action: str, _ask: Ask) -> tuple[int, bytes] | None:
        return (400, refusal("RequestExpired")) if action == "StopInstances" else None

    with changed(box.cloud, expire) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        ssh = ("-F", str(tmp_path / "ssh_config"))
        found = instance(f"ec2:{box.id}", *ssh, stops_itself=box.power_off)
        found.start()
        found.stop()
    assert box.cloud.state(box.id) == "stopped"


def test_one_that_still_stops_is_waited_for(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twice it still stops; when it is started, AWS says twice that it is still off.
    stopping, old, started = iter(range(2)), iter(range(2)), threading.Event()

    def delay(action: str, ask: Ask) -> tuple[int, bytes] | None:
        if action == "StartInstances":
            started.set()
        if action == "DescribeInstances" and next(old if started.is_set() else stopping, None) is not None:
            state = b"stopped" if started.is_set() else b"stopping"
            return 200, re.sub(rb"<name>(stopped|running)</name>", b"<name>" + state + b"</name>", ask())
        return None

    with changed(box.cloud, delay) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        found = machine(f"ec2:{box.id}", tmp_path)
        found.start()
        assert next(stopping, None) is next(old, None) is None
        assert found.stop_command, "it is ours"
        found.stop()
    assert box.cloud.state(box.id) == "stopped"


def test_one_that_is_said_to_be_off_still_is_stopped_all_the_same(
    cloud: Cloud, off: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def old(action: str, ask: Ask) -> tuple[int, bytes] | None:
        if action == "StartInstances":
            begun.set()
        return 200, ask().replace(b"<name>running</name>", b"<name>stopped</name>")

    with changed(cloud, old) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        found = instance(f"ec2:{off[0]}")
        with ThreadPoolExecutor(1) as pool:
            start = pool.submit(found.start)
            assert begun.wait(10)
            found.stop()
            assert isinstance(start.exception(10), DisconnectedError)
    assert cloud.state(off[0]) == "stopped"


def test_an_alarm_that_is_not_allowed_is_said_and_no_reason_to_stop(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:1")
    found = machine(f"ec2:{box.id}", tmp_path)
    found.start()
    assert "AWS would not set an alarm" in capsys.readouterr().out
    found.stop()
    assert box.cloud.state(box.id) == "stopped"


def test_no_network_is_worth_another_try(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(DisconnectedError, match="AWS does not answer"):
        instance("ec2:i-0123456789abcdef0").start()
