"""The open diarization pipeline: its weights come without the code around them; it tells voices apart."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from faster_whisper.audio import decode_audio
from numpy.typing import NDArray

import builders
from sessionscribe.artifacts.speakers import Turn
from sessionscribe.audio.sliding_window import of_recording
from sessionscribe.config.settings import Diarize
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines import models
from sessionscribe.engines.ge2e import GE2E
from sessionscribe.engines.open_pipeline import tensors
from sessionscribe.stages.diarize.diarize import cluster_speakers, embed_chunk

OPEN = Diarize(model=models.DIARIZATION["open"], device="cpu")
Samples = NDArray[np.float32]


class Active:
    """What writes a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.trace), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_read_without_running_what_was_pickled(tmp_path: Path, zipped: bool) -> None:
    trace, buffer = tmp_path / "trace", io.BytesIO()
    content = {"state_dict": {"weight": torch.ones(2)}, "callbacks": Active(trace)}
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    try:
        found = tensors(buffer.getvalue(), "state_dict")
    except Exception:
        assert not zipped, "what a zipped one names beside tensors is passed over"
    else:
        assert torch.equal(found["weight"], torch.ones(2))
    assert not trace.exists()


def test_a_voice_has_nothing_of_who_speaks_in_between() -> None:
    model = GE2E().eval()
    time = torch.arange(32_000)[None] / SAMPLE_RATE
    one, other, third = (0.1 * torch.sin(2 * torch.pi * hertz * time) for hertz in (300, 900, 2700))
    masks = torch.zeros(2, 500)
    masks[0, :155] = masks[0, 345:] = 1  # the middle 2 s are another's
    masks[1, 170:330] = 1
    with torch.inference_mode():
        two, twice = (
            model(torch.cat([one, middle, one], 1)[None], masks[None])[0] for middle in (other, third)
        )
        apart = model(torch.cat([one, other, one], 1)[None], masks[1:])
        nobody = model(one[None], torch.zeros(1, 500))
    assert torch.allclose(two[0], twice[0], atol=1e-3)
    assert not torch.allclose(two[1], twice[1], atol=1e-3)
    assert torch.allclose(two[1], apart[0], atol=1e-5)
    assert nobody.isnan().all()
    with pytest.raises(ValueError, match="6400 samples"):
        model(one[None, :, :6399])


def diarized(folder: Path, samples: Samples, options: Diarize = OPEN) -> list[Turn]:
    soundfile.write(folder / "main.flac", samples, SAMPLE_RATE, subtype="PCM_16")
    duration_s = len(samples) / SAMPLE_RATE
    timeline = builders.timeline(builders.plan(duration_s))
    files = []
    for stretch in of_recording("main", duration_s, 600):
        files.append(folder / f"{stretch.name}.npz")
        given = {"timeline": timeline, "stretch": stretch, "audio": [folder / "main.flac"]}
        embed_chunk(**given, options=options, output=files[-1])
    turns, _ = cluster_speakers(
        timeline=timeline,
        embeddings=files,
        options=options,
        output=folder / "turns.json",
        voices=folder / "voices.json",
    )
    return turns.turns


def speakers(turns: list[Turn]) -> set[str]:
    return {turn.speaker for turn in turns}


@pytest.mark.real
@pytest.mark.usefixtures("open_pipeline")
class TestReal:
    def test_its_files_hold_weights_and_no_code(self, open_pipeline: Path) -> None:
        from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: PLC0415

        with torch.serialization.safe_globals([Problem, Resolution, Specifications]):
            for part in ("segmentation", "embedding"):
                torch.load(open_pipeline / part / "pytorch_model.bin", weights_only=True)

    def test_two_who_take_quick_turns(self, tmp_path: Path, shared: Path) -> None:
        samples, _ = soundfile.read(shared / "data/misc/sample.wav", dtype="float32")
        turns = diarized(tmp_path, samples)
        assert len(speakers(turns)) == 2
        heard = set()
        for line in (shared / "data/misc/sample.rttm").read_text().splitlines():
            _, _, _, start, length, _, _, person, *_ = line.split()
            if float(length) > 1:
                middle = float(start) + float(length) / 2
                heard.add((person, next(t.speaker for t in turns if t.start <= middle < t.end)))
        assert len(heard) == len({speaker for _, speaker in heard}) == 2

    @pytest.mark.parametrize(
        "name", ["misc/jfk.flac", "librivox/sense_and_sensibility_01_austen_64kb-0870.wav"]
    )
    def test_one_speaker_is_one(self, tmp_path: Path, shared: Path, name: str) -> None:

        turns = diarized(tmp_path, decode_audio(str(shared / "data" / name)))
        assert len(speakers(turns)) == 1

    @pytest.mark.parametrize("seconds", [0.01, 0.5, 12])
    def test_silence_and_noise_have_nobody(self, tmp_path: Path, seconds: float) -> None:
        noise = np.random.default_rng(0).normal(0, 1e-3, round(seconds * SAMPLE_RATE))
        for samples in (np.zeros_like(noise), noise):
            assert diarized(tmp_path, samples.astype(np.float32)) == []

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_a_known_number_is_kept_to(self, tmp_path: Path, shared: Path, count: int) -> None:
        samples, _ = soundfile.read(shared / "data/misc/sample.wav", dtype="float32")
        turns = diarized(tmp_path, samples, OPEN.model_copy(update={"num_speakers": count}))
        assert len(speakers(turns)) == count
