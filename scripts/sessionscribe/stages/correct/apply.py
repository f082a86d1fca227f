"""A transcript with names and corrections laid over it. What the machine made stays as it is, beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sessionscribe.artifacts.transcript import Correction, SpokenSegment, SpokenWord, Transcript
from sessionscribe.core.tokens import atoms
from sessionscribe.core.units import milliseconds
from sessionscribe.stages.correct import names as naming
from sessionscribe.stages.correct.locate import Words
from sessionscribe.stages.correct.places import Placed, place
from sessionscribe.stages.correct.retime import ADDED_S, added, rewritten
from sessionscribe.stages.correct.table import Edit
from sessionscribe.stages.correct.turns import retold, united

JOIN_MS = 1000  # over a shorter pause, neighbours that have one speaker now are one segment


@dataclass(frozen=True)
class Item:
    """Words of the result that belong together: what an edit made (``edit``, by number), or one unchanged.

    They stand for the words ``[start, stop)`` of the transcript; there may be none on either side.
    ``segments`` are the numbers of the segments to which they belong.
    """

    edit: int | None
    start: int
    stop: int
    words: tuple[SpokenWord, ...]
    segments: tuple[int, ...]


@dataclass(frozen=True)
class Overlaid:
    """The result, what became of each edit, and where each word of it comes from (``items``, in order).

    ``words`` are those of the machine, ``speakers`` who says them now.
    """

    transcript: Transcript
    words: Words
    speakers: list[str | None]
    corrections: list[Correction]
    items: list[Item]
    placed: list[Placed]
    names: naming.Names


def overlay(transcript: Transcript, names: Mapping[str, str], edits: Sequence[Edit]) -> Overlaid:
    """Return the transcript with names in place of labels, and corrected.

    Args:
        transcript: as the machine made it, by labels.
        names: of labels; who has none keeps the label.
        edits: the lines of the corrections file; their order does not matter.
    """
    called = naming.resolve(transcript, names, edits)
    named = named_as(transcript, called.final)
    words = Words(named)
    placed = place(words, [_resolved(edit, called) for edit in edits])
    for number, edit in enumerate(edits):
        if edit.edit == "name":
            placed[number] = called.placed[number]
        elif (who := edit.now if edit.edit == "speaker" else edit.speaker) and not called.is_known(who):
            placed[number] = Placed(edit, "open", reason=f"there is no speaker {who}")
    speakers = painted(words, placed)
    items = list(_items(words, placed, speakers, named.duration_s))
    result = _assembled(named, words, items, speakers)
    placed = [_checked(words, found) for found in placed]
    corrections = [_correction(edit, found) for edit, found in zip(edits, placed, strict=True)]
    return Overlaid(result, words, speakers, corrections, items, placed, called)


def named_as(transcript: Transcript, names: Mapping[str, str]) -> Transcript:
    """Return the transcript with ``names`` in place of speaker labels; two labels of one name become one."""
    if all(names.get(label, label) == label for label in transcript.speakers):
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
    called = [names.get(label, label) for label in transcript.speakers]
    turns = [turn.model_copy(update={"speaker": name(turn.speaker)}) for turn in transcript.turns]
    if len(set(called)) < len(called):
        turns = united(turns, {label for label in called if called.count(label) > 1})
    changes = {"segments": segments, "turns": turns, "speakers": list(dict.fromkeys(called))}
    return transcript.model_copy(update=changes)


def _resolved(edit: Edit, names: naming.Names) -> Edit:
    speaker = names.shown(edit.speaker) if edit.speaker else ""
    now = names.shown(edit.now) if edit.edit == "speaker" else edit.now
    return replace(edit, speaker=speaker, now=now)


def painted(words: Words, placed: Sequence[Placed]) -> list[str | None]:
    """Return who says each word, wider stretches first: what is said of a narrower one holds there."""
    speakers = [word.speaker for word in words.words]
    active = [found for found in placed if found.edit.edit == "speaker" and found.state == "applied"]
    ranges = [(stop - start, start, stop, found.edit.now) for found in active for start, stop in found.ranges]
    for _, start, stop, name in sorted(ranges, key=lambda found: (-found[0], found[1])):
        speakers[start:stop] = [name] * (stop - start)
    return speakers


def _items(
    words: Words, placed: Sequence[Placed], speakers: Sequence[str | None], duration_s: float
) -> Iterator[Item]:
    def unchanged(start: int, stop: int) -> Iterator[Item]:
        for n in range(start, stop):
            yield Item(None, n, n + 1, (_spoken(words.words[n], speakers[n]),), (words.segments[n],))

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
            made = rewritten(words.words, start, stop, atoms(edit.now), language=words.language)
            new = tuple(_spoken(found.word, speakers[found.origin]) for found in made)
            yield Item(number, start, stop, new, tuple(words.segments[found.origin] for found in made))
        else:
            yield _addition(number, edit, words, start, speakers=speakers, duration_s=duration_s)
        at = stop
    yield from unchanged(at, len(words))


def _spoken(word: SpokenWord, speaker: str | None) -> SpokenWord:
    if word.speaker == speaker:
        return word
    second = word.speaker if word.second_speaker == speaker else word.second_speaker
    changes = {"speaker": speaker, "reason": None, "second_speaker": second, "corrected": True}
    return word.model_copy(update=changes)


def _addition(
    number: int, edit: Edit, words: Words, gap: int, *, speakers: Sequence[str | None], duration_s: float
) -> Item:
    """Return the words that an edit adds before word ``gap``: a neighbour's, or another speaker's."""
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
    text = words.words[gap - 1].text if gap else ""
    like = SpokenWord(text=text, start=0, end=0, probability=1.0, speaker=speaker)
    new = tuple(added(texts, since, max(since, until), like, language=words.language))
    segment = words.segments[gap if goes_with_next else gap - 1] if len(words) else 0
    return Item(number, gap, gap, new, (segment,) * len(new))


def _assembled(
    named: Transcript, words: Words, items: Sequence[Item], speakers: Sequence[str | None]
) -> Transcript:
    """Return the transcript that has the items' words: unchanged segments are as they were."""
    groups: list[tuple[int, list[SpokenWord]]] = []
    last = -1
    for item in items:
        for word, segment in zip(item.words, item.segments, strict=True):
            if not groups or not _goes_on(named, last, groups[-1][1][-1], segment, word):
                groups.append((segment, []))
            groups[-1][1].append(word)
            last = segment
    segments = [_segment(named, *group) for group in groups]
    turns = retold(named.turns, words.words, speakers)
    present = {turn.speaker for turn in turns} | {segment.speaker for segment in segments}
    everybody = dict.fromkeys([*named.speakers, *(segment.speaker for segment in segments)])
    order = [name for name in everybody if name in present and name is not None]
    return named.model_copy(update={"segments": segments, "turns": turns, "speakers": order})


def _goes_on(named: Transcript, last: int, before: SpokenWord, segment: int, word: SpokenWord) -> bool:
    """Return whether a word belongs to the segment of the word before it."""
    if before.speaker != word.speaker:
        return False
    if last == segment:
        return True
    # What only parted two speakers parts nothing when they are one.
    were_apart = named.segments[last].speaker != named.segments[segment].speaker
    return were_apart and milliseconds(word.start) - milliseconds(before.end) < JOIN_MS


def _segment(named: Transcript, number: int, words: list[SpokenWord]) -> SpokenSegment:
    before = named.segments[number] if named.segments else None
    if before is not None and before.words == words:
        return before
    return SpokenSegment.of(words)


def _checked(words: Words, placed: Placed) -> Placed:
    """Return an edit of speakers as fulfilled where all its words are that speaker's anyway."""
    if placed.edit.edit != "speaker" or placed.state != "applied":
        return placed
    own = {words.words[n].speaker for start, stop in placed.ranges for n in range(start, stop)}
    return replace(placed, state="fulfilled") if own == {placed.edit.now} else placed


def _correction(edit: Edit, placed: Placed) -> Correction:
    places = len(placed.ranges) or 1
    columns = asdict(edit)
    return Correction(
        **columns,
        state=placed.state,
        places=places if placed.state == "applied" else 0,
        reason=placed.reason,
    )
