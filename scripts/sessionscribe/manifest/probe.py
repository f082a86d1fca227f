"""Inspects recordings: checksum, duration, problems."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.audio import stream_parts
from sessionscribe.audio.media import RecordingError, check_file
from sessionscribe.audio.reader import Limits, Reader
from sessionscribe.audio.source import Source
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import tracks
from sessionscribe.manifest.manifest import Session
from sessionscribe.manifest.sources import File, Group
from sessionscribe.stages.ingest.ingest import Probe, probe
from sessionscribe.storage.checksums import FILE, Checksums

if TYPE_CHECKING:
    from sessionscribe.storage.ranges import Ranges

REMOTE_AT_ONCE = 16
"""Remote recordings that are inspected at the same time; most of the time they wait for the network."""
SAY_S = 10.0


@dataclass(frozen=True)
class ProbeResult:
    """The result for one recording; if the duration is 0, ``problem`` says why.

    Attributes:
        header: for a live part that is a slice of a recorder's stream, the part with the stream's header.
        found: the details; None if the content was known before.
    """

    checksum: str
    duration_s: float
    problem: UserError | None = None
    header: int | None = None
    found: Probe | None = None


@dataclass(frozen=True)
class Prober:
    """Inspects recordings; ``known`` is the manifest, and ``told`` the ``durations`` of ``additions.add``."""

    known: dict[str, Session]
    audio_stream: int | None
    channel: int | None
    exact: bool
    told: Callable[[Sequence[str]], Mapping[str, float]]
    say: Callable[[str], None]
    limits: Limits = field(default_factory=Limits)

    def at(self, groups: Sequence[Group], root: Path) -> dict[File, ProbeResult]:
        """Inspect files, several remote ones at a time."""
        files = [file for group in groups for file in group.files]
        rows = [
            row
            for session in self.known.values()
            for row in session.rows
            if row.checksum and row.duration_s > 0 and not self._looks_again
        ]
        durations = {row.checksum: row.duration_s for row in rows}
        checksums = Checksums(root / FILE)
        local = {file: self._locally(file, durations, checksums) for file in files if file.item is None}
        checksums.write()
        remote = [file for file in files if file.item is not None]
        looked = local | dict(zip(remote, self._remotely(remote, durations), strict=True))
        headers = {  # by content, since parts may be renumbered or copied
            row.checksum: header.checksum
            for session in self.known.values()
            for row in session.rows
            if (header := session.header(row))
        }
        for group in groups:
            if group.layout == "live":
                looked |= self._with_headers(group.files, looked, headers)
        return looked

    @property
    def _looks_again(self) -> bool:
        """Whether known durations are not sufficient: another stream may be shorter or missing."""
        return self.exact or self.audio_stream is not None or self.channel is not None

    def _with_headers(
        self, files: Sequence[File], looked: Mapping[File, ProbeResult], known: Mapping[str, str]
    ) -> dict[File, ProbeResult]:
        """Inspect parts that are not files of their own again, with the header of an earlier part.

        ``known`` are the checksums of known slices and of the parts with their headers.
        """
        better: dict[File, ProbeResult] = {}
        whole: list[File] = []
        part_of: dict[str, int] = {}
        with contextlib.ExitStack() as stack:
            source = self._sources(stack)
            header = functools.cache(lambda file: stream_parts.header_of(source(file)))
            for file in sorted(files, key=lambda each: each.part or 0):
                result = looked[file]
                if not result.checksum or file.part is None:
                    continue
                head_of = "" if result.found else known.get(result.checksum, "")
                if head_of in part_of:
                    better[file] = replace(result, header=part_of[head_of])
                    continue
                if head_of:  # but that part is not here
                    result = better[file] = self._probed(source(file), result.checksum, {})
                part_of[result.checksum] = file.part
                kinds = {found.container for each in (file, *whole[-1:]) if (found := looked[each].found)}
                # FFmpeg decodes slices of FLAC without a header, but not their times.
                headless = kinds == {"flac"} and not header(file)
                if result.problem is None and len(kinds) < 2 and not headless:
                    whole.append(file)
                    continue
                for first in dict.fromkeys([*whole[-1:], *whole[:1]]):
                    if (head := header(first)) and (length := self._headed(source(file), head)):
                        better[file] = replace(result, duration_s=length, header=first.part, problem=None)
                        if looked[first].problem and stream_parts.is_header(source(first), head):
                            better[first] = replace(looked[first], problem=None, duration_s=0.001)
                        elif first not in better and looked[first].found and not looked[first].problem:
                            # Its header may contain the length of the whole stream.
                            better[first] = replace(looked[first], duration_s=self._decoded(source(first)))
                        break
                else:
                    whole.append(file)
        return better

    def _headed(self, source: Source, header: bytes) -> float | None:
        """Return the length of a slice of a stream in seconds; None if it does not fit the header."""
        with contextlib.suppress(UserError):
            return probe(
                stream_parts.with_header(source, header)[0], exact=True, limits=self.limits
            ).duration_s
        return None

    def _decoded(self, source: Source) -> float:
        reader = Reader(source, self.audio_stream or 0, limits=self.limits)
        for _ in reader.blocks():
            pass
        return round(reader.clock.position_s, 3)

    def _sources(self, stack: contextlib.ExitStack) -> Callable[[File], Source]:
        """Return a function that opens files; one rclone serves remote ones until ``stack`` is closed."""

        @functools.cache
        def server() -> Ranges:
            from sessionscribe.storage import ranges  # noqa: PLC0415 -- only where something is remote

            return stack.enter_context(ranges.serve())

        def source(file: File) -> Source:
            if file.item is None:
                return file.path or Path(file.source)
            return server().recording(file.item.source, file.item.size)

        return source

    def parts(self, file: File, streams: Sequence[int], names: Sequence[str]) -> list[tracks.Part]:
        """Return the tracks of a file; see `tracks.parts_of`."""
        streams = streams or (() if self.audio_stream is None else (self.audio_stream,))
        with contextlib.ExitStack() as stack:
            source = self._sources(stack)(file)
            return tracks.parts_of(source, streams=streams, names=names, exact=self.exact, limits=self.limits)

    def _locally(self, file: File, durations: dict[str, float], checksums: Checksums) -> ProbeResult:
        path = file.path or Path(file.source)
        try:
            with contextlib.suppress(RecordingError):  # an empty file; `_probed` reports it
                check_file(path)  # a device or pipe has no checksum
            checksum = checksums.sha256(path)
        except UserError as error:
            return ProbeResult("", 0, error)
        except OSError as error:
            what = f"cannot be read ({error.strerror})"
            return ProbeResult("", 0, UserError(what, where=path, hint="Check the file"))
        return self._probed(path, checksum, durations)

    def _remotely(self, files: list[File], durations: dict[str, float]) -> Iterator[ProbeResult]:
        """Probe remote files, of which only parts are read; known ones are not read at all."""
        items = [file.item for file in files if file.item is not None]
        if not self._looks_again:
            new = [item.source for item in items if item.checksum not in durations]
            durations = {**self.told(new), **durations}
        unknown = [item for item in items if item.checksum not in durations and not item.fault]
        with contextlib.ExitStack() as stack:
            found: dict[str, ProbeResult] = {}
            if unknown:
                from sessionscribe.storage import ranges  # noqa: PLC0415 -- only where something is remote

                server = stack.enter_context(ranges.serve())
                threads = stack.enter_context(ThreadPoolExecutor(REMOTE_AT_ONCE))
                recordings = [server.recording(item.source, item.size) for item in unknown]
                probed = threads.map(
                    lambda recording, item: self._probed(recording, item.checksum, {}), recordings, unknown
                )
                told = time.monotonic()
                for number, (item, looked) in enumerate(zip(unknown, probed, strict=True)):
                    found[item.source] = looked
                    if time.monotonic() - told >= SAY_S:
                        told = time.monotonic()
                        self.say(f"looked at {number + 1} of {len(unknown)} recordings")
            for item in items:
                if item.problem:
                    yield ProbeResult("", 0, item.problem)
                    continue
                yield found.get(item.source) or ProbeResult(item.checksum, durations[item.checksum])

    def _probed(self, recording: Source, checksum: str, durations: Mapping[str, float]) -> ProbeResult:
        if checksum in durations:
            return ProbeResult(checksum, durations[checksum])
        try:
            found = probe(recording, exact=self.exact, limits=self.limits)
        except UserError as error:
            return ProbeResult(checksum, 0, error)
        if self.audio_stream is not None:
            found = probe(recording, exact=self.exact, audio_stream=self.audio_stream, limits=self.limits)
        channels = found.streams[found.chosen].channels
        if self.channel is not None and self.channel >= channels:
            what = f"has no channel number {self.channel} (it has {channels}, counted from 0)"
            hint = "Give another --channel, or none; nothing was added"
            raise UserError(what, where=recording, hint=hint)
        return ProbeResult(checksum, found.duration_s, found=found)
