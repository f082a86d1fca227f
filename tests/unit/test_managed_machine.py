"""A machine that we start is stopped, and seen to be; one that was up stays up."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sshd
from sessionscribe.core.errors import UserError
from sessionscribe.runners import command_machine, managed_machine
from sessionscribe.runners.command_machine import CommandMachine
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Address, Commands, Settings
from sshd import Host, eventually


class Switch:
    """A host that is off, and the commands that switch it on and off."""

    def __init__(self, host: Host) -> None:
        self.host, pid = host, host.folder / "sshd.pid"
        self.log = host.folder / "commands"
        start = f"{sshd.require_sshd()} -f {host.folder}/sshd_config -E {host.folder}/sshd.log"
        self.commands = Commands(
            start=f"echo start {{host}} >> {self.log}; mkdir -p /run/sshd; {start}",
            stop=f"echo stop >> {self.log}; kill $(cat {pid})",
            state=f"kill -0 $(cat {pid})",
        )

    def machine(self, *, boot_s: float = 300, halt_s: float = 300, **more: Any) -> CommandMachine:
        address = Address("gpu-box", ("-F", str(self.host.config)))
        settings = Settings(self.host.folder, **more)
        machine = CommandMachine("ssh:box", address, self.commands, settings)
        machine.boot_s, machine.halt_s = boot_s, halt_s
        return machine

    def said(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    with sshd.prepared(tmp_path / "host") as host:
        made = Switch(host)
        off = made.commands.stop
        yield made
        subprocess.run(off, shell=True, capture_output=True, check=False)


def test_it_is_started_once_and_stopped_once(switch: Switch) -> None:
    told: list[str] = []
    machine = switch.machine(say=told.append)
    assert machine.state() == "off"
    assert machine.stop_command == ""
    assert machine.start() == machine.look()[1]
    machine.start()  # again after a lost connection
    assert switch.said() == ["start gpu-box"]
    machine.stop()
    machine.stop()
    assert switch.said() == ["start gpu-box", "stop"]
    assert told == ["ssh:box is off: starting it", "ssh:box is stopped"]
    assert machine.state() == "off"


def test_what_was_up_stays_up(switch: Switch) -> None:
    switch.machine().start()
    machine = switch.machine()
    machine.start()
    machine.stop()
    assert machine.state() == "up"
    assert switch.said() == ["start gpu-box"]


def test_only_a_machine_that_we_started_may_stop_itself(switch: Switch) -> None:
    ours, other = switch.machine(stops_itself="poweroff"), switch.machine(stops_itself="poweroff")
    ours.start()
    other.start()
    assert ours.stop_command == "poweroff"
    assert other.stop_command == ""
    ours.stop()


def test_one_that_does_not_stop_is_told_to_the_user(switch: Switch) -> None:
    switch.commands = Commands(switch.commands.start, "echo no power >&2; exit 1", switch.commands.state)
    machine = switch.machine(halt_s=1.5)
    machine.start()
    with pytest.raises(UserError, match="was started by us and may still be running") as error:
        machine.stop()
    assert "no power" in str(error.value)
    assert "stop it by hand" in str(error.value)
    began = time.monotonic()
    machine.stop()  # as at the end of the run: this has been said
    assert time.monotonic() - began < 1
    machine.start()  # it is still ours
    with pytest.raises(UserError, match="was started by us"):
        machine.stop()


def test_a_state_command_that_cannot_be_run_says_nothing(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = switch.commands
    switch.commands = Commands(good.start, good.stop, "no-such-ping {host}")
    with pytest.raises(UnusableError, match=r"state command cannot be run \(.*not found\)"):
        switch.machine().start()
    assert not switch.said(), "it is not started, as nothing would say that it is off again"
    switch.commands = Commands(
        good.start, "true", f"test -e {switch.host.folder}/slow && sleep 9; {good.state}"
    )
    machine = switch.machine(halt_s=1.5)
    machine.start()
    (switch.host.folder / "slow").touch()
    monkeypatch.setattr(command_machine, "COMMAND_S", 0.3)
    with pytest.raises(UserError, match=r"may still be running .*no end within"):
        machine.stop()


def test_one_that_does_not_start_is_of_no_use(switch: Switch) -> None:
    switch.commands = Commands("echo no such machine >&2; exit 1", "true", "false")
    with pytest.raises(UnusableError, match="no such machine"):
        switch.machine().start()


def test_a_start_command_that_is_none_has_started_nothing(switch: Switch) -> None:
    switch.commands = Commands("no-such-command {host}", "exit 1", "exit 1")
    machine = switch.machine(halt_s=60, stops_itself="poweroff")
    with pytest.raises(UnusableError, match=r"start command failed .*not found"):
        machine.start()
    assert machine.stop_command == ""
    began = time.monotonic()
    machine.stop()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("how", ["touch {up}; no-such-command", "{script}", "X=1 {script}", "exec {script}"])
def test_where_another_command_may_have_started_it_is_ours(switch: Switch, how: str) -> None:
    up, script = switch.host.folder / "up", switch.host.folder / "start.sh"
    script.write_text(f"#!/bin/sh\ntouch {up}\nno-such-command\n")
    script.chmod(0o755)
    switch.commands = Commands(how.format(up=up, script=script), f"rm {up}", f"test -e {up}")
    machine = switch.machine()
    with pytest.raises(UnusableError, match="not found"):
        machine.start()
    assert up.exists()
    machine.stop()
    assert not up.exists()


def test_ssh_that_does_not_answer_in_time_is_worth_another_try(switch: Switch) -> None:
    switch.commands = Commands("true", "true", "false")
    with pytest.raises(DisconnectedError, match="ssh does not answer within 1 s"):
        switch.machine(boot_s=1.0).start()


def test_to_stop_ends_the_wait_for_its_start(switch: Switch) -> None:
    up = switch.host.folder / "up"
    switch.commands = Commands(f"touch {up}", f"rm {up}", f"test -e {up}")
    machine, found = switch.machine(), []

    def start() -> None:
        try:
            machine.start()
        except DisconnectedError as error:
            found.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    assert eventually(up.exists, 30)
    machine.stop()
    thread.join(30)
    assert len(found) == 1
    assert not up.exists()


def test_one_that_went_off_by_itself_is_off(switch: Switch) -> None:
    machine = switch.machine(halt_s=5)
    machine.start()
    subprocess.run(switch.commands.stop, shell=True, check=True)
    assert eventually(lambda: machine.state() == "off", 30)
    machine.stop()  # where the stop command fails: nothing is there to be stopped
    assert not machine.stop_command


def test_a_watchdog_stops_one_that_takes_its_time(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed_machine, "STOP_AGAIN_S", 0.0)
    up = switch.host.folder / "up"
    up.touch()
    stop = f"mv {up} {up}.going && (sleep 1.5; rm {up}.going) >/dev/null 2>&1 &"  # the second time it fails
    switch.commands = Commands("false", f"test -e {up} && {stop}", f"test -e {up} || test -e {up}.going")
    machine = switch.machine(halt_s=20)
    machine.stop_orphan()
    assert machine.state() == "off"


def test_one_that_goes_off_while_ssh_is_waited_for_is_started_again(switch: Switch) -> None:
    up, seen = switch.host.folder / "up", switch.host.folder / "seen"
    up.touch()
    switch.commands = Commands(f"touch {up}", f"rm {up}", f"test -e {up} && touch {seen}")
    machine = switch.machine()
    threading.Thread(target=lambda: eventually(seen.exists, 30) and up.unlink()).start()
    with pytest.raises(DisconnectedError, match="went off while we waited for ssh"):
        machine.start()


def test_one_that_still_boots_when_it_is_to_stop_is_stopped_after_that(switch: Switch) -> None:
    up = switch.host.folder / "up"
    switch.commands = Commands("true", f"rm {up}", f"test -e {up}")
    machine = switch.machine(boot_s=0.5)
    with pytest.raises(DisconnectedError):
        machine.start()
    threading.Timer(1, up.touch).start()
    machine.stop()
    assert not up.exists()
