"""Disks that are full, read-only or without room for one more file: one line that names the right one."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import media
import small_disks
from sessionscribe.cli import main
from sessionscribe.core import errors, files
from sessionscribe.jobs import workspace
from snakemake_logger_plugin_sessionscribe import handler


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB and 64 files below a folder, in which there is a project."""
    with small_disks.mounted(tmp_path / "small", "size=1m,nr_inodes=64") as folder:
        yield folder


def full(folder: Path) -> None:
    with (folder / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def without_inodes(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for number in range(100):
            (folder / f"{number}").touch()


def read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


CASES = [
    (full, "the disk is full (0 MB free at {disk}). Make room and run again: nothing is lost"),
    (without_inodes, "the disk is full (no room for one more file at {disk}: all 64 are there). Make room"),
    (read_only, "the disk at {disk} is read-only. Make it writable, or work in another folder"),
]


@pytest.mark.parametrize("case", CASES, ids=["full", "inodes", "read-only"])
@pytest.mark.parametrize("command", ["add", "remove", "run", "run -n"])
def test_a_command_is_one_line_and_74(
    mount: Path,
    command: str,
    case: tuple[Callable[[Path], None], str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    spoil, says = case
    monkeypatch.chdir(mount)
    Path("Snakefile").touch()
    media.write_tone(Path("talk.wav"), 0.1)
    media.write_tone(Path("new.wav"), 0.2)
    assert main.main(["add", "talk.wav"]) == 0
    spoil(mount)
    capfd.readouterr()
    arguments = {"add": ["add", "new.wav"], "remove": ["remove", "talk"]}.get(command, command.split())
    assert main.main(arguments) == os.EX_IOERR
    out, err = capfd.readouterr()
    assert err.count("\n") == 1, out + err
    assert says.format(disk=mount) in err


def test_the_disk_of_the_file_counts_and_not_that_of_the_project(mount: Path, tmp_path: Path) -> None:
    """Such as that of the logs, or of the copies of recordings."""
    full(mount)
    for write in (
        lambda: files.write_text(mount / "a.json", "x" * 9000),
        lambda: files.write_many(tmp_path, {"small/b.json": b"x" * 9000}),
        lambda: workspace.check_writable([tmp_path, mount]),
    ):
        with pytest.raises(OSError, match="No space left") as caught:
            write()
        said = errors.describe(caught.value, "talk")
        assert said.startswith(str(mount))
        assert f"(0 MB free at {mount})" in said
    assert sorted(path.name for path in mount.iterdir()) == ["ballast"]


def test_no_message_names_a_temporary_file(tmp_path: Path) -> None:
    """PyAV's errors have a name that cannot be changed."""

    class FixedError(OSError):
        filename = property(lambda _: None)  # type: ignore[assignment]

    (tmp_path / "folder/a").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught:
        files.write_text(tmp_path / "folder", "x")
    assert caught.value.filename == str(tmp_path / "folder")
    with pytest.raises(OSError, match="No space") as full_disk, files.atomic_path(tmp_path / "b.m4a"):
        raise FixedError(errno.ENOSPC, "No space left on device")
    assert full_disk.value.filename == str(tmp_path / "b.m4a")


def test_an_output_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").touch()
    with Path("/dev/full").open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        code = main.main(["status"])
    assert code == os.EX_IOERR
    assert capfd.readouterr().err.startswith("sessionscribe: /dev/full: the disk is full (")


def test_of_a_disk_that_snakemake_does_not_name_the_fullest_is_meant(
    mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".snakemake").symlink_to(mount)
    full(mount)
    said = handler._plain("Traceback:\nOSError: [Errno 28] No space left on device")
    assert "sessionscribe: .snakemake: the disk is full (0 MB free at" in said


def test_a_folder_that_snakemake_cannot_work_in_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "{talks}").mkdir()
    monkeypatch.chdir(tmp_path / "{talks}")
    Path("Snakefile").touch()
    media.write_tone(Path("talk.wav"), 0.1)
    assert main.main(["add", "talk.wav"]) == 0
    assert main.main(["run"]) == 2
    assert "{talks}: has braces in its name, which Snakemake takes for wildcards" in capfd.readouterr().err


def test_a_quota_and_a_disk_that_fails_are_told_apart() -> None:
    assert "your quota at" in errors.describe(OSError(errno.EDQUOT, "quota", "a"), "talk")
    assert "fails to read or write" in errors.describe(OSError(errno.EIO, "i/o", "a"), "talk")
    assert errors.exit_code(OSError(errno.EACCES, "no")) == 1


@pytest.mark.parametrize(
    "said",
    [
        "WorkflowError:\nFailed to create logs/x.\nOSError: [Errno 28] No space left on device: 'logs/x'",
        "Failed to setup log file: [Errno 30] Read-only file system: 'logs/x'",
        "Traceback (most recent call last):\n  File\nOSError: [Errno 28] No space left on device",
    ],
)
def test_what_snakemake_says_of_a_disk_is_one_line_and_74(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler.LogHandler, "exit_code", 1)
    (line,) = handler._plain(said).splitlines()
    assert handler.LogHandler.exit_code == os.EX_IOERR
    assert line.startswith("sessionscribe: ")
    assert " at /" in line


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (
            "FileNotFoundError: [Errno 2] No such file\n\nPermissionError: [Errno 13] no: '/a/x.log'",
            "/a/x.log",
        ),
        ("WorkflowError:\nFailed to create /a.\nPermissionError: [Errno 13] Permission denied: '/a'", "/a"),
        (
            "ProtectedOutputException in rule x:\nWrite-protected output files for rule x:\n"
            "    output: /a, /b\n    affected files:\n        /b\n        /c",
            "/b",
        ),
    ],
)
def test_a_file_that_snakemake_may_not_write_is_one_line(said: str, where: str) -> None:
    assert handler._plain(said).startswith(f"sessionscribe: {where}: permission denied")


def test_what_it_says_of_our_own_errors_is_that_error() -> None:
    said = 'WorkflowError in file "/a/rules/common.smk", line 4:\nchunk.x: there is none. y\n  File "z"'
    assert handler._plain(said) == "sessionscribe: chunk.x: there is none. y"
    assert handler._plain("MissingRuleException: No rule") == "MissingRuleException: No rule"
