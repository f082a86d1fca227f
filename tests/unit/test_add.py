"""`sessionscribe add` as a person meets it: what it says, and what it refuses."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import media
from project import ROOT
from sessionscribe.audio.stream_parts import CLUSTER
from sessionscribe.cli import main
from sessionscribe.manifest import manifest

TABLE = Path("config/sessions.tsv")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").touch()
    media.write_tone(Path("talk.wav"), 0.2)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    return capsys


def test_a_link_to_itself_keeps_no_other_recording_off(told: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    Path("in/loop.wav").symlink_to("loop.wav")
    shutil.copy2("talk.wav", "in")
    assert main.main(["add", "in"]) == 1
    out, err = told.readouterr()
    assert out == "added talk: recording, 1 file, 0:00:00 of audio\n"
    assert err.startswith("sessionscribe: in/loop.wav: cannot be read (Too many levels of symbolic links)")


def test_it_tells_new_from_known(told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav"]) == 0
    assert told.readouterr().out == "added talk: recording, 1 file, 0:00:00 of audio\n"
    assert main.main(["add", "talk.wav"]) == 0
    assert told.readouterr().out == "known talk: recording, 1 file, 0:00:00 of audio\n"
    assert main.main(["add", "talk.wav", "--language", "de"]) == 0
    assert told.readouterr().out == "updated talk: recording, 1 file, 0:00:00 of audio\n"


def test_it_says_when_a_recording_takes_anothers_place(told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav"]) == 0
    media.write_tone(Path("talk.wav"), 0.3)
    told.readouterr()
    assert main.main(["add", "talk.wav"]) == 0
    assert told.readouterr().out == "replaced talk: recording, 1 file, 0:00:00 of audio\nchanged: talk.wav\n"


def test_what_is_no_recording_is_not_called_added(told: pytest.CaptureFixture[str]) -> None:
    Path("notes.txt").write_text("just words")
    assert main.main(["add", "notes.txt"]) == 1
    out, err = told.readouterr()
    assert out == ""
    assert err.startswith("sessionscribe: notes.txt: ")
    assert len(err.splitlines()) == 1


def test_own_recordings_do_not_go_into_the_table_of_the_demo(told: pytest.CaptureFixture[str]) -> None:
    Path("config").mkdir()
    shutil.copy2(ROOT / "config/demo.yaml", "config")
    assert main.main(["add", "talk.wav", "--profile", "demo"]) == 2
    assert "talk.wav: is not one of the demo's recordings. Leave out --profile demo" in told.readouterr().err
    assert not Path("resources").exists()
    Path("resources/demo").mkdir(parents=True)
    Path("talk.wav").rename("resources/demo/talk.wav")
    assert main.main(["add", "resources/demo/talk.wav", "--profile", "demo"]) == 0


def test_a_stream_that_is_not_there_is_refused(told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav", "--audio-stream", "7"]) == 2
    assert "talk.wav: has no audio stream number 7 (it has 1, number 0)" in told.readouterr().err
    assert main.main(["add", "talk.wav", "--channel", "3"]) == 2
    assert "talk.wav: has no channel number 3 (it has 1, counted from 0)" in told.readouterr().err
    sounds = [media.Sound(media.tone(1, channels=channels)) for channels in (1, 2)]
    media.write_media(Path("two.mkv"), sounds)
    assert main.main(["add", "two.mkv", "--channel", "1"]) == 2, "the first stream has one channel"
    assert main.main(["add", "/dev/zero"]) == 1  # which has no end
    assert "/dev/zero: is not a regular file" in told.readouterr().err
    assert not TABLE.exists() or not manifest.read(TABLE)
    assert main.main(["add", "talk.wav", "--audio-stream", "0"]) == 0
    assert manifest.read(TABLE)["talk"].rows[0].audio_stream == 0


WRONG = "session\tshape\ttrack\tsource\tnum_speakers\nother\trecording\tmix\tother.wav\ttwo\n"


def test_the_wrong_row_of_another_session_is_left_as_it_is() -> None:
    TABLE.parent.mkdir()
    TABLE.write_text(WRONG)
    said = "line 2: `num_speakers` must be a number and is `two`"
    assert said in str(manifest.read(TABLE)["other"].problem)
    assert main.main(["add", "talk.wav"]) == 0
    found = manifest.read(TABLE)
    assert said in str(found["other"].problem)
    assert found["talk"].problem is None


def test_nothing_is_added_to_a_session_whose_rows_are_wrong(told: pytest.CaptureFixture[str]) -> None:
    TABLE.parent.mkdir()
    TABLE.write_text(WRONG)
    media.write_tone(Path("other.wav"), 0.3)
    assert main.main(["add", "other.wav", "talk.wav", "--num-speakers", "3"]) == 1
    out, err = told.readouterr()
    assert out == "added talk: recording, 1 file, 0:00:00 of audio\n"
    assert err == (
        f"sessionscribe: other: nothing was added ({TABLE}, line 2: `num_speakers` must be a number and is "
        "`two`). Correct the table first\n"
    )
    (row,) = manifest.read(TABLE)["other"].rows
    assert (row.checksum, row.cells and row.cells[-1]) == ("", "")
    assert "\ttwo\t" in TABLE.read_text()


def test_a_table_with_an_open_quotation_mark_is_not_written(told: pytest.CaptureFixture[str]) -> None:
    TABLE.parent.mkdir()
    before = WRONG.replace("two", '"2') + "third\trecording\tmix\tthird.wav\t\n"
    TABLE.write_text(before)
    assert main.main(["add", "talk.wav"]) == 2
    (line,) = told.readouterr().err.splitlines()
    assert line.startswith(f"sessionscribe: {TABLE}, line 2: a quotation mark is not closed")
    assert TABLE.read_text() == before


def test_settings_that_are_not_there_are_named(told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav", "--configfile", "mine.yaml"]) == 2
    (line,) = told.readouterr().err.splitlines()
    assert line.startswith("sessionscribe: mine.yaml: does not exist. Check its name")


def tracks(*names: str) -> dict[str, str]:
    """Add a folder of tracks with these names; return the speakers of the table, by track."""
    for name in names:
        (Path("game") / name).parent.mkdir(exist_ok=True)
        if not (Path("game") / name).exists():
            media.write_tone(Path("game") / name, 0.1 + len(list(Path("game").iterdir())) / 10)
    assert main.main(["add", "game", "--layout", "multitrack"]) == 0
    return {row.track: row.speaker for row in manifest.read(TABLE)["game"].rows}


def test_a_track_whose_name_had_to_change_has_the_speaker_of_its_file() -> None:
    assert tracks("Alice Müller.wav", "bert.wav", "Zoe\u0308.wav", "D.\x07J.\n#12.wav") == {
        "Alice-Müller": "Alice Müller",
        "bert": "",
        "Zoë": "",
        "D-J-12": "D.J. #12",
    }
    media.write_tone(Path("my talk.wav"), 0.9)
    assert main.main(["add", "my talk.wav"]) == 0
    assert manifest.read(TABLE)["my-talk"].rows[0].speaker == ""


@pytest.mark.parametrize("written", ["Alice", ""])
def test_a_speaker_that_the_table_has_stays(written: str) -> None:
    tracks("Alice Müller.wav")
    table = TABLE.read_text()
    assert table.count("\tAlice Müller\t") == 1
    TABLE.write_text(table.replace("\tAlice Müller\t", f"\t{written}\t"))
    assert tracks("bert.wav") == {"Alice-Müller": written, "bert": ""}


@pytest.mark.parametrize(
    ("written", "speaker"), [("Alcie Müller", "Alice Müller"), ("", "Alice Müller"), ("Ali", "Ali")]
)
def test_a_speaker_by_the_old_name_of_a_file_goes_with_it(written: str, speaker: str) -> None:
    tracks("Alcie Müller.wav")
    TABLE.write_text(TABLE.read_text().replace("\tAlcie Müller\t", f"\t{written}\t"))
    Path("game/Alcie Müller.wav").rename("game/Alice Müller.wav")
    assert tracks() == {"Alice-Müller": speaker}


@pytest.mark.parametrize("language", ["xx", "klingon", "EN", "de-AT"])
def test_a_language_that_no_model_knows_is_refused(language: str, told: pytest.CaptureFixture[str]) -> None:
    assert main.main(["add", "talk.wav", "--language", language]) == 2
    (line,) = told.readouterr().err.splitlines()
    assert line.startswith(
        f"sessionscribe: --language: `{language}` is not a language code. Use a code such as"
    )
    assert not TABLE.exists()


@pytest.mark.parametrize("language", ["de", "yue", "auto", "mixed"])
def test_a_language_that_models_know_is_noted(language: str) -> None:
    assert main.main(["add", "talk.wav", "--language", language]) == 0
    assert manifest.read(TABLE)["talk"].rows[0].language == language


@pytest.mark.real
def test_hotwords_beyond_the_models_room_are_told(
    whisper_base: Path, told: pytest.CaptureFixture[str]
) -> None:
    settings = Path("own.yaml")
    settings.write_text(f"transcribe: {{model: {whisper_base}, hotwords: Barovia}}")
    many = " ".join(f"Zermatt{number}" for number in range(300))
    assert main.main(["add", "talk.wav", "--configfile", "own.yaml", "--hotwords", many]) == 0
    (line,) = told.readouterr().err.splitlines()
    assert "the model takes 223 tokens of hotwords" in line
    assert manifest.read(TABLE)["talk"].rows[0].hotwords == many
    assert main.main(["add", "talk.wav", "--configfile", "own.yaml", "--hotwords", "Zermatt"]) == 0
    assert told.readouterr().err == ""


# Live sessions as recorders write them.


def rows(session: str) -> list[manifest.Row]:
    return list(manifest.read(TABLE)[session].rows)


@pytest.fixture
def slices() -> Path:
    """A folder with the slices of a browser's recording: only the first has a header."""
    folder = Path("call")
    folder.mkdir()
    sound, options = media.Sound(media.tone(6)), {"cluster_time_limit": "2000"}
    data = media.write_media(Path("call.webm"), [sound], pipe=True, options=options).read_bytes()
    edges = [0, *[match.start() for match in re.finditer(re.escape(CLUSTER), data)][1:], len(data)]
    for number, (start, stop) in enumerate(pairwise(edges)):
        (folder / f"chunk-{number:03}.webm").write_bytes(data[start:stop])
    return folder


def test_slices_of_a_stream_are_parts_that_need_the_first_ones_header(slices: Path) -> None:
    assert main.main(["add", "call"]) == 0
    found = rows("call")
    assert [row.header for row in found] == [None, 0, 0, 0]
    assert sum(row.duration_s for row in found) == pytest.approx(6, abs=0.1)
    assert main.main(["add", "call"]) == 0
    assert rows("call") == found


def test_slices_without_the_first_are_told_in_one_line(
    slices: Path, told: pytest.CaptureFixture[str]
) -> None:
    first = slices / "chunk-000.webm"
    header = first.read_bytes()
    first.unlink()
    assert main.main(["add", "call"]) == 1
    says = (
        "call: none of its 3 files can be used; the first is a slice of a stream, and only the stream's first"
    )
    (line,) = told.readouterr().err.splitlines()
    assert says in line
    first.write_bytes(header)
    assert main.main(["add", "call"]) == 0
    assert [row.header for row in rows("call")] == [None, 0, 0, 0]


def test_parts_that_begin_anew_each_time_are_refused(slices: Path, told: pytest.CaptureFixture[str]) -> None:
    for part in sorted(slices.iterdir()):
        written = part.read_bytes()
        Path("all").mkdir(exist_ok=True)
        before = Path(f"all/chunk-{int(part.stem[-3:]) - 1:03}.webm")
        Path("all", part.name).write_bytes((before.read_bytes() if before.exists() else b"") + written)
    assert main.main(["add", "all"]) == 1
    says = (
        "all: each part begins with all that the one before it holds. Add the last part alone, as a recording"
    )
    assert says in told.readouterr().err
    assert "all" not in manifest.read(TABLE)


def test_a_first_part_that_was_hardly_begun_keeps_no_other_off(told: pytest.CaptureFixture[str]) -> None:
    Path("begun").mkdir()
    whole = media.write_tone(Path("begun/chunk-001.wav"), 2).read_bytes()
    Path("begun/chunk-000.wav").write_bytes(whole[:30])
    assert main.main(["add", "begun"]) == 1
    assert "begun/chunk-000.wav: is not an audio or video file" in told.readouterr().err
    assert [row.duration_s for row in rows("begun")] == [0, 2]


def test_slices_of_flac_may_begin_anywhere() -> None:
    Path("cut").mkdir()
    data = media.write_media(Path("a.flac"), [media.Sound(media.tone(9))]).read_bytes()
    for number, (start, stop) in enumerate(pairwise(len(data) * edge // 3 for edge in range(4))):
        Path(f"cut/chunk-{number:03}.flac").write_bytes(data[start:stop])
    assert main.main(["add", "cut"]) == 0
    assert [row.header for row in rows("cut")] == [None, 0, 0]
    assert sum(row.duration_s for row in rows("cut")) == pytest.approx(9, abs=0.4)


def test_parts_that_are_no_good_are_told_and_do_not_keep_the_others_off(
    slices: Path, told: pytest.CaptureFixture[str]
) -> None:
    (slices / "chunk-001.webm").write_bytes(b"")
    (slices / "chunk-002.webm").write_bytes(b"junk" * 500)
    assert main.main(["add", "call"]) == 1
    out, err = told.readouterr()
    assert out == "added call: live, 4 files, 0:00:02 of audio\n"
    assert "chunk-001.webm: is empty" in err
    assert "chunk-002.webm: is not an audio or video file" in err
    assert [row.header for row in rows("call")] == [None, None, None, 0]
    assert [row.duration_s > 0 for row in rows("call")] == [True, False, False, True]


def test_a_recorder_that_began_anew_has_a_header_of_its_own(slices: Path) -> None:
    for part in sorted(slices.iterdir()):
        number = int(part.stem[-3:])
        shutil.copy2(part, slices / f"chunk-{number + 10:03}.webm")
    assert main.main(["add", "call"]) == 0
    assert [row.header for row in rows("call")] == [None, 0, 0, 0, None, 10, 10, 10]


def test_parts_that_are_renumbered_or_copied_keep_their_header(
    slices: Path, told: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["add", "call"]) == 0
    shutil.copytree(slices, "headless")
    Path("headless/chunk-000.webm").unlink()
    assert main.main(["add", "headless"]) == 1
    assert "only the stream's first part has the header" in told.readouterr().err
    for part in sorted(slices.iterdir(), reverse=True):
        part.rename(slices / f"chunk-{int(part.stem[-3:]) + 1:03}.webm")
    assert main.main(["add", "call"]) == 0
    assert [row.header for row in rows("call")] == [None, 1, 1, 1]


@pytest.mark.parametrize("suffix", ["webm", "mp4"])
def test_the_header_may_be_a_part_of_its_own(suffix: str) -> None:
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "2000000"} if suffix == "mp4" else {}
    sound = media.Sound(media.tone(6))
    data = media.write_media(
        Path(f"a.{suffix}"), [sound], pipe=suffix == "webm", options=options
    ).read_bytes()
    edge = data.index(CLUSTER) if suffix == "webm" else data.index(b"moof") - 4
    Path("call").mkdir()
    for number, part in enumerate((data[:edge], data[edge:])):
        Path(f"call/chunk-{number}.{suffix}").write_bytes(part)
    assert main.main(["add", "call"]) == 0
    assert [(row.header, round(row.duration_s)) for row in rows("call")] == [(None, 0), (0, 6)]


def test_a_part_that_was_sent_twice_is_told_once(slices: Path, told: pytest.CaptureFixture[str]) -> None:
    shutil.copy2(slices / "chunk-001.webm", slices / "chunk-004.webm")
    for times in (1, 0):
        assert main.main(["add", "call"]) == 0
        line = "twice: call/chunk-004.webm holds the same as call/chunk-001.webm"
        assert told.readouterr().out.count(line) == times


def test_what_was_removed_stays_removed_until_it_is_named(
    slices: Path, told: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["add", "call"]) == 0
    every = rows("call")
    manifest.write(TABLE, [row for row in every if row.part != 2])
    told.readouterr()
    assert main.main(["add", "call"]) == 0
    assert "left out: call/chunk-002.webm (its row was removed" in told.readouterr().out
    assert [row.part for row in rows("call")] == [0, 1, 3]
    media.write_media(slices / "chunk-004.webm", [media.Sound(media.tone(1))])
    assert main.main(["add", "call"]) == 0
    assert [row.part for row in rows("call")] == [0, 1, 3, 4], "a new part is added all the same"
    media.write_media(slices / "chunk-002.webm", [media.Sound(media.tone(1))])
    assert main.main(["add", "call"]) == 0
    assert [row.part for row in rows("call")] == [0, 1, 2, 3, 4], "what it is now was never removed"
    manifest.write(TABLE, [])
    assert main.main(["add", "call"]) == 0
    assert len(rows("call")) == 5, "without any row of it, the folder is meant"


def test_a_recording_that_was_removed_is_left_out_of_its_folder() -> None:
    for name in ("one", "two"):
        media.write_tone(Path(f"{name}.flac"), 1 if name == "one" else 2)
    Path("in").mkdir()
    for path in Path().glob("*.flac"):
        path.rename(Path("in") / path.name)
    assert main.main(["add", "in"]) == 0
    manifest.write(TABLE, rows("two"))
    assert main.main(["add", "in"]) == 0
    assert list(manifest.read(TABLE)) == ["two"]
    assert main.main(["add", "in/one.flac"]) == 0
    assert sorted(manifest.read(TABLE)) == ["one", "two"]


# Several speakers in one file.


def call(*levels: float) -> Path:
    """A recording with a tone of its own in each channel."""
    every = [media.tone(1, frequency=300 * (n + 1), level=level) for n, level in enumerate(levels)]
    return media.write_media(Path("call.wav"), [media.Sound(np.concatenate(every))])


def parted(session: str) -> list[tuple[str, str, int | None, int | None]]:
    return [(row.track, row.speaker, row.audio_stream, row.channel) for row in rows(session)]


def test_the_channels_of_a_call_are_tracks() -> None:
    call(0.3, 0.2)
    assert main.main(["add", "call.wav", "--layout", "multitrack"]) == 0
    assert parted("call") == [("left", "", None, 0), ("right", "", None, 1)]
    assert main.main(["add", "call.wav", "--names", "Anna Ölund, Ben"]) == 0
    assert parted("call") == [("Anna-Ölund", "Anna Ölund", None, 0), ("Ben", "", None, 1)]
    assert main.main(["add", "call.wav", "--layout", "multitrack", "--language", "de"]) == 0
    assert parted("call") == [("Anna-Ölund", "Anna Ölund", None, 0), ("Ben", "", None, 1)]
    assert [row.language for row in rows("call")] == ["de", "de"]


def test_channels_that_are_the_same_are_one_track() -> None:
    media.write_media(Path("call.wav"), [media.Sound(np.repeat(media.tone(1), 2, axis=0))])
    assert main.main(["add", "call.wav", "--layout", "multitrack"]) == 0
    assert parted("call") == [("call", "", None, None)]


def test_more_channels_are_numbered() -> None:
    call(0.3, 0.2, 0.1)
    assert main.main(["add", "call.wav", "--layout", "multitrack"]) == 0
    assert [track for track, *_ in parted("call")] == ["channel-0", "channel-1", "channel-2"]


def streams(count: int = 3) -> Path:
    sounds = [media.Sound(media.tone(1 + n, frequency=300 + 100 * n)) for n in range(count)]
    return media.write_media(Path("obs.mkv"), sounds, picture_s=3)


def test_audio_streams_are_tracks_and_more_can_be_added() -> None:
    streams()
    assert main.main(["add", "obs.mkv", "--layout", "multitrack", "--session", "all"]) == 0
    assert [stream for _, _, stream, _ in parted("all")] == [0, 1, 2]
    assert [round(row.duration_s) for row in rows("all")] == [1, 2, 3]
    two = ["add", "obs.mkv", "--session", "two", "--audio-stream", "0", "--audio-stream"]
    assert main.main([*two, "2"]) == 0
    assert [stream for _, _, stream, _ in parted("two")] == [0, 2]
    assert main.main([*two, "1"]) == 0
    assert sorted(stream for _, _, stream, _ in parted("two")) == [0, 1, 2]


def test_names_that_do_not_fit_and_streams_that_are_not_there_are_refused(
    told: pytest.CaptureFixture[str],
) -> None:
    streams(2)
    assert main.main(["add", "obs.mkv", "--names", "A,B,C"]) == 1
    assert "has 2 tracks, not as many as there are names (3)" in told.readouterr().err
    assert main.main(["add", "obs.mkv", "--audio-stream", "0", "--audio-stream", "5"]) == 1
    assert "has no audio stream number 5 (it has 2" in told.readouterr().err
    assert manifest.read(TABLE) == {}


def test_a_channel_can_be_chosen_for_a_session() -> None:
    call(0.3, 0.2)
    assert main.main(["add", "call.wav", "--channel", "1"]) == 0
    assert [row.channel for row in rows("call")] == [1]


@pytest.mark.parametrize(
    ("folder", "files", "names"),
    [
        (
            "craig",
            ["1-alice.flac", "2-bob_1234.flac", "3-Ünal#0001.flac", "info.txt"],
            ["alice", "bob", "Ünal"],
        ),
        ("twins", ["1-al.flac", "2-al_0.flac", "info.txt"], ["1-al", "2-al_0"]),
        ("Audio Record", ["audioAnnaB11234567890.m4a", "audioBen21234567890.m4a"], ["AnnaB", "Ben"]),
        (
            "zoom",
            [
                "audio_only.m4a",
                "Audio Record/audioAnnaB11234567890.m4a",
                "Audio Record/audioBen21234567890.m4a",
            ],
            ["AnnaB", "Ben"],
        ),
    ],
)
def test_folders_with_a_file_for_each_speaker_are_known(
    folder: str, files: list[str], names: list[str]
) -> None:
    parent = Path("meeting") / folder
    parent.mkdir(parents=True)
    for number, name in enumerate(files):
        if name == "info.txt":
            (parent / name).write_text("Recording abc\n")
        else:
            (parent / name).parent.mkdir(exist_ok=True)
            media.write_tone(parent / name, 1 + number)
    assert main.main(["add", str(parent)]) == 0
    (session,) = manifest.read(TABLE).values()
    assert session.name == ("meeting" if folder == "Audio Record" else folder)
    assert session.layout == "multitrack"
    assert sorted(row.speaker or row.track for row in session.rows) == sorted(names)


def test_numbered_recordings_without_such_a_file_are_sessions_of_their_own() -> None:
    Path("in").mkdir()
    names = ["1-intro", "2-lecture", "audio_1714590000", "audio_1714590060"]
    for number, name in enumerate(names):
        media.write_tone(Path(f"in/{name}.flac"), 1 + number)
    assert main.main(["add", "in"]) == 0
    assert sorted(manifest.read(TABLE)) == names


def test_a_mix_beside_tracks_is_a_session_of_its_own() -> None:
    """Else all words of the tracks would be in the session twice, or the tracks would be sessions."""
    Path("craig").mkdir()
    for number, name in enumerate(("1-alice", "2-bob", "mix")):
        media.write_tone(Path(f"craig/{name}.flac"), 1 + number)
    Path("craig/info.txt").write_text("Recording abc\n")
    assert main.main(["add", "craig"]) == 0
    assert [row.track for row in rows("craig")] == ["alice", "bob"]
    assert [row.layout for row in rows("mix")] == ["recording"]
