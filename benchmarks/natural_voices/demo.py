"""Make the demo's recordings: ``python -m natural_voices.demo --to resources/demo``.

A video of a meeting, a session of two tracks and a live session of numbered parts, each with its reference,
and an enrollment sample of each voice.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from .conversation import make
from .media import OPUS, write_audio
from .recordings import write_chunks, write_tracks, write_video

SESSIONS = ("meeting", "tracks", "live")
VOICES = ("anna", "ben", "clara", "david")
PART_S = 15.0


def main() -> None:
    """Write ``recordings/``, ``truth/`` and ``voices/`` below a folder."""
    parser = argparse.ArgumentParser(prog="natural_voices.demo", description=__doc__)
    parser.add_argument("--to", type=Path, required=True)
    folder = parser.parse_args().to
    recordings, voices = folder / "recordings", folder / "voices"
    for needed in (recordings / "tracks", recordings / "live", folder / "truth", voices):
        needed.mkdir(parents=True, exist_ok=True)
    made = {name: replace(make(f"demo-{name}"), session=name) for name in SESSIONS}
    write_video(recordings / "meeting.mp4", made["meeting"].waveform, bit_rate=32_000)
    write_tracks(recordings / "tracks", made["tracks"])
    write_chunks(recordings / "live", made["live"].waveform, PART_S)
    for name, conversation in made.items():
        truth = json.dumps(conversation.truth(), ensure_ascii=False, indent=1)
        (folder / "truth" / f"{name}.json").write_text(f"{truth}\n", encoding="utf-8")
    for name in VOICES:
        write_audio(voices / f"{name.title()}.ogg", make(f"voice-{name}").waveform, OPUS)


if __name__ == "__main__":
    main()
