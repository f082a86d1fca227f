"""The adapter of pyannote.audio, in two halves: run its models on windows, and cluster the embeddings.

Together they give the result of its pipeline on a whole file.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from sessionscribe.artifacts.speakers import EmbeddingsHeader, Turn
from sessionscribe.audio.sliding_window import REACH_S, SlidingWindow
from sessionscribe.config.settings import Diarize
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines import models, pool
from sessionscribe.engines.listening import listen_once
from sessionscribe.jobs import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

FILES = ("config.yaml",)
MOST_CLUSTERED = 20_000
"""Largest number of clustered embeddings: their distances take 3.2 GB, which grows with the square."""
THREADS = 4
"""CPU threads, the same on every machine because the last digits of embeddings depend on them."""


class WindowModels:
    """The segmentation and embedding models of a loaded pipeline; any thread may use them.

    Args:
        options: settings with the model (a folder or a hub id).
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: the pipeline is not available, or not a SpeakerDiarization.
    """

    def __init__(self, options: Diarize, *, device: str) -> None:
        _prepare_import()
        import torch  # noqa: PLC0415
        from pyannote.audio import Pipeline  # noqa: PLC0415
        from pyannote.audio.pipelines import SpeakerDiarization  # noqa: PLC0415

        try:
            pipeline = Pipeline.from_pretrained(models.locate(options.model) or options.model)
            if pipeline is None:
                raise RuntimeError("no access to the pipeline or one of its models")
        except Exception as error:
            raise models.unavailable("diarization pipeline", options.model, "diarize.model", error) from error
        if not isinstance(pipeline, SpeakerDiarization):
            hint = "Set `diarize.model` to such a pipeline, for example `community-1`"
            what = f"is a {type(pipeline).__name__}, not a SpeakerDiarization pipeline"
            raise UserError(what, where=options.model, hint=hint)
        _instantiate(pipeline)
        specifications: Any = pipeline._segmentation.model.specifications
        speakers, size = len(specifications.classes), pipeline.embedding_batch_size
        embedding = pipeline._embedding
        pipeline._embedding = listen_once(embedding, speakers)
        if pipeline._embedding is not embedding:
            # In batches, a window counts once for each speaker, but the model processes it once.
            pipeline.embedding_batch_size = speakers * (
                size if device == "cuda" else max(1, size // speakers)
            )
        try:
            self._pipeline: Any = pipeline.to(torch.device(device))
        except Exception as error:
            raise models.unloadable("diarization pipeline", options.model, "diarize.device", error) from error
        self.device, self.identity = device, models.identity(options.model)
        self._torch, self._lock = torch, threading.Lock()

    def grid(self, step: float | None) -> SlidingWindow:
        """Return windows with a step in shares of their length (None: the pipeline's default).

        The step is a whole number of samples, so that each chunk has the same windows as the whole file.
        """
        window = round(self._pipeline._segmentation.duration * SAMPLE_RATE)
        grid = SlidingWindow(window, max(1, round((step or self._pipeline.segmentation_step) * window)))
        if grid.window + grid.step > REACH_S * SAMPLE_RATE:
            what = f"windows of {grid.window / SAMPLE_RATE:g} s are too long"
            hint = f"Window and step may be {REACH_S:g} s together: change `diarize.step` or `diarize.model`"
            raise UserError(what, where=self.identity, hint=hint)
        return grid

    def look(
        self, samples: NDArray[np.float32], grid: SlidingWindow
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run both models on all windows of ``samples``; the last window may extend beyond the end."""
        import numpy as np  # noqa: PLC0415
        from pyannote.audio.utils.signal import binarize  # noqa: PLC0415

        if not len(samples):  # no window starts in the chunk
            return np.zeros((0, 0, 0), np.float32), np.zeros((0, 0, 0), np.float32)
        pipeline = self._pipeline
        with self._lock, metrics.on_device(self.device):
            self._torch.set_num_threads(THREADS)  # set per thread; another one may have loaded the models
            pipeline._segmentation.step = grid.step / SAMPLE_RATE
            # Copied to the device as a whole: the windows overlap ten times.
            waveform = self._torch.from_numpy(samples)[None].to(self.device)
            file = {"waveform": waveform, "sample_rate": SAMPLE_RATE}
            segmentations = pipeline.get_segmentations(file)
            decided = segmentations
            if not self.powerset:
                decided = binarize(segmentations, onset=pipeline.segmentation.threshold, initial_state=False)
            embeddings = pipeline.get_embeddings(
                file, decided, exclude_overlap=pipeline.embedding_exclude_overlap
            )
        return segmentations.data.astype(np.float32), embeddings.astype(np.float32)

    @property
    def powerset(self) -> bool:
        """Whether segmentations are binary instead of scores."""
        return bool(self._pipeline._segmentation.model.specifications.powerset)

    def describe(self, session: str, grid: SlidingWindow, windows: range) -> EmbeddingsHeader:
        """Return the header of the results for these windows."""
        frames = self._pipeline._segmentation.model.receptive_field
        return EmbeddingsHeader(
            session=session,
            first=windows.start,
            windows=len(windows),
            window=grid.window,
            step=grid.step,
            frame_start=frames.start,
            frame_duration=frames.duration,
            frame_step=frames.step,
            powerset=self.powerset,
            model=self.identity,
        )


def window_models(options: Diarize) -> WindowModels:
    """Return the models for these options, loaded once per process."""
    device = models.machine_device() if options.device == "auto" else options.device
    folder = models.locate(options.model)
    _prepare_import()
    # The import takes seconds; other jobs may wait for the pool's lock.
    importlib.import_module("pyannote.audio.pipelines")
    return pool.hold(
        ("pyannote", options.model, device),
        lambda: WindowModels(options, device=device),
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder else 0,
        device=device,
    )


def _instantiate(pipeline: Any) -> None:
    """Instantiate a pipeline without parameters with its defaults, as its first use would."""
    if not pipeline.instantiated:
        pipeline.instantiate(pipeline.default_parameters())


def _prepare_import() -> None:
    # Jobs never ask the hub: ``preflight`` has fetched the models.
    os.environ["HF_HUB_OFFLINE"] = "1"
    # huggingface_hub may have read it already, if this worker fetched the models (`warm-guests`).
    hub: Any = sys.modules.get("huggingface_hub.constants")
    if hub:
        hub.HF_HUB_OFFLINE = True


def cluster(
    about: EmbeddingsHeader,
    segmentations: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    options: Diarize,
    *,
    most: int = MOST_CLUSTERED,
) -> tuple[list[Turn], list[Turn], str | None]:
    """Cluster the embeddings of a session, as the pipeline does after running its models.

    No model is loaded: pyannote's own code counts speakers, clusters and reconstructs. In addition to the
    arrays, it needs 8 bytes for each ordered pair of embeddings, then 8 bytes for each frame of each window
    and speaker.

    Args:
        about: the header of the session's windows.
        segmentations: ``[windows, frames, speakers]``.
        embeddings: ``[windows, speakers, dimension]``.
        options: settings with the model, numbers of speakers and threshold.
        most: largest number of embeddings to cluster, evenly spread; the others go to the nearest cluster.

    Returns:
        The turns, the exclusive turns (one speaker at a time), and a remark if there are more than ``most``
        embeddings.

    Raises:
        UserError: the pipeline is not available, or its clustering has no threshold to set or fails.
    """
    _prepare_import()
    import torch  # noqa: PLC0415
    from pyannote.core import SlidingWindow as Grid  # noqa: PLC0415
    from pyannote.core import SlidingWindowFeature  # noqa: PLC0415

    try:
        pipeline = _without_models(about, embeddings.shape[2], options.model)
    except Exception as error:
        raise models.unavailable("diarization pipeline", options.model, "diarize.model", error) from error
    _instantiate(pipeline)
    if options.threshold is not None:
        if "threshold" not in pipeline.clustering.parameters():
            hint = "Leave `diarize.threshold` empty for this pipeline"
            raise UserError("its clustering has no threshold", where=options.model, hint=hint)
        pipeline.clustering.instantiate({"threshold": options.threshold})
    left_out = _limit(pipeline.clustering, most)
    grid = Grid(start=0.0, duration=about.window / SAMPLE_RATE, step=about.step / SAMPLE_RATE)
    given = SlidingWindowFeature(segmentations, grid)
    pipeline.get_segmentations = lambda *_, **__: given
    pipeline.get_embeddings = lambda *_, **__: embeddings
    bounds = {
        name: value
        for name in ("num_speakers", "min_speakers", "max_speakers")
        if (value := getattr(options, name)) is not None
    }
    nothing = {"waveform": torch.zeros(1, 2), "sample_rate": SAMPLE_RATE}
    fewest = options.num_speakers or options.min_speakers or 1
    try:
        found = pipeline(nothing, **bounds)
        while len(found.speaker_diarization.labels()) < fewest and _halve_min_size(pipeline.clustering):
            found = pipeline(nothing, **bounds)
    except Exception as error:  # for example, VBx supports at most 127 clusters
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        hint = (
            "Set `diarize.num_speakers` or `max_speakers`, a higher `diarize.threshold` (fewer speakers), or "
            "another `diarize.model`"
        )
        raise UserError(f"clustering failed ({reason})", where=options.model, hint=hint) from error
    return _turns(found.speaker_diarization), _turns(found.exclusive_speaker_diarization), left_out()


def _halve_min_size(clustering: Any) -> bool:
    """Halve the minimum cluster size, so that expected speakers who say little are found.

    Returns whether that was possible.
    """
    settings = clustering.parameters(instantiated=True)
    size = settings.get("min_cluster_size", 1)
    if size > 1:
        clustering.instantiate({**settings, "min_cluster_size": size // 2})
    return bool(size > 1)


def _without_models(about: EmbeddingsHeader, dimension: int, model: str) -> Any:
    """Return the pipeline with its parameters and PLDA, and with stubs that only describe its models."""
    import yaml  # noqa: PLC0415
    from pyannote.audio import Pipeline  # noqa: PLC0415
    from pyannote.audio.core.pipeline import expand_subfolders  # noqa: PLC0415

    folder = models.locate(model)
    if folder is None:
        raise RuntimeError("no access to the pipeline")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    expand_subfolders(config, str(folder))
    config.pop("device", None)
    config["pipeline"]["params"] |= {
        "segmentation": _segmentation_model(about),
        "embedding": _embedding_model(dimension),
    }
    return Pipeline.from_pretrained(config)


def _segmentation_model(about: EmbeddingsHeader) -> Any:
    from pyannote.audio.core.model import Model  # noqa: PLC0415
    from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: PLC0415
    from pyannote.core import SlidingWindow  # noqa: PLC0415

    class Described(Model):
        receptive_field = SlidingWindow(about.frame_duration, about.frame_step, about.frame_start)

    described = Described(sample_rate=SAMPLE_RATE, num_channels=1)
    kind = Problem.MONO_LABEL_CLASSIFICATION if about.powerset else Problem.MULTI_LABEL_CLASSIFICATION
    described.specifications = Specifications(
        problem=kind,
        resolution=Resolution.FRAME,
        duration=about.window / SAMPLE_RATE,
        classes=["one", "another"],
        powerset_max_classes=1 if about.powerset else None,
        permutation_invariant=True,
    )
    return described


def _embedding_model(size: int) -> Any:
    from pyannote.audio.core.model import Model  # noqa: PLC0415

    class Described(Model):
        dimension = size

    return Described(sample_rate=SAMPLE_RATE, num_channels=1)


def _limit(clustering: Any, most: int) -> Callable[[], str | None]:
    """Limit the number of clustered embeddings; the returned function gives a remark if there were more."""
    choose, counts = clustering.filter_embeddings, [0]

    def chosen(*arguments: Any, **named: Any) -> tuple[Any, Any, Any]:
        import numpy as np  # noqa: PLC0415

        found = choose(*arguments, **named)
        counts[0] = len(found[0])
        if counts[0] <= most:
            return found  # type: ignore[no-any-return]
        kept = np.linspace(0, counts[0] - 1, most).round().astype(int)
        return tuple(part[kept] for part in found)

    clustering.filter_embeddings = chosen
    return lambda: f"only {most} of {counts[0]} embeddings were clustered" if counts[0] > most else None


def _turns(annotation: Any) -> list[Turn]:
    turns = [
        Turn(start=round(max(0.0, segment.start), 3), end=round(segment.end, 3), speaker=str(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    return sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))
