"""A session as a picture: who speaks when, how sure the words are, who speaks how much."""

import io
from collections import defaultdict
from collections.abc import Iterator
from statistics import fmean, quantiles
from typing import TYPE_CHECKING, Any

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import one_line
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.formats.colours import on_light
from sessionscribe.formats.reading import clock, numbered, shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, LANE_IN = 10.0, 0.3
BARS = 2000
"""Shorter pauses than this share of the session are not drawn: four hours would take megabytes."""
STRETCH_S = 30.0
NAME_LENGTH = 40
STYLE: Any = {
    "svg.hashsalt": "sessionscribe",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
}


def svg(transcript: Transcript, _: Export) -> str:
    """Three pictures in one: lanes of speakers with gaps, probability of words by time, and talk time.

    Where there are no speakers, only the second.
    """
    import matplotlib  # noqa: PLC0415 -- half a second
    from matplotlib.figure import Figure  # noqa: PLC0415

    lanes = len(shares(transcript)) * LANE_IN + 0.3
    parts = [(_timeline, lanes), (_confidence, 1.4), (_talk, lanes)]
    if not shares(transcript):
        parts = [(_confidence, 1.4)]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, sum(size + 0.5 for _draw, size in parts)), layout="constrained")
        every = figure.subplots(len(parts), 1, height_ratios=[size for _draw, size in parts], squeeze=False)
        for (draw, _size), axes in zip(parts, every[:, 0], strict=True):
            draw(axes, transcript)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": "sessionscribe"})
    return written.getvalue()


def _timeline(axes: "Axes", transcript: Transcript) -> None:
    numbers = numbered(transcript)
    for speaker, number in numbers.items():
        bars = list(_bars(transcript, speaker))
        axes.broken_barh(bars, (number - 0.35, 0.7), color=_colour(number), linewidth=0)
    for gap in transcript.gaps:
        axes.axvspan(gap.start / SAMPLE_RATE, gap.stop / SAMPLE_RATE, color="#dddddd", hatch="//")
    axes.set_yticks(list(numbers.values()), list(map(_short, numbers)))
    axes.set_ylim(max(0, len(numbers) - 1) + 0.6, -0.6)
    axes.set_title("Who speaks when", loc="left")
    _clock(axes, transcript)


def _bars(transcript: Transcript, speaker: str) -> Iterator[tuple[float, float]]:
    """Yield start and length of what a speaker says, over short pauses as one."""
    least, start, end = transcript.duration_s / BARS, 0.0, -1.0
    for turn in sorted(
        (turn.start, turn.end) for turn in transcript.turns if one_line(turn.speaker) == speaker
    ):
        if end < 0:
            start, end = turn
        elif turn[0] - end < least:
            end = max(end, turn[1])
        else:
            yield start, end - start
            start, end = turn
    if end >= 0:
        yield start, end - start


def _confidence(axes: "Axes", transcript: Transcript) -> None:
    found: dict[int, list[float]] = defaultdict(list)
    for segment in transcript.segments:
        for word in segment.words:
            found[int(word.start // STRETCH_S)].append(word.probability)
    times = [(number + 0.5) * STRETCH_S for number in sorted(found)]
    means = [fmean(found[number]) for number in sorted(found)]
    low = [quantiles(found[n], n=20)[0] if len(found[n]) > 1 else found[n][0] for n in sorted(found)]
    axes.plot(times, means, marker=".", color="#1f5fa8", label="mean")
    axes.plot(times, low, linestyle=":", color="#a8341f", label="the lowest 5 %")
    axes.set_ylim(0, 1)
    axes.set_title(f"Probability of words, by {STRETCH_S:g} s", loc="left")
    axes.legend(loc="lower right", fontsize=7)
    _clock(axes, transcript)


def _talk(axes: "Axes", transcript: Transcript) -> None:
    for number, part in enumerate(shares(transcript)):
        axes.barh(number, part.seconds / 60, color=_colour(number))
        axes.annotate(f" {clock(part.seconds)}, {part.share:.0%}", (part.seconds / 60, number), va="center")
    names = [part.speaker for part in shares(transcript)]
    axes.set_yticks(range(len(names)), list(map(_short, names)))
    axes.set_ylim(max(0, len(names) - 1) + 0.6, -0.6)
    axes.margins(x=0.15)
    axes.set_xlabel("minutes")
    axes.set_title("Talk time", loc="left")


def _clock(axes: "Axes", transcript: Transcript) -> None:
    axes.set_xlim(0, max(1.0, transcript.duration_s))
    axes.xaxis.set_major_formatter(lambda time, _: clock(max(0.0, time)))


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def _colour(number: int) -> str:
    return f"#{bytes(on_light(number)).hex()}"
