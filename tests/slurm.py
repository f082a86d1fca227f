"""A Slurm of one node with one make-believe GPU, in a folder of its own: no systemd, no accounting."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CredType=cred/munge
SlurmctldPort={port}
SlurmdPort={node_port}
StateSaveLocation={root}/controller
SlurmdSpoolDir={root}/node
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
MpiDefault=none
ReturnToService=2
MinJobAge=300
KillWait=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=12000 Gres=gpu:1 State=UNKNOWN
PartitionName=closed Nodes={host} State=DOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def path_with_daemons() -> str:
    """Return a PATH on which the daemons are found, as an ordinary user's often lacks /usr/sbin."""
    return f"{os.environ['PATH']}{os.pathsep}/usr/sbin"


def why_not() -> str | None:
    """Return why Slurm cannot be started here, or None."""
    if os.getuid() != 0:
        return "Slurm's daemons want to be root"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path_with_daemons())]
    return f"not installed: {', '.join(missing)} (Debian: slurm-wlm munge)" if missing else None


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass(frozen=True)
class Slurm:
    """A Slurm that runs."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need."""
        return {"SLURM_CONF": str(self.root / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """Run one of its client programs and return what it prints."""
        given = os.environ | self.environment
        return subprocess.run(command, env=given, check=True, capture_output=True, text=True).stdout

    def stop(self) -> None:
        """End its jobs and daemons."""
        self.ask("scancel", "--user", "root")
        wait_for(lambda: not self.ask("squeue", "--noheader", "--states", "running,completing"))
        for name in ("slurmd", "slurmctld", "munge/munged"):
            os.kill(int((self.root / f"{name}.pid").read_text()), 15)


def wait_for(happens, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
    """Wait until `happens()` is true."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def start(root: Path) -> Slurm:
    """Start a Slurm in `root`; its node is ready when this returns."""
    for name in ("munge", "controller", "node"):
        (root / name).mkdir(parents=True)
    (root / "munge").chmod(0o700)
    key = root / "munge/key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    host = socket.gethostname().split(".")[0]
    node = {"host": host, "root": root, "cpus": os.cpu_count(), "port": free_port(), "node_port": free_port()}
    (root / "slurm.conf").write_text(CONF.format(**node))
    (root / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    slurm = Slurm(root)
    given = os.environ | slurm.environment | {"PATH": path_with_daemons()}
    munge = [f"--{name}={root}/munge/{file}" for name, file in MUNGE.items()]
    for command in (
        ["munged", "--force", "--num-threads=2", *munge],
        ["slurmctld", "-f", str(root / "slurm.conf"), "-c"],
        ["slurmd", "-f", str(root / "slurm.conf")],
    ):
        subprocess.run(command, env=given, check=True, capture_output=True)
    wait_for(lambda: slurm.ask("sinfo", "--noheader", "--format", "%t").strip() == "idle")
    return slurm


MUNGE = {
    "key-file": "key",
    "socket": "socket",
    "pid-file": "munged.pid",
    "log-file": "log",
    "seed-file": "seed",
}
