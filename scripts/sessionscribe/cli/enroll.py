"""``enroll``: cut a voice sample from passages of a session in which only one person speaks."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sessionscribe.artifacts.plan import Timeline
from sessionscribe.artifacts.speakers import Turn, Turns
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.audio.slices import encoded
from sessionscribe.cli.options import SETTINGS, argument, command
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.files import atomic_path
from sessionscribe.core.intervals import Interval, interval, length, outside, united
from sessionscribe.core.text import is_long_name
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.manifest.enrollment import NUMBER, person_of
from sessionscribe.stages.diarize.diarize import read_session
from sessionscribe.stages.name.name import who_talks
from sessionscribe.stages.name.speaker_map import moment

WANTED_S = 30.0
"""Seconds of speech to save, if there are as many."""
FEWEST_S = 3.0
SHORTEST_S = 1.0
EDGE_S = 0.1
"""Seconds to omit at both ends of a passage, since the edges of turns are uncertain."""
PAUSE_S = 0.3


@command(
    "enroll",
    SETTINGS,
    argument("name", "NAME", "the person's name"),
    argument("--session", "SESSION", "a finished session in which the person speaks", required=True),
    argument("--speaker", "SPEAKER", "a label, or a time when the person speaks", required=True),
)
def save_sample(options: argparse.Namespace, settings: Config) -> int:
    """Save a sample of a speaker's voice, to name the person in all sessions."""
    path, length_s = enroll(options.name, options.session, options.speaker, folder=Path(settings.name.voices))
    print(f"{path}: {length_s:.1f} s. `sessionscribe run` looks for {visible(options.name)} in all sessions")
    return 0


def enroll(name: str, session: str, speaker: str, *, folder: Path, root: Path = Path()) -> tuple[Path, float]:
    """Write a voice sample of a session's speaker, beside existing ones.

    Args:
        name: the person's name, which becomes the file's name.
        session: a diarized session.
        speaker: a label, or a time at which the person speaks (``12:34``).
        folder: the folder of samples, relative to ``root``.
        root: the project's folder.

    Returns:
        The file, and the seconds of speech in it.

    Raises:
        UserError: the name is not suitable, there is no such speaker, or the person speaks alone too little.
    """
    _check_name(name)
    transcript = Transcript.read(_made(root / f"results/diarize/{session}.json", session))
    label = speaker if speaker in transcript.speakers else who_talks(transcript, speaker)
    if label is None:
        known = ", ".join(map(visible, sorted(transcript.speakers))) or "nobody"
        what = f"there is no speaker `{visible(speaker)}`"
        if moment(speaker):
            what = f"nobody speaks at {visible(speaker)}"
        raise UserError(
            what, where=session, hint=f"There are: {known}; or give a time when the person speaks (12:34)"
        )
    turns = Turns.read(_made(root / f"results/diarize/{session}.turns.json", session))
    chosen = longest(alone(turns.turns, label))
    length_s = length(chosen) / SAMPLE_RATE
    if length_s < FEWEST_S:
        what = f"{visible(label)} speaks alone for only {length_s:.1f} s (passages from {SHORTEST_S:g} s)"
        raise UserError(what, where=session, hint="Use another session, or record a sample")
    samples = _cut(root, session, label, chosen)
    path = _free(root / folder, name)
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded(samples))
    return path, length_s


def _check_name(name: str) -> None:
    odd = name != person_of(name) or "/" in name or name.startswith(".") or NUMBER.search(name)
    if odd or not name or len(name.encode()) > 200 or is_long_name(name):
        hint = "Use letters, digits, spaces and hyphens"
        raise UserError("cannot be the name of a voice sample", where=name or "enroll", hint=hint)


def _made(path: Path, session: str) -> Path:
    if not path.is_file():
        hint = "Run it first; `sessionscribe status` lists the sessions"
        raise UserError("has no finished diarization", where=session, hint=hint)
    return path


def alone(turns: Sequence[Turn], speaker: str) -> list[Interval]:
    """Return the passages in which only this speaker talks, in samples, without their edges."""
    own, others = (
        united(interval(turn.start, turn.end) for turn in turns if (turn.speaker == speaker) is mine)
        for mine in (True, False)
    )
    edge, shortest = round(EDGE_S * SAMPLE_RATE), round(SHORTEST_S * SAMPLE_RATE)
    trimmed = [(start + edge, stop - edge) for start, stop in outside(own, others)]
    return [(start, stop) for start, stop in trimmed if stop - start >= shortest]


def longest(stretches: Sequence[Interval]) -> list[Interval]:
    """Return the longest passages, ``WANTED_S`` in total, in order of time; all in samples."""
    chosen: list[Interval] = []
    left = round(WANTED_S * SAMPLE_RATE)
    for start, end in sorted(stretches, key=lambda stretch: (stretch[0] - stretch[1], stretch)):
        if left <= 0:
            break
        chosen.append((start, min(end, start + left)))
        left -= end - start
    return sorted(chosen)


def _cut(root: Path, session: str, label: str, stretches: Sequence[Interval]) -> Any:
    import numpy as np  # noqa: PLC0415 -- heavy

    timeline = Timeline.read(_made(root / f"results/chunk/{session}.timeline.json", session))
    own = [track for track in timeline.tracks if track.speaker in (None, label)]
    timeline = timeline.model_copy(update={"tracks": own})
    audio = {track.track: root / f"results/convert/{session}/{track.track}.flac" for track in own}
    parts = []
    for start, end in stretches:
        heard = read_session(timeline, audio, start, min(timeline.samples, end))
        parts += [heard, np.zeros(round(PAUSE_S * SAMPLE_RATE), np.float32)]
    return np.concatenate(parts[:-1])


def _free(folder: Path, name: str) -> Path:
    """Return the next free path for a sample of this person; other extensions count, too."""
    pattern = re.compile(rf"{re.escape(name)}(\.(\d+))?\.[^.]+")
    there = [match for path in folder.glob("*") if (match := pattern.fullmatch(path.name))]
    number = max((int(match[2] or 1) for match in there), default=0) + 1
    return folder / (f"{name}.flac" if number == 1 else f"{name}.{number}.flac")
