"""docs/output.md and docs/records.md are held to what the program does: valid examples, no file missing."""

import re
from pathlib import Path

import pytest
import records

from project import APART
from sessionscribe.artifacts.base import Artifact
from sessionscribe.config.settings import Config

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/output.md").read_text(encoding="utf-8")
RECORDS = (ROOT / "docs/records.md").read_text(encoding="utf-8")
ARTIFACTS = {name: model for name, model in records.models().items() if issubclass(model, Artifact)}


def test_the_tables_of_fields_are_those_of_the_models() -> None:
    assert records.documented(RECORDS) == RECORDS, "run `make docs`"


@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_example_is_valid(tmp_path: Path, name: str) -> None:
    (example,) = re.findall(rf"^## {name}\n.*?^```json\n(.*?)^```", RECORDS, re.MULTILINE | re.DOTALL)
    (tmp_path / "example.json").write_text(example, encoding="utf-8")
    ARTIFACTS[name].read(tmp_path / "example.json")
    assert set(re.findall(r'^  "(\w+)":', example, re.MULTILINE)) == set(ARTIFACTS[name].model_fields)


def test_every_example_belongs_to_an_artifact() -> None:
    assert RECORDS.count("```json") == len(ARTIFACTS)
    assert RECORDS.count("<!-- fields of ") == len(ARTIFACTS) + 1


def test_every_file_that_a_rule_makes_is_listed() -> None:
    made = set()
    for rules in (ROOT / "rules").glob("*.smk"):
        if rules.stem in APART:
            continue
        text = rules.read_text(encoding="utf-8")
        for block in re.findall(r"^    (?:output|log):\n((?:^        .*\n)+)", text, re.MULTILINE):
            block = block.replace("{{", "{").replace("}}", "}")  # noqa: PLW2901 -- as `expand` has it
            made |= set(re.findall(r'"((?:results|logs)/[^"]+)"', block))
    assert len(made) > 20
    for path in made:
        if path.startswith("results/provenance/"):
            # named by the rule and what it works on
            path = re.sub(r"/[a-z]+_[a-z]+(?=\.\{track\}|\.json)", "/{rule}", path)  # noqa: PLW2901
        if path.startswith("logs/") and "{session}" in path:
            assert "`logs/{stage}/{session}….log`" in PAGE
            assert re.fullmatch(r"logs/[a-z]+/\{session\}.*\.log", path)
        else:
            assert f"`{path}`" in PAGE, f"docs/output.md does not list {path}"


def test_every_format_is_described() -> None:
    for name in Config().export.formats:
        assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE)
