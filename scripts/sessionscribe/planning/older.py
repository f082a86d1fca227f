"""Adopts the results of commit 54d02dc, which had no settings files, without redoing anything.

The key was in the record of each step. It can be recomputed: ``older.json`` has the versions and default
settings of that commit, and the transcript contains the values of settings that no longer exist. If the
result is the key in the record, the step had the same inputs and settings.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from sessionscribe.config.settings import Config
from sessionscribe.core.files import sync
from sessionscribe.core.fingerprint import as_of
from sessionscribe.manifest.manifest import Session
from sessionscribe.planning.results import Results, settings_text
from sessionscribe.planning.steps import Folder, Options, SessionSteps, Step
from sessionscribe.planning.steps.decoder import Decoder, words_folder, words_key

LayOut = Callable[[Options, Decoder, str, tuple[str, str]], SessionSteps]


def is_older(results: Results, session: str) -> bool:
    """Return whether a session has records but no settings files."""
    return bool(
        results.names(f"results/provenance/{session}") and not results.names(f"results/settings/{session}")
    )


def adopt(
    session: Session,
    options: Options,
    decoders: Sequence[Decoder],
    diarizers: Sequence[tuple[str, str]],
    lay_out: LayOut,
    *,
    root: Path,
) -> None:
    """Write a session's settings files, and rename the folders of its chunks.

    Args:
        session: its rows of the manifest.
        options: all present settings.
        decoders: those that may have transcribed it.
        diarizers: those that may have found its speakers.
        lay_out: returns the session's steps for settings, decoder, key of the words and diarizer.
        root: the project's folder.
    """
    results, defaults = Results(root), Config().model_dump(mode="json")
    recorded = results.record(f"results/diarize/{session.name}.json").get("made", {}).get("settings", {})
    then = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    before = {**options, **_as_then(then["options"], options, defaults, recorded)}
    choices = []
    for decoder, diarizer in product(decoders, diarizers):
        words = words_key(session, options, decoder)
        with as_of(then["versions"]):
            key = words_key(session, before, decoder)
            steps = lay_out(before, decoder, key, diarizer)
        there = max(len(results.names(words_folder(session.name, name))) for name in (key, words))
        done = {w.name: w for w in steps.works if isinstance(w, Step) and _is_done(w, results)}
        choices.append((len(done), there, done, steps, lay_out(options, decoder, words, diarizer)))
    # `max` returns the first of equals: the best one for this machine.
    count, _, done, steps, now = max(choices, key=lambda choice: choice[:2])
    if count:
        _rename_folders(steps, now, root)
        _write_settings(done, now, results, root)


def _as_then(then: Any, now: Any, default: Any, recorded: Any) -> Any:
    """Return the settings of that commit, with its defaults in place of present defaults.

    Settings that no longer exist are taken from ``recorded``.
    """
    if isinstance(then, dict) and then:
        values = [value if isinstance(value, dict) else {} for value in (now, default, recorded)]
        return {name: _as_then(then[name], *(value.get(name, ...) for value in values)) for name in then}
    if now is ...:
        return then if recorded is ... else recorded
    return then if now == default else now


def _is_done(step: Step, results: Results) -> bool:
    record = results.record(step.record)
    left_out = record.get("left_out", ())
    made = all(path in left_out or results.has(path) for path in step.outputs)
    return record.get("key") == step.key and made


def _rename_folders(before: SessionSteps, now: SessionSteps, root: Path) -> None:
    """Rename folders to their present keys."""
    renamed = {work.rule: work.path for work in now.works if isinstance(work, Folder)}
    for work in before.works:
        if isinstance(work, Folder) and work.rule in renamed:
            new = renamed[work.rule]
            if (root / work.path).is_dir() and not (root / new).exists():
                os.rename(root / work.path, root / new)


def _write_settings(done: Mapping[str, Step], now: SessionSteps, results: Results, root: Path) -> None:
    """Write all settings files at once: a session with only some of them would not be adopted again."""
    folder = root / "results/settings" / now.session.name
    fresh = folder.with_name(f".{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for step in now.works:
        if isinstance(step, Step) and (old := done.get(step.name)):
            kept = {name: value for name, value in step.settings.items() if name in ("key", "chunks")}
            told = {**old.settings, **kept}
            if options := results.record(step.record).get("options"):
                told["options"] = options
            (fresh / Path(step.settings_file).name).write_text(settings_text(told), encoding="utf-8")
    sync([*fresh.iterdir(), fresh])
    fresh.rename(folder)
