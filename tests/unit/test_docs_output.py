"""docs/output.md is held to what the program does: valid examples, no field and no file missing."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from project import APART
from sessionscribe import artifacts
from sessionscribe.artifacts.base import Artifact, Part, SessionArtifact
from sessionscribe.config.settings import Config
from sessionscribe.publish import package_manifest
from sessionscribe.sharing import sidecars

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "output.md").read_text(encoding="utf-8")
MODULES = [
    import_module(f"sessionscribe.artifacts.{found.name}") for found in iter_modules(artifacts.__path__)
]
ARTIFACTS = {
    cls.__name__: cls
    for cls in (*Artifact.__subclasses__(), *SessionArtifact.__subclasses__())
    if cls is not SessionArtifact
}
PARTS = {
    name: cls
    for module in (*MODULES, package_manifest, sidecars)
    for name, cls in vars(module).items()
    if isinstance(cls, type) and issubclass(cls, Part) and not issubclass(cls, Artifact) and cls is not Part
}


def section(name: str) -> str:
    """The text below the heading of an artifact."""
    found = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/output.md has no section on {name}"
    return found[1]


@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_example_is_valid(tmp_path: Path, name: str) -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", section(name), re.MULTILINE | re.DOTALL)
    (tmp_path / "example.json").write_text(example, encoding="utf-8")
    ARTIFACTS[name].read(tmp_path / "example.json")
    assert set(re.findall(r'^  "(\w+)":', example, re.MULTILINE)) == set(ARTIFACTS[name].model_fields)


def test_every_example_belongs_to_an_artifact() -> None:
    assert PAGE.count("```json") == len(ARTIFACTS)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_every_field_of_an_artifact_is_explained(name: str) -> None:
    table = "\n".join(line for line in section(name).splitlines() if line.startswith("|"))
    first = {field for line in table.splitlines() for field in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert first == set(ARTIFACTS[name].model_fields) - {"schema_version"}


@pytest.mark.parametrize("name", PARTS)
def test_every_field_of_a_part_is_explained(name: str) -> None:
    (row,) = [line for line in section("Parts").splitlines() if line.startswith(f"| `{name}` |")]
    assert set(PARTS[name].model_fields) <= set(re.findall(r"`(\w+)`", row))


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
