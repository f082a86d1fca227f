"""The file that ``embed_chunk`` writes for ``cluster_speakers``: arrays with a header, as NumPy's ``.npz``.

The checksums of its members show damage. ``docs/records.md`` describes it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from sessionscribe.artifacts.speakers import EmbeddingsHeader
from sessionscribe.audio.sliding_window import SlidingWindow
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import atomic_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HINT = "Delete the file and run again: only it and what depends on it are recreated"


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The results of the diarization models for some windows of a session.

    Attributes:
        about: the windows and the models.
        segmentations: scores of the local speakers, float32 ``[windows, frames, speakers]``.
        embeddings: embeddings of the local speakers, float32 ``[windows, speakers, dimension]``; NaN if a
            speaker was heard too briefly.
    """

    about: EmbeddingsHeader
    segmentations: NDArray[np.float32]
    embeddings: NDArray[np.float32]

    def write(self, path: Path) -> None:
        """Write the file atomically; its bytes depend on the content only."""
        import numpy as np  # noqa: PLC0415 -- heavy

        arrays = {
            "about": np.frombuffer(self.about.model_dump_json().encode(), dtype=np.uint8),
            "segmentations": self.segmentations,
            "embeddings": self.embeddings,
        }
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path) -> Embeddings:
        """Read and validate the file.

        Raises:
            UserError: the file is missing, damaged, invalid or of another version.
        """
        import numpy as np  # noqa: PLC0415 -- heavy

        try:
            with np.load(path, allow_pickle=False) as arrays:
                about, segmentations, embeddings = (
                    arrays[name] for name in ("about", "segmentations", "embeddings")
                )
            header = EmbeddingsHeader.model_validate_json(about.tobytes())
        # RuntimeError: because of damage, a member looks encrypted.
        except (OSError, LookupError, EOFError, ValueError, RuntimeError, zipfile.error, zlib.error) as error:
            reason: object = error
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                reason = f"{first['loc'][0]}: {first['msg']}"
            raise UserError(f"cannot be read ({reason})", where=path, hint=HINT) from error
        arrays_fit = (
            all(array.dtype == "float32" and array.ndim == 3 for array in (segmentations, embeddings))
            and len(segmentations) == len(embeddings) == header.windows
            and segmentations.shape[2] == embeddings.shape[1]
        )
        if not arrays_fit:
            raise UserError("its arrays do not match its header", where=path, hint=HINT)
        return cls(header, segmentations, embeddings)


def united(parts: Sequence[tuple[Path, Embeddings]], samples: int) -> Embeddings | None:
    """Return the embeddings of a session of ``samples`` from its files in order; None if there are none.

    Raises:
        UserError: a file is not the next one of this session.
    """
    import numpy as np  # noqa: PLC0415 -- heavy

    filled = [(path, part) for path, part in parts if part.about.windows]
    if not filled:
        return None
    about, reached = filled[0][1].about, 0
    for path, part in filled:
        expected = about.model_copy(update={"first": reached, "windows": part.about.windows})
        if part.about != expected or part.embeddings.shape[1:] != filled[0][1].embeddings.shape[1:]:
            raise UserError("does not continue where the file before it ends", where=path, hint=HINT)
        reached += part.about.windows
    wanted = SlidingWindow(about.window, about.step).count(samples)
    if reached != wanted:
        raise UserError(f"ends with window {reached} of {wanted}", where=filled[-1][0], hint=HINT)
    return Embeddings(
        about=about.model_copy(update={"first": 0, "windows": reached}),
        segmentations=np.concatenate([part.segmentations for _, part in filled]),
        embeddings=np.concatenate([part.embeddings for _, part in filled]),
    )
