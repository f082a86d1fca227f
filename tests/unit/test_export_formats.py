"""The further formats, each read by a program that did not write it: Praat, FFmpeg, a browser's parser …"""

import csv
import html as html_module
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import av
import html5lib
import mammoth
import numpy as np
import pandas as pd
import parselmouth
import pypdf
import pysubs2
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from parselmouth.praat import call
from py_mini_racer import MiniRacer
from pyannote.database.util import load_rttm, load_stm, load_uem

from builders import transcript, word, words
from serving import chromium
from sessionscribe.artifacts.plan import Gap, Waveform
from sessionscribe.artifacts.speakers import Turn
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Config, Export, Format
from sessionscribe.core.errors import UserError
from sessionscribe.core.text import one_line
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.formats import colours
from sessionscribe.formats.registry import MATTERS_TO, ending, options_for
from sessionscribe.stages.correct.apply import overlay
from sessionscribe.stages.correct.table import Edit
from sessionscribe.stages.export.export import WRITERS, write_export

FORMATS: tuple[Format, ...] = get_args(Format)
TEXTS = [name for name in FORMATS if name not in {"docx", "pdf"}]
W3C_PARSER = Path(__file__).resolve().parents[1] / "data/webvtt-parser.js"
HEBREW = "שלום לכולם, ברוכים הבאים לפגישה של Google"
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><!-- & &amp; ]]>",
    "--> 00:00:01.000 --> 00:00:02.000",
    "back\\Nslash {\\an8}{x}",
    "to --",
    "<ALT_BEGIN> { a / b }",
    "\"quoted\" 'single'\ttab, comma; #hash",
    "line\n\n2\nbreak\r\u2028end\u0085x",
    "nul\0 bell\a \ufffe \ud800 \u202egnol",
    "=HYPERLINK(1)",
    "*a* _b_ [c](d) `e` | # f ~g~ $h$",
    "🎉👩‍👩‍👧 é 漢字 ที่",
]


def conversation(**fields: Any) -> Transcript:
    """Two who talk at once, somebody unknown, three directions and scripts, a gap."""
    japanese = [word(text, 20 + i, 20.9 + i) for i, text in enumerate(["これ", "は", "文章", "です。"])]
    made = transcript(
        ("Anna", words("Good afternoon, Martin. How are you?", 0.5)),
        ("Martin", words("Fine, thank you.", 1.3)),
        (None, words("Who is that?", 6)),
        ("נועה", words(HEBREW, 10)),
        ("Yuki", japanese),
        ("Anna", words("🎉 Bye!", 30)),
        session="meeting",
        duration_s=60.0,
        flags=["audio is missing"],
    )
    gap = Gap(start=40 * SAMPLE_RATE, stop=50 * SAMPLE_RATE, reason="no part 2")
    return made.model_copy(update={"gaps": [gap], **fields})


def export(folder: Path, of: Transcript, format: Format, **options: Any) -> Path:
    path = folder / f"{of.session}.{ending(format)}"
    write_export(transcript=of, format=format, options=Export.model_validate(options), output=path)
    return path


def text_of(folder: Path, of: Transcript, format: Format, **options: Any) -> str:
    raw = export(folder, of, format, **options).read_bytes()
    assert b"\r" not in raw
    return raw.decode("utf-8")


def seen(text: str) -> str:
    """What is to be seen of a text in a format of lines."""
    return one_line(text)


# Subtitles.


@cache
def w3c() -> Callable[[str], dict[str, Any]]:
    """The W3C's own parser and validator of WebVTT."""
    racer = MiniRacer()
    racer.eval(f"var window = globalThis; {W3C_PARSER.read_text(encoding='utf-8')}")
    racer.eval(
        "function check(text) {"
        "return JSON.stringify(new WebVTTParser().parse(text, 'subtitles/captions/descriptions'))}"
    )
    return lambda text: json.loads(racer.call("check", text))


def test_the_w3c_parser_finds_errors() -> None:
    assert w3c()("WEBVTT\n\n00:00:02.000 --> 00:00:01.000 line:x\n<v>a</i>")["errors"]


@pytest.mark.parametrize(
    "options",
    [{}, {"karaoke": True, "vtt_settings": "line:85%,end position:10%,line-left size:80% align:end"}],
)
def test_vtt_conforms_to_the_w3c(tmp_path: Path, options: dict[str, Any]) -> None:
    found = w3c()(text_of(tmp_path, conversation(), "vtt", **options))
    assert found["errors"] == []
    voices = [cue["tree"]["children"][0].get("value") for cue in found["cues"]]
    assert voices[:3] == ["Anna", "Martin", "Who is that?" if not options else "Who "]
    stamps = [
        c
        for cue in found["cues"]
        for part in cue["tree"]["children"]
        for c in part.get("children", [])
        if c["type"] == "timestamp"
    ]
    assert (len(stamps) > 10) == bool(options)
    assert {cue["size"] for cue in found["cues"]} == ({80} if options else {100})


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("karaoke", [False, True])
def test_hostile_vtt_conforms_too(tmp_path: Path, hostile: str, karaoke: bool) -> None:
    made = transcript((hostile, [word(hostile, 1, 2), word(hostile, 2, 3)]), ("B", [word("after", 3, 4)]))
    found = w3c()(text_of(tmp_path, made, "vtt", karaoke=karaoke, max_line_chars=300))
    assert found["errors"] == []
    assert [cue["startTime"] for cue in found["cues"]] == [1, 3]
    (voice,) = found["cues"][0]["tree"]["children"]
    assert {part["type"] for part in voice["children"]} <= {"text", "timestamp"}


def ass_events(path: Path) -> list[list[str]]:
    """Read a SubStation file with FFmpeg: layer, style, name … text of each event."""
    with av.open(str(path)) as file:
        return [bytes(p).decode().split(",", 8)[1:] for p in file.demux() if p.pts is not None and p.size]


def test_ass_is_read_by_ffmpeg(tmp_path: Path) -> None:
    made = conversation()
    events = ass_events(export(tmp_path, made, "ass"))
    assert [(e[1], e[2]) for e in events[:3]] == [
        ("Speaker 1", "Anna"),
        ("Speaker 2", "Martin"),
        ("Default", ""),
    ]
    assert events[2][-1] == "Who is that?"
    read = pysubs2.load(str(tmp_path / "meeting.ass"))
    assert read.styles["Speaker 1"].primarycolor == pysubs2.Color(*colours.on_dark(0))
    assert read[0].start == 500


def test_ass_karaoke_lasts_as_long_as_the_cue(tmp_path: Path) -> None:
    made = transcript(("A", words("so it is", 1)), duration_s=10.0)
    (event,) = ass_events(export(tmp_path, made, "ass", karaoke=True, min_cue_s=2.0))
    assert event[-1] == r"{\k0}A:{\k40} so{\k40} it{\k120} is"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_ass(tmp_path: Path, hostile: str) -> None:
    made = transcript((hostile, [word(hostile, 1, 2)]), ("B", [word("after", 3, 4)]))
    first, second = ass_events(export(tmp_path, made, "ass", max_line_chars=300))
    back = (
        first[-1]
        .replace("∖", "\\")
        .replace("❴", "{")
        .replace("❵", "}")
        .replace("\u202b", "")
        .replace("\u202c", "")
    )
    assert back == f"{seen(hostile)}: {seen(hostile)}"
    assert first[2] == seen(hostile).replace(",", "‚")
    assert second[-1] == "B: after"


# Text to read.


def test_md_renders_to_what_was_said(tmp_path: Path) -> None:
    text = text_of(tmp_path, conversation(), "md")
    page = html5lib.parse(MarkdownIt("commonmark").enable("table").render(text), namespaceHTMLElements=False)
    assert page.findtext(".//h1") == "meeting"
    rows = [[cell.text for cell in row] for row in page.iter("tr")]
    assert rows[0] == ["Speaker", "Time", "Share"]
    assert [row[0] for row in rows[1:]] == ["Anna", "Martin", "נועה", "Yuki"]
    said = ["".join(part.itertext()) for part in page.iter("p")]
    (picture,) = page.iter("img")
    assert picture.get("src") == "meeting.svg"
    assert said[2:5] == [
        "00:00:00 Anna: Good afternoon, Martin. How are you?",
        "00:00:01 Martin: Fine, thank you.",
        "00:00:06 Who is that?",
    ]
    assert said[5] == f"\u200f00:00:10 נועה: {HEBREW}"
    assert [part.text for part in page.iter("li")] == ["audio is missing"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_md_stays_text(tmp_path: Path, hostile: str) -> None:
    made = transcript((hostile, [word(hostile, 1, 2)]), session=hostile, flags=[hostile])
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(
        text_of(tmp_path, made.model_copy(update={"session": "s"}), "md")
    )
    page = html5lib.parse(rendered, namespaceHTMLElements=False)
    tags = {element.tag for element in page.iter()}
    assert tags <= {
        "html",
        "head",
        "body",
        "h1",
        "h2",
        "p",
        "img",
        "strong",
        "ul",
        "li",
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    (said,) = ["".join(part.itertext()) for part in page.iter("p")][2:]
    assert said == f"00:00:01 {seen(hostile)}: {seen(hostile)}"


def test_maxqda_has_a_name_a_text_and_a_time_in_each_paragraph(tmp_path: Path) -> None:
    made = transcript(
        ("Anna: #1", words("so #it is", 1)), (None, words("who", 5)), ("B" * 99, words("me", 9))
    )
    assert text_of(tmp_path, made, "maxqda").split("\n\n") == [
        "Anna꞉ ＃1: so ＃it is #00:00:02-1#",
        "?: who #00:00:05-3#",
        f"{'B' * 63}: me #00:00:09-3#\n",
    ]


def html_page(text: str) -> ElementTree.Element:
    """Read a page as browsers do, but strictly: any error of the HTML standard fails."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def sections(page: ElementTree.Element) -> list[tuple[str, str, str]]:
    """The direction, speaker and text of all that is said."""
    return [
        (
            part.get("dir"),
            "".join(part.find("div").itertext()) if part.find("div") is not None else "",
            "".join(part.find("p").itertext()),
        )
        for part in page.iter("section")
    ]


def test_html_is_valid_and_says_who_said_what(tmp_path: Path) -> None:
    page = html_page(text_of(tmp_path, conversation(), "html"))
    assert sections(page)[:4] == [
        ("ltr", "Anna", "Good afternoon, Martin. How are you?"),
        ("ltr", "Martin", "Fine, thank you."),
        ("ltr", "", "Who is that?"),
        ("rtl", "נועה", HEBREW),
    ]
    times = [float(e.get("data-t")) for e in page.iter("span") if e.get("data-t")]
    assert times[:3] == [0.5, 0.9, 1.3]
    names = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(names) == len(set(names))


def test_html_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = text_of(tmp_path, conversation(), "html")
    page = html_page(text)
    links = {e.get(name) for e in page.iter() for name in ("href", "src", "data", "poster") if e.get(name)}
    assert all(link.startswith(("#", "meeting.", "data:image/svg+xml;base64,")) for link in links)
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text.replace("http-equiv", "")
    (policy,) = [e.get("content") for e in page.iter("meta") if e.get("http-equiv")]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_html_plays_what_the_settings_say(tmp_path: Path) -> None:
    def sources(**options: str) -> list[str | None]:
        return [
            e.get("src")
            for e in html_page(text_of(tmp_path, conversation(), "html", **options)).iter("source")
        ]

    assert sources()[:2] == ["meeting.m4a", "meeting.mp3"]
    assert sources(audio='../{session}/"mix".flac') == ['../meeting/"mix".flac']


def test_hostile_html_stays_text(tmp_path: Path) -> None:
    made = transcript(*((hostile, [word(hostile, 1, 2)]) for hostile in HOSTILE), flags=HOSTILE)
    page = html_page(text_of(tmp_path, made, "html", audio=f"x{HOSTILE[0]}"))
    texts = [seen(hostile) for hostile in HOSTILE]
    assert [part[1:] for part in sections(page)] == [(text, text) for text in texts]
    assert len(list(page.iter("script"))) == len(list(page.iter("style"))) == 1
    assert [element.text for element in page.iter("li")][-len(texts) :] == texts


def test_html_has_the_program_and_the_style_that_its_policy_allows(tmp_path: Path) -> None:
    import base64  # noqa: PLC0415
    import hashlib  # noqa: PLC0415

    page = html_page(text_of(tmp_path, conversation(), "html"))
    (policy,) = [e.get("content") for e in page.iter("meta") if e.get("http-equiv")]
    for tag in ("style", "script"):
        (content,) = ["".join(e.itertext()) for e in page.iter(tag)]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


HEARD = """(time) => new Promise((done) => {
  const audio = document.getElementById("audio");
  const tell = () => requestAnimationFrame(() => done(document.querySelector(".now").textContent));
  audio.addEventListener("seeked", () => requestAnimationFrame(tell), { once: true });
  audio.currentTime = time;
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium("--autoplay-policy=no-user-gesture-required") as started:
        yield started


@pytest.mark.browser
def test_the_page_plays_and_finds_offline(tmp_path: Path, browser: Any) -> None:
    made = transcript(
        ("A", [word("a0", 0, 0.4), word("ﬁsh", 0.4, 0.8), word("a4", 0.8, 1.2), word("a6", 1.2, 1.6)]),
        ("B", [word("b2", 0.5, 0.6), word("b3", 0.6, 0.8)]),
        ("A", [word("a9", 1.8, 2)]),
        duration_s=3.0,
    )
    waveform, path = Waveform(session="s", peaks=[0, 90, 255] * 20), tmp_path / "s.html"
    write_export(transcript=made, format="html", options=Export(), output=path, waveform=waveform)
    page, problems = browser.new_page(viewport={"width": 390, "height": 844}), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda asked: problems.append(asked.url) if asked.url.startswith("http") else None)
    page.goto(path.as_uri())
    page.get_by_text("There is no audio beside this page").wait_for()
    soundfile.write(tmp_path / "s.flac", np.zeros(48000), 16000)
    page.reload()
    heard = "(time) => new Promise((done) => { const audio = document.getElementById('audio');"
    heard += "audio.addEventListener('seeked', () => requestAnimationFrame(() => requestAnimationFrame("
    heard += (
        "() => done(document.querySelector('.now').textContent))), {once: true}); audio.currentTime = time })"
    )
    times = [0.1, 0.42, 0.53, 0.7, 0.9, 1.3, 1.9]  # where two talk at once, the word that began last
    assert [page.evaluate(HEARD, time) for time in times] == ["a0", "ﬁsh", "b2", "b3", "a4", "a6", "a9"]
    page.get_by_text("a6").click()
    page.locator(".now", has_text="a9").wait_for()  # it plays on from there
    page.keyboard.press(" ")
    page.keyboard.press("/")
    page.keyboard.type("FISH")  # spelled otherwise, in letters of another number
    assert page.locator("#hits").inner_text() == "1 found"
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="B 0").click()
    assert [part.is_visible() for part in page.locator(".said").all()] == [True, False, True]
    pixels = "getContext('2d').getImageData(0, 0, 300, 70).data"
    assert page.evaluate(f"document.getElementById('overview').{pixels}.some(Boolean)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "wider than a phone"
    assert not problems
    page.close()


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """The contrast of two colours as WCAG 2 defines it."""

    def light(colour: tuple[int, ...]) -> float:
        parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("number", range(colours.COUNT))
def test_colours_can_be_read(number: int) -> None:
    assert contrast(colours.on_light(number), (255, 255, 255)) >= 4.5
    assert contrast(colours.on_dark(number), (0x16, 0x18, 0x1C)) >= 4.5


def test_docx_is_read_by_mammoth(tmp_path: Path) -> None:
    path = export(tmp_path, conversation(), "docx")
    with path.open("rb") as file:
        page = html5lib.parse(mammoth.convert_to_html(file).value, namespaceHTMLElements=False)
    assert page.findtext(".//h1") == "meeting"
    assert ["".join(cell.itertext()) for cell in page.iter("td")][3:4] == ["Anna"]
    said = ["".join(part.itertext()) for part in page.iter("p")]
    assert "00:00:00 Anna: Good afternoon, Martin. How are you?" in said
    assert f"00:00:10 נועה: {HEBREW}" in said
    assert "00:00:06 Who is that?" in said
    xml = zipfile.ZipFile(path).read("word/document.xml").decode()
    assert xml.count("<pic:pic") == xml.count('descr="Who speaks when') == 1
    (hebrew,) = [part for part in xml.split("<w:p>") if "שלום" in part]
    assert "<w:bidi/>" in hebrew
    assert "<w:rtl/>" in hebrew
    assert xml.count("<w:bidi/>") == 1


def test_hostile_docx_stays_text(tmp_path: Path) -> None:
    made = transcript(*((hostile, [word(hostile, 1, 2)]) for hostile in HOSTILE), flags=HOSTILE)
    with export(tmp_path, made, "docx").open("rb") as file:
        lines = mammoth.extract_raw_text(file).value.split("\n")
    for hostile in HOSTILE:
        assert f"00:00:01 {seen(hostile)}: {seen(hostile)}" in lines


def pdf_text(path: Path) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def test_pdf_is_read_by_pypdf(tmp_path: Path) -> None:
    text = pdf_text(export(tmp_path, conversation(), "pdf"))
    for piece in (
        "meeting",
        "Anna",
        "Good afternoon, Martin. How are you?",
        "Who is that?",
        "audio is missing",
    ):
        assert piece in text
    for hebrew in ("שלום", "Google"):
        assert hebrew in text or hebrew[::-1] in text
    assert "□ stands for letters that no font has" in text
    assert f"U+{ord('章'):04X}" in text


def test_pdf_takes_more_fonts_and_more_pages(tmp_path: Path) -> None:
    import matplotlib  # noqa: PLC0415

    font = Path(matplotlib.get_data_path()) / "fonts/ttf/STIXGeneral.ttf"
    letter = "\ud83c\udf89".encode("utf-16", "surrogatepass").decode("utf-16")
    had = "⦚"  # STIX has it, DejaVu has not
    made = transcript(*(("A", words(f"{had} {letter} number {n}", n * 100)) for n in range(80)))
    without, more = (pdf_text(export(tmp_path, made, "pdf", pdf_fonts=fonts)) for fonts in ([], [str(font)]))
    assert "U+299A" in without
    assert "U+299A" not in more
    assert "U+1F389" in more
    assert len(pypdf.PdfReader(tmp_path / "s.pdf").pages) > 2
    assert all(f"number {n}" in more for n in range(80))


def test_a_long_name_in_a_pdf_is_cut_to_a_line(tmp_path: Path) -> None:
    made = transcript(("Bartholomew " * 20, words("so it is", 1)))
    lines = pdf_text(export(tmp_path, made, "pdf")).splitlines()
    assert [line.count("Bartholomew") for line in lines if "Barth" in line] == [2, 5]
    assert "so it is" in lines


def test_a_font_that_is_none_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ttf", Path(__file__)):
        with pytest.raises(UserError, match=rf"{path.name}: is not a readable font.*pdf_fonts"):
            export(tmp_path, conversation(), "pdf", pdf_fonts=[str(path)])


def test_hostile_pdf_can_be_read(tmp_path: Path) -> None:
    parts = [(hostile, [word(hostile, 1, 2)]) for hostile in HOSTILE]
    made = transcript(*parts, ("B", [word("after", 3, 4)]), flags=HOSTILE)
    text = pdf_text(export(tmp_path, made, "pdf"))
    assert text.count("<script>alert(1)</script>") == 4  # speakers, who, what, a flag
    assert "after" in text


# Tables.


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_csv(tmp_path: Path, hostile: str) -> None:
    made = transcript((hostile, [word(hostile, 1, 2)]), (None, words("a b", 3)))
    rows = list(csv.DictReader(io.StringIO(text_of(tmp_path, made, "csv"))))
    plain = seen(hostile)
    cell = f"'{plain}" if plain[0] in "=+-@" else plain
    assert rows[0] == {
        "start": "1.000",
        "end": "2.000",
        "speaker": cell,
        "text": cell,
        "words": "1",
        "probability": "0.900",
    }
    assert rows[1]["speaker"] == ""
    read = pd.read_csv(tmp_path / "s.csv", dtype=str, keep_default_na=False)
    assert read.to_dict("records") == rows


# For scorers.


def test_uem_has_what_there_is_audio_of(tmp_path: Path) -> None:
    timeline = load_uem(export(tmp_path, conversation(), "uem"))["meeting"]
    assert [(part.start, part.end) for part in timeline] == [(0, 40), (50, 60)]


@pytest.mark.parametrize(
    ("gaps", "wanted"),
    [([], [(0, 60)]), ([(0, 10), (5, 20)], [(20, 60)]), ([(30, 60)], [(0, 30)]), ([(0, 60)], [])],
)
def test_uem_at_the_edges(tmp_path: Path, gaps: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> None:
    missing = [Gap(start=a * SAMPLE_RATE, stop=b * SAMPLE_RATE, reason="") for a, b in gaps]
    lines = text_of(tmp_path, conversation(gaps=missing), "uem").splitlines()
    assert lines == [f"meeting 1 {a:.3f} {b:.3f}" for a, b in wanted]


@pytest.mark.parametrize("hostile", ["plain", *HOSTILE])
def test_ctm_has_a_line_of_six_fields_for_every_word(tmp_path: Path, hostile: str) -> None:
    made = transcript(
        ("A", [word("late", 5, 5.5), word(hostile, 6, 6)]), (hostile, [word("early", 4, 4.25, 0.5)])
    )
    text_of(tmp_path, made, "ctm")
    read = pd.read_csv(
        tmp_path / "s.ctm", sep=" ", header=None, dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE
    )
    label = seen(hostile).replace(" ", "_").replace("<ALT", "‹ALT")
    assert read.to_numpy().tolist() == [
        ["s", "1", "4.000", "0.250", "early", "0.500"],
        ["s", "1", "5.000", "0.500", "late", "0.900"],
        ["s", "1", "6.000", "0.001", label, "0.900"],
    ]


@pytest.mark.parametrize("hostile", ["plain", *HOSTILE])
def test_stm_is_read_by_pyannote(tmp_path: Path, hostile: str) -> None:
    made = transcript((hostile, [word(hostile, 1, 2)]), (None, words("who is it", 3)))
    lines = text_of(tmp_path, made, "stm").splitlines()
    label = seen(hostile).replace(" ", "_").replace('"', "'")
    shown = seen(hostile)
    shown = f"‹{shown[1:]}" if shown.startswith("<") else shown
    shown = shown.replace("{", "❴").replace("}", "❵")
    assert lines[0].split(" ", 5) == ["s", "1", label, "1.000", "2.000", shown]
    assert lines[1] == "s 1 <NA> 3.000 4.100 who is it"
    assert len(lines) == 2
    if '"' not in hostile:  # pandas, by which it reads, takes quotes in the text for its own
        read = load_stm(tmp_path / "s.stm")["s"].itertracks(yield_label=True)
        assert [(s.start, s.end) for s, _, _ in read] == [(1, 2), (3, 4.1)]


def test_seglst(tmp_path: Path) -> None:
    rows = json.loads(text_of(tmp_path, conversation(), "seglst"))
    assert rows[1] == {
        "session_id": "meeting",
        "start_time": 1.3,
        "end_time": 2.4,
        "speaker": "Martin",
        "words": "Fine, thank you.",
    }
    assert rows[2]["speaker"] == "<NA>"


def test_meeteval_reads_what_scorers_read(tmp_path: Path) -> None:
    meeteval = pytest.importorskip("meeteval")
    made = conversation()
    stm = meeteval.io.STM.load(export(tmp_path, made, "stm")).to_seglst()
    seglst = meeteval.io.SegLST(json.loads(text_of(tmp_path, made, "seglst")))
    for rows in (stm, seglst):
        found = [(r["session_id"], r["speaker"], float(r["start_time"]), float(r["end_time"])) for r in rows]
        assert found == [("meeting", s.speaker or "<NA>", s.start, s.end) for s in made.segments]
        assert [r["words"] for r in rows] == [s.text for s in made.segments]
    turns = list(meeteval.io.RTTM.load(export(tmp_path, made, "rttm")))
    assert [(t.speaker_id, float(t.begin_time)) for t in turns] == [(t.speaker, t.start) for t in made.turns]
    spoken = list(meeteval.io.CTM.load(export(tmp_path, made, "ctm")))
    assert sorted(w.word for w in spoken) == sorted(w.text for s in made.segments for w in s.words)


# What other engines write.


def test_whisper_has_whispers_keys(tmp_path: Path) -> None:
    made = conversation()
    read = json.loads(text_of(tmp_path, made, "whisper"))
    assert set(read) == {"text", "segments", "language"}
    first = read["segments"][0]
    keys = "id seek start end text tokens temperature avg_logprob compression_ratio no_speech_prob words"
    assert set(first) == set(keys.split())
    assert first["text"] == " Good afternoon, Martin. How are you?"
    assert first["words"][1] == {"word": " afternoon,", "start": 0.9, "end": 1.2, "probability": 0.9}
    assert read["segments"][4]["text"] == "これは文章です。"
    assert read["text"] == "".join(segment["text"] for segment in read["segments"])
    assert "".join(w["word"] for w in first["words"]) == first["text"]
    subtitles = pysubs2.load_from_whisper(read)
    assert [(e.start, e.end, e.plaintext) for e in subtitles][1] == (1300, 2400, "Fine, thank you.")


def test_whisperx_has_whisperxs_keys(tmp_path: Path) -> None:
    read = json.loads(text_of(tmp_path, conversation(), "whisperx"))
    assert set(read) == {"segments", "word_segments", "language"}
    first, nobody = read["segments"][0], read["segments"][2]
    assert set(first) == {"start", "end", "text", "words", "speaker"}
    assert first["words"][0] == {"word": "Good", "start": 0.5, "end": 0.8, "score": 0.9, "speaker": "Anna"}
    assert "speaker" not in nobody
    assert all("speaker" not in w for w in nobody["words"])
    assert read["word_segments"] == [w for segment in read["segments"] for w in segment["words"]]
    subtitles = pysubs2.load_from_whisper(read)
    assert [e.plaintext for e in subtitles][:2] == [
        "Good afternoon, Martin. How are you?",
        "Fine, thank you.",
    ]


# Tiers.


@pytest.mark.parametrize("hostile", ["plain", *HOSTILE])
def test_aud_has_a_line_of_three_fields_for_every_segment(tmp_path: Path, hostile: str) -> None:
    made = transcript((hostile, [word(hostile, 1, 2)]), (None, words("who", 3)))
    rows = [line.split("\t") for line in text_of(tmp_path, made, "aud").splitlines()]
    assert rows == [
        ["1.000000", "2.000000", f"{seen(hostile)}: {seen(hostile)}"],
        ["3.000000", "3.300000", "who"],
    ]


def praat_tiers(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Read a TextGrid with Praat itself: the intervals with text of every tier."""
    grid = parselmouth.read(str(path))
    tiers = {}
    for number in range(1, call(grid, "Get number of tiers") + 1):
        found = []
        for index in range(1, call(grid, "Get number of intervals", number) + 1):
            if text := call(grid, "Get label of interval", number, index):
                start = call(grid, "Get start time of interval", number, index)
                found.append((start, call(grid, "Get end time of interval", number, index), text))
        tiers[call(grid, "Get tier name", number)] = found
    return tiers


def eaf_tiers(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Read an ELAN file, and check what its schema asks for: references, words within their parents."""
    root = ElementTree.parse(path).getroot()
    assert root.get("FORMAT") == "2.8"
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "CONSTRAINT"]  # as the schema has it
    assert list(dict.fromkeys(e.tag for e in root)) == [tag for tag in order if root.find(tag) is not None]
    slots = {e.get("TIME_SLOT_ID"): int(e.get("TIME_VALUE") or 0) for e in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    types = {e.get("LINGUISTIC_TYPE_ID"): e for e in root.iter("LINGUISTIC_TYPE")}
    names = [e.get("ANNOTATION_ID") for e in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(names) == len(set(names))
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    for tier in root.iter("TIER"):
        found = [
            (
                slots[a.get("TIME_SLOT_REF1")] / 1000,
                slots[a.get("TIME_SLOT_REF2")] / 1000,
                a.findtext("ANNOTATION_VALUE") or "",
            )
            for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        if parent := tier.get("PARENT_REF"):
            assert types[tier.get("LINGUISTIC_TYPE_REF")].get("CONSTRAINTS") == "Included_In"
            assert all(any(a <= start < end <= b for a, b, _ in tiers[parent]) for start, end, _ in found)
        assert tier.get("TIER_ID") not in tiers
        tiers[tier.get("TIER_ID") or ""] = found
    return tiers


READERS = [("TextGrid", praat_tiers), ("eaf", eaf_tiers)]


@pytest.mark.parametrize(("format", "read"), READERS)
def test_every_speaker_has_a_tier_and_one_of_words(
    tmp_path: Path, format: Format, read: Callable[..., Any]
) -> None:
    tiers = read(export(tmp_path, conversation(), format))
    people = ["Anna", "Martin", "נועה", "Yuki", "no speaker"]
    assert list(tiers) == [name for person in people for name in (person, f"{person} - words")]
    assert tiers["Martin"] == [(1.3, 2.4, "Fine, thank you.")]
    assert tiers["Martin - words"] == [(1.3, 1.6, "Fine,"), (1.7, 2.0, "thank"), (2.1, 2.4, "you.")]
    assert [text for *_, text in tiers["Yuki - words"]] == ["これ", "は", "文章", "です。"]
    assert tiers["Anna"][1][2] == "🎉 Bye!"


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize(("format", "read"), READERS)
def test_hostile_tiers(tmp_path: Path, hostile: str, format: Format, read: Callable[..., Any]) -> None:
    made = transcript((hostile, [word(hostile, 1, 2)]), (None, words("who", 3)))
    tiers = read(export(tmp_path, made, format))
    assert tiers == {
        seen(hostile): [(1, 2, seen(hostile))],
        f"{seen(hostile)} - words": [(1, 2, seen(hostile))],
        "no speaker": [(3, 3.3, "who")],
        "no speaker - words": [(3, 3.3, "who")],
    }


@pytest.mark.parametrize(("format", "read"), READERS)
def test_tiers_of_one_name_stay_apart(tmp_path: Path, format: Format, read: Callable[..., Any]) -> None:
    people = ["no speaker", "A", "A - words", None, "A\n"]
    made = transcript(*((who, words("x", n * 2)) for n, who in enumerate(people)))
    tiers = read(export(tmp_path, made, format))
    assert len(tiers) == 10
    assert all(len(found) == 1 for found in tiers.values())


overlapping = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", None]),
        st.integers(0, 30),
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=4),
    ),
    max_size=6,
)


@pytest.mark.usefixtures("fast_disk")
@pytest.mark.parametrize(("format", "read"), READERS)
@given(raw=overlapping)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_word_is_lost_where_one_speaker_overlaps_himself(
    tmp_path_factory: pytest.TempPathFactory, format: Format, read: Callable[..., Any], raw: list[Any]
) -> None:
    segments = []
    for number, (who, start, parts) in enumerate(raw):
        time, found = start / 10, []
        for index, (pause, length) in enumerate(parts):
            time += pause / 10
            found.append(word(f"w{number}.{index}", round(time, 3), round(time + length / 10, 3)))
        segments.append((who, found))
    made = transcript(*segments)
    tiers = read(export(tmp_path_factory.getbasetemp(), made, format))
    for who in ("A", "B", None):
        name = who or "no speaker"
        wanted = sorted(w.text for person, found in segments if person == who for w in found)
        assert sorted(text for *_, text in tiers.get(f"{name} - words", [])) == wanted
        assert len(tiers.get(name, [])) == sum(person == who for person, _ in segments)


# All.


def test_all_formats_have_a_writer_and_names_of_their_own() -> None:
    assert {"json", "html", *WRITERS} == set(FORMATS)
    assert len({ending(name) for name in FORMATS}) == len(FORMATS)
    assert Config().export.formats == ("json", "srt", "vtt", "txt", "tsv", "rttm")


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_transcript_gives_the_same_bytes_at_any_time(
    tmp_path: Path, format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time  # noqa: PLC0415

    first = export(tmp_path / "1", conversation(), format).read_bytes()
    later = time.time() + 4e6
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(later))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert export(tmp_path / "2", conversation(), format).read_bytes() == first


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_takes_an_empty_transcript_and_one_without_words(tmp_path: Path, format: Format) -> None:
    assert export(tmp_path, transcript(duration_s=60.0), format).exists()
    assert export(tmp_path, transcript(("A", [word("\0", 1, 2)]), session="blank"), format).exists()


@pytest.mark.parametrize("format", FORMATS)
def test_a_speaker_who_only_has_turns_harms_nothing(tmp_path: Path, format: Format) -> None:
    turns = [Turn(start=1, end=2, speaker="ghost")]
    assert export(tmp_path, conversation(turns=turns), format).exists()


@pytest.mark.parametrize("format", sorted(set(TEXTS) - {"json", "uem", "ctm", "whisper"}))
def test_names_stand_in_place_of_labels(tmp_path: Path, format: Format) -> None:
    named = overlay(conversation(), {"Martin": "Zoë"}, []).transcript
    text = html_module.unescape(text_of(tmp_path, named, format))
    assert "Zoë" in text
    assert text.count("Martin") == (
        0
        if format == "rttm"
        else text.count("afternoon, Martin") + text.count('"Martin') + text.count(">Martin")
    )


def read_text(path: Path) -> str:
    """What a reader sees of an export, by a program that did not write it."""
    if path.suffix == ".docx":
        with path.open("rb") as file:
            return str(mammoth.extract_raw_text(file).value)
    if path.suffix == ".pdf":
        return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)
    return html_module.unescape(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"uem"}))
def test_where_nobody_asked_for_speakers_no_format_speaks_of_them(tmp_path: Path, format: Format) -> None:
    asked = conversation()
    nobody = [(None, segment.words) for segment in asked.segments]
    made = transcript(*nobody, session="meeting").model_copy(update={"diarization": "off"})
    text = read_text(export(tmp_path, made, format))
    assert ("afternoon" in text) == (format not in ("rttm", "svg"))
    if format not in ("json", "html", "csv", "tsv", "seglst"):  # these name the field
        assert not re.search("speaker|unknown|nobody", text, re.IGNORECASE)


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"uem", "svg"}))
@pytest.mark.parametrize("karaoke", [False, True])
def test_corrections_are_in_every_format(tmp_path: Path, format: Format, karaoke: bool) -> None:
    edits = [
        Edit("name", was="Martin", now="Zed"),
        Edit("words", 0.5, was="Good afternoon,", now="Splendid"),
        Edit("words", 30.4, was="Bye!", now=""),
        Edit("words", 60.0, now="Farewell", before="🎉 Bye!"),
        Edit("speaker", 6, 8, now="Quentin"),
    ]
    of = overlay(conversation(), {}, edits)
    assert {found.state for found in of.corrections} == {"applied"}
    text = read_text(export(tmp_path, of.transcript, format, karaoke=karaoke))
    if format != "rttm":
        assert "Splendid" in text
        assert "Farewell" in text
        assert not {"afternoon", "Bye!"} & set(re.findall(r"[\w!]+", text))
    if format not in {"ctm", "whisper"}:
        assert "Zed" in text
        assert "Quentin" in text
    if format == "rttm":
        read = load_rttm(tmp_path / "meeting.rttm")["meeting"]
        assert {"Zed", "Quentin"} < set(read.labels())
        assert "Martin" not in read.labels()
        assert read.label_duration("Quentin") == pytest.approx(1.1)


@pytest.mark.parametrize("format", FORMATS)
def test_only_the_settings_that_matter_to_a_format_change_it(tmp_path: Path, format: Format) -> None:
    others = {
        "max_line_chars": 20,
        "max_lines": 1,
        "max_cue_s": 1.0,
        "min_cue_s": 3.0,
        "max_chars_per_s": 5.0,
        "split_at": "length",
        "karaoke": True,
        "vtt_settings": "align:left",
        "audio": "x.wav",
        "pdf_page": "letter",
        "names": {"Anna": "Zoë"},
    }
    assert set(others) | {"formats", "pdf_fonts"} == set(Export.model_fields)
    given = Export().model_dump()
    known = options_for([format], given)
    assert "formats" not in known
    plain = export(tmp_path, conversation(), format).read_bytes()
    without = {name: value for name, value in others.items() if name not in known}
    assert export(tmp_path, conversation(), format, **without).read_bytes() == plain
    for name in known.keys() & others.keys() - {"split_at", "names", "max_chars_per_s", "max_lines"}:
        assert export(tmp_path, conversation(), format, **{name: others[name]}).read_bytes() != plain, name
    assert set(MATTERS_TO) <= set(Export.model_fields)
