"""Voice activity detection with faster-whisper's Silero network, for files of any length.

faster-whisper's own function takes a whole recording at once (2.4 GB for 3 hours). Here the file is read in
blocks of 60 s, and the state of the network is kept between them, so the result is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.plan import Span
from sessionscribe.audio import flac
from sessionscribe.config.settings import Vad
from sessionscribe.core.intervals import outside, united
from sessionscribe.core.units import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAME = 512
"""Samples of one speech probability (32 ms)."""
CONTEXT = 64
"""Samples before a frame that are input to the network, too."""
BLOCK_FRAMES = 1875
LEVELS_DB = (0.0, -20.0)
"""The network processes a track at both levels, and the higher probability counts.

It misses much loud telephone speech (of 120 s it finds 64 at full level, but 100 at 24 dB less) and, if
attenuated, quiet speech.
"""
QUIET_DB, AUDIBLE_DB = -45.0, -30.0
"""Passages below the first level are also processed at the second, to find faint speech."""
PASSAGE = 65
"""Frames whose level counts for the one in their middle (2 s): faint speech may follow loud speech."""
LOUD_PERCENTILE = 85
"""The level of a passage is exceeded for 0.3 s: a click or a slammed door does not count."""
HYSTERESIS = 0.15
"""Speech continues until the probability is this far below the threshold."""
LIKELY, POSSIBLE = 0.5, 0.1
"""Shares of the threshold: faint speech reaches the first, and continues while the second is exceeded.

Nearly everything that is found this way is speech; with a criterion of loudness alone, half is.
"""
FAINT_S = 0.5
"""Shortest faint speech."""
ABOVE_FLOOR = 4.0
"""Ratio of the energy of faint speech to that of the quietest tenth of its surroundings (6 dB)."""


@dataclass(frozen=True)
class Scan:
    """The speech in a track of `samples`.

    `speech` is padded, for decoding; `voiced` is not, for finding pauses. Both include faint speech. `energy`
    is the mean square of each frame of `FRAME` samples.
    """

    samples: int
    speech: list[Span]
    voiced: list[Span]
    energy: NDArray[np.float32]


def scan(path: Path, options: Vad, *, alone: bool = False) -> Scan:
    """Find the speech in a converted track (16 kHz mono); 12 CPU-seconds an hour, under 250 MB.

    Args:
        path: the track.
        options: the settings.
        alone: whether there is one speaker: passages that are much quieter are other speakers' voices, which
            have tracks of their own.

    Raises:
        UserError: the file is missing or damaged.
    """
    import numpy as np  # noqa: PLC0415 -- heavy

    networks = [(_Network(), np.float32(10 ** (level / 20))) for level in LEVELS_DB]
    amplified, samples, nothing = _Network(), 0, np.zeros(0, np.float32)
    probabilities, possibilities, energies = [nothing], [nothing], [nothing]
    for block in flac.blocks(path, FRAME * BLOCK_FRAMES):
        samples += len(block)
        frames = np.pad(block, (0, -len(block) % FRAME)).reshape(-1, FRAME)
        heard = [network.probabilities(frames * factor) for network, factor in networks]
        probabilities.append(np.max(heard, axis=0))
        energies.append(frame_energy(frames))
        if not alone and (gain := gains(energies[-1])).max(initial=1) > 1:
            heard.append(amplified.probabilities(np.clip(frames * gain[:, None], -1, 1)))
        possibilities.append(np.max(heard, axis=0))
    probability, possible, energy = map(np.concatenate, (probabilities, possibilities, energies))
    voiced = spans(probability, samples, options)
    speech = pad(voiced, samples, options.pad_s)
    found = faint(possible, energy, speech, samples, options)
    speech, voiced = (sorted([*some, *found], key=lambda span: span.start) for some in (speech, voiced))
    return Scan(samples, speech, voiced, energy)


def gains(energy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the gain for each frame of a block: 1 where its surroundings are loud enough or silent."""
    import numpy as np  # noqa: PLC0415 -- heavy

    around = np.lib.stride_tricks.sliding_window_view(np.pad(energy, PASSAGE // 2, mode="edge"), PASSAGE)
    power = np.percentile(around, LOUD_PERCENTILE, axis=1)
    quiet = (power > 0) & (power < 10 ** (QUIET_DB / 10))
    found: NDArray[np.float32] = np.ones_like(energy)
    found[quiet] = 10 ** (AUDIBLE_DB / 20) / np.sqrt(power[quiet])
    return found


def frame_energy(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean square of each row of `frames`."""
    import numpy as np  # noqa: PLC0415 -- heavy

    energy: NDArray[np.float32] = np.einsum("ij,ij->i", frames, frames) / np.float32(frames.shape[1])
    return energy


class _Network:
    """Silero's network with its state."""

    def __init__(self) -> None:
        import numpy as np  # noqa: PLC0415 -- heavy
        from faster_whisper.vad import get_vad_model  # noqa: PLC0415 -- heavy

        self._session = get_vad_model().session
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._tail = np.zeros((1, CONTEXT), np.float32)

    def probabilities(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the speech probability of each frame; frames continue those of the previous call."""
        import numpy as np  # noqa: PLC0415 -- heavy

        tails = frames[:, -CONTEXT:]
        seen = np.concatenate([np.concatenate([self._tail, tails[:-1]]), frames], axis=1)
        self._tail = tails[-1:].copy()
        out, self._h, self._c = self._session.run(None, {"input": seen, "h": self._h, "c": self._c})
        return np.asarray(out, np.float32).reshape(-1)


def spans(probabilities: NDArray[np.float32], samples: int, options: Vad) -> list[Span]:
    """Return the spans of speech in samples, sorted and disjoint: those of faster-whisper, unpadded."""
    end_threshold = max(options.threshold - HYSTERESIS, 0.01)
    min_speech, min_silence = options.min_speech_s * SAMPLE_RATE, options.min_silence_s * SAMPLE_RATE
    found: list[Span] = []
    start: int | None = None
    pause: int | None = None
    for index, probability in enumerate(probabilities.tolist()):
        here = index * FRAME
        if probability >= options.threshold:
            pause = None
            if start is None:
                start = here
        elif probability < end_threshold and start is not None:
            if pause is None:
                pause = here
            if here - pause >= min_silence:
                if pause - start > min_speech:
                    found.append(Span(start=start, stop=pause))
                start = pause = None
    if start is not None and samples - start > min_speech:
        found.append(Span(start=start, stop=samples))
    return found


def faint(
    probabilities: NDArray[np.float32],
    energy: NDArray[np.float32],
    speech: list[Span],
    samples: int,
    options: Vad,
) -> list[Span]:
    """Return probable speech outside `speech`, in samples, sorted and disjoint."""
    import numpy as np  # noqa: PLC0415 -- heavy

    possible = np.flatnonzero(probabilities >= POSSIBLE * options.threshold)
    pauses = np.flatnonzero(np.diff(possible) > options.min_silence_s * SAMPLE_RATE / FRAME)
    runs = [run for run in np.split(possible, pauses + 1) if run.size]
    whole = [(int(run[0]) * FRAME, min(samples, (int(run[-1]) + 1) * FRAME)) for run in runs]
    found = []
    for start, stop in outside(whole, united((span.start, span.stop) for span in speech)):
        first, last = start // FRAME, -(-stop // FRAME)
        likely = probabilities[first:last].max() >= LIKELY * options.threshold
        if not likely or stop - start < FAINT_S * SAMPLE_RATE:
            continue
        floor = np.percentile(energy[max(0, first - PASSAGE) : last + PASSAGE], 10)
        if np.median(energy[first:last]) >= ABOVE_FLOOR * floor:
            found.append(Span(start=start, stop=stop))
    return found


def pad(voiced: list[Span], samples: int, pad_s: float) -> list[Span]:
    """Return `voiced`, extended by `pad_s` seconds on either side; neighbours share a short pause."""
    width = int(pad_s * SAMPLE_RATE)
    found = []
    for index, span in enumerate(voiced):
        before = voiced[index - 1].stop if index else -2 * width
        after = voiced[index + 1].start if index + 1 < len(voiced) else samples + 2 * width
        start = span.start - min(width, (span.start - before) // 2)
        stop = span.stop + min(width, (after - span.stop + 1) // 2)
        found.append(Span(start=max(0, start), stop=min(samples, stop)))
    return found
