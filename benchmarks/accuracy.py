"""Accuracy on real and natural speech, ours beside its peers: the tables and bars at the top of docs/accuracy.md.

    python benchmarks/accuracy.py [--speech FOLDER] [--diarization FOLDER] [--whisperx build/peers/venv] [--write]

`make evaluate` runs it with Whisper base (int8, CPU) on every recording that has a reference beside it. Ours is
`sessionscribe run` with default settings in a project of its own (build/accuracy, where the transcripts stay to be
read). The peers are used as their documentation shows it (peers.py), and only for what they have not heard yet.

whisperX needs an environment of its own (about 7 GB), because its pins are others than ours:

    uv venv build/peers/venv && uv pip install --python build/peers/venv/bin/python whisperx==3.8.6
"""

from __future__ import annotations

import argparse
import difflib
import json
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
from common import ROOT, make_project, run_pipeline, timed

from sessionscribe.evaluation.evaluate import Options, measures, score_session
from sessionscribe.evaluation.intervals import Bootstrap
from sessionscribe.evaluation.references import read_file
from sessionscribe.evaluation.said import Said, SaidWord, Utterance, joined
from sessionscribe.evaluation.speakers import speaker_errors
from sessionscribe.ingest import probe
from sessionscribe.models import identity
from sessionscribe.sources import slug

SHARED = Path(os.environ.get("SESSIONSCRIBE_SHARED", ROOT.parent / "shared")) / "data"
READ, MEETINGS, CONVERSATIONS, PERTURBED = "read speech", "meetings", "conversations", "perturbed"
FOLDERS = {
    READ: [SHARED / "librispeech", SHARED / "librivox"],
    MEETINGS: [SHARED / "ami", SHARED / "misc"],
    CONVERSATIONS: [ROOT / "build/natural/conversations"],
}
OURS, SEQUENTIAL, BATCHED, WHISPERX, PYANNOTE = "ours", "sequential", "batched", "whisperx", "pyannote"
SYSTEMS = {
    OURS: "**ours**",
    SEQUENTIAL: "faster-whisper",
    BATCHED: "faster-whisper, batched",
    WHISPERX: "whisperX, no alignment",
    PYANNOTE: "pyannote alone",
}
LOST = 3
"""Deletions in a row from which on words count as lost, not as misheard."""
LONG_S = 299.0
"""Length of a long recording, in seconds: five minutes, and what rounding takes."""
HARD = re.compile("quick|similar")
"""Names of conversations that diarization is known not to manage: quick turns, voices that sound alike."""
WORK = ROOT / "build/accuracy"
PLAIN = Options(bootstrap=Bootstrap(resamples=0))
MARKS = ("<!-- accuracy: made by `make evaluate` -->", "<!-- end of accuracy -->")


@dataclass(frozen=True)
class Recording:
    """Audio and what is said in it, or at least who speaks when; ``duration_s`` in seconds."""

    name: str
    path: Path
    duration_s: float
    truth: Said


@dataclass(frozen=True)
class Run:
    """What a system made of recordings; CPU seconds of all processes, of the words alone and with speakers."""

    heard: Mapping[str, Said]
    speech_cpu_s: float | None
    cpu_s: float | None


def recordings(folders: Iterable[Path]) -> Iterator[Recording]:
    """Find recordings with a reference; of those that something was tuned on (``dev-``) there are none."""
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        if path.suffix in (".flac", ".wav") and not path.stem.startswith("dev-") and (said := truth(path)):
            yield Recording(slug(path.stem), path, probe(path).duration_s, said)


def truth(audio: Path) -> Said | None:
    """Return what the references beside a recording say: NAME.json (words), NAME.rttm or reference.rttm (turns)."""
    plain = unicodedata.normalize("NFKD", audio.stem).encode("ascii", "ignore").decode()
    parts = [_words_of(path) for path in [audio.with_suffix(".json")] if path.is_file()]
    for path in (audio.with_suffix(".rttm"), audio.with_name("reference.rttm")):
        if path.is_file():
            parts += [said for said in read_file(path) if said.session == plain]
    return next(iter(joined(replace(part, session=plain) for part in parts).values()), None)


def _words_of(path: Path) -> Said:
    """Read utterances (speaker, start, stop, text, words), or one with word times as pocketsphinx writes it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict):
        heard = [
            {"text": re.sub(r"\(\d+\)$", "", w["t"]), "start": w["b"], "stop": w["b"] + w["d"]}
            for w in content["w"]
            if w["t"][0] not in "<["
        ]
        content = [{"text": content["t"], "start": content["b"], "stop": content["d"], "words": heard}]
    utterances = []
    for said in content:
        who = said.get("speaker")
        words = tuple(SaidWord(w["text"], w["start"], w["stop"], who) for w in said.get("words", ()))
        utterances.append(Utterance(said["text"], said["start"], said["stop"], who, words))
    return Said(path.stem, utterances=tuple(utterances), language="en")


def ours(of: Sequence[Recording], settings: dict[str, Any], project: Path, *, speakers: bool = True) -> Run:
    """Transcribe recordings by `sessionscribe run`: first their words, then, if wanted, speakers and exports."""
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    make_project(project, {one.name: one.path for one in of}, settings)
    speech_cpu_s = run_pipeline(project, "--stage", "merge")["cpu_s"]
    cpu_s = speech_cpu_s + run_pipeline(project)["cpu_s"] if speakers else None
    made = project / "results" / ("diarize" if speakers else "merge")
    return Run({one.name: read_file(made / f"{one.name}.json")[0] for one in of}, speech_cpu_s, cpu_s)


def peer(name: str, of: Sequence[Recording], models: dict[str, Any], python: Path) -> Run:
    """Let a peer hear recordings, or take what it heard before."""
    cache = WORK / "peers"
    cache.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(ROOT / "benchmarks/peers.py"), name, str(cache), json.dumps(models)]
    _, printed = timed([*command, *(str(one.path) for one in of)], ROOT, PYTHONPATH=str(ROOT / "scripts"))
    found = json.loads(printed.splitlines()[-1])
    paths = {one.name: Path(found[str(one.path)]) for one in of}
    figures = [json.loads(path.read_text(encoding="utf-8")) for path in paths.values()]
    start_s = max(one["start_cpu_s"] for one in figures)
    cpu_s = start_s + sum(one["cpu_s"] for one in figures)
    speech_cpu_s = start_s + sum(one.get("speech_cpu_s", one["cpu_s"]) for one in figures)
    heard = {session: read_file(path)[0] for session, path in paths.items()}
    if name == PYANNOTE:
        return Run({session: replace(said, utterances=None) for session, said in heard.items()}, None, cpu_s)
    return Run(heard, speech_cpu_s, cpu_s if name == WHISPERX else None)


def figures(of: Iterable[Recording], heard: Mapping[str, Said]) -> dict[str, float]:
    """Score recordings together: rates in percent, words per hour, seconds; what was not measured is missing."""
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
        values |= {name: found["der"].counts[name] for name in ("sessions", "sessions_with_right_count")}
    return values


def systems_table(kinds: Mapping[str, Sequence[Recording]], runs: Mapping[str, Mapping[str, Run]]) -> Iterator[str]:
    """Give a row for each system on each kind of recording."""
    yield (
        f"| | System | WER % | lost per hour (longest) | invented per hour | word starts off by, s | DER % | "
        f"count right | words by wrong speaker % | CPU s per s: words | … with speakers |"
    )
    yield "|---" * 11 + "|"
    for kind, of in kinds.items():
        seconds = sum(one.duration_s for one in of)
        for system, run in runs[kind].items():
            found = figures(of, run.heard)
            lost = f"{found['lost']:.0f} ({found['longest']:.0f})" if "lost" in found else "–"
            count = f"{found['sessions_with_right_count']:.0f} of {found['sessions']:.0f}" if "der" in found else "–"
            costs = [None if cost is None else cost / seconds for cost in (run.speech_cpu_s, run.cpu_s)]
            cells = [
                f"{kind}, {len(of)}, {seconds / 60:.0f} min" if system == OURS else "",
                SYSTEMS[system],
                shown(found.get("wer")),
                lost,
                shown(found.get("invented"), 0),
                shown(found.get("start"), 3),
                shown(found.get("der")),
                count,
                shown(found.get("wrong")),
                *(shown(cost, 3) for cost in costs),
            ]
            yield f"| {' | '.join(cells)} |"


def recordings_table(of: Sequence[Recording], runs: Mapping[str, Run]) -> Iterator[str]:
    """Give a row for each recording: the WER of every system, and who was found."""
    words = [system for system in runs if system != PYANNOTE]
    yield f"| Recording | min | WER %: {' | '.join(SYSTEMS[s] for s in words)} | DER %: ours | people found |"
    yield "|---" * (len(words) + 4) + "|"
    for one in of:
        rates = [shown(figures([one], runs[system].heard).get("wer")) for system in words]
        found = figures([one], runs[OURS].heard)
        people = [len({turn.speaker for turn in said.turns or ()}) for said in (runs[OURS].heard[one.name], one.truth)]
        cells = [one.name, f"{one.duration_s / 60:.1f}", *rates, shown(found.get("der")), "{} of {}".format(*people)]
        yield f"| {' | '.join(cells)} |"


def shown(value: float | None, digits: int = 1) -> str:
    """Return a figure as the tables have it."""
    return "–" if value is None else f"{value:.{digits}f}"


def bars(
    kinds: Mapping[str, Sequence[Recording]], runs: Mapping[str, Mapping[str, Run]], changed: Mapping[str, int]
) -> Iterator[tuple[str, str, bool]]:
    """Give each bar, its value and whether it is held.

    Args:
        kinds: recordings by kind.
        runs: what systems made of them, by kind and system.
        changed: how many words are others when a recording is cut every minute.
    """
    every = [one for of in kinds.values() for one in of]
    heard = {
        system: {name: said for run in runs.values() if system in run for name, said in run[system].heard.items()}
        for system in SYSTEMS
    }
    both = {system: figures(every, heard[system]) for system in (OURS, SEQUENTIAL)}
    more = {
        one.name: figures([one], heard[OURS])["wer"] - figures([one], heard[SEQUENTIAL])["wer"]
        for one in every
        if one.duration_s >= LONG_S and one.truth.utterances
    }
    if more:
        worst = max(more, key=lambda name: more[name])
        value = f"{more[worst]:+.1f} points at most ({worst})"
        yield "WER less faster-whisper's, recordings of 5 minutes and more ≤ 0.3 points", value, more[worst] <= 0.3
    if READ in kinds:
        rates = [figures(kinds[READ], runs[READ][system].heard)["wer"] for system in (OURS, SEQUENTIAL)]
        value = f"{rates[0]:.1f} and {rates[1]:.1f} %"
        yield "WER on read speech at least 1 point below faster-whisper's", value, rates[0] <= rates[1] - 1
    for kind, bar in ((READ, 0.8), (MEETINGS, 1.1), (CONVERSATIONS, 1.1)):
        if kind in kinds:
            ratio = runs[kind][OURS].speech_cpu_s / runs[kind][SEQUENTIAL].speech_cpu_s
            yield f"CPU for the words on {kind} ≤ {bar} of faster-whisper's", f"{ratio:.2f}", ratio <= bar
    if all(WHISPERX in run for run in runs.values()):
        ratio = sum(r[OURS].cpu_s for r in runs.values()) / sum(r[WHISPERX].cpu_s for r in runs.values())
        yield "CPU for words and speakers ≤ 0.6 of whisperX's (without alignment)", f"{ratio:.2f}", ratio <= 0.6
    lost = [both[system]["lost"] for system in both]
    yield "words lost per hour not above faster-whisper's", f"{lost[0]:.0f} and {lost[1]:.0f}", lost[0] <= lost[1]
    start = both[OURS]["start"]
    yield "word starts off by ≤ 60 ms (median)", f"{1000 * start:.0f} ms", start <= 0.06
    value = ", ".join(f"{name}: {count}" for name, count in changed.items())
    yield "words that cutting every 60 s changes: 0", value, not any(changed.values())
    if PYANNOTE in runs[READ]:
        apart = [speaker_errors(heard[PYANNOTE][one.name], heard[OURS][one.name]) for one in every]
        most = max(found.errors.sum() / max(1, len(heard[OURS][one.name].turns)) for one, found in zip(every, apart, strict=True))
        yield "turns equal pyannote's own with the same pipeline, to 1 ms", f"{1000 * most:.1f} ms a turn", most <= 0.001
    ordinary = [one for one in kinds.get(CONVERSATIONS, ()) if not HARD.search(one.name)]
    if ordinary:
        found = figures(ordinary, heard[OURS])
        right, of = found["sessions_with_right_count"], found["sessions"]
        yield "DER on conversations of 2 to 5 people with ordinary turns ≤ 10 %", f"{found['der']:.1f} %", found["der"] <= 10
        yield "count of speakers right there in 9 of 10", f"{right:.0f} of {of:.0f}", right >= 0.9 * of


def changed_words(of: Sequence[Recording], settings: dict[str, Any], run: Run) -> dict[str, int]:
    """Return how many words of each recording are others when it is cut every minute instead of not at all."""
    cut = settings | {"chunk": {"target_s": 60, "search_s": 10}}
    chunked = ours(of, cut, WORK / "chunked", speakers=False)
    return {one.name: _differing(run.heard[one.name], chunked.heard[one.name]) for one in of}


def _differing(one: Said, other: Said) -> int:
    texts = [[word.text for word in said.words] for said in (one, other)]
    same = difflib.SequenceMatcher(None, *texts, autojunk=False).get_matching_blocks()
    return max(map(len, texts)) - sum(block.size for block in same)


def main() -> int:
    """Measure, print the tables and the bars, and write them into the docs if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, help="a speech model's folder (default: Whisper base)")
    parser.add_argument("--diarization", type=Path, help="a pipeline's folder (default: the open one)")
    parser.add_argument("--whisperx", type=Path, default=ROOT / "build/peers/venv", help="its environment")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/accuracy.md")
    given = parser.parse_args()
    speech, diarization = given.speech.resolve(), given.diarization.resolve()
    models: dict[str, Any] = {"speech": str(speech), "diarization": str(diarization)}
    models["identity"] = {name: identity(path) for name, path in models.items()}
    settings = {
        "transcribe": {"model": str(speech), "device": "cpu", "compute_type": "int8", "language": "en"},
        "diarize": {"model": str(diarization), "device": "cpu"},
    }
    pythons = {SEQUENTIAL: Path(sys.executable), BATCHED: Path(sys.executable), WHISPERX: given.whisperx / "bin/python", PYANNOTE: Path(sys.executable)}
    if not pythons[WHISPERX].exists():
        print(f"whisperX is left out: it is not installed in {given.whisperx}", file=sys.stderr)
        del pythons[WHISPERX]
    kinds = {kind: found for kind, folders in FOLDERS.items() if (found := list(recordings(folders)))}
    runs = {}
    for kind, of in kinds.items():
        print(f"{kind}: {len(of)} recordings", file=sys.stderr)
        runs[kind] = {name: peer(name, of, models, python) for name, python in pythons.items()}
        runs[kind] = {OURS: ours(of, settings, WORK / slug(kind))} | runs[kind]
    long = [one for one in kinds[READ] if one.duration_s >= LONG_S]
    changed = changed_words(long, settings, runs[READ][OURS])
    lines = [f"Measured on {datetime.now(UTC):%Y-%m-%d}.", ""]
    lines += [*systems_table(kinds, runs), ""]
    for kind in kinds:
        lines += [*recordings_table(kinds[kind], runs[kind]), ""]
    for bar, value, held in bars(kinds, runs, changed):
        print(f"bar: {bar}: {value}: {'held' if held else 'NOT held'}")
        lines.append(f"- {bar}: {value}, {'held' if held else '**not held**'}.")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
