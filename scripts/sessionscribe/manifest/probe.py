"""A look at recordings that were found: their checksum and duration, and what is wrong with them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.audio import media
from sessionscribe.core.errors import UserError
from sessionscribe.manifest.manifest import Session
from sessionscribe.manifest.sources import File, Group
from sessionscribe.stages.ingest.ingest import Probe, probe
from sessionscribe.storage.checksums import Checksums

REMOTE_AT_ONCE = 16
"""Remote recordings that are looked at at the same time: each waits for the network most of the time."""
SAY_S = 10.0


@dataclass(frozen=True)
class ProbeResult:
    """What a recording was found to be; a duration of 0 where that could not be told, and why."""

    checksum: str
    duration_s: float
    problem: UserError | None = None


@dataclass(frozen=True)
class Prober:
    """How recordings are looked at.

    ``known`` is the manifest; ``audio_stream``, ``exact``, ``s3_remote`` and ``say`` are as ``additions.add``
    has them; ``told`` is its ``durations``.
    """

    known: dict[str, Session]
    audio_stream: int | None
    exact: bool
    s3_remote: str
    told: Callable[[Sequence[str]], Mapping[str, float]]
    say: Callable[[str], None]

    def at(self, groups: Sequence[Group], root: Path) -> dict[File, ProbeResult]:
        """Look at every file, at remote ones several at a time."""
        files = [file for group in groups for file in group.files]
        durations = {
            row.checksum: row.duration_s
            for session in self.known.values()
            for row in session.rows
            # Another stream of a file may be shorter.
            if row.checksum and row.duration_s > 0 and not self.exact and self.audio_stream is None
        }
        checksums = Checksums(root / ".sessionscribe/checksums.json")
        local = {file: self._locally(file, durations, checksums) for file in files if file.item is None}
        checksums.write()
        remote = [file for file in files if file.item is not None]
        return local | dict(zip(remote, self._remotely(remote, durations), strict=True))

    def _locally(self, file: File, durations: dict[str, float], checksums: Checksums) -> ProbeResult:
        path = file.path or Path(file.source)
        try:
            str(path).encode()
            checksum = checksums.sha256(path)
        except UnicodeEncodeError:
            return ProbeResult(
                "", 0, UserError("has a name that is not valid UTF-8", where=path, hint="Rename the file")
            )
        except OSError as error:
            what = f"cannot be read ({error.strerror})"
            return ProbeResult("", 0, UserError(what, where=path, hint="Check the file"))
        return self._probed(path, checksum, durations)

    def _remotely(self, files: list[File], durations: dict[str, float]) -> Iterator[ProbeResult]:
        """Probe remote files by parts of them; those whose content is known cost nothing."""
        items = [file.item for file in files if file.item is not None]
        if not self.exact and self.audio_stream is None:
            new = [item.source for item in items if item.checksum not in durations]
            durations = {**self.told(new), **durations}
        unknown = [item for item in items if item.checksum not in durations and not item.fault]
        with contextlib.ExitStack() as stack:
            found: dict[str, ProbeResult] = {}
            if unknown:
                from sessionscribe.storage import ranges  # noqa: PLC0415 -- only where something is remote

                server = stack.enter_context(ranges.serve(s3_remote=self.s3_remote))
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

    def _probed(self, recording: media.Source, checksum: str, durations: Mapping[str, float]) -> ProbeResult:
        if checksum in durations:
            return ProbeResult(checksum, durations[checksum])
        try:
            found = probe(recording, exact=self.exact)
        except UserError as error:
            return ProbeResult(checksum, 0, error)
        if self.audio_stream is not None:
            found = self._probed_stream(recording, len(found.streams), self.audio_stream)
        return ProbeResult(checksum, found.duration_s)

    def _probed_stream(self, recording: media.Source, count: int, wanted: int) -> Probe:
        """Look at the stream that is asked for.

        Raises:
            UserError: there is none of that number.
        """
        if wanted >= count:
            have = "1 audio stream, number 0" if count == 1 else f"{count}, numbers 0 to {count - 1}"
            hint = "Give another --audio-stream, or none; nothing was added"
            raise UserError(
                f"has no audio stream number {wanted} (it has {have})", where=recording, hint=hint
            )
        return probe(recording, exact=self.exact, audio_stream=wanted)
