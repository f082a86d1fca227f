"""Show a comparison in the terminal, or as a page in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from sessionscribe.core.errors import visible
from sessionscribe.core.files import write_text
from sessionscribe.core.text import harmless, join_words
from sessionscribe.core.units import clock
from sessionscribe.evaluation.diff import Diff, Piece
from sessionscribe.formats.utterances import PlainWord

CONTEXT = 4  # words before and after a difference
PARAGRAPH_PAUSE_S = 2.0
STYLES = {"lost": "red", "added": "green", "speaker": "yellow", "place": "dim"}


def summary_lines(found: Diff) -> list[str]:
    """Return the numbers of differences, one kind per line."""
    s = found.summary
    lines = [
        f"words: {s.before} and {s.after}; {s.same} the same ({s.rewritten} of them written differently), "
        f"{s.changed} changed, {s.added} added, {s.lost} lost",
        f"WER of B against A: {100 * s.wer:.1f} %",
    ]
    if s.shift_median_s is not None:
        lines.append(
            f"times: median shift {s.shift_median_s:+.3f} s, 95 % within {s.shift_p95_s:.3f} s, "
            f"at most {s.shift_max_s:.3f} s; {s.moved} words moved by half a second or more"
        )
    else:
        lines.append("times: not compared, the words of A or B have none")
    if not (s.speakers_before and s.speakers_after):
        lines.append("speakers: not compared, the words of A or B have none")
    else:
        renamed = ", ".join(f"{b} is {a}" for b, a in sorted(found.names.items()) if a != b)
        lines.append(
            f"speakers: {s.speakers_before} and {s.speakers_after}; {s.other_speaker} of the same words "
            f"by another speaker" + (f" (B's {visible(renamed)})" if renamed else "")
        )
    return lines


def show(found: Diff, before: str, after: str, *, changes: bool) -> None:
    """Print the differences: ``[-lost-]``, ``{+added+}``, in colour if the terminal supports it."""
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(soft_wrap=True, highlight=False, emoji=False, markup=False)
    console.print(f"A {visible(before)}\nB {visible(after)}")
    for line in hunks(found) if changes else ():
        console.print(Text.assemble(*((harmless(text), STYLES.get(kind, "")) for kind, text in line)))
    for text in summary_lines(found):
        console.print(text)


Run = tuple[str, str]
"""Kind (place, same, lost, added, speaker) and text."""


def hunks(found: Diff) -> Iterator[list[Run]]:
    """Yield a line for each difference: time, speaker, and the words in context."""
    line: list[Run] = []
    tail: Sequence[PlainWord] = ()
    for index, piece in enumerate(found.pieces):
        if piece.kind == "same":
            if line:
                last = index == len(found.pieces) - 1
                if len(piece.after) <= 2 * CONTEXT and not last:
                    line.append(("same", join_words(piece.after) + " "))
                else:
                    line.append(("same", join_words(piece.after[:CONTEXT])))
                    yield line
                    line = []
            tail = piece.after[-CONTEXT:]
            continue
        if not line:
            first = (*tail, *piece.after, *piece.before)[0]
            line = [("place", f"[{_clock(first.start)}] {_speaker(first, found)}")]
            if tail:
                line.append(("same", join_words(tail) + " "))
        line += [(kind, text + " ") for kind, text in marked(piece, found)]
        tail = ()
    if line:
        yield line


def marked(piece: Piece, found: Diff) -> Iterator[Run]:
    """Yield the words of a difference in brackets."""
    if piece.kind == "speaker":
        old, new = piece.before[0].speaker, piece.after[0].speaker
        name = found.names.get(new, new) if new else None
        yield "speaker", f"<{old or 'nobody'} → {name or 'nobody'}: {join_words(piece.after)}>"
        return
    if piece.before:
        yield "lost", f"[-{join_words(piece.before)}-]"
    if piece.after:
        yield "added", f"{{+{join_words(piece.after)}+}}"


def _speaker(word: PlainWord, found: Diff) -> str:
    return f"{found.names.get(word.speaker, word.speaker)}: " if word.speaker else ""


def _clock(time_s: float | None) -> str:
    return "--:--:--" if time_s is None else clock(time_s)


@dataclass
class Paragraph:
    """A turn on the page, in runs of words of one kind; ``start`` in seconds."""

    start: float | None
    speaker: str
    runs: list[Run] = field(default_factory=list)

    @property
    def time(self) -> str:
        """Its start as a clock time."""
        return _clock(self.start)

    @property
    def quiet(self) -> bool:
        """Whether it has no differences."""
        return all(kind == "same" for kind, _ in self.runs)


def paragraphs(found: Diff) -> list[Paragraph]:
    """Return both transcripts as one text, a paragraph per turn."""
    made: list[Paragraph] = []
    latest: float | None = None
    for piece in found.pieces:
        for kind, word in _words_of(piece):
            speaker = _speaker(word, found).rstrip(": ") if kind != "lost" else ""
            paused = None not in (latest, word.start) and round(word.start - latest, 6) > PARAGRAPH_PAUSE_S  # type: ignore[operator]
            new_voice = bool(made) and kind != "lost" and speaker != made[-1].speaker
            if not made or new_voice or (paused and kind != "lost"):
                made.append(Paragraph(word.start, speaker or _speaker(word, found).rstrip(": ")))
            made[-1].runs.append((kind, " " * word.space + word.text))
            latest = word.end if word.end is not None else latest
    return [_joined(paragraph) for paragraph in made]


def _words_of(piece: Piece) -> Iterator[tuple[str, PlainWord]]:
    if piece.kind == "changed":
        yield from (("lost", word) for word in piece.before)
        yield from (("added", word) for word in piece.after)
        return
    yield from ((piece.kind, word) for word in piece.after)


def _joined(paragraph: Paragraph) -> Paragraph:
    joined: list[Run] = []
    for kind, group in groupby(paragraph.runs, key=lambda run: run[0]):
        text = "".join(text for _, text in group)
        joined.append((kind, harmless(text if joined else text.removeprefix(" "))))
    return Paragraph(paragraph.start, harmless(paragraph.speaker), joined)


def write_html(found: Diff, before: str, after: str, path: Path) -> None:
    """Write the comparison as a page in one file."""
    from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415

    pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = pages.get_template("diff.html.jinja")
    text = page.render(
        session=found.session,
        language=found.language,
        before=before,
        after=after,
        summary=summary_lines(found),
        paragraphs=paragraphs(found),
    )
    # File names may contain invalid UTF-8, and JSON lone surrogates.
    write_text(path, text.encode(errors="backslashreplace").decode() + "\n")
