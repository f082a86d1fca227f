"""Amazon's cloud on this machine, for tests: moto's server, and instances in it that have a real sshd."""

from __future__ import annotations

import getpass
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sessionscribe.core.files import sha256
from sessionscribe.manifest.manifest import locked
from sshd import Host, eventually

PINS = Path(__file__).resolve().parents[1] / "envs/moto.txt"

SECRET = "aws" + "Geheim" * 6
REGION = "eu-central-1"
IMAGE = "ami-03cf127a"
"""One of those that moto has."""
RELAY = """
import os, socket, sys, threading
with open(sys.argv[1], "a") as file:
    print(sys.argv[2], file=file)
link = socket.create_connection(("127.0.0.1", int(sys.argv[3])))
def up():
    while block := os.read(0, 1 << 16):
        link.sendall(block)
    link.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while block := link.recv(1 << 16):
    os.write(1, block)
os._exit(0)
"""
"""What takes a connection to an instance's address where its sshd is, and notes the address."""


@cache
def _moto() -> Path:
    """Return the Python that has moto, installed if need be; skip the test where that cannot be."""
    place = Path(sys.prefix) / "moto"
    python, done = place / "bin/python", place / f".{sha256(PINS)[:16]}"
    uv = [Path(sys.prefix) / "bin/uv", "--quiet"]
    with locked(place.with_suffix(".lock")):
        if not done.exists():
            install = ["pip", "sync", "--require-hashes", "--python", python, PINS]
            for command in (["venv", "--clear", "--python", sys.executable, place], install):
                if subprocess.run([*uv, *command], check=False).returncode:
                    pytest.skip("moto cannot be installed here")
            done.touch()
    return python


class Cloud:
    """A server of moto's.

    Attributes:
        environment: with these variables it is what every program of Amazon's asks.
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(folder / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }
        self._clients: dict[str, Any] = {}
        command = [_moto(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with (folder / "moto.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        assert eventually(self._answers, 60), (folder / "moto.log").read_text()

    def _answers(self) -> bool:
        with suppress(OSError):
            urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5).close()
            return True
        return False

    def tell(self, what: str, text: str = "") -> None:
        """Send moto a request of its own interface."""
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/{what}", text.encode(), plain)
        urllib.request.urlopen(request, timeout=10).close()

    def client(self, service: str = "ec2") -> Any:
        """Return a client of botocore's."""
        from botocore.session import Session  # noqa: PLC0415

        if service not in self._clients:
            keys = {"aws_access_key_id": "AKIATESTTESTTESTTEST", "aws_secret_access_key": SECRET}
            made = Session().create_client(service, region_name=REGION, endpoint_url=self.url, **keys)
            self._clients[service] = made
        return self._clients[service]

    def instance(self, name: str = "gpu", *, up: bool = False, behaviour: str = "stop") -> str:
        """Make an instance and return its id; it is off if it is not to be up."""
        ec2 = self.client()
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
        made = ec2.run_instances(
            ImageId=IMAGE,
            InstanceType="g5.xlarge",
            MinCount=1,
            MaxCount=1,
            InstanceInitiatedShutdownBehavior=behaviour,
            TagSpecifications=tags,
        )
        instance = str(made["Instances"][0]["InstanceId"])
        if not up:
            ec2.stop_instances(InstanceIds=[instance])
        return instance

    def about(self, instance: str) -> dict[str, Any]:
        """Return what there is to say of an instance."""
        (group,) = self.client().describe_instances(InstanceIds=[instance])["Reservations"]
        return dict(group["Instances"][0])

    def state(self, instance: str) -> str:
        """Return the state of an instance."""
        return str(self.about(instance)["State"]["Name"])

    def alarms(self) -> list[dict[str, Any]]:
        """Return the alarms that are set."""
        return list(self.client("cloudwatch").describe_alarms()["MetricAlarms"])

    def end(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.wait(10)


@contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """Have a cloud for the length of a ``with``."""
    made = Cloud(folder)
    try:
        yield made
    finally:
        made.end()


@contextmanager
def changed(
    cloud: Cloud, change: Callable[[str, Callable[[], bytes]], tuple[int, bytes] | None]
) -> Iterator[str]:
    """Have an address at which the cloud answers, but for what is changed on the way.

    Args:
        cloud: which.
        change: gets a request's action and what asks the cloud and returns its answer; returns another status
            and answer, or None.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            request = urllib.request.Request(f"{cloud.url}{self.path}", asked, dict(self.headers))

            def ask() -> bytes:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return bytes(answer.read())

            action = re.search(rb"Action=(\w+)", asked)
            status, text = change(action[1].decode() if action else "", ask) or (200, ask())
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def refusal(code: str, message: str = "no") -> bytes:
    """Return how EC2 says that it will not."""
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>".encode()


class Box:
    """An instance with a real sshd, which is up while the instance is.

    As on a real one, nothing that ran there goes on when it stops; and when it powers itself off
    (``power_off`` is the command for that), the cloud knows that it has stopped.
    """

    def __init__(self, cloud: Cloud, host: Host, instance: str) -> None:
        self.cloud, self.host, self.id = cloud, host, instance
        self.power_off = f"touch {host.home}/power-off"
        self.starts = 0
        self.asked = host.folder / "asked"
        self.known_hosts = host.folder / "known_hosts"
        relay = host.folder / "relay.py"
        relay.write_text(RELAY)
        self.entry = (
            f"Host {host.name} i-*\n"
            f"  User {getpass.getuser()}\n"
            f"  IdentityFile {host.folder}/key\n  IdentitiesOnly yes\n  LogLevel ERROR\n"
            f"  UserKnownHostsFile {self.known_hosts}\n"
            f"  ProxyCommand {sys.executable} -SE {relay} {self.asked} %h {host.port}\n"
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        up, file = False, self.host.home / "power-off"
        while not self._over.wait(0.25):
            if file.exists():
                file.unlink()
                self.cloud.client().stop_instances(InstanceIds=[self.id])
            state = self.cloud.state(self.id)
            if (state == "running") != up:
                up = not up
                if up:
                    self.starts += 1
                    self.host.start()
                else:
                    self._go_down()

    def _go_down(self) -> None:
        self.host.stop()
        self.host.cut()
        for pid in self.host.pids(""):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """Follow the instance no more."""
        self._over.set()
        self._thread.join(20)
        self._go_down()


def wait_until_off(cloud: Cloud, instance: str, within_s: float) -> bool:
    """Wait until an instance is off, and return whether it is."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if cloud.state(instance) == "stopped":
            return True
        time.sleep(0.1)
    return False
