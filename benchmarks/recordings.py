"""Recordings with a reference beside them, which the benchmarks of accuracy transcribe."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common import ROOT

from sessionscribe.formats.references import read_file
from sessionscribe.formats.utterances import PlainTranscript, PlainWord, Utterance, joined
from sessionscribe.manifest.sources import slug
from sessionscribe.stages.ingest.ingest import probe

SHARED = Path(os.environ.get("SESSIONSCRIBE_SHARED", ROOT.parent / "shared")) / "data"
READ, MEETINGS, CONVERSATIONS = "read speech", "meetings", "conversations"
FOLDERS = {
    READ: [SHARED / "librispeech", SHARED / "librivox"],
    MEETINGS: [SHARED / "ami", SHARED / "misc"],
    CONVERSATIONS: [ROOT / "build/natural/conversations"],
}


@dataclass(frozen=True)
class Recording:
    """Audio with its words or at least its turns; ``duration_s`` in seconds."""

    name: str
    path: Path
    duration_s: float
    truth: PlainTranscript


def recordings(folders: Iterable[Path]) -> Iterator[Recording]:
    """Find recordings with a reference, except for those that something was tuned on (``dev-``)."""
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        if path.suffix in (".flac", ".wav") and not path.stem.startswith("dev-") and (said := truth(path)):
            yield Recording(slug(path.stem), path, probe(path).duration_s, said)


def truth(audio: Path) -> PlainTranscript | None:
    """Return the reference beside a recording: NAME.json (words), NAME.rttm, reference.rttm (turns)."""
    plain = unicodedata.normalize("NFKD", audio.stem).encode("ascii", "ignore").decode()
    parts = [_words_of(path) for path in [audio.with_suffix(".json")] if path.is_file()]
    for path in (audio.with_suffix(".rttm"), audio.with_name("reference.rttm")):
        if path.is_file():
            parts += [said for said in read_file(path) if said.session == plain]
    return next(iter(joined(replace(part, session=plain) for part in parts).values()), None)


def _words_of(path: Path) -> PlainTranscript:
    """Read utterances (speaker, start, stop, text, words), or one of them as pocketsphinx writes it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict):
        heard = [(re.sub(r"\(\d+\)$", "", w["t"]), w["b"], w["b"] + w["d"]) for w in content["w"]]
        heard = [word for word in heard if word[0][0] not in "<["]
        content = [{"text": content["t"], "start": content["b"], "stop": content["d"], "words": heard}]
    utterances = []
    for said in content:
        who = said.get("speaker")
        words = tuple(PlainWord(*word, speaker=who) for word in said.get("words", ()))
        utterances.append(Utterance(said["text"], said["start"], said["stop"], who, words))
    return PlainTranscript(path.stem, utterances=tuple(utterances), language="en")
