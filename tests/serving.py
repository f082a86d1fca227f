"""`sessionscribe serve` of a project on a free port, and a client that asks it."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from project import Project

CHROMIUM = Path("/usr/bin/chromium")


@dataclass
class Client:
    """Asks one server, with its token or without."""

    port: int
    token: str

    @property
    def cookie(self) -> str:
        """Return the header with which a browser asks that has been let in."""
        _, headers, _ = self.ask("GET", f"/?token={self.token}", X_Nothing="1")
        return headers["set-cookie"].partition(";")[0]

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Authorization": f"Bearer {self.token}"} if not headers else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, sent)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def get(self, path: str) -> Any:
        code, _, content = self.ask("GET", path)
        assert code == 200, content
        return json.loads(content)

    def post(self, path: str, body: object) -> tuple[int, Any]:
        code, _, content = self.ask("POST", path, body)
        return code, json.loads(content)


def serving(project: Project, *arguments: str) -> Iterator[Client]:
    command = [sys.executable, "-m", "sessionscribe.cli.main", "serve", "--port", "0"]
    server = subprocess.Popen(
        [*command, "--configfile", "config/test.yaml", *arguments],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert server.stdout is not None
        lines: list[str] = []
        for line in server.stdout:
            lines.append(line)
            if match := re.match(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)$", line):
                threading.Thread(target=server.stdout.read, daemon=True).start()
                yield Client(int(match[1]), match[2])
                break
        else:
            pytest.fail("".join(lines))
    finally:
        server.terminate()
        assert server.wait(10) is not None


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Yield Debian's browser."""
    if not CHROMIUM.is_file():
        pytest.skip("Debian's chromium is not installed")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- heavy

    with sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--mute-audio", *arguments]
        )
        yield started
        started.close()
