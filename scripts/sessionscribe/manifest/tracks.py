"""Several speakers in one file: a channel or an audio stream each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sessionscribe.audio import media
from sessionscribe.audio.reader import Limits, Reader
from sessionscribe.audio.source import Source
from sessionscribe.core.errors import UserError
from sessionscribe.core.text import counted
from sessionscribe.stages.ingest.ingest import Probe, probe

if TYPE_CHECKING:
    from sessionscribe.manifest.manifest import Row

SIDES = ("left", "right")
SAME = 0.01
"""Channels that differ by less (full scale is 1) are one sound twice."""


@dataclass(frozen=True)
class Part:
    """One speaker's part of a file: an audio stream, or a channel of one; times in seconds."""

    name: str
    duration_s: float
    audio_stream: int | None = None
    channel: int | None = None


def parts_of(
    source: Source,
    *,
    streams: Sequence[int],
    names: Sequence[str],
    exact: bool = False,
    limits: Limits | None = None,
) -> list[Part]:
    """Return the speakers' parts of a file: its audio streams if there are several, else its channels.

    Args:
        source: the file.
        streams: the numbers of the audio streams to take; none: all.
        names: who is to be heard, in order; none: as the streams are titled, or `left` and `right`.
        exact: count samples instead of trusting the container's duration.
        limits: how much sound there may be.

    Raises:
        UserError: the file is no recording, or has not as many streams or channels as are asked for.
    """

    def look(stream: int) -> Probe:
        return probe(source, exact=exact, audio_stream=stream, limits=limits)

    with media.open_media(source) as container:
        found = media.audio_streams(container, source)
        titles = [stream.metadata.get("title", "").strip() for stream in found]
        described = media.describe(found)
        for number in streams:
            media.choose_stream(found, number, source)
    numbers = list(streams) or list(range(len(found)))
    if len(numbers) > 1:
        parts = [
            Part(titles[number] or f"stream-{number}", look(number).duration_s, audio_stream=number)
            for number in numbers
        ]
    else:
        only, taken = look(numbers[0]), numbers[0] if streams else None
        channels = described[numbers[0]].channels
        sides = SIDES if channels == len(SIDES) else [f"channel-{number}" for number in range(channels)]
        parts = [Part(side, only.duration_s, taken, number) for number, side in enumerate(sides)]
        blocks = Reader(source, numbers[0], limits=limits or Limits()).blocks()
        if not names and all(float(abs(block - block[:1]).max(initial=0)) <= SAME for _, block in blocks):
            return []  # one sound twice
    if names and len(names) != len(parts):
        what = f"has {counted(len(parts), 'track')}, not as many as there are names ({len(names)})"
        raise UserError(
            what, where=source, hint="Give one name for each track with --names; nothing was added"
        )
    return [
        replace(part, name=name) for part, name in zip(parts, names or [p.name for p in parts], strict=True)
    ]


def join(old: Sequence[Row], new: Sequence[Row], settings: Mapping[str, Any], *, named: bool) -> list[Row]:
    """Return a session's rows with the parts of one file among them.

    Args:
        old: the session's rows.
        new: the parts of the file, each its stream and channel.
        settings: columns to set.
        named: whether the names of the new rows were given; else those that the manifest has stay.
    """
    here = {(row.audio_stream, row.channel): row for row in old if row.source == new[0].source}
    here.pop((None, None), None)  # the file as one track
    for row in new:
        before = here.get((row.audio_stream, row.channel), row)
        who = row if named else before
        found = replace(before, checksum=row.checksum, duration_s=row.duration_s, **settings)
        here[row.audio_stream, row.channel] = replace(found, track=who.track, speaker=who.speaker)
    rows = [*(row for row in old if row.source != new[0].source), *here.values()]
    twice = [name for name, count in Counter(row.track for row in rows).items() if count > 1]
    if twice:
        hint = "Give each track another name with --names"
        raise UserError(
            f"two tracks are called {twice[0]}; nothing was added", where=new[0].session, hint=hint
        )
    return rows
