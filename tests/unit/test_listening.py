"""A window is heard once, whoever speaks in it: the same embeddings, of the models that people use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sessionscribe.engines import pyannote  # noqa: F401 -- sets what the libraries read when imported
from sessionscribe.engines.listening import listen_once


def random_model(name: str) -> Any:
    """An embedding model as a pipeline has it: of the real kind and size, with random weights."""
    import pyannote.audio.models.embedding as kinds  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from pyannote.audio.pipelines.speaker_verification import (  # noqa: PLC0415
        PyannoteAudioPretrainedSpeakerEmbedding,
    )

    torch.manual_seed(1)
    return PyannoteAudioPretrainedSpeakerEmbedding(getattr(kinds, name)())


def rows(windows: int, speakers: int) -> tuple[Any, Any]:
    """What pyannote hands over: each window once per speaker, a mask for each; some never speak."""
    import torch  # noqa: PLC0415

    draw = torch.Generator().manual_seed(2)
    waveforms = 0.1 * torch.randn(windows, 1, 32_000, generator=draw).repeat_interleave(speakers, 0)
    masks = (torch.rand(windows * speakers, 60, generator=draw) > 0.5).float()
    masks[1] = 0
    masks[speakers : 2 * speakers] = 0
    return waveforms, masks


@pytest.mark.parametrize("name", ["WeSpeakerResNet34", "XVectorSincNet"])
@pytest.mark.parametrize(("first", "last"), [(0, 12), (3, 9), (3, 6)])
def test_the_same_is_found_in_one_hearing(name: str, first: int, last: int) -> None:
    """In some batches nobody speaks."""
    plain = random_model(name)
    once = listen_once(plain, 3)
    assert once is not plain
    assert (once.dimension, once.metric) == (plain.dimension, plain.metric)
    waveforms, masks = (part[first:last] for part in rows(4, 3))
    wanted, found = plain(waveforms, masks=masks), once(waveforms, masks=masks)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert np.isfinite(found).all()
    if masks.any():
        assert len(np.unique(found.round(3), axis=0)) > 1


def test_a_model_hears_each_window_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = random_model("XVectorSincNet")
    once, heard, forward = listen_once(plain, 3), [], plain.model_.forward

    def counted(waveforms: Any, weights: Any) -> Any:
        heard.append(len(waveforms))
        return forward(waveforms, weights=weights)

    monkeypatch.setattr(plain.model_, "forward", counted)
    once(*rows(4, 3)[:1], masks=rows(4, 3)[1])
    assert heard == [3]  # of four windows one is silent


def test_a_model_that_cannot_be_told_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = random_model("XVectorSincNet")
    forward = plain.model_.forward

    def one_mask(waveforms: Any, weights: Any) -> Any:
        batch, frames = weights.shape
        assert batch == len(waveforms)
        return forward(waveforms, weights=weights.reshape(batch, frames))

    monkeypatch.setattr(plain.model_, "forward", one_mask)
    assert listen_once(plain, 3) is plain
