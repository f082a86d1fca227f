"""Formats of annotation programs: Audacity labels, Praat TextGrid, ELAN.

In TextGrid and ELAN, each speaker has a tier of segments and one of words. Intervals of a tier must not
overlap, so those that do are moved behind the previous one, as little as possible.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import OFF, Export
from sessionscribe.core.text import one_line
from sessionscribe.core.units import milliseconds

NO_SPEAKER = "no speaker"
SPEECH = "speech"  # the name of the only tier without diarization
WORDS = "{} - words"
EPOCH = "1970-01-01T00:00:00+00:00"  # ELAN requires a date; the same transcript must give the same bytes


@dataclass
class _Interval:
    """An interval of a tier, in milliseconds, with the words in it."""

    start: int
    end: int
    text: str
    words: list["_Interval"]


def aud(transcript: Transcript, _: Export) -> str:
    """Return labels for Audacity, one for each segment; times in seconds."""
    lines = []
    for segment in transcript.segments:
        label = f"{one_line(segment.speaker)}: " if segment.speaker else ""
        lines.append(f"{segment.start:.6f}\t{segment.end:.6f}\t{label}{one_line(segment.text)}\n")
    return "".join(lines)


def textgrid(transcript: Transcript, _: Export) -> str:
    """Return Praat's TextGrid (long form)."""
    from praatio.data_classes.interval_tier import IntervalTier  # noqa: PLC0415
    from praatio.utilities import textgrid_io  # noqa: PLC0415

    tiers = _tiers(transcript)
    ends = [part.end for parts in tiers.values() for part in parts]
    stop = max([milliseconds(transcript.duration_s), *ends, 1]) / 1000
    found = []
    for name, parts in tiers.items():
        words = list(chain.from_iterable(part.words for part in parts))
        for label, content in ((name, parts), (WORDS.format(name), words)):
            entries = [(part.start / 1000, part.end / 1000, part.text) for part in content]
            tier = IntervalTier(label, entries, 0, stop)
            found.append(
                {"class": tier.tierType, "name": tier.name, "xmin": 0, "xmax": stop, "entries": tier.entries}
            )
    grid = {"xmin": 0, "xmax": stop, "tiers": found}
    return str(textgrid_io.getTextgridAsStr(grid, "long_textgrid", includeBlankSpaces=True))


def eaf(transcript: Transcript, _: Export) -> str:
    """Return ELAN's annotation format; word tiers are children of segment tiers."""
    from pympi import Elan  # noqa: PLC0415

    file = Elan.Eaf(author="sessionscribe")
    file.adocument["DATE"] = EPOCH
    file.header |= {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    file.remove_tier("default")
    file.add_linguistic_type("words", constraints="Included_In")
    for name, parts in _tiers(transcript).items():
        file.add_tier(name, part=name)
        file.add_tier(WORDS.format(name), ling="words", parent=name, part=name)
        for part in parts:
            file.add_annotation(name, part.start, part.end, part.text)
        for word in chain.from_iterable(part.words for part in parts):
            file.add_annotation(WORDS.format(name), word.start, word.end, word.text)
    _order_times(file)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Elan.to_string(file).strip()}\n'


def _order_times(file: Any) -> None:
    """Number the time slots by time, as the format requires; pympi numbers them in order of insertion."""
    order = sorted(file.timeslots, key=lambda slot: (file.timeslots[slot], int(slot.removeprefix("ts"))))
    new = {slot: f"ts{number}" for number, slot in enumerate(order, start=1)}
    file.timeslots = {new[slot]: file.timeslots[slot] for slot in order}
    for annotations, *_ in file.tiers.values():
        for name, (start, end, *rest) in annotations.items():
            annotations[name] = (new[start], new[end], *rest)


def _tiers(transcript: Transcript) -> dict[str, list[_Interval]]:
    """Return the intervals of each tier by its name; segments without a speaker are in the last one."""
    names: dict[str | None, str] = {}
    off = transcript.diarization == OFF
    for speaker in [*transcript.speakers, *(segment.speaker for segment in transcript.segments)]:
        if speaker not in names and speaker is not None:
            names[speaker] = _unique_name(names.values(), one_line(speaker) or NO_SPEAKER)
    if any(segment.speaker is None for segment in transcript.segments):
        names[None] = _unique_name(names.values(), SPEECH if off and not names else NO_SPEAKER)
    tiers: dict[str, list[_Interval]] = {name: [] for name in names.values()}
    for segment in transcript.segments:
        words = [(w.start, w.end, one_line(w.text)) for w in segment.words if one_line(w.text)]
        if text := one_line(segment.text):
            parts = [_Interval(milliseconds(a), milliseconds(b), t, []) for a, b, t in words]
            start, end = milliseconds(segment.start), milliseconds(segment.end)
            tiers[names[segment.speaker]].append(_Interval(start, end, text, parts))
    return {name: _without_overlaps(parts) for name, parts in tiers.items()}


def _unique_name(taken: Iterable[str], name: str) -> str:
    """Return a name for a tier such that no other tier has its name or that of its word tier."""
    used = {label for other in taken for label in (other, WORDS.format(other))}
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(found for found in names if not {found, WORDS.format(found)} & used)


def _without_overlaps(parts: Sequence[_Interval], start: int = 0) -> list[_Interval]:
    """Return the intervals sorted, disjoint, not empty, and each containing its words."""
    for part in sorted(parts, key=lambda part: (part.start, part.end)):
        part.start = max(part.start, start)
        part.words = _without_overlaps(part.words, part.start)
        part.end = max(part.end, part.start + 1, *(word.end for word in part.words[-1:]))
        start = part.end
    return sorted(parts, key=lambda part: (part.start, part.end))
