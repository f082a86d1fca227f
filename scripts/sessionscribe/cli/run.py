"""``run``, and how all commands start Snakemake."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import platformdirs
import yaml

from sessionscribe.cli import publish, save, storage, workflow
from sessionscribe.cli.add import FILES, SPEECH, add_sources
from sessionscribe.cli.options import (
    SETTINGS,
    argument,
    command,
    configfiles,
    flag,
    from_one,
    load,
    profile,
    profile_values,
    repeated,
)
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain, unknown_session
from sessionscribe.engines import fetch
from sessionscribe.jobs import workspace
from sessionscribe.manifest import manifest
from sessionscribe.planning import status
from sessionscribe.planning.plan import NO_SESSIONS, Plan
from sessionscribe.planning.steps import LAST, STAGE_OF, STAGES


@command(
    "run",
    *(SETTINGS, SPEECH, FILES, save.OPTIONS),
    repeated("--source", "SOURCE", "first add this source, and run only its sessions"),
    repeated("--session", "SESSION", "run only this session (repeatable)"),
    argument("--stage", "", "stop after this stage", choices=STAGES),
    argument("--limit", "N", "run at most N sessions", type=from_one),
    flag("--upload", "upload finished sessions at the end"),
    flag("--publish", "publish finished sessions at the end"),
    usage="%(prog)s [options] [any of Snakemake's options] [SESSION ...]",
)
def run(options: argparse.Namespace) -> int:
    """Run all work that is missing or out of date."""
    workspace.check_writable([Path(".snakemake")])
    rest, names, code = options.rest, list(options.session), 0
    given = ["--config", *options.config] if options.config else []
    request = workflow.parse([*rest, *given], options.known)
    options.config = list(request.pairs)  # also those that only Snakemake's parser finds
    if request.targets:  # sessions, or files and rules as in Snakemake
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
    if not plan.sessions and not rest:  # otherwise the Snakefile reports it
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
        options: the command's options, with profile and settings.
        request: further arguments for Snakemake.
        names: sessions to work on; empty: all.
        more: settings that override those of the options.
        stage: the last stage.
        should_stop: once it returns True, running jobs finish and no others start.
        every_s: seconds between calls of ``should_stop``; None: never.
    """
    workspace.check_writable([Path(".snakemake")])
    platformdirs.user_cache_path("snakemake", ensure_exists=True)  # Snakemake shows a traceback if it cannot
    if {"{", "}"} & set(str(Path.cwd())):
        what = "has braces in its name, which Snakemake takes for wildcards"
        raise UserError(what, where=Path.cwd(), hint="Rename that folder, or move the project out of it")
    # The user's arguments come first: options with several values would swallow the targets.
    given = [*request.arguments, "--profile", str(profile(options))]
    if options.configfile:
        given += ["--configfile", *map(str, options.configfile)]

    def start(names: Sequence[str]) -> int:
        pairs = [*options.config, *more, *([f"sessions={flow(list(names))}"] if names else [])]
        arguments = [*given, *(["--config", *pairs] if pairs else [])]  # only the last `--config` counts
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
    """Return the plan; ``with_models`` first downloads the models of ``auto``, which may change the plan."""
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
    """Return whether this machine runs the models; some profiles run them on another one."""
    return "check_models" not in str(profile_values(options).get("warm-guests", ""))


def _show_outcome(options: argparse.Namespace, settings: Config, *, stopped: bool) -> int:
    """Show the state of sessions after a run; unless stopped, upload and publish if requested.

    Returns 1 if a session is blocked or cannot be sent.
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
        code = max(code, storage.upload_sessions(sessions, settings))
    if options.publish:
        code = max(code, publish.publish_sessions(sessions, settings, configfiles=configfiles(options)))
    return code


def _show_results(exports: Sequence[Path]) -> None:
    """Print the folder of a session's exports, and the beginning of its transcript."""
    endings = " ".join(path.name.partition(".")[2] for path in exports)
    print(f"\n{exports[0].parent}/  ({endings})")
    for path in exports:
        if path.name == f"{path.parent.name}.txt" and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines()[:6]:
                print(f"    {line}")
