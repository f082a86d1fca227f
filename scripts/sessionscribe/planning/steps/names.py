"""The steps of the stage name: voices, which all sessions share, and the names of each session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sessionscribe.core.fingerprint import fingerprint, step_key
from sessionscribe.manifest.enrollment import EnrollmentSample
from sessionscribe.planning.steps import Folder, Inputs, Options, SessionSteps, Step
from sessionscribe.stages.name.speaker_map import SpeakerMap

VOICES = "results/name/voices"
SHARED = "voices"  # in place of a session's name, in logs


@dataclass(frozen=True)
class People:
    """The people who may be named: by voice samples and by the table of names.

    Attributes:
        clips: person, sample and file of the embedding, for each sample.
        folder: the steps that compute the embeddings, one for each content; None without samples.
        table: the table of names.
    """

    clips: Sequence[tuple[str, str, str]]
    folder: Folder | None
    table: SpeakerMap


def people(
    clips: Sequence[EnrollmentSample], table: SpeakerMap, options: Options, diarizer: tuple[str, str]
) -> People:
    """Return the people who may be named, and the steps that embed their voices."""
    key = step_key("embed_voice", diarizer[1])
    first: dict[str, EnrollmentSample] = {}
    rows = []
    for clip in clips:
        name = f"{fingerprint(key, clip.checksum)}.json"
        first.setdefault(name, clip)
        rows.append((clip.person, clip.path, f"{VOICES}/{name}"))
    told = {"model": diarizer[0], "device": options["diarize"]["device"]}

    def inputs(name: str) -> Inputs:
        return {"clip": first[name].path}

    def settings(name: str) -> Options:
        return {"checksum": first[name].checksum, "options": told}

    folder = Folder(
        "embed_voice", SHARED, VOICES, key, tuple(first), "{voice}.json", inputs, settings, diarizer[0]
    )
    return People(rows, folder if first else None, table)


def name_speakers(steps: SessionSteps, spoken: Step, turns: Step, people: People) -> Step | None:
    """Add the step that names speakers, if anybody may be named; the voices are in its key."""
    session = steps.session
    table = list(people.table.rows.get(session.name, ()))
    options = steps.options["name"]
    clips, folder = people.clips, people.folder
    if session.layout == "multitrack":  # tracks identify speakers
        clips, folder = (), None
    if not clips and not table:
        return None
    if folder is not None:
        steps.works.append(folder)
    inputs = {"transcript": spoken, "sounds": turns.output(1), "voices": [folder] if folder else []}
    heard = sorted((person, file) for person, _, file in clips)
    own = {name: options[name] for name in ("threshold", "margin")} if clips else {}
    key = step_key("name_speakers", spoken.key, turns.key, heard, table, own)
    outputs = (f"results/name/{session.name}.json",)
    told = {"clips": [list(clip) for clip in clips], "table": table, "options": options}
    return steps.add("name_speakers", inputs, outputs, key, told)
