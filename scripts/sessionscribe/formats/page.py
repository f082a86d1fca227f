"""The transcript as one web page: to read, search and listen to, without a network.

The page holds its style and its program; a content security policy lets it run that program only and load
nothing but audio. Without JavaScript it can be read. Audio is a file beside the page (or where the settings
say), or one that the reader opens.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from urllib.parse import quote

from sessionscribe.artifacts.audit import RemovedText
from sessionscribe.artifacts.transcript import SpokenWord, Transcript
from sessionscribe.config.settings import OFF, Export
from sessionscribe.core.text import is_right_to_left, one_line
from sessionscribe.formats.colours import on_dark, on_light
from sessionscribe.formats.reading import Paragraph, clock, numbered, paragraphs, shares, summary

BESIDE = ("m4a", "mp3", "opus", "ogg", "flac", "wav", "mp4", "webm")  # tried in turn, in the page's folder
UNSURE_BELOW = 0.4  # words of a lower probability are marked


def html(transcript: Transcript, options: Export, removed: Sequence[RemovedText] = ()) -> str:
    """A page with speakers in colours, times, search, and audio that plays from any word.

    What was ``removed`` from the transcript stands greyed where it would be, with the reason.
    """
    style = _read("page.css") + _speakers_style(len(shares(transcript)))
    program = _read("page.js")
    policy = (
        f"default-src 'none'; style-src '{_sha256(style)}'; script-src '{_sha256(program)}'; "
        "media-src * blob: file: data:"
    )
    title = escape(one_line(transcript.session))
    numbers = numbered(transcript)
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="{escape(transcript.language)}">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{style}</style></head>",
        "<body>",
        f'<header><h1 dir="auto">{title}</h1>',
        f'<p class="summary">{escape(summary(transcript))}</p>',
        *_speakers(transcript, numbers),
        *_legend(transcript, removed),
        "</header>",
        _tools(removed),
        "<main>",
        *_all_said(transcript, numbers, removed),
        *_notes(transcript),
        "</main>",
        f"<footer>{escape(_made_by(transcript))}</footer>",
        '<div id="player" hidden><audio id="audio" controls preload="metadata">',
        f"{_sources(transcript, options)}</audio></div>",
        f"<script>{program}</script>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


_TOOLS = """\
<div class="tools" data-script hidden><div>
<input id="search" type="search" placeholder="Search" aria-label="Search" autocomplete="off">
<span id="hits" role="status"></span>
<button id="previous" type="button" aria-label="Previous hit">↑</button>
<button id="next" type="button" aria-label="Next hit">↓</button>
<label class="file">Audio …<input id="open" type="file" accept="audio/*,video/*"></label>
<button id="theme" type="button">Light / dark</button>
"""
_SWITCH = '<label><input id="removed" type="checkbox" checked> Show what was removed</label>\n'
_UNSURE = '<span class="unsure">dotted line</span>: unsure'
_TWOFOLD = '<span class="twofold">double line</span>: somebody else speaks, too'
_REMOVED = "<del>struck out</del>: not in the transcript"


def _tools(removed: Sequence[RemovedText]) -> str:
    return f"{_TOOLS}{_SWITCH if removed else ''}</div></div>"


def _legend(transcript: Transcript, removed: Sequence[RemovedText]) -> Iterator[str]:
    """Yield what the marks of the page mean, those that it has."""
    words = [word for segment in transcript.segments for word in segment.words]
    shown = {
        _UNSURE: any(map(_is_unsure, words)),
        _TWOFOLD: any(word.second_speaker for word in words),
        _REMOVED: bool(removed),
    }
    if marks := [mark for mark, is_there in shown.items() if is_there]:
        yield f'<p class="legend">{" · ".join(marks)}</p>'


def _is_unsure(word: SpokenWord) -> bool:
    return word.probability < UNSURE_BELOW


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _speakers_style(count: int) -> str:
    rules = []
    for number in range(count):
        light, dark = (bytes(colour(number)).hex() for colour in (on_light, on_dark))
        rules.append(f".s{number} {{ --speaker: light-dark(#{light}, #{dark}); }}\n")
    return "".join(rules)


def _speakers(transcript: Transcript, numbers: dict[str, int]) -> Iterator[str]:
    found = shares(transcript)
    if found:
        yield '<ul class="speakers" aria-label="Speakers">'
        for part in found:
            number = numbers[part.speaker]
            yield (
                f'<li><button type="button" class="s{number}" data-who="{number}" aria-pressed="true">'
                f'<b dir="auto">{escape(part.speaker)}</b> '
                f"<small>{clock(part.seconds)} · {part.share:.0%}</small></button></li>"
            )
        yield "</ul>"


def _all_said(
    transcript: Transcript, numbers: dict[str, int], removed: Sequence[RemovedText]
) -> Iterator[str]:
    begun: Counter[str] = Counter()
    waiting = [
        (part.start, _removed(part, f"removed-{number}")) for number, part in enumerate(removed, start=1)
    ]
    waiting.sort(key=itemgetter(0), reverse=True)
    for part in _parted(paragraphs(transcript), removed):
        while waiting and waiting[-1][0] < part.start:
            yield waiting.pop()[1]
        name = f"t{round(part.start * 1000)}"
        begun[name] += 1
        if begun[name] > 1:  # two begin at once: a page holds each id once
            name += f"-{begun[name]}"
        yield _said(part, name, numbers)
    yield from (gone for _, gone in reversed(waiting))


def _parted(whole: Sequence[Paragraph], removed: Sequence[RemovedText]) -> Iterator[Paragraph]:
    """Yield the paragraphs, those in two where something was removed between two of their words."""
    for part in whole:
        inside = [gone for gone in removed if part.start < gone.start < part.end]
        first = 0
        for number, (before, word) in enumerate(pairwise(part.words), start=1):
            if any(before.end <= gone.start and gone.end <= word.start for gone in inside):
                yield _words_of(part, first, number)
                first = number
        yield _words_of(part, first, len(part.words)) if first else part


def _words_of(part: Paragraph, first: int, stop: int) -> Paragraph:
    words = part.words[first:stop]
    return replace(part, start=words[0].start, end=words[-1].end, words=words)


def _removed(part: RemovedText, name: str) -> str:
    text, reason = escape(one_line(part.text)), escape(one_line(part.reason))
    return (
        f'<aside class="removed" dir="{_direction(part.text)}" data-start="{part.start:.3f}" '
        f'title="removed: {reason}"><a class="at" id="{name}" href="#{name}">{clock(part.start)}</a>'
        f"<p><del>{text}</del> <small>removed: {reason}</small></p></aside>"
    )


def _said(part: Paragraph, name: str, numbers: dict[str, int]) -> str:
    number = numbers.get(part.speaker or "")
    mark = "" if number is None else f" s{number}"
    who = f'<div class="who"><bdi>{escape(part.speaker)}</bdi></div>' if part.speaker else ""
    return (
        f'<section class="said{mark}" dir="{_direction(part.text)}" data-start="{part.start:.3f}" '
        f'data-who="{"" if number is None else number}">'
        f'{who}<a class="at" id="{name}" href="#{name}">{clock(part.start)}</a>'
        f"<p>{''.join(_words(part.words))}</p></section>"
    )


def _direction(text: str) -> str:
    # Not `auto`, which goes by the first letter: a Hebrew sentence may begin with a Latin name.
    return "rtl" if is_right_to_left(text) else "ltr"


def _words(words: tuple[SpokenWord, ...]) -> Iterator[str]:
    for number, word in enumerate(words):
        text = one_line(word.text)
        if number and word.space:
            yield " "
        marks = {}
        if second := word.second_speaker:
            marks["twofold"] = f"{one_line(second)} speaks, too"
        if _is_unsure(word):
            marks["unsure"] = f"unsure: {word.probability:.2f}"
        marked = f' class="{" ".join(marks)}" title="{escape("; ".join(marks.values()))}"' if marks else ""
        yield f'<span data-t="{word.start:.3f}"{marked}>{escape(text)}</span>'


def _notes(transcript: Transcript) -> Iterator[str]:
    if transcript.flags:
        yield "<h2>Worth a look</h2>\n<ul>"
        yield from (f"<li>{escape(one_line(flag))}</li>" for flag in transcript.flags)
        yield "</ul>"


def _made_by(transcript: Transcript) -> str:
    engines = [f"{engine.name} {engine.version}, {engine.model}" for engine in transcript.engines]
    speakers = [] if transcript.diarization == OFF else [transcript.diarization]
    return one_line(" · ".join([*dict.fromkeys(engines), *speakers]))


def _sources(transcript: Transcript, options: Export) -> str:
    if options.audio:
        return f'<source src="{escape(options.audio.replace("{session}", quote(transcript.session)))}">'
    return "".join(f'<source src="{quote(transcript.session)}.{kind}">' for kind in BESIDE)
