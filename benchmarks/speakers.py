"""How many speakers are found, and how many words get the right one, by the number of people who talk.

    python benchmarks/speakers.py --bank build/demo_models/bank/heldout

Conversations of 2 to 12 held-out voices are mixed, with exact truth, from a bank of utterances that
`snakemake -s rules/demo_models.smk --cores 2 build/demo_models/bank/heldout.json` makes. They go through our
own diarization; the words are the true ones at their true times, so that what is measured is who is who and
nothing else. A second table says how well people are known again by an enrolment clip: other utterances than
those of the conversation, of some lengths, with and without the person among those who are enrolled.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "tests/data/toy/models/diarization-demo"
sys.path.insert(0, str(ROOT / "scripts"))

import numpy as np  # noqa: E402

from demo_models.bank import UtteranceBank  # noqa: E402
from demo_models.conversation import Conversation, ConversationMixer  # noqa: E402
from sessionscribe.artifacts import (  # noqa: E402
    SAMPLE_RATE,
    Merged,
    MergedSegment,
    MergedWord,
    Timeline,
    TimelineTrack,
    Turn,
    Turns,
    Voice,
    Voices,
)
from sessionscribe.config import Diarize  # noqa: E402
from sessionscribe.diarize import assign_speakers, cluster_speakers  # noqa: E402
from sessionscribe.embeddings import Embeddings  # noqa: E402
from sessionscribe.engines.pyannote import window_models  # noqa: E402
from sessionscribe.evaluation.evaluate import Measure, Options, Scores, evaluate  # noqa: E402
from sessionscribe.evaluation.references import from_truth, read_file  # noqa: E402
from sessionscribe.matching import match  # noqa: E402
from sessionscribe.voices import voices  # noqa: E402

SECONDS_EACH = 45.0
LEAST_S = 300.0
CLIPS_S = (3.0, 5.0, 10.0, 20.0)
PHANTOM = 0.02


class Half:
    """Every other utterance of a bank, so that clips and conversations have none in common."""

    def __init__(self, bank: UtteranceBank, first: int) -> None:
        self.by_speaker = {name: said[first::2] for name, said in bank.by_speaker.items()}
        self.audio = bank.audio


@dataclass(frozen=True)
class Found:
    """What our stages made of a conversation."""

    turns: Turns
    voices: Voices
    said: Any


class Listener:
    """Our diarization with one pipeline, loaded once."""

    def __init__(self, options: Diarize, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.models = window_models(options, threads=2)

    def windows(self, session: str, samples: Any) -> Embeddings:
        """Return what the models find in all windows of some audio."""
        grid = self.models.grid(self.options.step)
        segmentations, embeddings = self.models.look(samples, grid)
        about = self.models.describe(session, grid, range(len(segmentations)))
        return Embeddings(about, segmentations, embeddings)

    def diarize(self, talk: Conversation) -> Found:
        """Return who speaks when in a conversation, and who says each of its true words."""
        samples = len(talk.waveform)
        track = TimelineTrack(track="mix", offset=0, samples=samples)
        timeline = Timeline(session=talk.session, shape="recording", samples=samples, tracks=[track], gaps=[])
        file, turns, sounds = (self.folder / name for name in ("0000.npz", "turns.json", "voices.json"))
        self.windows(talk.session, talk.waveform).write(file)
        found, _ = cluster_speakers(
            timeline=timeline, embeddings=[file], options=self.options, output=turns, sounds=sounds
        )
        transcript = self.folder / f"{talk.session}.json"
        assign_speakers(merged=true_words(talk), turns=found, speakers={}, output=transcript)
        return Found(found, Voices.read(sounds), read_file(transcript)[0])

    def voice(self, samples: Any) -> list[float]:
        """Return how the one person in a clip sounds."""
        found = self.windows("clip", samples)
        turn = Turn(start=0, end=len(samples) / SAMPLE_RATE, speaker="one")
        return voices(found, [turn])[0].embedding


def true_words(talk: Conversation) -> Merged:
    """Return the true words as if they had been transcribed, without speakers."""
    words = [
        MergedWord(
            text=word.text,
            start=round(word.start, 3),
            end=round(max(word.start, word.end), 3),
            probability=1.0,
            track="mix",
            chunk=0,
        )
        for word in talk.words
    ]
    segments = [MergedSegment(track="mix", start=words[0].start, end=words[-1].end, words=words)]
    nothing: dict[str, Any] = {"dropped": [], "removed": [], "gaps": [], "engines": []}
    return Merged(
        session=talk.session,
        shape="recording",
        duration_s=round(talk.duration_s, 3),
        language="en",
        segments=segments,
        chunks=1,
        **nothing,
    )


def shares(turns: Turns) -> dict[str, float]:
    """Return each speaker's share of all speech."""
    spoken: dict[str, float] = defaultdict(float)
    for turn in turns.turns:
        spoken[turn.speaker] += turn.end - turn.start
    return {speaker: time / sum(spoken.values()) for speaker, time in spoken.items()}


def clip(bank: Half, speaker: str, length_s: float) -> Any:
    """Return utterances of a person, one after the other, cut to a length."""
    parts = [bank.audio(said) for said in bank.by_speaker[speaker]]
    samples = np.concatenate(parts)
    return samples[: round(length_s * SAMPLE_RATE)].astype(np.float32)


def shown(measure: Measure | None) -> str:
    """Return a share in percent."""
    return "–" if measure is None else f"{100 * measure.value:.1f}"


def counting(rows: Sequence[dict[str, Any]], scores: Scores) -> None:
    """Print the table of conversations."""
    print("| speakers | found | above 2 % of speech | DER % | words by wrong speaker % | cpWER % |")
    print("|---|---|---|---|---|---|")
    for people in sorted({row["speakers"] for row in rows}):
        same = [row for row in rows if row["speakers"] == people]
        found = ", ".join(str(row["found"]) for row in same)
        real = ", ".join(str(row["above"]) for row in same)
        cells = [
            " / ".join(shown(scores.sessions[row["session"]].get(name)) for row in same)
            for name in ("der", "word_speaker_error", "cpwer")
        ]
        print(f"| {people} | {found} | {real} | {' | '.join(cells)} |")
    right = sum(row["speakers"] == row["found"] for row in rows)
    near = sum(abs(row["speakers"] - row["found"]) <= 1 for row in rows)
    total = [shown(scores.pooled.get(name)) for name in ("der", "word_speaker_error", "cpwer")]
    print(f"| all | right {right}, off by one at most {near} of {len(rows)} | | {' | '.join(total)} |")


def recognising(
    heard: Sequence[tuple[Conversation, Found]], enrolled: dict[float, dict[str, list[float]]], margin: float
) -> list[dict[str, float]]:
    """Print the table of names, and return it."""
    print("\n| clip s | threshold | right name % | no name % | wrong name % | stranger named % |")
    print("|---|---|---|---|---|---|")
    table = []
    for length_s, people in enrolled.items():
        for threshold in (0.15, 0.2, 0.25, 0.3, 0.4, 0.5):
            counts: dict[str, int] = defaultdict(int)
            for talk, found in heard:
                for voice, truth in true_labels(talk, found):
                    among = {name: [embedding] for name, embedding in people.items()}
                    got = match([voice], among, threshold=threshold, margin=margin)[0].name
                    counts["right" if got == truth else "none" if got is None else "wrong"] += 1
                    del among[truth]
                    other = match([voice], among, threshold=threshold, margin=margin)[0].name
                    counts["stranger"] += other is not None
                    counts["all"] += 1
            row = {
                name: 100 * counts[name] / counts["all"] for name in ("right", "none", "wrong", "stranger")
            }
            table.append({"clip_s": length_s, "threshold": threshold, **row})
            print(f"| {length_s:g} | {threshold:g} | " + " | ".join(f"{v:.1f}" for v in row.values()) + " |")
    return table


def true_labels(talk: Conversation, found: Found) -> list[tuple[Voice, str]]:
    """Return each voice with whoever says four fifths of what that speaker says; the others are left out."""
    result = []
    for voice in found.voices.voices:
        mine = [turn for turn in found.turns.turns if turn.speaker == voice.speaker]
        common: dict[str, float] = defaultdict(float)
        for turn in mine:
            for true in talk.turns:
                common[true.speaker] += max(0.0, min(turn.end, true.end) - max(turn.start, true.start))
        best = max(common, key=lambda name: common[name])
        if common[best] >= 0.8 * sum(common.values()):
            result.append((voice, best))
    return result


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bank", required=True, help="the bank of utterances, without its ending")
    parser.add_argument("--speakers", type=int, nargs="+", default=list(range(2, 13)))
    parser.add_argument("--rounds", type=int, default=2, help="conversations of each number of speakers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=str(MODEL), help="the diarization pipeline")
    parser.add_argument("--step", type=float, help="`diarize.step`")
    parser.add_argument("--margin", type=float, default=0.05, help="`name.margin`")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    bank = UtteranceBank(arguments.bank)
    spoken, kept = Half(bank, 0), Half(bank, 1)
    mixer = ConversationMixer(spoken)
    rows, both, heard = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        options = Diarize(model=arguments.model, device="cpu", step=arguments.step)
        listener = Listener(options, Path(folder))
        for people in arguments.speakers:
            for number in range(arguments.rounds):
                seed = arguments.seed * 10_000 + 100 * number + people
                talk = mixer.mix(seed, max(LEAST_S, SECONDS_EACH * people), people)
                found = listener.diarize(talk)
                both.append((from_truth(talk.truth()), found.said))
                heard.append((talk, found))
                parts = shares(found.turns)
                above = sum(share >= PHANTOM for share in parts.values())
                rows.append(
                    {"session": talk.session, "speakers": people, "found": len(parts), "above": above}
                )
                print(f"{people} speakers, {len(parts)} found", file=sys.stderr)
        enrolled = {
            length_s: {name: listener.voice(clip(kept, name, length_s)) for name in kept.by_speaker}
            for length_s in CLIPS_S
        }
    scores = evaluate(both, Options())
    counting(rows, scores)
    table = recognising(heard, enrolled, arguments.margin)
    if arguments.json:
        measures = {
            name: {key: measure.figures() for key, measure in found.items()}
            for name, found in scores.sessions.items()
        }
        arguments.json.write_text(
            json.dumps({"conversations": rows, "measures": measures, "names": table}, indent=1) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
