"""Speaker diarization: speaker turns, and a speaker for every word."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.merged import Merged, MergedSegment, MergedWord
from sessionscribe.artifacts.plan import ChunkPlan, Timeline
from sessionscribe.artifacts.speakers import Turn, Turns, Voices
from sessionscribe.artifacts.transcript import Made, SpokenSegment, SpokenWord, Transcript
from sessionscribe.audio.flac import read_samples
from sessionscribe.audio.sliding_window import EmbeddingChunk
from sessionscribe.config import settings
from sessionscribe.config.settings import Diarize
from sessionscribe.core import intervals
from sessionscribe.core.errors import UserError
from sessionscribe.core.text import counted
from sessionscribe.core.units import SAMPLE_RATE, seconds
from sessionscribe.engines import models
from sessionscribe.engines.registry import diarization_engine
from sessionscribe.jobs import metrics
from sessionscribe.stages.diarize.boundaries import snapped
from sessionscribe.stages.diarize.embeddings import Embeddings, united
from sessionscribe.stages.diarize.speaker_embeddings import speaker_embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAR_S = 0.5
"""A word outside all turns gets the speaker of a turn within this distance."""
NO_TURN = f"no speaker turn within {NEAR_S} s"
NOT_ASKED = "speakers are not told apart"


class _Index:
    """An index of turns by time."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))
        self._starts = [turn.start for turn in self._turns]
        self._latest = list(accumulate((turn.end for turn in self._turns), max))

    def near(self, start: float, end: float, margin: float = 0.0) -> list[Turn]:
        """Return the turns within ``margin`` of ``[start, end]``, in the order of time."""
        found: list[Turn] = []
        index = bisect_left(self._starts, end + margin + 1e-6)
        while index and self._latest[index - 1] >= start - margin - 1e-6:
            index -= 1
            if self._turns[index].end >= start - margin - 1e-6:
                found.append(self._turns[index])
        return found[::-1]


def assign_speakers(
    *, merged: Merged, turns: Turns | None, speakers: dict[str, str], made: Made | None = None, output: Path
) -> Transcript:
    """Assign a speaker to every word, write the transcript to ``output`` and return it.

    A word gets the speaker of the exclusive turn that it overlaps most; of equal ones, the turn that contains
    its middle. Outside all turns, it gets that of the nearest turn within 0.5 s, or none, for a ``reason``.
    Then changes of speakers are moved to pauses and punctuation (``boundaries``). The ``second_speaker``
    is another speaker with a turn during at least half of the word.

    ``turns`` is None if speakers are not told apart; ``speakers`` are those of a multitrack session's tracks.
    """
    words = [word for segment in merged.segments for word in segment.words]
    all_turns = turns.turns if turns else []
    exclusive, regular = _Index(turns.exclusive if turns else []), _Index(all_turns)
    found = [speakers.get(word.track) or _speaker(word, exclusive) for word in words]
    if not speakers:
        found = snapped(words, found)
    spoken = (
        SpokenWord(
            **word.model_dump(include={"text", "space", "start", "end", "probability"}),
            speaker=speaker,
            reason=None if speaker else NO_TURN if turns else NOT_ASKED,
            second_speaker=_second(word, speaker, regular),
        )
        for word, speaker in zip(words, found, strict=True)
    )
    segments = [part for segment in merged.segments for part in _split(segment, spoken)]
    segments.sort(key=lambda segment: segment.start)
    transcript = Transcript(
        session=merged.session,
        layout=merged.layout,
        duration_s=merged.duration_s,
        language=merged.language,
        speakers=_by_appearance(segments, all_turns),
        segments=segments,
        turns=all_turns,
        gaps=merged.gaps,
        flags=list(_flags(merged, words=len(words), nobody=found.count(None) if turns else 0)),
        engines=merged.engines,
        diarization=turns.model if turns else settings.OFF,
        made=made,
    )
    transcript.write(output)
    return transcript


def _overlap(word: MergedWord, turn: Turn) -> float:
    """Return how long a word and a turn overlap, in seconds; their negative distance if they do not."""
    return round(min(word.end, turn.end) - max(word.start, turn.start), 6)


def _speaker(word: MergedWord, exclusive: _Index) -> str | None:
    middle = round((word.start + word.end) / 2, 6)
    near = exclusive.near(word.start, word.end, NEAR_S)
    best = max(near, key=lambda turn: (_overlap(word, turn), turn.start <= middle < turn.end), default=None)
    return best.speaker if best else None


def _second(word: MergedWord, speaker: str | None, regular: _Index) -> str | None:
    others = [turn for turn in regular.near(word.start, word.end) if speaker not in (None, turn.speaker)]
    best = max(others, key=lambda turn: _overlap(word, turn), default=None)
    least = max(1e-6, (word.end - word.start) / 2 - 1e-6)
    return best.speaker if best and _overlap(word, best) >= least else None


def _split(segment: MergedSegment, spoken: Iterator[SpokenWord]) -> list[SpokenSegment]:
    """Divide a merged segment by speakers; ``spoken`` yields its words."""
    own = islice(spoken, len(segment.words))
    return [SpokenSegment.of(list(group)) for _, group in groupby(own, key=lambda word: word.speaker)]


def _by_appearance(segments: Sequence[SpokenSegment], turns: Sequence[Turn]) -> list[str]:
    first: dict[str, float] = {}
    appearances = [(part.speaker, part.start) for part in segments]
    for speaker, start in [*appearances, *((turn.speaker, turn.start) for turn in turns)]:
        if speaker is not None:
            first[speaker] = min(start, first.get(speaker, start))
    return sorted(first, key=lambda speaker: (first[speaker], speaker))


def _flags(merged: Merged, *, words: int, nobody: int) -> Iterator[str]:
    if not words:
        yield "no speech was found"
    if merged.gaps:
        missing = seconds(sum(gap.stop - gap.start for gap in merged.gaps))
        yield f"{counted(len(merged.gaps), 'gap')} in the recording, {missing:.1f} s in all"
    if merged.removed:
        yield f"{counted(len(merged.removed), 'segment')} removed as invented"
    if nobody:
        yield f"{counted(nobody, 'word')} without a speaker"


def track_turns(*, timeline: Timeline, plans: list[ChunkPlan], output: Path, voices: Path) -> Turns:
    """Write and return the turns of a multitrack session: the speech of each track.

    In ``exclusive``, simultaneous speech belongs to whoever started first. ``voices`` gets no embeddings.
    """
    plan_of = {plan.track: plan for plan in plans}
    spans: dict[str, list[tuple[int, int]]] = {}
    for track in timeline.tracks:
        own = spans.setdefault(track.speaker or track.track, [])
        for span in plan_of[track.track].speech:
            start = min(track.offset + span.start, timeline.samples)
            own.append((start, min(track.offset + span.stop, timeline.samples)))
    regular = sorted(
        (start, stop, speaker) for speaker, own in spans.items() for start, stop in intervals.united(own)
    )
    exclusive: list[tuple[int, int, str]] = []
    until = 0
    for start, stop, speaker in regular:
        if stop > until:
            exclusive.append((max(start, until), stop, speaker))
            until = stop
    found, alone = (
        [Turn(start=seconds(start), end=seconds(stop), speaker=speaker) for start, stop, speaker in spoken]
        for spoken in (regular, exclusive)
    )
    turns = _turns(timeline, "tracks", found, alone)
    Voices(session=turns.session, model=turns.model, voices=[]).write(voices)
    turns.write(output)
    return turns


def _turns(timeline: Timeline, model: str, regular: list[Turn], exclusive: list[Turn]) -> Turns:
    return Turns(
        session=timeline.session,
        duration_s=seconds(timeline.samples),
        method="tracks" if model == "tracks" else "pyannote",
        model=model,
        speakers=list(dict.fromkeys(turn.speaker for turn in regular)),
        turns=regular,
        exclusive=exclusive,
    )


def embed_chunk(
    *,
    timeline: Timeline,
    stretch: EmbeddingChunk,
    audio: list[Path],
    options: Diarize,
    output: Path,
) -> Embeddings:
    """Run the models on the windows that start in a part of a session, and write the results.

    They depend only on the audio of these windows, the models and the step, so all parts together give the
    same results as a run over the whole session. ``audio`` is that of ``stretch.tracks``.

    Raises:
        UserError: the models are unavailable, or audio is missing, damaged or of unexpected length.
    """
    window_models = diarization_engine(options.model).window_models(options)
    grid = window_models.grid(options.step)
    start, stop = stretch.within(timeline)
    windows = grid.starting_in(start, stop, timeline.samples)
    samples = read_session(
        timeline, dict(zip(stretch.tracks, audio, strict=True)), *grid.span(windows, timeline.samples)
    )
    segmentations, embeddings = window_models.look(samples, grid)
    end = timeline.samples if stop is None else min(stop, timeline.samples)
    metrics.heard(max(0, end - start) / SAMPLE_RATE)
    found = Embeddings(window_models.describe(timeline.session, grid, windows), segmentations, embeddings)
    found.write(output)
    return found


def read_session(timeline: Timeline, audio: dict[str, Path], start: int, stop: int) -> NDArray[np.float32]:
    """Return the samples ``[start, stop)`` of a session, from the audio by track; the rest is silence.

    Raises:
        UserError: audio is missing, damaged or of unexpected length.
    """
    import numpy as np  # noqa: PLC0415 -- heavy

    samples = np.zeros(stop - start, dtype=np.float32)
    for track in timeline.tracks:
        first, last = max(start, track.offset), min(stop, track.offset + track.samples)
        if first >= last:
            continue
        if track.track not in audio:
            what = f"is not as long as in the manifest (near {track.track})"
            hint = "Add the session again to measure its durations"
            raise UserError(what, where=timeline.session, hint=hint)
        samples[first - start : last - start] = read_samples(
            audio[track.track], first - track.offset, last - track.offset, of=track.samples
        )
    return samples


def cluster_speakers(
    *, timeline: Timeline, embeddings: list[Path], options: Diarize, output: Path, voices: Path
) -> tuple[Turns, str | None]:
    """Cluster the embeddings of a session, from its files in order; write turns and speaker embeddings.

    Returns:
        The turns, and a warning if there were too many embeddings to cluster all.

    Raises:
        UserError: a file is missing, damaged or of another session, or the pipeline is unavailable.
    """
    regular: list[Turn] = []
    exclusive: list[Turn] = []
    warning = None
    found = united([(path, Embeddings.read(path)) for path in embeddings], timeline.samples)
    if found is not None and found.segmentations.any():
        engine = diarization_engine(options.model)
        regular, exclusive, warning = engine.cluster(
            found.about, found.segmentations, found.embeddings, options
        )
    turns = _turns(timeline, models.describe(options.model), regular, exclusive)
    heard = speaker_embeddings(found, regular) if found is not None else []
    Voices(session=turns.session, model=turns.model, voices=heard).write(voices)
    turns.write(output)
    return turns, warning
