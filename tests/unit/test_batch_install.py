"""The schedule of batches: what is written is what systemd, launchd and cron take."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT
from sessionscribe.batch import install
from sessionscribe.batch.install import Schedule
from sessionscribe.core.errors import UserError

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")


@pytest.fixture
def schedule(tmp_path: Path) -> Schedule:
    """A schedule of a project whose path has all that could be taken for something else."""
    project = tmp_path / 'my 100% "pro ject" $x \\n'
    project.mkdir()
    return Schedule(project, 120, ("--profile", "ec2", "--configfile", "a b%c.yaml"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a schedule; systemctl, loginctl and crontab note how they are called."""
    home, bin_ = tmp_path / "home", tmp_path / "bin"
    bin_.mkdir()
    for name in ("systemctl", "loginctl"):
        (bin_ / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"$HOME/calls"\ncat "$HOME/answer"\n')
    (bin_ / "crontab").write_text('#!/bin/sh\n[ "$1" != - ] && exec cat "$HOME/cron"\ncat >"$HOME/cron"\n')
    for path in bin_.iterdir():
        path.chmod(0o755)
    (home / "run/systemd/private").mkdir(parents=True)
    (home / "answer").write_text(
        "Linger=no\nActiveState=active\nNextElapseUSecRealtime=Mon 2026-11-30 14:00\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    return home


@pytest.mark.parametrize(
    ("text", "minutes"), [("30m", 30), ("60m", 60), ("2h", 120), ("24h", 1440), ("1d", 1440), ("1m", 1)]
)
def test_an_interval_divides_an_hour_or_a_day(text: str, minutes: int) -> None:
    assert install.minutes(text) == minutes


@pytest.mark.parametrize("text", ["7m", "90m", "5h", "2d", "0h", "2", "h", "-2h", ""])
def test_any_other_interval_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a valid interval"):
        install.minutes(text)


@needs_systemd
def test_systemd_takes_the_units(schedule: Schedule, tmp_path: Path) -> None:
    for name, text in install.units(schedule).items():
        (tmp_path / name).write_text(text)
    names = [str(tmp_path / name) for name in install.units(schedule)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_systemd_takes_the_unit_of_the_docs(tmp_path: Path) -> None:
    (text,) = re.findall(
        r"^```ini\n(.*?)^```", (ROOT / "docs/batch.md").read_text(), re.MULTILINE | re.DOTALL
    )
    unit = tmp_path / "sessionscribe-watch.service"
    ours = f"{Path(sys.executable).with_name('sessionscribe')} "
    unit.write_text(re.sub(r"/srv/sessionscribe/.venv/bin/sessionscribe ", ours, text))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(
    ("minutes", "second"), [(30, "00:30:00"), (120, "02:00:00"), (720, "12:00:00"), (1440, "00:00:00")]
)
def test_systemd_reads_the_times_as_they_are_meant(minutes: int, second: str) -> None:
    _, timer = install.units(Schedule(Path("/srv/project"), minutes)).values()
    (times,) = re.findall("^OnCalendar=(.*)$", timer, re.MULTILINE)
    command = ["systemd-analyze", "calendar", "--base-time=2026-11-29 23:59:59 UTC", "--iterations=2", times]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC"}
    )
    assert done.stdout.splitlines()[-2].split()[-2 if "UTC" in done.stdout else -1] == second


def test_launchd_gets_a_property_list(schedule: Schedule, tmp_path: Path) -> None:
    plist = plistlib.loads(install.agent(schedule))
    assert [time["Hour"] for time in plist["StartCalendarInterval"]] == list(range(0, 24, 2))
    assert plist["WorkingDirectory"] == str(schedule.project)
    assert (
        said_by(plist["ProgramArguments"], tmp_path)
        == "from-env batch once --profile ec2 --configfile a b%c.yaml"
    )


def test_cron_gets_a_line_that_a_shell_takes(schedule: Schedule, tmp_path: Path) -> None:
    line = install.crontab_line(schedule)
    *times, command = line.split(" ", 5)
    assert times == ["0", "*/2", "*", "*", "*"]
    assert not re.search(r"(?<!\\)%", command), "cron would cut it there"
    assert said_by(["/bin/sh", "-c", command.replace("\\%", "%")], tmp_path) == ""
    log = (schedule.project / "logs/batch/cron.log").read_text()
    assert log.strip() == "from-env batch once --profile ec2 --configfile a b%c.yaml"


def said_by(command: list[str], tmp_path: Path) -> str:
    """Run a command as it would be at its time; in place of ours a program says how it is called."""
    program, home = tmp_path / "program", tmp_path / "home"
    program.write_text('#!/bin/sh\necho "$FROM_FILE $*"\n')
    program.chmod(0o755)
    (home / ".config/sessionscribe").mkdir(parents=True, exist_ok=True)
    (home / install.ENVIRONMENT).write_text("FROM_FILE=from-env\n")
    ours = str(Path(sys.executable).with_name("sessionscribe"))
    assert any(ours in word for word in command)
    given = [word.replace(ours, str(program)) for word in command]
    done = subprocess.run(
        given, capture_output=True, text=True, check=True, env={"HOME": str(home)}, cwd=tmp_path
    )
    return done.stdout.strip()


def test_the_timer_is_set_up_and_taken_away(
    schedule: Schedule, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    install.install(schedule)
    units = home / ".config/systemd/user"
    assert {path.name for path in units.iterdir()} == set(install.units(schedule))
    assert f"enable --now {schedule.name}.timer" in (home / "calls").read_text()
    assert "loginctl enable-linger" in capfd.readouterr().err
    with pytest.raises(UserError, match="stops when you log out"):
        install.state(schedule)
    (home / "answer").write_text((home / "answer").read_text().replace("Linger=no", "Linger=yes"))
    assert install.state(schedule) == "systemd, next at Mon 2026-11-30 14:00"
    (home / "answer").write_text("ActiveState=inactive\n")
    with pytest.raises(UserError, match="is not active"):
        install.state(schedule)
    assert install.uninstall(schedule)
    assert list(units.iterdir()) == []
    assert f"disable --now {schedule.name}.timer" in (home / "calls").read_text()
    assert not install.uninstall(schedule)


def test_without_systemd_the_crontab_gets_a_line_beside_its_others(
    schedule: Schedule, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "none"))
    (home / "cron").write_text("@daily mine\n")
    install.install(schedule)
    install.install(Schedule(schedule.project, 60))
    lines = (home / "cron").read_text().splitlines()
    assert install.state(schedule) == "cron"
    assert lines == ["@daily mine", install.crontab_line(Schedule(schedule.project, 60))]
    assert install.uninstall(schedule)
    assert (home / "cron").read_text() == "@daily mine\n"
    assert install.state(schedule).startswith("none")


@pytest.mark.parametrize("kind", ["systemd", "launchd", "cron"])
def test_print_changes_nothing(
    kind: install.Kind, schedule: Schedule, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(home.rglob("*"))
    install.install(schedule, kind=kind, show=True)
    assert "batch once --profile ec2" in capfd.readouterr().out
    assert sorted(home.rglob("*")) == before
