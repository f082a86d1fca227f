"""The load of this machine's GPUs, as `nvidia-smi` reports it. Standard library only."""

from __future__ import annotations

import csv
import subprocess
import threading
import time
from collections import deque
from dataclasses import astuple, dataclass
from pathlib import Path

FIELDS = ("name", "utilization.gpu", "memory.used", "memory.total", "temperature.gpu", "power.draw")
SHOWN_S = 60
IDLE_PERCENT, IDLE_S = 10, 300
FULL, HOT_C = 0.95, 85
TIMEOUT_S = 20


@dataclass(frozen=True)
class GpuStats:
    """The state of a GPU: a sample, or over some time the means, and the peak of ``memory_used``.

    Load is in percent, memory in MiB, temperature in degrees Celsius, power in watts (0 if unknown).
    """

    name: str
    load: float
    memory_used: float
    memory_total: float
    temperature: float
    power: float

    def __str__(self) -> str:
        used, total = self.memory_used / 1024, self.memory_total / 1024
        watts = f", {self.power:.0f} W" if self.power else ""
        memory = f"{used:.1f} of {total:.1f} GB"
        return f"{self.name} {self.load:.0f} %, {memory}, {self.temperature:.0f} °C{watts}"


def read_gpus() -> list[GpuStats]:
    """Return the current state of this machine's GPUs; empty if there is no driver."""
    command = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = csv.reader(done.stdout.splitlines(), skipinitialspace=True)
    return [GpuStats(row[0], *map(_number, row[1:])) for row in rows if len(row) == len(FIELDS)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return 0.0


class GpuMonitor:
    """Samples the GPUs every ``interval_s`` seconds from ``start`` to ``stop``, in a thread of its own.

    The samples are appended to the table ``log``. Without a driver, ``available`` is False and nothing else
    happens.
    """

    def __init__(self, interval_s: float = 10.0, log: Path | None = None) -> None:
        self.interval_s, self._log = interval_s, log
        self._samples: deque[tuple[float, list[GpuStats]]] = deque()  # of the last IDLE_S
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu monitor", daemon=True)
        self._sample()
        self.available = bool(self._samples)

    def start(self) -> GpuMonitor:
        """Start sampling."""
        if self.available:
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop sampling."""
        self._ended.set()

    def __enter__(self) -> GpuMonitor:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def get_stats(self) -> list[GpuStats]:
        """Return the state of each GPU over the last minute."""
        return self._over(SHOWN_S)

    def get_warnings(self) -> list[str]:
        """Return warnings about GPUs that are idle, full or hot."""
        found = []
        for now, longer in zip(self.get_stats(), self._over(IDLE_S), strict=True):
            if longer.load < IDLE_PERCENT and time.monotonic() - self._samples[0][0] >= IDLE_S * 0.9:
                found.append(f"{now.name} has done next to nothing for {IDLE_S // 60} minutes")
            if now.memory_total and now.memory_used > FULL * now.memory_total:
                found.append(f"{now.name} has hardly any memory left (a smaller batch_size needs less)")
            if now.temperature > HOT_C:
                found.append(f"{now.name} is hot ({now.temperature:.0f} °C), so it may slow down")
        return found

    def __str__(self) -> str:
        return "; ".join(map(str, self.get_stats()))

    def _run(self) -> None:
        while not self._ended.wait(self.interval_s):
            self._sample()

    def _sample(self) -> None:
        gpus, now = read_gpus(), time.monotonic()
        if not gpus:
            return
        self._samples.append((now, gpus))
        while self._samples[0][0] < now - IDLE_S:
            self._samples.popleft()
        if self._log:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            with self._log.open("a", encoding="utf-8") as file:
                for number, gpu in enumerate(gpus):
                    name, *values = astuple(gpu)
                    file.write("\t".join([stamp, str(number), name, *map(str, values)]) + "\n")

    def _over(self, seconds: float) -> list[GpuStats]:
        since, samples = time.monotonic() - seconds, list(self._samples)
        recent = [gpus for when, gpus in samples if when >= since] or [gpus for _, gpus in samples[-1:]]
        return [_summary(states) for states in zip(*recent, strict=False)]


def _summary(samples: tuple[GpuStats, ...]) -> GpuStats:
    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    return GpuStats(
        name=samples[-1].name,
        load=mean([sample.load for sample in samples]),
        memory_used=max(sample.memory_used for sample in samples),
        memory_total=samples[-1].memory_total,
        temperature=mean([sample.temperature for sample in samples]),
        power=mean([sample.power for sample in samples]),
    )
