"""All steps of one session, in order."""

from __future__ import annotations

from sessionscribe.manifest.manifest import Session
from sessionscribe.planning.steps import Options, SessionSteps, finish, names, prepare, speakers, words
from sessionscribe.planning.steps.decoder import Decoder, unusable
from sessionscribe.planning.steps.names import People


def steps_of(
    session: Session,
    options: Options,
    decoder: Decoder,
    key: str,
    diarizer: tuple[str, str],
    *,
    known: People,
    corrections: str = "",
) -> SessionSteps:
    """Return the steps of one session.

    Args:
        session: its rows of the manifest.
        options: all settings as plain values.
        decoder: the decoder.
        key: ``words_key`` of these three.
        diarizer: the diarization pipeline (folder or hub id) and its identity.
        known: the people who may be named.
        corrections: the checksum of the session's corrections file; "" if there is none.
    """
    steps = SessionSteps(session, options)
    if rows := unusable(session):
        # These jobs fail with one line, so the session is marked and the others go on.
        for row in rows:
            prepare.fetch_recording(steps, row)
        return steps
    tracks = [prepare.prepare_track(steps, row) for row in session.rows]
    timeline = prepare.build_timeline(steps, tracks)
    chunks = words.transcribe_chunks(steps, tracks, decoder, key)
    merged = words.merge_transcript(steps, timeline, tracks, chunks)
    without = speakers.without_speakers(session, diarizer)
    turns = None if without else speakers.cluster_speakers(steps, timeline, tracks, diarizer)
    by_model = not without and session.layout != "multitrack"
    heard_by = {"speech": decoder.identity, "speakers": diarizer[1] if by_model else ""}
    spoken = speakers.assign_speakers(steps, merged, turns, timeline, models=heard_by)
    named = turns and names.name_speakers(steps, spoken, turns, known)
    audited = finish.audit_session(steps, tracks, chunks, timeline=timeline, merged=merged, spoken=spoken)
    corrected = finish.correct_transcript(steps, spoken, named, corrections)
    finish.write_export(steps, corrected or spoken, audited, timeline=timeline, tracks=tracks)
    return steps
