"""pyannote's diarization with another clustering, for the noisy embeddings of the open pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partialmethod
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.clustering import BaseClustering
from pyannote.core import Annotation, SlidingWindowFeature
from pyannote.pipeline.parameter import Integer, Uniform
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist

SHARE = 0.3
"""Embeddings of speakers who talk alone for a smaller share of the window only go to the nearest cluster."""
SPREAD = 0.4
"""Squared distance of embeddings from their speaker's mean; neighbouring windows are not independent."""


class MeansClustering(BaseClustering):
    """Join clusters whose means are at most ``threshold`` apart, beyond what is due to chance.

    By chance, the means of m and n embeddings of one speaker are sqrt(SPREAD (1/m + 1/n)) apart. Subtracting
    this lets small clusters join from farther away, while two people with similar voices who both speak a lot
    stay separate. Finally, clusters with fewer than ``min_cluster_size`` embeddings (or a tenth of all, if
    there are few) go to the nearest.
    """

    expects_num_clusters = False
    filter_embeddings = partialmethod(BaseClustering.filter_embeddings, min_active_ratio=SHARE)

    def __init__(self, metric: str = "cosine") -> None:
        super().__init__(metric=metric)
        self.threshold = Uniform(0.0, 2.0)
        self.min_cluster_size = Integer(1, 20)

    def cluster(
        self,
        embeddings: NDArray[Any],
        min_clusters: int,
        max_clusters: int,
        num_clusters: int | None = None,  # as min_clusters and max_clusters, then
    ) -> NDArray[Any]:
        """Return the cluster (from 0) of each embedding (n, dimension)."""
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        if len(unit) == 1:
            return np.zeros(1, np.int64)
        # Up to this height, Ward's method, which is fast, only joins what is apart by chance.
        clusters = fcluster(linkage(unit, "ward"), np.sqrt(2 * SPREAD), "distance") - 1
        sizes = np.bincount(clusters).astype(float)
        means = np.stack([unit[clusters == k].mean(0) for k in range(len(sizes))])
        apart = _distances(means, sizes, np.arange(len(sizes)))
        names, left = np.arange(len(sizes)), len(sizes)
        while left > min_clusters:
            one, other = both = [int(k) for k in np.unravel_index(apart.argmin(), apart.shape)]
            if apart[one, other] > self.threshold**2 and left <= max_clusters:
                break
            means[one], sizes[one] = sizes[both] @ means[both] / sizes[both].sum(), sizes[both].sum()
            means[other] = apart[other] = apart[:, other] = np.inf
            apart[one] = apart[:, one] = _distances(means, sizes, [one])[0]
            names[names == other] = one
            left -= 1
        return self._without_small(unit, names[clusters])

    def _without_small(self, unit: NDArray[Any], clusters: NDArray[Any]) -> NDArray[Any]:
        names, sizes = np.unique(clusters, return_counts=True)
        means = np.stack([unit[clusters == name].mean(0) for name in names])
        large = sizes >= min(self.min_cluster_size, max(1, round(0.1 * len(unit))), sizes.max())
        nearest = np.square(means[:, None] - means[None, large]).sum(2).argmin(1)
        return np.asarray(nearest[np.searchsorted(names, clusters)])


def _distances(means: NDArray[Any], sizes: NDArray[Any], of: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
    """Return the squared distances (of, all) of means beyond chance; infinite from a mean to itself."""
    apart = cdist(means[of], means, "sqeuclidean") - SPREAD * (1 / sizes[of][:, None] + 1 / sizes)
    apart[np.arange(len(of)), of] = np.inf
    return np.asarray(apart)


class OpenDiarization(SpeakerDiarization):
    """A SpeakerDiarization with ``MeansClustering``.

    A speaker's pauses are filled only where nobody else speaks, so exclusive turns stay exclusive.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(clustering="AgglomerativeClustering", **options)
        self.clustering = MeansClustering(metric=self.clustering.metric)

    def to_annotation(  # type: ignore[override]  # pyannote's is static
        self,
        discrete_diarization: SlidingWindowFeature,
        min_duration_on: float = 0.0,
        min_duration_off: float = 0.0,
    ) -> Annotation:
        """Return the turns of frames (frames, speakers), pauses of up to ``min_duration_off`` s filled."""
        active = discrete_diarization.data.copy()
        spoken = np.flatnonzero(active.any(1))
        for last, again in pairwise(spoken):
            if 1 < again - last <= 1 + min_duration_off / discrete_diarization.sliding_window.step:
                active[last + 1 : again] = active[last] * active[again]
        filled = SlidingWindowFeature(active, discrete_diarization.sliding_window)
        return super().to_annotation(filled, min_duration_on, 0.0)
