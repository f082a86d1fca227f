"""Jobs on machines behind ssh: a real sshd on this one, and everything that may happen to the connection."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import small_disks
import sshd
from errands import MAKE, SECRET, SNAKEFILE, Remote, remote_project
from project import DIARIZATION_MODEL, ROOT, TOY, Project, cut_audio
from sshd import Host, eventually


@pytest.fixture
def folder(tmp_path: Path) -> Remote:
    return remote_project(tmp_path / "project")


@pytest.fixture
def host(tmp_path: Path, folder: Remote) -> Iterator[Host]:
    with sshd.started(tmp_path / "host") as host:
        (folder / "ssh_config").write_text(host.entry())
        yield host


def nothing_runs(host: Host) -> bool:
    return not host.processes()


def test_jobs_run_there_and_what_they_made_is_home(folder: Remote, host: Host) -> None:
    done = folder.run(HF_TOKEN=SECRET)
    assert done.code == 0, done.text
    folder.assert_whole()
    made = folder.made().values()
    assert {one["home"] for one in made} == {str(host.home)}
    assert len({one["pid"] for one in made}) == 1, "one worker, which stays"
    assert {one["name"] for one in made} == {"beside"}
    assert {one["secret"] for one in made} == {len(SECRET)}, "the worker has the secret"
    assert "number 3" in (folder / "log/3.log").read_text()
    assert len((folder / "bench/3.tsv").read_text().splitlines()) == 2
    assert nothing_runs(host)
    (record,) = map(json.loads, (folder / "logs/usage/runners.jsonl").read_text().splitlines())
    assert record["runner"] == "ssh:gpu-box"
    assert record["bytes_up"] > 0 < record["bytes_down"]
    assert record["work"][""]["make"]["jobs"] == 4
    # Written nowhere, on no command line, and what looked like a path in a text was not sent.
    for place in (folder.root, host.folder):
        for path in place.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert not any(one["told"] for one in made)
    assert SECRET not in done.text
    assert not list(host.home.rglob("passwd"))


def test_what_is_there_is_not_sent_again(folder: Remote, host: Host) -> None:
    (folder / "in/table.txt").write_text("a=b\n" + "".join(f"{n}={n}\n" for n in range(200_000)))
    size = (folder / "in/table.txt").stat().st_size
    assert folder.run().code == 0
    assert folder.run("--forceall").code == 0
    first, second = map(json.loads, (folder / "logs/usage/runners.jsonl").read_text().splitlines())
    assert size < first["bytes_up"] < 1.1 * size
    assert second["bytes_up"] < 0.1 * size
    (sent,) = host.home.rglob("table.txt")
    times = sent.stat()
    sent.write_bytes(sent.read_bytes().replace(b"199999=199999", b"199999=299999"))
    os.utime(sent, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert folder.run("--forceall").code == 0
    assert sent.read_bytes() == (folder / "in/table.txt").read_bytes(), "the worker saw that it was changed"
    folder.assert_whole()


def test_a_job_that_fails_is_not_tried_again(folder: Remote, host: Host) -> None:
    (folder / "in/table.txt").write_text("fail=1\n")
    done = folder.run("--keep-going")
    assert done.code == 1
    assert done.err.count("number 1 will not do") == 1
    assert "number 1" in (folder / "log/1.log").read_text()
    assert sorted(folder.results("out")) == ["out/0.txt", "out/2.txt", "out/3.txt"]
    assert nothing_runs(host)


def test_two_runners_do_nearly_twice_as_much(folder: Remote, host: Host, tmp_path: Path) -> None:
    (folder / "in/table.txt").write_text("slow=1\n")
    with sshd.started(tmp_path / "second", "second") as second:
        (folder / "ssh_config").write_text(host.entry() + second.entry())
        seconds = {}
        for runners in (("ssh:gpu-box",), ("ssh:gpu-box", "ssh:second")):
            done = folder.run("--forceall", "--config", "jobs=12", runners=runners)
            assert done.code == 0, done.text
            made = sorted(folder.made().values(), key=lambda one: one["began"])
            if len(runners) == 1:
                assert all(before["ended"] <= after["began"] for before, after in pairwise(made)), "one lane"
            seconds[runners] = max(one["ended"] for one in made) - min(one["began"] for one in made)
        shares = Counter(one["home"] for one in made)
        assert set(shares) == {str(host.home), str(second.home)}
        assert nothing_runs(host)
        assert nothing_runs(second)
    one, two = seconds.values()
    assert one / two >= 1.7, (seconds, shares)


def test_here_and_there_at_once_and_one_that_cannot_be_reached(folder: Remote, host: Host) -> None:
    (folder / "in/table.txt").write_text("slow=0.3\n")
    nowhere = host.entry().replace("gpu-box", "nowhere").replace(f"Port {host.port}", "Port 1")
    (folder / "ssh_config").write_text(host.entry() + nowhere)
    runners = ("local", "ssh:gpu-box", "ssh:nowhere")
    done = folder.run("--config", "jobs=12", "--warm-tries", "1", runners=runners)
    assert done.code == 0, done.text
    folder.assert_whole(12)
    homes = Counter(one["home"] for one in folder.made().values())
    assert set(homes) == {str(host.home), os.environ["HOME"]}
    assert "Connection refused" in done.err
    assert "its jobs go back into the queue" in done.err


def test_a_runner_that_dies_gives_its_jobs_to_the_others(folder: Remote, host: Host, tmp_path: Path) -> None:
    (folder / "in/table.txt").write_text("slow=0.5\n")
    with sshd.started(tmp_path / "second", "second") as second:
        (folder / "ssh_config").write_text(host.entry() + second.entry())
        running = folder.begin(
            "--config", "jobs=12", "--warm-tries", "1", runners=("ssh:gpu-box", "ssh:second")
        )
        try:
            assert eventually(lambda: len(folder.made_by(second)) > 1, 60), (folder / "said").read_text()
            second.stop()
            second.cut()
            assert running.wait(60) == 0, (folder / "said").read_text()
        finally:
            running.kill()
    said = (folder / "said").read_text()
    assert "ssh:second is given up" in said
    assert "The run goes on with 1 other" in said
    folder.assert_whole(12)


def test_without_any_runner_the_run_says_what_to_do(folder: Remote, host: Host) -> None:
    host.stop()
    began = time.monotonic()
    done = folder.run("--keep-going", "--warm-tries", "1")
    assert done.code == 1
    (message,) = [line for line in done.err.splitlines() if "is given up" in line]
    assert "ssh:gpu-box" in message
    assert "No runner is left" in message
    assert time.monotonic() - began < 60


def test_a_key_that_is_refused_is_no_reason_to_try_again(folder: Remote, host: Host) -> None:
    (host.folder / "key.pub").write_text("")
    done = folder.run("--keep-going")
    assert done.code == 1
    (message,) = [line for line in done.err.splitlines() if line.startswith("warm: ")]
    assert "Permission denied" in message
    assert "Make `ssh gpu-box` work without a prompt first" in message


@pytest.fixture
def at_work(folder: Remote, host: Host) -> Iterator[tuple[Remote, Host, subprocess.Popen[bytes]]]:
    """A run in the middle of a job that takes ten minutes; some others are done."""
    (host.home / "hold").touch()
    running = folder.begin("--warm-lanes", "2")
    try:
        assert eventually((host.home / "working").exists, 60), (folder / "said").read_text()
        assert eventually(lambda: (folder / "said").read_text().count("Finished jobid") == 3, 60)
        (host.home / "hold").unlink()
        yield folder, host, running
    finally:
        running.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_run(
    at_work: tuple[Remote, Host, subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    folder, host, running = at_work
    assert host.pids("guard.py")
    running.send_signal(number)
    assert eventually(lambda: nothing_runs(host), 15), host.processes()
    running.wait(30)
    assert eventually(lambda: not _ssh_of(folder), 10), _ssh_of(folder)
    assert sorted(folder.results("out")) == ["out/1.txt", "out/2.txt", "out/3.txt"]
    before = folder.made()
    done = folder.run("--rerun-incomplete", "--nolock")
    assert done.code == 0, done.text
    folder.assert_whole()
    if number == signal.SIGINT:  # a killed Snakemake cannot say any more that the last job was well
        assert [name for name, one in folder.made().items() if one != before.get(name)] == ["0"]


def test_a_worker_that_is_killed_there_costs_one_try(
    at_work: tuple[Remote, Host, subprocess.Popen[bytes]],
) -> None:
    folder, host, running = at_work
    os.kill(int((host.home / "working").read_text()), signal.SIGKILL)
    assert running.wait(60) == 0
    said = (folder / "said").read_text()
    assert "the worker was killed by SIGKILL (too little memory is the usual reason)" in said
    assert "its job is repeated" in said
    assert nothing_runs(host)
    folder.assert_whole()


def test_a_connection_that_is_cut_is_made_again(
    at_work: tuple[Remote, Host, subprocess.Popen[bytes]],
) -> None:
    folder, host, running = at_work
    host.cut()
    assert running.wait(60) == 0
    assert "its jobs go back into the queue, next attempt in" in (folder / "said").read_text()
    assert eventually(lambda: nothing_runs(host), 15), host.processes()
    folder.assert_whole()


def test_a_full_disk_there(folder: Remote, tmp_path: Path) -> None:
    disk = small_disks.mounted(tmp_path / "host/home", "size=1m")
    with disk as home, sshd.started(tmp_path / "host") as host:
        (folder / "ssh_config").write_text(host.entry())
        (folder / "in/2.txt").write_text("text 2" + " " * 2_000_000)
        done = folder.run("--keep-going")
        assert done.code == 1
        assert "the disk there is full" in done.err
        assert "Make room there, or choose another folder with `warm-remote-dir`" in done.err
        assert eventually(lambda: nothing_runs(host), 15), host.processes()
        assert "out/2.txt" not in folder.results("out")
        subprocess.run(["mount", "-o", "remount,size=50m", str(home)], check=True)
        (folder / "in/2.txt").write_text("text 2")
        done = folder.run()
        assert done.code == 0, done.text
        folder.assert_whole()


@pytest.fixture
def behind_a_link(tmp_path: Path, folder: Remote) -> Iterator[tuple[Host, str]]:
    """A host in a network of its own, and the name of the link to it."""
    sshd.require_sshd()
    name = f"t{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no network namespaces here")
    link = [f"{name}a", f"{name}b"]
    here, there = "198.51.100.1", "198.51.100.2"
    commands = [
        ["ip", "link", "add", link[0], "type", "veth", "peer", "name", link[1], "netns", name],
        ["ip", "addr", "add", f"{here}/30", "dev", link[0]],
        ["ip", "link", "set", link[0], "up"],
        ["ip", "-n", name, "addr", "add", f"{there}/30", "dev", link[1]],
        ["ip", "-n", name, "link", "set", link[1], "up"],
    ]
    try:
        for command in commands:
            subprocess.run(command, check=True)
        inside = ("ip", "netns", "exec", name)
        with sshd.started(tmp_path / "host", address=there, inside=inside) as host:
            (folder / "ssh_config").write_text(host.entry())
            yield host, link[0]
    finally:
        subprocess.run(["ip", "link", "del", link[0]], check=False)
        subprocess.run(["ip", "netns", "del", name], check=False)


def test_when_the_network_is_gone_both_sides_notice(
    folder: Remote, behind_a_link: tuple[Host, str], tmp_path: Path
) -> None:
    host, link = behind_a_link
    # A machine that "is up" while there is a file, so that it can be asked without the network.
    up, stopped = tmp_path / "up", host.home / "stopped-itself"
    commands = {"start": f"echo on >> {up}.log; touch {up}", "stop": f"rm {up}", "state": f"test -e {up}"}
    commands["remote-stop"] = f"touch {stopped}; rm {up}"
    options = [word for key, line in commands.items() for word in (f"--warm-{key}-command", line)]
    (host.home / "hold").touch()
    running = folder.begin("--warm-lease", "6", "--config", "jobs=1", *options)
    try:
        assert eventually((host.home / "working").exists, 60), (folder / "said").read_text()
        (host.home / "hold").unlink()
        subprocess.run(["ip", "link", "set", link, "down"], check=True)
        assert eventually(lambda: nothing_runs_but_sshd(host), 20), host.processes()
        assert stopped.exists(), "the machine was started for this, and stops itself"
        assert not folder.results("out")
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
        assert running.wait(90) == 0, (folder / "said").read_text()
        folder.assert_whole(1)
        assert Path(f"{up}.log").read_text() == "on\non\n", "started again"
        assert not up.exists()
    finally:
        running.kill()


def nothing_runs_but_sshd(host: Host) -> bool:
    return not host.pids("guard.py") and not host.pids("serve.py")


def _ssh_of(folder: Remote) -> list[int]:
    """Return the ssh and rsync processes here that were started for a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if command.startswith((b"ssh\0", b"rsync\0")) and (entry / "cwd").resolve() == folder.root:
                found += [int(entry.name)] if state not in "ZX" else []
        except OSError:
            continue
    return found


def test_the_whole_workflow_gives_the_same_bytes_there_and_on_one_cpu(
    finished: Project, new_project: Project, tmp_path: Path
) -> None:
    """Neither where jobs run nor how many CPUs and threads they have is a matter of the result."""
    one_cpu, one_thread = ("taskset", "--cpu-list", "0"), {"OMP_NUM_THREADS": "1"}
    with sshd.started(tmp_path / "host", inside=one_cpu, environment=one_thread) as host:
        (new_project / "ssh_config").write_text(host.entry())
        command = [*one_cpu, sys.executable, "-m", "sessionscribe.cli.main", "run"]
        how = ["--profile", "ssh", "--configfile", "config/test.yaml", "--warm-ssh-config", "ssh_config"]
        where = ["--warm-runner", "ssh:gpu-box", "--warm-remote-python", sys.executable]
        done = new_project.command(*command, *how, *where, **one_thread)
        assert done.code == 0, done.text
        assert new_project.results() == finished.results()
        assert nothing_runs(host)
        assert not [path for path in host.home.rglob("results/convert/*/*.flac") if path.is_file()], (
            "slices only"
        )
    (record,) = map(json.loads, (new_project / "logs/usage/runners.jsonl").read_text().splitlines())
    rules = {rule for rules in record["work"].values() for rule in rules}
    with_models = {"check_models", "detect_language", "transcribe_chunk", "embed_chunk", "cluster_speakers"}
    assert rules == with_models
    heard = {name: rules["transcribe_chunk"]["audio_s"] for name, rules in record["work"].items() if name}
    assert set(heard) == {"talk", "live", "duo"}
    assert min(heard.values()) > 1
    costs = new_project.sessionscribe("status", "--cost").out
    assert all(name in costs for name in ("ssh:gpu-box", *heard))


@pytest.mark.slow
def test_a_pipeline_of_the_hub_need_not_be_here(
    finished: Project, new_project: Project, tmp_path: Path
) -> None:
    settings = new_project.settings.read_text().replace("tests/data/models/toy-diarization", "some/one")
    new_project.settings.write_text(settings)
    # The pipeline hears an enrolled voice, too.
    cut_audio(TOY / "recordings/meeting.mp4", new_project / "config/voices/Anna.flac", 20, 30)
    with sshd.started(tmp_path / "host") as host:
        cached = host.home / ".cache/huggingface/hub/models--some--one"
        shutil.copytree(DIARIZATION_MODEL, cached / "snapshots/0123abcd")
        (cached / "refs").mkdir()
        (cached / "refs/main").write_text("0123abcd")
        (new_project / "ssh_config").write_text(host.entry())
        how = ["--profile", "ssh", "--configfile", "config/test.yaml", "--warm-ssh-config", "ssh_config"]
        where = ["--warm-runner", "ssh:gpu-box", "--warm-remote-python", sys.executable]
        here = {"HF_HOME": str(tmp_path / "nothing")}
        done = new_project.sessionscribe("run", "--session", "talk", *how, *where, **here)
    assert done.code == 0, done.text
    assert new_project.status()["talk"] == "complete"
    made, wanted = (
        json.loads((project / "results/diarize/talk.turns.json").read_text())
        for project in (new_project, finished)
    )
    assert made.pop("sha256") != wanted.pop("sha256")
    assert made.pop("model") == "some/one (commit:0123abcd)"
    assert "toy-diarization" in wanted.pop("model")
    assert made == wanted
    names = json.loads((new_project / "results/name/talk.json").read_text())
    assert {speaker["nearest"] for speaker in names["speakers"]} == {"Anna"}


def test_the_environment_is_made_once_for_the_same_requirements(folder: Remote, tmp_path: Path) -> None:
    pins = {block.partition("==")[0]: block for block in _blocks(ROOT / "envs/requirements.txt")}
    (folder / "envs").mkdir()
    (folder / "envs/uv.txt").write_bytes((ROOT / "envs/uv.txt").read_bytes())
    (folder / "envs/requirements.txt").write_text(pins["praatio"] + pins["typing-extensions"])
    (folder / "scripts/beside.py").write_text("import sys, praatio\nNAME = sys.prefix\n")
    passed = ("UV_", "PIP_", "SSL_", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
    variables = {key: value for key, value in os.environ.items() if key.upper().startswith(passed)}
    with sshd.started(tmp_path / "host", environment=variables) as host:
        (folder / "ssh_config").write_text(host.entry())
        found = []
        for _ in range(2):
            done = folder.run("--forceall", python=None)
            assert done.code == 0, done.text
            (ready,) = host.home.glob(".cache/sessionscribe/env/*/.ready")
            (prefix,) = {one["name"] for one in folder.made().values()}
            found.append((ready.stat().st_mtime_ns, prefix))
        assert found[0] == found[1]
        assert found[0][1] == str(ready.parent)
        (folder / "envs/requirements.txt").write_text("praatio==1.0 --hash=sha256:" + "0" * 64)
        done = folder.run("--forceall", "--keep-going", python=None)
        assert done.code == 1
        assert re.search(r"cannot make the environment there \(.*praatio.*1\.0", done.err), "uv's reason"
        assert "name an interpreter that has all packages with `warm-remote-python`" in done.err
        assert len(list(host.home.glob(".cache/sessionscribe/env/*/.ready"))) == 1


def _blocks(file: Path) -> list[str]:
    """Return the packages of a file of requirements, each with its hashes."""
    return [part + "\n" for part in re.split(r"\n(?=\w)", file.read_text())]


def test_models_of_the_hub_are_fetched_there_before_the_first_job(
    folder: Remote, host: Host, tmp_path: Path
) -> None:
    text = SNAKEFILE.replace('"note": "/etc/passwd"', '"options": {"model": "hub/model"}')
    (folder / "Snakefile").write_text(text)
    (folder / "scripts/check_models.py").write_text(
        "import os\n"
        "from pathlib import Path\n"
        "models = snakemake.params.models\n"
        "with open(Path(os.environ['HOME'], 'fetched'), 'a') as file:\n"
        "    print(models, bool(os.environ.get('HF_TOKEN')), file=file)\n"
        "Path(snakemake.output.report).write_text('there')\n"
    )
    (folder / "scripts/make.py").write_text(
        MAKE.replace("time.sleep(float", "(home / 'fetched').read_text()\ntime.sleep(float")
    )
    with sshd.started(tmp_path / "second", "second") as second:
        (folder / "ssh_config").write_text(host.entry() + second.entry())
        (folder / "in/table.txt").write_text("slow=0.5\n")
        done = folder.run("--config", "jobs=6", runners=("ssh:gpu-box", "ssh:second"), HF_TOKEN=SECRET)
        assert done.code == 0, done.text
        folder.assert_whole(6)
        for home in (host.home, second.home):
            line = "{'speech': ['hub/model'], 'diarization': []} True\n"
            assert (home / "fetched").read_text() == line, "once on each machine"


@pytest.fixture
def switched(tmp_path: Path, folder: Remote) -> Iterator[tuple[Host, list[str]]]:
    """A host that is off, and the options that say how it is switched on and off."""
    with sshd.prepared(tmp_path / "host") as host:
        (folder / "ssh_config").write_text(host.entry())
        start = f"{sshd.require_sshd()} -f {host.folder}/sshd_config -E {host.folder}/sshd.log"
        off = f"kill $(cat {host.folder}/sshd.pid)"
        commands = {
            "start": f"echo {{host}} >> started; mkdir -p /run/sshd; {start}",
            "stop": f"echo {{host}} >> stopped; {off}",
            "state": f"kill -0 $(cat {host.folder}/sshd.pid)",
            "remote-stop": f"touch $HOME/stopped-itself; {off}",
        }
        yield host, [word for key, line in commands.items() for word in (f"--warm-{key}-command", line)]
        subprocess.run(off, shell=True, capture_output=True, check=False)


def test_a_machine_is_on_only_while_there_is_work(folder: Remote, switched: tuple[Host, list[str]]) -> None:
    host, options = switched
    done = folder.run("--dry-run", *options)
    assert done.code == 0, done.text
    assert not (folder / "started").exists()
    done = folder.run(*options)
    assert done.code == 0, done.text
    folder.assert_whole()
    assert folder.run(*options).code == 0
    assert (folder / "started").read_text() == (folder / "stopped").read_text() == "gpu-box\n"
    assert not (host.home / "stopped-itself").exists()
    assert _pid(host) == "none", "it is off"


def test_sigterm_lets_the_jobs_finish_and_stops_the_machine(
    folder: Remote, switched: tuple[Host, list[str]]
) -> None:
    host, options = switched
    (folder / "in/table.txt").write_text("slow=2\n")
    running = folder.begin(*options)
    try:
        assert eventually(lambda: host.pids("serve.py"), 30)
        time.sleep(1)
        running.send_signal(signal.SIGTERM)
        running.wait(30)
        assert nothing_runs(host)
        assert (folder / "stopped").exists()
        assert _pid(host) == "none", "it is off"
        assert len(folder.results("out")) == 2, "what it had taken"
    finally:
        running.kill()
    (folder / "in/table.txt").write_text("slow=0\n")
    assert folder.run(*options).code == 0
    folder.assert_whole()


@pytest.mark.parametrize("how", ["Ctrl-C", "kill -9", "no home any more"])
def test_a_machine_that_we_started_stops_whatever_happens(
    folder: Remote, switched: tuple[Host, list[str]], how: str
) -> None:
    host, options = switched
    (host.home / "hold").touch()
    running = folder.begin("--warm-lease", "4", *options)
    try:
        assert eventually((host.home / "working").exists, 60), (folder / "said").read_text()
        if how == "no home any more":  # as when its power fails: who would stop the machine is gone as well
            for pid in folder.successors():
                os.kill(pid, signal.SIGKILL)
        running.send_signal(signal.SIGINT if how == "Ctrl-C" else signal.SIGKILL)
        running.wait(60)
        assert eventually(lambda: not Path(f"/proc/{_pid(host)}").exists(), 15)
        # Without home it stops itself, when nobody came back within the lease.
        assert (host.home / "stopped-itself").exists() == (how == "no home any more")
        assert (folder / "stopped").exists() != (how == "no home any more")
        assert eventually(lambda: nothing_runs(host), 10), host.processes()
        assert eventually(lambda: not folder.successors(), 10)
    finally:
        running.kill()


def _pid(host: Host) -> str:
    """Return the number of a host's sshd, which removes the file with it when it ends."""
    try:
        return (host.folder / "sshd.pid").read_text().strip()
    except FileNotFoundError:
        return "none"
