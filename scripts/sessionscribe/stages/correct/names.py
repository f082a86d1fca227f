"""Who is who: the names of speakers, with the lines of a corrections file that give others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.units import exact_clock, milliseconds
from sessionscribe.stages.correct.locate import has_middle
from sessionscribe.stages.correct.places import Placed
from sessionscribe.stages.correct.table import Edit

LABEL = re.compile(r"SPEAKER_\d+")
# A named stretch was heard of the speaker's label if it has this share of its words; of another one from
# that share on.
OWN, OTHER = Fraction(1, 3), Fraction(2, 3)


@dataclass
class Names:
    """The name that is shown of each label, before (``given``) and after (``final``) corrections."""

    given: dict[str, str]
    final: dict[str, str]
    placed: dict[int, Placed] = field(default_factory=dict)

    def shown(self, who: str) -> str:
        """Return the final name of a speaker, by that name, the label or the name given; or a new one."""
        if who in self.final.values():
            return who
        if who in self.final:
            return self.final[who]
        return next((self.final[label] for label, name in self.given.items() if name == who), who)

    def is_known(self, who: str) -> bool:
        """Return whether somebody may be called so: anybody but a label that there is not."""
        return who in self.final or who in self.given.values() or not LABEL.fullmatch(who)


def resolve(transcript: Transcript, names: Mapping[str, str], edits: Sequence[Edit]) -> Names:
    """Return the names of a transcript's speakers, and what became of the edits that name them.

    Args:
        transcript: by labels.
        names: of labels, as far as they are known.
        edits: all of them; only those that name are looked at.
    """
    labels = dict.fromkeys([*transcript.speakers, *(segment.speaker for segment in transcript.segments)])
    found = Names({}, {})
    found.given = {label: names.get(label, label) for label in labels if label is not None}
    found.final = dict(found.given)
    rivals: dict[str, list[int]] = defaultdict(list)
    for number, edit in enumerate(edits):
        if edit.edit == "name":
            own, reason = _meant(transcript, found.given, edit)
            found.placed[number] = Placed(edit, "open", reason=reason)
            for label in own:
                rivals[label].append(number)
    disputed: set[int] = set()
    for numbers in rivals.values():
        if len({edits[n].now for n in numbers}) > 1:
            disputed.update(numbers)
            for number in numbers:
                lines = sorted({edits[n].line for n in numbers} - {edits[number].line})
                reason = f"contradicts line {', '.join(map(str, lines))}" if lines else "is contradicted"
                found.placed[number] = Placed(edits[number], "open", reason=reason)
    for label, numbers in rivals.items():
        for number in numbers:
            if number not in disputed:
                found.final[label] = edits[number].now
                changed = found.given[label] != edits[number].now or found.placed[number].state == "applied"
                found.placed[number] = Placed(edits[number], "applied" if changed else "fulfilled")
    return found


def _meant(transcript: Transcript, given: Mapping[str, str], edit: Edit) -> tuple[list[str], str | None]:
    """Return the labels that an edit names, or why there are none."""
    own = [edit.was] if edit.was in given else [label for label, name in given.items() if name == edit.was]
    if edit.start is not None and edit.end is not None:
        heard = _heard(transcript, edit.start, edit.end)
        total = sum(heard.values())
        if total and sum(heard.get(label, 0) for label in own) < OWN * total:
            label = max(heard, key=lambda label: (heard[label], label))
            if heard[label] < OTHER * total:
                return [], f"several speak at {exact_clock(edit.start)}: who is {edit.was}?"
            return [label], None
    return own, None if own else f"there is no speaker {edit.was}"


def _heard(transcript: Transcript, start_s: float, end_s: float) -> dict[str, int]:
    """Return how many ms the words of each speaker take whose middle lies in a stretch; at least one each."""
    heard: dict[str, int] = {}
    for segment in transcript.segments:
        for word in segment.words:
            if word.speaker is not None and has_middle(start_s, end_s, word):
                lasts = milliseconds(word.end) - milliseconds(word.start)
                heard[word.speaker] = heard.get(word.speaker, 0) + max(lasts, 1)
    return heard
