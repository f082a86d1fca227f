"""Runs ``python -m MODULE`` in forks of a process that has imported Snakemake: its start takes a second.

Nothing of the project is imported there: each fork takes the modules of its own PYTHONPATH, as a start would.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = str(ROOT / "scripts")
"""Where this checkout is installed from."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""As it is before the first test changes it."""


def run(
    module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> tuple[int, str, str]:
    """Run a module as a program in a folder, and return its exit code, its output and its errors."""
    server = _server()
    assert server.stdin
    assert server.stdout
    with tempfile.TemporaryDirectory() as streams:
        out, err = Path(streams, "out"), Path(streams, "err")
        request = {"module": module, "arguments": arguments, "environment": dict(environment)}
        request |= {"folder": str(folder), "out": str(out), "err": str(err)}
        server.stdin.write(f"{json.dumps(request)}\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")


@cache
def _server() -> subprocess.Popen[str]:
    """Return the process that forks; it ends with this one, however that ends."""
    command = [sys.executable, "-P", __file__]
    server = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)
    return server


def _serve() -> None:
    sys.path.remove(SCRIPTS)
    for name in ("av", "numpy", "pydantic", "rich.live", "soundfile", "yaml", "snakemake.cli"):
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if not (pid := os.fork()):
            _become(**request)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become(
    *, module: str, arguments: list[str], folder: str, environment: dict[str, str], out: str, err: str
) -> None:
    for descriptor, name in enumerate((os.devnull, out, err)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT if descriptor else os.O_RDONLY), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [*environment.get("PYTHONPATH", "").split(os.pathsep), *sys.path, SCRIPTS]
    sys.argv = [module, *arguments]
    if module != "sessionscribe.cli.main" or "run" in arguments:
        from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry  # noqa: PLC0415

        ExecutorPluginRegistry().collect_plugins()  # ours could not be found yet
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    _serve()
