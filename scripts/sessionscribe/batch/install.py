"""The schedule of `sessionscribe batch`: a systemd user timer, a launchd agent, or a crontab line."""

from __future__ import annotations

import getpass
import os
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sessionscribe.core.errors import UserError, complain
from sessionscribe.core.files import write_text
from sessionscribe.core.fingerprint import fingerprint

Kind = Literal["systemd", "launchd", "cron"]

ENVIRONMENT = ".config/sessionscribe/env"
"""The file with credentials in the user's home: ``NAME=value`` lines."""
LINGER = "Let it run while you are logged out: loginctl enable-linger"
STOP_S = 300
"""How long a batch may take to stop its machine when it is interrupted."""


@dataclass(frozen=True)
class Schedule:
    """A batch that runs regularly.

    Attributes:
        project: the project's folder, absolute.
        minutes: the interval, which divides an hour, or is a number of hours that divides a day.
        arguments: the arguments of ``sessionscribe batch once``.
    """

    project: Path
    minutes: int = 120
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The schedule's name, unique to the project."""
        folder = re.sub(r"[^A-Za-z0-9]+", "-", self.project.name).strip("-")
        return f"sessionscribe-batch-{folder}-{fingerprint(str(self.project))[:6]}"

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [str(Path(sys.executable).with_name("sessionscribe")), "batch", "once", *self.arguments]

    @property
    def path(self) -> str:
        """The search path for programs, beginning with this environment."""
        return f"{Path(sys.executable).parent}:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin"


def minutes(text: str) -> int:
    """Return an interval such as ``30m``, ``2h`` or ``1d`` in minutes.

    Raises:
        UserError: it is not an interval, or does not divide a day.
    """
    found = re.fullmatch(r"(\d+)(m|h|d)", text)
    number = int(found[1]) * {"m": 1, "h": 60, "d": 24 * 60}[found[2]] if found else 0
    if not number or not (60 % number == 0 or (number % 60 == 0 and 24 * 60 % number == 0)):
        hint = "Use minutes that divide an hour or hours that divide a day: 30m, 2h, 1d"
        raise UserError(f"`{text}` is not a valid interval", where="--every", hint=hint)
    return number


def units(schedule: Schedule) -> dict[str, str]:
    """Return the systemd user units by name."""
    every, project = schedule.minutes, _specifier(str(schedule.project))
    times = f"*:00/{every}:00" if every < 60 else f"00/{every // 60}:00:00" if every < 1440 else "00:00:00"
    command = " ".join(_quoted(word).replace("$", "$$") for word in schedule.command)
    service = f"""\
[Unit]
Description=sessionscribe batch in {project}

[Service]
Type=oneshot
WorkingDirectory={project}
Environment={_quoted(f"PATH={schedule.path}")}
EnvironmentFile=-%h/{ENVIRONMENT}
ExecStart={command}
# Another batch is running, which is no failure.
SuccessExitStatus=75
Nice=10
TimeoutStartSec=infinity
# Like Ctrl-C: the batch stops its machine and writes its report.
KillSignal=SIGINT
TimeoutStopSec={STOP_S}
# If the batch is killed, spare the process that stops its machine. Jobs end with the batch anyway.
KillMode=process
OOMPolicy=continue
"""
    timer = f"""\
[Unit]
Description=sessionscribe batch in {project}, every {every} min

[Timer]
OnCalendar=*-*-* {times}
RandomizedDelaySec=60
# Catch up after the machine was off.
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{schedule.name}.service": service, f"{schedule.name}.timer": timer}


def agent(schedule: Schedule) -> bytes:
    """Return the launchd agent (a property list); it catches up when the machine wakes up."""
    every = schedule.minutes
    if every < 60:
        times = [{"Minute": minute} for minute in range(0, 60, every)]
    else:
        times = [{"Hour": minute // 60, "Minute": 0} for minute in range(0, 1440, every)]
    log = str(schedule.project / "logs/batch/launchd.log")
    return plistlib.dumps(
        {
            "Label": schedule.name,
            "ProgramArguments": [
                "/bin/sh",
                "-c",
                f"{_environment()}exec {shlex.join(schedule.command)}",
            ],
            "WorkingDirectory": str(schedule.project),
            "EnvironmentVariables": {"PATH": schedule.path},
            "StartCalendarInterval": times,
            "StandardOutPath": log,
            "StandardErrorPath": log,
            "ProcessType": "Background",
            "Nice": 10,
            "ExitTimeOut": STOP_S,
            "AbandonProcessGroup": True,  # what stops the machine outlives a batch that was killed
        },
        sort_keys=False,
    )


def crontab_line(schedule: Schedule) -> str:
    """Return the crontab line, which a comment identifies."""
    every = schedule.minutes
    times = f"*/{every} *" if every < 60 else f"0 */{every // 60}" if every < 1440 else "0 0"
    folder, path = shlex.quote(str(schedule.project)), shlex.quote(schedule.path)
    command = (
        f"cd {folder} && mkdir -p logs/batch && export PATH={path} && "
        f"{{ {_environment()}nice {shlex.join(schedule.command)}; }} >>logs/batch/cron.log 2>&1"
    )
    # In a crontab, an unescaped % ends the command.
    return f"{times} * * * {command.replace('%', chr(92) + '%')} # {schedule.name}"


def install(schedule: Schedule, *, kind: Kind | None = None, show: bool = False) -> None:
    """Set the schedule up, replacing an older one of this project, or only ``show`` the files.

    Raises:
        UserError: this machine has no scheduler, or it refused.
    """
    kind = kind or _kind(show=show)
    if show:
        print(_text(schedule, kind), end="")
    elif kind == "systemd":
        for name, text in units(schedule).items():
            write_text(_unit_folder() / name, text)
        _call("systemctl", "--user", "daemon-reload")
        _call("systemctl", "--user", "enable", "--now", f"{schedule.name}.timer")
        print(f"installed {schedule.name}.timer: systemctl --user list-timers shows the next run")
        if _ends_at_logout():
            complain(UserError("stops when you log out", where="the timer", hint=LINGER))
    elif kind == "launchd":
        path = _agent_path(schedule)
        (schedule.project / "logs/batch").mkdir(parents=True, exist_ok=True)
        write_text(path, agent(schedule).decode())
        domain = f"gui/{os.getuid()}"
        _call("launchctl", "bootout", f"{domain}/{schedule.name}", check=False)
        _call("launchctl", "bootstrap", domain, str(path))
        print(f"installed {path}")
    else:
        _write_crontab([*_other_lines(schedule), crontab_line(schedule)])
        print(f"installed {schedule.name} in the crontab: crontab -l shows it")


def uninstall(schedule: Schedule) -> bool:
    """Remove the schedule of a project from every scheduler; return whether there was one."""
    kinds = _installed(schedule)
    if "systemd" in kinds:
        _call("systemctl", "--user", "disable", "--now", f"{schedule.name}.timer", check=False)
        for name in units(schedule):
            (_unit_folder() / name).unlink(missing_ok=True)
        _call("systemctl", "--user", "daemon-reload", check=False)
    if "launchd" in kinds:
        _call("launchctl", "bootout", f"gui/{os.getuid()}/{schedule.name}", check=False)
        _agent_path(schedule).unlink()
    if "cron" in kinds:
        _write_crontab(_other_lines(schedule))
    return bool(kinds)


def state(schedule: Schedule) -> str:
    """Return whether a project has a schedule, and its next run if that is known.

    Raises:
        UserError: the schedule is not active.
    """
    kinds = _installed(schedule)
    if "systemd" in kinds:
        asked = ["systemctl", "--user", "show", f"{schedule.name}.timer"]
        said = _output(*asked, "--property=ActiveState", "--property=NextElapseUSecRealtime")
        if "ActiveState=active" not in said:
            hint = f"systemctl --user enable --now {schedule.name}.timer"
            raise UserError("is not active", where=f"{schedule.name}.timer", hint=hint)
        if _ends_at_logout():
            raise UserError("stops when you log out", where=f"{schedule.name}.timer", hint=LINGER)
        return f"systemd, next at {said.partition('NextElapseUSecRealtime=')[2].partition(chr(10))[0]}"
    return kinds[0] if kinds else "none; `sessionscribe batch install` sets one up"


def _installed(schedule: Schedule) -> list[Kind]:
    """Return the schedulers that have a project's schedule."""
    there: dict[Kind, bool] = {
        "systemd": any((_unit_folder() / name).exists() for name in units(schedule)),
        "launchd": _agent_path(schedule).exists(),
        "cron": _other_lines(schedule) != _crontab(),
    }
    return [kind for kind, is_there in there.items() if is_there]


def _text(schedule: Schedule, kind: Kind) -> str:
    if kind == "systemd":
        return "\n".join(f"# {_unit_folder() / name}\n{text}" for name, text in units(schedule).items())
    return agent(schedule).decode() if kind == "launchd" else f"{crontab_line(schedule)}\n"


def _kind(*, show: bool) -> Kind:
    """Return this machine's scheduler; to show files, the platform's usual one.

    Raises:
        UserError: there is none.
    """
    if sys.platform == "darwin":
        return "launchd"
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    if show or (shutil.which("systemctl") and Path(runtime, "systemd/private").exists()):
        return "systemd"
    if shutil.which("crontab"):
        return "cron"
    hint = "Give the command that `sessionscribe batch install --print` shows to your own scheduler"
    raise UserError("has neither a systemd user manager nor cron", where="this machine", hint=hint)


def _unit_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "systemd/user")


def _agent_path(schedule: Schedule) -> Path:
    return Path.home() / "Library/LaunchAgents" / f"{schedule.name}.plist"


def _environment() -> str:
    """Return the shell commands that read the file with credentials, if it exists."""
    file = f'"$HOME/{ENVIRONMENT}"'
    return f"if [ -f {file} ]; then set -a; . {file}; set +a; fi; "


def _specifier(text: str) -> str:
    """Return a text for a unit file, in which a percent sign begins a specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """Return a word quoted for a command line in a unit file."""
    escaped = _specifier(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if re.search(r"[^\w@%+=:,./$-]", word) else escaped


def _crontab() -> list[str]:
    return _output("crontab", "-l").splitlines() if shutil.which("crontab") else []


def _other_lines(schedule: Schedule) -> list[str]:
    return [line for line in _crontab() if not line.endswith(f"# {schedule.name}")]


def _write_crontab(lines: Sequence[str]) -> None:
    _call("crontab", "-", given="".join(f"{line}\n" for line in lines))


def _ends_at_logout() -> bool:
    return "Linger=no" in _output("loginctl", "show-user", getpass.getuser(), "--property=Linger")


def _output(*command: str) -> str:
    """Return what a command prints; "" if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout


def _call(*command: str, given: str | None = None, check: bool = True) -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if check and done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        hint = "`sessionscribe batch install --print` shows what to set up by hand"
        raise UserError(f"refused ({reason})", where=shlex.join(command), hint=hint)
