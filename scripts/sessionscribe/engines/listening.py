"""Run the speaker-embedding model once for each window, however many people speak in it.

pyannote runs it once for each local speaker of a window, even a silent one, with a different mask. But the
expensive part of the model only depends on the audio, so with three local speakers two thirds of the work are
unnecessary, as are windows without speech.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def listen_once(embedding: Any, speakers: int) -> Any:
    """Return a pipeline's embedding model, wrapped so that it processes each window once, if possible.

    That is possible if masks of several speakers at once give the same embeddings as one mask at a time,
    which is tested with a second of noise. Batches must have whole windows, of ``speakers`` rows each.
    """
    import torch  # noqa: PLC0415
    import torch.nn.functional as F  # noqa: PLC0415, N812
    from pyannote.audio.core.inference import BaseInference  # noqa: PLC0415

    class ListeningOnce(BaseInference):
        """The model, called with all speakers of a window at once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(embedding, name)

        def to(self, device: torch.device) -> Any:
            embedding.to(device)
            return self

        def __call__(self, waveforms: Tensor, masks: Tensor | None = None) -> NDArray[np.float32]:
            if masks is None:
                return embedding(waveforms)  # type: ignore[no-any-return]
            masks = masks.view(-1, speakers, masks.shape[-1])
            heard = masks.any(dim=2).any(dim=1)
            heard[0] |= not heard.any()
            # With a silent speaker added. The masks of silent speakers are all zero: one embedding for all.
            together = F.pad(masks[heard], (0, 0, 0, 1))
            found = torch.from_numpy(embedding(waveforms[::speakers][heard], masks=together))
            result = found[0, -1].repeat(len(masks), speakers, 1)
            speaks = masks.any(dim=2)
            result[speaks] = found[:, :-1][speaks[heard]]
            return result.flatten(0, 1).numpy()

    return ListeningOnce() if _hears_several(embedding) else embedding


def _hears_several(embedding: Any) -> bool:
    import torch  # noqa: PLC0415

    noise = torch.randn(2, 1, embedding.sample_rate, generator=torch.Generator().manual_seed(1))
    masks = torch.zeros(2, 3, 50)
    masks[0, 0, :30] = masks[1, 1, 20:] = 1
    try:
        both = torch.from_numpy(embedding(noise, masks=masks))
        alone = torch.from_numpy(embedding(noise.repeat_interleave(3, 0), masks=masks.flatten(0, 1)))
    except Exception:  # the model does not support it
        return False
    same = both.ndim == 3 and torch.allclose(both.flatten(0, 1), alone, atol=1e-4, rtol=1e-3)
    return bool(same and torch.equal(both[0, 1], both[1, 0]))
