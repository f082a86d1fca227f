"""Pictures of a session: who speaks when, how sure the words are, who speaks how long."""

import io
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, quantiles
from typing import TYPE_CHECKING, Any, Literal

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.intervals import united
from sessionscribe.core.text import columns, one_line
from sessionscribe.core.units import SAMPLE_RATE, clock, milliseconds
from sessionscribe.formats.colours import on_light
from sessionscribe.formats.reading import numbered, shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, TITLE_IN, TICKS_IN, LETTER_IN = 10.0, 0.3, 0.3, 0.09
LANE_IN, LANES_IN = 0.3, 4.0
"""Height of a speaker's lane, and the largest height of all lanes, so that the picture fits on a page."""
BARS = 2000
"""Pauses shorter than the session divided by this are not drawn: four hours would take megabytes."""
BIN_S = 30.0
"""Width of the bins in the picture of confidence."""
DPI = 150
TICKS_S = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 6 * 3600, 24 * 3600)
MOST_TICKS, MOST_POINTS = 10, 100
NAME_LENGTH = 40
STYLE: Any = {
    "svg.hashsalt": "sessionscribe",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa0a8",
    "grid.color": "#e3e5e8",
    "axes.axisbelow": True,
}


def svg(transcript: Transcript, _: Export) -> str:
    """Return all pictures of a session in one SVG."""
    return drawn(transcript).decode()


def drawn(
    transcript: Transcript,
    names: Iterable[str] = (),
    *,
    kind: Literal["svg", "png"] = "svg",
    fonts: bool = True,
) -> bytes:
    """Return pictures of a session, one above the other.

    Args:
        transcript: the transcript.
        names: keys of ``PICTURES``; none for all, or for ``confidence`` only if there are no speakers.
        kind: the file format.
        fonts: write text in SVG as text, for the reader's fonts, which may have letters that DejaVu lacks;
            else as shapes.
    """
    import matplotlib  # noqa: PLC0415 -- half a second
    from matplotlib.figure import Figure  # noqa: PLC0415

    speakers = [_short(part.speaker) for part in shares(transcript)]
    chosen = [PICTURES[name] for name in names or (PICTURES if speakers else ["confidence"])]
    lanes = max(1, len(speakers)) * min(LANE_IN, LANES_IN / max(1, len(speakers))) + 0.3
    heights = [lanes if picture.lanes else 1.4 for picture in chosen]
    top = total = sum(heights) + len(chosen) * (TITLE_IN + TICKS_IN)
    left = (0.3 + LETTER_IN * max(map(columns, [*speakers, "0.00"]))) / WIDTH_IN
    style = STYLE | {"svg.fonttype": "none" if fonts else "path"}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box is drawn instead
        figure = Figure(figsize=(WIDTH_IN, total))
        for picture, height in zip(chosen, heights, strict=True):
            top -= TITLE_IN + height
            axes = figure.add_axes((left, top / total, 0.97 - left, height / total))
            axes.set_title(picture.title, loc="left")
            picture.draw(axes, transcript)
            top -= TICKS_IN
        written = io.BytesIO()
        # Without date and program: the same transcript gives the same bytes.
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type") if kind == "svg" else ("Software",))
        figure.savefig(written, format=kind, dpi=DPI, metadata=metadata)
    return written.getvalue()


def _timeline(axes: "Axes", transcript: Transcript) -> None:
    numbers = numbered(transcript)
    for gap in transcript.gaps:
        span = gap.start / SAMPLE_RATE, gap.stop / SAMPLE_RATE
        axes.axvspan(*span, facecolor="#eeeeee")  # by itself: PDF has no hatches
        axes.axvspan(*span, facecolor="none", edgecolor="#9aa0a8", hatch="//", linewidth=0)
    for speaker, number in numbers.items():
        bars = list(_bars(transcript, speaker))
        axes.broken_barh(bars, (number - 0.35, 0.7), color=_colour(number), linewidth=0)
    axes.set_yticks(list(numbers.values()), list(map(_short, numbers)))
    axes.set_ylim(max(0, len(numbers) - 1) + 0.6, -0.6)
    axes.grid(axis="x")
    _clock(axes, transcript)


def _bars(transcript: Transcript, speaker: str) -> Iterator[tuple[float, float]]:
    """Yield start and length of a speaker's turns; turns with a short pause between them are one."""
    least = milliseconds(transcript.duration_s / BARS)
    own = [turn for turn in transcript.turns if one_line(turn.speaker) == speaker]
    for start, stop in united((milliseconds(turn.start), milliseconds(turn.end) + least) for turn in own):
        yield start / 1000, (stop - start - least) / 1000


def _confidence(axes: "Axes", transcript: Transcript) -> None:
    found: dict[int, list[float]] = defaultdict(list)
    for segment in transcript.segments:
        for word in segment.words:
            found[int(word.start // BIN_S)].append(word.probability)
    bins = sorted(found.items())
    ends = [min((number + 1) * BIN_S, transcript.duration_s) for number, _ in bins]
    times = [(number * BIN_S + end) / 2 for (number, _), end in zip(bins, ends, strict=True)]
    low = [quantiles(words, n=20)[0] if len(words) > 1 else words[0] for _, words in bins]
    marker = "." if len(times) <= MOST_POINTS else ""
    axes.plot(times, [fmean(words) for _, words in bins], marker=marker, color="#1f5fa8", label="mean")
    axes.plot(times, low, marker=marker, linestyle=":", color="#a8341f", label="lowest 5%")
    axes.set_ylim(0, 1.05)
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0.75, 1), ncols=2, frameon=False, borderaxespad=0.2)
    _clock(axes, transcript)


def _talk(axes: "Axes", transcript: Transcript) -> None:
    for number, part in enumerate(shares(transcript)):
        axes.barh(number, part.seconds, height=0.7, color=_colour(number))
        label = f"{clock(part.seconds)} · {part.share:.0%}"
        axes.annotate(label, (part.seconds, number), (4, 0), textcoords="offset points", va="center")
    names = [part.speaker for part in shares(transcript)]
    axes.set_yticks(range(len(names)), list(map(_short, names)))
    axes.set_ylim(max(0, len(names) - 1) + 0.6, -0.6)
    axes.margins(x=0.2)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _clock(axes: "Axes", transcript: Transcript) -> None:
    step = next((step for step in TICKS_S if transcript.duration_s / step <= MOST_TICKS), TICKS_S[-1])
    axes.set_xlim(0, max(1.0, transcript.duration_s))
    axes.set_xticks([number * step for number in range(int(transcript.duration_s // step) + 1)])
    axes.xaxis.set_major_formatter(lambda time, _: clock(time))


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def _colour(number: int) -> str:
    return f"#{bytes(on_light(number)).hex()}"


@dataclass(frozen=True)
class Picture:
    """A kind of picture; ``lanes``: it has one for each speaker."""

    title: str
    draw: Callable[["Axes", Transcript], None]
    lanes: bool


PICTURES: Mapping[str, Picture] = {
    "timeline": Picture("Who speaks when", _timeline, lanes=True),
    "confidence": Picture(f"How sure the words are, by {BIN_S:g} s", _confidence, lanes=False),
    "talk": Picture("Who speaks how long", _talk, lanes=True),
}
