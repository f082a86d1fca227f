"""What the GPUs do, by the words of NVIDIA's command: a stand-in for it prints them here."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sessionscribe.jobs import gpu
from sessionscribe.jobs.gpu import GpuMonitor, read_gpus


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file: what it holds is what the command says."""
    said, command = tmp_path / "said.csv", tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\ncat {said}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return said


def test_without_a_driver_there_is_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with GpuMonitor() as monitor:
        assert not monitor.available
        assert monitor.get_stats() == monitor.get_warnings() == []
        assert str(monitor) == ""


def test_a_driver_that_does_not_answer_is_none(driver: Path) -> None:
    (driver.parent / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert read_gpus() == []


def test_two_gpus_over_some_time(driver: Path, tmp_path: Path) -> None:
    driver.write_text("Tesla T4, 20, 3000, 15360, 61, 54.5\nTesla T4, 0, 0, 15360, 40, [N/A]\n")
    with GpuMonitor(0.02, log=tmp_path / "logs/gpu.tsv") as monitor:
        driver.write_text("Tesla T4, 80, 2000, 15360, 63, 60\nTesla T4, 0, 0, 15360, 40, [N/A]\n")
        end = time.monotonic() + 5
        while monitor.get_stats()[0].load < 50 and time.monotonic() < end:
            time.sleep(0.01)
    first, second = monitor.get_stats()
    assert first.load >= 50
    assert first.memory_used == 3000, "of memory the peak"
    assert str(second) == "Tesla T4 0 %, 0.0 of 15.0 GB, 40 °C"
    lines = (tmp_path / "logs/gpu.tsv").read_text().splitlines()
    assert lines[1].split("\t")[1:] == ["1", "Tesla T4", "0.0", "0.0", "15360.0", "40.0", "0.0"]


def test_what_is_not_as_it_should_be_is_said(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.write_text("Tesla T4, 3, 15000, 15360, 91, 60\n")
    monitor = GpuMonitor()
    assert [warning.split(" ", 2)[2] for warning in monitor.get_warnings()] == [
        "has hardly any memory left (a smaller batch_size needs less)",
        "is hot (91 °C), so it may slow down",
    ]
    monkeypatch.setattr(gpu, "IDLE_S", 0.05)
    time.sleep(0.06)
    assert "Tesla T4 has done next to nothing" in monitor.get_warnings()[0]
