"""The command `sessionscribe`: add recordings, run the workflow, see where it stands."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from sessionscribe import PACKAGE, __version__
from sessionscribe.artifacts.base import LAYOUTS
from sessionscribe.batch import watch as watched
from sessionscribe.cli import add as adding
from sessionscribe.cli import batch as batches
from sessionscribe.cli import bundle as bundling
from sessionscribe.cli import correct as correction
from sessionscribe.cli import enroll, models, remove, report, run, serve, transcribe, work
from sessionscribe.cli import evaluate as evaluation
from sessionscribe.cli import publish as publishing
from sessionscribe.cli import storage as storing
from sessionscribe.cli import watch as watching
from sessionscribe.config import settings as config
from sessionscribe.core.errors import UserError, complain, describe, exit_code, nearest, visible
from sessionscribe.core.files import write_text
from sessionscribe.core.text import is_text
from sessionscribe.engines import fetch as model_fetch
from sessionscribe.jobs import workspace
from sessionscribe.manifest import manifest
from sessionscribe.planning import status
from sessionscribe.planning.plan import NO_SESSIONS, Plan
from sessionscribe.planning.steps import LAST, STAGES
from sessionscribe.planning.verify import verify
from sessionscribe.publish import unpack
from sessionscribe.runners import costs
from sessionscribe.runners.usage_log import USAGE_LOG

PROJECT = PACKAGE.parents[1]
CONFIG = (Path("config/config.yaml"), Path("config/local.yaml"))
"""Settings that every command reads: the program's, and over them a person's own, which Git ignores."""
LISTS = ("sessions", "sources", "files", "places")
"""Arguments of which there may be several."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 where something failed, 2 where it was asked wrongly.

    After a signal it is that of the signal, as shells have it.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(batches.with_action(arguments or sys.argv[1:]))
    own = _options_of(parser, options.command)
    if options.command != "run":
        rest = _take_late(options, rest)
    if rest and options.command != "run":
        parser.error(f"unrecognized arguments: {' '.join(rest)}{nearest(rest[0].partition('=')[0], own)}")
    if hasattr(options, "sessions") and hasattr(options, "session"):
        options.sessions = list(dict.fromkeys([*options.sessions, *options.session]))
    if hasattr(options, "named") and not _name_one(options):
        parser.error("the following arguments are required: SESSION")
    try:
        _refuse_half_characters(options.command, {**vars(options), "rest": rest})
        anywhere = {"models": models.command, "transcribe": _transcribe, "work": work.command}
        anywhere |= evaluation.COMMANDS
        if options.command in anywhere:
            return anywhere[options.command](options)
        if not Path("Snakefile").is_file():
            hint = f"Change to the project's folder, for example: cd {PROJECT}"
            raise UserError("there is no Snakefile here", where=Path.cwd(), hint=hint)
        if Path("scripts/sessionscribe").is_dir() and not PACKAGE.samefile("scripts/sessionscribe"):
            complain(f"this command is that of another clone, {PROJECT}; here it is .venv/bin/sessionscribe")
        for problem in unpack.put_in_place():
            print(f"sessionscribe: {problem}", file=sys.stderr)
        commands = {"add": _add, "status": _status, "enroll": _enroll, "correct": _correct}
        commands |= {
            "verify": _verify,
            "report": _report,
            "batch": _batch,
            "serve": _serve,
            "remove": _remove,
        }
        commands["watch"] = lambda options: watching.command(options, _load(options))
        commands |= {"bundle": _bundle, "import": _import}
        commands |= dict.fromkeys(publishing.COMMANDS, _publishing) | dict.fromkeys(
            storing.COMMANDS, _storing
        )
        commands["run"] = lambda options: _run(options, rest, own)
        return commands[options.command](options)
    except UserError as error:
        complain(error)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return run.SIGNALLED + signal.SIGINT
    except OSError as error:
        complain(describe(error, str(Path.cwd())))
        return exit_code(error)


class _Parser(argparse.ArgumentParser):
    """A parser that names what may have been meant in place of a value that it does not know."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end with exit code 2."""
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            message += nearest(found[1], re.findall(r"[^\s,']+", found[2]))
        super().error(message)


def _options_of(parser: argparse.ArgumentParser, command: str) -> list[str]:
    """Return the options of a sub-command."""
    (commands,) = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    return list(commands[command]._option_string_actions)


def _take_late(options: argparse.Namespace, rest: list[str]) -> list[str]:
    """Take arguments that come after options, as argparse does not; return what is left."""
    if any(text.startswith("-") for text in rest):
        return rest
    for name in LISTS:
        if hasattr(options, name):
            setattr(options, name, [*getattr(options, name), *rest])
            return []
    if hasattr(options, "edited") and options.edited is None and rest:
        options.edited = Path(rest.pop(0))
    return rest


def _refuse_half_characters(command: str, given: Mapping[str, Any]) -> None:
    """Refuse what is no text; of several recordings each is told by itself.

    Commands that compare files take any.

    Raises:
        UserError: there is some: the shell hands on names that are not UTF-8 in this way.
    """
    for name, value in () if command in evaluation.COMMANDS else given.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str | Path) and not is_text(str(part)) and name not in (*LISTS[1:], "source"):
                hint = "Type it again, or rename what it is the name of"
                raise UserError("is not valid UTF-8", where=str(part), hint=hint)


def _name_one(options: argparse.Namespace) -> bool:
    """Let `--session` stand for the first argument; return whether either is there."""
    if options.named and options.session:
        options.edited = Path(options.session)
    options.session = options.named or options.session
    return bool(options.session)


def _settings_parser() -> _Parser:
    """Return the options that choose settings, for all commands that read some."""
    settings = _Parser(add_help=False, allow_abbrev=False)
    settings.add_argument(
        "--profile", default="local", help="a profile in profiles/, or a folder (default: local)"
    )
    settings.add_argument(
        "--configfile",
        action="append",
        default=[],
        type=Path,
        help="settings that override config/config.yaml and config/local.yaml (repeatable)",
    )
    settings.add_argument(
        *("-C", "--config"),
        action="extend",
        default=[],
        nargs="+",
        metavar="KEY=VALUE",
        help="settings that override all files, as Snakemake takes them",
    )
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sessionscribe",
        description="Recordings in, finished speaker-labelled transcripts out.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sessionscribe {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    settings = _settings_parser()
    chosen = _Parser(add_help=False, allow_abbrev=False)
    chosen.add_argument("sessions", nargs="*", metavar="SESSION", help="these sessions only (default: all)")
    chosen.add_argument(
        "--session", action="append", default=[], metavar="SESSION", help="the same (repeatable)"
    )

    kinds = _Parser(add_help=False, allow_abbrev=False)
    kinds.add_argument(
        "--layout", choices=LAYOUTS, help="how the files belong together (default: by their names)"
    )
    kinds.add_argument(
        "--exact",
        action="store_true",
        help="decode to find the duration, for files without one or with a wrong one",
    )
    kinds.add_argument("--language", help="language code, such as en; mixed: several languages")
    kinds.add_argument(
        *("--speakers", "--num-speakers"),
        type=adding.speakers,
        metavar="N|off|auto",
        help="number of speakers; off: do not tell speakers apart",
    )
    kinds.add_argument("--min-speakers", type=int, metavar="N")
    kinds.add_argument("--max-speakers", type=int, metavar="N")
    kinds.add_argument("--hotwords", help="names and terms to expect")
    kinds.add_argument(
        "--audio-stream",
        type=int,
        action="append",
        metavar="N",
        help="audio stream to use, counted from 0 (repeatable: a track each)",
    )
    kinds.add_argument("--channel", type=int, metavar="N", help="channel to use, counted from 0")
    kinds.add_argument(
        "--names",
        metavar="NAME,NAME",
        help="the speaker of each channel or audio stream of a file (--layout multitrack)",
    )
    kinds.add_argument(
        "--priority", type=int, metavar="N", help="priority; sessions with the highest come first"
    )

    add = commands.add_parser(
        "add", parents=[settings, kinds], allow_abbrev=False, help="add recordings to the manifest"
    )
    add.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a file, a folder, a quoted pattern, `remote:path` or `s3://`",
    )
    add.add_argument("--session", help="name of the session (default: from the file or folder)")

    runs = commands.add_parser(
        "run",
        parents=[settings, kinds],
        allow_abbrev=False,
        help="run all work that is missing or out of date",
        description="Run the workflow. Options that are not listed here are passed on to Snakemake.",
    )
    runs.add_argument(
        "--source",
        action="append",
        default=[],
        help="add this source first and run only its sessions (repeatable)",
    )
    runs.add_argument("--session", action="append", default=[], help="run only this session (repeatable)")
    runs.add_argument("--stage", choices=STAGES, help="stop after this stage")
    runs.add_argument("--limit", type=int, metavar="N", help="run at most N sessions")
    runs.add_argument("--upload", action="store_true", help="then upload finished sessions")
    runs.add_argument("--publish", action="store_true", help="then publish finished sessions")

    transcribe.add_arguments(commands, settings)

    shows = commands.add_parser(
        "status", parents=[settings, chosen], allow_abbrev=False, help="show the state of every session"
    )
    shows.add_argument("--cost", action="store_true", help="show what remote machines have cost")
    shows.add_argument("--json", action="store_true", help="as JSON, for other programs")
    verifies = commands.add_parser(
        "verify",
        parents=[settings, chosen],
        allow_abbrev=False,
        help="compare files with their records",
        description="Compare files with their records, and set aside what differs, to be made again.",
    )
    verifies.add_argument("--quick", action="store_true", help="compare sizes, not content")
    report.add_arguments(commands, [settings, chosen])
    one = _Parser(add_help=False, allow_abbrev=False)
    one.add_argument("--session", dest="named", metavar="SESSION", help="SESSION as an option")
    enroll.add_arguments(commands, [settings])
    correction.add_arguments(commands, [settings, one])
    evaluation.add_arguments(commands)
    models.add_arguments(commands)
    storing.add_arguments(commands, settings, chosen)
    bundling.add_arguments(commands, settings, runs=runs, shows=shows)
    publishing.add_arguments(commands, settings, chosen, one)
    remove.add_arguments(commands, [settings, chosen])
    serve.add_arguments(commands, settings)
    batches.add_arguments(commands, settings)
    watching.add_arguments(commands, settings)
    return parser


def _profile(name: str, root: Path = Path()) -> Path:
    """Return the folder of a profile: one of the project in ``root`` or of ours by name, or any by path.

    Raises:
        UserError: there is no such profile.
    """
    for folder in (root / "profiles" / name, PROJECT / "profiles" / name, Path(name)):
        if (folder / "config.yaml").is_file():
            return folder
    known = ", ".join(sorted(p.parent.name for p in (PROJECT / "profiles").glob("*/config.yaml")))
    raise UserError("there is no such profile", where=f"--profile {name}", hint=f"There are: {known}")


def _profile_values(options: argparse.Namespace, root: Path = Path()) -> dict[str, Any]:
    path = _profile(options.profile, root) / "config.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _configfiles(options: argparse.Namespace, root: Path = Path()) -> list[Path]:
    """Return the settings files in force, the strongest last, as Snakemake layers them.

    Args:
        options: the command's; what they name is meant from the present folder.
        root: the project's folder.
    """
    own = _profile_values(options, root).get("configfile", [])
    layers = options.configfile or [root / name for name in ([own] if isinstance(own, str) else own)]
    return [*(root / path for path in CONFIG if (root / path).is_file()), *layers]


def _config(options: argparse.Namespace) -> list[str]:
    """Return the settings of the command line as Snakemake takes them."""
    return ["--config", *options.config] if options.config else []


def _load(options: argparse.Namespace, sessions: Sequence[str] = (), root: Path = Path()) -> config.Config:
    settings = config.load(_configfiles(options, root), run.parse(_config(options)).settings)
    return settings.model_copy(update={"sessions": tuple(sessions)}) if sessions else settings


def _add(options: argparse.Namespace) -> int:
    return adding.add_sources(options.sources, options.session, options, _load(options))[1]


def _run(options: argparse.Namespace, rest: list[str], own: Sequence[str]) -> int:
    workspace.check_writable([Path(".snakemake")])
    names, code = list(options.session), 0
    request = run.parse([*rest, *_config(options)], own)
    options.config = list(request.pairs)  # those that Snakemake's own parser finds, too
    if request.targets:  # which may be files and rules, as Snakemake has it, or sessions
        known = manifest.read(Path(_load(options).manifest))
        names += [name for name in request.targets if name in known]
        request = run.parse([*(text for text in rest if text not in known), *_config(options)], own)
    if options.source:
        name = options.session[0] if options.session else None
        names, code = adding.add_sources(options.source, name, options, _load(options))
        if not names:
            return code
    fetch = not request.shows and _checks_models_here(options)
    plan = _plan(_load(options, names), fetch=fetch)
    if not plan.sessions and not rest:  # else the Snakefile says so
        print(NO_SESSIONS)
        return code
    if options.limit is not None:
        names = [name for name, session in plan.sessions.items() if session.pending][: options.limit]
        if not names:
            print("Nothing to do.")
            return code
    present = functools.partial(_load, options, names)
    with bundling.saving(options, present, shows=request.shows) as unsaved:
        result = _make(options, request, names)
    code |= unsaved()
    if not request.shows and result != run.BUSY:
        stopped = result > run.SIGNALLED
        code = _show_outcome(options, _load(options, names), stopped=stopped) or code
    return result or code


def _transcribe(options: argparse.Namespace) -> int:
    settings = _load(options, root=PROJECT)
    options.configfile, options.config, options.stage = [transcribe.SETTINGS], [], None  # in its own project
    table = ("--dry-run", *run.TABLE) if options.dry_run else ()
    request = run.Request(("--snakefile", str(PROJECT / "Snakefile"), *table))

    def make(names: Sequence[str]) -> tuple[int, Plan]:
        plan = _plan(_load(options, names), fetch=not options.dry_run and _checks_models_here(options))
        if not plan.targets():
            return 0, plan
        return _make(options, request, names), Plan(_load(options, names))

    return transcribe.command(options, settings, [Path.cwd(), PROJECT], make)


def _batch(options: argparse.Namespace) -> int:
    settings, options.stage = _load(options), None

    def make(names: Sequence[str], left_out: Sequence[str], should_stop: Callable[[], bool]) -> int:
        _plan(_load(options, names), fetch=_checks_models_here(options))
        pairs: tuple[str, ...] = ()
        if left_out:  # too many for a command line, perhaps
            write_text(batches.LEFT_OUT, "\n".join(left_out))
            pairs = (f"batch={_flow({'left_out': str(batches.LEFT_OUT)})}",)
        return _make(options, run.Request(pairs=pairs), names, should_stop, settings.batch.lock_poll_s)

    return batches.command(
        options, settings, make, configfiles=_configfiles(options), profile=_profile_values(options)
    )


def _make(
    options: argparse.Namespace,
    request: run.Request,
    names: Sequence[str],
    should_stop: Callable[[], bool] = lambda: False,
    every_s: float | None = None,
) -> int:
    """Let Snakemake make what is missing or stale of these sessions (none: of all); return its exit code."""
    workspace.check_writable([Path(".snakemake")])
    # What is passed on comes first: options with several values would take its targets for theirs.
    arguments = [*request.arguments, "--profile", str(_profile(options.profile))]
    if options.configfile:
        arguments += ["--configfile", *map(str, options.configfile)]
    if names:  # where a request has them in its arguments, the last `--config` counts
        arguments += ["--config", *request.pairs, f"sessions={_flow(list(names))}"]
    elif request.pairs and not request.arguments:
        arguments += ["--config", *request.pairs]
    if options.stage:
        arguments += ["--until", *LAST[options.stage]]
    result = run.snakemake(arguments, should_stop, every_s)
    if result in (0, run.BUSY) or result > run.SIGNALLED or request.shows:
        return result
    longer = _plan(_load(options, names), fetch=False).measured
    return run.snakemake(arguments, should_stop, every_s) if longer else result


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**9).strip()


def _plan(settings: config.Config, *, fetch: bool) -> Plan:
    """Return the plan; if asked, fetch the models of ``auto`` first, which may change it."""
    plan = Plan(settings)
    if fetch:
        planned = plan.preflight_task()
        fetched = [
            model_fetch.provide_auto(planned["speech"], settings.transcribe, say=complain),
            model_fetch.provide_auto_pipeline(planned["diarization"], settings.diarize, say=complain),
        ]
        if any(fetched):
            return Plan(settings)
    return plan


def _checks_models_here(options: argparse.Namespace) -> bool:
    """Return whether this machine checks the models: profiles for other machines leave that to them."""
    return "check_models" not in str(_profile_values(options).get("warm-guests", ""))


def _show_outcome(options: argparse.Namespace, settings: config.Config, *, stopped: bool) -> int:
    """Show where sessions stand after a run, and, unless that was stopped, upload and publish if asked.

    Returns 1 where something could not be done.
    """
    after = Plan(settings)
    print()
    print(status.table(status.collect(after)))
    _show_results(after)
    sessions = list(after.sessions.values())
    code = int(any(session.blocked for session in sessions))
    if stopped:
        return code
    if options.upload:
        code |= storing.upload_sessions(sessions, settings)
    if options.publish:
        code |= publishing.publish_sessions(sessions, settings, configfiles=_configfiles(options))
    return code


def _show_results(plan: Plan) -> None:
    """Print where the finished files are, and how each transcript begins."""
    for session in plan.sessions.values():
        if session.pending or session.blocked or not session.steps:
            continue
        exports = session.of("write_export")
        if not exports:
            continue
        names = [Path(path) for path in exports[0].outputs]
        endings = " ".join(path.name.partition(".")[2] for path in names)
        print(f"\n{names[0].parent}/  ({endings})")
        text = next((path for path in names if path.name == f"{path.parent.name}.txt"), None)
        if text is not None and text.is_file():
            for line in text.read_text(encoding="utf-8").splitlines()[:6]:
                print(f"    {line}")


def _publishing(options: argparse.Namespace) -> int:
    options.configfiles = _configfiles(options)
    return publishing.COMMANDS[options.command](options, _load(options))


def _storing(options: argparse.Namespace) -> int:
    return storing.COMMANDS[options.command](options, _load(options))


def _bundle(options: argparse.Namespace) -> int:
    def make(names: Sequence[str]) -> int:
        options.stage = "chunk"
        return _make(options, run.Request(), names)

    return bundling.pack(options, lambda names: _load(options, names), make)


def _import(options: argparse.Namespace) -> int:
    return bundling.take(options, lambda names: _load(options, names))


def _status(options: argparse.Namespace) -> int:
    if options.place:
        return bundling.status_from(options.place, _load(options))
    if options.cost:
        records, prices = costs.read_usage(USAGE_LOG), costs.read_prices(costs.PRICES)
        print(json.dumps(costs.figures(records, prices)) if options.json else costs.table(records, prices))
        return 0
    plan = Plan(_load(options, options.sessions))
    rows, refused = status.collect(plan), watched.read_refused()
    for remark in plan.remarks:
        complain(remark)
    if options.json:
        sessions = [dataclasses.asdict(row) for row in rows]
        print(json.dumps({"sessions": sessions, "refused": refused}, ensure_ascii=False))
        return 0
    print(status.table(rows) if rows else NO_SESSIONS)
    for source, reason in refused.items():
        print(f"\nrefused {visible(source)}: {reason}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    given = [*_config(options), "--profile", options.profile]
    for file in options.configfile:
        given += ["--configfile", str(file)]
    return serve.serve(options, lambda: _load(options), _configfiles(options), given)


def _verify(options: argparse.Namespace) -> int:
    plan, differ = Plan(_load(options, options.sessions)), 0
    for session in plan.sessions:
        lines, unrecorded = verify(plan.root, session, quick=options.quick)
        print("".join(f"{session}: {line}\n" for line in lines), end="")
        print("".join(f"{session}: {path}: no record tells of it\n" for path in unrecorded), end="")
        differ += len(lines)
    how = "sizes of the" if options.quick else ""
    print(f"{len(plan.sessions)} sessions: {differ or 'no'} {how} files differ".replace("  ", " "))
    return int(differ > 0)


def _report(options: argparse.Namespace) -> int:
    options.stage = None
    return report.report(
        options,
        lambda names: Plan(_load(options, names)),
        lambda arguments, names: _make(options, run.parse([*arguments, *_config(options)]), names),
    )


def _remove(options: argparse.Namespace) -> int:
    return remove.remove(options, _load(options))


def _enroll(options: argparse.Namespace) -> int:
    return enroll.command(options, _load(options))


def _correct(options: argparse.Namespace) -> int:
    return correction.correct(options, _load(options))


if __name__ == "__main__":
    sys.exit(main())
