"""The schedule of `sessionscribe batch`: a systemd user timer, a launchd agent, or a line of the crontab."""

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
"""The file in the user's home with credentials: ``NAME=value`` lines."""
LINGER = "Let it run without you: loginctl enable-linger"
STOP_S = 300
"""How long a batch that is told to stop may take to stop its machine."""


@dataclass(frozen=True)
class Schedule:
    """A batch run to be repeated.

    Attributes:
        project: the project's folder, absolute.
        minutes: the time between two runs; divides an hour, or a day in whole hours.
        arguments: what follows ``sessionscribe batch once``.
    """

    project: Path
    minutes: int = 120
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The schedule's name, another one for each project."""
        folder = re.sub(r"[^A-Za-z0-9]+", "-", self.project.name).strip("-")
        return f"sessionscribe-batch-{folder}-{fingerprint(str(self.project))[:6]}"

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [str(Path(sys.executable).with_name("sessionscribe")), "batch", "once", *self.arguments]

    @property
    def path(self) -> str:
        """The search path for programs: this environment's first."""
        return f"{Path(sys.executable).parent}:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin"


def minutes(text: str) -> int:
    """Return an interval such as ``30m``, ``2h`` or ``1d`` in minutes.

    Raises:
        UserError: it is none, or a day is not a multiple of it.
    """
    found = re.fullmatch(r"(\d+)(m|h|d)", text)
    number = int(found[1]) * {"m": 1, "h": 60, "d": 24 * 60}[found[2]] if found else 0
    if not number or not (60 % number == 0 or (number % 60 == 0 and 24 * 60 % number == 0)):
        hint = "Use minutes that divide an hour or hours that divide a day: 30m, 2h, 1d"
        raise UserError(f"`{text}` is no interval", where="--every", hint=hint)
    return number


def units(schedule: Schedule) -> dict[str, str]:
    """Return the systemd user units: name and text."""
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
# Another run is at work: no failure.
SuccessExitStatus=75
Nice=10
TimeoutStartSec=infinity
# As Ctrl-C: the batch stops its machine and writes its report.
KillSignal=SIGINT
TimeoutStopSec={STOP_S}
# Never kill the process that stops the machine if the batch itself is killed. Jobs end with the batch anyway.
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
    """Return the launchd agent (a property list); it catches up when the machine wakes."""
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
    """Return the line of the crontab; its comment names it."""
    every = schedule.minutes
    times = f"*/{every} *" if every < 60 else f"0 */{every // 60}" if every < 1440 else "0 0"
    folder, path = shlex.quote(str(schedule.project)), shlex.quote(schedule.path)
    command = (
        f"cd {folder} && mkdir -p logs/batch && export PATH={path} && "
        f"{{ {_environment()}nice {shlex.join(schedule.command)}; }} >>logs/batch/cron.log 2>&1"
    )
    # To cron an unescaped % is the end of the command.
    return f"{times} * * * {command.replace('%', chr(92) + '%')} # {schedule.name}"


def install(schedule: Schedule, *, kind: Kind | None = None, show: bool = False) -> None:
    """Set the schedule up, over an older one of this project.

    Args:
        schedule: what to run, and when.
        kind: by what; None: what this machine has.
        show: print the files to standard output, and change nothing.

    Raises:
        UserError: there is nothing here that runs commands at times, or it refused.
    """
    kind = kind or _kind(show=show)
    if show:
        print(_text(schedule, kind), end="")
        return
    if kind == "systemd":
        for name, text in units(schedule).items():
            write_text(_unit_folder() / name, text)
        _call("systemctl", "--user", "daemon-reload")
        _call("systemctl", "--user", "enable", "--now", f"{schedule.name}.timer")
        print(f"installed {schedule.name}.timer: systemctl --user list-timers shows the next run")
        if _ends_at_logout():
            complain(UserError("is stopped when you log out", where="the timer", hint=LINGER))
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
    """Remove the schedule of a project, by whatever it was set up; return whether there was one."""
    found = False
    unit_files = [path for name in units(schedule) if (path := _unit_folder() / name).exists()]
    if unit_files:
        _call("systemctl", "--user", "disable", "--now", f"{schedule.name}.timer", check=False)
        for path in unit_files:
            path.unlink()
        _call("systemctl", "--user", "daemon-reload", check=False)
        found = True
    if (path := _agent_path(schedule)).exists():
        _call("launchctl", "bootout", f"gui/{os.getuid()}/{schedule.name}", check=False)
        path.unlink()
        found = True
    if shutil.which("crontab") and len(kept := _other_lines(schedule)) < len(_crontab()):
        _write_crontab(kept)
        found = True
    return found


def state(schedule: Schedule) -> str:
    """Return whether a project has a schedule, and when it comes next where that is told.

    Raises:
        UserError: it is set up, and not active.
    """
    if any((_unit_folder() / name).exists() for name in units(schedule)):
        asked = ["systemctl", "--user", "show", f"{schedule.name}.timer"]
        done = subprocess.run(
            [*asked, "--property=ActiveState", "--property=NextElapseUSecRealtime"],
            capture_output=True,
            text=True,
            check=False,
        )
        if "ActiveState=active" not in done.stdout:
            hint = f"systemctl --user enable --now {schedule.name}.timer"
            raise UserError("is not active", where=f"{schedule.name}.timer", hint=hint)
        if _ends_at_logout():
            raise UserError("is stopped when you log out", where=f"{schedule.name}.timer", hint=LINGER)
        return f"systemd, next at {done.stdout.partition('NextElapseUSecRealtime=')[2].partition(chr(10))[0]}"
    if _agent_path(schedule).exists():
        return "launchd"
    if shutil.which("crontab") and len(_other_lines(schedule)) < len(_crontab()):
        return "cron"
    return "none; `sessionscribe batch install` sets one up"


def _text(schedule: Schedule, kind: Kind) -> str:
    if kind == "systemd":
        return "\n".join(f"# {_unit_folder() / name}\n{text}" for name, text in units(schedule).items())
    return agent(schedule).decode() if kind == "launchd" else f"{crontab_line(schedule)}\n"


def _kind(*, show: bool) -> Kind:
    """Return what runs commands at times here; to show something, the platform's usual will do.

    Raises:
        UserError: nothing does.
    """
    if sys.platform == "darwin":
        return "launchd"
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    if show or (shutil.which("systemctl") and Path(runtime, "systemd/private").exists()):
        return "systemd"
    if shutil.which("crontab"):
        return "cron"
    hint = "Take what `sessionscribe batch install --print` shows to what runs commands here"
    raise UserError("has neither a systemd user manager nor cron", where="this machine", hint=hint)


def _unit_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "systemd/user")


def _agent_path(schedule: Schedule) -> Path:
    return Path.home() / "Library/LaunchAgents" / f"{schedule.name}.plist"


def _environment() -> str:
    """Return the shell commands that read the file with credentials, if there is one."""
    file = f'"$HOME/{ENVIRONMENT}"'
    return f"if [ -f {file} ]; then set -a; . {file}; set +a; fi; "


def _specifier(text: str) -> str:
    """Return a text for a unit file, where a percent sign begins a specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """Return a word as systemd reads it back from a command line."""
    escaped = _specifier(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if re.search(r"[^\w@%+=:,./$-]", word) else escaped


def _crontab() -> list[str]:
    done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []  # else there is none yet


def _other_lines(schedule: Schedule) -> list[str]:
    return [line for line in _crontab() if not line.endswith(f"# {schedule.name}")]


def _write_crontab(lines: Sequence[str]) -> None:
    _call("crontab", "-", given="".join(f"{line}\n" for line in lines))


def _ends_at_logout() -> bool:
    command = ["loginctl", "show-user", getpass.getuser(), "--property=Linger"]
    return "Linger=no" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _call(*command: str, given: str | None = None, check: bool = True) -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if check and done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        hint = "`sessionscribe batch install --print` shows what to set up by hand"
        raise UserError(f"refused ({reason})", where=shlex.join(command), hint=hint)
