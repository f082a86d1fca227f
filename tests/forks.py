"""Run ``python -m MODULE`` in forks of a process that has imported what it needs, which takes seconds.

A fork takes the project's modules from its own PYTHONPATH, as a start would. Those that the server has
imported from this checkout are moved there if the code is the same, and dropped if it is not.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = str(ROOT / "scripts")
"""Where this checkout is installed from."""
PACKAGES = (
    *("av", "nbformat", "numpy", "pydantic", "rich.live", "smart_open", "soundfile", "yaml", "yte"),
    *("snakemake.cli", "snakemake.report.html_reporter", "snakemake.executors.local"),
)
OURS = ("sessionscribe.cli.main", "sessionscribe.planning.plan")
COMMAND = """#!{python} -IS
import json, os, socket, sys

request = {{"module": "{module}", "arguments": sys.argv[1:], "environment": dict(os.environ)}}
own = f"/proc/{{os.getpid()}}/fd"
request |= {{"folder": os.getcwd(), "out": f"{{own}}/1", "err": f"{{own}}/2"}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect("{address}")
    server.sendall(json.dumps(request).encode() + b"\\n")
    sys.exit(int(server.makefile().readline()))
"""
"""A program that has a module run in a fork, for a shell."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""As it is before the first test changes it."""


def run(
    module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> tuple[int, str, str]:
    """Run a module as a program in a folder, and return its exit code, its output and its errors."""
    with tempfile.TemporaryDirectory() as streams:
        out, err = Path(streams, "out"), Path(streams, "err")
        request = {"module": module, "arguments": arguments, "environment": dict(environment)}
        request |= {"folder": str(folder), "out": str(out), "err": str(err)}
        return _ask(request), out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")


@contextmanager
def commands() -> Iterator[Path]:
    """Yield a folder with the commands `sessionscribe` and `snakemake`, one of which may run at a time."""

    def forward() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # it was shut down
                return
            with connection, connection.makefile("rw") as lines:
                print(_ask(json.loads(lines.readline())), file=lines, flush=True)

    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        address = Path(folder, "socket")
        listener.bind(str(address))
        listener.listen()
        for name, module in (("sessionscribe", "sessionscribe.cli.main"), ("snakemake", "snakemake")):
            Path(folder, name).write_text(
                COMMAND.format(python=sys.executable, module=module, address=address)
            )
            Path(folder, name).chmod(0o755)
        thread = threading.Thread(target=forward, daemon=True)
        thread.start()
        yield Path(folder)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _ask(request: Mapping[str, object]) -> int:
    """Have the server run a program, and return its exit code."""
    server = _server()
    assert server.stdin
    assert server.stdout
    server.stdin.write(f"{json.dumps(request)}\n")
    server.stdin.flush()
    return int(server.stdout.readline())


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
    for name in PACKAGES:
        importlib.import_module(name)
    given = set(os.environ)
    sys.path.append(SCRIPTS)
    for name in OURS:
        importlib.import_module(name)
    sys.path.remove(SCRIPTS)
    set_by_ours = {name: value for name, value in os.environ.items() if name not in given}
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if not (pid := os.fork()):
            _become(**request, set_by_ours=set_by_ours)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become(
    *,
    module: str,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    out: str,
    err: str,
    set_by_ours: dict[str, str],
) -> None:
    for descriptor, name in enumerate((os.devnull, out, err)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT if descriptor else os.O_RDONLY), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    scripts = environment.get("PYTHONPATH", SCRIPTS).split(os.pathsep)[0]
    sys.path[:] = [*environment.get("PYTHONPATH", "").split(os.pathsep), *sys.path, SCRIPTS]
    sys.argv = [module, *arguments]
    ours = {name: found for name, found in sys.modules.items() if name.partition(".")[0] == "sessionscribe"}
    if _state(SCRIPTS).items() <= _state(scripts).items():
        os.environ.update({name: value for name, value in set_by_ours.items() if name not in environment})
        for found in ours.values():
            _move(found, Path(scripts).parent)
        if module in ours:
            del sys.modules[module]  # it runs as `__main__`
    else:
        for name in ours:
            del sys.modules[name]
    if module != "sessionscribe.cli.main" or "run" in arguments:
        from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry  # noqa: PLC0415

        ExecutorPluginRegistry().collect_plugins()  # ours could not be found yet
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()


def _state(scripts: str) -> dict[str, tuple[int, int]]:
    """Return size and time of the project's modules below a folder."""
    folder = Path(scripts, "sessionscribe")
    stats = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*.py")}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def _move(module: ModuleType, root: Path) -> None:
    """Let a module and its constants say that it was imported from another checkout."""

    def moved(path: str) -> str:
        return str(root / Path(path).relative_to(ROOT))

    if module.__file__:
        module.__file__ = moved(module.__file__)
    if hasattr(module, "__path__"):
        module.__path__ = [moved(path) for path in module.__path__]
    for name, value in vars(module).items():
        if isinstance(value, Path) and value.is_relative_to(ROOT):
            setattr(module, name, Path(moved(str(value))))


if __name__ == "__main__":
    _serve()
