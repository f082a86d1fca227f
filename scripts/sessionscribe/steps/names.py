"""The steps of name: enrolled voices, which all sessions share, and who is who in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sessionscribe.clips import Clip
from sessionscribe.fingerprint import fingerprint, step_key
from sessionscribe.names_table import NamesTable
from sessionscribe.steps.work import Folder, Ledger, Options, Step

VOICES = "results/name/voices"
CHECKSUMS = f"{VOICES}/.checksums.json"
SHARED = "voices"  # in place of a session's name, in logs


@dataclass(frozen=True)
class People:
    """Who may be named: the clips with the files that say how they sound, and the table of names.

    ``folder`` has the steps that make these files, one for each clip, known by what is in it; None: no clips.
    """

    clips: Sequence[tuple[str, str, str]]
    """Name, clip and file of each."""
    folder: Folder | None
    table: NamesTable


def people(clips: Sequence[Clip], table: NamesTable, options: Options, diarizer: tuple[str, str]) -> People:
    """Return who may be named, and the steps that listen to the clips; each content is heard once."""
    key = step_key("embed_voice", diarizer[1])
    first: dict[str, Clip] = {}
    rows = []
    for clip in clips:
        name = f"{fingerprint(key, clip.checksum)}.json"
        first.setdefault(name, clip)
        rows.append((clip.person, clip.path, f"{VOICES}/{name}"))
    told = {"model": diarizer[0], "device": options["diarize"]["device"]}

    def tell(name: str) -> dict[str, Any]:
        clip = first[name]
        return {"clip": [clip.path], "checksum": clip.checksum, "options": told}

    folder = Folder("embed_voice", SHARED, VOICES, key, tuple(first), tell, diarizer[0])
    return People(rows, folder if first else None, table)


def name_speakers(ledger: Ledger, spoken: Step, turns: Step, people: People) -> Step | None:
    """Note the step that finds out who is who, if anybody may be named; the voices are in its key."""
    session = ledger.session
    table = [[entry.speaker, entry.name] for entry in people.table.of(session.name)]
    options = ledger.options["name"]
    clips, folder = people.clips, people.folder
    if session.shape == "tracks":  # nobody listens for voices there
        clips, folder = (), None
    if not clips and not table:
        return None
    if folder is not None:
        ledger.works.append(folder)

    def tell() -> dict[str, Any]:
        return {
            "voices": [file for *_, file in clips],
            "clips": [[person, clip] for person, clip, _ in clips],
            "table": table,
            "options": options,
        }

    heard = sorted((person, file) for person, _, file in clips)
    own = {name: options[name] for name in ("threshold", "margin")} if clips else {}
    key = step_key("name_speakers", spoken.key, turns.key, heard, table, own)
    output = f"results/name/{session.name}.json"
    needs: tuple[Step | Folder, ...] = (spoken, turns, folder) if folder else (spoken, turns)
    return ledger.add("name_speakers", "", (output,), key, tell, needs=needs)
