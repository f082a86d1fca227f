"""Watched folders: find recordings that are new and complete, and apply the rules to them.

The manifest is the only memory: what it lists, by place and content, is not added again. A file is added once
it has stopped changing and can be read to its end, since a stalled copy looks complete. Folders are listed
regularly: the kernel's events do not work on network mounts, miss files that were there before, and arrive
with the first byte of a copy.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
from sessionscribe.manifest.sources import File, Group, discover, sort_below
from sessionscribe.stages.ingest.ingest import check_whole
from sessionscribe.storage.checksums import FILE, Checksums
from sessionscribe.storage.locations import is_remote, join

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

REFUSED = Path("logs/watch/refused.json")
"""Files that cannot be added at present, with the reasons, for `sessionscribe status`."""
POLL_S, REMOTE_POLL_S = 10.0, 300.0

Stamp = tuple[Any, ...]
Add = Callable[[Group], Sequence[UserError]]


class Rules:
    """Options for new recordings, by their path in the watched folder: the first rule that has one counts.

    Raises:
        UserError: a pattern cannot match anything.
    """

    def __init__(self, rules: Sequence[WatchRule]) -> None:
        self._rules = [(rule, _pattern(rule.match)) for rule in rules]

    def of(self, path: str) -> dict[str, tuple[Any, WatchRule]]:
        """Return the options for a path, each with its value and the rule that sets it."""
        found: dict[str, tuple[Any, WatchRule]] = {}
        for rule, pattern in self._rules:
            if pattern.match_file(path):
                for name, value in rule.model_dump(exclude={"match"}, exclude_none=True).items():
                    found.setdefault(name, (value, rule))
        return found

    def value(self, path: str, option: str) -> Any:
        """Return one option for a path; None if no rule sets it."""
        return self.of(path).get(option, (None, None))[0]

    def columns(self, path: str) -> dict[str, Any]:
        """Return the values of the manifest's columns for a path."""
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
        raise UserError(f"`{visible(text)}` matches no file", where="configuration: watch.rules", hint=hint)
    return pattern


def look(source: str, settings: Config) -> list[Group]:
    """Return the recordings at a source of batches, with the options that the rules set; none if it is empty.

    Raises:
        UserError: it does not exist (on this machine), or cannot be read.
    """
    if is_remote(source) or Path(source).is_dir():
        return find(source, Rules(settings.watch.rules))
    try:
        return discover([source])
    except UserError as error:
        if error.what.startswith("holds no"):
            return []
        raise


def find(folder: str, rules: Rules) -> list[Group]:
    """Return the sessions below a folder, with the options that the rules set.

    Hidden files and folders, and what a rule ignores, are left out.

    Raises:
        UserError: the folder does not exist, or cannot be read.
    """
    found = {
        place: [file for file in files if not rules.value(_below(folder, file), "ignore")]
        for place, files in _files(folder)
    }
    groups = sort_below(folder, found, lambda file: rules.value(_below(folder, file), "layout"))
    return [
        replace(group, name=slug(group.name), columns=rules.columns(_below(folder, group.files[0])))
        for group in groups
    ]


def _files(folder: str) -> Iterator[tuple[str, list[File]]]:
    if is_remote(folder):
        from sessionscribe.storage import listing  # noqa: PLC0415 -- only where something is remote

        try:
            items = listing.list_files(folder)
        except UserError as error:
            if not error.what.startswith("does not exist, or holds no file"):
                raise
            items = []
        for place, inside in sorted(listing.by_folder(items).items()):
            files = [File(item.source, item=item) for item in sorted(inside)]
            yield place, [file for file in files if "/." not in f"/{_below(folder, file)}"]
        return
    if not Path(folder).is_dir():
        raise UserError(
            "is not a folder", where=folder, hint="Create or mount it; the next scan will find it"
        )
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        yield place, [File(str(path), path) for path in paths]


def _below(folder: str, file: File) -> str:
    if file.path is not None:
        return file.path.relative_to(folder).as_posix()
    return file.source.removeprefix(join(folder, ""))


@dataclass
class _Seen:
    """A file of a watched folder.

    Attributes:
        stamp: changes when the file does; None for a broken link.
        since: since when (monotonic clock) it has not changed.
        done: it was added, known or refused, and needs no attention until it changes.
        refused: why it was not added.
    """

    stamp: Stamp | None
    since: float
    done: bool = False
    refused: str = ""


class Watcher:
    """Add new recordings in folders once they are complete, one scan at a time.

    ``add`` adds a session to the manifest, and returns the problems.
    """

    def __init__(self, settings: Config, add: Add, root: Path = Path()) -> None:
        self._rules, self._manifest = Rules(settings.watch.rules), root / settings.manifest
        self._add, self._root = add, root
        # Each by folder: the files, how many sessions still change, why it could not be scanned.
        self._files: dict[str, dict[str, _Seen]] = defaultdict(dict)
        self._waiting: dict[str, int] = {}
        self._wrong: dict[str, str] = {}

    @property
    def refused(self) -> dict[str, str]:
        """Files that were not added, with the reasons."""
        found = (each for files in self._files.values() for each in files.items())
        return {source: seen.refused for source, seen in found if seen.refused}

    @property
    def waiting(self) -> int:
        """How many sessions were still changing at the last scan."""
        return sum(self._waiting.values())

    def scan(self, folder: WatchFolder) -> int:
        """Add what is new and complete in a folder; return how many sessions changed.

        A problem with the folder or the manifest is reported once; the next scan tries again.
        """
        path = folder.path if is_remote(folder.path) else str(Path(folder.path).expanduser())
        before, wrong, added = self.refused, "", 0
        try:
            added = self._scan(path, folder.settle_s)
            if self.refused != before:
                write_text(self._root / REFUSED, json.dumps(self.refused, indent=1) + "\n")
        except (UserError, OSError) as error:
            wrong = describe(error, path)
            if wrong != self._wrong.get(path):
                complain(wrong)
        self._wrong[path] = wrong
        return added

    def _scan(self, path: str, settle_s: float) -> int:
        groups = find(path, self._rules)
        by_source = {file.source: file for group in groups for file in group.files}
        known = self._files[path]
        seen = {source: now for source, file in by_source.items() if (now := _look(file, known.get(source)))}
        self._files[path] = seen
        rows, checksums = cache(self._rows), Checksums(self._root / FILE)
        added, waiting, latest = 0, 0, time.monotonic() - settle_s
        for group in groups:
            there = {file: seen[file.source] for file in group.files if file.source in seen}
            settled = {
                f: each for f, each in there.items() if each.stamp and (each.done or each.since <= latest)
            }
            whole = len(settled) == len(group.files)
            waiting += not whole
            new = [file for file, each in settled.items() if not each.done]
            if not new or not (whole or group.layout == "live"):
                continue
            if not self._knows(new, rows(), checksums):
                transcribed = tuple(file for file in group.transcribed if file in settled)
                problems = self._take(replace(group, files=tuple(settled), transcribed=transcribed))
                added += not problems
                for each in settled.values():
                    each.refused = ""
                if problems:
                    next(iter(settled.values())).refused = f"{problems[0].what}. {problems[0].hint}"
            for each in settled.values():
                each.done = True
        for source, each in seen.items():
            if each.refused and self._knows([by_source[source]], rows(), checksums):  # added by hand
                each.refused = ""
        checksums.write()
        self._waiting[path] = waiting
        return added

    def _rows(self) -> dict[str, Row]:
        return {row.source: row for each in manifest.read(self._manifest).values() for row in each.rows}

    def _knows(self, files: Sequence[File], rows: Mapping[str, Row], checksums: Checksums) -> bool:
        """Return whether the manifest lists these files with their present content."""
        noted = notes(files, self._root)
        return all(_is_of(rows.get(noted[file]), file, checksums) for file in files)

    def _take(self, group: Group) -> Sequence[UserError]:
        """Add a session; show and return the problems."""
        try:
            if group.layout != "live":  # parts of a stream need not be readable on their own
                for file in group.files:
                    if file.path is not None:
                        check_whole(file.path)
            return self._add(group)
        except UserError as error:
            complain(error)
            return [error]


def _look(file: File, before: _Seen | None) -> _Seen | None:
    """Return the entry of a file, a new one if it has changed; None if it is gone.

    Its time alone proves nothing: a copy may have that of the original.
    """
    stamp: Stamp | None = None
    if file.item is not None:
        stamp = (file.item.size, file.item.checksum)
    else:
        with suppress(OSError):
            status = os.stat(file.source)
            stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    if before and before.stamp == stamp:
        return before
    if stamp:
        return _Seen(stamp, time.monotonic())
    return (
        _Seen(None, 0.0, refused="is a broken link. Repair or remove it")
        if os.path.islink(file.source)
        else None
    )


def _is_of(row: Row | None, file: File, checksums: Checksums) -> bool:
    """Return whether a row of the manifest has a file's present content."""
    if row is None or not row.checksum:
        return False
    if file.item is not None:
        return file.item.checksum == row.checksum
    with suppress(OSError):  # `add` will report it
        return checksums.sha256(Path(file.source)) == row.checksum
    return False


def poll_s(folder: WatchFolder) -> float:
    """Return the time between scans of a folder, in seconds."""
    return folder.poll_s or (REMOTE_POLL_S if is_remote(folder.path) else POLL_S)


def read_refused(root: Path = Path()) -> dict[str, str]:
    """Return the files in watched folders that could not be added, with the reasons."""
    try:
        found: dict[str, str] = json.loads((root / REFUSED).read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def explain(given: str, folders: Sequence[WatchFolder], settings: Config) -> list[str]:
    """Return lines that say which folder and rules apply to a file, and what happens to it.

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
    hint = f"Watched are: {', '.join(folder.path for folder in folders)}"
    raise UserError("is not in a watched folder", where=given, hint=hint)


def _explained(file: File, top: str, rules: Rules, settings: Config) -> Iterator[str]:
    path = _below(top, file)
    yield f"{visible(path)} in {visible(top)}"
    found = rules.of(path)
    for name, (value, rule) in found.items():
        yield f"  {name}: {value}  (rule {settings.watch.rules.index(rule) + 1}: {rule.match})"
    if not found:
        yield "  no rule matches"
    if "/." in f"/{path}":
        yield "not added: hidden files are ignored"
    elif not file.is_recording:
        yield "not added: its name does not end like a recording's"
    elif found.get("ignore", (False,))[0]:
        yield "not added: a rule ignores it"
    elif reason := read_refused().get(file.source):
        yield f"not added: {reason}"
    else:
        source = notes([file], Path())[file]
        rows = (row for each in manifest.read(Path(settings.manifest)).values() for row in each.rows)
        session = next((row.session for row in rows if row.source == source), None)
        yield f"session {session}" if session else "will be added when it is complete and no longer changes"
