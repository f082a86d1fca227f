"""From an edited copy of a transcript to rows of the corrections file, as few and as small as possible.

The copy is compared with the corrected transcript. Corrections that the copy contains stay; others are
replaced.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.tokens import alike, atoms, shown
from sessionscribe.core.units import milliseconds
from sessionscribe.editing import context_windows, verification
from sessionscribe.editing.comparison import Comparison, Hunk
from sessionscribe.editing.edited import EditToken
from sessionscribe.stages.correct.apply import Overlaid, overlay, speakers_with
from sessionscribe.stages.correct.locate import Words
from sessionscribe.stages.correct.names import LABEL
from sessionscribe.stages.correct.places import is_general, place
from sessionscribe.stages.correct.table import Edit

APART_S = 0.001  # between the times of rows that add words at the same place


@dataclass(frozen=True)
class Signed:
    """The author, date and note of new rows."""

    author: str = ""
    date: str = ""
    note: str = ""

    def put_on(self, edit: Edit) -> Edit:
        """Return an edit with these columns."""
        return replace(edit, author=self.author, date=self.date, note=self.note)


@dataclass(frozen=True)
class Made:
    """All rows of the new file, the new ones among them, and the replaced ones."""

    edits: list[Edit]
    new: list[Edit]
    gone: list[Edit]


def make(
    transcript: Transcript,
    names: Mapping[str, str],
    edits: Sequence[Edit],
    copy: Sequence[EditToken],
    *,
    order: Sequence[int] | None = None,
    signed: Signed | None = None,
    laid: Overlaid | None = None,
) -> Made:
    """Return the corrections that turn a transcript into an edited copy.

    Args:
        transcript: the machine's transcript, with speaker labels.
        names: names of labels.
        edits: the present corrections.
        copy: tokens of the edited copy.
        order: numbers of the corrected transcript's words in the order of the copy's format.
        signed: columns of new rows.
        laid: the transcript with the present corrections, if known.

    Raises:
        UserError: the copy has too little in common with the transcript, or corrections cannot express it.
    """
    given = signed or Signed()
    laid = laid or overlay(transcript, names, edits)
    parted = _parted(laid, edits, {atom.speaker for atom in copy})
    if parted != list(edits):
        laid = overlay(transcript, names, parted)
    compared = Comparison(laid, copy, order)
    renamed = _renamed(transcript, laid, parted, compared)
    if renamed != parted:
        laid = overlay(transcript, names, renamed)
    called = [replace(atom, speaker=atom.speaker and laid.names.shown(atom.speaker)) for atom in copy]
    if renamed != parted or called != list(copy):
        compared = Comparison(laid, called, order)
    changes = _Changes(laid, renamed, compared)
    made = [_unchanged(laid.words, edit, edits) or given.put_on(edit) for edit in changes.made()]
    result = [edit for number, edit in enumerate(renamed) if number not in changes.gone]
    result = [edit if edit in edits else given.put_on(edit) for edit in result] + made
    verification.check(laid, overlay(transcript, names, result), called, order)
    return Made(result, [e for e in result if e not in edits], [e for e in edits if e not in result])


def _unchanged(words: Words, edit: Edit, edits: Sequence[Edit]) -> Edit | None:
    """Return the old row that makes the same edit at the same place, if there is one."""

    def bare(edit: Edit) -> Edit:
        return replace(edit, before="", after="", note="", author="", date="")

    # Two places may have the same time if words have no length.
    same = [old for old in edits if bare(old) == bare(edit)]
    wanted = [found.ranges for found in place(words, [edit])] if same else []
    return next((old for old in same if [found.ranges for found in place(words, [old])] == wanted), None)


def _parted(laid: Overlaid, edits: Sequence[Edit], speakers: Collection[str | None]) -> list[Edit]:
    """Return the edits without names that the copy has reverted to labels."""
    called = Counter(laid.names.final.values())
    return [
        edit
        for edit in edits
        if not (
            edit.edit == "name"
            and (called[edit.now] > 1 or edit.now not in speakers)
            and edit.was in speakers
            and edit.was not in laid.names.final.values()
        )
    ]


def _renamed(
    transcript: Transcript, laid: Overlaid, edits: Sequence[Edit], compared: Comparison
) -> list[Edit]:
    """Return the edits, plus names for speakers who are renamed throughout the copy."""
    called: dict[str, Counter[str]] = defaultdict(Counter)
    for number, (first, _) in compared.intact.items():
        old, new = compared.words[number].speaker, compared.speakers[first]
        if old and new:
            called[old][new] += 1
    result = list(edits)
    for old, counts in called.items():
        new = counts.most_common(1)[0][0]
        # If all words of a named speaker went to another speaker, that is no new name.
        if old in compared.speakers or (new in called and not LABEL.fullmatch(old)):
            continue
        for label, name in laid.names.final.items():
            if name == old:
                result = _with_name(transcript, laid, result, label, new)
    return result


def _with_name(
    transcript: Transcript, laid: Overlaid, edits: Sequence[Edit], label: str, new: str
) -> list[Edit]:
    """Return the edits with a new name for a label."""
    given, old = laid.names.given[label], laid.names.final[label]
    own = [part.words for part in transcript.segments if part.speaker == label and part.words]
    spans = [(words[0].start, max(words[0].start, words[-1].end)) for words in own]
    by_length = sorted(spans, key=lambda span: milliseconds(span[0]) - milliseconds(span[1]))
    start, end = by_length[0] if by_length else (None, None)
    result = []
    for edit in edits:
        if edit.edit == "name" and edit.now == old and edit.was in (label, given):
            continue
        speaker = new if edit.speaker == old else edit.speaker
        now = new if edit.edit == "speaker" and edit.now == old else edit.now
        result.append(replace(edit, speaker=speaker, now=now))
    return result if given == new else [*result, Edit("name", start, end, was=given, now=new)]


class _Changes:
    """The changes of words and speakers in a copy; ``gone`` are the numbers of replaced edits."""

    def __init__(self, laid: Overlaid, edits: Sequence[Edit], compared: Comparison) -> None:
        self.laid, self.edits, self.compared = laid, edits, compared
        self.words = laid.words
        self.gone: set[int] = set()
        # Where a row is replaced, rows without a time (replace everywhere) apply again.
        self._general = {
            n
            for edit in filter(is_general, edits)
            for start, stop in laid.words.all_of([alike(atom) for atom in atoms(edit.was)])
            for n in range(start, stop)
        }
        # The copy's speaker of each word of the transcript; None: not stated.
        self.targets: list[str | None] = [None] * len(laid.words)
        self._added: list[tuple[int, list[tuple[str | None, list[str]]]]] = []

    def made(self) -> list[Edit]:
        """Return the new edits."""
        for number, item in enumerate(self.laid.items):
            if self.compared.solid[number]:
                for place in range(item.start, item.stop):
                    unchanged = item.edit is None
                    self.targets[place] = (
                        self.compared.speaker_of(number) if unchanged else self.laid.speakers[place]
                    )
        made = [edit for hunk in self.compared.hunks() for edit in self._of_hunk(hunk)]
        speakers, spoken = self._of_speakers()
        return [*made, *speakers, *self._of_additions(spoken), *self._of_neighbours(spoken)]

    def _of_hunk(self, hunk: Hunk) -> list[Edit]:
        items = self.laid.items[hunk.start : hunk.stop]
        start = items[0].start if items else self.laid.items[hunk.start - 1].stop if hunk.start else 0
        stop = items[-1].stop if items else start
        own = {item.edit for item in items if item.edit is not None}
        self.gone |= {number for number in own if not is_general(self.edits[number])}
        general = not self._general.isdisjoint(range(start, stop))
        copy, said = self.compared.copy, self.compared.speakers
        new = [(copy[n].text, said[n]) for n in hunk.atoms]
        while not general and start < stop and self._begins(new, start):
            count = len(self.words.text(start, start + 1))
            self.targets[start] = new[0][1]
            new, start = new[count:], start + 1
        while not general and start < stop and self._begins(new, stop - 1, at_end=True):
            count = len(self.words.text(stop - 1, stop))
            self.targets[stop - 1] = new[-1][1]
            new, stop = new[:-count], stop - 1
        runs = [(who, [text for text, _ in run]) for who, run in groupby(new, key=lambda found: found[1])]
        if start == stop:
            self._added.append((start, runs))
            return []
        if not runs:
            return [context_windows.of_words(self.words, start, stop, [])]
        # The main speaker's words replace the old ones; what others say before and after is added.
        main = max(range(len(runs)), key=lambda n: len(runs[n][1]))
        self.targets[start:stop] = [runs[main][0]] * (stop - start)
        self._added += [(start, runs[:main]), (stop, runs[main + 1 :])]
        same = self.words.text(start, stop) == runs[main][1]
        return (
            [] if same and not general else [context_windows.of_words(self.words, start, stop, runs[main][1])]
        )

    def _begins(self, new: Sequence[tuple[str, str | None]], place: int, *, at_end: bool = False) -> bool:
        """Return whether new text begins (or ends) with a word of the transcript, all of one speaker."""
        own = self.words.text(place, place + 1)
        part = new[-len(own) :] if at_end else new[: len(own)]
        texts = [shown(text) for text, _ in part]
        return bool(own) and texts == [shown(text) for text in own] and len({who for _, who in part}) == 1

    def _of_speakers(self) -> tuple[list[Edit], list[str | None]]:
        """Return edits of speakers, and each word's speaker after them."""
        current, placed = self.laid.speakers, self.laid.placed
        for number, found in enumerate(placed):
            if found.edit.edit == "speaker" and found.state == "applied":
                numbers = [n for start, stop in found.ranges for n in range(start, stop)]
                if any(self.targets[n] not in (None, current[n]) for n in numbers):
                    self.gone.add(number)
        staying = [found for n, found in enumerate(placed) if n not in self.gone]
        kept = speakers_with(self.words, staying)
        # A new passage may continue over deleted words, but not into a passage that stays.
        taken = {
            n
            for found in staying
            if found.edit.edit == "speaker"
            for start, stop in found.ranges
            for n in range(start, stop)
        }
        made, start = [], 0
        while start < len(kept):
            who = self.targets[start]
            if who is None or who == kept[start]:
                start += 1
                continue
            stop = last = start + 1
            while last < len(kept) and (
                self.targets[last] == who or (self.targets[last] is None and last not in taken)
            ):
                last += 1
                stop = last if self.targets[last - 1] == who != kept[last - 1] else stop
            made.append(context_windows.of_speaker(self.words, start, stop, who))
            kept[start:stop] = [who] * (stop - start)
            start = stop
        return made, kept

    def _of_additions(self, spoken: Sequence[str | None]) -> list[Edit]:
        made = []
        gaps: Counter[int] = Counter()
        for gap, runs in self._added:
            for who, texts in runs:
                edit = context_windows.of_words(self.words, gap, gap, texts, delay_s=APART_S * gaps[gap])
                beside = spoken[gap - 1] if gap else spoken[gap] if spoken else None
                made.append(edit if who in (None, beside) else replace(edit, speaker=who))
                gaps[gap] += 1
        return made

    def _of_neighbours(self, spoken: Sequence[str | None]) -> Iterator[Edit]:
        """Yield earlier additions, now with a speaker, if the speaker of the word before them has changed."""
        for item in self.laid.items:
            if item.edit is None or item.edit in self.gone or item.start < item.stop or not item.words:
                continue
            edit, who = self.edits[item.edit], item.words[0].speaker
            if not edit.speaker and who is not None and spoken and who != spoken[max(0, item.start - 1)]:
                self.gone.add(item.edit)
                yield replace(edit, speaker=who)
