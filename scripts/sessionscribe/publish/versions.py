"""The versions of a session: what each was made with, and how its words differ from the one before."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionscribe.artifacts.published import Published
from sessionscribe.core.errors import UserError
from sessionscribe.publish import history, pack, unpack
from sessionscribe.publish.dvc_store import Store
from sessionscribe.publish.history import Revision
from sessionscribe.publish.package_manifest import CONTENTS

if TYPE_CHECKING:
    from sessionscribe.formats.utterances import PlainTranscript


@dataclass(frozen=True)
class Version:
    """A published version. ``published`` is None where it could not be had, and ``problem`` says why.

    ``changes`` are the settings, models and packages that differ from the version before; ``words`` says how
    the words do ("" for the first).
    """

    revision: Revision
    published: Published | None
    problem: str
    changes: tuple[str, ...]
    words: str


def collect(root: Path, store: Store, session: str) -> list[Version]:
    """Return the versions of a session, newest first. What is not in the cache is fetched from the remote.

    Raises:
        UserError: the session was never published.
    """
    revisions = _without_repeats(history.revisions(root, session))
    if not revisions:
        hint = f"Publish it with `sessionscribe publish {session}`"
        raise UserError("was never published", where=session, hint=hint)
    found: list[Version] = []
    for revision in reversed(revisions):
        published, problem = _contents(store, session, revision)
        changes: tuple[str, ...] = ()
        words = ""
        if published and found and (older := found[-1]).published:
            changes = tuple(differences(older.published, published))
            words = _word_difference(store, older.revision, older.published, revision, published)
        found.append(Version(revision, published, problem, changes, words))
    return found[::-1]


def _without_repeats(revisions: list[Revision]) -> list[Revision]:
    """Leave out commits (merges, formatting) that name the version that the one before them does."""
    found: list[Revision] = []
    for revision in reversed(revisions):
        if not found or revision.version != found[-1].version:
            found.append(revision)
    return found[::-1]


def _contents(store: Store, session: str, revision: Revision) -> tuple[Published | None, str]:
    try:
        store.fetch(revision.version, CONTENTS)
        return unpack.checked(Published.read(store.file(revision.version, CONTENTS)), session), ""
    except UserError as error:
        return None, str(error)


def transcript(store: Store, session: str, revision: Revision) -> PlainTranscript:
    """Return the finished transcript of a version. What is not in the cache is fetched from the remote.

    Raises:
        UserError: it cannot be had.
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
    """Say how the words of a version differ from those of the one before."""
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
    """Yield a line for each setting, model, source and package that differs."""
    old, new = _facts(before), _facts(after)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name}: {_shown(old.get(name))} → {_shown(new.get(name))}"


def _facts(published: Published) -> dict[str, Any]:
    """Return what a version was made of and with, by name."""
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
