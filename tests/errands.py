"""A small workflow whose jobs say where and when they ran, to be run on machines elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from project import ROOT, Done, Project
from sshd import Host

SNAKEFILE = """
N = int(config.get("jobs", 4))

rule all:
    input: expand("out/{i}.txt", i=range(N))

rule make:
    input: text="in/{i}.txt", table="in/table.txt"
    output: text="out/{i}.txt", provenance="made/{i}.json"
    log: "log/{i}.log"
    benchmark: "bench/{i}.tsv"
    threads: 2
    resources: gpu=1
    params: task=lambda w: {"number": int(w.i), "note": "/etc/passwd"}
    script: "scripts/make.py"
"""
MAKE = """
import json, os, sys, time
from contextlib import suppress
from pathlib import Path
from beside import NAME
task, began = snakemake.params.task, time.time()
table = dict(line.split("=") for line in Path(snakemake.input.table).read_text().splitlines())
print(f"number {task['number']}", file=sys.stderr)
home = Path(os.environ["HOME"])
if task["number"] == 0 and (home / "hold").exists():
    (home / "working").write_text(str(os.getpid()))
    Path(snakemake.output.text).write_text("half")
    time.sleep(600)
if task["number"] == 1 and "fail" in table:
    sys.exit("number 1 will not do")
if task["number"] == 2 and "fill" in table:
    Path("filler").write_bytes(bytes(50_000_000))
time.sleep(float(table.get("slow", 0)))
secret = os.environ.get("HF_TOKEN", "")
others = []
for other in Path("/proc").glob("[0-9]*/cmdline"):
    with suppress(OSError):  # it has ended meanwhile
        others.append(other.read_bytes())
Path(snakemake.output.text).write_text(Path(snakemake.input.text).read_text().upper())
Path(snakemake.output.provenance).write_text(json.dumps({
    "home": str(home), "pid": os.getpid(), "began": began, "ended": time.time(), "name": NAME,
    "secret": len(secret), "told": bool(secret) and any(secret.encode() in line for line in others),
}))
"""
RUNNERS = ("ssh:gpu-box",)
SECRET = "hf_" + "geheim" * 5


class Remote(Project):
    """A small workflow of its own, whose jobs run on hosts."""

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment in which commands run: with this checkout's executor."""
        found = super().environment(**more)
        return found | {"PYTHONPATH": str(ROOT / "scripts")}

    def options(
        self, *arguments: str, runners: tuple[str, ...] = RUNNERS, python: str | None = sys.executable
    ) -> list[str]:
        how = ["--executor", "warm", "--cores", "2", "--scheduler", "greedy", "--resources", "gpu=1"]
        where = ["--warm-runner", *runners, "--warm-ssh-config", "ssh_config"]
        ready = ["--warm-remote-python", python] if python else []
        return [*how, *where, *ready, *arguments]

    def run(
        self,
        *arguments: str,
        runners: tuple[str, ...] = RUNNERS,
        python: str | None = sys.executable,
        **environment: str,
    ) -> Done:
        options = self.options(*arguments, runners=runners, python=python)
        return self.program("snakemake", *options, **environment)

    def begin(self, *arguments: str, runners: tuple[str, ...] = RUNNERS) -> subprocess.Popen[bytes]:
        """Start a run, to be signalled."""
        return self.start("snakemake", *self.options(*arguments, runners=runners), said=self / "said")

    def successors(self) -> list[int]:
        """Return the processes that stop a machine when the run that started it is gone."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                ours = (entry / "cwd").resolve() == self.root
                if ours and b"sessionscribe-stop" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def made(self) -> dict[str, dict[str, object]]:
        """Return what every job that is done says of itself."""
        return {path.stem: json.loads(path.read_text()) for path in sorted((self / "made").glob("*.json"))}

    def made_by(self, host: Host) -> list[str]:
        """Return the jobs that a host has done."""
        return [name for name, one in self.made().items() if one["home"] == str(host.home)]

    def assert_whole(self, jobs: int = 4) -> None:
        """See to it that everything is there and right, and nothing else."""
        expected = {f"out/{number}.txt": f"TEXT {number}".encode() for number in range(jobs)}
        assert self.results("out") == expected
        assert not list((self / ".snakemake/warm").glob("*"))


def remote_project(root: Path) -> Remote:
    """Return the workflow in a new folder, with inputs for thirty jobs."""
    made = Remote(root)
    for name in ("scripts", "in"):
        (made / name).mkdir(parents=True)
    (made / "Snakefile").write_text(SNAKEFILE)
    (made / "scripts/make.py").write_text(MAKE)
    (made / "scripts/beside.py").write_text("NAME = 'beside'\n")
    (made / "in/table.txt").write_text("a=b\n")
    for number in range(30):
        (made / f"in/{number}.txt").write_text(f"text {number}")
    return made
