"""Score the pipeline's exports against exact truth: words, word times, speakers.

    PYTHONPATH=scripts python -m demo_models.evaluation \\
        --export results/export --truth build/demo_models/heldout

A truth file `{session}.json` is compared with `{export}/{session}/{session}.json` and `.rttm` beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from pyannote.core import Annotation, Segment
from pyannote.metrics.diarization import DiarizationErrorRate


@dataclass(frozen=True)
class Token:
    """One normalised word with the time and speaker of the word it comes from."""

    text: str
    start: float
    speaker: str | None


@dataclass
class Score:
    """Counts of one session, or of several added up; seconds for speech, numbers for words."""

    session: str
    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    matched: int = 0
    right_speaker: int = 0
    """Matched words whose speaker is right under the best mapping of names."""
    start_errors: list[float] = field(default_factory=list, repr=False)
    """|found start - true start| of each matched word."""
    speech_s: float = 0.0
    missed_s: float = 0.0
    false_alarm_s: float = 0.0
    confusion_s: float = 0.0
    speakers: int = 0
    speakers_found: int = 0
    counts_right: int = 0
    sessions: int = 0

    @property
    def wer(self) -> float:
        """Word error rate."""
        return (self.substitutions + self.deletions + self.insertions) / max(1, self.words)

    @property
    def der(self) -> float:
        """Diarization error rate without collar, overlap scored."""
        return (self.missed_s + self.false_alarm_s + self.confusion_s) / max(1e-9, self.speech_s)

    def figures(self) -> dict[str, Any]:
        """Rates and counts for the report."""
        errors = self.start_errors or [float("nan")]
        speech = max(1e-9, self.speech_s)
        return {
            "session": self.session,
            "words": self.words,
            "wer": round(self.wer, 4),
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "start_error_median_s": round(float(np.median(errors)), 3),
            "start_error_p95_s": round(float(np.quantile(errors, 0.95)), 3),
            "word_speaker_accuracy": round(self.right_speaker / max(1, self.matched), 4),
            "speech_s": round(self.speech_s, 2),
            "der": round(self.der, 4),
            "missed": round(self.missed_s / speech, 4),
            "false_alarm": round(self.false_alarm_s / speech, 4),
            "confusion": round(self.confusion_s / speech, 4),
            "speakers": self.speakers,
            "speakers_found": self.speakers_found,
            "counts_right": self.counts_right,
            "sessions": self.sessions,
        }


def pooled(scores: Iterable[Score]) -> Score:
    """All counts added up."""
    total = Score("all")
    for score in scores:
        for name, value in asdict(score).items():
            if name != "session":
                setattr(total, name, getattr(total, name) + value)
    return total


def tokens_of(words: Iterable[Mapping[str, Any]]) -> list[Token]:
    """Lower-case words without punctuation (apostrophes inside a word stay)."""
    return [
        Token(part, float(word["start"]), word.get("speaker"))
        for word in words
        for part in re.findall(r"[^\W_]+(?:'[^\W_]+)*", str(word["text"]).lower().replace("’", "'"))
    ]


def words_by_turn(truth: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The truth's words, turn after turn: where two speak at once, each keeps their words together."""
    turns = truth["turns"]

    def key(word: Mapping[str, Any]) -> tuple[float, float]:
        middle = (word["start"] + word["end"]) / 2
        own = [t for t in turns if t["speaker"] == word["speaker"]]
        nearest = min(own, key=lambda t: max(t["start"] - middle, middle - t["end"], 0.0))
        return nearest["start"], word["start"]

    return sorted(truth["words"], key=key)


def annotation_of_turns(turns: Iterable[Mapping[str, Any]]) -> Annotation:
    """Turns with `start`, `end` (seconds) and `speaker` as pyannote's annotation."""
    annotation = Annotation()
    for index, turn in enumerate(turns):
        annotation[Segment(turn["start"], turn["end"]), index] = turn["speaker"]
    return annotation


def read_rttm(path: Path) -> Annotation:
    """Speakers' turns of an RTTM file."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return annotation_of_turns(
        {"start": float(row[3]), "end": float(row[3]) + float(row[4]), "speaker": row[7]}
        for row in rows
        if row and row[0] == "SPEAKER"
    )


def score_words(
    score: Score, truth: Sequence[Token], found: Sequence[Token], names: Mapping[Any, Any]
) -> None:
    """Align words and add the counts to `score`; `names` maps found speakers to true ones."""
    aligned = jiwer.process_words(
        " ".join(t.text for t in truth) or " ", " ".join(t.text for t in found) or " "
    )
    score.words += len(truth)
    score.substitutions += aligned.substitutions
    score.deletions += aligned.deletions
    score.insertions += aligned.insertions
    for chunk in aligned.alignments[0]:
        if chunk.type == "equal":
            for offset in range(chunk.ref_end_idx - chunk.ref_start_idx):
                right, guess = truth[chunk.ref_start_idx + offset], found[chunk.hyp_start_idx + offset]
                score.matched += 1
                score.start_errors.append(abs(guess.start - right.start))
                score.right_speaker += names.get(guess.speaker) == right.speaker


def score_session(truth: Mapping[str, Any], export: Mapping[str, Any] | None, found: Annotation) -> Score:
    """Score one session; without an `export` only the diarization."""
    metric = DiarizationErrorRate(collar=0.0, skip_overlap=False)
    reference = annotation_of_turns(truth["turns"])
    extent = Segment(0, truth["duration_s"])
    parts = metric(reference, found, uem=extent, detailed=True)
    score = Score(
        session=truth["session"],
        speech_s=parts["total"],
        missed_s=parts["missed detection"],
        false_alarm_s=parts["false alarm"],
        confusion_s=parts["confusion"],
        speakers=len(reference.labels()),
        speakers_found=len(found.labels()),
        counts_right=int(len(reference.labels()) == len(found.labels())),
        sessions=1,
    )
    if export is not None:
        words = [word for segment in export["segments"] for word in segment["words"]]
        names = metric.optimal_mapping(reference, found, uem=extent)
        score_words(score, tokens_of(words_by_turn(truth)), tokens_of(words), names)
    return score


def score_folder(export: Path, truth: Path) -> list[Score]:
    """Score every session that has a truth file; a missing export raises FileNotFoundError."""
    scores = []
    for path in sorted(truth.glob("*.json")):
        wanted = json.loads(path.read_text(encoding="utf-8"))
        if "turns" not in wanted:
            continue
        folder = export / wanted["session"]
        made = json.loads((folder / f"{wanted['session']}.json").read_text(encoding="utf-8"))
        scores.append(score_session(wanted, made, read_rttm(folder / f"{wanted['session']}.rttm")))
    return scores


def table(scores: Sequence[Score]) -> str:
    """The scores as an aligned Markdown table, all sessions together in the last row."""
    words = ["words", "WER %", "start median s", "start p95 s", "speaker of word %"]
    rows = [["session", *words, "DER %", "missed", "false", "confused", "speakers"]]
    for score in [*scores, pooled(scores)]:
        f = score.figures()
        count = f"{f['speakers_found']}/{f['speakers']}"
        if score.session == "all":
            count = f"{f['counts_right']} of {f['sessions']} right"
        percent = [f"{100 * f[k]:.1f}" for k in ("der", "missed", "false_alarm", "confusion")]
        rows.append(
            [
                f["session"],
                str(f["words"]),
                f"{100 * f['wer']:.1f}",
                f"{f['start_error_median_s']:.3f}",
                f"{f['start_error_p95_s']:.3f}",
                f"{100 * f['word_speaker_accuracy']:.1f}",
                *percent,
                count,
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def write_scores(scores: Sequence[Score], path: Path) -> None:
    """Write the figures of each session and of all together as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"sessions": [s.figures() for s in scores], "all": pooled(scores).figures()}
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: print the table, write JSON on request, return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="demo_models.evaluation", description="Score exports against truth."
    )
    parser.add_argument("--export", type=Path, required=True, help="folder with {session}/{session}.json")
    parser.add_argument("--truth", type=Path, required=True, help="folder with the truth files")
    parser.add_argument("--json", type=Path, help="also write all figures here")
    parser.add_argument("--max-wer", type=float, help="fail when the pooled WER is higher (0.1 = 10 %%)")
    parser.add_argument("--max-der", type=float, help="fail when the pooled DER is higher")
    options = parser.parse_args(arguments)
    try:
        scores = score_folder(options.export, options.truth)
    except FileNotFoundError as error:
        print(f"{error.filename} is missing: run the pipeline on the recordings first", file=sys.stderr)
        return 2
    if not scores:
        print(f"no truth files in {options.truth}", file=sys.stderr)
        return 2
    total = pooled(scores)
    print(table(scores))
    if options.json:
        write_scores(scores, options.json)
    bars = [(options.max_wer, total.wer), (options.max_der, total.der)]
    return int(any(bar is not None and value > bar for bar, value in bars))


if __name__ == "__main__":
    sys.exit(main())
