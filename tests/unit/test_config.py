"""Settings: what is refused and how, what lies over what, and that the derived files follow the models."""

import json
import math
from pathlib import Path
from typing import Any

import configuration as docs
import pytest
import yaml
from pydantic import BaseModel

from sessionscribe.config import loading, settings
from sessionscribe.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def settings_file(folder: Path, text: str, name: str = "a.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= leaves(field.annotation, (*path, name))
        else:
            found[*path, name] = field.default
    return found


@pytest.mark.parametrize(
    ("values", "where", "near"),
    [
        ({"chunks": {}}, "chunks", "`chunk`"),
        ({"transcribe": {"beam": 3}}, "transcribe.beam", "`beam_size`"),
        ({"chunk": {"vad": {"treshold": 0.4}}}, "chunk.vad.treshold", "`threshold`"),
        ({"diarise": {"model": "x"}}, "diarise", "`diarize`"),
        ({"export": {"format": ["srt"]}}, "export.format", "`formats`"),
    ],
)
def test_an_unknown_setting_is_refused_and_the_nearest_named(
    values: dict[str, Any], where: str, near: str
) -> None:
    with pytest.raises(UserError) as caught:
        loading.validate(values)
    assert str(caught.value).startswith(f"configuration: {where}: there is no such setting")
    assert f"Did you mean {near}?" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"chunk": {"target_s": "long"}}, "chunk.target_s"),
        ({"chunk": {"target_s": 1}}, "chunk.target_s"),
        ({"chunk": None}, "chunk"),
        ({"chunk": {"target_s": True}}, "chunk.target_s"),
        ({"ingest": {"max_gap_h": False}}, "ingest.max_gap_h"),
        ({"diarize": {"num_speakers": True}}, "diarize.num_speakers"),
        ({"chunk": {"target_s": 20, "search_s": 15}}, "chunk"),
        ({"transcribe": {"window_s": 31}}, "transcribe.window_s"),
        ({"transcribe": {"beam_size": 0}}, "transcribe.beam_size"),
        ({"convert": {"channel": "left"}}, "convert.channel"),
        ({"export": {"formats": ["doc"]}}, "export.formats"),
        ({"diarize": {"num_speakers": 0}}, "diarize.num_speakers"),
        ({"diarize": {"num_speakers": 10**9}}, "diarize.num_speakers"),
        ({"sessions": "weekly"}, "sessions"),
        ({"ingest": {"cache": {"max_gb": math.inf}}}, "ingest.cache.max_gb"),
        ({"export": {"max_cue_s": math.inf}}, "export.max_cue_s"),
        ({"diarize": {"chunk_s": math.inf}}, "diarize.chunk_s"),
        ({"transcribe": {"log_prob_threshold": -math.inf}}, "transcribe.log_prob_threshold"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_one_line_that_names_it(
    values: dict[str, Any], where: str
) -> None:
    with pytest.raises(UserError) as caught:
        loading.validate(values)
    assert caught.value.where.startswith(f"configuration: {where}")
    assert "\n" not in str(caught.value)
    assert ("docs/configuration.md" in str(caught.value)) is not caught.value.hint.startswith("Write it so")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "chunk: [1, 2",
            "line 1: is not YAML (expected ',' or ']', but got '<stream end>'). Correct the file",
        ),
        ("a: b\nchunk:\n\ttarget_s: 5\n", "line 3: is not YAML (found character '\\t' that cannot start"),
        ("<<<<<<< HEAD\nmerge: {}\n", "line 2: is not YAML (mapping values are not allowed here)"),
        ("[" * 3000, "cannot be read (maximum recursion depth exceeded"),
        (
            "merge: {}\nchunk:\n  target_s: 5\n  vad: {}\n  target_s: 6\n",
            "line 5: is not YAML (the key `target_s` occurs twice)",
        ),
        (
            "ingest:\n  max_gap_h: 1:30\n",
            "line 2: is not YAML (`1:30` would be read as 90). Correct the file",
        ),
        (
            "diarize: {num_speakers: 010}\n",
            "line 1: is not YAML (`010` would be read as 8). Correct the file",
        ),
        ("\0", "cannot be read (unacceptable character #x0000: special characters are not allowed"),
    ],
)
def test_a_file_that_is_not_yaml_says_in_which_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        loading.load([settings_file(tmp_path, text)])
    assert says in str(caught.value)


def test_norwegian_is_a_language_for_yaml_too(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "transcribe: {language: no}\nwatch: {rules: [{match: a, language: no}]}\n")
    found = loading.load([path])
    assert (found.transcribe.language, found.watch.rules[0].language) == ("no", "no")


def test_later_files_lie_over_earlier_ones_section_by_section(tmp_path: Path) -> None:
    below = settings_file(tmp_path, "chunk: {target_s: 100, search_s: 10}\nmerge: {segment_gap_s: 0.5}\n")
    above = settings_file(tmp_path, "chunk: {target_s: 200, vad: {pad_s: 0.1}}\nsessions: [a]\n", "b.yaml")
    found = loading.load([below, above])
    assert (found.chunk.target_s, found.chunk.search_s) == (200, 10)
    assert (found.chunk.vad.pad_s, found.chunk.vad.threshold) == (0.1, 0.5)
    assert found.merge.segment_gap_s == 0.5
    assert found.sessions == ("a",)
    assert loading.load([above, below]).chunk.target_s == 100


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert loading.load([settings_file(tmp_path, "# nothing\n")]) == settings.Config()


@pytest.mark.parametrize("text", ["a: [1\n", "just words\n", "- a\n- b\n", "a: \x00\n"])
def test_a_file_that_is_no_table_of_settings_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = settings_file(tmp_path, text)
    with pytest.raises(UserError) as caught:
        loading.load([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        loading.load([tmp_path / "nowhere.yaml"])


# The files that are derived from the models: `make docs` writes them.


def test_the_default_file_holds_the_models_defaults() -> None:
    text = (ROOT / "config/config.yaml").read_text(encoding="utf-8")
    assert text == docs.defaults(), "run `make docs`"
    values = yaml.safe_load(text)
    assert loading.validate(values) == settings.Config()
    for path, default in leaves(settings.Config).items():
        value: Any = values
        for part in path:
            value = value[part]
        assert value == (list(default) if isinstance(default, tuple) else default), path


def test_every_setting_is_explained_in_the_default_file() -> None:
    lines = (ROOT / "config/config.yaml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            assert lines[number - 1].lstrip().startswith("# "), f"line {number + 1} has no comment above it"


def test_the_schema_is_that_of_the_models_and_accepts_our_files() -> None:
    text = (ROOT / "config/config.schema.json").read_text(encoding="utf-8")
    assert text == docs.schema(), "run `make docs`"
    schema = json.loads(text)
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(settings.Config.model_fields)


def test_the_documented_table_has_every_setting_with_its_default() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert text == docs.documented(text), "run `make docs`"
    part = text.partition(docs.BEGIN)[2].partition(docs.END)[0]
    rows = [line.split(" | ")[0] for line in part.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{'.'.join(path)}`" for path in leaves(settings.Config)]


SETTINGS = {path.name for path in (ROOT / "config").glob("*.yaml")} - {"prices.yaml"}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_our_settings_files_are_valid(name: str) -> None:
    loading.load([ROOT / "config/config.yaml", ROOT / "config" / name])
