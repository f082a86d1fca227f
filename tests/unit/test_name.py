"""Who is who: people are known again by their voices in other recordings, strangers are not, a table decides.

The recordings are the demo's, the models the bundled ones.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

import builders
import small_disks
from project import DIARIZATION_MODEL, TOY, cut_audio
from sessionscribe.artifacts.speakers import EmbeddingsHeader, EnrolledVoice, Names, Turn, Voice, Voices
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.audio.sliding_window import of_recording
from sessionscribe.cli.enroll import alone, enroll, longest
from sessionscribe.config.settings import Diarize, Name
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import sha256
from sessionscribe.core.units import SAMPLE_RATE, seconds
from sessionscribe.manifest import enrollment
from sessionscribe.stages.diarize.diarize import assign_speakers, cluster_speakers, embed_chunk
from sessionscribe.stages.diarize.embeddings import Embeddings
from sessionscribe.stages.diarize.speaker_embeddings import speaker_embeddings
from sessionscribe.stages.name import speaker_map
from sessionscribe.stages.name.identification import match
from sessionscribe.stages.name.name import embed_voice, name_speakers
from sessionscribe.storage import checksums

OPTIONS = Diarize(model=str(DIARIZATION_MODEL), device="cpu")
NEAR = Name(threshold=0.2)
# Two halves of a meeting of three, as two sessions, and a talk of two others.
RECORDINGS = {"monday": ("meeting.mp4", 0, 115), "tuesday": ("meeting.mp4", 125, 240)}


class Sessions:
    """A project's folder with sessions that are diarized, as the jobs leave them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, session: str, recording: Path, start_s: float, stop_s: float) -> None:
        audio = self.root / f"results/convert/{session}/mix.flac"
        audio.parent.mkdir(parents=True)
        cut_audio(recording, audio, start_s, stop_s)
        duration_s = soundfile.info(audio).frames / SAMPLE_RATE
        timeline = builders.timeline(builders.plan(duration_s, session=session, track="mix"))
        timeline.write(self.root / f"results/chunk/{session}.timeline.json")
        (stretch,) = of_recording("mix", duration_s, 600)
        windows = self.root / f"{session}.npz"
        embed_chunk(timeline=timeline, stretch=stretch, audio=[audio], options=OPTIONS, output=windows)
        folder = self.root / "results/diarize"
        turns, _ = cluster_speakers(
            timeline=timeline,
            embeddings=[windows],
            options=OPTIONS,
            output=folder / f"{session}.turns.json",
            voices=folder / f"{session}.voices.json",
        )
        # A word for each second of every turn.
        said = [builders.word("word", t.start + s) for t in turns.turns for s in range(int(t.end - t.start))]
        merged = builders.merged(sorted(said, key=lambda word: word.start))
        merged = merged.model_copy(update={"session": session})
        assign_speakers(merged=merged, turns=turns, speakers={}, output=folder / f"{session}.json")

    def transcript(self, session: str) -> Transcript:
        return Transcript.read(self.root / f"results/diarize/{session}.json")

    def voices(self, session: str) -> Voices:
        return Voices.read(self.root / f"results/diarize/{session}.voices.json")

    def people(self, session: str) -> dict[str, str]:
        """Return who each label of a half of the meeting is, by the truth."""
        truth = json.loads((TOY / "truth/meeting.json").read_text())
        offset, found = RECORDINGS[session][1], {}
        for label in self.transcript(session).speakers:
            common: Counter[str] = Counter()
            for turn in self.transcript(session).turns:
                for true in truth["turns"]:
                    start, end = true["start"] - offset, true["end"] - offset
                    if turn.speaker == label:
                        common[true["speaker"]] += max(0.0, min(turn.end, end) - max(turn.start, start))
            found[label] = common.most_common(1)[0][0]
        return found

    def enrolled(self) -> list[tuple[str, str, EnrolledVoice]]:
        heard = []
        for clip in enrollment.read("voices", self.root).clips:
            output = self.root / f"results/name/voices/{clip.checksum[:12]}.json"
            if not output.is_file():
                embed_voice(
                    clip=self.root / clip.path,
                    checksum=clip.checksum,
                    options=OPTIONS,
                    output=output,
                )
            heard.append((clip.person, clip.path, EnrolledVoice.read(output)))
        return heard

    def names(self, session: str, table: tuple[tuple[str, str], ...] = ()) -> Names:
        output = self.root / f"results/name/{session}.json"
        name_speakers(
            transcript=self.transcript(session),
            voices=self.voices(session),
            people=self.enrolled(),
            table=table,
            options=NEAR,
            output=output,
        )
        return Names.read(output)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Sessions:
    """Two sessions of the same three people; two of them are enrolled in the first. And one of others."""
    sessions = Sessions(tmp_path_factory.mktemp("campaign"))
    for session, (name, start, stop) in RECORDINGS.items():
        sessions.add(session, TOY / "recordings" / name, start, stop)
    sessions.add("elsewhere", TOY / "recordings/tracks/alice.ogg", 0, 60)
    for label, person in sessions.people("monday").items():
        if person != "clara":
            path, length_s = enroll(
                person.title(), "monday", label, folder=Path("voices"), root=sessions.root
            )
            assert 3 <= length_s <= 30.001
            assert soundfile.info(path).samplerate == SAMPLE_RATE
    return sessions


def test_people_are_known_again_in_another_recording_and_strangers_are_not(campaign: Sessions) -> None:
    truth = campaign.people("tuesday")
    assert sorted(truth.values()) == ["anna", "ben", "clara"]
    names = campaign.names("tuesday")
    assert names.by_label() == {label: who.title() for label, who in truth.items() if who != "clara"}
    for found in names.speakers:
        if truth[found.speaker] == "clara":
            assert (found.origin, found.reason) == ("none", "no enrolled voice within 0.2")
            assert found.distance is not None
            assert found.distance > NEAR.threshold
        else:
            assert found.origin == "voice"
            assert found.distance is not None
            assert found.distance < NEAR.threshold
            assert found.margin == pytest.approx((found.second_distance or 0) - found.distance, abs=2e-4)
    assert campaign.names("elsewhere").by_label() == {}
    assert names.flags == []


def test_the_table_decides_over_voices_by_label_or_by_moment(campaign: Sessions) -> None:
    truth = campaign.people("tuesday")
    label = {person: label for label, person in truth.items()}
    turn = max(
        (t for t in campaign.transcript("tuesday").segments if t.speaker == label["clara"]),
        key=lambda t: t.end - t.start,
    )
    moment = f"{int(turn.start // 60)}:{turn.start % 60:06.3f}"
    table = ((moment, "Klara"), (label["anna"], "Ben"), ("1:23:45", "Nobody"), ("SPEAKER_77", "Zoe"))
    names = campaign.names("tuesday", table)
    by_label = {found.speaker: found for found in names.speakers}
    assert (by_label[label["clara"]].name, by_label[label["clara"]].origin) == ("Klara", "table")
    assert (by_label[label["anna"]].name, by_label[label["anna"]].origin) == ("Ben", "table")
    # Ben's voice is heard, but who is Ben is settled.
    assert by_label[label["ben"]].name is None
    assert by_label[label["ben"]].reason == "Ben is named by the table"
    assert names.flags == [
        "names: nobody talks at 1:23:45, so nobody is called Nobody",
        "names: there is no speaker SPEAKER_77, so nobody is called Zoe",
    ]
    open_again = campaign.names("tuesday", ((label["anna"], ""),))
    assert label["anna"] not in open_again.by_label()
    twice = campaign.names("tuesday", ((label["anna"], "Anne"), (label["anna"], "Anni")))
    assert twice.by_label()[label["anna"]] == "Anne"
    assert "is called both Anne and Anni" in twice.flags[0]


@pytest.mark.parametrize("damage", ["no audio", "silence", "short"])
def test_a_clip_that_cannot_be_used_spoils_only_itself(tmp_path: Path, damage: str) -> None:
    clip = tmp_path / "Anna.wav"
    if damage == "no audio":
        clip.write_text("not a recording")
    elif damage == "silence":
        soundfile.write(clip, np.zeros(5 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    else:
        cut_audio(TOY / "recordings/tracks/alice.ogg", clip, 3.0, 6.0)
    output = tmp_path / "voice.json"
    found = embed_voice(clip=clip, checksum=sha256(clip), options=OPTIONS, output=output)
    assert EnrolledVoice.read(output) == found
    assert found.problem is not None
    assert (found.embedding is None) == (damage != "short")
    assert {"no audio": "not an audio", "silence": "no speech", "short": "has only"}[damage] in (
        found.problem
    )


def test_two_voices_in_a_clip_are_told(tmp_path: Path) -> None:
    clip = cut_audio(TOY / "recordings/meeting.mp4", tmp_path / "clip.flac", 20, 60)
    found = embed_voice(clip=clip, checksum=sha256(clip), options=OPTIONS, output=tmp_path / "voice.json")
    assert found.problem == "more than one voice is heard in it; the one that talks most is used"


# Matching, on vectors in a plane: their angles are their distances.


def at(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def voice(speaker: str, degrees: float, speech_s: float = 30.0) -> Voice:
    return Voice(speaker=speaker, speech_s=speech_s, embedding=at(degrees))


def named(*heard: Voice, margin: float = 0.05, **people: list[float]) -> dict[str, str | None]:
    enrolled = {name: [at(degrees) for degrees in clips] for name, clips in people.items()}
    found = match(heard, enrolled, threshold=0.2, margin=margin)
    return {part.speaker: part.name for part in found}


def test_two_people_who_sound_alike_are_told_apart_by_the_margin_only() -> None:
    # cos 10° is 0.985, cos 30° 0.866: the second is 0.119 farther.
    assert named(voice("A", 10), anna=[0], anne=[40]) == {"A": "anna"}
    assert named(voice("A", 10), margin=0.12, anna=[0], anne=[40]) == {"A": None}
    assert named(voice("A", 20), anna=[0], anne=[40]) == {"A": None}
    (found,) = match([voice("A", 20)], {"anna": [at(0)], "anne": [at(40)]}, threshold=0.2, margin=0.05)
    assert found.reason in ("anna and anne are equally near", "anne and anna are equally near")


def test_a_person_is_one_speaker_the_nearest() -> None:
    assert named(voice("A", 20), voice("B", 5), anna=[0], ben=[90]) == {"A": None, "B": "anna"}
    found = match([voice("A", 20), voice("B", 5)], {"anna": [at(0)]}, threshold=0.2, margin=0.05)
    assert [part.reason for part in found] == ["anna is B", None]


def test_several_clips_of_a_person_count_together() -> None:
    assert named(voice("A", 45), anna=[0]) == {"A": None}
    assert named(voice("A", 45), anna=[0, 60]) == {"A": "anna"}


def test_who_is_hardly_heard_alone_is_not_compared() -> None:
    assert named(voice("A", 0, speech_s=0.5), anna=[0]) == {"A": None}
    assert named(voice("A", 0)) == {"A": None}


def test_a_voice_is_made_of_what_is_said_alone() -> None:
    # Two local speakers in one window of 100 frames of 0.1 s; in the middle both talk.
    segmentations = np.zeros((1, 100, 2), np.float32)
    segmentations[0, :60, 0] = segmentations[0, 40:, 1] = 1
    about = EmbeddingsHeader(
        session="s",
        first=0,
        windows=1,
        window=160_000,
        step=16_000,
        frame_start=0.0,
        frame_duration=0.1,
        frame_step=0.1,
        powerset=True,
        model="demo",
    )
    vectors = np.array([[[2.0, 0.0], [0.0, 3.0]]], np.float32)
    turns = [Turn(start=0, end=6, speaker="A"), Turn(start=4, end=10, speaker="B")]
    found = speaker_embeddings(Embeddings(about, segmentations, vectors), turns)
    assert [(v.speaker, v.speech_s, v.embedding) for v in found] == [("A", 4, [1, 0]), ("B", 4, [0, 1])]
    vectors[0, 1] = np.nan  # too little to go by
    assert [v.speaker for v in speaker_embeddings(Embeddings(about, segmentations, vectors), turns)] == ["A"]


# The folder of clips.


def test_files_and_folders_are_clips_of_the_people_that_they_are_called_like(tmp_path: Path) -> None:
    for name in ("Anna.wav", "Anna.2.mp3", "Zoë Müller.m4a", "Ben/one.flac", "Ben/two.ogg"):
        (tmp_path / "voices" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "voices" / name).write_text(name)
    for name in (".hidden.wav", "notes.txt", "Ben/notes.md"):
        (tmp_path / "voices" / name).write_text(name)
    found = enrollment.read("voices", tmp_path)
    assert sorted((clip.person, clip.path) for clip in found.clips) == [
        ("Anna", "voices/Anna.2.mp3"),
        ("Anna", "voices/Anna.wav"),
        ("Ben", "voices/Ben/one.flac"),
        ("Ben", "voices/Ben/two.ogg"),
        ("Zoë Müller", "voices/Zoë Müller.m4a"),
    ]
    assert found.problems == ()
    assert enrollment.read("nowhere", tmp_path) == enrollment.EnrollmentSamples((), ())


def test_a_clip_is_read_again_only_when_its_file_has_changed(tmp_path: Path) -> None:
    clip, cache = tmp_path / "voices/Anna.wav", tmp_path / enrollment.CHECKSUMS
    clip.parent.mkdir()
    clip.write_text("one")
    os.utime(clip, (1, 1))
    first = enrollment.read("voices", tmp_path).clips[0].checksum
    cache.write_text(cache.read_text().replace(first, "0" * 64))
    assert enrollment.read("voices", tmp_path).clips[0].checksum == "0" * 64
    stat = clip.stat()
    clip.write_text("two")
    os.utime(clip, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time
    second = enrollment.read("voices", tmp_path).clips[0].checksum
    assert second == sha256(clip) != first
    cache.write_text("{")
    assert enrollment.read("voices", tmp_path).clips[0].checksum == second


def test_a_clip_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices/Anna.wav").write_text("one")

    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(checksums, "sha256", refuse)  # root may read everything
    found = enrollment.read("voices", tmp_path)
    assert found.clips == ()
    assert found.problems == ("voices/Anna.wav: cannot be read (Permission denied). It names nobody",)


# The table.


def test_a_wrong_row_concerns_nothing_but_itself(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text(
        "speaker\tname\tsession\nSPEAKER_00\tAnna\ttalk\n\nSPEAKER_01\tBen\ttakl\n\tCarl\ttalk\n1:02\t\ttalk\n"
    )
    table = speaker_map.read(path, ["talk"])
    assert table.rows == {"talk": [["SPEAKER_00", "Anna"], ["1:02", ""]]}
    assert table.problems == (
        f"{path}, line 4: there is no session `takl`. Did you mean `talk`?",
        f"{path}, line 5: `speaker` is empty. The row is left out",
    )
    path.write_text("session\tspeaker\tname\ntalk\tSPEAKER_00\tAnna\tof Zermatt\n")
    assert "4 fields where the header has 3" in speaker_map.read(path, ["talk"]).problems[0]
    assert speaker_map.read(tmp_path / "none.tsv", ["talk"]) == speaker_map.SpeakerMap()
    path.write_text("session\tspeaker\tname\nqqq\tSPEAKER_00\tAnna\n")
    (problem,) = speaker_map.read(path, ["b", "d", "a", "c"]).problems
    assert "There are: b, d, a, c" in problem, "in an order that is the same each time"


@pytest.mark.parametrize("rest", ["SPEAKER_01\tBen\ttalk\n" * many for many in (1, 9000)])
def test_an_open_quotation_mark_swallows_no_row(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "names.tsv"
    path.write_text(f'speaker\tname\tsession\nSPEAKER_00\t"Anna\ttalk\n{rest}')
    with pytest.raises(UserError) as caught:
        speaker_map.read(path, ["talk"])
    assert str(caught.value).startswith(f"{path}, line 2: a quotation mark is not closed")


@pytest.mark.parametrize("content", [b"name;speaker\n", b"session\tname\n", b"\xff\xfe\x00"])
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names.tsv").write_bytes(content)
    with pytest.raises(UserError, match=r"names\.tsv"):
        speaker_map.read(tmp_path / "names.tsv", ["talk"])


def test_a_moment_is_the_second_that_a_transcript_shows() -> None:
    assert speaker_map.moment("12:34") == (754, 755)
    assert speaker_map.moment("1:02:03.5") == (3723.5, 3723.5)
    assert speaker_map.moment("90:00") == (5400, 5401)
    assert speaker_map.moment("SPEAKER_01") is None
    assert speaker_map.moment("12:75") is None


# Clips out of sessions.


def in_seconds(stretches: Sequence[tuple[int, int]]) -> list[tuple[float, ...]]:
    return [tuple(seconds(edge) for edge in stretch) for stretch in stretches]


def test_a_clip_has_what_is_said_alone_the_longest_first() -> None:
    turns = [
        Turn(start=0, end=10, speaker="A"),
        Turn(start=4, end=5, speaker="B"),
        Turn(start=20, end=50, speaker="A"),
        Turn(start=60, end=61, speaker="A"),
    ]
    found = alone(turns, "A")
    assert in_seconds(found) == [(0.1, 3.9), (5.1, 9.9), (20.1, 49.9)]
    assert in_seconds(longest(found)) == [(5.1, 5.3), (20.1, 49.9)]
    assert alone(turns, "B") == []


def test_a_clip_that_is_there_is_kept(campaign: Sessions) -> None:
    before = sorted((campaign.root / "voices").iterdir())
    label = next(label for label, who in campaign.people("monday").items() if who == "anna")
    shutil.copytree(campaign.root / "voices", campaign.root / "voices2")
    path, _ = enroll("Anna", "monday", label, folder=Path("voices2"), root=campaign.root)
    assert path.name == "Anna.2.flac"
    assert len(list((campaign.root / "voices2").iterdir())) == len(before) + 1
    for name, session, speaker, message in (
        ("../Anna", "monday", label, "cannot be the name of a voice sample"),
        ("Anna.7", "monday", label, "cannot be the name of a voice sample"),
        ("Anna", "sunday", label, "sunday: has no finished diarization"),
        ("Anna", "monday", "SPEAKER_09", "there is no speaker `SPEAKER_09`. There are: SPEAKER_00"),
        ("Anna", "monday", "9:59:59", "nobody speaks at 9:59:59. There are: SPEAKER_00"),
    ):
        with pytest.raises(UserError, match=message):
            enroll(name, session, speaker, folder=Path("voices2"), root=campaign.root)
    with small_disks.mounted(campaign.root / "full", "size=8k") as full:
        with pytest.raises(OSError, match="No space left"):  # soundfile itself would not notice
            enroll("Anna", "monday", label, folder=Path("full"), root=campaign.root)
        assert not list(full.iterdir())
