"""Mixed conversations: repeatable, never cut, never more than two voices, and true to their own truth."""

from dataclasses import dataclass

import numpy as np
import pytest

from demo_models.conversation import (
    SAMPLE_RATE,
    ConversationMixer,
    MixSettings,
    merge_intervals,
    speech_intervals,
)


@dataclass(frozen=True)
class Sentence:
    text: str
    words: list[tuple[str, float, float]]
    offset: int
    pitch: float
    seconds: float


class ToneBank:
    """Speakers that hum: each sentence is a tone with silence of 0.2 s at both ends."""

    def __init__(self, speakers: int = 4, sentences: int = 12) -> None:
        self.by_speaker = {
            f"voice-{s}": [
                Sentence(
                    text=f"word {s} {k}",
                    words=[("word", 0.2, 0.5), (f"{s}-{k}", 0.5, 1.0 + 0.1 * k)],
                    offset=100 * s + k,
                    pitch=150.0 + 40 * s,
                    seconds=1.2 + 0.1 * k,
                )
                for k in range(sentences)
            ]
            for s in range(speakers)
        }

    def audio(self, sentence: Sentence) -> np.ndarray:
        time = np.arange(round(sentence.seconds * SAMPLE_RATE)) / SAMPLE_RATE
        tone = 0.3 * np.sin(2 * np.pi * sentence.pitch * time)
        tone[: SAMPLE_RATE // 5] = 0
        tone[-SAMPLE_RATE // 5 :] = 0
        return tone.astype(np.float32)


@pytest.fixture
def mixer() -> ConversationMixer:
    return ConversationMixer(ToneBank())


def test_same_seed_same_samples(mixer):
    first, second = mixer.mix(5, 40.0, 3), mixer.mix(5, 40.0, 3)
    assert np.array_equal(first.waveform, second.waveform)
    assert first.truth() == second.truth()
    assert not np.array_equal(first.waveform, mixer.mix(6, 40.0, 3).waveform)


@pytest.mark.parametrize("speakers", [1, 2, 3, 4])
def test_length_speakers_and_order(mixer, speakers):
    talk = mixer.mix(1, 60.0, speakers)
    assert len(talk.waveform) == 60 * SAMPLE_RATE
    assert len(talk.speakers) == speakers
    assert set(talk.stems) == set(talk.speakers) == {word.speaker for word in talk.words}
    assert all(0 <= word.start <= word.end <= 60 for word in talk.words)
    assert [word.start for word in talk.words] == sorted(word.start for word in talk.words)


def test_never_more_than_two_voices(mixer):
    talk = mixer.mix(3, 120.0, 4, MixSettings(overlap_probability=1.0))
    active = np.zeros(12_000)
    for turn in talk.turns:
        active[round(turn.start * 100) : round(turn.end * 100)] += 1
    assert active.max() == 2
    assert 0.02 < talk.overlap_ratio < 0.6


def test_turns_are_where_the_stems_are_loud(mixer):
    talk = mixer.mix(2, 60.0, 2, MixSettings(merge_gap_s=0.05))
    for name, stem in talk.stems.items():
        loud = np.abs(stem[: 6000 * 160].reshape(6000, 160)).max(axis=1) > 1e-3
        marked = np.zeros(6000, dtype=bool)
        for turn in talk.turns:
            if turn.speaker == name:
                marked[round(turn.start * 100) : round(turn.end * 100)] = True
        assert (loud != marked).mean() < 0.01


def test_renamed_keeps_everything_but_names(mixer):
    talk = mixer.mix(4, 40.0, 2)
    renamed = talk.renamed("meeting", ["anna", "ben"])
    assert renamed.truth()["session"] == "meeting"
    assert renamed.speakers == ["anna", "ben"]
    assert [w.start for w in renamed.words] == [w.start for w in talk.words]
    assert np.array_equal(renamed.stems["anna"], talk.stems[talk.speakers[0]])


def test_merge_intervals():
    assert merge_intervals([(2.0, 3.0), (0.0, 1.0), (1.2, 1.5)], 0.3) == [(0.0, 1.5), (2.0, 3.0)]
    assert merge_intervals([], 0.3) == []


def test_speech_intervals_trim_silence():
    audio = ToneBank().audio(ToneBank().by_speaker["voice-0"][0])
    (found,) = speech_intervals(audio)
    assert found == pytest.approx((0.2, 1.0), abs=0.02)
    assert speech_intervals(np.zeros(0, dtype=np.float32)) == []
    assert speech_intervals(np.zeros(16_000, dtype=np.float32)) == []
