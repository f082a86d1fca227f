"""The layout of the project as the design has it: what is where, and who may know of whom."""

from __future__ import annotations

import ast
import copy
import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from project import APART

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scripts/sessionscribe"
HEAVY = {"torch", "torchaudio", "faster_whisper", "ctranslate2", "pyannote"}
SCORERS = {"pyannote.core", "pyannote.database", "pyannote.metrics"}  # no model in them
KNOWS_THE_PROGRAM = {
    "cli/options.py",
    "cli/remove.py",
    "cli/run.py",
    "cli/verify.py",
    "cli/workflow.py",
    "jobs/workspace.py",
    "web/runs.py",
    "jobs/job.py",
}  # it as a command, its processes, files
RULE = re.compile(r"^rule (\w+):\n((?:(?:    .*)?\n)+)", re.MULTILINE)


def rules(name: str) -> dict[str, str]:
    """Return the rules of a file: name and text."""
    text = (ROOT / name).read_text(encoding="utf-8") + "\n"
    return {match[1]: match[2] for match in RULE.finditer(text)}


def rule_files() -> list[str]:
    return ["Snakefile", *sorted(f"rules/{path.name}" for path in (ROOT / "rules").glob("*.smk"))]


def workflow_rules() -> dict[str, str]:
    files = [file for file in rule_files() if Path(file).stem not in APART]
    return {name: body for file in files for name, body in rules(file).items()}


@cache
def modules() -> dict[Path, ast.Module]:
    """Return the library's modules, parsed."""
    paths = sorted(LIBRARY.rglob("*.py"))
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imported(module: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def code(module: ast.Module) -> str:
    """Return a module's code without comments and docstrings."""
    tree = copy.deepcopy(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def test_every_script_is_named_as_its_rule_and_the_other_way_round() -> None:
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    every = {name: body for file in rule_files() for name, body in rules(file).items()}
    assert scripts <= set(every)
    for name, body in every.items():
        if "    script:" in body:
            assert f'"../scripts/{name}.py"' in body, name


def test_scripts_are_thin() -> None:
    for path in (ROOT / "scripts").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 25, path
        assert not any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(text))), path


def test_the_snakefile_is_short() -> None:
    assert len((ROOT / "Snakefile").read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize(
    "stage", sorted(path.name for path in (LIBRARY / "stages").iterdir() if path.name[0] != "_")
)
def test_every_rule_of_a_stage_has_its_function_in_the_module_of_that_stage(stage: str) -> None:
    module = ast.parse((LIBRARY / f"stages/{stage}/{stage}.py").read_text(encoding="utf-8"))
    functions = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    assert set(rules(f"rules/{stage}.smk")) <= functions
    assert f'include: "rules/{stage}.smk"' in (ROOT / "Snakefile").read_text(encoding="utf-8")


def test_the_library_knows_nothing_of_snakemake() -> None:
    for path, module in modules().items():
        if path.name != "workflow.py":  # which asks its parser what is wanted
            assert "snakemake" not in imported(module), path
        if path.relative_to(LIBRARY).as_posix() not in KNOWS_THE_PROGRAM:
            assert "snakemake" not in code(module).lower().replace("snakemake_executor", ""), path
        names = (node.id for node in ast.walk(module) if isinstance(node, ast.Name))
        assert "snakemake" not in names, path


def test_only_engines_import_what_is_heavy() -> None:
    for path, module in modules().items():
        if path.parent.name == "evaluation":
            text = path.read_text(encoding="utf-8")
            names = re.findall(r"^\s*(?:from|import) (pyannote\.\w+)", text, re.MULTILINE)
            assert set(names) <= SCORERS, path
            assert imported(module).isdisjoint(HEAVY - {"pyannote"}), path
        elif path.parent.name != "engines":
            assert imported(module).isdisjoint(HEAVY), path


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_what_benchmarks_import_of_the_library_is_there(path: Path) -> None:
    """Most of them are not run by `make test`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sessionscribe":
            module = import_module(str(node.module))
            for name in (alias.name for alias in node.names):
                assert hasattr(module, name) or find_spec(f"{node.module}.{name}"), f"{node.module}.{name}"


def test_the_paths_from_files_to_code_that_the_docs_show_are_there() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `results/.*?` \| `(\w+)` in `(.*?)` \| `(.*?)` \| `\w+` in `(.*?)`.*\| `(tests/.*?)` \|$",
        page,
        re.MULTILINE,
    )
    assert len(rows) == 3
    for rule, file, script, module, test in rows:
        assert rule in rules(file)
        assert script == f"scripts/{rule}.py"
        assert f"def {rule}(" in (LIBRARY / module).read_text(encoding="utf-8")
        assert f" {rule}(" in (ROOT / test).read_text(encoding="utf-8")
    assert page.count("\n") <= 150, "three screens"


def test_there_are_rules_to_look_at() -> None:
    assert len(workflow_rules()) >= 12


@pytest.mark.parametrize("name", sorted(set(workflow_rules()) - {"all"}))
def test_every_rule_says_all_that_is_asked_of_one(name: str) -> None:
    body = workflow_rules()[name]
    assert re.match(r'    """[A-Z].+\."""\n', body), "a docstring in one line"
    wanted = {"output", "log", "benchmark", "threads", "resources", "conda", "script"}
    for directive in wanted - ({"benchmark"} if name == "note_settings" else set()):  # it writes one line
        assert re.search(rf"^    {directive}:", body, re.MULTILINE), directive
    resources = body.partition("    resources:\n")[2]
    assert re.search(r"^        mem_mb=\d+,$", resources, re.MULTILINE)
    assert re.search(r'^        runtime="\d+[mh]",$', resources, re.MULTILINE)
    assert re.search(r'"logs/', body.partition("    log:")[2])


@pytest.mark.parametrize("file", rule_files())
def test_rules_have_no_lambda_and_no_shell_or_run(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not re.search(r"^    (run|checkpoint):", text, re.MULTILINE)
    if Path(file).stem not in APART:
        assert "lambda" not in text
        assert "shell:" not in text


def test_there_is_no_default_profile_and_no_folder_that_hides_one() -> None:
    assert not (ROOT / "profiles/default").exists()
    for profile in (ROOT / "profiles").iterdir():
        assert not (ROOT / profile.name).exists(), f"--profile {profile.name} would look here first"


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*/config.yaml")), ids=str)
def test_every_entry_of_a_profile_is_explained(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    entries = [n for n, line in enumerate(lines) if re.match(r"[a-z-]+:", line)]
    keys = {lines[n].partition(":")[0] for n in entries}
    assert {"cores", "keep-going", "retries", "rerun-incomplete", "scheduler"} <= keys
    assert "input" not in "".join(line for line in lines if line.startswith("rerun-triggers"))
    explained = 0
    for n in entries:
        above = next((line for line in reversed(lines[:n]) if not re.match(r"[a-z-]+:", line)), "")
        explained += above.startswith("#")
    assert explained == len(entries)


def test_no_two_modules_of_tests_have_one_name() -> None:
    """pytest imports them by their names alone, and leaves out the second."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
