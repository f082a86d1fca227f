"""The recordings with artificial voices, and the conversations that the small models are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .bank import UtteranceBank
from .conversation import ConversationMixer
from .media import AudioFormat, write_audio
from .recordings import write_chunks, write_json, write_tracks, write_video


@dataclass(frozen=True)
class DemoPlan:
    """Seeds and lengths of the demo recordings; the seeds are not used for any held-out conversation."""

    meeting_seed: int = 9001
    meeting_s: float = 240.0
    tracks_seed: int = 9002
    tracks_s: float = 180.0
    live_seed: int = 9003
    chunk_s: float = 15.0
    chunks: int = 8
    video_fps: int = 5
    audio_bit_rate: int = 32_000


def make_demo_recordings(bank_prefix: Path, recordings: Path, truth: Path, plan: DemoPlan) -> None:
    """Make all demo recordings below `recordings` and their truth files below `truth`."""
    mixer = ConversationMixer(UtteranceBank(bank_prefix))
    for folder in (recordings / "tracks", recordings / "live", truth):
        folder.mkdir(parents=True, exist_ok=True)
    meeting = mixer.mix(plan.meeting_seed, plan.meeting_s, 3).renamed("meeting", ["anna", "ben", "clara"])
    write_video(recordings / "meeting.mp4", meeting, plan.video_fps, plan.audio_bit_rate)
    tracks = mixer.mix(plan.tracks_seed, plan.tracks_s, 2).renamed("tracks", ["alice", "bob"])
    write_tracks(recordings / "tracks", tracks)
    live = mixer.mix(plan.live_seed, plan.chunk_s * plan.chunks, 2).renamed("live", ["dora", "emil"])
    write_chunks(recordings / "live", live.waveform, plan.chunk_s)
    for conversation in (meeting, tracks, live):
        write_json(truth / f"{conversation.session}.json", conversation.truth())


def synthesize_heldout(
    bank_prefix: Path, folder: Path, count: int, duration_s: float, first_seed: int = 1
) -> None:
    """Held-out conversations of 2, 3, 4, 2, … speakers as FLAC, each fourth as AAC, each with its truth."""
    mixer = ConversationMixer(UtteranceBank(bank_prefix))
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        name = f"heldout-{index + 1:02d}"
        conversation = mixer.mix(first_seed + index, duration_s, 2 + index % 3).renamed(name)
        if index % 4 == 3:
            write_audio(folder / f"{name}.m4a", conversation.waveform, AudioFormat("mp4", "aac", 24_000))
        else:
            write_audio(folder / f"{name}.flac", conversation.waveform, AudioFormat("flac", "flac"))
        write_json(folder / f"{name}.json", conversation.truth())
