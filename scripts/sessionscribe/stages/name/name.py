"""Speaker identification: enrolled voices, and the names of a session's speakers.

Names are kept beside the transcript, so a new name only redoes what shows names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.speakers import EnrolledVoice, NamedSpeaker, Names, Voice, Voices
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.audio.flac import read_samples
from sessionscribe.config.settings import Convert, Diarize, Name
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.units import SAMPLE_RATE, milliseconds
from sessionscribe.engines import models
from sessionscribe.engines.registry import diarization_engine
from sessionscribe.jobs import metrics
from sessionscribe.stages.convert.convert import convert_audio
from sessionscribe.stages.diarize.embeddings import Embeddings
from sessionscribe.stages.diarize.speaker_embeddings import speaker_embeddings
from sessionscribe.stages.ingest.ingest import fetch_recording, probe
from sessionscribe.stages.name.identification import match
from sessionscribe.stages.name.speaker_map import moment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_S = 600.0
"""Length of a voice sample; the rest is ignored."""
SHORT_S = 5.0
"""A sample with less speech than this gets a warning."""
OTHERS_SHARE = 0.1
"""A sample in which others have more than this share of the speech gets a warning."""


def embed_voice(*, clip: Path, checksum: str, options: Diarize, output: Path) -> EnrolledVoice:
    """Write the embedding of a voice sample: of the speaker who talks most in it.

    If the sample is unusable, the file says why.

    Raises:
        UserError: the models are unavailable.
    """
    engine = diarization_engine(options.model)
    window_models = engine.window_models(options)
    heard: list[Voice] = []
    problem = None
    try:
        samples = _samples(clip, checksum)
    except UserError as error:
        # The hint is about recordings, which have a row in the manifest.
        problem = f"{error.what}. {error.hint.replace('its row from the manifest', 'it')}"
    else:
        grid = window_models.grid(None)
        segmentations, embeddings = window_models.look(samples, grid)
        metrics.heard(len(samples) / SAMPLE_RATE)
        about = window_models.describe("", grid, range(len(segmentations)))
        found = Embeddings(about, segmentations, embeddings)
        if segmentations.any():
            unbounded = Diarize(model=options.model)
            turns, _, _ = engine.cluster(about, segmentations, embeddings, unbounded)
            heard = sorted(speaker_embeddings(found, turns), key=lambda voice: -voice.speech_s)
        problem = _warning(heard)
    voice = EnrolledVoice(
        model=models.describe(options.model),
        speech_s=heard[0].speech_s if heard else 0.0,
        embedding=heard[0].embedding if heard else None,
        problem=problem,
    )
    voice.write(output)
    return voice


def _samples(clip: Path, checksum: str) -> NDArray[np.float32]:
    """Return the first ``LONGEST_S`` of a voice sample as 16 kHz mono."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = fetch_recording(
            session="",
            track="",
            source=str(clip),
            checksum=checksum,
            duration_s=probe(clip).duration_s,
            output=folder / "source.json",
        )
        audio = folder / "clip.flac"
        made = convert_audio(ingest=source, options=Convert(), audio=audio, record=folder / "clip.json")
        return read_samples(audio, 0, min(made.samples, round(LONGEST_S * SAMPLE_RATE)))


def _warning(heard: Sequence[Voice]) -> str | None:
    if not heard:
        return "no speech is heard in it. Record the person alone, for 10 s or more"
    others = sum(voice.speech_s for voice in heard[1:])
    if others > OTHERS_SHARE * (others + heard[0].speech_s):
        return "more than one voice is heard in it; the one that talks most is used"
    if heard[0].speech_s < SHORT_S:
        return f"has only {heard[0].speech_s:.1f} s of speech; 10 s or more are better"
    return None


def name_speakers(
    *,
    transcript: Transcript,
    voices: Voices,
    people: Sequence[tuple[str, str, EnrolledVoice]],
    table: Sequence[tuple[str, str]],
    options: Name,
    output: Path,
) -> Names:
    """Name the speakers of a session; write the names to ``output`` and return them.

    The table of names takes precedence over the tracks of a multitrack session, and these over voices.

    Args:
        transcript: the session, with labels.
        voices: the embeddings of its speakers.
        people: the name, path and embedding of each voice sample.
        table: the session's rows of the table of names: speaker and name.
        options: threshold and margin.
        output: the file to write.

    Raises:
        UserError: the embeddings are of different models.
    """
    given, problems = _by_table(transcript, table)
    enrolled: dict[str, list[list[float]]] = {}
    for person, clip, voice in people:
        if voice.embedding is not None:
            if voice.model != voices.model:
                hint = "Delete results/name and run again"
                raise UserError(f"was made by {voice.model}, not {voices.model}", where=clip, hint=hint)
            enrolled.setdefault(person, []).append(voice.embedding)
    matched = match(
        [voice for voice in voices.voices if voice.speaker not in given],
        enrolled,
        threshold=options.threshold or models.voice_distance(voices.model),
        margin=options.margin,
        taken={name for name in given.values() if name},
    )
    by_voice = {found.speaker: found for found in matched}
    # A doubtful sample matters if it decided.
    decided = {name for found in matched if found.name for name in (found.nearest, found.second)}
    flags = [
        f"{visible(clip)}: {voice.problem}"
        for person, clip, voice in people
        if voice.problem and (voice.embedding is None or person in decided)
    ]
    names = Names(
        session=transcript.session,
        speakers=[_named(label, given, by_voice, transcript) for label in transcript.speakers],
        flags=[*flags, *problems],
    )
    names.write(output)
    return names


def _named(
    label: str, given: Mapping[str, str], by_voice: Mapping[str, NamedSpeaker], transcript: Transcript
) -> NamedSpeaker:
    if label in given:
        name = given[label] or None
        reason = None if name else "the table leaves the name open"
        return NamedSpeaker(speaker=label, name=name, origin="table", reason=reason)
    if transcript.layout == "multitrack":
        return NamedSpeaker(speaker=label, name=label, origin="track")
    return by_voice.get(label) or NamedSpeaker(speaker=label, reason="never talks alone")


def _by_table(transcript: Transcript, table: Sequence[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Return the table's names by label, and a message for each row that matches nobody."""
    given: dict[str, str] = {}
    problems = []
    for speaker, name in table:
        label = speaker if speaker in transcript.speakers else who_talks(transcript, speaker)
        if label is None:
            what = "nobody talks at" if moment(speaker) else "there is no speaker"
            problems.append(f"names: {what} {visible(speaker)}, so nobody is called {visible(name) or '-'}")
        elif given.get(label, name) != name:
            problems.append(
                f"names: {label} is called both {given[label]} and {name}; {given[label]} is used"
            )
        else:
            given[label] = name
    return given, problems


def who_talks(transcript: Transcript, speaker: str) -> str | None:
    """Return the label of whoever starts to talk at a time (``12:34``), or else talks then, if anybody."""
    time = moment(speaker)
    if time is None:
        return None
    start, end = map(milliseconds, time)
    spoken = [part for part in transcript.segments if part.speaker is not None]
    begins = [part.speaker for part in spoken if start <= milliseconds(part.start) < max(end, start + 1)]
    talks = [
        part.speaker
        for parts in (spoken, transcript.turns)
        for part in parts
        if milliseconds(part.start) <= end and milliseconds(part.end) > start
    ]
    return next(iter([*begins, *talks]), None)
