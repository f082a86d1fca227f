"""The worker answers every request, also where a job's log cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from snakemake_executor_plugin_warm.pool import WorkerPool
from snakemake_executor_plugin_warm.slots import local_slots

SERVE = Path(__file__).parents[2] / "scripts/snakemake_executor_plugin_warm/serve.py"


@pytest.mark.parametrize("log", ["/dev/full", "file/job.log"])
def test_a_log_that_cannot_be_written_costs_no_answer(tmp_path: Path, log: str) -> None:
    if log.startswith("/dev") and not Path(log).exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "file").touch()
    (tmp_path / "fails.py").write_text("raise ValueError('no')")
    (tmp_path / "works.py").write_text("print('yes')")
    nothing = {name: [] for name in ("input", "output", "params", "wildcards", "resources")}
    jobs = [("fails.py", log), ("works.py", "works.log")]
    with subprocess.Popen(
        [sys.executable, str(SERVE)], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin
        assert worker.stdout
        limit = threading.Timer(30, worker.kill)
        limit.start()
        replies = []
        for number, (script, path) in enumerate(jobs):
            about = {"id": number, "script": str(tmp_path / script), "rule": "r", "threads": 1}
            worker.stdin.write(json.dumps({**nothing, **about, "log": [[None, path]]}) + "\n")
            worker.stdin.flush()
            replies.append(json.loads(worker.stdout.readline()))
        limit.cancel()
        worker.stdin.close()
    assert [reply["code"] for reply in replies] == [1, 0]
    assert "ValueError: no" in replies[0]["error"]


def test_to_end_idle_workers_at_once_costs_no_processor(tmp_path: Path) -> None:
    (tmp_path / "sleeps.py").write_text("import time; time.sleep(1)")
    request = {name: [] for name in ("input", "output", "params", "wildcards", "resources")}
    about = {"script": str(tmp_path / "sleeps.py"), "rule": "r", "threads": 1}
    pool, before = WorkerPool(local_slots(1, 1), 0.0), time.process_time()
    logged = {**request, **about, "log": [[None, str(tmp_path / "log")]]}
    assert pool.run(logged, time.time())["code"] == 0
    spent = time.process_time() - before
    pool.stop()
    assert spent < 0.1


def test_lanes_parse_python_at_the_same_time(tmp_path: Path) -> None:
    """Before Python 3.11.8 that failed now and then; here parsing collects garbage, which lets others run."""
    (tmp_path / "parses.py").write_text(
        "import ast, gc, sys\n"
        "class Garbage:\n"
        "    def __init__(self): self.me = self\n"
        "    def __del__(self): sum(range(50))\n"
        "def parse(depth):\n"
        "    if depth: return parse(depth - 1)\n"
        "    for _ in range(100):\n"
        "        [Garbage() for _ in range(20)]\n"
        "        ast.parse('x = [1, (2, 3), f(b, c=4)]\\n' * 20)\n"
        "sys.setswitchinterval(1e-6)\n"
        "gc.set_threshold(50)\n"
        "parse(snakemake.threads)\n"
    )
    request = {name: [] for name in ("input", "output", "params", "wildcards", "resources")}
    about = {"script": str(tmp_path / "parses.py"), "rule": "r", "log": [[None, str(tmp_path / "log")]]}
    pool = WorkerPool(local_slots(1, 2), 0.0)
    with ThreadPoolExecutor(2) as lanes:
        jobs = [lanes.submit(pool.run, {**request, **about, "threads": n}, time.time()) for n in (1, 20)]
        assert [job.result()["error"] for job in jobs] == ["", ""]
    pool.stop()


def test_a_job_that_fails_beside_another_one_says_so_in_its_own_log(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(
        "import sys, time\nfrom pathlib import Path\n"
        "while not Path(snakemake.params.begun).exists(): time.sleep(0.01)\n"
        "raise ValueError('late')\n"
    )
    (tmp_path / "begins.py").write_text(
        "import time\nfrom pathlib import Path\nPath(snakemake.params.begun).touch()\ntime.sleep(0.5)\n"
    )
    request = {name: [] for name in ("input", "output", "wildcards", "resources")}
    request["params"] = [["begun", str(tmp_path / "begun")]]
    pool = WorkerPool(local_slots(1, 2), 0.0)
    with ThreadPoolExecutor(2) as lanes:
        for name in ("waits", "begins"):
            about = {"script": str(tmp_path / f"{name}.py"), "rule": "r", "threads": 1}
            log = [[None, str(tmp_path / f"{name}.log")]]
            lanes.submit(pool.run, {**request, **about, "log": log}, time.time())
            time.sleep(0.3)
    pool.stop()
    assert "ValueError: late" in (tmp_path / "waits.log").read_text()
    assert (tmp_path / "begins.log").read_text() == ""
