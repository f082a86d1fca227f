"""From any number of channels to one, and what is wrong with its level."""

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
"""From this share of clipped samples on, the recording is flagged."""
FRAME_S = 0.032
LOUDEST = 32
"""A recording is as loud as so many of its frames are at least (1 s): a slammed door does not count."""
QUIET_DB, WANTED_DB = -45.0, -25.0
"""Below the first level (of full scale, mean square) speech is lost: it is amplified to the second."""
HUGE = 1e15
"""Larger numbers are no sound, and their squares no numbers."""
LOUDEST_PEAK = 2.0
"""Samples that reach further beyond full scale were never meant for it: they are brought back into it."""
HUM_HZ = 200
"""Below this frequency speech can be done without."""
HUM_SHARE = 0.75
"""From this share of the power on, hum, rumble or a constant offset keeps speech from being found."""
CANCELLED_SHARE = 0.01
"""Below this share of the channels' power in their mean, the channels cancel out."""


@dataclass(frozen=True)
class Correction:
    """What is done to samples before they are rounded: hum is filtered out, then they are multiplied."""

    filtered: bool = False
    gain: float = 1.0


@dataclass
class Mono:
    """Turns blocks of any number of channels into one channel, and measures what is wrong with them."""

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
    """By sample rate: the sections of a high-pass filter, and what they remember."""

    def __call__(self, rate: int, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `block` [channels, n] of a sample rate in Hz as [1, n] within full scale."""
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
        """Return the mean of the channels, or where they cancel each other out, one of them."""
        import numpy as np  # noqa: PLC0415 -- heavy

        powers = np.einsum("cn,cn->c", block, block)
        mean: NDArray[np.float32] = block.mean(axis=0, keepdims=True, dtype=np.float32)
        power = float(powers.mean())
        self.power_in += power
        if float(np.vdot(mean, mean)) >= CANCELLED_SHARE * power:
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
        """The level that the loudest second reaches, in dB of full scale; minus infinity of silence.

        Single noises and a constant offset do not count.
        """
        # Of less than 10 s, a tenth has to do.
        least = max(1, min(LOUDEST, self.frames // 10))
        power = 0.0 if self._loudest is None or not self.frames else float(self._loudest[-least:][0])
        return 10 * math.log10(power) if power > 0 else -math.inf

    @property
    def needed(self) -> Correction:
        """What has to be done to the samples for speech to be found; without hum the level is another."""
        if self.correction.gain != 1:
            return self.correction
        # All in all, and for most of the time: a slammed door does not count.
        hums = self.hum > HUM_SHARE * self.power and 2 * self.humming > self.frames
        if hums and not self.correction.filtered:
            return Correction(filtered=True)
        gain = 1.0
        if self.peak > LOUDEST_PEAK and self.clipped > CLIPPED_SHARE * self.counted:
            gain = 1 / self.peak
        elif -math.inf < self.level_db < QUIET_DB:
            gain = 10 ** (round(WANTED_DB - self.level_db) / 20)
        return Correction(self.correction.filtered, gain)
