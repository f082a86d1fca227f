"""Models are loaded once per process, and make room for one another."""

from __future__ import annotations

import resource
import sys
import threading
import time
import types
from collections.abc import Iterator

import pytest

from held import free_all, held
from sessionscribe.core.errors import UserError
from sessionscribe.engines import pool
from sessionscribe.jobs import memory, metrics

GIB = 1 << 30


class Model:
    """Something that takes memory as long as anybody refers to it."""

    alive: int = 0

    def __init__(self, gib: float = 1.0) -> None:
        self.gib = gib
        Model.alive += 1

    def __del__(self) -> None:
        Model.alive -= 1


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    free_all()
    yield
    free_all()
    assert Model.alive == 0


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 GiB in all; every model takes one of them."""
    monkeypatch.setattr(memory, "free", lambda device: (4 - Model.alive) * GIB)


def hold(name: str, size: float = 1.0, device: str = "cpu") -> Model:
    return pool.hold(("speech", name), Model, size_bytes=int(size * GIB), device=device)


def names() -> list[str]:
    return [str(key[1]) for key in held()]


def test_a_model_is_loaded_once() -> None:
    assert hold("a", 0.001) is hold("a", 0.001)
    assert hold("b", 0.001) is not hold("a", 0.001)
    assert Model.alive == 2


def test_memory_that_an_engine_frees_is_not_cleared_by_the_kernel_again() -> None:
    hold("a", 0.001)
    bytearray(64 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(64 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 1000


def test_threads_that_want_the_same_model_load_it_once() -> None:
    loads: list[int] = []

    def load() -> Model:
        loads.append(1)
        time.sleep(0.2)
        return Model()

    def want() -> None:
        pool.hold(("speech", "slow"), load, size_bytes=1, device="cpu")

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


@pytest.mark.usefixtures("small_machine")
def test_the_one_used_longest_ago_makes_room() -> None:
    hold("a")
    hold("b")
    hold("a")
    hold("c")  # 2 GiB are free, 2.5 are wanted
    assert names() == ["a", "c"]


@pytest.mark.usefixtures("small_machine")
def test_models_of_another_device_are_left_alone() -> None:
    hold("cpu model")
    hold("gpu model", device="cuda")
    hold("large", 3, device="cuda")
    assert names() == ["cpu model", "large"]


@pytest.mark.usefixtures("small_machine")
def test_a_model_in_use_is_waited_for() -> None:
    using = threading.Event()
    done: list[float] = []

    def job() -> None:
        model = hold("a")
        using.set()
        time.sleep(0.4)
        done.append(time.monotonic())
        del model

    thread = threading.Thread(target=job)
    thread.start()
    using.wait()
    hold("large", 3)
    assert time.monotonic() >= done[0]
    assert names() == ["large"]
    thread.join()


@pytest.mark.usefixtures("small_machine")
def test_a_model_that_is_in_use_for_ever_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PATIENCE_S", 0.3)
    forgotten = hold("a")
    with pytest.raises(UserError, match=r"^a: has been in use for .* no memory for another model"):
        hold("large", 3)
    assert hold("a") is forgotten, "it can still be used"
    del forgotten
    hold("large", 3)
    assert names() == ["large"]


def test_a_load_that_lacks_memory_is_tried_again_after_all_others_are_freed() -> None:
    hold("a", 0.001)
    hold("b", 0.001)
    seen: list[int] = []

    def load() -> Model:
        seen.append(Model.alive)
        if Model.alive:
            raise RuntimeError("CUDA failed with error out of memory")
        return Model()

    pool.hold(("speech", "greedy"), load, size_bytes=1, device="cpu")
    assert seen == [2, 0]


def test_other_errors_of_a_load_are_passed_on_and_free_nothing() -> None:
    hold("a", 0.001)
    with pytest.raises(ValueError, match="no such model"):
        pool.hold(("speech", "bad"), lambda: _fail("no such model"), size_bytes=1, device="cpu")
    assert names() == ["a"]


def _fail(text: str) -> Model:
    raise ValueError(text)


def test_a_load_is_noted_with_the_job_that_waited_for_it() -> None:
    with metrics.measured() as first:
        hold("a", 0.001)
    with metrics.measured() as second:
        hold("a", 0.001)
    assert list(first.loads) == ["a"]
    assert second.loads == {}


def test_the_machines_memory_is_known() -> None:
    assert 1 << 20 < memory.free("cpu") < 1 << 50
    assert memory.is_shortage(MemoryError())
    assert memory.is_shortage(RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"))
    assert not memory.is_shortage(RuntimeError("the file is missing"))


def test_memory_is_released_while_another_thread_imports_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    half_imported = types.ModuleType("torch")
    monkeypatch.setitem(sys.modules, "torch", half_imported)
    hold("a", 0.001)
    assert free_all() == 1
    assert Model.alive == 0
