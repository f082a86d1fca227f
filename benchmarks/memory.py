"""Peak memory and CPU time of conversion and chunk planning for a long recording.

    python benchmarks/memory.py [--hours 3] [--limit-mb 250] [--folder FOLDER]

It makes a recording (44.1 kHz stereo AAC, the demo meeting over and over), runs each stage in a process of
its own, prints one JSON object, and exits with 1 if a stage needed more memory than the limit.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

MEETING = ROOT / "resources" / "demo" / "recordings" / "meeting.mp4"
RATE = 44_100
LOOP_S = 60


def make(folder: Path, hours: float) -> None:
    """Write `folder/long.m4a`: one minute of the demo meeting, encoded once, its packets repeated."""
    import av  # noqa: PLC0415 -- not in the process that measures

    with av.open(str(MEETING)) as meeting, av.open(str(folder / "long.m4a"), "w", format="ipod") as output:
        stream = output.add_stream("aac", RATE, layout="stereo")
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        loop: list[tuple[bytes, int]] = []
        for frame in meeting.decode(meeting.streams.audio[0]):
            frame.pts = None
            for part in resampler.resample(frame):
                loop += [(bytes(packet), packet.duration) for packet in stream.encode(part)]
            if sum(duration for _, duration in loop) >= LOOP_S * RATE:
                break
        position = 0
        while position < hours * 3600 * RATE:
            for data, duration in loop:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, Fraction(1, RATE)
                packet.pts = packet.dts = position
                packet.duration = duration
                output.mux(packet)
                position += duration


def convert(folder: Path) -> None:
    """Probe and convert the recording."""
    from sessionscribe.artifacts import Ingest  # noqa: PLC0415
    from sessionscribe.config import Convert  # noqa: PLC0415
    from sessionscribe.convert import convert_audio  # noqa: PLC0415
    from sessionscribe.files import sha256  # noqa: PLC0415
    from sessionscribe.ingest import probe  # noqa: PLC0415

    source = folder / "long.m4a"
    probed = probe(source)
    ingest = Ingest(
        session="long",
        track="main",
        source=str(source),
        path=str(source),
        size=source.stat().st_size,
        checksum=sha256(source),
        container=probed.container,
        duration_s=probed.duration_s,
        streams=probed.streams,
    )
    convert_audio(
        ingest=ingest,
        options=Convert(),
        audio=folder / "long.flac",
        record=folder / "long.json",
        log=lambda _: None,
    )


def plan(folder: Path) -> None:
    """Plan the chunks of the converted recording."""
    from sessionscribe.artifacts import Conversion, seconds  # noqa: PLC0415
    from sessionscribe.chunk import chunk_count, plan_chunks  # noqa: PLC0415
    from sessionscribe.config import Chunk  # noqa: PLC0415

    duration_s = seconds(Conversion.read(folder / "long.json").samples)
    options = Chunk()
    plan_chunks(
        audio=folder / "long.flac",
        session="long",
        track="main",
        chunks=chunk_count(duration_s, options.target_s),
        options=options,
        output=folder / "long.plan.json",
    )


STAGES = {"convert": convert, "plan": plan}


def peak_mb() -> float:
    """Return the most memory that this process ever had in RAM, in MB."""
    try:  # ru_maxrss would count what the parent had when it started us
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1000
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(stage: str, folder: Path) -> dict[str, float]:
    """Run a stage in a process of its own; return its peak memory and its times."""
    command = [sys.executable, str(Path(__file__).resolve()), "--stage", stage, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> int:
    """Run the benchmark, or one stage of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=3.0, help="length of the recording")
    parser.add_argument("--limit-mb", type=float, default=250.0, help="most memory that a stage may need")
    parser.add_argument(
        "--folder", type=Path, help="where to work and leave the files (default: a temporary one)"
    )
    parser.add_argument("--stage", choices=["make", *STAGES], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage == "make":
        make(arguments.folder, arguments.hours)
        return 0
    if arguments.stage:
        began = time.perf_counter()
        STAGES[arguments.stage](arguments.folder)
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures = {"peak_mb": peak_mb(), "cpu_s": used.ru_utime + used.ru_stime}
        figures["wall_s"] = time.perf_counter() - began
        print(json.dumps({name: round(value, 1) for name, value in figures.items()}))
        return 0
    with tempfile.TemporaryDirectory(prefix="memory-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        making = [sys.executable, str(Path(__file__).resolve()), "--stage", "make", "--folder", str(folder)]
        subprocess.run([*making, "--hours", str(arguments.hours)], check=True)
        stages = {stage: measure(stage, folder) for stage in STAGES}
    ok = all(figures["peak_mb"] <= arguments.limit_mb for figures in stages.values())
    print(json.dumps({"hours": arguments.hours, "limit_mb": arguments.limit_mb, "ok": ok, **stages}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
