"""Small artifacts for tests: say what matters, the rest is filled in."""

from collections.abc import Sequence
from itertools import pairwise

from sessionscribe.artifacts.base import Layout
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Engine, RemovedSegment, Segment, Word
from sessionscribe.artifacts.merged import Merged, MergedSegment, MergedWord
from sessionscribe.artifacts.plan import ChunkPlan, CutKind, Gap, PlannedChunk, Span, Timeline, TimelineTrack
from sessionscribe.artifacts.speakers import Turn, Turns
from sessionscribe.artifacts.transcript import SpokenSegment, SpokenWord, Transcript
from sessionscribe.core.text import join_words, spaced, written_without_spaces
from sessionscribe.core.units import SAMPLE_RATE

ENGINE = Engine(name="faster-whisper", version="1.2.1", model="demo", device="cpu", compute_type="int8")


def samples(time_s: float) -> int:
    return round(time_s * SAMPLE_RATE)


def word(text: str, start: float, end: float | None = None, probability: float = 0.9) -> Word:
    return Word(text=text, start=start, end=start + 0.3 if end is None else end, probability=probability)


def words(text: str, start: float = 0.0, step: float = 0.4) -> list[Word]:
    """The words of ``text``, one every ``step`` seconds, each three quarters of it long."""
    return [
        word(piece, round(start + i * step, 3), round(start + (i + 0.75) * step, 3))
        for i, piece in enumerate(text.split())
    ]


def segment(found: Sequence[Word]) -> Segment:
    return Segment(
        start=min((w.start for w in found), default=0.0),
        end=max((w.end for w in found), default=0.0),
        text=" ".join(w.text for w in found),
        words=list(found),
        avg_logprob=-0.3,
        no_speech_prob=0.02,
        compression_ratio=1.2,
        temperature=0.0,
    )


def removed(found: Sequence[Word], reason: str = "repeats itself") -> RemovedSegment:
    return RemovedSegment(**segment(found).model_dump(), reason=reason)


def plan(
    duration_s: float,
    cuts: Sequence[tuple[float, CutKind]] = (),
    *,
    session: str = "s",
    track: str = "main",
    speech: Sequence[tuple[float, float]] = (),
) -> ChunkPlan:
    """A plan that is cut at the given times, each in silence or forced."""
    places: list[tuple[float, CutKind]] = [(0.0, "edge"), *cuts, (duration_s, "edge")]
    cores = [
        PlannedChunk(
            index=index,
            start=samples(start),
            stop=samples(stop),
            start_cut=start_cut,
            stop_cut=stop_cut,
        )
        for index, ((start, start_cut), (stop, stop_cut)) in enumerate(pairwise(places))
    ]
    spans = [Span(start=samples(start), stop=samples(stop)) for start, stop in speech]
    return ChunkPlan(session=session, track=track, samples=samples(duration_s), cores=cores, speech=spans)


def chunk(
    of: ChunkPlan,
    index: int,
    *segments: Sequence[Word],
    taken_out: Sequence[RemovedSegment] = (),
    language: str = "en",
    engine: Engine = ENGINE,
    heard: Span | None = None,
) -> ChunkTranscript:
    """The transcript of one core of a plan, one list of words for each segment."""
    return ChunkTranscript(
        session=of.session,
        track=of.track,
        core=of.cores[index],
        heard=heard or Span(start=of.cores[index].start, stop=of.cores[index].stop),
        language=language,
        engine=engine,
        segments=[segment(found) for found in segments if found],
        removed=list(taken_out),
    )


def timeline(
    *plans: ChunkPlan,
    layout: Layout = "recording",
    offsets: Sequence[float] = (),
    speakers: Sequence[str] = (),
    gaps: Sequence[tuple[float, float]] = (),
) -> Timeline:
    tracks = [
        TimelineTrack(
            track=of.track,
            offset=samples(offsets[i]) if offsets else 0,
            samples=of.samples,
            speaker=speakers[i] if speakers else None,
        )
        for i, of in enumerate(plans)
    ]
    return Timeline(
        session=plans[0].session if plans else "s",
        layout=layout,
        samples=max((track.offset + track.samples for track in tracks), default=0),
        tracks=tracks,
        gaps=[Gap(start=samples(a), stop=samples(b), reason="no part 2") for a, b in gaps],
    )


def merged(
    *segments: Sequence[Word], track: str = "main", duration_s: float = 60.0, language: str = "en"
) -> Merged:
    """A merged transcript of one track, one list of words for each segment."""
    return Merged(
        session="s",
        layout="recording",
        duration_s=duration_s,
        language=language,
        segments=[
            MergedSegment(
                track=track,
                start=found[0].start,
                end=found[-1].end,
                words=[MergedWord(**w.model_dump(), track=track, chunk=0) for w in found],
            )
            for found in segments
        ],
        removed=[],
        gaps=[],
        chunks=1,
        engines=[ENGINE],
    )


def turns(
    *regular: tuple[float, float, str],
    exclusive: Sequence[tuple[float, float, str]] | None = None,
    duration_s: float = 60.0,
) -> Turns:
    """Turns; the exclusive ones are the same where they are not given."""
    both = [[Turn(start=a, end=b, speaker=c) for a, b, c in part] for part in (regular, exclusive or regular)]
    return Turns(
        session="s",
        duration_s=duration_s,
        method="pyannote",
        model="community-1",
        speakers=sorted({c for *_, c in regular}),
        turns=both[0],
        exclusive=both[1],
    )


def transcript(
    *segments: tuple[str | None, Sequence[Word]],
    session: str = "s",
    language: str = "en",
    duration_s: float | None = None,
    flags: Sequence[str] = (),
) -> Transcript:
    """A finished transcript: for each segment the speaker and the words."""
    made = []
    for speaker, found in segments:
        texts = [word.text for word in found]
        spaces = [not texts[0] or not written_without_spaces(texts[0][0])]
        spaces += [spaced(before, text, language) for before, text in pairwise(texts)]
        spoken = [
            SpokenWord(**{**word.model_dump(), "speaker": speaker, "space": space})
            for word, space in zip(found, spaces, strict=True)
        ]
        made.append(
            SpokenSegment(
                start=found[0].start,
                end=found[-1].end,
                speaker=speaker,
                text=join_words(spoken),
                words=spoken,
            )
        )
    named = [part for part in made if part.speaker]
    return Transcript(
        session=session,
        layout="recording",
        duration_s=max((part.end for part in made), default=0.0) if duration_s is None else duration_s,
        language=language,
        speakers=list(dict.fromkeys(part.speaker for part in named if part.speaker)),
        segments=made,
        turns=[Turn(start=p.start, end=p.end, speaker=p.speaker) for p in named if p.speaker],
        gaps=[],
        flags=list(flags),
        engines=[ENGINE],
        diarization="community-1",
    )
