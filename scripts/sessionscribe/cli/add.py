"""``add``, which ``run --source`` runs first: add recordings to the manifest."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sessionscribe.artifacts.base import LAYOUTS
from sessionscribe.cli.options import SETTINGS, argument, command, joined
from sessionscribe.config import settings
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain, visible
from sessionscribe.engines import models, prompts
from sessionscribe.manifest import additions, manifest, removed, sources
from sessionscribe.manifest.additions import Added
from sessionscribe.manifest.sources import Group
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.steps.decoder import all_hotwords, decoders
from sessionscribe.sharing import sidecars
from sessionscribe.stages.ingest.ingest import limits_of

COLUMNS = ("language", "min_speakers", "max_speakers", "hotwords", "channel", "priority")
DEMO = Path("resources/demo")


def speakers(text: str) -> dict[str, Any]:
    """Return the columns that ``--speakers`` sets: a number, ``off``, or ``auto``."""
    if text == settings.OFF:
        return {"diarize": settings.OFF}
    if text == "auto" or text.isdecimal():
        return {"num_speakers": None if text == "auto" else int(text), "diarize": ""}
    raise argparse.ArgumentTypeError(f"`{text}` is neither a number nor `off` nor `auto`")


_column = partial(argument, group="recordings")
SPEECH = joined(
    _column("--language", "CODE", "such as en; mixed: several languages"),
    _column(
        "--speakers --num-speakers", "N|off|auto", "how many; off: do not tell them apart", type=speakers
    ),
    _column("--hotwords", "WORDS", "names and terms to expect"),
)
"""Options that describe what is said in recordings."""
FILES = joined(
    _column("--layout", "", "how files belong together (default: by name)", choices=LAYOUTS),
    _column("--exact", "", "decode to find a missing or wrong duration", action="store_true"),
    _column("--min-speakers", "N", "minimum number of speakers", type=int),
    _column("--max-speakers", "N", "maximum number of speakers", type=int),
    _column("--audio-stream", "N", "audio stream to use, from 0 (repeatable)", type=int, action="append"),
    _column("--channel", "N", "channel to use, from 0", type=int),
    _column("--names", "NAME,NAME", "who is on each channel or stream (--layout multitrack)"),
    _column("--priority", "N", "sessions with the highest come first", type=int),
)
"""Options that describe the files of recordings."""


@command(
    "add",
    *(SETTINGS, SPEECH, FILES),
    argument("sources", "SOURCE", "a file, folder, quoted pattern, `remote:path` or `s3://`", nargs="+"),
    argument("--session", "SESSION", "name of the session (default: from the file or folder)"),
)
def add(options: argparse.Namespace, config: Config) -> int:
    """Add recordings to the manifest."""
    return add_sources(options.sources, options.session, options, config)[1]


def add_sources(
    given: Sequence[str], session: str | None, options: argparse.Namespace, config: Config
) -> tuple[list[str], int]:
    """Add sources to the manifest; return the names of their sessions, and the exit code.

    Args:
        given: files, folders, patterns, or locations on remotes.
        session: name of the session; None: from the files.
        options: the command's options, with the columns to set.
        config: the settings.
    """
    columns = {name: value for name in COLUMNS if (value := getattr(options, name)) is not None}
    columns |= options.speakers or {}
    streams = options.audio_stream or []
    if len(streams) == 1:
        columns["audio_stream"] = streams.pop()
    names = [name.strip() for name in (options.names or "").split(",") if name.strip()]
    layout = options.layout or ("multitrack" if streams or names else None)
    check_language(options.language)
    groups = sources.discover(given, layout=layout, session=session)
    added, result = add_groups(groups, columns, config, exact=options.exact, streams=streams, names=names)
    return added, 1 if result.problems else 0


def add_groups(
    groups: Sequence[Group],
    columns: dict[str, Any],
    config: Config,
    *,
    exact: bool = False,
    quiet: bool = False,
    streams: Sequence[int] = (),
    names: Sequence[str] = (),
) -> tuple[list[str], Added]:
    """Add recordings to the manifest, adopt transcripts that lie beside them, and print what changed.

    Args:
        groups: the files, by session.
        columns: values for columns of the manifest.
        config: the settings.
        exact: decode to find the duration.
        quiet: do not print sessions that are known already.
        streams: audio streams to use as tracks; empty: all.
        names: the speaker of each stream or channel.

    Returns:
        The sessions of the files, and the changes.
    """
    manifest.check_settings(columns)
    _warn_of_unused(columns.get("hotwords"), config)
    table = Path(config.manifest)
    _refuse_in_demo(table, groups)
    found: list[str] = []

    def report(name: str, done: str, line: str) -> None:
        found.append(name)
        if done != "known" or not quiet:
            print(f"{done} {name}: {line}")

    with sidecars.beside(groups) as beside:
        with manifest.locked(table):
            known = manifest.read(table)
            removed.note(Path(), table, (row for session in known.values() for row in session.rows))
            result = additions.add(
                groups,
                known,
                root=Path(),
                settings=columns,
                exact=exact,
                report=report,
                durations=beside.durations,
                say=lambda line: print(line, file=sys.stderr),
                before=removed.read(Path(), table),
                limits=limits_of(config.ingest),
                streams=streams,
                names=names,
            )
            manifest.write(table, result.rows)
            removed.note(Path(), table, result.rows)
        for line in result.news:
            print(line)
        for problem in result.problems:
            complain(problem)
        _adopt([row.session for row in result.rows if row.source in beside], config, beside)
    return found, result


def check_language(language: str | None) -> None:
    """Refuse a language that no model knows.

    Raises:
        UserError: it is not a language code.
    """
    if not language or language in ("auto", "mixed") or models.is_language(language):
        return
    hint = "Use a code such as `en`, or `auto` or `mixed`; nothing was added"
    raise UserError(f"`{visible(language)}` is not a language code", where="--language", hint=hint)


def _warn_of_unused(hotwords: str | None, config: Config) -> None:
    """Warn about hotwords that do not fit into the prompt, if a model is here to count tokens."""
    found = (models.locate(each.model, models.WHISPER_FILES) for each in decoders(config, str))
    able = (folder for folder in found if folder and (folder / "tokenizer.json").is_file())
    if hotwords and (folder := next(able, None)):
        every = all_hotwords(config.transcribe.hotwords, hotwords)
        told = config.transcribe.model_copy(update={"hotwords": every})
        if unused := prompts.prompt(told, prompts.counter(folder)).unused:
            complain(
                UserError(prompts.no_room(unused), where="--hotwords", hint="Put the important ones first")
            )


def _adopt(names: Sequence[str], config: Config, beside: sidecars.Beside) -> None:
    """Adopt transcripts of live parts that other machines made with any model that `auto` may choose."""
    if not names:
        return
    taken: Counter[str] = Counter()
    for decoder in decoders(config, models.identity):
        chosen = {"model": decoder.model, "compute_type": decoder.compute_type}
        given = {
            "sessions": tuple(dict.fromkeys(names)),
            "transcribe": config.transcribe.model_copy(update=chosen),
        }
        for name, session in Plan(config.model_copy(update=given)).sessions.items():
            taken[name] += sidecars.adopt(session, beside, Path())
    for name, count in (+taken).items():
        number = f"{count} part{'s' * (count > 1)}"
        print(f"adopted {name}: the transcripts of {number} beside the recording")


def _refuse_in_demo(table: Path, groups: Sequence[Group]) -> None:
    for file in (file for group in groups for file in group.files):
        if file.path is None or not Path(os.path.realpath(file.path)).is_relative_to(DEMO.resolve()):
            refuse_demo(table, "is not one of the demo's recordings", file.source)


def refuse_demo(table: Path, what: str = "is part of the program", where: object = DEMO) -> None:
    """Refuse to change the demo's manifest.

    Raises:
        UserError: ``table`` is the demo's manifest.
    """
    if table.parent == DEMO:
        raise UserError(what, where=where, hint="Leave out --profile demo, or set another `manifest`")
