"""Compare accuracy on real and natural speech with other tools: the tables at the top of docs/accuracy.md.

    python benchmarks/accuracy.py [--speech base] [--diarization open] [--whisperx build/peers/venv] [--write]

`make evaluate` runs it with Whisper base (int8, CPU) on all recordings that have a reference beside them.
Ours is `sessionscribe run` with default settings, in projects below build/accuracy, where the transcripts can
be read. The peers (peers.py) only hear recordings that they have not heard yet. To compare CPU times, which
must be taken on the same machine under the same load, remove build/accuracy/peers first.

whisperX needs its own environment (about 7 GB), because its pins differ from ours:

    uv venv build/peers/venv && uv pip install --python build/peers/venv/bin/python whisperx==3.8.6
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import numpy as np
import soundfile
from common import ROOT, make_project, run_pipeline, timed
from faster_whisper.audio import decode_audio
from rapidfuzz.distance import LCSseq

from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines import models
from sessionscribe.engines.fetch import ensure, ensure_speech
from sessionscribe.evaluation.evaluate import Options, measures, score_session
from sessionscribe.evaluation.intervals import Bootstrap
from sessionscribe.evaluation.speakers import speaker_errors
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
OURS = "ours"
SEQUENTIAL, BATCHED, WHISPERX, PYANNOTE = "sequential", "batched", "whisperx", "pyannote"
SYSTEMS = {
    OURS: "**ours**",
    SEQUENTIAL: "faster-whisper",
    BATCHED: "faster-whisper, batched",
    WHISPERX: "whisperX, no alignment",
    PYANNOTE: "pyannote alone",
}
LOST = 3
"""Least number of deletions in a row that count as lost words."""
LONG_S = 299.0
"""Length of a long recording, in seconds: five minutes, less a margin for rounding."""
CUT_S, FEW = 120.0, 2
"""Least length, in seconds, and number of the recordings that are cut or made worse."""
HARD = re.compile("quick|similar")
"""Names of conversations that are too hard for diarization: quick turns, similar voices."""
WORK = ROOT / "build/accuracy"
PLAIN = Options(bootstrap=Bootstrap(resamples=0))
MARKS = ("<!-- accuracy: made by `make evaluate` -->", "<!-- end of accuracy -->")


@dataclass(frozen=True)
class Recording:
    """Audio with its words or at least its turns; ``duration_s`` in seconds."""

    name: str
    path: Path
    duration_s: float
    truth: PlainTranscript


Kinds = Mapping[str, Sequence[Recording]]


@dataclass(frozen=True)
class Run:
    """A system's transcripts, and the CPU seconds of its processes: for words, and with speakers.

    ``start_cpu_s``, for starting and loading the speech model, is not included in the others.
    """

    heard: Mapping[str, PlainTranscript]
    speech_cpu_s: float | None
    cpu_s: float | None
    start_cpu_s: float = 0.0


Costs = tuple[float, float]
"""CPU seconds until the words are finished, and until everything is."""


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


def fetched(speech: str, diarization: str) -> dict[str, str]:
    """Return the folders of both models; fetch them if necessary."""
    words = ensure_speech(models.resolve(speech, models.WHISPER, setting="--speech"), say=print)
    name = models.resolve(diarization, models.DIARIZATION, setting="--diarization")
    speakers = ensure(name, "diarization pipeline", "--diarization", say=print)
    return {"speech": str(words.resolve()), "diarization": str(speakers.resolve())}


def settings(folders: Mapping[str, str]) -> dict[str, Any]:
    """Return our settings: the defaults except for the models, the language and the CPU."""
    whisper = {"model": folders["speech"], "device": "cpu", "compute_type": "int8", "language": "en"}
    return {"transcribe": whisper, "diarize": {"model": folders["diarization"], "device": "cpu"}}


def ours(
    of: Sequence[Recording],
    options: dict[str, Any],
    project: Path,
    *,
    start: Costs = (0.0, 0.0),
    speakers: bool = True,
) -> Run:
    """Transcribe recordings by `sessionscribe run`: the words first, then speakers and exports if wanted."""
    words, both = costs({one.name: one.path for one in of}, options, project, speakers=speakers)
    made = project / "results" / ("diarize" if speakers else "merge")
    heard = {one.name: read_file(made / f"{one.name}.json")[0] for one in of}
    return Run(heard, words - start[0], both - start[1] if speakers else None, start[0])


def costs(
    paths: Mapping[str, Path], options: dict[str, Any], project: Path, *, speakers: bool = True
) -> Costs:
    """Transcribe sessions in a new project; return the costs."""
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    make_project(project, paths, options)
    words = run_pipeline(project, "--stage", "merge")["cpu_s"]
    return words, words + (run_pipeline(project)["cpu_s"] if speakers else 0.0)


def start_costs(of: Sequence[Recording], options: dict[str, Any]) -> Costs:
    """Return the costs of starting and loading models: those that do not double with the recordings."""
    once, twice = (
        costs({f"{one.name}-{n}": one.path for one in of for n in range(times)}, options, WORK / "start")
        for times in (1, 2)
    )
    return 2 * once[0] - twice[0], 2 * once[1] - twice[1]


def peer(name: str, of: Sequence[Recording], folders: Mapping[str, str], python: Path) -> Run:
    """Return a peer's transcripts; it only hears recordings that it has not heard before."""
    cache = WORK / "peers"
    cache.mkdir(parents=True, exist_ok=True)
    settings = {**folders, "identity": {use: models.identity(path) for use, path in folders.items()}}
    command = [str(python), str(ROOT / "benchmarks/peers.py"), name, str(cache), json.dumps(settings)]
    _, printed = timed([*command, *(str(one.path) for one in of)], ROOT, PYTHONPATH=str(ROOT / "scripts"))
    found = json.loads(printed.splitlines()[-1])
    paths = {one.name: Path(found[str(one.path)]) for one in of}
    figures = [json.loads(path.read_text(encoding="utf-8")) for path in paths.values()]
    start_cpu_s = max(one["start_cpu_s"] for one in figures)
    cpu_s = sum(one["cpu_s"] for one in figures)
    speech_cpu_s = sum(one.get("speech_cpu_s", one["cpu_s"]) for one in figures)
    heard = {session: read_file(path)[0] for session, path in paths.items()}
    if name == PYANNOTE:
        return Run({session: replace(said, utterances=None) for session, said in heard.items()}, None, cpu_s)
    return Run(heard, speech_cpu_s, cpu_s if name == WHISPERX else None, start_cpu_s)


def figures(of: Iterable[Recording], heard: Mapping[str, PlainTranscript]) -> dict[str, float]:
    """Score recordings together: percent, words per hour, seconds; only what was measured."""
    scores = [(one, score_session(one.truth, heard[one.name], PLAIN)) for one in of]
    found = measures([score for _, score in scores], PLAIN.bootstrap)
    names = {"wer": "wer", "der": "der", "wrong": "word_speaker_error"}
    values = {name: 100 * found[key].value for name, key in names.items() if key in found}
    if "start_median_s" in found:
        values["start"] = found["start_median_s"].value
    if "wer" in found:
        hours = sum(one.duration_s for one, score in scores if score.words) / 3600
        runs = [n for _, score in scores if score.words for n in score.words.deletion_runs if n >= LOST]
        values |= {"lost": sum(runs) / hours, "longest": max(runs, default=0)}
        values["invented"] = found["wer"].counts["insertions"] / hours
    if "der" in found:
        counts = found["der"].counts
        values |= {"sessions": counts["sessions"], "right": counts["sessions_with_right_count"]}
    return values


Results = Mapping[str, Mapping[str, Run]]
"""Runs by kind of recordings and system."""


def systems_table(kinds: Kinds, results: Results) -> Iterator[str]:
    """Yield a row for each system and kind of recordings."""
    yield (
        "| | System | WER % | lost per hour (longest) | invented per hour | word starts off by, s | DER % "
        "| count right | words by wrong speaker % | CPU s per s of audio: words | words and speakers "
        "| CPU s to start |"
    )
    yield "|---" * 12 + "|"
    for kind, of in kinds.items():
        seconds = _seconds(of)
        for system, run in results[kind].items():
            found = figures(of, run.heard)
            cells = [
                f"{kind}: {len(of)}, {seconds / 60:.0f} min" if system == OURS else "",
                SYSTEMS[system],
                shown(found.get("wer")),
                f"{found['lost']:.0f} ({found['longest']:.0f})" if "lost" in found else "–",
                shown(found.get("invented"), 0),
                shown(found.get("start"), 3),
                shown(found.get("der")),
                f"{found['right']:.0f} of {found['sessions']:.0f}" if "der" in found else "–",
                shown(found.get("wrong")),
                shown(run.speech_cpu_s and run.speech_cpu_s / seconds, 3),
                shown(run.cpu_s and run.cpu_s / seconds, 3),
                shown(run.start_cpu_s or None),
            ]
            yield f"| {' | '.join(cells)} |"


def recordings_table(kinds: Kinds, results: Results) -> Iterator[str]:
    """Yield a row for each recording: the WER of every system, and the number of speakers."""
    systems = [system for system in SYSTEMS if any(system in run for run in results.values())]
    words = [system for system in systems if system != PYANNOTE]
    names = " | ".join(SYSTEMS[system] for system in words)
    yield f"| Recording | min | WER %: {names} | DER %: ours | people: ours, true |"
    yield "|---" * (len(words) + 4) + "|"
    for kind, of in kinds.items():
        for one in of:
            run = results[kind]
            rates = [shown(figures([one], run[system].heard).get("wer")) for system in words]
            found, people = figures([one], run[OURS].heard), "–"
            if one.truth.turns:
                people = ", ".join(str(_people(said)) for said in (run[OURS].heard[one.name], one.truth))
            cells = [one.name, f"{one.duration_s / 60:.1f}", *rates, shown(found.get("der")), people]
            yield f"| {' | '.join(cells)} |"


def _seconds(of: Iterable[Recording]) -> float:
    return sum(one.duration_s for one in of)


def _people(said: PlainTranscript) -> int:
    return len({turn.speaker for turn in said.turns or ()})


def shown(value: float | None, digits: int = 1) -> str:
    """Return a figure for the tables."""
    return "–" if value is None else f"{value:.{digits}f}"


def perturbed(of: Sequence[Recording]) -> dict[str, list[Recording]]:
    """Write perturbed recordings; return them by perturbation."""
    from natural_voices.perturb import PERTURBATIONS  # noqa: PLC0415 -- not where tables alone are made

    folder = WORK / "perturbed"
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, list[Recording]] = {name: [] for name in PERTURBATIONS}
    for one in of:
        audio = decode_audio(str(one.path))
        for name, change in PERTURBATIONS.items():
            path, changed = (
                folder / f"{one.name}-{slug(name)}.flac",
                change(audio, np.random.default_rng(0)).audio,
            )
            soundfile.write(path, changed, SAMPLE_RATE)
            made[name].append(Recording(path.stem, path, len(changed) / SAMPLE_RATE, one.truth))
    return made


def perturbations_table(made: Kinds, ours: Run, theirs: Run) -> Iterator[str]:
    """Yield a row for each perturbation: our words and faster-whisper's."""
    beside = f"{SYSTEMS[OURS]} | {SYSTEMS[SEQUENTIAL]}"
    yield f"| | WER %: {beside} | lost per hour: {beside} | invented per hour: {beside} |"
    yield "|---" * 7 + "|"
    for name, of in made.items():
        both = [figures(of, run.heard) for run in (ours, theirs)]
        digits = {"wer": 1, "lost": 0, "invented": 0}
        cells = [shown(found[value], digits[value]) for value in digits for found in both]
        yield f"| {name} | {' | '.join(cells)} |"


def changed_words(one: PlainTranscript, other: PlainTranscript) -> int:
    """Return how many words differ between two transcripts."""
    return LCSseq.distance(*([word.text for word in said.words] for said in (one, other)))


Bar = tuple[str, str, bool]
"""A bar, what was measured, and whether it is held."""


def bars_of_words(kinds: Kinds, results: Results) -> Iterator[Bar]:
    """Compare words and their cost with those of faster-whisper and whisperX."""
    every = [one for of in kinds.values() for one in of]
    ours, theirs = (
        {n: s for run in results.values() for n, s in run[x].heard.items()} for x in (OURS, SEQUENTIAL)
    )
    more = {
        one.name: figures([one], ours)["wer"] - figures([one], theirs)["wer"]
        for one in every
        if one.duration_s >= LONG_S and one.truth.utterances
    }
    for worst in sorted(more, key=lambda name: more[name])[-1:]:
        asked = "WER less faster-whisper's on any recording of 5 minutes and more ≤ 0.3 points"
        yield asked, f"{more[worst]:+.1f} ({worst})", more[worst] <= 0.3
    if READ in kinds:
        rates = [figures(kinds[READ], heard)["wer"] for heard in (ours, theirs)]
        asked = "WER on read speech at least 1 point below faster-whisper's"
        yield asked, "{:.1f} and {:.1f} %".format(*rates), rates[0] <= rates[1] - 1
    both = [figures(every, heard) for heard in (ours, theirs)]
    lost = [found["lost"] for found in both]
    yield "words lost per hour ≤ faster-whisper's", "{:.0f} and {:.0f}".format(*lost), lost[0] <= lost[1]
    start = both[0]["start"]
    yield "word starts off by ≤ 60 ms (median)", f"{1000 * start:.0f} ms", start <= 0.06
    for kind, name, bar in (
        (READ, SEQUENTIAL, 0.8),
        (MEETINGS, SEQUENTIAL, 1.1),
        (CONVERSATIONS, SEQUENTIAL, 1.1),
        (READ, WHISPERX, 0.6),
    ):
        if kind in kinds and name in results[kind]:
            both = [results[kind][OURS], results[kind][name]]
            words = [run.speech_cpu_s or math.nan for run in both]
            all_of_it = [cpu_s + run.start_cpu_s for cpu_s, run in zip(words, both, strict=True)]
            ratio, with_start = words[0] / words[1], all_of_it[0] / all_of_it[1]
            asked = f"CPU for the words on {kind} ≤ {bar} of {SYSTEMS[name].partition(',')[0]}'s"
            yield asked, f"{ratio:.2f} ({with_start:.2f} with the start)", ratio <= bar


def bar_of_chunks(pieces: Run, results: Results) -> Bar:
    """Compare the words of recordings cut every minute with those of the same recordings as a whole."""
    whole = {name: said for run in results.values() for name, said in run[OURS].heard.items()}
    changed = sum(changed_words(whole[name], said) for name, said in pieces.heard.items())
    words = sum(len(said.words) for said in pieces.heard.values())
    return "words that cutting every 60 s changes: 0", f"{changed} of {words}", not changed


def bars_of_speakers(kinds: Kinds, results: Results) -> Iterator[Bar]:
    """Compare turns with bare pyannote's, and those of ordinary conversations with the reference."""
    most = 0.0
    for run in results.values():
        for name, theirs in run[PYANNOTE].heard.items():
            apart = speaker_errors(theirs, run[OURS].heard[name])
            most = (
                max(most, 1000 * apart.errors.sum() / max(1, len(theirs.turns or ()))) if apart else math.inf
            )
    yield "turns are bare pyannote's with the same pipeline, to 1 ms", f"{most:.1f} ms a turn", most <= 1
    if ordinary := [
        one for one in kinds.get(CONVERSATIONS, ()) if _people(one.truth) > 1 and not HARD.search(one.name)
    ]:
        found = figures(ordinary, results[CONVERSATIONS][OURS].heard)
        asked = "DER on conversations of 2 to 5 people with ordinary turns ≤ 10 %"
        yield asked, f"{found['der']:.1f} %", found["der"] <= 10
        right, of = found["right"], found["sessions"]
        yield "number of speakers right there in 9 of 10", f"{right:.0f} of {of:.0f}", right >= 0.9 * of


def main() -> int:
    """Measure, print the tables and the bars, and write them into the docs if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", default="base", help="a speech model's name or folder")
    parser.add_argument("--diarization", default="open", help="a pipeline's name or folder")
    parser.add_argument("--whisperx", type=Path, default=ROOT / "build/peers/venv", help="its environment")
    parser.add_argument("--write", action="store_true", help="put tables and bars into docs/accuracy.md")
    given = parser.parse_args()
    kinds = {kind: found for kind, folders in FOLDERS.items() if (found := list(recordings(folders)))}
    if not kinds:
        sys.exit(
            f"no recordings with a reference in {', '.join(str(f) for of in FOLDERS.values() for f in of)}"
        )
    folders = fetched(given.speech, given.diarization)
    pythons = dict.fromkeys((SEQUENTIAL, BATCHED, PYANNOTE), Path(sys.executable))
    if (python := given.whisperx / "bin/python").exists():
        pythons[WHISPERX] = python
    else:
        print(f"whisperX is left out: there is no {python}", file=sys.stderr)
    chosen = settings(folders)
    cut = {**chosen, "chunk": {"target_s": 60, "search_s": 10}}
    results: dict[str, dict[str, Run]] = {}
    start = start_costs(min(kinds.values(), key=_seconds), chosen)
    for kind, of in kinds.items():
        print(f"{kind}: {', '.join(one.name for one in of)}", file=sys.stderr)
        made = {name: peer(name, of, folders, python) for name, python in pythons.items()}
        made[OURS] = ours(of, chosen, WORK / slug(kind), start=start)
        results[kind] = {system: made[system] for system in SYSTEMS if system in made}
    spoken = [one for kind in (READ, CONVERSATIONS) for one in kinds.get(kind, ()) if one.duration_s > CUT_S]
    pieces = ours(spoken[:FEW], cut, WORK / "chunked", speakers=False)
    worse = perturbed(spoken[-FEW:])
    every = [one for of in worse.values() for one in of]
    ours_worse = ours(every, chosen, WORK / "worse", speakers=False)
    theirs_worse = peer(SEQUENTIAL, every, folders, Path(sys.executable))
    bars = [
        *bars_of_words(kinds, results),
        bar_of_chunks(pieces, results),
        *bars_of_speakers(kinds, results),
    ]
    for asked, value, held in bars:
        print(f"bar: {asked}: {value}: {'held' if held else 'NOT held'}")
    lines = [f"Measured on {datetime.now(UTC):%Y-%m-%d} by `make evaluate`.", ""]
    lines += [*systems_table(kinds, results), "", *recordings_table(kinds, results), ""]
    lines += [*perturbations_table(worse, ours_worse, theirs_worse), ""]
    lines += ["| Bar | Measured | Held |", "|---|---|---|"]
    lines += [f"| {asked} | {value} | {'yes' if held else '**no**'} |" for asked, value, held in bars]
    print("\n".join(lines))
    if given.write:
        page = ROOT / "docs/accuracy.md"
        before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
        text = "\n".join([before + MARKS[0], "", *lines, "", MARKS[1] + rest.split(MARKS[1])[1]])
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
