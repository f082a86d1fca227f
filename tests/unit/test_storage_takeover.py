"""Transcripts beside the parts of a live session: what is taken over from other machines, and what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import builders
import media
from remotes import serving
from sessionscribe.artifacts.chunk_transcript import Language
from sessionscribe.artifacts.part_transcript import PartTranscript
from sessionscribe.artifacts.provenance import Output, Provenance
from sessionscribe.artifacts.recording import AudioStream, Conversion, Ingest
from sessionscribe.cli import main
from sessionscribe.config import loading
from sessionscribe.config import settings as config
from sessionscribe.core.files import sha256
from sessionscribe.engines import models
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.results import write_settings
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps.decoder import decoders, words_key
from sessionscribe.sharing import sidecars, upload

OPUS = AudioStream(index=0, codec="pcm", sample_rate=16_000, channels=1)
Machine = Callable[..., None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_disk: None) -> Machine:
    """Goes to a machine by its name: a project's folder, with settings."""

    def go(name: str, **settings: Any) -> None:
        (tmp_path / name / "config").mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        Path("Snakefile").touch()
        Path("config/config.yaml").write_text(json.dumps(settings))

    return go


@pytest.fixture
def folder(tmp_path: Path, machine: Machine) -> Path:
    """Three parts, each with the transcript that a machine with a GPU put beside it."""
    for number in range(3):
        (tmp_path / "eve").mkdir(exist_ok=True)
        media.write_tone(tmp_path / f"eve/chunk-00{number}.wav", 0.2 + number / 10)
    machine("one")
    assert main.main(["add", "../eve"]) == 0
    gpu = next(d for d in decoders(config.Config(), models.identity) if d.compute_type == "float16")
    session = look({"model": gpu.model, "compute_type": gpu.compute_type})
    finish(session)
    session = look()
    assert session.fp == words_key(session.session, config.Config().model_dump(mode="json"), gpu)
    for row in session.session.rows:
        found = sidecars.describe(session, row, sidecars.made_of(session), Path())
        assert found is not None
        found.write(tmp_path / f"eve/transcription-{row.track}.json")
    return tmp_path / "eve"


def look(transcribe: dict[str, Any] | None = None) -> SessionPlan:
    settings = loading.load([Path("config/config.yaml")], {"transcribe": transcribe} if transcribe else None)
    return Plan(settings).sessions["eve"]


def finish(session: SessionPlan) -> None:
    """Make what the steps of the parts make, up to their transcripts."""
    for row in session.session.rows:
        of = sidecars.steps_of(session, row)
        about: dict[str, Any] = {"session": "eve", "track": row.track}
        plan = builders.plan(row.duration_s, session="eve", track=row.track)
        known: dict[str, Any] = {"source": row.source, "checksum": row.checksum, "duration_s": row.duration_s}
        found = Ingest(**about, **known, path=row.source, size=1, container="wav", streams=[OPUS])
        found.write(Path(of["fetch_recording"].outputs[0]))
        audio, conversion = map(Path, of["convert_audio"].outputs)
        Conversion(**about, samples=plan.samples, stream=OPUS, choice="", channel="", peak=0.5).write(
            conversion
        )
        audio.write_bytes(b"audio")
        plan.write(Path(of["plan_chunks"].outputs[0]))
        transcript = Path(of["transcribe_chunk"].outputs[0])
        builders.chunk(plan, 0, builders.words(f"part {row.part}", step=0.05)).write(transcript)
        language = Language(session="eve", language="en", probability=1, given=True, votes=[])
        language.write(transcript.with_name("language.json"))
        for rule in sidecars.PREPARING:
            made = [
                Output(path=path, size=Path(path).stat().st_size, sha256=sha256(Path(path)))
                for path in of[rule].outputs
            ]
            record = Provenance(rule=rule, key=of[rule].key, outputs=made, versions={"av": "1"}, flags=[rule])
            write_settings(Path(of[rule].settings_file), of[rule].settings)
            record.write(Path(of[rule].record))


def taken(capsys: pytest.CaptureFixture[str]) -> int:
    """Add the folder; return how many parts were taken over."""
    capsys.readouterr()
    assert main.main(["add", "../eve"]) == 0
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("adopted eve")]
    done = look().done("transcribe_chunk")
    assert bool(found) == bool(done)
    return done


def test_all_of_it_is_put_in_place_though_this_machine_would_take_another_model(
    folder: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine("two")
    assert taken(capsys) == 3
    session = look()
    todo = {step.rule for step in session.pending.values()}
    assert todo.isdisjoint({"plan_chunks", "detect_language", "transcribe_chunk"})
    assert "embed_chunk" in todo  # which listens, so the audio is made here
    flags = [flag for record in session.records(Path()) for flag in record.get("flags", [])]
    assert flags == ["fetch_recording", "convert_audio", "plan_chunks"] * 3


def test_other_settings_take_nothing(
    folder: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine("two", transcribe={"beam_size": 2})
    assert taken(capsys) == 0


def in_two(text: str) -> str:
    """Return the transcript of a part that says it was cut in two: ours never are."""
    content = json.loads(text)
    del content["sha256"]
    content["work"]["plan"]["cores"] *= 2
    return json.dumps(content)


@pytest.mark.parametrize(
    "spoil",
    [lambda text: text[:-9], lambda text: '{"segments": []}', str.upper, in_two, lambda text: "[" * 10**5],
)
def test_what_is_damaged_or_anothers_is_made_anew(
    folder: Path, machine: Machine, capsys: pytest.CaptureFixture[str], spoil: Callable[[str], str]
) -> None:
    path = folder / "transcription-chunk-001.json"
    path.write_text(spoil(path.read_text()))
    machine("two")
    assert taken(capsys) == 2


def test_a_part_of_another_content_is_made_anew(
    folder: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    media.write_tone(folder / "chunk-002.wav", 0.5)
    machine("two")
    assert taken(capsys) == 2


def test_a_session_has_one_language(
    folder: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "transcription-chunk-001.json"
    document = PartTranscript.read(path)
    other = document.work.language.model_copy(update={"language": "de"})
    document.model_copy(update={"work": document.work.model_copy(update={"language": other})}).write(path)
    machine("two")
    assert taken(capsys) == 2


@pytest.mark.parametrize(
    ("language", "said", "text"), [("ja", "今日 は 晴れ", "今日は晴れ"), ("en", "so be it", "so be it")]
)
def test_a_parts_text_is_written_as_its_language_is(
    folder: Path, machine: Machine, language: str, said: str, text: str
) -> None:
    machine("one")
    session = look()
    row = session.session.rows[0]
    path = Path(sidecars.steps_of(session, row)["transcribe_chunk"].outputs[0])
    plan = builders.plan(row.duration_s, session="eve", track=row.track)
    apart = {"space": language == "en"}
    words = [word.model_copy(update=apart) for word in builders.words(said, step=0.05)]
    builders.chunk(plan, 0, words, language=language).write(path)
    found = sidecars.describe(session, row, sidecars.made_of(session), Path())
    assert found is not None
    assert [segment.text for segment in found.segments] == [text]


def test_what_is_done_here_stays(folder: Path, machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine("one")
    before = {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")}
    assert main.main(["add", "../eve"]) == 0
    assert "adopted" not in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")} == before


def test_transcripts_are_sent_once_though_a_remote_knows_no_checksums(
    folder: Path, machine: Machine, tmp_path: Path
) -> None:
    machine("one")
    there = tmp_path / "srv/out/eve"
    there.mkdir(parents=True)
    with serving("webdav", tmp_path / "srv"):
        sent, times = [], []
        for _ in range(2):
            sent.append(upload.upload(look(), config.Upload(to="far:out"), root=Path()))
            times.append({path.name: path.stat().st_mtime_ns for path in there.iterdir()})
    assert [len(entries) for entries in sent] == [3, 0]
    assert len(times[0]) == 3
    assert times[0] == times[1]


def test_only_the_transcripts_that_changed_are_written_again(folder: Path, machine: Machine) -> None:
    def send() -> dict[str, tuple[int, int]]:
        upload.upload(look(), config.Upload(to="out"), root=Path())
        found = (path.stat() for path in sorted(Path("results/upload/eve").iterdir()))
        return {str(number): (state.st_ino, state.st_mtime_ns) for number, state in enumerate(found)}

    machine("one")
    first = send()
    assert len(first) == 3
    assert send() == first
    session = look()
    row = session.session.rows[1]
    path = Path(sidecars.steps_of(session, row)["transcribe_chunk"].outputs[0])
    plan = builders.plan(row.duration_s, session="eve", track=row.track)
    builders.chunk(plan, 0, builders.words("other words", step=0.05)).write(path)
    Path("results/upload/eve/transcription-chunk-002.json").write_text("damaged")
    third = send()
    assert [third[name] == first[name] for name in "012"] == [True, False, False]
    for name in ("transcription-chunk-001.json", "transcription-chunk-002.json"):
        sent = PartTranscript.read(Path("out/eve", name))
        assert sent == PartTranscript.read(Path("results/upload/eve", name))
