"""What we use of Snakemake beyond its documentation still does what we use it for.

In the rules that is ``plan`` in rules/common.smk (tests/workflow/test_snakemake_user.py tries what follows);
of the executor, ``snakemake_executor_plugin_warm/inside.py`` lists it (tests/workflow/test_warm.py).
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import snakemake.api  # first: its modules import one another

import forks
from sessionscribe.jobs import workspace

PINNED = "9.27.1"
SNAKEFILE = """
configfile: "a.yaml"
print("read", *workflow.configfiles)

def source(wildcards):
    asked = workflow.dag_settings
    names = sorted(map(str, asked.forcerun)), asked.forceall, sorted(asked.targets), sorted(asked.until)
    print("asked", *names)
    workflow.dag.forcefiles.update({"b.txt"})
    return before_update(ancient("a.txt"))

rule all:
    default_target: True
    input: "b.txt"

rule make:
    input: source
    output: "b.txt"
    shell: "touch {output}"
"""


def test_the_version_is_the_one_that_these_tests_were_written_for() -> None:
    assert snakemake.__version__ == PINNED


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "a.yaml").write_text("a: 1")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("b.txt",), "asked [] False ['b.txt'] []"),
        (("--forcerun", "make"), "asked ['make'] False [] []"),
        (("-F",), "asked [] True [] []"),
        (("--until", "make"), "asked [] False [] ['make']"),
    ],
)
def test_input_functions_know_what_is_asked_for_and_can_force_a_file(
    workflow: Path, arguments: tuple[str, ...], asked: str
) -> None:
    options = [*arguments, "--dry-run", "--rerun-triggers", "mtime"]
    code, out, err = forks.run("snakemake", options, workflow, os.environ)
    assert code == 0, err
    assert {asked, "read a.yaml"} <= set(out.splitlines())
    assert "reason: Forced execution" in out + err


def test_stale_locks_are_removed_and_living_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / ".snakemake"
    lock = folder / "locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/a.json\n")
    before = len(workspace._held)
    workspace.release_stale_locks(folder)  # whoever made it does not hold the kernel lock
    assert not lock.exists()
    assert len(workspace._held) == before + 1
    lock.write_text("results/a.json\n")
    workspace.release_stale_locks(folder)  # we do, as a running Snakemake does
    assert lock.exists()


def test_a_start_imports_no_plugins_client_and_no_pandas() -> None:
    """Every start pays for what is imported then: a second and 30 MB each."""
    code = "import sys, snakemake.cli; print(*{'pandas', 'torch', 'kubernetes', 'boto3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert importlib.util.find_spec("boto3") is None, "smart_open, which opens the Snakefile, would import it"
