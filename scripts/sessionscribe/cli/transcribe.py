"""``transcribe``: from recordings to finished files in one step, without a manifest.

The recordings become sessions of a project in the user's cache folder, so a second call continues where
the first one stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import platformdirs
import yaml

from sessionscribe.audio import media
from sessionscribe.cli import add, run, workflow
from sessionscribe.cli.options import DRY_RUN, PROJECT, SETTINGS, argument, command, load
from sessionscribe.config.settings import Config, Format
from sessionscribe.core import locks
from sessionscribe.core.errors import UserError, complain, describe, exit_code
from sessionscribe.core.files import atomic_path, sha256, write_text
from sessionscribe.engines import models
from sessionscribe.formats.page import BESIDE
from sessionscribe.manifest import manifest, sources
from sessionscribe.manifest.names import slug
from sessionscribe.planning import status
from sessionscribe.planning.plan import MANIFEST, Plan
from sessionscribe.planning.session import SessionPlan

OWN = Path("config/config.yaml")
WRITTEN = Path("written.json")
"""The delivered files with their checksums. No other file is ever replaced."""


@command(
    "transcribe",
    *(SETTINGS, add.SPEECH, DRY_RUN),
    argument("files", "FILE", "a recording: audio or video", nargs="+"),
    argument("--to", "FOLDER", "output folder (default: one per file)", type=Path),
    argument("--model", "MODEL", "speech model: a name, such as base, or a folder"),
    argument(
        "--format",
        "FORMAT",
        "srt, txt, docx … (repeatable; default: the configured formats and html)",
        action="append",
        choices=get_args(Format),
    ),
)
def transcribe(options: argparse.Namespace) -> int:
    """Transcribe files, in any folder."""
    settings, places = load(options, root=PROJECT), [Path.cwd(), PROJECT]
    options.configfile, options.config = [OWN], []  # of this command's own project, from here on
    to = Path.cwd() / (options.to or "")
    files, code = _recordings(options.files)
    own = _own_settings(settings, options, places)
    with _workspace():
        write_text(OWN, yaml.safe_dump(own.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
        sessions: dict[str, Path] = {}
        for file in files:
            names, failed = _add(file, options, own)
            sessions |= dict.fromkeys(names, file)
            code = failed or code
        if not sessions:
            return code
        result, plan = _make(options, list(sessions))
        if options.dry_run:
            return result or code
        print()
        for name, file in sessions.items():
            try:
                _finish(plan.sessions[name], file, to if options.to else to / name)
            except (UserError, OSError) as error:
                complain(describe(error, str(file)))
                code = max(code, exit_code(error))
        return result or code


def _make(options: argparse.Namespace, names: Sequence[str]) -> tuple[int, Plan]:
    """Run the sessions' missing work in the working directory; return the exit code and the plan."""
    there = not options.dry_run and run.checks_models_here(options)
    plan = run.planned(load(options, names), with_models=there)
    if not plan.targets():
        return 0, plan
    table = ("--dry-run", *workflow.TABLE) if options.dry_run else ()
    request = workflow.Request(("--snakefile", str(PROJECT / "Snakefile"), *table))
    return run.make(options, request, names), Plan(load(options, names))


def _recordings(given: Sequence[str]) -> tuple[list[Path], int]:
    """Return the files that are recordings, without duplicates, and the exit code: 1 if others were given."""
    found, code = [], 0
    for path in map(Path, given):
        try:
            with media.open_media(path) as container:
                media.audio_streams(container, path)
            found.append(path.parent.resolve() / path.name)
        except UserError as error:  # its hint is about files in a manifest
            complain(UserError(error.what, where=path, hint="It is skipped"))
            code = 1
    return list(dict.fromkeys(found)), code


def _own_settings(settings: Config, options: argparse.Namespace, places: Sequence[Path]) -> Config:
    """Return the settings of this call, with absolute paths."""

    def placed(path: str, presets: Collection[str] = ()) -> str:
        there = [] if path in ("", *presets) else [place / path for place in places]
        return next((str(found) for found in there if found.exists()), path)

    model = options.model or settings.transcribe.model
    formats = options.format or [*settings.export.formats, "html"]
    changes: Mapping[str, Mapping[str, Any]] = {
        "transcribe": {"model": placed(model, ["auto", *models.WHISPER])},
        "diarize": {"model": placed(settings.diarize.model, ["auto", *models.DIARIZATION])},
        "name": {"voices": placed(settings.name.voices)},
        "export": {
            "formats": tuple(dict.fromkeys(formats)),
            "pdf_fonts": tuple(map(placed, settings.export.pdf_fonts)),
        },
    }
    sections = {name: getattr(settings, name).model_copy(update=update) for name, update in changes.items()}
    return settings.model_copy(update={**sections, "manifest": MANIFEST, "sessions": ()})


@contextlib.contextmanager
def _workspace() -> Iterator[None]:
    """Change to this command's own project; concurrent calls wait for each other."""
    place = platformdirs.user_cache_path("sessionscribe") / "transcribe"

    def busy() -> None:
        print("Waiting for another `sessionscribe transcribe` …", flush=True)

    with locks.locked(place / ".lock", busy=busy), contextlib.chdir(place):
        try:
            yield
        except OSError as error:
            error.filename = error.filename and os.path.abspath(error.filename)
            raise


def _add(file: Path, options: argparse.Namespace, settings: Config) -> tuple[list[str], int]:
    """Add a recording, without the options of an earlier call; return its sessions and the exit code."""
    columns = {"num_speakers": None, "diarize": "", **(options.speakers or {})}
    columns |= {"language": options.language or "", "hotwords": options.hotwords or ""}
    name = _name_of(file, manifest.read(Path(MANIFEST)))
    try:
        add.check_language(options.language)
        groups = sources.discover([str(file)], layout="recording", session=name)
        names, result = add.add_groups(groups, columns, settings)
        return names, int(bool(result.problems))
    except UserError as error:
        complain(error)
        return [], 1


def _name_of(file: Path, known: Mapping[str, manifest.Session]) -> str:
    """Return the name of a recording's session; new ones are named after file and folder, or numbered."""
    for name, session in known.items():
        if session.rows[0].source == str(file):
            return name
    stem = slug(file.stem)
    numbered = (f"{stem}-{number}" for number in itertools.count(2))
    names = itertools.chain((stem, slug(f"{file.parent.name}-{file.stem}")), numbered)
    return next(name for name in names if name not in known)


def _finish(session: SessionPlan, file: Path, to: Path) -> None:
    """Deliver the finished files of a session, and print where they are.

    Raises:
        UserError: the session is not finished, or a file with the same name was not written by us.
    """
    found = status.status_of(Path(), session)
    if found.status != "complete":
        hint = "Fix the failure above, then run again" if found.failures else "Run again to continue"
        raise UserError(f"is not finished ({found.status})", where=file, hint=hint)
    exports = [Path(path) for path in session.of("write_export")[0].outputs]
    written = json.loads(WRITTEN.read_text(encoding="utf-8")) if WRITTEN.exists() else {}
    try:
        new = [export for export in exports if _deliver(export, to / export.name, written)]
    finally:
        write_text(WRITTEN, json.dumps(written, indent=0))
    if any(export.suffix == ".html" for export in exports):
        _link(file, to / f"{session.session.name}{file.suffix}")
    if not new:
        print(f"{file}: nothing to do")
    endings = ",".join(export.name.partition(".")[2] for export in exports)
    print(f"{to}/{session.session.name}.{{{endings}}}")
    notes = [*found.flags, *[status.WITHOUT_SPEAKERS] * found.without_speakers]
    print(f"audit: {'; '.join([found.audit, *notes])}")


def _deliver(export: Path, target: Path, written: dict[str, str]) -> bool:
    """Copy a finished file unless the target is identical; return whether it was copied."""
    digest, before = sha256(export), sha256(target) if target.exists() else None
    if before not in (None, digest, written.get(str(target))):
        hint = "Move it away, or choose another folder with --to"
        raise UserError(
            "exists and was not written by this command, or has been edited", where=target, hint=hint
        )
    if before != digest:
        with atomic_path(target) as temporary:
            shutil.copyfile(export, temporary)
    written[str(target)] = digest
    return before != digest


def _link(file: Path, beside: Path) -> None:
    """Link the recording beside the page, which plays it."""
    if beside.suffix[1:] in BESIDE and not os.path.lexists(beside):
        with contextlib.suppress(OSError):  # a file system without links
            beside.symlink_to(os.path.relpath(file, beside.parent.resolve()))
