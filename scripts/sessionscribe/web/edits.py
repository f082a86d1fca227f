"""Edits in the browser: they become rows of the corrections file, as with `sessionscribe correct`."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sessionscribe.core.errors import UserError
from sessionscribe.core.tokens import atoms
from sessionscribe.editing import context_windows, edits
from sessionscribe.editing.edited import EditToken
from sessionscribe.manifest import manifest
from sessionscribe.stages.correct import table
from sessionscribe.stages.correct.apply import Overlaid
from sessionscribe.stages.correct.places import is_general
from sessionscribe.stages.correct.table import Edit
from sessionscribe.web.archive import Archive, Page, base_of

NAME_LENGTH = 200
TEXT_LENGTH = 10_000


class Change(BaseModel):
    """One change of the words ``first`` to ``last`` (counted from 0, inclusive) or of the whole session.

    - ``words``: replace the words with ``text``; delete them if that is empty.
    - ``speaker``: give the words to the speaker ``text``.
    - ``name``: rename the speaker ``was`` to ``text`` in the whole session.
    - ``everywhere``: replace the words ``was`` with ``text`` in the whole session.
    """

    model_config = ConfigDict(extra="forbid")

    op: Literal["words", "speaker", "name", "everywhere"]
    first: int = Field(default=0, ge=0)
    last: int = Field(default=0, ge=0)
    was: str = Field(default="", max_length=TEXT_LENGTH)
    text: str = Field(default="", max_length=TEXT_LENGTH)


class Changes(BaseModel):
    """A request to change the transcript whose corrections have the hash ``base``, or to undo a change."""

    model_config = ConfigDict(extra="forbid")

    base: str
    changes: list[Change] = Field(default=[], max_length=1000)
    undo: bool = False


class ConflictError(Exception):
    """The corrections were changed by somebody else; ``page`` is their present state."""

    def __init__(self, page: Page) -> None:
        super().__init__("changed meanwhile")
        self.page = page


class Editor:
    """Writes corrections, and undoes its own changes."""

    def __init__(self, archive: Archive, author: str = "") -> None:
        self.archive, self.author = archive, author
        self._before: dict[str, list[tuple[str, list[Edit]]]] = {}

    def edit(self, name: str, asked: Changes) -> tuple[Page, Page]:
        """Change a session or undo the last change; return its page before and after.

        Raises:
            ConflictError: the corrections are not those that the browser has seen.
            UserError: a change is impossible.
        """
        with manifest.locked(table.path_of(name, self.archive.root)):
            page = self.archive.page(name)
            path = page.session.corrections
            if asked.base != base_of(path):
                raise ConflictError(page)
            known = table.read(path)
            if asked.undo:
                if not self.can_undo(name, page.base):
                    raise UserError("there is nothing to undo", where=name, hint="Edit it by hand")
                _, before = self._before[name].pop()
                table.write(path, before)
                return page, self.archive.page(name)
            made = self._made(page, known, asked.changes)
            table.write(path, made)
            self._before.setdefault(name, []).append((base_of(path), known))
            return page, self.archive.page(name)

    def can_undo(self, name: str, base: str) -> bool:
        """Return whether the last change of a session can be undone, as nobody has changed it since."""
        made = self._before.get(name, [])
        return bool(made) and made[-1][0] == base

    def _made(self, page: Page, known: list[Edit], changes: list[Change]) -> list[Edit]:
        """Return all rows of the new corrections file."""
        signed = edits.Signed(self.author, date.today().isoformat(), "")
        general = [
            signed.put_on(Edit("words", was=change.was, now=change.text))
            for change in changes
            if change.op == "everywhere" and atoms(change.was)
        ]
        rest = [change for change in changes if change.op != "everywhere"]
        if not rest:
            return [*known, *general]
        if len(changes) == 1 and (simple := _simple(page.laid, known, rest[0])):
            edit, others = simple
            return [*others, signed.put_on(edit)]
        copy = _copy(page.laid, rest)
        made = edits.make(
            page.session.transcript, page.session.names, known, copy, signed=signed, laid=page.laid
        )
        return [*made.edits, *general]


def _simple(laid: Overlaid, known: list[Edit], change: Change) -> tuple[Edit, list[Edit]] | None:
    """Return the row for a change of one word, and the other rows; None if this takes a comparison.

    This serves words that are uncorrected or corrected only here: comparing four hours takes seconds.
    """
    places = [(item, at) for item in laid.items for at in range(len(item.words))]
    is_one_word = change.op == "words" and change.first == change.last < len(places)
    if not is_one_word or not atoms(change.text):
        return None
    item, at = places[change.first]
    old = None if item.edit is None else known[item.edit]
    if item.start == item.stop or (old and (old.edit != "words" or old.speaker or is_general(old))):
        return None
    texts = [word.text for word in item.words]
    texts[at] = change.text
    now = [atom for text in texts for atom in atoms(text)]
    if now == laid.words.text(item.start, item.stop):
        return None
    edit = context_windows.of_words(laid.words, item.start, item.stop, now)
    return edit, [other for other in known if other is not old]


def _copy(laid: Overlaid, changes: list[Change]) -> list[EditToken]:
    """Return tokens of an edited copy with these changes.

    Raises:
        UserError: a change refers to words that do not exist.
    """
    words = [(word.text, word.speaker) for item in laid.items for word in item.words]
    said: list[tuple[str, str | None]] = list(words)
    for change in changes:
        if change.op == "name":
            said = [(text, change.text if who == change.was else who) for text, who in said]
            continue
        if not change.first <= change.last < len(words):
            raise UserError("no such words", where=f"{change.first} to {change.last}", hint="Reload")
        numbers = range(change.first, change.last + 1)
        if change.op == "speaker":
            for number in numbers:
                said[number] = (said[number][0], change.text)
        else:
            for number in numbers:
                said[number] = (change.text if number == change.first else "", said[number][1])
    return [EditToken(atom, who, number) for number, (text, who) in enumerate(said) for atom in atoms(text)]
