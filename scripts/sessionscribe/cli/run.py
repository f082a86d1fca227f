"""The sub-command ``run``, and how all commands start Snakemake."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from sessionscribe.cli import publish, save, storage, workflow
from sessionscribe.cli.add import add_sources, columns_parser, said_parser
from sessionscribe.cli.options import (
    SETTINGS,
    configfiles,
    from_one,
    load,
    profile,
    profile_values,
    subcommand,
)
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain, unknown_session
from sessionscribe.engines import fetch
from sessionscribe.jobs import workspace
from sessionscribe.manifest import manifest
from sessionscribe.planning import status
from sessionscribe.planning.plan import NO_SESSIONS, Plan
from sessionscribe.planning.steps import LAST, STAGE_OF, STAGES


def add_arguments(commands: Any) -> None:
    """Add the sub-command to the command's parsers."""
    what = "run all work that is missing or out of date"
    parser = subcommand(commands, "run", command, what, SETTINGS, said_parser(), columns_parser())
    parser.usage = "%(prog)s [options] [Snakemake's options] [SESSION ...]"
    parser.epilog = "Options that are not listed here are passed on to Snakemake."
    parser.add_argument(
        "--source", action="append", default=[], help="first add this source, and run only its sessions"
    )
    parser.add_argument("--session", action="append", default=[], help="run only this session (repeatable)")
    parser.add_argument("--stage", choices=STAGES, help="stop after this stage")
    parser.add_argument("--limit", type=from_one, metavar="N", help="run at most N sessions")
    parser.add_argument("--upload", action="store_true", help="upload finished sessions at the end")
    parser.add_argument("--publish", action="store_true", help="publish finished sessions at the end")
    save.add_arguments(parser)


def command(options: argparse.Namespace) -> int:
    """Run what is missing and show the state of sessions; unknown options are passed to Snakemake."""
    workspace.check_writable([Path(".snakemake")])
    rest, names, code = options.rest, list(options.session), 0
    given = ["--config", *options.config] if options.config else []
    request = workflow.parse([*rest, *given], options.known)
    options.config = list(request.pairs)  # those that Snakemake's own parser finds, too
    if request.targets:  # which may be files and rules, as Snakemake has it, or sessions
        table = Path(load(options).manifest)
        known = manifest.read(table)
        for target in request.targets:
            if target in known:
                names.append(target)
            elif target not in RULES and "/" not in target and "." not in target:
                raise unknown_session(target, known, table)
        request = workflow.parse([*(text for text in rest if text not in known), *given])
    if options.source:
        name = options.session[0] if options.session else None
        names, code = add_sources(options.source, name, options, load(options))
        if not names:
            return code
    plan = planned(load(options, names), with_models=not request.shows and checks_models_here(options))
    if not plan.sessions and not rest:  # else the Snakefile says so
        print(NO_SESSIONS)
        return code
    if options.limit is not None:
        names = [name for name, session in plan.sessions.items() if session.pending][: options.limit]
        if not names:
            print("Nothing to do.")
            return code
    present = functools.partial(load, options, names)
    with save.saving(options, present, shows=request.shows) as unsaved:
        result = make(options, request, names, stage=options.stage)
    code |= unsaved()
    if not request.shows and result != workflow.BUSY:
        stopped = result > workflow.SIGNALLED
        code = _show_outcome(options, load(options, names), stopped=stopped) or code
    return result or code


RULES = {"all", "note_settings", "check_models", *STAGE_OF}


def make(
    options: argparse.Namespace,
    request: workflow.Request,
    names: Sequence[str],
    *,
    more: Sequence[str] = (),
    stage: str | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    every_s: float | None = None,
) -> int:
    """Run Snakemake for what is missing or out of date, and return its exit code.

    Args:
        options: the command's, with profile and settings.
        request: what Snakemake is asked for besides.
        names: of these sessions; none: of all.
        more: settings over those of the options.
        stage: the last one.
        should_stop: once it says yes, jobs that run finish and none begins.
        every_s: how often it is asked; None: never.
    """
    workspace.check_writable([Path(".snakemake")])
    if {"{", "}"} & set(str(Path.cwd())):
        what = "has braces in its name, which Snakemake takes for wildcards"
        raise UserError(what, where=Path.cwd(), hint="Rename that folder, or move the project out of it")
    # What is passed on comes first: options with several values would take its targets for theirs.
    given = [*request.arguments, "--profile", str(profile(options))]
    if options.configfile:
        given += ["--configfile", *map(str, options.configfile)]

    def start(names: Sequence[str]) -> int:
        pairs = [*options.config, *more, *([f"sessions={flow(list(names))}"] if names else [])]
        arguments = [*given, *(["--config", *pairs] if pairs else [])]  # the last `--config` counts
        if stage:
            arguments += ["--until", *LAST[stage]]
        return workflow.start(arguments, should_stop, every_s)

    result = start(names)
    if result in (0, workflow.BUSY) or result > workflow.SIGNALLED or request.shows:
        return result
    plan = Plan(load(options, names))
    if not plan.measured:
        return result
    others = [row for row in status.collect(plan) if row.session not in plan.measured]
    again = start(names if request.targets else sorted(plan.measured))
    return again or (result if any(row.status == "failed" for row in others) else 0)


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**9).strip()


def planned(settings: Config, *, with_models: bool) -> Plan:
    """Return the plan; if asked, fetch the models of ``auto`` first, which may change it."""
    plan = Plan(settings)
    if with_models:
        wanted = plan.preflight_task()
        fetched = [
            fetch.provide_auto(wanted["speech"], settings.transcribe, say=complain),
            fetch.provide_auto_pipeline(wanted["diarization"], settings.diarize, say=complain),
        ]
        if any(fetched):
            return Plan(settings)
    return plan


def checks_models_here(options: argparse.Namespace) -> bool:
    """Return whether this machine runs the models: some profiles leave that to another one."""
    return "check_models" not in str(profile_values(options).get("warm-guests", ""))


def _show_outcome(options: argparse.Namespace, settings: Config, *, stopped: bool) -> int:
    """Show the state of sessions after a run; unless it was stopped, upload and publish if asked for.

    Returns 1 where something could not be done.
    """
    after = Plan(settings)
    print()
    print(status.table(status.collect(after)))
    sessions = list(after.sessions.values())
    for session in sessions:
        if not (session.pending or session.blocked):
            _show_results([Path(path) for step in session.of("write_export") for path in step.outputs])
    code = int(any(session.blocked for session in sessions))
    if stopped:
        return code
    if options.upload:
        code |= storage.upload_sessions(sessions, settings)
    if options.publish:
        code |= publish.publish_sessions(sessions, settings, configfiles=configfiles(options))
    return code


def _show_results(exports: Sequence[Path]) -> None:
    """Print where a session's finished files are, and the beginning of its transcript."""
    endings = " ".join(path.name.partition(".")[2] for path in exports)
    print(f"\n{exports[0].parent}/  ({endings})")
    for path in exports:
        if path.name == f"{path.parent.name}.txt" and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines()[:6]:
                print(f"    {line}")
