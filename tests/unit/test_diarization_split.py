"""The two halves of diarization against one run of pyannote over a whole file: the same, wherever it is cut.

The pipeline is the bundled one, on real recordings; pyannote itself runs unchanged.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import huggingface_hub.errors
import numpy as np
import pytest
import soundfile
import yaml
from numpy.typing import NDArray

import builders
from project import DIARIZATION_MODEL as MODEL
from project import TOY, cut_audio
from sessionscribe.artifacts.plan import Timeline
from sessionscribe.artifacts.speakers import Turn, Turns
from sessionscribe.audio.flac import read_samples
from sessionscribe.audio.sliding_window import EmbeddingChunk, Part, of_live, of_recording
from sessionscribe.config.settings import Diarize
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines import models
from sessionscribe.engines.pyannote import THREADS, cluster, window_models
from sessionscribe.stages.diarize.diarize import cluster_speakers, embed_chunk
from sessionscribe.stages.diarize.embeddings import Embeddings, united

OPTIONS = Diarize(model=str(MODEL), device="cpu")
Samples = NDArray[np.float32]


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """Return the demo meeting's samples: four minutes, three people."""
    path = tmp_path_factory.mktemp("meeting") / "meeting.flac"
    cut_audio(TOY / "recordings/meeting.mp4", path, 0, 1000)
    return read_samples(path, 0, soundfile.info(path).frames)


@dataclass(frozen=True)
class Whole:
    """What pyannote finds in a whole file, in one run."""

    turns: list[Turn]
    exclusive: list[Turn]
    found: dict[str, Any]


def whole(samples: Samples, *, model: Path = MODEL, step: float | None = None, **bounds: int) -> Whole:
    # Only now: our adapter has set what they read when they are imported.
    import torch  # noqa: PLC0415
    from pyannote.audio import Pipeline  # noqa: PLC0415

    pipeline = Pipeline.from_pretrained(model)
    if step is not None:
        pipeline._segmentation.step = round(step * 160_000) / SAMPLE_RATE
    found: dict[str, Any] = {}

    def keep(name: str, what: Any, file: Any = None, **progress: int) -> None:
        if not progress:
            found[name] = what

    waveform = torch.from_numpy(samples)[None]
    output = pipeline({"waveform": waveform, "sample_rate": SAMPLE_RATE}, hook=keep, **bounds)
    return Whole(turns(output.speaker_diarization), turns(output.exclusive_speaker_diarization), found)


def turns(annotation: Any) -> list[Turn]:
    found = [
        Turn(start=s.start, end=s.end, speaker=who) for s, _, who in annotation.itertracks(yield_label=True)
    ]
    return sorted(found, key=lambda turn: (turn.start, turn.end, turn.speaker))


@dataclass(frozen=True)
class Split:
    """A session that is diarized stretch by stretch, as the jobs do it."""

    folder: Path
    timeline: Timeline
    stretches: Sequence[EmbeddingChunk]

    def embed(self, options: Diarize = OPTIONS) -> list[Path]:
        return [self.embed_one(stretch, options) for stretch in self.stretches]

    def embed_one(self, stretch: EmbeddingChunk, options: Diarize = OPTIONS) -> Path:
        output = self.folder / f"{stretch.name}.npz"
        audio = [self.folder / f"{track}.flac" for track in stretch.tracks]
        embed_chunk(timeline=self.timeline, stretch=stretch, audio=audio, options=options, output=output)
        return output

    def cluster(self, files: list[Path], options: Diarize = OPTIONS) -> Turns:
        found, remark = cluster_speakers(
            timeline=self.timeline,
            embeddings=files,
            options=options,
            output=self.folder / "turns.json",
            voices=self.folder / "voices.json",
        )
        assert remark is None
        assert Turns.read(self.folder / "turns.json") == found
        return found


def split(folder: Path, samples: Samples, chunk_s: float) -> Split:
    soundfile.write(folder / "main.flac", samples, SAMPLE_RATE, subtype="PCM_16")
    duration_s = len(samples) / SAMPLE_RATE
    timeline = builders.timeline(builders.plan(duration_s))
    assert timeline.samples == len(samples)
    return Split(folder, timeline, of_recording("main", duration_s, chunk_s))


def assert_same_windows(files: list[Path], wanted: Whole, samples: int) -> None:
    found = united([(path, Embeddings.read(path)) for path in files], samples)
    assert found is not None
    np.testing.assert_array_equal(found.segmentations, wanted.found["segmentation"].data)
    if "embeddings" in wanted.found:  # there are none where nobody speaks
        np.testing.assert_allclose(
            found.embeddings, wanted.found["embeddings"], rtol=0, atol=1e-4, equal_nan=True
        )


def assert_same_turns(found: Turns, wanted: Whole) -> None:
    for ours, theirs in ((found.turns, wanted.turns), (found.exclusive, wanted.exclusive)):
        assert [turn.speaker for turn in ours] == [turn.speaker for turn in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert abs(one.start - other.start) <= 0.001
            assert abs(one.end - other.end) <= 0.001


def check(folder: Path, samples: Samples, chunk_s: float, chunks: int) -> Turns:
    found, wanted = split(folder, samples, chunk_s), whole(samples)
    files = found.embed()
    assert len(files) == chunks
    assert_same_windows(files, wanted, len(samples))
    turns = found.cluster(files)
    assert_same_turns(turns, wanted)
    return turns


def test_a_meeting_in_five_stretches_is_the_same_as_in_one(tmp_path: Path, meeting: Samples) -> None:
    """The stretches are no multiple of a window's step, nor of a batch."""
    found = check(tmp_path, meeting[:1_120_000], 14.3, 5)
    assert len(found.speakers) == 3
    assert len(found.turns) > 20


@pytest.mark.real
def test_the_open_pipeline_is_the_same(tmp_path: Path, shared: Path, open_pipeline: Path) -> None:
    parts = ["misc/sample.wav", "ami/trn06.wav", "ami/dev00.wav"]
    samples = np.concatenate([soundfile.read(shared / "data" / part, dtype="float32")[0] for part in parts])
    options = Diarize(model=models.DIARIZATION["open"], device="cpu")
    found = split(tmp_path, samples, 30)
    files = found.embed(options)
    scores = np.concatenate([Embeddings.read(path).segmentations for path in files])
    for bounds in ({}, {"num_speakers": 4}):
        wanted = whole(samples, model=open_pipeline, **bounds)
        np.testing.assert_allclose(scores, wanted.found["segmentation"].data, rtol=0, atol=1e-5)
        assert_same_turns(found.cluster(files, options.model_copy(update=bounds)), wanted)
        assert wanted.turns


@pytest.mark.parametrize("samples", [480_000, 480_001, 160_000, 160_001, 48_000, 200])
def test_any_length_is_the_same(tmp_path: Path, meeting: Samples, samples: int) -> None:
    """Whole windows; one sample past the grid's edge; a window; less than one; hardly anything."""
    check(tmp_path, meeting[320_000 : 320_000 + samples], 10, max(1, round(samples / 160_000)))


def test_silence_has_nobody(tmp_path: Path) -> None:
    found = check(tmp_path, np.zeros(400_000, dtype=np.float32), 10, 2)
    assert (found.speakers, found.turns, found.exclusive) == ([], [], [])
    assert found.duration_s == 25.0


def test_silence_between_speech_is_the_same(tmp_path: Path, meeting: Samples) -> None:
    """A stretch in which nobody ever speaks still has its windows, and their embeddings."""
    check(
        tmp_path,
        np.concatenate([meeting[:160_000], np.zeros(400_000, np.float32), meeting[160_000:320_000]]),
        10,
        4,
    )


def test_a_session_without_audio_has_no_window(tmp_path: Path) -> None:
    found = split(tmp_path, np.zeros(0, dtype=np.float32), 600)
    assert found.cluster(found.embed()).turns == []


@pytest.mark.parametrize("step", [0.25, 0.0714])
def test_another_step_is_the_same(tmp_path: Path, meeting: Samples, step: float) -> None:
    """The second one is no whole number of samples: all stretches' windows lie on one grid all the same."""
    options = OPTIONS.model_copy(update={"step": step})
    samples = meeting[:640_000]
    found, wanted = split(tmp_path, samples, 14), whole(samples, step=step)
    files = found.embed(options)
    assert_same_windows(files, wanted, len(samples))
    assert_same_turns(found.cluster(files, options), wanted)


def test_speakers_and_threshold_matter_to_the_clustering_only(tmp_path: Path, meeting: Samples) -> None:
    samples = meeting[:480_000]
    found = split(tmp_path, samples, 15)
    files = found.embed()
    before = [path.read_bytes() for path in files]
    for bounds in ({"num_speakers": 2}, {"min_speakers": 4}, {"max_speakers": 1}):
        assert_same_turns(found.cluster(files, OPTIONS.model_copy(update=bounds)), whole(samples, **bounds))
    few = found.cluster(files, OPTIONS.model_copy(update={"threshold": 1.9}))
    assert len(few.speakers) < len(found.cluster(files).speakers)
    changed = OPTIONS.model_copy(update={"num_speakers": 2, "threshold": 1.9, "chunk_s": 99})
    assert [path.read_bytes() for path in found.embed(changed)] == before


def test_a_stretch_is_the_same_to_the_byte_whoever_went_before(tmp_path: Path, meeting: Samples) -> None:
    found = split(tmp_path, meeting[:500_000], 10)
    import torch  # noqa: PLC0415

    first = {path.name: path.read_bytes() for path in found.embed()}
    torch.set_num_threads(1)  # as in a lane that used torch before another one loaded the models
    for stretch in reversed(found.stretches):
        path = found.folder / f"{stretch.name}.npz"
        path.unlink()
        assert found.embed_one(stretch).read_bytes() == first[path.name]
    assert torch.get_num_threads() == THREADS


def test_lanes_of_a_worker_do_not_disturb_one_another(tmp_path: Path, meeting: Samples) -> None:
    """Several stretches at once, with different steps, while something is clustered."""
    found = split(tmp_path, meeting[:640_000], 10)
    wide = OPTIONS.model_copy(update={"step": 0.5})
    (tmp_path / "wide").mkdir()
    other = Split(tmp_path / "wide", found.timeline, found.stretches)
    shutil.copy(tmp_path / "main.flac", tmp_path / "wide")
    alone = [[path.read_bytes() for path in files] for files in (found.embed(), other.embed(wide))]
    files = [tmp_path / f"{stretch.name}.npz" for stretch in found.stretches]
    turns = found.cluster(files)
    with ThreadPoolExecutor(3) as lanes:
        clustered = lanes.submit(found.cluster, files)
        one = [lanes.submit(found.embed_one, stretch) for stretch in found.stretches]
        two = [lanes.submit(other.embed_one, stretch, wide) for stretch in found.stretches]
        together = [[job.result().read_bytes() for job in jobs] for jobs in (one, two)]
    assert together == alone
    assert clustered.result() == turns


def live(folder: Path, parts: list[Samples | None]) -> tuple[Split, Samples]:
    """A live session of such parts (None: a missing one), and its samples, silence for what is missing."""
    length = sorted(len(part) for part in parts if part is not None)
    gap = length[(len(length) - 1) // 2]
    rows, plans, offsets, position = [], [], [], 0
    whole_session = np.zeros(sum(gap if part is None else len(part) for part in parts), dtype=np.float32)
    for number, part in enumerate(parts):
        if part is not None:
            track = f"chunk-{number}"
            soundfile.write(folder / f"{track}.flac", part, SAMPLE_RATE, subtype="PCM_16")
            whole_session[position : position + len(part)] = part
            rows.append(Part(track, number, len(part) / SAMPLE_RATE, f"key{number}"))
            plans.append(builders.plan(len(part) / SAMPLE_RATE, track=track))
            offsets.append(position / SAMPLE_RATE)
        position += gap if part is None else len(part)
    timeline = builders.timeline(*plans, layout="live", offsets=offsets)
    return Split(folder, timeline, of_live(rows, chunk_s=30)), whole_session


def test_a_live_session_with_a_gap_is_the_same_as_one_file(tmp_path: Path, meeting: Samples) -> None:
    """Parts of odd lengths, so that they begin anywhere between two windows."""
    cut: list[Samples | None] = [meeting[a : a + 130_411] for a in range(0, 1_100_000, 130_411)]
    cut[4] = None
    found, samples = live(tmp_path, cut)
    assert len(found.stretches) == 2
    files = found.embed()
    wanted = whole(samples)
    assert_same_windows(files, wanted, len(samples))
    assert_same_turns(found.cluster(files), wanted)


def test_a_live_session_that_grows_keeps_its_earlier_stretches(tmp_path: Path, meeting: Samples) -> None:
    cut: list[Samples | None] = [meeting[a : a + 240_000] for a in range(0, 1_680_000, 240_000)]
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    before, _ = live(tmp_path / "before", cut[:5])
    after, samples = live(tmp_path / "after", cut)
    kept = [stretch for stretch in before.stretches if stretch in after.stretches]
    assert len(kept) == 1
    for stretch in kept:
        shutil.copy(before.embed_one(stretch), after.folder)
    files = [after.folder / f"{stretch.name}.npz" for stretch in after.stretches]
    for stretch, path in zip(after.stretches, files, strict=True):
        if not path.exists():
            after.embed_one(stretch)
    wanted = whole(samples)
    assert_same_windows(files, wanted, len(samples))
    assert_same_turns(after.cluster(files), wanted)


def test_a_part_that_the_manifest_did_not_lead_to_expect_is_an_error(
    tmp_path: Path, meeting: Samples
) -> None:
    cut: list[Samples | None] = [meeting[a : a + 240_000] for a in range(0, 960_000, 240_000)]
    found, _ = live(tmp_path, cut)
    short = EmbeddingChunk("0000", 0, "chunk-2", ("chunk-0",))
    with pytest.raises(UserError, match=r"is not as long as in the manifest \(near chunk-1\)"):
        found.embed_one(short)


def changed_pipeline(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the bundled pipeline with other settings."""
    shutil.copytree(MODEL, folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    change(config)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_a_pipeline_with_vbx_clustering_is_the_same(tmp_path: Path, meeting: Samples) -> None:
    """The bundled models with the clustering, and the settings, of community-1."""

    def as_community_1(config: dict[str, Any]) -> None:
        config["pipeline"]["params"]["clustering"] = "VBxClustering"
        config["pipeline"]["params"]["embedding_exclude_overlap"] = False
        config["params"] = {
            "clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
            "segmentation": {"min_duration_off": 0.1},
        }

    model = changed_pipeline(tmp_path / "model", as_community_1)
    options = OPTIONS.model_copy(update={"model": str(model)})
    samples = meeting[:640_000]
    found, wanted = split(tmp_path, samples, 20), whole(samples, model=model)
    files = found.embed(options)
    assert_same_windows(files, wanted, len(samples))
    assert_same_turns(found.cluster(files, options), wanted)


def test_a_clustering_that_fails_is_one_line(
    tmp_path: Path, meeting: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VBx gives clusters numbers of eight bits."""

    def overflow(*_: object, **__: object) -> None:
        np.int8(0).dtype.type(128)

    files = split(tmp_path, meeting[:160_000], 600)
    made = files.embed()
    monkeypatch.setattr("pyannote.audio.pipelines.clustering.AgglomerativeClustering.cluster", overflow)
    with pytest.raises(UserError, match=r"clustering failed \(.*128.*`diarize.num_speakers`"):
        files.cluster(made)


def test_a_pipeline_that_gives_scores_is_the_same(tmp_path: Path, meeting: Samples) -> None:
    """Older models give each speaker a score, for a threshold to decide; so does the bundled one, remade."""
    import torch  # noqa: PLC0415
    from pyannote.audio.core.task import Problem  # noqa: PLC0415

    def with_a_threshold(config: dict[str, Any]) -> None:
        config["params"]["segmentation"] = {"threshold": 0.45, "min_duration_off": 0.0}

    model = changed_pipeline(tmp_path / "model", with_a_threshold)
    file = model / "segmentation/pytorch_model.bin"
    checkpoint = torch.load(file, weights_only=False)
    about = checkpoint["pyannote.audio"]
    about["specifications"] = replace(
        about["specifications"], problem=Problem.MULTI_LABEL_CLASSIFICATION, powerset_max_classes=None
    )
    for name in ("classifier.weight", "classifier.bias"):
        nobody, *one = checkpoint["state_dict"][name][:4]
        checkpoint["state_dict"][name] = torch.stack(one) - nobody
    torch.save(checkpoint, file)
    options = OPTIONS.model_copy(update={"model": str(model)})
    samples = meeting[:640_000]
    found, wanted = split(tmp_path, samples, 20), whole(samples, model=model)
    files = found.embed(options)
    scores = np.concatenate([Embeddings.read(path).segmentations for path in files])
    np.testing.assert_allclose(scores, wanted.found["segmentation"].data, rtol=0, atol=1e-5)
    assert ((scores > 0.1) & (scores < 0.9)).any()
    assert_same_turns(found.cluster(files, options), wanted)
    assert wanted.turns


def test_a_pipeline_of_another_kind_is_refused(tmp_path: Path, meeting: Samples) -> None:
    def detects_speech_only(config: dict[str, Any]) -> None:
        config["pipeline"] = {
            "name": "pyannote.audio.pipelines.VoiceActivityDetection",
            "params": {"segmentation": "$model/segmentation"},
        }
        config["params"] = {"min_duration_on": 0.0, "min_duration_off": 0.0}

    model = changed_pipeline(tmp_path / "model", detects_speech_only)
    with pytest.raises(UserError, match="is a VoiceActivityDetection, not a SpeakerDiarization pipeline"):
        split(tmp_path, meeting[:160_000], 600).embed(OPTIONS.model_copy(update={"model": str(model)}))


def test_windows_that_reach_too_far_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a live session's stretch depends on is known before its model is: so far, and no farther."""
    monkeypatch.setattr("sessionscribe.engines.pyannote.REACH_S", 15.0)
    heard = window_models(OPTIONS)
    assert heard.grid(0.5).step == 80_000
    with pytest.raises(UserError, match="windows of 10 s are too long"):
        heard.grid(0.6)


def test_more_voices_than_memory_allows_are_clustered_by_a_part_of_them(
    tmp_path: Path, meeting: Samples
) -> None:
    samples = meeting[:1_600_000]
    files = split(tmp_path, samples, 60).embed()
    found = united([(path, Embeddings.read(path)) for path in files], len(samples))
    assert found is not None
    given = (found.about, found.segmentations, found.embeddings, OPTIONS)
    all_of_them = cluster(*given)
    part_of_them = cluster(*given, most=60)
    assert all_of_them[2] is None
    assert str(part_of_them[2]).startswith("only 60 of 1")
    by_all, by_part = (
        sum(turn.end - turn.start for turn in found[0]) for found in (all_of_them, part_of_them)
    )
    assert by_part == pytest.approx(by_all)
    assert {turn.speaker for turn in part_of_them[0]} == {turn.speaker for turn in all_of_them[0]}


def test_clustering_loads_no_model(tmp_path: Path, meeting: Samples) -> None:
    """It needs the pipeline's settings and its PLDA, whose files alone are there."""
    found = split(tmp_path, meeting[:480_000], 600)
    files = found.embed()
    without = tmp_path / "without"
    (without / "plda").mkdir(parents=True)
    for path in (MODEL / "config.yaml", *(MODEL / "plda").iterdir()):
        shutil.copy(path, without / path.relative_to(MODEL))
    turns = found.cluster(files, OPTIONS.model_copy(update={"model": str(without)}))
    assert turns.turns == found.cluster(files).turns != []


def test_the_models_are_loaded_once() -> None:
    assert window_models(OPTIONS) is window_models(
        OPTIONS.model_copy(update={"num_speakers": 3, "step": 0.2})
    )


def test_a_job_asks_the_hub_for_nothing_though_its_worker_has_fetched_the_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    # As where the check of the models has imported it.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(UserError, match="the diarization pipeline is not available"):
        window_models(Diarize(model="some/one-that-is-not-here", device="cpu"))
    with pytest.raises(huggingface_hub.errors.OfflineModeIsEnabled):
        huggingface_hub.get_session().get("https://huggingface.co/some/one-that-is-not-here")
