"""The versions of a session's transcript, and their comparison as in `sessionscribe diff`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Config
from sessionscribe.core import locks
from sessionscribe.evaluation import diff, transcripts
from sessionscribe.evaluation.diff import Diff
from sessionscribe.formats.transcripts import read_json
from sessionscribe.formats.utterances import PlainTranscript
from sessionscribe.planning.steps import Folder
from sessionscribe.publish import history, state
from sessionscribe.publish import versions as published
from sessionscribe.publish.dvc_store import Store
from sessionscribe.publish.history import Revision
from sessionscribe.publish.state import target_of
from sessionscribe.web.archive import Archive


@dataclass(frozen=True)
class Version:
    """A version of a transcript; ``key`` identifies it in URLs, ``label`` is shown."""

    key: str
    label: str
    read: Callable[[], PlainTranscript]


def versions(archive: Archive, session: str) -> list[Version]:
    """Return a session's versions: as shown, as heard, with other settings, and published."""
    root, plan = archive.root, archive.plan().sessions[session]
    found = []
    if (root / f"results/diarize/{session}.json").is_file():
        page = archive.page(session)
        found = [
            Version("shown", "as shown", partial(_plain, page.laid.transcript)),
            Version("heard", "as heard", partial(_plain, page.session.transcript)),
        ]
    present = {root / work.path for work in plan.steps.works if isinstance(work, Folder)}
    others = set((root / f"results/transcribe/{session}").glob("*/")) - present
    transcriptions = [
        Version(path.name, f"transcription of {_time(path):%Y-%m-%d} ({path.name})", partial(_chunks, path))
        for path in sorted(others, key=_time, reverse=True)
    ]
    return [*found, *transcriptions, *_published(session, archive.config, root)]


def compare(before: Version, after: Version) -> Diff:
    """Return the differences of two versions."""
    return diff.diff(before.read(), after.read())


def _plain(transcript: Transcript) -> PlainTranscript:
    [found] = read_json(Path(transcript.session), transcript.model_dump_json())
    return found


def _chunks(folder: Path) -> PlainTranscript:
    [found] = transcripts.read(str(folder)).values()
    return found


def _time(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime)


def _published(session: str, config: Config, root: Path) -> Iterator[Version]:
    if not (root / target_of(session)).is_file():
        return
    for found in history.revisions(root, session):
        yield Version(
            found.commit,
            f"published {found.date[:16].replace('T', ' ')} ({found.commit[:10]})",
            partial(_fetched, session, found, config, root),
        )


def _fetched(session: str, revision: Revision, config: Config, root: Path) -> PlainTranscript:
    with locks.locked(root / state.LOCK), closing(Store(root, config.publish.remote)) as store:
        return published.transcript(store, session, revision)
