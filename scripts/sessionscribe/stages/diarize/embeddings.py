"""The file that ``embed_chunk`` hands to ``cluster_speakers``: arrays, with a header that says what they are.

A zip archive of ``.npy`` arrays, as numpy's ``.npz`` is, so that ``numpy.load`` reads it: the check sums of
its members and the directory at its end show when it is damaged or cut. ``docs/records.md`` describes it.
"""

from __future__ import annotations

import io
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
    """What the models found in the windows of one stretch of a session.

    Attributes:
        about: which windows, on which grid, by which models.
        segmentations: who speaks in each frame of each window, float32 ``[windows, frames, speakers]``.
        embeddings: how each speaker of each window sounds, float32 ``[windows, speakers, dimension]``; NaN
            where the model had too little to go by.
    """

    about: EmbeddingsHeader
    segmentations: NDArray[np.float32]
    embeddings: NDArray[np.float32]

    def write(self, path: Path) -> None:
        """Write the file atomically; its bytes depend on the content only."""
        import numpy as np  # noqa: PLC0415 -- heavy

        header = np.frombuffer(self.about.model_dump_json().encode(), dtype=np.uint8)
        # Numbers of speech compress to a few per cent, embeddings hardly.
        members = {
            "segmentations": (_packed(self.segmentations), zipfile.ZIP_DEFLATED),
            "embeddings": (_packed(self.embeddings), zipfile.ZIP_STORED),
            "about": (_packed(header), zipfile.ZIP_STORED),
        }
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, (data, method) in members.items():
                # An entry without a date: equal content gives an equal file.
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data, method, compresslevel=1)

    @classmethod
    def read(cls, path: Path) -> Embeddings:
        """Read and validate the file.

        Raises:
            UserError: it is missing, cut short, damaged, of another schema version or not valid.
        """
        import numpy as np  # noqa: PLC0415 -- heavy

        try:
            with np.load(path, allow_pickle=False) as arrays:
                about, segmentations, embeddings = (
                    arrays[name] for name in ("about", "segmentations", "embeddings")
                )
            header = EmbeddingsHeader.model_validate_json(about.tobytes())
        # RuntimeError: a directory that is damaged so that a member looks encrypted or packed in another way.
        except (
            OSError,
            KeyError,
            EOFError,
            ValueError,
            RuntimeError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise UserError(f"cannot be read ({reason})", where=path, hint=HINT) from error
        if header.schema_version != EmbeddingsHeader.VERSION:
            known = EmbeddingsHeader.VERSION
            what = f"has schema version {header.schema_version}, this program reads {known}"
            raise UserError(what, where=path, hint=HINT)
        found = cls(header, segmentations, embeddings)
        if problem := found._problem():
            raise UserError(f"is not valid ({problem})", where=path, hint=HINT)
        return found

    def _problem(self) -> str | None:
        arrays = (self.segmentations, self.embeddings)
        if any(array.dtype != "float32" or array.ndim != 3 for array in arrays):
            return "arrays of another kind"
        if any(len(array) != self.about.windows for array in arrays):
            return f"not {self.about.windows} windows"
        if self.segmentations.shape[2] != self.embeddings.shape[1]:
            return "speakers do not fit"
        return None


def united(parts: Sequence[tuple[Path, Embeddings]], samples: int) -> Embeddings | None:
    """Return what was found in all windows of a session of ``samples``; None where it has no window.

    Args:
        parts: the file and the content of each stretch, in the order of time.
        samples: length of the session.

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


def _packed(array: NDArray[np.float32] | NDArray[np.uint8]) -> bytes:
    import numpy as np  # noqa: PLC0415

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
