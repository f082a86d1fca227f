"""Watched folders: which recordings are new there and whole, and what the rules say of them.

The manifest is the memory: what it knows, by place and content, is not added again. A file is taken when it
has stopped changing and can be read to its end, since a copy that stalls looks finished. Folders are listed
again and again: the kernel's events are missed on network mounts, say nothing of what was there before, and
come with the first byte of a copy.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionscribe.config.settings import OFF, Config, WatchFolder, WatchRule
from sessionscribe.core.errors import UserError, complain, describe, visible
from sessionscribe.core.files import write_text
from sessionscribe.manifest import manifest
from sessionscribe.manifest.additions import notes
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.names import slug
from sessionscribe.manifest.sources import File, Group, sort_below
from sessionscribe.stages.ingest.ingest import check_whole
from sessionscribe.storage.checksums import Checksums
from sessionscribe.storage.locations import is_remote, join

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

REFUSED = Path("logs/watch/refused.json")
"""What could not be added, and why, for `sessionscribe status`; only what is refused now is in it."""
CHECKSUMS = Path(".sessionscribe/checksums.json")
POLL_S, REMOTE_POLL_S = 10.0, 300.0

Stamp = tuple[Any, ...]
Add = Callable[[Group], Sequence[UserError]]


class Rules:
    """What new recordings get, by their path in their folder.

    Args:
        rules: the first one that fits counts, for each option by itself.

    Raises:
        UserError: a pattern fits nothing.
    """

    def __init__(self, rules: Sequence[WatchRule]) -> None:
        self._rules = [(rule, _pattern(rule.match)) for rule in rules]

    def of(self, path: str) -> dict[str, tuple[Any, WatchRule]]:
        """Return the options for a path, each with its value and the rule that it is from."""
        found: dict[str, tuple[Any, WatchRule]] = {}
        for rule, pattern in self._rules:
            if pattern.match_file(path):
                for name, value in rule.model_dump(exclude={"match"}, exclude_none=True).items():
                    found.setdefault(name, (value, rule))
        return found

    def value(self, path: str, option: str) -> Any:
        """Return one option for a path; None where no rule says it."""
        return self.of(path).get(option, (None, None))[0]

    def columns(self, path: str) -> dict[str, Any]:
        """Return the manifest's columns for a path."""
        given = {name: value for name, (value, _) in self.of(path).items()}
        speakers = given.pop("speakers", None)
        if speakers == OFF:
            given["diarize"] = OFF
        elif speakers is not None:
            given["num_speakers"] = speakers
        return {name: value for name, value in given.items() if name not in ("layout", "ignore")}


def _pattern(text: str) -> GitIgnoreSpec:
    import pathspec  # noqa: PLC0415 -- only where there are rules

    pattern = pathspec.GitIgnoreSpec.from_lines([text])
    if not any(part.include for part in pattern.patterns):
        hint = "Use a pattern as in `.gitignore`: dnd/**/*.m4a, draft-*, craig-*/"
        raise UserError(f"`{visible(text)}` fits no file", where="configuration: watch.rules", hint=hint)
    return pattern


def find(folder: str, rules: Rules, *, s3_remote: str = "") -> list[Group]:
    """Return the sessions below a folder, with what rules give them.

    Hidden files and folders are left out, and what a rule says is to be ignored.

    Raises:
        UserError: the folder is not there, or cannot be read.
    """
    found = {
        place: [file for file in files if not rules.value(_below(folder, file), "ignore")]
        for place, files in _files(folder, s3_remote)
    }
    groups = sort_below(folder, found, lambda file: rules.value(_below(folder, file), "layout"))
    return [
        replace(group, name=slug(group.name), columns=rules.columns(_below(folder, group.files[0])))
        for group in groups
    ]


def _files(folder: str, s3_remote: str) -> Iterator[tuple[str, list[File]]]:
    """Yield the files below a folder, by the folder that they are in."""
    if is_remote(folder):
        from sessionscribe.storage import listing  # noqa: PLC0415 -- only where something is remote

        try:
            items = listing.list_files(folder, s3_remote=s3_remote)
        except UserError as error:
            if not error.what.startswith("does not exist, or holds no file"):
                raise
            items = []
        for place, inside in sorted(listing.by_folder(items).items()):
            files = [File(item.source, item=item) for item in sorted(inside)]
            yield place, [file for file in files if "/." not in f"/{_below(folder, file)}"]
        return
    if not Path(folder).is_dir():
        raise UserError("is no folder", where=folder, hint="Create it, or mount it; it is looked at again")
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        yield place, [File(str(path), path) for path in paths]


def _below(folder: str, file: File) -> str:
    """Return a file's path in a folder."""
    if file.path is not None:
        return file.path.relative_to(folder).as_posix()
    return file.source.removeprefix(join(folder, ""))


@dataclass
class _State:
    """What is known of a folder.

    Attributes:
        since: since when (monotonic clock) each file is as it is.
        done: files that were added, known or refused as they are: not looked at until they change.
        refused: why a file was not added.
        waiting: how many sessions still change.
        wrong: what kept the folder from being scanned.
    """

    since: dict[str, tuple[Stamp, float]] = field(default_factory=dict)
    done: dict[str, Stamp] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    waiting: int = 0
    wrong: str = ""

    def is_calm(self, file: File, stamp: Stamp, settle_s: float) -> bool:
        """Return whether a file has been as it is for so long; its own times may be those of the original."""
        now = time.monotonic()
        known, since = self.since.get(file.source, (None, now))
        if known != stamp:
            since = now
            self.since[file.source] = (stamp, since)
        return self.done.get(file.source) == stamp or now - since >= settle_s

    def forget(self, there: Container[str]) -> None:
        """Forget files that are gone."""
        for known in (self.since, self.done, self.refused):
            for source in [source for source in known if source not in there]:
                del known[source]


class Watcher:
    """Adds what is new and whole in folders, a scan at a time.

    Args:
        settings: with ``watch.rules``.
        add: adds a session to the manifest, and returns what is wrong.
        root: the project's folder.
    """

    def __init__(self, settings: Config, add: Add, root: Path = Path()) -> None:
        self._rules, self._manifest = Rules(settings.watch.rules), root / settings.manifest
        self._s3_remote, self._add, self._root = settings.ingest.s3_remote, add, root
        self._states: dict[str, _State] = defaultdict(_State)

    @property
    def refused(self) -> dict[str, str]:
        """What was not added, and why."""
        return {file: reason for state in self._states.values() for file, reason in state.refused.items()}

    @property
    def waiting(self) -> int:
        """How many sessions still changed when they were last looked at."""
        return sum(state.waiting for state in self._states.values())

    def scan(self, folder: WatchFolder) -> int:
        """Add what is new and whole in a folder; return how many sessions got something.

        What is wrong with the folder or the manifest is said once, and may be right the next time.
        """
        path = folder.path if is_remote(folder.path) else str(Path(folder.path).expanduser())
        state, before, wrong, added = self._states[path], self.refused, "", 0
        try:
            added = self._scan(path, state, folder.settle_s)
            if self.refused != before:
                write_text(self._root / REFUSED, json.dumps(self.refused, indent=1) + "\n")
        except (UserError, OSError) as error:
            wrong = describe(error, path)
            if wrong != state.wrong:
                complain(wrong)
        state.wrong = wrong
        return added

    def _scan(self, path: str, state: _State, settle_s: float) -> int:
        found = find(path, self._rules, s3_remote=self._s3_remote)
        rows, checksums = cache(self._rows), Checksums(self._root / CHECKSUMS)
        state.waiting = added = 0
        there: dict[str, File] = {}
        for group in found:
            stamps = {file: stamp for file in group.files if (stamp := _stamp(file))}
            there |= {file.source: file for file in stamps}
            calm = [file for file, stamp in stamps.items() if state.is_calm(file, stamp, settle_s)]
            whole = len(calm) == len(group.files)
            state.waiting += not whole
            for file in group.files:
                if file not in stamps and os.path.islink(file.source):
                    there[file.source] = file
                    state.refused[file.source] = "is a link that leads nowhere. Mend it, or remove it"
            new = [file for file in calm if state.done.get(file.source) != stamps[file]]
            if not new or not (whole or group.layout == "live"):
                continue
            if not self._knows(new, rows(), checksums):
                transcribed = tuple(file for file in group.transcribed if file in calm)
                problems = self._take(replace(group, files=tuple(calm), transcribed=transcribed))
                added += not problems
                for file in calm:
                    state.refused.pop(file.source, None)
                if problems:
                    state.refused[calm[0].source] = f"{problems[0].what}. {problems[0].hint}"
            state.done |= {file.source: stamps[file] for file in calm}
        state.forget(there)
        for source in list(state.refused):
            if self._knows([there[source]], rows(), checksums):  # somebody has added it
                del state.refused[source]
        checksums.write()
        return added

    def _rows(self) -> dict[str, Row]:
        """Return the manifest's rows by their source."""
        return {row.source: row for each in manifest.read(self._manifest).values() for row in each.rows}

    def _knows(self, files: Sequence[File], rows: Mapping[str, Row], checksums: Checksums) -> bool:
        """Return whether the manifest has these files as they are."""
        noted = notes(files, self._root)
        return all(_is_of(rows.get(noted[file]), file, checksums) for file in files)

    def _take(self, group: Group) -> Sequence[UserError]:
        """Add a session; return what is wrong, which is shown."""
        try:
            if group.layout != "live":  # a part of a stream need not be readable by itself
                for file in group.files:
                    if file.path is not None:
                        check_whole(file.path)
            return self._add(group)
        except UserError as error:
            complain(error)
            return [error]


def _stamp(file: File) -> Stamp | None:
    """Return what changes when a file does; None where it is gone."""
    if file.item is not None:
        return (file.item.size, file.item.checksum)
    with suppress(OSError):
        status = os.stat(file.source)
        return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return None


def _is_of(row: Row | None, file: File, checksums: Checksums) -> bool:
    if row is None or not row.checksum:
        return False
    if file.item is not None:
        return file.item.checksum == row.checksum
    with suppress(OSError):  # who tries to add it is told
        return checksums.sha256(Path(file.source)) == row.checksum
    return False


def poll_s(folder: WatchFolder) -> float:
    """Return how often a folder is looked at, in seconds."""
    return folder.poll_s or (REMOTE_POLL_S if is_remote(folder.path) else POLL_S)


def read_refused(root: Path = Path()) -> dict[str, str]:
    """Return what a watched folder has that could not be added: source and reason."""
    try:
        found: dict[str, str] = json.loads((root / REFUSED).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def explain(given: str, folders: Sequence[WatchFolder], settings: Config) -> list[str]:
    """Return lines that say which folder and rules a file falls under, and what becomes of it.

    Raises:
        UserError: it is in none of the folders.
    """
    rules = Rules(settings.watch.rules)
    for folder in folders:
        if is_remote(folder.path) != is_remote(given):
            continue
        if is_remote(given):
            top, file = folder.path, given
            inside = file.startswith(join(top, ""))
        else:
            top, file = (str(Path(each).expanduser().resolve()) for each in (folder.path, given))
            inside = Path(file).is_relative_to(top) and file != top
        if inside:
            return list(_explained(File(file, None if is_remote(file) else Path(file)), top, rules, settings))
    hint = f"There are: {', '.join(folder.path for folder in folders)}"
    raise UserError("is in no watched folder", where=given, hint=hint)


def _explained(file: File, top: str, rules: Rules, settings: Config) -> Iterator[str]:
    path = _below(top, file)
    yield f"{visible(path)} in {visible(top)}"
    found = rules.of(path)
    for name, (value, rule) in found.items():
        yield f"  {name}: {value}  (rule {settings.watch.rules.index(rule) + 1}: {rule.match})"
    if not found:
        yield "  no rule fits"
    if "/." in f"/{path}":
        yield "not taken: hidden files are left out"
    elif not file.is_recording:
        yield "not taken: its ending is not a recording's"
    elif found.get("ignore", (False,))[0]:
        yield "not taken: ignored"
    elif reason := read_refused().get(file.source):
        yield f"not taken: {reason}"
    else:
        source = notes([file], Path())[file]
        rows = (row for each in manifest.read(Path(settings.manifest)).values() for row in each.rows)
        session = next((row.session for row in rows if row.source == source), None)
        yield f"session {session}" if session else "taken when it has settled and is whole"
