"""Peak memory and CPU time of conversion, chunk planning and diarization for a long recording.

    python benchmarks/memory.py [--hours 3] [--step 0.1] [--limit-mb 250] [--folder FOLDER]

It makes a recording (44.1 kHz stereo AAC, the demo meeting over and over), runs each stage in a process of
its own, prints one JSON object, and exits with 1 if a stage needed more memory than its limit. The bundled
models listen to one stretch of ten minutes; what they find there is repeated, with a little noise, for the
clustering of the whole length, since only the number of voices matters to its memory.
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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionscribe.artifacts import Timeline
    from sessionscribe.config import Diarize

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

MODEL = ROOT / "resources" / "demo" / "models" / "diarization-demo"
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


def embed(folder: Path) -> None:
    """Let the models listen to the first stretch of the recording."""
    from sessionscribe.diarize import embed_chunk  # noqa: PLC0415
    from sessionscribe.grid import of_recording  # noqa: PLC0415

    options, session = diarization(folder), timeline(folder)
    stretch = of_recording("main", session.samples / 16_000, options.chunk_s)[0]
    embed_chunk(
        timeline=session,
        stretch=stretch,
        audio=[folder / "long.flac"],
        options=options,
        threads=2,
        output=folder / "0000.npz",
    )


def cluster(folder: Path) -> None:
    """Cluster a whole session of windows like those of the first stretch."""
    import numpy as np  # noqa: PLC0415

    from sessionscribe.diarize import cluster_speakers  # noqa: PLC0415
    from sessionscribe.embeddings import Embeddings  # noqa: PLC0415
    from sessionscribe.grid import Grid  # noqa: PLC0415

    session = timeline(folder)
    heard = Embeddings.read(folder / "0000.npz")
    windows = Grid(heard.about.window, heard.about.step).count(session.samples)
    like = np.arange(windows) % heard.about.windows
    noise = np.random.default_rng(0).normal(scale=0.05, size=(windows, *heard.embeddings.shape[1:]))
    Embeddings(
        about=heard.about.model_copy(update={"windows": windows}),
        segmentations=heard.segmentations[like],
        embeddings=heard.embeddings[like] + noise.astype(np.float32),
    ).write(folder / "all.npz")
    del heard, like, noise
    cluster_speakers(
        timeline=session,
        embeddings=[folder / "all.npz"],
        options=diarization(folder),
        output=folder / "turns.json",
        sounds=folder / "voices.json",
    )


def diarization(folder: Path) -> Diarize:
    """Return the settings of diarization; the step lies in a file beside the recording."""
    from sessionscribe.config import Diarize  # noqa: PLC0415

    step = float((folder / "step.txt").read_text(encoding="ascii"))
    return Diarize(model=str(MODEL), device="cpu", step=step)


def timeline(folder: Path) -> Timeline:
    """Return the timeline of a session that is this recording."""
    from sessionscribe.artifacts import Conversion, Timeline, TimelineTrack  # noqa: PLC0415

    samples = Conversion.read(folder / "long.json").samples
    track = TimelineTrack(track="main", offset=0, samples=samples)
    return Timeline(session="long", shape="recording", samples=samples, tracks=[track], gaps=[])


STAGES = {"convert": convert, "plan": plan, "embed": embed, "cluster": cluster}
RULE_MB = {"embed": 4000.0, "cluster": 5000.0}
"""What the rules of these stages ask for (`mem_mb` in rules/diarize.smk); the other stages keep the limit."""


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
    parser.add_argument("--step", type=float, default=0.1, help="`diarize.step`")
    parser.add_argument(
        "--limit-mb", type=float, default=250.0, help="most memory that conversion and planning may need"
    )
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
        (folder / "step.txt").write_text(str(arguments.step), encoding="ascii")
        stages = {stage: measure(stage, folder) for stage in STAGES}
    for stage, figures in stages.items():
        figures["limit_mb"] = RULE_MB.get(stage, arguments.limit_mb)
    ok = all(figures["peak_mb"] <= figures["limit_mb"] for figures in stages.values())
    print(json.dumps({"hours": arguments.hours, "step": arguments.step, "ok": ok, **stages}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
