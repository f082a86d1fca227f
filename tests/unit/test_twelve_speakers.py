"""Many speakers: a conversation of twelve, from audio to words with speakers, against the truth.

The words are the true ones: what is measured is who says them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

import builders
from project import DIARIZATION_MODEL, ROOT, cut_audio
from sessionscribe.artifacts.plan import Timeline
from sessionscribe.artifacts.speakers import Turns
from sessionscribe.audio.sliding_window import of_recording
from sessionscribe.config.settings import Diarize
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.evaluation.evaluate import Measure, Options, evaluate
from sessionscribe.evaluation.intervals import Bootstrap
from sessionscribe.formats.references import read_file
from sessionscribe.stages.diarize.diarize import assign_speakers, cluster_speakers, embed_chunk

OPTIONS = Diarize(model=str(DIARIZATION_MODEL), device="cpu", chunk_s=120)
(TRUTH,) = read_file(ROOT / "tests/data/twelve.json")


class Heard:
    """The conversation as the jobs that need models leave it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        audio = cut_audio(ROOT / "tests/data/twelve.ogg", folder / "mix.flac", 0, 1000)
        duration_s = soundfile.info(audio).frames / SAMPLE_RATE
        self.timeline: Timeline = builders.timeline(builders.plan(duration_s, session="twelve", track="mix"))
        self.windows = []
        for stretch in of_recording("mix", duration_s, OPTIONS.chunk_s):
            output = folder / f"{stretch.name}.npz"
            embed_chunk(
                timeline=self.timeline,
                stretch=stretch,
                audio=[audio],
                options=OPTIONS,
                output=output,
            )
            self.windows.append(output)

    def speakers(self, **given: int) -> tuple[Turns, dict[str, Measure]]:
        """Cluster, give the true words their speakers, and compare with the truth."""
        turns, _ = cluster_speakers(
            timeline=self.timeline,
            embeddings=self.windows,
            options=OPTIONS.model_copy(update=given),
            output=self.folder / "turns.json",
            voices=self.folder / "voices.json",
        )
        said = sorted(TRUTH.words, key=lambda word: word.start or 0.0)
        words = [builders.word(w.text, w.start or 0.0, max(w.start or 0.0, w.end or 0.0)) for w in said]
        output = self.folder / "transcript.json"
        assign_speakers(merged=builders.merged(words), turns=turns, speakers={}, output=output)
        options = Options(bootstrap=Bootstrap(resamples=10))
        return turns, evaluate([(TRUTH, read_file(output)[0])], options).pooled


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    assert len({turn.speaker for turn in TRUTH.turns or ()}) == 12
    return Heard(tmp_path_factory.mktemp("twelve"))


def test_of_twelve_people_about_as_many_are_found(heard: Heard) -> None:
    turns, measures = heard.speakers()
    assert 9 <= len(turns.speakers) <= 13
    assert measures["word_speaker_error"].value < 0.3
    assert measures["der"].value < 0.3


def test_the_number_of_speakers_is_kept_to_without_listening_again(heard: Heard) -> None:
    for given, found in (({"num_speakers": 12}, 12), ({"max_speakers": 6}, 6), ({"min_speakers": 14}, 14)):
        turns, _ = heard.speakers(**given)
        assert len(turns.speakers) == found
