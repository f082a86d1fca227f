"""Compare the published versions of a session: how they were made, and how their words differ."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionscribe.artifacts.published import Published
from sessionscribe.core.errors import UserError
from sessionscribe.publish import history, pack, unpack
from sessionscribe.publish.dvc_store import Store
from sessionscribe.publish.history import Revision
from sessionscribe.publish.state import CONTENTS

if TYPE_CHECKING:
    from sessionscribe.formats.utterances import PlainTranscript


@dataclass(frozen=True)
class Version:
    """A published version; if it is not available, ``published`` is None and ``problem`` says why.

    ``changes`` lists the settings, models and packages that differ from the version before, and ``words``
    summarises how the words do ("" for the first).
    """

    revision: Revision
    published: Published | None
    problem: str
    changes: tuple[str, ...]
    words: str


def collect(root: Path, store: Store, session: str) -> list[Version]:
    """Return the versions of a session, newest first, downloading what the cache lacks.

    Raises:
        UserError: the session was never published.
    """
    oldest_first = reversed(history.revisions(root, session))
    # Some commits (merges, formatting) do not change the version.
    revisions = [next(same) for _, same in groupby(oldest_first, key=lambda revision: revision.version)]
    if not revisions:
        hint = f"Publish it with `sessionscribe publish {session}`"
        raise UserError("was never published", where=session, hint=hint)
    found: list[Version] = []
    for revision in revisions:
        published, problem = _contents(store, session, revision)
        changes: tuple[str, ...] = ()
        words = ""
        if published and found and (older := found[-1]).published:
            changes = tuple(differences(older.published, published))
            words = _word_difference(store, older.revision, older.published, revision, published)
        found.append(Version(revision, published, problem, changes, words))
    return found[::-1]


def _contents(store: Store, session: str, revision: Revision) -> tuple[Published | None, str]:
    try:
        store.fetch(revision.version, CONTENTS)
        return unpack.read(store.file(revision.version, CONTENTS), session), ""
    except UserError as error:
        return None, str(error)


def transcript(store: Store, session: str, revision: Revision) -> PlainTranscript:
    """Return the finished transcript of a version, downloading what the cache lacks.

    Raises:
        UserError: it is not available.
    """
    published, problem = _contents(store, session, revision)
    if published is None:
        raise UserError(problem, where=revision.commit[:10], hint="Choose another version")
    return _transcript(store, revision, published)


def _transcript(store: Store, revision: Revision, published: Published) -> PlainTranscript:
    from sessionscribe.formats import references  # noqa: PLC0415 -- heavy

    name = published.file(published.transcript).pack
    store.fetch(revision.version, name)
    text = pack.one(store.file(revision.version, name), published, published.transcript)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(text)
        file.flush()
        return references.read_file(Path(file.name))[0]


def _word_difference(
    store: Store, before: Revision, older: Published, revision: Revision, newer: Published
) -> str:
    """Return a summary of how the words differ from the version before."""
    from sessionscribe.evaluation import diff  # noqa: PLC0415 -- heavy

    try:
        sides = _transcript(store, before, older), _transcript(store, revision, newer)
    except UserError as error:
        return f"words not compared: {error}"
    summary = diff.diff(*sides).summary
    if not summary.errors and not summary.other_speaker:
        return "the same words and speakers"
    what = "1 word differs" if summary.errors == 1 else f"{summary.errors} words differ"
    speakers = f", {summary.other_speaker} by another speaker" if summary.other_speaker else ""
    return f"{what} ({summary.wer:.1%}){speakers}"


def differences(before: Published, after: Published) -> Iterator[str]:
    """Yield a line for each setting, model, source and package that is different."""
    old, new = _facts(before), _facts(after)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name}: {_shown(old.get(name))} → {_shown(new.get(name))}"


def _facts(published: Published) -> dict[str, Any]:
    """Return the sources, settings, models and packages of a version, by name."""
    facts: dict[str, Any] = {}
    for stage, options in published.settings.items():
        facts |= _flat(stage, options)
    for row in published.rows:
        facts |= _flat(f"manifest.{row.get('track')}", row)
    engines = {
        f"{engine.model} ({engine.name} {engine.version}, {engine.compute_type})"
        for engine in published.engines
    }
    facts["models.speech"] = sorted(engines)
    facts["models.speakers"] = published.diarization
    return facts | _flat("packages", published.versions)


def _flat(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in values.items():
        inner = f"{name}.{key}"
        found.update(_flat(inner, value) if isinstance(value, dict) else {inner: value})
    return found


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if value is not None else "-"
    return text if len(text) <= 80 else f"{text[:77]}…"
