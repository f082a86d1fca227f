"""The command `sessionscribe`: add recordings, run the workflow, see where it stands."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import yaml

from sessionscribe import (
    __version__,
    adding,
    config,
    enroll,
    model_fetch,
    models_command,
    run,
    status,
    transcribing,
)
from sessionscribe.agenda import Agenda, SessionAgenda
from sessionscribe.artifacts import Shape
from sessionscribe.corrections import command as correction
from sessionscribe.errors import UserError, complain, describe
from sessionscribe.evaluation import command as evaluation
from sessionscribe.publish import command as publishing
from sessionscribe.publish import unpack
from sessionscribe.runners import costs
from sessionscribe.runners.ledger import LEDGER
from sessionscribe.steps import STAGES
from sessionscribe.storage import command as storing
from sessionscribe.verify import verify

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = Path("config/config.yaml")
SETTINGS = re.compile(rf"(?P<flags>-[{run.FLAGS}]*)C=?(?P<short>.*)|--config(?:=(?P<long>.*))?", re.DOTALL)
"""How Snakemake is given settings; before the short form may stand letters, as in `-npC`."""
NO_SESSIONS = "No sessions yet. Add recordings with `sessionscribe add SOURCE…`."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 where something failed, 2 where it was asked wrongly.

    After a signal it is that of the signal, as shells have it.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "run":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        anywhere = {"models": models_command.command, "transcribe": _transcribe} | evaluation.COMMANDS
        if options.command in anywhere:
            return anywhere[options.command](options)
        if not Path("Snakefile").is_file():
            hint = f"Change to the project's folder, for example: cd {PROJECT}"
            raise UserError("there is no Snakefile here", where=Path.cwd(), hint=hint)
        for problem in unpack.put_in_place():
            print(f"sessionscribe: {problem}", file=sys.stderr)
        commands = {"add": _add, "status": _status, "enroll": _enroll, "correct": _correct}
        commands |= {"verify": _verify, "report": _report}
        commands |= dict.fromkeys(publishing.COMMANDS, _publishing) | dict.fromkeys(
            storing.COMMANDS, _storing
        )
        commands["run"] = lambda options: _run(options, rest)
        return commands[options.command](options)
    except UserError as error:
        complain(error)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return run.SIGNALLED + signal.SIGINT
    except OSError as error:
        complain(describe(error, str(Path.cwd())))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sessionscribe",
        description="Recordings in, finished speaker-labelled transcripts out.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sessionscribe {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    settings = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    settings.add_argument(
        "--profile", default="local", help="a profile in profiles/, or a folder (default: local)"
    )
    settings.add_argument(
        "--configfile",
        action="append",
        default=[],
        type=Path,
        help="settings that override config/config.yaml (repeatable)",
    )

    kinds = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    kinds.add_argument(
        "--shape", choices=get_args(Shape), help="how the files belong together (default: by their names)"
    )
    kinds.add_argument(
        "--exact",
        action="store_true",
        help="decode to find the duration, for files that state none or a wrong one",
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
    kinds.add_argument("--audio-stream", type=int, metavar="N", help="audio stream to use, counted from 0")

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

    transcribing.add_arguments(commands, settings)

    shows = commands.add_parser(
        "status", parents=[settings], allow_abbrev=False, help="show the state of every session"
    )
    shows.add_argument("--session", action="append", default=[], help="show only this session (repeatable)")
    shows.add_argument("--cost", action="store_true", help="show what remote machines have cost")
    verifies = commands.add_parser(
        "verify",
        parents=[settings],
        allow_abbrev=False,
        help="compare files with their records",
        description="Compare files with their records, and set aside what differs, to be made again.",
    )
    verifies.add_argument("sessions", nargs="*", metavar="SESSION", help="these sessions only")
    verifies.add_argument("--quick", action="store_true", help="compare sizes, not content")
    reports = commands.add_parser(
        "report", parents=[settings], allow_abbrev=False, help="write Snakemake's report of finished sessions"
    )
    reports.add_argument("sessions", nargs="*", metavar="SESSION", help="these sessions only")
    reports.add_argument(
        "--to", default="report.html", metavar="FILE", help="html or zip (default: report.html)"
    )
    enroll.add_arguments(commands, [settings])
    correction.add_arguments(commands, [settings])
    evaluation.add_arguments(commands)
    models_command.add_arguments(commands)
    storing.add_arguments(commands, settings)
    publishing.add_arguments(commands, settings)
    return parser


def _profile(name: str) -> Path:
    """Return the folder of a profile: one of ours by name, or any by path.

    Raises:
        UserError: there is no such profile.
    """
    for folder in (PROJECT / "profiles" / name, Path(name)):
        if (folder / "config.yaml").is_file():
            return folder
    known = ", ".join(sorted(p.parent.name for p in (PROJECT / "profiles").glob("*/config.yaml")))
    raise UserError("there is no such profile", where=f"--profile {name}", hint=f"There are: {known}")


def _profile_values(options: argparse.Namespace) -> dict[str, Any]:
    return yaml.safe_load((_profile(options.profile) / "config.yaml").read_text(encoding="utf-8")) or {}


def _configfiles(options: argparse.Namespace, root: Path = Path()) -> list[Path]:
    """Return the settings files in force, the strongest last, as Snakemake layers them.

    Args:
        options: the command's; what they name is meant from the present folder.
        root: the project's folder.
    """
    own = _profile_values(options).get("configfile", [])
    layers = options.configfile or [root / name for name in ([own] if isinstance(own, str) else own)]
    return [*([root / CONFIG] if (root / CONFIG).is_file() else []), *layers]


def _passed_settings(rest: Sequence[str]) -> dict[str, Any]:
    """Return the settings that are passed on to Snakemake, read as it reads them."""
    pairs = [text.partition("=") for text in _settings_apart(rest)[1]]
    return {key: _read_value(value) for key, _, value in pairs}


def _settings_apart(rest: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part what is passed on to Snakemake from the settings (``key=value``) in it: of its last ``--config``.

    Of several it takes the last, and each has the values up to the next option, or the one that it is one
    word with (``-Ckey=value``).
    """
    found = [(at, option) for at, text in enumerate(rest) if (option := SETTINGS.fullmatch(text))]
    if not found:
        return list(rest), []
    at, option = found[-1]
    after = rest[at + 1 :]
    joined = option["short"] or option["long"]
    pairs = [] if joined else list(takewhile(lambda text: not text.startswith("-"), after))
    flags = [option["flags"]] if option["flags"] not in (None, "-") else []
    return [*rest[:at], *flags, *after[len(pairs) :]], [joined] if joined else pairs


def _read_value(text: str) -> Any:
    try:
        return yaml.load(text, yaml.BaseLoader) if text else None
    except yaml.YAMLError:
        return text


def _load(
    options: argparse.Namespace, sessions: Sequence[str] = (), rest: Sequence[str] = ()
) -> config.Config:
    settings = config.load(_configfiles(options), _passed_settings(rest))
    return settings.model_copy(update={"sessions": tuple(sessions)}) if sessions else settings


def _add(options: argparse.Namespace) -> int:
    return adding.add_sources(options.sources, options.session, options, _load(options))[1]


def _run(options: argparse.Namespace, rest: list[str]) -> int:
    names, code = list(options.session), 0
    if options.source:
        name = options.session[0] if options.session else None
        names, code = adding.add_sources(options.source, name, options, _load(options, (), rest))
        if not names:
            return code
    shows = run.only_shows(rest)
    agenda = _plan(_load(options, names, rest), fetch=not shows and _checks_models_here(options))
    if not agenda.sessions and not rest:
        print(NO_SESSIONS)
        return code
    chosen = list(agenda.sessions.values())
    if options.limit is not None:
        chosen = [session for session in chosen if session.pending][: options.limit]
        names = [session.session.name for session in chosen]
        if not names:
            print("Nothing to do.")
            return code
    result = _make(options, rest, agenda, names, chosen)
    if not shows and result != run.BUSY:
        stopped = result > run.SIGNALLED
        code = _show_outcome(options, _load(options, names, rest), stopped=stopped) or code
    return result or code


def _transcribe(options: argparse.Namespace) -> int:
    settings = config.load(_configfiles(options, PROJECT))
    options.configfile, options.stage = [transcribing.SETTINGS], None  # in the project that the command has
    rest = ["--snakefile", str(PROJECT / "Snakefile"), *["--dry-run"] * options.dry_run]

    def make(names: Sequence[str]) -> tuple[int, Agenda]:
        agenda = _plan(_load(options, names), fetch=not options.dry_run and _checks_models_here(options))
        if not agenda.targets():
            return 0, agenda
        result = _make(options, rest, agenda, names, list(agenda.sessions.values()))
        return result, Agenda(_load(options, names))

    return transcribing.command(options, settings, [Path.cwd(), PROJECT], make)


def _make(
    options: argparse.Namespace,
    rest: Sequence[str],
    agenda: Agenda,
    names: Sequence[str],
    chosen: Sequence[SessionAgenda],
) -> int:
    """Let Snakemake make what is missing or stale of the sessions; return its exit code."""
    # What is passed on comes first: options with several values would take its targets for theirs.
    others, pairs = _settings_apart(rest)
    arguments = [*others, "--profile", str(_profile(options.profile))]
    if options.configfile:
        arguments += ["--configfile", *map(str, options.configfile)]
    if names:
        pairs.append(f"sessions={yaml.safe_dump(list(names), default_flow_style=True, width=10**9).strip()}")
    if pairs:
        arguments += ["--config", *pairs]
    if options.stage:
        arguments += ["--until", *STAGES[options.stage]]
    if not run.only_shows(rest):  # else Snakemake tells the same
        _show_remarks(agenda)
    work = _work(chosen, options.stage)
    if agenda.needs_models():
        work["check_models"] = 1
    return run.snakemake(arguments, work, told=_told(agenda))


def _plan(settings: config.Config, *, fetch: bool) -> Agenda:
    """Return the agenda; if asked, fetch the models of ``auto`` first, which may change it."""
    agenda = Agenda(settings)
    if fetch:
        planned = agenda.preflight_task()
        fetched = [
            model_fetch.provide_auto(planned["speech"], settings.transcribe, say=complain),
            model_fetch.provide_auto_pipeline(planned["diarization"], settings.diarize, say=complain),
        ]
        if any(fetched):
            return Agenda(settings)
    return agenda


def _checks_models_here(options: argparse.Namespace) -> bool:
    """Return whether this machine checks the models: profiles for other machines leave that to them."""
    return "check_models" not in str(_profile_values(options).get("warm-guests", ""))


def _show_outcome(options: argparse.Namespace, settings: config.Config, *, stopped: bool) -> int:
    """Show where sessions stand after a run, and, unless that was stopped, upload and publish if asked.

    Returns 1 where something could not be done.
    """
    after = Agenda(settings)
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


def _work(sessions: Sequence[SessionAgenda], stage: str | None) -> Counter[str]:
    """Count the jobs to come by rule, up to ``stage``."""
    stages = list(STAGES)
    wanted = stages[: stages.index(stage) + 1] if stage else stages
    # By file: an enrolled voice is every session's work and one job's.
    rules = {path: step.rule for s in sessions for path, step in s.pending.items() if step.stage in wanted}
    return Counter(rules.values())


def _show_results(agenda: Agenda) -> None:
    """Print where the finished files are, and how each transcript begins."""
    for session in agenda.sessions.values():
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


def _status(options: argparse.Namespace) -> int:
    if options.cost:
        print(costs.table(costs.read_ledger(LEDGER), costs.read_prices(costs.PRICES)))
        return 0
    agenda = Agenda(_load(options, options.session))
    if not agenda.sessions:
        print(NO_SESSIONS)
        return 0
    _show_remarks(agenda)
    print(status.table(status.collect(agenda)))
    return 0


def _verify(options: argparse.Namespace) -> int:
    agenda, differ = Agenda(_load(options, options.sessions)), 0
    for session in agenda.sessions:
        lines, unrecorded = verify(agenda.root, session, quick=options.quick)
        print("".join(f"{session}: {line}\n" for line in lines), end="")
        print("".join(f"{session}: {path}: no record tells of it\n" for path in unrecorded), end="")
        differ += len(lines)
    how = "sizes of the" if options.quick else ""
    print(f"{len(agenda.sessions)} sessions: {differ or 'no'} {how} files differ".replace("  ", " "))
    return int(differ > 0)


def _report(options: argparse.Namespace) -> int:
    agenda = Agenda(_load(options, options.sessions))
    for session in agenda.sessions.values():
        if session.pending or session.blocked or session.session.problem:
            print(f"sessionscribe: {status.left_out(session).removeprefix('left ')}", file=sys.stderr)
            return 1
    options.stage = None
    chosen = list(agenda.sessions.values())
    return _make(options, ["--report", options.to], agenda, options.sessions, chosen)


def _enroll(options: argparse.Namespace) -> int:
    return enroll.command(options, _load(options))


def _show_remarks(agenda: Agenda) -> None:
    for line in _told(agenda):
        print(line, file=sys.stderr, flush=True)


def _told(agenda: Agenda) -> list[str]:
    """Return the lines that say what is not as it should be, as the workflow has them, too."""
    return [f"sessionscribe: {remark}" for remark in agenda.remarks]


def _correct(options: argparse.Namespace) -> int:
    return correction.correct(options, _load(options))


if __name__ == "__main__":
    sys.exit(main())
