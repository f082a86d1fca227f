"""Resolve the names of speakers, including those that a corrections file gives."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.errors import visible
from sessionscribe.core.units import exact_clock, milliseconds
from sessionscribe.stages.correct.locate import has_middle
from sessionscribe.stages.correct.places import Placed, contradicted
from sessionscribe.stages.correct.table import Edit

LABEL = re.compile(r"SPEAKER_\d+")
OWN = Fraction(1, 3)
"""Least share of the words in an edit's passage that its speaker must have to be the one it names."""
OTHER = Fraction(2, 3)
"""Share from which another speaker is meant: labels may have changed since the edit was made."""


@dataclass
class Names:
    """The name shown for each label, before (``given``) and after (``final``) corrections."""

    given: dict[str, str]
    final: dict[str, str]
    placed: dict[int, Placed] = field(default_factory=dict)
    """The edits of kind ``name``, by number."""

    def shown(self, who: str) -> str:
        """Return the final name of a speaker given by label, old name or final name, or of a new one."""
        if who in self.final.values():
            return who
        if who in self.final:
            return self.final[who]
        return next((self.final[label] for label, name in self.given.items() if name == who), who)

    def is_known(self, who: str) -> bool:
        """Return whether this may be a speaker: any name, but only labels of the transcript."""
        return who in self.final or who in self.given.values() or not LABEL.fullmatch(who)


def resolve(transcript: Transcript, names: Mapping[str, str], edits: Sequence[Edit]) -> Names:
    """Return the names of a transcript's speakers.

    Args:
        transcript: with labels.
        names: names by label, as far as known.
        edits: all corrections; only those of kind ``name`` matter.
    """
    labels = dict.fromkeys([*transcript.speakers, *(segment.speaker for segment in transcript.segments)])
    given = {label: names.get(label, label) for label in labels if label is not None}
    found = Names(given, dict(given))
    claims: dict[str, list[int]] = defaultdict(list)
    for number, edit in enumerate(edits):
        if edit.edit == "name":
            own, reason = _labels_of(transcript, given, edit)
            found.placed[number] = Placed(edit, "open" if reason else "fulfilled", reason=reason)
            for label in own:
                claims[label].append(number)
    for numbers in claims.values():
        for number in numbers:
            if rivals := [edits[n] for n in numbers if edits[n].now != edits[number].now]:
                found.placed[number] = contradicted(edits[number], rivals)
    for label, numbers in claims.items():
        for number in numbers:
            if found.placed[number].reason is None:
                found.final[label] = edits[number].now
                if given[label] != edits[number].now:
                    found.placed[number] = Placed(edits[number], "applied")
    return found


def _labels_of(transcript: Transcript, given: Mapping[str, str], edit: Edit) -> tuple[list[str], str | None]:
    """Return the labels that an edit names, or the reason why there are none."""
    own = [edit.was] if edit.was in given else [label for label, name in given.items() if name == edit.was]
    if edit.start is not None and edit.end is not None:
        times = _talk_times(transcript, edit.start, edit.end)
        total = sum(times.values())
        if sum(times[label] for label in own) < OWN * total:
            label = max(times, key=lambda label: (times[label], label))
            if times[label] < OTHER * total:
                return [], f"several speak at {exact_clock(edit.start)}: who is {visible(edit.was)}?"
            return [label], None
    return own, None if own else f"there is no speaker {visible(edit.was)}"


def _talk_times(transcript: Transcript, start_s: float, end_s: float) -> Counter[str]:
    """Return for how many milliseconds each speaker's words in a span of time last, at least one per word."""
    times = Counter[str]()
    for segment in transcript.segments:
        for word in segment.words:
            if word.speaker is not None and has_middle(start_s, end_s, word):
                times[word.speaker] += max(milliseconds(word.end) - milliseconds(word.start), 1)
    return times
