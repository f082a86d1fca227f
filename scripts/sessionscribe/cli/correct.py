"""``correct``: record the changes in an edited export, and list the state of corrections."""

from __future__ import annotations

import argparse
import difflib
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import count
from pathlib import Path
from typing import cast

from sessionscribe.artifacts.transcript import Correction, Transcript
from sessionscribe.cli.options import DRY_RUN, SESSION, SETTINGS, argument, command, flag
from sessionscribe.config.settings import Config, Export, Format
from sessionscribe.core import errors
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import counted, harmless
from sessionscribe.core.tokens import atoms
from sessionscribe.core.units import exact_clock
from sessionscribe.editing import edited, edits, rebase
from sessionscribe.editing.edited import Line
from sessionscribe.editing.edits import Made
from sessionscribe.editing.shown import Shown
from sessionscribe.formats.registry import ending
from sessionscribe.formats.subtitles import cues
from sessionscribe.manifest import manifest
from sessionscribe.stages.correct import table
from sessionscribe.stages.correct.apply import Overlaid
from sessionscribe.stages.correct.places import State
from sessionscribe.stages.correct.table import Edit
from sessionscribe.stages.export.export import write_export

SHOWN = 20  # maximum number of edits to print
MOST_LEFT_OUT = 0.5  # maximum share of words that a copy may lack without --force
FEW = 20  # fewer missing words than this are always accepted
MARKS: dict[State, str] = {"applied": "applied", "fulfilled": "fulfilled", "open": "NO PLACE"}


@command(
    "correct",
    *(SETTINGS, SESSION, DRY_RUN),
    argument("edited", "FILE", "edited export: srt, txt, docx …", nargs="?", type=Path),
    argument("--made-from", "FILE", "the export it was made from, if not the latest", type=Path),
    flag("--list", "list all corrections and their state"),
    argument("--author", "NAME", "who made the corrections", default=""),
    argument("--note", "TEXT", "a note on the corrections", default=""),
    flag("--force", "accept a file without most of the words"),
)
def correct(options: argparse.Namespace, config: Config, root: Path = Path()) -> int:
    """Record the corrections in an edited export; the next run applies them to all exports.

    Raises:
        UserError: there is no such session or transcript, or a file cannot be understood or is a part only.
    """
    found = manifest.read(root / config.manifest)
    if options.session not in found:
        raise errors.unknown_session(options.session, found, root / config.manifest)
    session = Shown.of(options.session, config, root)
    path = session.corrections
    if options.edited is None or options.list:
        if options.edited is not None:
            raise UserError("takes no file", where="--list", hint="Leave one of them out")
        _show_states(session.laid().corrections, path)
        return 0
    with manifest.locked(path):  # others may be recording corrections, too
        laid = session.laid()
        made = _made(options, config, session, laid)
        if not options.force:
            _refuse_part(options.edited, laid.transcript, made)
        if not options.dry_run and (made.new or made.gone):
            table.write(path, made.edits)
    _tell(options, laid, made, path)
    return 0


def _made(options: argparse.Namespace, config: Config, session: Shown, laid: Overlaid) -> Made:
    """Return the corrections, including those from the edited file."""
    words = {word.text for segment in laid.transcript.segments for word in segment.words}
    kind, base = edited.format_of(options.edited), options.made_from
    original = edited.lines(base) if base else _lines(laid.transcript, config.export, kind)
    copy = edited.read(options.edited, laid.transcript.speakers, words, original)
    order = _order(laid.transcript, config.export, kind)
    lost: list[Edit] = []
    signed = edits.Signed(options.author, date.today().isoformat(), options.note)
    if base is not None:
        before = edited.read(base, laid.transcript.speakers, words)
        (copy, lost), order = rebase.rebased(before, copy, laid.transcript), None
    known = table.read(session.corrections)
    made = edits.make(session.transcript, session.names, known, copy, order=order, signed=signed, laid=laid)
    new = [signed.put_on(edit) for edit in lost]
    return edits.Made([*made.edits, *new], [*made.new, *new], made.gone)


def _refuse_part(copy: Path, transcript: Transcript, made: Made) -> None:
    """Refuse a copy that lacks most of the transcript, as it is probably truncated.

    Raises:
        UserError: the copy lacks most of the words.
    """
    total = sum(len(atoms(word.text)) for segment in transcript.segments for word in segment.words)
    lacking = _left_out(made)
    if lacking >= FEW and lacking > MOST_LEFT_OUT * total:
        what = f"leaves out {lacking} of {total} words of the transcript, and nothing was recorded"
        hint = "Give an edited copy of the whole export. To record it anyway, add --force"
        raise UserError(what, where=copy, hint=hint)


def _left_out(made: Made) -> int:
    """Return the number of words that the new edits remove."""

    def lost(edits: Iterable[Edit]) -> int:
        return sum(max(0, len(atoms(e.was)) - len(atoms(e.now))) for e in edits if e.edit == "words")

    return max(0, lost(made.new) - lost(made.gone))


def _tell(options: argparse.Namespace, laid: Overlaid, made: Made, path: Path) -> None:
    known = {*laid.transcript.speakers, *laid.names.given}
    for name in sorted({edit.now for edit in made.new if edit.edit == "speaker"} - known):
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
        if near:
            errors.complain(f"`{visible(name)}` is a new speaker. Did you mean `{visible(near[0])}`?")
    if not (made.new or made.gone):
        print(f"{options.session}: no differences from the transcript.")
        return
    _show_new(made.new, made.gone)
    where = f"in {path}" if not options.dry_run else "(nothing was written)"
    lacking = _left_out(made)
    words = f", {counted(lacking, 'word')} left out" if lacking else ""
    new = counted(len(made.new), "new edit")
    print(f"{options.session}: {new} {where}{words}; {len(made.gone)} removed or replaced.")
    if not options.dry_run:
        print(f"To update the exports: sessionscribe run --session {options.session}")


def _lines(transcript: Transcript, options: Export, kind: str) -> Sequence[Line]:
    """Return the lines of an export, if its format has speaker labels in the text."""
    if kind not in edited.LABELLED:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"original.{ending(kind)}")
        write_export(transcript=transcript, format=cast(Format, kind), options=options, output=path)
        return edited.lines(path)


def _order(transcript: Transcript, options: Export, kind: str) -> list[int] | None:
    """Return the numbers of the words in the order in which a format has them; None: in order."""
    if kind in ("srt", "vtt", "ass"):
        found = cues(transcript, options, label_in_text=kind != "vtt")
        pieces = (piece.word for cue in found for row in cue.rows for piece in row)
        return list(dict.fromkeys(word for word in pieces if word is not None))
    if kind == "stm":
        numbers = count()
        parts = [(part.start, part.end, [next(numbers) for _ in part.words]) for part in transcript.segments]
        return [number for *_, words in sorted(parts) for number in words]
    return None


def _show_new(new: Sequence[Edit], gone: Sequence[Edit]) -> None:
    for mark, rows in (("+", new), ("-", gone)):
        for edit in rows[:SHOWN]:
            print(f"{mark} {_said(edit)}")
        if len(rows) > SHOWN:
            print(f"{mark} … and {len(rows) - SHOWN} more")


def _said(edit: Edit | Correction) -> str:
    when = exact_clock(edit.start) or "everywhere"
    if edit.edit == "name":
        return harmless(f"name     {edit.was} is {edit.now}")
    if edit.edit == "speaker":
        return harmless(f"speaker  {when}  {edit.now}: {edit.was or 'everything'}")
    return harmless(f"words    {when}  {edit.was or '(nothing)'} → {edit.now or '(nothing)'}")


def _show_states(found: Sequence[Correction], path: Path) -> None:
    if not found:
        print(f"No corrections: there is no {path}.")
        return
    for one in found:
        reason = f"  ({harmless(one.reason)})" if one.reason else ""
        times = f" ×{one.places}" if one.places > 1 else ""
        print(f"line {one.line:<4} {MARKS[one.state] + times:<10} {_said(one)}{reason}")
    states = Counter(one.state for one in found)
    parts = [f"{states[state]} {word}" for state, word in MARKS.items() if states[state]]
    print(f"{path}: {', '.join(parts).lower()}")
