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
"""Channels that differ by less (full scale is 1) count as identical."""


@dataclass(frozen=True)
class Part:
    """An audio stream or channel with one speaker; the duration is in seconds."""

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
    """Return the tracks of a file: its audio streams if there are several, or else its channels.

    Args:
        source: the file.
        streams: the numbers of the audio streams to use; empty: all.
        names: the speakers, in order; empty: the titles of the streams, or `left` and `right`.
        exact: count samples instead of trusting the container's duration.
        limits: how much audio there may be.

    Raises:
        UserError: the file is not a recording, or the number of streams or channels does not fit.
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
            return []  # identical channels
    if names and len(names) != len(parts):
        what = f"has {counted(len(parts), 'track')}, not as many as there are names ({len(names)})"
        raise UserError(
            what, where=source, hint="Give one name for each track with --names; nothing was added"
        )
    return [
        replace(part, name=name) for part, name in zip(parts, names or [p.name for p in parts], strict=True)
    ]


def join(old: Sequence[Row], new: Sequence[Row], settings: Mapping[str, Any], *, named: bool) -> list[Row]:
    """Merge the tracks of one file into the rows of a session.

    Args:
        old: the session's rows.
        new: the tracks of the file.
        settings: columns to set.
        named: whether the user named the tracks; otherwise names in the manifest are kept.
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
