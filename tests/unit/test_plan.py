"""What there is to do: found by keys and sizes, on a small made-up project with a session of each layout."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_config import leaves

from sessionscribe.config import loading
from sessionscribe.config import settings as config
from sessionscribe.core.errors import UserError
from sessionscribe.engines import models
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.planning.plan import UNABLE, Plan
from sessionscribe.planning.results import write_settings
from sessionscribe.planning.steps import STAGE_OF, Folder, Step, paths, sources

SHAPES = ("talk", "duo", "eve")
ROWS = (
    Row("talk", "recording", "mix", "in/talk.flac", "1" * 64, 21.0),
    Row("duo", "multitrack", "anna", "in/anna.flac", "2" * 64, 9.0, speaker="Anna"),
    Row("duo", "multitrack", "bert", "in/bert.flac", "3" * 64, 9.0, speaker="Bert"),
    Row("eve", "live", "chunk-0", "in/chunk-0.webm", "4" * 64, 15.0, part=0),
    Row("eve", "live", "chunk-1", "in/chunk-1.webm", "5" * 64, 15.0, part=1),
)


@pytest.fixture
def project(tmp_path: Path, fast_disk: None) -> Project:
    found = Project(tmp_path)
    found.finish()
    return found


class Project:
    """A folder with a manifest, two model folders, settings, and what `finish` makes of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows = list(ROWS)
        for name in ("speech", "speech2", "voices", "voices2"):
            (root / "models" / name).mkdir(parents=True)
            (root / "models" / name / "model.bin").write_text(name)
        for folder in ("voices", "voices2"):
            (root / folder).mkdir()
            (root / folder / "Anna.wav").write_text(folder)  # nobody listens here
        for table, name in (("names", "Ben"), ("names2", "Bert")):
            rows = "".join(f"{session}\tSPEAKER_00\t{name}\n" for session in SHAPES)
            (root / f"{table}.tsv").write_text(f"session\tspeaker\tname\n{rows}")
        self.settings: dict[str, Any] = {
            "manifest": "sessions.tsv",
            "chunk": {"target_s": 10, "search_s": 2},
            "transcribe": {
                "model": self.model("speech"),
                "device": "cpu",
                "compute_type": "int8",
                "language": "en",
            },
            "diarize": {"model": self.model("voices"), "device": "cpu", "chunk_s": 10},
            "name": {"voices": "voices", "table": "names.tsv"},
            "export": {"formats": ["json", "srt", "txt"]},
        }

    def model(self, name: str) -> str:
        return str(self.root / "models" / name)

    def set(self, name: str, value: Any) -> None:
        at = self.settings
        *sections, last = name.split(".")
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value

    def plan(self) -> Plan:
        manifest.write(self.root / "sessions.tsv", self.rows)
        return Plan(loading.validate(self.settings), self.root)

    def finish(self) -> None:
        """Make every pending file, with settings and a record where it has them, as the jobs do."""
        plan = self.plan()
        for session in plan.sessions.values():
            for step in session.pending.values():
                if not step.keyed:
                    write_settings(self.root / step.settings_file, step.settings)
                for output in step.outputs:
                    self.write(output, json.dumps({"made": output, "by": step.key}) + "\n")
                if not step.keyed:
                    self.record(step)

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def entry(self, name: str) -> dict[str, Any]:
        return {"path": name, "size": (self.root / name).stat().st_size, "sha256": "0" * 64}

    def record(self, step: Step) -> None:
        folders = (need for need in step.needs if isinstance(need, Folder))
        record = {
            "rule": step.rule,
            "key": step.key,
            "outputs": [self.entry(name) for name in step.outputs],
            "inputs": [self.entry(name) for folder in folders for name in folder.outputs],
        }
        self.write(step.record, json.dumps(record))

    def todo(self, session: str) -> Counter[str]:
        return Counter(step.rule for step in self.plan().sessions[session].pending.values())

    def files(self, rule: str, session: str = "talk") -> list[Path]:
        steps = self.plan().sessions[session].of(rule)
        return [self.root / name for step in steps for name in step.outputs]


def test_a_finished_project_has_nothing_to_do(project: Project) -> None:
    plan = project.plan()
    assert plan.due == frozenset()
    assert plan.targets() == []
    assert not any(plan.preflight_task().values())


def test_a_new_project_has_everything_to_do_and_needs_the_models(tmp_path: Path) -> None:
    project = Project(tmp_path)
    plan = project.plan()
    assert all(len(s.pending) == len(list(s.steps)) for s in plan.sessions.values())
    assert project.todo("talk") == Counter(
        fetch_recording=1,
        convert_audio=1,
        plan_chunks=1,
        build_timeline=1,
        detect_language=1,
        transcribe_chunk=2,
        merge_transcript=1,
        embed_chunk=2,
        cluster_speakers=1,
        assign_speakers=1,
        audit_session=1,
        embed_voice=1,
        name_speakers=1,
        correct_transcript=1,
        write_export=1,
    )
    assert plan.preflight_task() == {
        "speech": [project.model("speech")],
        "diarization": [project.model("voices")],
    }
    plan.until = ("merge_transcript",)
    assert plan.preflight_task()["diarization"] == [], "nothing up to there needs it"


def test_what_jobs_are_told_is_the_same_after_json(tmp_path: Path) -> None:
    """Otherwise they could not run in a worker."""
    for session in Project(tmp_path).plan().sessions.values():
        for step in session.steps:
            assert json.loads(json.dumps(step.settings)) == step.settings, step.rule


def test_tracks_ask_for_no_diarization_model(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.rows = [row for row in ROWS if row.session == "duo"]
    assert project.plan().preflight_task()["diarization"] == []


def test_steps_come_after_what_they_need(tmp_path: Path) -> None:
    for session in Project(tmp_path).plan().sessions.values():
        seen: set[str] = set()
        for step in session.steps:
            assert {o for other in step.needs for o in other.outputs} <= seen
            read = {path for source in sources(step.inputs) for path in paths(source)}
            assert {path for path in read if path.startswith("results/")} <= seen
            assert step.rule in STAGE_OF
            seen |= set(step.outputs)


# Every setting, changed once: what is to be done again on a finished session of each layout?

FROM_AUDIO = "convert_audio plan_chunks build_timeline detect_language transcribe_chunk merge_transcript"
FROM_PLAN = "plan_chunks detect_language transcribe_chunk merge_transcript"
NAMES = "name_speakers correct_transcript write_export"
NAMED = dict.fromkeys(NAMES.split(), 1)
SPEECH = f"detect_language transcribe_chunk merge_transcript assign_speakers audit_session {NAMES}"
MERGE = f"merge_transcript assign_speakers audit_session {NAMES}"
VOICES = f"cluster_speakers assign_speakers audit_session {NAMES}"
HEARD = "embed_chunk " + VOICES
TURNS_TOO = f" cluster_speakers assign_speakers audit_session {NAMES}"
NOT_TURNS = f" assign_speakers audit_session {NAMES}"
LISTENED = f"{HEARD} embed_voice"
ALL_SHAPES_FROM_AUDIO = (f"{FROM_AUDIO} {HEARD}",) * 3
# What speech is decides who speaks on a track of one speaker; pyannote hears for itself.
PLAN_BY_SHAPE = (FROM_PLAN + NOT_TURNS, FROM_PLAN + TURNS_TOO, FROM_PLAN + NOT_TURNS)

TABLE: dict[str, tuple[Any, tuple[str, str, str]]] = {
    # How a recording is come by changes nothing that is made of it.
    "ingest.mode": ("stream", ("",) * 3),
    "ingest.max_hours_per_mb": (10, ("",) * 3),
    "ingest.max_gap_h": (1, ("",) * 3),
    "ingest.cache.folder": ("copies", ("",) * 3),
    "ingest.cache.max_gb": (1, ("",) * 3),
    "ingest.cache.max_days": (1, ("",) * 3),
    "ingest.cache.keep": (True, ("",) * 3),
    "convert.audio_stream": (1, ALL_SHAPES_FROM_AUDIO),
    "convert.channel": (0, ALL_SHAPES_FROM_AUDIO),
    "chunk.target_s": (11, PLAN_BY_SHAPE),
    "chunk.search_s": (3, PLAN_BY_SHAPE),
    "chunk.min_silence_s": (0.4, PLAN_BY_SHAPE),
    "chunk.vad.threshold": (0.6, PLAN_BY_SHAPE),
    "chunk.vad.min_speech_s": (0.2, PLAN_BY_SHAPE),
    "chunk.vad.min_silence_s": (0.2, PLAN_BY_SHAPE),
    "chunk.vad.pad_s": (0.1, PLAN_BY_SHAPE),
    "transcribe.model": ("speech2", (SPEECH,) * 3),
    "transcribe.device": ("auto", ("",) * 3),
    "transcribe.compute_type": ("float32", (SPEECH,) * 3),
    "transcribe.language": ("fr", (SPEECH,) * 3),
    "transcribe.batch_size": (4, ("",) * 3),
    "transcribe.fallback_gap_s": (0, (SPEECH,) * 3),
    "transcribe.low_confidence_log_prob": (-0.6, (SPEECH,) * 3),
    "transcribe.window_s": (15, (SPEECH,) * 3),
    "transcribe.beam_size": (1, (SPEECH,) * 3),
    "transcribe.hotwords": ("Zermatt", (SPEECH,) * 3),
    "transcribe.initial_prompt": ("Well.", (SPEECH,) * 3),
    "transcribe.no_speech_threshold": (0.5, (SPEECH,) * 3),
    "transcribe.log_prob_threshold": (-0.9, (SPEECH,) * 3),
    "transcribe.compression_ratio_threshold": (2.2, (SPEECH,) * 3),
    "transcribe.no_repeat_ngram_size": (3, (SPEECH,) * 3),
    "transcribe.repetition_penalty": (1.1, (SPEECH,) * 3),
    "transcribe.filter_phrases": (False, (SPEECH,) * 3),
    "merge.segment_gap_s": (2, (MERGE,) * 3),
    "diarize.model": ("voices2", (LISTENED, "", LISTENED)),
    "diarize.device": ("auto", ("",) * 3),
    "diarize.num_speakers": (2, (VOICES, "", VOICES)),
    "diarize.min_speakers": (2, (VOICES, "", VOICES)),
    "diarize.max_speakers": (4, (VOICES, "", VOICES)),
    "diarize.threshold": (0.5, (VOICES, "", VOICES)),
    "diarize.step": (0.25, (HEARD, "", HEARD)),
    "diarize.chunk_s": (11, (HEARD, "", HEARD)),
    "name.voices": ("voices2", (f"embed_voice {NAMES}", "", f"embed_voice {NAMES}")),
    "name.table": ("names2.tsv", (NAMES,) * 3),
    "name.threshold": (0.4, (NAMES, "", NAMES)),
    "name.margin": (0.2, (NAMES, "", NAMES)),
    "audit.gap_s": (2.0, ("audit_session",) * 3),
    "audit.max_repeats": (5, ("audit_session",) * 3),
    "audit.low_confidence_threshold": (0.3, ("audit_session",) * 3),
    "audit.min_speaker_share": (0.05, ("audit_session",) * 3),
    "export.formats": (["json", "srt", "txt", "vtt"], ("write_export",) * 3),
    "export.max_line_chars": (30, ("write_export",) * 3),
    "export.max_lines": (1, ("write_export",) * 3),
    "export.max_cue_s": (5, ("write_export",) * 3),
    "export.min_cue_s": (2, ("write_export",) * 3),
    "export.max_chars_per_s": (15, ("write_export",) * 3),
    "export.split_at": ("length", ("write_export",) * 3),
    # Only of formats that this project does not ask for.
    "export.karaoke": (True, ("",) * 3),
    "export.vtt_settings": ("align:left", ("",) * 3),
    "export.audio": ("talk.mp3", ("",) * 3),
    "export.pdf_fonts": (["font.ttf"], ("",) * 3),
    "export.pdf_page": ("letter", ("",) * 3),
    # What is made goes there.
    "upload.to": ("far:results", ("",) * 3),
    "upload.audio": (False, ("",) * 3),
    "export.names": ({"SPEAKER_00": "Anna"}, ("correct_transcript write_export",) * 3),
    "publish.remote": ("store", ("",) * 3),
    "publish.audio": (True, ("",) * 3),
}


def expected(project: Project, session: str, rules: str) -> Counter[str]:
    steps = project.plan().sessions[session]
    return Counter({rule: len(steps.of(rule)) for rule in rules.split()})


def test_the_table_has_every_setting() -> None:
    elsewhere = ("batch", "watch", "notify", "serve")  # when work is done, and who is told
    every = {".".join(path) for path in leaves(config.Config) if path[0] not in elsewhere}
    assert set(TABLE) | {"manifest", "sessions"} == every


def test_batches_redo_nothing_and_leave_out_what_they_are_told_with_what_follows(project: Project) -> None:
    project.set("transcribe.beam_size", 7)
    everything = {name: project.todo(name) for name in SHAPES}
    chunk = f"results/transcribe/talk/{project.plan().sessions['talk'].fp}/mix.0001.json"
    (project.root / "left-out.txt").write_text(chunk)
    project.settings["batch"] = {"order": "oldest", "lock": "elsewhere", "left_out": "left-out.txt"}
    assert {name: project.todo(name) for name in ("duo", "eve")} == {
        name: everything[name] for name in ("duo", "eve")
    }
    left = project.plan().sessions["talk"]
    after = {"merge_transcript", "assign_speakers", "name_speakers", "audit_session"}
    after |= {"correct_transcript", "write_export"}
    assert {step.rule for step in left.blocked.values()} == {"transcribe_chunk", *after}
    assert project.todo("talk")["transcribe_chunk"] == everything["talk"]["transcribe_chunk"] - 1


def test_the_docs_say_of_every_section_that_redoes_something_what() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/configuration.md").read_text(encoding="utf-8")
    rows = text.partition("| Change | Redone |\n")[2].partition("\n\n")[0].splitlines()
    named = {name for row in rows for name in re.findall(r"`(\w+)", row.split("|")[1])}
    assert {name.split(".")[0] for name, (_, rules) in TABLE.items() if any(rules)} <= named


@pytest.mark.parametrize("name", TABLE)
def test_a_changed_setting_redoes_exactly_what_depends_on_it(project: Project, name: str) -> None:
    value, rules = TABLE[name]
    project.set(name, project.model(value) if name.endswith(".model") else value)
    for session, wanted in zip(SHAPES, rules, strict=True):
        assert project.todo(session) == expected(project, session, wanted), session
    project.finish()
    assert not project.plan().due


@pytest.mark.parametrize("name", [name for name in TABLE if not name.startswith(("convert.", "chunk."))])
def test_going_back_finds_the_chunks_that_were_made_before(project: Project, name: str) -> None:
    before = json.loads(json.dumps(project.settings))
    value, _ = TABLE[name]
    project.set(name, project.model(value) if name.endswith(".model") else value)
    project.finish()
    project.settings = before
    for session in SHAPES:
        assert project.todo(session)["transcribe_chunk"] == 0
        assert project.todo(session)["detect_language"] == 0
        assert project.todo(session)["embed_chunk"] == 0


def test_documents_show_the_audit_and_are_written_anew_with_it(project: Project) -> None:
    project.set("export.formats", ["json", "md"])
    project.finish()
    project.set("audit.gap_s", 2.0)
    assert project.todo("talk") == Counter(audit_session=1, write_export=1)


COLUMNS: dict[str, tuple[Any, tuple[str, str, str]]] = {
    "language": ("fr", (SPEECH,) * 3),
    "hotwords": ("Zermatt", (SPEECH,) * 3),
    "num_speakers": (2, (VOICES, "", VOICES)),
    "min_speakers": (2, (VOICES, "", VOICES)),
    "max_speakers": (2, (VOICES, "", VOICES)),
    "audio_stream": (1, ALL_SHAPES_FROM_AUDIO),
    "recorded_at": ("2026-01-01", ("",) * 3),
    "priority": (7, ("",) * 3),
    "added_at": ("2026-01-01T00:00:00Z", ("",) * 3),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_redoes_what_depends_on_it(project: Project, column: str) -> None:
    value, rules = COLUMNS[column]
    project.rows = [replace(row, **{column: value}) for row in project.rows]
    for session, wanted in zip(SHAPES, rules, strict=True):
        assert project.todo(session) == expected(project, session, wanted), session


def turned_off_by_setting(project: Project) -> None:
    project.set("diarize.model", False)  # what YAML makes of a bare `off`


def turned_off_by_row(project: Project) -> None:
    project.rows = [replace(row, diarize="off") for row in project.rows]


@pytest.mark.parametrize("turn_off", [turned_off_by_setting, turned_off_by_row])
def test_without_speakers_no_model_listens_and_later_no_word_is_made_again(
    tmp_path: Path, fast_disk: None, turn_off: Callable[[Project], None]
) -> None:
    project = Project(tmp_path)
    rows, settings = list(project.rows), copy.deepcopy(project.settings)
    turn_off(project)
    assert project.plan().preflight_task()["diarization"] == []
    for session in ("talk", "eve"):
        assert not project.todo(session).keys() & {
            "embed_chunk",
            "cluster_speakers",
            "embed_voice",
            "name_speakers",
        }
    assert project.todo("duo")["cluster_speakers"] == 1  # the track is the speaker, which takes no model
    project.finish()
    assert not project.plan().due
    project.rows, project.settings = rows, copy.deepcopy(settings)
    for session, rules in (("talk", LISTENED), ("duo", ""), ("eve", LISTENED)):
        assert project.todo(session) == expected(project, session, rules), session
    project.finish()
    turn_off(project)
    for session in ("talk", "eve"):
        assert project.todo(session) == Counter(assign_speakers=1, audit_session=1, write_export=1)
    project.finish()
    project.rows, project.settings = rows, settings
    assert project.todo("talk") == expected(project, "talk", f"assign_speakers audit_session {NAMES}")


def test_auto_is_off_where_nothing_is_installed_to_listen_and_keeps_what_was_found(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.set("diarize.model", "auto")
    project.finish()  # as another machine did
    new = Row("new", "recording", "mix", "in/new.flac", "6" * 64, 21.0)
    project.rows.append(new)
    monkeypatch.setattr(models, "can_diarize", lambda: False)
    plan = project.plan()
    assert [name for name, session in plan.sessions.items() if session.pending] == ["new"]
    assert plan.preflight_task()["diarization"] == []
    assert plan.sessions["new"].of("assign_speakers")
    assert [remark for remark in plan.warnings if "LIGHT=0" in remark] == [UNABLE]
    project.rows = [row for row in project.rows if row is not new]
    assert UNABLE not in project.plan().warnings


def test_the_audio_stream_of_one_part_is_that_of_the_whole_live_session(project: Project) -> None:
    project.rows = [replace(row, audio_stream=1) if row.part == 1 else row for row in project.rows]
    assert project.todo("eve") == expected(project, "eve", ALL_SHAPES_FROM_AUDIO[2])


def test_another_speaker_of_a_track_costs_no_transcription(project: Project) -> None:
    project.rows = [replace(row, speaker="Anne" if row.speaker == "Anna" else "") for row in project.rows]
    rules = f"build_timeline merge_transcript cluster_speakers assign_speakers audit_session {NAMES}"
    assert project.todo("duo") == expected(project, "duo", rules)
    assert project.todo("talk") == Counter()


def test_a_moved_recording_is_looked_at_again_and_nothing_else(project: Project) -> None:
    project.rows = [replace(row, source=f"elsewhere/{row.source}") for row in project.rows]
    for session, count in zip(SHAPES, (1, 2, 2), strict=True):
        assert project.todo(session) == Counter(fetch_recording=count)


def test_another_recording_redoes_all_of_its_session(project: Project) -> None:
    project.rows[0] = replace(project.rows[0], checksum="9" * 64)
    plan = project.plan()
    steps = {step.rule for step in plan.sessions["talk"].steps} - {"embed_voice"}
    assert {step.rule for step in plan.sessions["talk"].pending.values()} == steps
    assert not plan.sessions["duo"].pending


def test_a_new_part_of_a_live_session_leaves_the_old_chunks(project: Project) -> None:
    """The last part's windows reach into the new one, so that part is listened to again."""
    part = Row("eve", "live", "chunk-2", "in/chunk-2.webm", "6" * 64, 40.0, part=2)
    project.rows += [part, replace(part, track="chunk-3", checksum="7" * 64, part=3)]
    project.finish()
    project.rows.append(replace(part, track="chunk-4", checksum="8" * 64, part=4))
    assert project.todo("eve") == Counter(
        fetch_recording=1,
        convert_audio=1,
        plan_chunks=1,
        build_timeline=1,
        transcribe_chunk=1,
        merge_transcript=1,
        embed_chunk=2,
        cluster_speakers=1,
        assign_speakers=1,
        audit_session=1,
        name_speakers=1,
        correct_transcript=1,
        write_export=1,
    )


def test_another_session_of_the_manifest_touches_none(project: Project) -> None:
    project.rows.insert(0, Row("new", "recording", "mix", "in/new.wav", "7" * 64, 5.0))
    assert [name for name, s in project.plan().sessions.items() if s.pending] == ["new"]


def test_the_order_of_rows_decodes_nothing_again(project: Project) -> None:
    project.rows.reverse()
    assert project.todo("eve") == Counter()
    assert not project.todo("duo") & Counter(["convert_audio", "plan_chunks", "transcribe_chunk"])


# Files that are missing or not whole.

AFTER = {
    "fetch_recording": "",
    "convert_audio": f"plan_chunks build_timeline merge_transcript assign_speakers audit_session {NAMES}",
    "plan_chunks": f"merge_transcript assign_speakers audit_session {NAMES}",
    "build_timeline": f"merge_transcript assign_speakers audit_session {NAMES}",
    "detect_language": "",
    "transcribe_chunk": f"merge_transcript assign_speakers audit_session {NAMES}",
    "merge_transcript": f"assign_speakers audit_session {NAMES}",
    "embed_chunk": f"cluster_speakers assign_speakers audit_session {NAMES}",
    "cluster_speakers": f"assign_speakers audit_session {NAMES}",
    "assign_speakers": f"audit_session {NAMES}",
    "audit_session": "",
    "name_speakers": "correct_transcript write_export",
    "correct_transcript": "write_export",
    "write_export": "",
}


def delete(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("rule", AFTER)
def test_a_deleted_file_is_found_with_what_depends_on_it(project: Project, rule: str) -> None:
    delete(project.files(rule)[0])
    after = expected(project, "talk", AFTER[rule])
    assert project.todo("talk") == after + Counter([rule])
    assert project.todo("duo") == project.todo("eve") == Counter()


def test_a_changed_clip_is_heard_once_and_names_follow(project: Project) -> None:
    project.write("voices/Anna.wav", "another take")
    plan = project.plan()
    assert project.todo("talk") == project.todo("eve") == Counter(embed_voice=1, **NAMED)
    assert project.todo("duo") == Counter()  # tracks have names
    (voice,) = [path for path in plan.due if path.startswith("results/name/voices/")]
    step = plan.step("embed_voice", {"voice": Path(voice).stem})
    assert plan.inputs(step) == {"clip": "voices/Anna.wav"}
    project.finish()
    assert not project.plan().due


def test_a_clip_under_another_name_is_not_heard_again(project: Project) -> None:
    (project.root / "voices/Anna.wav").rename(project.root / "voices/Ben.wav")
    assert project.todo("talk") == Counter(**NAMED)


def test_a_deleted_voice_is_found_by_every_session_that_needs_it(project: Project) -> None:
    delete(project.files("embed_voice")[0])
    assert project.todo("talk") == project.todo("eve") == Counter(embed_voice=1, **NAMED)
    assert project.todo("duo") == Counter()


def test_a_row_of_the_table_of_names_concerns_its_session(project: Project) -> None:
    table = (project.root / "names.tsv").read_text()
    project.write("names.tsv", f"{table}eve\t0:12\tEve\nadam\tSPEAKER_00\tAdam\n")
    assert project.todo("eve") == Counter(**NAMED)
    assert project.todo("talk") == project.todo("duo") == Counter()
    (remark,) = project.plan().warnings
    assert "names.tsv, line 6: there is no session `adam`. There are: " in remark
    project.write("names.tsv", "session;name\n")
    with pytest.raises(UserError, match=r"names\.tsv: its columns are not separated by tabs"):
        project.plan()


@pytest.mark.parametrize("kind", ["provenance", "settings"])
def test_a_deleted_record_or_settings_file_makes_its_step_due(project: Project, kind: str) -> None:
    (path,) = (project.root / f"results/{kind}/talk").glob("assign_speakers.*json")
    delete(path)
    assert project.todo("talk") == Counter(assign_speakers=1, audit_session=1, **NAMED)


def test_the_second_file_of_a_step_counts_too(project: Project) -> None:
    delete(project.root / "results/convert/talk/mix.json")
    assert project.todo("talk")["convert_audio"] == 1


def test_a_step_with_two_settings_files_is_due(project: Project) -> None:
    """As two folders of results that were copied over one another have: whose output is it?"""
    (path,) = (project.root / "results/settings/talk").glob("merge_transcript.*")
    path.with_name(f"merge_transcript.{'0' * 12}.json").write_text("{}")
    wanted = Counter(merge_transcript=1, assign_speakers=1, audit_session=1, **NAMED)
    assert project.todo("talk") == wanted
    project.finish()
    assert not project.plan().due


def test_left_over_temporary_files_do_not_count(project: Project) -> None:
    chunk = project.files("transcribe_chunk")[0]
    chunk.rename(chunk.with_name(f".tmp-1-{chunk.name}"))
    assert project.todo("talk")["transcribe_chunk"] == 1


def test_times_of_files_do_not_count(project: Project) -> None:
    import os  # noqa: PLC0415
    import random  # noqa: PLC0415

    dice = random.Random(1)
    for path in (project.root / "results").rglob("*.json"):
        at = dice.choice([0, 10**9, 4 * 10**9])
        os.utime(path, (at, at))
    assert not project.plan().due


def test_forgetting_removes_the_records_of_what_is_to_do_and_no_other(project: Project) -> None:
    delete(project.files("merge_transcript")[0])
    records = {path.name for path in (project.root / "results/provenance/talk").iterdir()}
    project.plan().remove_records()
    left = {path.name for path in (project.root / "results/provenance/talk").iterdir()}
    assert records - left == {f"{rule}.json" for rule in MERGE.split()}
    assert (project.root / "results/export/talk/talk.srt").exists()


def test_a_setting_that_was_tried_and_taken_back_costs_nothing(project: Project) -> None:
    project.set("chunk.min_silence_s", 1)
    project.set("diarize.num_speakers", 2)
    project.plan().remove_records()
    project.set("chunk.min_silence_s", 0.5)
    project.set("diarize.num_speakers", None)
    assert not project.plan().due


def test_a_file_of_no_session_is_named(project: Project) -> None:
    with pytest.raises(UserError, match="nobody: there is nothing to do for merge_transcript"):
        project.plan().step("merge_transcript", {"session": "nobody"})


def test_fewer_formats_cost_nothing_and_subtitles_alone_have_lines(project: Project) -> None:
    project.set("export.formats", ["txt", "srt"])
    assert not project.plan().due
    project.set("export.formats", ["txt"])
    project.finish()
    project.set("export.max_lines", 1)
    assert not project.plan().due


# What Snakemake is told.


def jobs_of_snakemake(plan: Plan) -> set[str]:
    """Return the first outputs of the steps that Snakemake runs when it is asked for the targets.

    A job runs if a file of it is missing that is asked for by name or by a job that runs, or if it reads what
    a job makes that runs. It does not look behind a file that is there.
    """
    pending = {path: step for session in plan.sessions.values() for path, step in session.pending.items()}
    missing = {path for session in plan.sessions.values() for path in session.missing}
    maker = {path: step for step in pending.values() for path in (*step.outputs, step.record)}

    def reads(step: Step) -> set[str]:
        inputs = plan.inputs(step).values()
        return {path for value in inputs for path in ([value] if isinstance(value, str) else value)}

    asked, dag = set(plan.targets()), set[Step]()
    ahead = [maker[path] for path in asked if path in maker]
    while ahead:
        step = ahead.pop()
        if step not in dag:
            dag.add(step)
            ahead += [maker[path] for path in reads(step) if path in maker]
    made: set[str] = {path for path in asked & missing if path not in maker}  # settings
    running: set[Step] = set()
    while new := {
        step
        for step in dag - running
        if asked & missing & {*step.outputs, step.record} or not made.isdisjoint(reads(step))
    }:
        running |= new
        asked |= {path for step in new for path in reads(step)}
        made |= {path for step in new for path in (*step.outputs, step.record)}
        made |= asked & missing - maker.keys()
    return {step.outputs[0] for step in running}


def removals(project: Project) -> list[list[Path]]:
    """Return what to remove: everything, each file of a session, pairs of files far apart."""
    files = sorted((project.root / "results").rglob("talk*")) + sorted(
        (project.root / "results").glob("*/talk/**/*")
    )
    each = [path for path in files if path.is_file()]
    return [each, *([path] for path in each), *zip(each, reversed(each), strict=True)]  # type: ignore[list-item]


def test_all_that_is_due_follows_from_what_snakemake_is_asked_for(project: Project) -> None:
    whole = {path: path.read_bytes() for path in (project.root / "results").rglob("*") if path.is_file()}
    for removed in removals(project):
        for path in removed:
            path.unlink(missing_ok=True)
        plan = project.plan()
        assert jobs_of_snakemake(plan) == plan.sessions["talk"].pending.keys(), removed
        for path in removed:
            path.write_bytes(whole[path])


# Sessions and settings that cannot be worked on.


def test_a_session_with_a_problem_has_one_job_that_says_so(project: Project) -> None:
    project.rows.append(Row("talk", "recording", "mix", "in/other.flac", "8" * 64, 21.0))
    plan = project.plan()
    (step,) = plan.sessions["talk"].pending.values()
    assert step.rule == "fetch_recording"
    assert "two recordings have the session name `talk`" in step.settings["problem"]
    assert not plan.sessions["duo"].pending


def test_the_demo_overwrites_no_session_of_the_usual_manifest(project: Project) -> None:
    """Several manifests have one folder of results."""
    (project.root / "config").mkdir()
    usual = project.root / "config/sessions.tsv"
    manifest.write(usual, project.rows)
    assert not any(session.session.problem for session in project.plan().sessions.values()), "the same ones"
    (row,) = (row for row in project.rows if row.session == "talk")
    manifest.write(usual, [replace(row, checksum="f" * 64)])
    sessions = project.plan().sessions
    problem = sessions["talk"].session.problem
    assert problem
    assert problem.endswith("results would be overwritten. Give one of them another name")
    assert sessions["duo"].session.problem is None
    usual.write_text('session\t"')
    assert project.plan().sessions["talk"].session.problem is None


def test_a_file_that_could_not_be_probed_is_tried_again(project: Project) -> None:
    project.rows.append(Row("bad", "recording", "mix", "in/bad.mp3", "", 0.0))
    (step,) = project.plan().sessions["bad"].pending.values()
    assert (step.rule, step.settings["source"]) == ("fetch_recording", "in/bad.mp3")


def test_only_the_wanted_sessions_are_worked_on(project: Project) -> None:
    project.settings["sessions"] = ["duo"]
    assert list(project.plan().sessions) == ["duo"]
    project.settings["sessions"] = ["dou"]
    with pytest.raises(UserError, match="Did you mean `duo`"):
        project.plan()


def test_a_model_that_is_nowhere_is_refused_by_name(project: Project) -> None:
    project.set("transcribe.model", "larg-v3")
    with pytest.raises(UserError) as caught:
        project.plan()
    assert "configuration: transcribe.model" in str(caught.value)
    assert "`large-v3`" in str(caught.value)


def test_retraining_a_model_folder_redoes_its_words(project: Project) -> None:
    (project.root / "models/speech/model.bin").write_text("other")
    assert project.todo("talk") == expected(project, "talk", SPEECH)


def test_a_session_begun_on_a_gpu_is_done_where_there_is_none(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settings["transcribe"] |= {"model": "auto", "device": "auto", "compute_type": "auto"}
    monkeypatch.setattr(models, "machine_device", lambda: "cuda")
    assert project.todo("talk")["transcribe_chunk"] == 2
    project.finish()
    monkeypatch.setattr(models, "machine_device", lambda: "cpu")
    assert not project.plan().due


def test_an_unfinished_session_keeps_its_model_when_a_better_one_comes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settings["transcribe"] |= {"model": "auto", "device": "auto", "compute_type": "auto"}
    monkeypatch.setattr(models, "machine_device", lambda: "cpu")
    here: set[str] = {models.WHISPER["base"]}
    monkeypatch.setattr(models, "locate", lambda model, *_: tmp_path if model in here else None)
    project.finish()
    files = project.files("transcribe_chunk")
    files[0].unlink()
    here.add(models.WHISPER["small"])
    assert project.todo("talk")["transcribe_chunk"] == 1
    assert project.plan().preflight_task()["speech"] == [models.WHISPER["base"]]
    here.clear()
    assert project.plan().preflight_task()["speech"] == [models.WHISPER["base"]]


def test_a_session_keeps_its_pipeline_when_a_better_one_comes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, spare = (models.DIARIZATION[name] for name in models.AUTO_PIPELINES)
    project.set("diarize.model", "auto")
    here: set[str] = {spare}
    monkeypatch.setattr(models, "locate", lambda model, *_: tmp_path if model in here else None)
    project.finish()
    files = project.files("embed_chunk")
    here.add(best)
    assert not project.plan().due
    files[0].unlink()
    assert project.todo("talk")["embed_chunk"] == 1
    assert project.plan().preflight_task()["diarization"] == [spare]
    here.clear()
    assert project.plan().preflight_task()["diarization"] == [spare]
    project.rows.append(replace(ROWS[0], session="new"))
    assert project.plan().preflight_task()["diarization"] == [best, spare]
