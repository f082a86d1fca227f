"""The worker answers every request, also where a job's log cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from snakemake_executor_plugin_warm.pool import WorkerPool
from snakemake_executor_plugin_warm.worker import local_places

SERVE = Path(__file__).parents[2] / "scripts" / "snakemake_executor_plugin_warm" / "serve.py"


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
    assert [reply["ok"] for reply in replies] == [False, True]
    assert "ValueError: no" in replies[0]["error"]


def test_to_end_idle_workers_at_once_costs_no_processor(tmp_path: Path) -> None:
    (tmp_path / "sleeps.py").write_text("import time; time.sleep(1)")
    request = {name: [] for name in ("input", "output", "params", "wildcards", "resources")}
    about = {"script": str(tmp_path / "sleeps.py"), "rule": "r", "threads": 1}
    pool, before = WorkerPool(local_places(1, 1), 0.0), time.process_time()
    assert pool.run({**request, **about, "log": [[None, str(tmp_path / "log")]]}, time.time())["ok"]
    spent = time.process_time() - before
    pool.stop()
    assert spent < 0.1
