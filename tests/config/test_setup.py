"""Set-up: the pinned files agree with each other, and the linking of profiles harms nobody."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / "envs"
PINNED = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-light.txt",
    "requirements-evaluation.txt",
    "requirements-slurm.txt",
    "requirements-clouds.txt",
    "uv.txt",
    "moto.txt",
    "colab.txt",
)
ASKED = {
    "requirements.in": "requirements.txt",
    "requirements-dev.in": "requirements-dev.txt",
    "requirements-light.in": "requirements-light.txt",
    "requirements-evaluation.in": "requirements-evaluation.txt",
    "requirements-slurm.in": "requirements-slurm.txt",
    "requirements-clouds.in": "requirements-clouds.txt",
    "uv.in": "uv.txt",
    "moto.in": "moto.txt",
    "colab.in": "colab.txt",
}


def load(name: str) -> ModuleType:
    """Import a helper of envs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"envs_{name}", ENVS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


set_up = load("set_up")
links = load("link_profiles")
conda = load("conda_environment")


def pins(name: str) -> dict[str, str]:
    """Package name to its pinned requirement, without the hashes."""
    blocks = set_up.pinned_blocks((ENVS / name).read_text(encoding="utf-8"))
    return {package: block.split("\\\n")[0].strip() for package, block in blocks.items()}


def canonical(requirement: str) -> str:
    """Package name of a requirement line, in the registry's spelling."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[=<>~!;]", requirement, maxsplit=1)[0]).lower()


@pytest.mark.parametrize(
    "path", sorted(p.name for p in ENVS.iterdir() if p.suffix in {".txt", ".in", ".yaml"})
)
def test_no_host_is_named(path: str) -> None:
    text = (ENVS / path).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host|@ (file|git)", text)


@pytest.mark.parametrize("name", PINNED)
def test_every_entry_is_pinned_and_has_hashes(name: str) -> None:
    blocks = set_up.pinned_blocks((ENVS / name).read_text(encoding="utf-8"))
    assert blocks
    for package, block in blocks.items():
        assert re.match(rf"{re.escape(package)}==\S+( ; .+)? \\\n", block), package
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), package


def test_run_time_pins_are_among_the_development_pins() -> None:
    run_time = pins("requirements.txt")
    development = pins("requirements-dev.txt")
    assert {k: v.split(" ;")[0] for k, v in run_time.items()} == {
        k: development.get(k, "missing").split(" ;")[0] for k in run_time
    }
    assert len(development) > len(run_time)


def test_the_extra_for_evaluation_changes_no_version() -> None:
    extra, development = pins("requirements-evaluation.txt"), pins("requirements-dev.txt")
    shared = set(extra) & set(development)
    assert {"numpy", "scipy"} <= shared
    assert {k: extra[k].split(" ;")[0] for k in shared} == {k: development[k].split(" ;")[0] for k in shared}


@pytest.mark.parametrize(("asked", "pinned"), ASKED.items())
def test_what_is_asked_for_is_pinned(asked: str, pinned: str) -> None:
    lines = [
        re.split("[#;]", line)[0].strip() for line in (ENVS / asked).read_text(encoding="utf-8").splitlines()
    ]
    wanted = [line for line in lines if line and not line.startswith("-")]
    have = pins(pinned)
    assert wanted
    for line in wanted:
        name = canonical(line)
        assert name in have, f"{line}: run `make lock`"
        if "==" in line:
            version = line.split("==")[1]
            assert have[name].split(" ;")[0].split("==")[1] == version, f"{line}: run `make lock`"


def test_conda_environment_is_the_one_that_lock_writes() -> None:
    text = (ENVS / "sessionscribe.yaml").read_text(encoding="utf-8")
    assert text == conda.render((ENVS / "requirements.txt").read_text(encoding="utf-8")), "run `make lock`"
    environment = yaml.safe_load(text)
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["dependencies"][-1]["pip"] == list(pins("requirements.txt").values())


Choice = set_up.Choice


def left_out(choice: Any, *, driver: bool = True) -> set[str]:
    """Packages of the full set-up that are not wanted."""
    return set(pins("requirements-dev.txt")) - set(set_up.pinned_blocks(set_up.wanted(choice, driver=driver)))


def test_default_set_up_checks_everything() -> None:
    sync, slurm, own = set_up.install_commands(Choice())
    assert "--require-hashes" in sync
    assert "--require-build-hashes" in sync
    assert sync[-1] == str(set_up.WANTED)
    assert not [word for word in sync if "torch" in word or "reinstall" in word]
    assert slurm[-1] == str(ENVS / "requirements-slurm.txt")
    assert {"--no-deps", "--require-hashes", "--target"} < set(slurm)
    assert own[-2:] == ["--editable", str(ROOT)]
    assert {"--no-deps", "--no-build-isolation"} < set(own)
    assert "--reinstall" in set_up.install_commands(Choice(), repair=True)[0]


def test_another_torch_is_the_only_thing_not_checked() -> None:
    rest, torch, *_ = set_up.install_commands(Choice("cpu"))
    assert "--require-hashes" in rest
    pinned = pins("requirements-dev.txt")
    assert torch[-4:] == ["--torch-backend", "cpu", pinned["torch"], pinned["torchaudio"]]


def test_going_back_to_the_registry_replaces_torch() -> None:
    sync = set_up.install_commands(Choice(), previous=Choice("cpu"))[0]
    assert {"--reinstall-package=torch", "--reinstall-package=torchaudio"} < set(sync)


def test_only_torch_and_its_own_are_left_out_for_another_build() -> None:
    found = left_out(Choice("cpu"))
    assert {"torch", "torchaudio", "triton", "nvidia-cublas"} <= found
    assert all(name.startswith(("nvidia-", "cuda-")) for name in found - {"torch", "torchaudio", "triton"})
    assert not found & {"nvidia-ml-py", "nvidia-cublas-cu12"}


def test_what_only_a_gpu_needs_is_left_out_without_a_driver() -> None:
    assert left_out(Choice()) == set()
    assert left_out(Choice(), driver=False) == {"nvidia-cublas-cu12", "nvidia-cuda-nvrtc-cu12", "triton"}
    assert left_out(Choice(gpu=True), driver=False) == set()


def test_a_light_set_up_has_no_torch_and_the_same_versions() -> None:
    light = pins("requirements-light.txt")
    full = pins("requirements.txt")
    assert {name: line.split(" ;")[0] for name, line in light.items()} == {
        name: full[name].split(" ;")[0] for name in light
    }
    assert {"torch", "torchaudio", "pyannote-audio", "pyannote-metrics", "pandas"} <= left_out(
        Choice(light=True)
    )
    assert not [name for name in light if "torch" in name or name.startswith("cuda")]
    packages, own = set_up.install_commands(Choice("cpu", light=True))
    assert not [word for word in (*packages, *own) if "torch" in word]


def test_a_choice_holds_until_another_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TORCH_BACKEND", "LIGHT", "GPU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(set_up, "CHOICE", tmp_path / "choice.json")
    assert Choice.remembered() == Choice()
    (tmp_path / "choice.json").write_text(json.dumps({"backend": "cpu", "light": True, "gpu": False}))
    assert Choice.remembered().asked() == Choice("cpu", light=True)
    monkeypatch.setenv("LIGHT", "0")
    monkeypatch.setenv("GPU", "1")
    monkeypatch.setenv("TORCH_BACKEND", "registry")
    assert Choice.remembered().asked() == Choice(gpu=True)
    monkeypatch.setenv("LIGHT", "yes")
    with pytest.raises(set_up.SetUpError, match="LIGHT is 0 or 1, not yes"):
        Choice().asked()


def test_state_changes_with_the_choice_and_the_driver() -> None:
    choices = [Choice(), Choice("cpu"), Choice(light=True), Choice(gpu=True)]
    states = {set_up.state_hash(choice, driver=driver) for choice in choices for driver in (False, True)}
    assert len(states) == 7  # asked for or not, with a driver all is there
    assert set_up.state_hash(Choice(), driver=True) == set_up.state_hash(Choice(), driver=True)


def test_what_says_nothing_for_long_is_said_to_be_at_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(set_up, "SILENT_S", 0.2)
    set_up.run([sys.executable, "-c", "import time; time.sleep(0.7)"], "Waiting")
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "Waiting ..."
    assert len(others) >= 2


def test_unsuitable_python_is_refused_in_one_line() -> None:
    env = {**os.environ, "PYTHON": "/bin/false"}
    done = subprocess.run(["sh", ENVS / "setup.sh"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "PYTHON=/bin/false" in done.stderr


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    """Two profiles and a folder that is none."""
    folder = tmp_path / "checkout" / "profiles"
    for name in ("demo", "local"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.yaml").write_text("cores: 1\n")
    (folder / "notes").mkdir()
    return folder


def test_profiles_are_linked_where_snakemake_looks(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = {"HOME": str(home), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, ENVS / "link_profiles.py"], env=env, check=True)
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "from snakemake.cli import get_profile_dir; print(get_profile_dir('demo')[0].resolve())",
        ],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert found == str(ROOT / "profiles" / "demo")


def test_linking_leaves_alone_what_is_not_ours(profiles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "snakemake"
    (folder / "demo").mkdir(parents=True)
    (folder / "demo" / "config.yaml").write_text("mine\n")
    (folder / "local").symlink_to("/somebody/else/profiles/local")  # dangling, and still somebody's
    told = links.link_profiles(profiles, folder)
    assert (folder / "demo" / "config.yaml").read_text() == "mine\n"
    assert os.readlink(folder / "local") == "/somebody/else/profiles/local"
    assert len(told) == 2
    assert "profiles/demo" in told[0]


def test_linking_twice_says_and_changes_nothing(profiles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "snakemake"
    assert links.link_profiles(profiles, folder) == []
    before = {path.name: path.lstat().st_mtime_ns for path in folder.iterdir()}
    assert links.link_profiles(profiles, folder) == []
    assert {path.name: path.lstat().st_mtime_ns for path in folder.iterdir()} == before
    assert set(before) == {"demo", "local", links.RECORD}


def test_links_follow_the_checkout_and_go_with_the_profile(profiles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "snakemake"
    links.link_profiles(profiles, folder)
    other = tmp_path / "other" / "profiles"
    (other / "demo").mkdir(parents=True)
    (other / "demo" / "config.yaml").write_text("cores: 2\n")
    assert len(links.link_profiles(other, folder)) == 1
    assert os.readlink(folder / "demo") == str(other / "demo")
    assert os.readlink(folder / "local") == str(profiles / "local")
    (profiles / "local" / "config.yaml").unlink()
    links.link_profiles(profiles, folder)
    assert not (folder / "local").is_symlink()
    assert set(json.loads((folder / links.RECORD).read_text())) == {"demo"}


def test_a_link_into_a_checkout_that_is_gone_is_said_and_mended(profiles: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "snakemake", tmp_path / "other/profiles"
    for name in ("demo", "older"):
        (other / name).mkdir(parents=True)
        (other / name / "config.yaml").write_text("cores: 2\n")
    links.link_profiles(other, folder)
    shutil.rmtree(other.parent)
    told = links.link_profiles(profiles, folder)
    assert told == [
        f"`snakemake --profile demo` now uses {profiles}/demo (was {other}/demo, which is gone)",
        f"`snakemake --profile older` led to {other}/older, which is gone: the link is removed",
    ]
    assert {p.name for p in folder.iterdir() if p.is_symlink()} == {"demo", "local"}
    assert links.link_profiles(profiles, folder) == []


def test_linking_never_stops_a_set_up(tmp_path: Path) -> None:
    (tmp_path / "snakemake").write_text("a file where the folder should be\n")
    env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, ENVS / "link_profiles.py"], env=env, capture_output=True, text=True, check=True
    )
    assert "profiles are not linked" in done.stderr


def test_there_is_no_default_profile() -> None:
    assert not (ROOT / "profiles" / "default").exists()


def targets() -> set[str]:
    """Targets of the Makefile."""
    return set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )


def test_every_target_is_listed_by_help() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"^make ([a-z-]+) ", shown, flags=re.MULTILINE)) == targets()
    assert len(shown.splitlines()) == len(targets())


def test_every_target_that_needs_the_environment_sets_up() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    without = set(re.findall(r"^([a-z-]+): ## ", text, flags=re.MULTILINE))
    assert without == {"help", "setup", "clean", "test-pythons"}  # in clones, with other Pythons


def test_make_knows_a_full_set_up_from_a_light_one(tmp_path: Path) -> None:
    shutil.copy2(ROOT / "Makefile", tmp_path)
    ask = ["make", "--no-print-directory", "--eval", ".ask: ; @$(FULL) && echo full || echo light", ".ask"]
    found = []
    for _ in range(2):
        found.append(subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
        (tmp_path / ".venv/bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2("/bin/true", tmp_path / ".venv/bin/pytest")
    assert found == ["light\n", "full\n"]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ENVS / "README.md"]
)
def test_make_targets_named_in_the_documentation_exist(page: Path) -> None:
    if not page.exists():
        pytest.skip(f"{page.name} is not written yet")
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?^```", text, flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"`make ([a-z][a-z-]*)", text)
    named += re.findall(r"^\s*(?:\$ )?make ([a-z][a-z-]*)", "\n".join(blocks), flags=re.MULTILINE)
    assert set(named) <= targets()


def test_continuous_integration_calls_make_test_only() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines == ['cd "$(dirname "$0")/.." && exec make test']


def test_version_and_licence_are_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    library = (ROOT / "scripts" / "sessionscribe" / "__init__.py").read_text(encoding="utf-8")
    assert citation["version"] == project["version"]
    assert f'__version__ = "{project["version"]}"' in library
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("[", "")
    assert citation["license"] == project["license"] == "MIT"
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License\n\nCopyright (c) 2026 the sessionscribe authors\n")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
