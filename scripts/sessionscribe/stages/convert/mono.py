"""Mix channels to one, and measure and correct its level."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sessionscribe.audio.source import Source
from sessionscribe.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FULL_SCALE = 32_767 / 32_768
CLIPPED_SHARE = 1e-4
"""Share of clipped samples from which there is a warning."""
FRAME_S = 0.032
LOUDEST = 32
"""The level of a recording is that of its loudest frames (1 s in all), so a slammed door does not count."""
QUIET_DB, WANTED_DB = -45.0, -25.0
"""Recordings below the first level (relative to full scale) lose speech; they are amplified to the second."""
HUGE = 1e15
"""Larger values are clipped, since their squares overflow."""
LOUDEST_PEAK = 2.0
"""Recordings with a larger peak were not scaled to full scale, and are scaled down."""
HUM_HZ = 200
"""Frequency below which speech has nothing essential."""
HUM_SHARE = 0.75
"""Share of the power from which hum, rumble or a constant offset keeps speech from being detected."""
CANCELLED_SHARE = 0.25
"""Channels cancel each other out if their mean has less power than this share of what unrelated ones have."""
NOTED_SHARE = 0.01
"""Share of the power in such passages from which there is a warning."""


@dataclass(frozen=True)
class Correction:
    """A correction of samples before they are rounded: a high-pass filter, then a gain."""

    filtered: bool = False
    gain: float = 1.0


@dataclass
class Mono:
    """Mixes blocks of samples to one channel, and measures their defects."""

    channel: int | Literal["mix"]
    path: Source
    correction: Correction = Correction()
    nonfinite: int = 0
    clipped: int = 0
    counted: int = 0
    power: float = 0.0
    hum: float = 0.0
    humming: int = 0
    peak: float = 0.0
    power_in: float = 0.0
    cancelled: float = 0.0
    frames: int = 0
    _loudest: NDArray[np.float32] | None = None
    _filters: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    """The sections and state of the high-pass filter, by sample rate."""

    def __call__(self, rate: int, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a block [channels, n] with a sample rate in Hz as [1, n] within full scale."""
        import numpy as np  # noqa: PLC0415 -- heavy

        if self.channel != "mix":
            if self.channel not in range(len(block)):
                have = "1, number 0" if len(block) == 1 else f"{len(block)}, numbers 0 to {len(block) - 1}"
                what = f"has no audio channel number {self.channel} (it has {have})"
                hint = "Set convert.channel to one of these or to mix"
                raise UserError(what, where=self.path, hint=hint)
            block = block[self.channel : self.channel + 1]
        if not np.isfinite(block).all():
            self.nonfinite += int(np.count_nonzero(~np.isfinite(block)))
            block = np.where(np.isfinite(block), block, np.float32(0))
        if (magnitude := np.abs(block)).max(initial=0) > HUGE:
            block = np.clip(block, -HUGE, HUGE)
        loud = np.float32(FULL_SCALE / min(1.0, self.correction.gain))
        self.counted += block.size
        self.clipped += int(np.count_nonzero(magnitude >= loud))
        mixed = block if len(block) == 1 else self._mix(block)
        if self.correction.filtered:
            mixed = self._without_hum(rate, mixed)
        self._measure(rate, mixed)
        if self.correction.gain != 1:
            mixed = (mixed * np.float64(self.correction.gain)).astype(np.float32)
        return np.clip(mixed, np.float32(-1), np.float32(1))

    def _mix(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean of the channels, or one of them if they cancel each other out."""
        import numpy as np  # noqa: PLC0415 -- heavy

        powers = np.einsum("cn,cn->c", block, block)
        mean: NDArray[np.float32] = block.mean(axis=0, keepdims=True, dtype=np.float32)
        power = float(powers.mean())
        self.power_in += power
        if float(np.vdot(mean, mean)) >= CANCELLED_SHARE * power / len(block):
            return mean
        self.cancelled += power
        taken = 0 if 10 * powers[0] >= powers.max() else int(powers.argmax())
        return block[taken : taken + 1]

    def _without_hum(self, rate: int, block: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np  # noqa: PLC0415 -- heavy
        from scipy.signal import butter, sosfilt  # noqa: PLC0415 -- heavy, and hardly ever needed

        if rate not in self._filters:
            sections = butter(4, HUM_HZ, "highpass", fs=rate, output="sos")
            self._filters[rate] = sections, np.zeros((len(sections), 1, 2))
        sections, state = self._filters[rate]
        found, state = sosfilt(sections, block, zi=state)
        self._filters[rate] = sections, state
        return np.asarray(found, np.float32)

    def _measure(self, rate: int, mixed: NDArray[np.float32]) -> None:
        import numpy as np  # noqa: PLC0415 -- heavy

        width = max(1, rate // (2 * HUM_HZ))
        slow = mixed[0, : mixed.size // width * width].reshape(-1, width).mean(axis=1, dtype=np.float64)
        hum, power = width * float(slow @ slow), float(np.vdot(mixed, mixed))
        self.hum += hum
        self.power += power
        self.peak = max(self.peak, float(np.abs(mixed).max(initial=0)))
        size = max(1, round(FRAME_S * rate))
        whole = mixed[0, : mixed.shape[1] // size * size].reshape(-1, size)
        energy = whole.var(axis=1)
        self.frames += len(energy)
        self.humming += len(energy) * (hum > HUM_SHARE * power)
        every = energy if self._loudest is None else np.concatenate([self._loudest, energy])
        self._loudest = np.sort(every)[-LOUDEST:]

    @property
    def level_db(self) -> float:
        """The level of the loudest second in dB of full scale, without constant offset; -inf for silence."""
        # A tenth of recordings shorter than 10 s.
        least = max(1, min(LOUDEST, self.frames // 10))
        power = 0.0 if self._loudest is None or not self.frames else float(self._loudest[-least:][0])
        return 10 * math.log10(power) if power > 0 else -math.inf

    @property
    def needed(self) -> Correction:
        """The correction that speech detection needs; the level is measured again without hum."""
        if self.correction.gain != 1:
            return self.correction
        # In total and most of the time, so a slammed door does not count.
        hums = self.hum > HUM_SHARE * self.power and 2 * self.humming > self.frames
        if hums and not self.correction.filtered:
            return Correction(filtered=True)
        gain = 1.0
        if self.peak > LOUDEST_PEAK and self.level_db > 0:  # damaged packets may have any peak
            gain = 1 / self.peak
        elif -math.inf < self.level_db < QUIET_DB:
            gain = 10 ** (round(WANTED_DB - self.level_db) / 20)
        return Correction(self.correction.filtered, gain)
