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
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import jiwer
import numpy as np
import soundfile
from common import ROOT
from faster_whisper.audio import decode_audio
from rapidfuzz.distance import LCSseq
from recordings import CONVERSATIONS, FOLDERS, MEETINGS, READ, Recording, recordings
from systems import (
    BATCHED,
    OURS,
    PYANNOTE,
    SEQUENTIAL,
    SYSTEMS,
    WHISPERX,
    WORK,
    Run,
    fetched,
    ours,
    peer,
    settings,
    start_costs,
)

from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.evaluation.evaluate import Options, measures, score_session
from sessionscribe.evaluation.intervals import Bootstrap
from sessionscribe.evaluation.normalise import normaliser
from sessionscribe.evaluation.speakers import speaker_errors
from sessionscribe.evaluation.words import without_ignored
from sessionscribe.formats.utterances import PlainTranscript
from sessionscribe.manifest.sources import slug

LOST = 3
"""Least number of deletions in a row that count as lost words."""
TYPICAL_S = 900.0
"""Length of the recording for which CPU times are compared, in seconds, with the start of the programs."""
LONG_S = 299.0
"""Length of a long recording, in seconds: five minutes, less a margin for rounding."""
CUT_S, FEW = 120.0, 2
"""Least length, in seconds, and number of the recordings that are cut or made worse."""
HARD = re.compile("quick|similar")
"""Names of conversations that are too hard for diarization: quick turns, similar voices."""
PLAIN = Options(bootstrap=Bootstrap(resamples=0))
MARKS = ("<!-- accuracy: made by `make evaluate` -->", "<!-- end of accuracy -->")

Kinds = Mapping[str, Sequence[Recording]]


def figures(of: Iterable[Recording], heard: Mapping[str, PlainTranscript]) -> dict[str, float]:
    """Score recordings together: percent, words per hour, seconds; only what was measured."""
    scores = [(one, score_session(one.truth, heard[one.name], PLAIN)) for one in of]
    found = measures([score for _, score in scores], PLAIN.bootstrap)
    names = {"wer": "wer", "der": "der", "wrong": "word_speaker_error"}
    values = {name: 100 * found[key].value for name, key in names.items() if key in found}
    if "start_median_s" in found:
        values["start"] = found["start_median_s"].value
    if "wer" in found:
        spoken = [one for one, score in scores if "wer" in score.counts]
        hours = _seconds(spoken) / 3600
        runs = [n for one in spoken for n in deletion_runs(one.truth, heard[one.name]) if n >= LOST]
        values |= {"lost": sum(runs) / hours, "longest": max(runs, default=0)}
        values["invented"] = found["wer"].counts["insertions"] / hours
    if "der" in found:
        counts = found["der"].counts
        values |= {"sessions": counts["sessions"], "right": counts["sessions_with_right_count"]}
    return values


def deletion_runs(truth: PlainTranscript, heard: PlainTranscript) -> Iterator[int]:
    """Yield the lengths of runs of deleted words."""
    chosen = normaliser(heard.language or truth.language)
    sides = (
        " ".join(word for part in said.utterances or () for word in chosen.words(part.text))
        for said in (truth, without_ignored(heard, truth.ignored))
    )
    for chunk in jiwer.process_words(*sides).alignments[0]:
        if chunk.type == "delete":
            yield chunk.ref_end_idx - chunk.ref_start_idx


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
            costs = [(run.speech_cpu_s or math.nan) / _seconds(kinds[kind]) for run in both]
            ours, theirs = (cost * TYPICAL_S + run.start_cpu_s for cost, run in zip(costs, both, strict=True))
            peer_name = SYSTEMS[name].partition(",")[0]
            asked = f"CPU for the words of 15 minutes of {kind} ≤ {bar} of {peer_name}'s"
            measured = f"{ours / theirs:.2f} ({costs[0] / costs[1]:.2f} without the start)"
            yield asked, measured, ours <= bar * theirs


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
            each = 1000 * apart.der.errors.sum() / max(1, len(theirs.turns or ())) if apart else math.inf
            most = max(most, each)
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
