"""What a job reads is found from its request: nothing too little, and nothing that is not its business."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from test_plan import Project

from builders import plan, timeline
from sessionscribe.audio.slices import SLICE
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.runners.job_bundle import InputResolver, audio_read, checksum, files_read, hub_models

TRACK = "results/convert/talk/mix.flac"
PLAN = "results/chunk/talk/mix.plan.json"
LENGTH_S = 60
CUT = plan(LENGTH_S, [(20, "silence"), (40, "forced")], session="talk", track="mix", speech=[(3, 50)])


def request(rule: str, settings: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    return {
        "rule": rule,
        "script": "/x/scripts/a.py",
        "input": [[name, path] for name, path in inputs.items()],
        "output": [["made", "results/made.json"]],
        "params": [["settings", settings]],
        "wildcards": [],
        "log": [[None, "logs/a.log"]],
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / TRACK).parent.mkdir(parents=True)
    samples = np.random.default_rng(1).integers(-900, 900, LENGTH_S * SAMPLE_RATE).astype("int16")
    soundfile.write(folder / TRACK, samples, SAMPLE_RATE, subtype="PCM_16")
    CUT.write(folder / PLAN)
    for name in ("results/transcribe/language.json", "results/made.json", "config/voices/anna.flac"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    for name in ("resources/model/model.bin", "resources/model/deep/tokenizer.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def resolver(project: Path, tmp_path: Path) -> InputResolver:
    return InputResolver(project, tmp_path / "staging")


def names(resolver: InputResolver, told: dict[str, Any]) -> list[str]:
    return [piece.name for piece in resolver.pack(told).pieces]


def test_a_job_reads_its_inputs_and_its_models_and_nothing_else(project: Path) -> None:
    settings = {
        "options": {"model": "resources/model", "hotwords": "results/made.json", "language": "config"},
        "table": [["results/made.json", "config/voices/anna.flac"]],
    }
    told = request("r", settings, audio=TRACK, plans=[PLAN], language="results/transcribe/language.json")
    wanted = [TRACK, PLAN, "results/transcribe/language.json", "resources/model"]
    assert files_read(told, project) == wanted
    told["params"] = [["models", {"speech": ["resources/model", "hub/model"], "diarization": []}]]
    assert files_read(told, project) == wanted, "what checks the models has them too"


def test_of_a_track_a_chunk_gets_what_it_hears(project: Path, resolver: InputResolver) -> None:
    options = {"beam_size": 5, "window_s": 30.0}
    told = request("transcribe_chunk", {"index": 1, "options": options}, audio=TRACK, plan=PLAN)
    # The window that has its middle there.
    assert audio_read(told, project) == {TRACK: [(round(26.5 * SAMPLE_RATE), 50 * SAMPLE_RATE)]}
    bundle = resolver.pack(told)
    slices = [piece for piece in bundle.pieces if piece.name.startswith(TRACK)]
    # Of slices of 10 s the third to the fifth.
    assert [int(piece.name.split("/")[-1].split("-")[0]) // SLICE for piece in slices] == [2, 3, 4]
    assert all(piece.path.is_file() for piece in slices)
    assert bundle.audio_s == 23.5
    assert PLAN in [piece.name for piece in bundle.pieces]
    resolver.discard(bundle.pieces)
    assert not any(piece.path.exists() for piece in slices)
    assert (project / PLAN).exists()
    resolver.provide(bundle.pieces)
    assert all(piece.path.is_file() for piece in slices)


def test_the_vote_for_a_language_hears_its_windows_or_nothing(project: Path) -> None:
    told = request("detect_language", {"options": {"language": "auto"}}, audio=[TRACK], plans=[PLAN])
    (windows,) = audio_read(told, project).values()
    assert windows
    assert all(0 <= start < stop <= LENGTH_S * SAMPLE_RATE for start, stop in windows)
    told = request("detect_language", {"options": {"language": "de"}}, audio=[TRACK], plans=[PLAN])
    assert audio_read(told, project) == {TRACK: []}


def test_a_stretch_of_a_live_session_hears_beyond_its_end(project: Path) -> None:
    parts = [plan(100, session="talk", track=name) for name in ("a", "b", "c")]
    timeline(*parts, layout="live", offsets=[0, 100, 200]).write(project / "results/chunk/talk.timeline.json")
    paths = [f"results/convert/talk/{name}.flac" for name in ("a", "b")]
    stretch = {"name": "0000-abc", "start": "a", "stop": "b", "tracks": ["a", "b"]}
    inputs = {"timeline": "results/chunk/talk.timeline.json", "audio": paths}
    found = audio_read(request("embed_chunk", {"stretch": stretch}, **inputs), project)
    assert found == {paths[0]: [(0, 100 * SAMPLE_RATE)], paths[1]: [(0, 30 * SAMPLE_RATE)]}


def test_a_rule_that_is_not_known_hears_all_of_a_track(resolver: InputResolver) -> None:
    assert len(names(resolver, request("other_rule", {}, audio=TRACK))) == LENGTH_S * SAMPLE_RATE // SLICE


def test_a_model_from_elsewhere_gets_a_place_and_keeps_its_name(
    resolver: InputResolver, tmp_path: Path
) -> None:
    folder = tmp_path / "models/large"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_text("weights")
    bundle = resolver.pack(request("r", {"options": {"model": str(folder)}}))
    (piece,) = bundle.pieces
    (settings,) = (value for _, value in bundle.request["params"])
    assert piece.name == f"{settings['options']['model']}/model.bin"
    assert settings["options"]["model"].endswith("/large")
    assert not Path(settings["options"]["model"]).is_absolute()
    assert piece.path.read_text() == "weights"


def test_a_model_in_a_folder_is_none_of_the_hub(project: Path) -> None:
    assert hub_models(request("transcribe_chunk", {"options": {"model": "resources/model"}}), project) == []


def test_models_of_the_hub_are_named_with_their_kind_whatever_the_job(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.set("transcribe.model", "Systran/faster-whisper-tiny")
    project.set("diarize.model", "pyannote/speaker-diarization-community-1")
    planned = project.plan()
    kinds = {model: kind for kind, (model,) in planned.preflight_task().items()}
    assert sorted(kinds.values()) == ["diarization", "speech"]
    steps = {step.rule: step for session in planned.sessions.values() for step in session.steps if step.model}
    assert set(steps) == {
        *("detect_language", "transcribe_chunk"),
        *("embed_chunk", "cluster_speakers", "embed_voice"),
    }
    for step in steps.values():
        told = request(step.rule, step.settings)
        told["params"].append(["machine", dict(step.machine)])
        found = list(dict.fromkeys(hub_models(told, tmp_path)))
        assert found == [(kinds[step.model], step.model)], step.rule


def test_checksums_follow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    first = checksum(path)
    path.write_text("other")
    assert checksum(path) != first
