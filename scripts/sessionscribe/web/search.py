"""Full-text search in all transcripts, with an index in SQLite that may be deleted at any time."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.errors import UserError
from sessionscribe.core.text import written_without_spaces
from sessionscribe.formats.reading import paragraphs

INDEX = Path(".sessionscribe/search.db")
MARKS = "\x02", "\x03"
"""The marks around a hit in SQLite's result."""
VERSION = 3
LIMIT = 100
PATIENCE_S = 1.0
"""How long a search may spend on indexing new transcripts; the rest is indexed later."""


@dataclass(frozen=True)
class Hit:
    """A matching paragraph; ``pieces`` are parts of its text and whether each is a hit."""

    session: str
    start: float
    speaker: str
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Found:
    """The hits, and how many sessions are not indexed yet."""

    hits: list[Hit]
    missing: int


class Index:
    """The index of a project, updated before each search.

    Args:
        root: the project's folder.
        sessions: returns the names of all sessions.
    """

    def __init__(self, root: Path, sessions: Callable[[], Collection[str]]) -> None:
        self.root, self._sessions = root, sessions
        self._lock = threading.Lock()

    def search(self, text: str, *, speaker: str = "", among: Collection[str] | None = None) -> Found:
        """Return paragraphs that contain all words of ``text``, those of the latest sessions first.

        Args:
            text: words, phrases in quotation marks, and beginnings of words (`camp*`).
            speaker: words in the speaker's name, the last of which may be incomplete.
            among: sessions to search; None: all.
        """
        names = None if among is None else json.dumps(list(among))
        query = _query("text", text)
        with self._lock, closing(self._open()) as database:
            missing = self._update(database, PATIENCE_S if query else 0.0)
            if not query:
                return Found([], missing)
            # In the index's own order: ranking all paragraphs with a frequent word takes long.
            found = database.execute(
                "SELECT session, start, speaker, highlight(said, 3, ?, ?) FROM said "
                "WHERE said MATCH ? AND (? IS NULL OR session IN (SELECT value FROM json_each(?))) "
                "ORDER BY rowid DESC LIMIT ?",
                (*MARKS, f"{query} {_query('speaker', f'{speaker}*')}", names, names, LIMIT),
            ).fetchall()
        order = {name: number for number, name in enumerate(dict.fromkeys(row[0] for row in found))}
        found.sort(key=lambda row: (order[row[0]], row[1]))
        hits = [
            Hit(name, start, who.replace("\x1f", ""), tuple(_pieces(marked)))
            for name, start, who, marked in found
        ]
        return Found(hits, missing)

    def _open(self) -> sqlite3.Connection:
        path = self.root / INDEX
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connect(path)
        except sqlite3.DatabaseError:  # damaged: rebuild it
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink(missing_ok=True)
            return _connect(path)

    def fill(self) -> None:
        """Update the whole index step by step, so that searches can run in between."""
        left = 1
        with suppress(UserError):  # such as a damaged manifest, which pages report
            while left:
                with self._lock, closing(self._open()) as database:
                    left = self._update(database, PATIENCE_S)

    def _update(self, database: sqlite3.Connection, seconds: float) -> int:
        """Index new transcripts for some seconds; return the number of sessions left."""
        until, sessions = time.monotonic() + seconds, self._sessions()
        left = 0
        known = dict(database.execute("SELECT session, stamp FROM seen"))
        for name in known.keys() - set(sessions):
            self._forget(database, name)
        for name in sessions:
            path, stamp = self._transcript(name)
            if stamp == known.get(name, ""):
                continue
            if time.monotonic() > until:
                left += 1
                continue
            self._forget(database, name)
            if path is None:
                continue
            try:
                transcript = Transcript.read(path)
            except UserError:
                transcript = None  # damaged, which its page and `verify` report
            rows = (
                (name, part.start, spaced(part.speaker or ""), spaced(part.text))
                for part in (paragraphs(transcript) if transcript else ())
            )
            database.executemany("INSERT INTO said VALUES (?, ?, ?, ?)", rows)
            database.execute("INSERT INTO seen VALUES (?, ?)", (name, stamp))
        database.commit()
        return left

    def _forget(self, database: sqlite3.Connection, name: str) -> None:
        database.execute("DELETE FROM said WHERE session = ?", (name,))
        database.execute("DELETE FROM seen WHERE session = ?", (name,))

    def _transcript(self, name: str) -> tuple[Path | None, str]:
        """Return a session's transcript file, and a stamp that changes with it."""
        for stage in ("correct", "diarize"):
            path = self.root / f"results/{stage}/{name}.json"
            try:
                found = path.stat()
            except OSError:
                continue
            return path, f"{stage} {found.st_size} {found.st_mtime_ns}"
        return None, ""


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        database.executescript(
            "DROP TABLE IF EXISTS said; DROP TABLE IF EXISTS seen;"
            "CREATE VIRTUAL TABLE said USING fts5(session UNINDEXED, start UNINDEXED, speaker,"
            " text, tokenize='unicode61 remove_diacritics 2', prefix='3');"
            "CREATE TABLE seen (session TEXT PRIMARY KEY, stamp TEXT);"
            f"PRAGMA user_version = {VERSION};"
        )
    return database


def spaced(text: str) -> str:
    """Return text with separators around letters of scripts without spaces, which makes each a word."""
    return "".join(f"\x1f{letter}\x1f" if written_without_spaces(letter) else letter for letter in text)


def _query(column: str, text: str) -> str:
    """Return a query for FTS5 with every word quoted, so that none is taken for syntax."""
    terms = []
    for phrase, word in re.findall(r'"([^"]*)"|(\S+)', text):
        found = phrase or word.replace('"', "")
        ending = "*" if word.endswith("*") else ""
        words = spaced(found.rstrip("*")).split()
        if any(any(letter.isalnum() for letter in part) for part in words):
            terms.append(f'{column} : "{" ".join(words)}"{ending}')
    return " ".join(terms)


def _pieces(marked: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a paragraph, without separators, and whether each is a hit."""
    for number, part in enumerate(re.split("[\x02\x03]", marked)):
        if part:
            yield part.replace("\x1f", ""), number % 2 == 1
