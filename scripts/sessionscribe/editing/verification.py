"""Check that new corrections turn a transcript into exactly what the edited copy says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from sessionscribe.artifacts.transcript import SpokenWord
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.tokens import atoms, shown
from sessionscribe.core.units import exact_clock
from sessionscribe.editing.edited import EditToken
from sessionscribe.stages.correct.apply import Overlaid

AROUND = 3  # words that a message shows on either side
_HINT = "Nothing was recorded. Add that row by hand (docs/usage.md, Correct a transcript)"
Said = tuple[str, str | None]


def check(before: Overlaid, after: Overlaid, copy: Sequence[EditToken], order: Sequence[int] | None) -> None:
    """Compare a corrected transcript with the edited copy.

    Args:
        before: the transcript that the copy was made from.
        after: the transcript with the new corrections.
        copy: tokens of the edited copy.
        order: numbers of the words of ``before`` in the order of the copy's format; None: as they are.

    Raises:
        UserError: words or speakers differ.
    """
    wanted = [(shown(atom.text), atom.speaker) for atom in copy]
    if order is None:
        _in_order(after, wanted)
        return
    # The order of overlapping speech depends on its speakers, so only the content is compared.
    known = set(order)
    wanted += [said for n, word in enumerate(_words(before)) if n not in known for said in _said(word)]
    found = [said for word in _words(after) for said in _said(word)]
    differ = Counter(text for text, _ in wanted)
    differ.subtract(Counter(text for text, _ in found))
    other = Counter(said for said in wanted if said[1]) - Counter(found)
    for text in [*(text for text, count in differ.items() if count), *(text for text, _ in other)]:
        raise _problem(after, f"`{visible(text)}` cannot be recorded as it is in the copy")


def _in_order(after: Overlaid, wanted: Sequence[Said]) -> None:
    found = [(said, word.start) for word in _words(after) for said in _said(word)]
    for number, (own, want) in enumerate(zip_longest(found, wanted)):
        same = own is not None and want is not None and own[0][0] == want[0]
        if same and want[1] in (None, own[0][1]):
            continue
        near = slice(max(0, number - AROUND), number + AROUND + 1)
        reads, asked = (" ".join(text for text, _ in side[near]) for side in ([s for s, _ in found], wanted))
        when = exact_clock(found[min(number, len(found) - 1)][1]) if found else exact_clock(0.0)
        what = f"`{visible(asked)}` at {when} cannot be recorded"
        if same:
            raise _problem(after, f"{what} as {visible(want[1] or '')}'s")
        raise _problem(after, f"{what}: it would read `{visible(reads)}`")


def _problem(after: Overlaid, what: str) -> UserError:
    reasons = dict.fromkeys(found.reason for found in after.placed if found.state == "open" and found.reason)
    reason = f" ({visible(next(iter(reasons)))})" if reasons else ""
    return UserError(what + reason, where=after.transcript.session, hint=_HINT)


def _words(laid: Overlaid) -> list[SpokenWord]:
    return [word for item in laid.items for word in item.words]


def _said(word: SpokenWord) -> list[Said]:
    return [(shown(text), word.speaker) for text in atoms(word.text)]
