"""Apply names and corrections to a transcript, which itself stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sessionscribe.artifacts.transcript import Correction, SpokenSegment, SpokenWord, Transcript
from sessionscribe.core.tokens import atoms
from sessionscribe.core.units import milliseconds
from sessionscribe.stages.correct import names as naming
from sessionscribe.stages.correct import turns
from sessionscribe.stages.correct.locate import Words
from sessionscribe.stages.correct.places import Placed, place
from sessionscribe.stages.correct.retime import ADDED_S, added, retimed
from sessionscribe.stages.correct.table import Edit

JOIN_MS = 1000
"""Neighbouring segments that have the same speaker now are joined over shorter pauses."""


@dataclass(frozen=True)
class Item:
    """Words of the result that replace the words ``[start, stop)`` of the transcript.

    ``edit`` is the number of the edit that made them, or None for one unchanged word. ``segments`` are the
    numbers of the segments that they belong to. A deletion has no words, an addition replaces none.
    """

    edit: int | None
    start: int
    stop: int
    words: tuple[SpokenWord, ...]
    segments: tuple[int, ...]


@dataclass(frozen=True)
class Overlaid:
    """A corrected transcript, and how it came about.

    ``words`` are the words before corrections, ``speakers`` their speakers after them. ``items`` are the
    words of the result, in order.
    """

    transcript: Transcript
    words: Words
    speakers: list[str | None]
    corrections: list[Correction]
    items: list[Item]
    placed: list[Placed]
    names: naming.Names


def overlay(transcript: Transcript, names: Mapping[str, str], edits: Sequence[Edit]) -> Overlaid:
    """Return a transcript with names and corrections.

    Args:
        transcript: the uncorrected transcript, with labels.
        names: names by label; other speakers keep their label.
        edits: the rows of the corrections file, in any order.
    """
    called = naming.resolve(transcript, names, edits)
    named = _named(transcript, called.final)
    words = Words(named)
    placed = place(words, [_with_final_names(edit, called) for edit in edits])
    for number, edit in enumerate(edits):
        who = edit.now if edit.edit == "speaker" else edit.speaker
        if edit.edit == "name":
            placed[number] = called.placed[number]
        elif who and not called.is_known(who):
            placed[number] = Placed(edit, "open", reason=f"there is no speaker {who}")
    speakers = speakers_with(words, placed)
    items = list(_items(words, placed, speakers, named.duration_s))
    placed = [_checked(words, found) for found in placed]
    corrections = [
        Correction(
            **asdict(edit),
            state=found.state,
            places=max(1, len(found.ranges)) if found.state == "applied" else 0,
            reason=found.reason,
        )
        for edit, found in zip(edits, placed, strict=True)
    ]
    result = _assembled(named, words, items, speakers)
    return Overlaid(result, words, speakers, corrections, items, placed, called)


def speakers_with(words: Words, placed: Sequence[Placed]) -> list[str | None]:
    """Return the speaker of each word after edits; a shorter passage overrides a longer one around it."""
    speakers = [word.speaker for word in words.words]
    passages = [
        (start - stop, start, stop, found.edit.now)
        for found in placed
        if found.edit.edit == "speaker" and found.state == "applied"
        for start, stop in found.ranges
    ]
    for _, start, stop, name in sorted(passages, key=lambda passage: passage[:2]):
        speakers[start:stop] = [name] * (stop - start)
    return speakers


def _named(transcript: Transcript, names: Mapping[str, str]) -> Transcript:
    """Return the transcript with names in place of labels; labels with the same name become one speaker."""
    if all(names[label] == label for label in transcript.speakers):
        return transcript

    def name(label: str | None) -> str | None:
        return None if label is None else names.get(label, label)

    segments = []
    for segment in transcript.segments:
        words = []
        for word in segment.words:
            speaker, second = name(word.speaker), name(word.second_speaker)
            second = None if second == speaker else second
            words.append(word.model_copy(update={"speaker": speaker, "second_speaker": second}))
        segments.append(segment.model_copy(update={"speaker": name(segment.speaker), "words": words}))
    called = [names[label] for label in transcript.speakers]
    spoken = [turn.model_copy(update={"speaker": name(turn.speaker)}) for turn in transcript.turns]
    if several := {label for label in called if called.count(label) > 1}:
        spoken = turns.merged(spoken, several)
    changes = {"segments": segments, "turns": spoken, "speakers": list(dict.fromkeys(called))}
    return transcript.model_copy(update=changes)


def _with_final_names(edit: Edit, names: naming.Names) -> Edit:
    now = names.shown(edit.now) if edit.edit == "speaker" else edit.now
    return replace(edit, speaker=names.shown(edit.speaker) if edit.speaker else "", now=now)


def _items(
    words: Words, placed: Sequence[Placed], speakers: Sequence[str | None], duration_s: float
) -> Iterator[Item]:
    def unchanged(start: int, stop: int) -> Iterator[Item]:
        for n in range(start, stop):
            yield Item(None, n, n + 1, (_spoken_by(words.words[n], speakers[n]),), (words.segments[n],))

    active = sorted(
        (start, stop, found.edit.start or 0.0, number)
        for number, found in enumerate(placed)
        if found.edit.edit == "words" and found.state == "applied"
        for start, stop in found.ranges
    )
    at = 0
    for start, stop, _, number in active:
        yield from unchanged(at, start)
        edit = placed[number].edit
        if start < stop:
            made = retimed(words.words, start, stop, atoms(edit.now), language=words.language)
            new = tuple(_spoken_by(word, speakers[origin]) for word, origin in made)
            yield Item(number, start, stop, new, tuple(words.segments[origin] for _, origin in made))
        else:
            yield _addition(number, edit, words, start, speakers=speakers, duration_s=duration_s)
        at = stop
    yield from unchanged(at, len(words))


def _spoken_by(word: SpokenWord, speaker: str | None) -> SpokenWord:
    if word.speaker == speaker:
        return word
    second = word.speaker if word.second_speaker == speaker else word.second_speaker
    changes = {"speaker": speaker, "reason": None, "second_speaker": second, "corrected": True}
    return word.model_copy(update=changes)


def _addition(
    number: int, edit: Edit, words: Words, gap: int, *, speakers: Sequence[str | None], duration_s: float
) -> Item:
    """Return the words that an edit adds before word ``gap``."""
    before = speakers[gap - 1] if gap else None
    after = speakers[gap] if gap < len(words) else None
    speaker = edit.speaker or (before if gap else after)
    goes_with_next = gap < len(words) and (gap == 0 or (speaker == after and speaker != before))
    since = words.words[gap - 1].end if gap else 0.0
    until = words.words[gap].start if gap < len(words) else duration_s
    texts = atoms(edit.now)
    if edit.start is not None and since <= edit.start < until:
        since = edit.start
    elif goes_with_next:
        since = max(since, round(until - ADDED_S * len(texts), 3))
    last = words.words[gap - 1].text if gap else ""
    new = tuple(added(texts, since, until, speaker=speaker, before=last, language=words.language))
    segment = words.segments[gap if goes_with_next else gap - 1] if len(words) else 0
    return Item(number, gap, gap, new, (segment,) * len(new))


def _assembled(
    named: Transcript, words: Words, items: Sequence[Item], speakers: Sequence[str | None]
) -> Transcript:
    """Return the transcript with the words of the items; unchanged segments stay as they are."""
    groups: list[tuple[int, list[SpokenWord]]] = []
    last = -1
    for item in items:
        for word, segment in zip(item.words, item.segments, strict=True):
            if not groups or not _continues(named, last, groups[-1][1][-1], segment, word):
                groups.append((segment, []))
            groups[-1][1].append(word)
            last = segment
    segments = []
    for number, own in groups:
        before = named.segments[number] if named.segments else None
        segments.append(before if before and before.words == own else SpokenSegment.of(own))
    spoken = turns.reassign(named.turns, words.words, speakers)
    present = {turn.speaker for turn in spoken} | {segment.speaker for segment in segments}
    everybody = dict.fromkeys([*named.speakers, *(segment.speaker for segment in segments)])
    order = [name for name in everybody if name in present and name is not None]
    return named.model_copy(update={"segments": segments, "turns": spoken, "speakers": order})


def _continues(named: Transcript, last: int, before: SpokenWord, segment: int, word: SpokenWord) -> bool:
    """Return whether a word continues the segment of the word before it."""
    if before.speaker != word.speaker:
        return False
    if last == segment:
        return True
    # Segments that were separate only because of their speakers are joined when these are the same.
    were_apart = named.segments[last].speaker != named.segments[segment].speaker
    return were_apart and milliseconds(word.start) - milliseconds(before.end) < JOIN_MS


def _checked(words: Words, placed: Placed) -> Placed:
    """Return an edit of a speaker as fulfilled if all its words were that speaker's before."""
    if placed.edit.edit != "speaker" or placed.state != "applied":
        return placed
    old = {words.words[n].speaker for start, stop in placed.ranges for n in range(start, stop)}
    return replace(placed, state="fulfilled") if old == {placed.edit.now} else placed
