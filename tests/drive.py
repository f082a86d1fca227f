"""Google Drive on this machine, for one test: the part of its API that rclone uses, behind Google's names.

rclone itself is unmodified: its requests reach us through a proxy (HTTPS_PROXY) and a certificate of our own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import authority

HOSTS = ("www.googleapis.com", "oauth2.googleapis.com", "drive.google.com")
APPS = "application/vnd.google-apps"
DATE = "2026-11-01T12:00:00.000Z"
EXPORTS = {f"{APPS}.document": ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"]}


@dataclass(eq=False)
class Drive:
    """A user's Drive.

    Attributes:
        files: what is in it, by id, as the API has it, with ``content`` beside.
        refuse: a status and what Google answers with it, for the contents of a file, by its id; "list" for
            listings, "drives" for shared drives.
    """

    folder: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    refuse: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    port: int = 0

    def put(
        self, name: str, content: bytes = b"", *, parent: str = "root", mime: str = "audio/wav", **more: Any
    ) -> str:
        """Put something there and return its id; names need not differ."""
        made = f"id-{len(self.files)}"
        about = {"id": made, "name": name, "mimeType": mime, "parents": [parent], "content": content, **more}
        about |= {"createdTime": DATE, "modifiedTime": DATE, "trashed": False}
        if not mime.startswith(APPS):
            about |= {
                "size": str(len(content)),
                "md5Checksum": md5(content, usedforsecurity=False).hexdigest(),
            }
        self.files[made] = about
        return made

    def environment(self) -> dict[str, str]:
        """Return the variables with which rclone finds it as ``gd:``."""
        token = {
            "access_token": "secret",
            "token_type": "Bearer",
            "refresh_token": "r",
            "expiry": DATE.replace("2026", "2099"),
        }
        proxy = f"http://127.0.0.1:{self.port}"
        return {
            "RCLONE_CONFIG_GD_TYPE": "drive",
            "RCLONE_CONFIG_GD_SCOPE": "drive.readonly",
            "RCLONE_CONFIG_GD_CLIENT_ID": "ours",
            "RCLONE_CONFIG_GD_CLIENT_SECRET": "ours",
            "RCLONE_CONFIG_GD_ROOT_FOLDER_ID": "root",
            "RCLONE_CONFIG_GD_TOKEN": json.dumps(token),
            "RCLONE_CONFIG_GD_PACER_MIN_SLEEP": "1ms",
            "RCLONE_CA_CERT": str(self.folder / "ca.pem"),
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1",
        }

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        """Return status and body of an answer."""
        if path == "/drive/v3/about":
            return 200, {"exportFormats": EXPORTS, "importFormats": {}}
        if path.startswith("/drive/v3/drives") or path.startswith("/drive/v3/teamdrives"):
            return self._refusal("drives") or (404, _error(404, "notFound", "Shared drive not found: 0AX"))
        if path == "/drive/v3/files":
            return self._refusal("list") or (200, {"files": self._found(query["q"][0])})
        made = path.removeprefix("/drive/v3/files/").removesuffix("/export")
        about = self.files.get(made) or (
            {"id": "root", "name": "My Drive", "mimeType": f"{APPS}.folder"} if made == "root" else None
        )
        if about is None:
            return 404, _error(404, "notFound", f"File not found: {made}.")
        if query.get("alt") == ["media"] or path.endswith("/export"):
            return self._refusal(made) or (200, about["content"])
        return 200, {key: value for key, value in about.items() if key != "content"}

    def _refusal(self, what: str) -> tuple[int, Any] | None:
        if what not in self.refuse:
            return None
        status, reason, message = self.refuse[what]
        return status, _error(status, reason, message)

    def _found(self, asked: str) -> list[dict[str, Any]]:
        parents = set(re.findall(r"'([^']+)' in parents", asked))
        kinds, others = (set(re.findall(rf"mimeType{sign}'([^']+)'", asked)) for sign in ("=", "!="))
        names = {name.replace("\\'", "'") for name in re.findall(r"name='((?:[^'\\]|\\.)*)'", asked)}
        return [
            {key: value for key, value in about.items() if key != "content"}
            for about in self.files.values()
            if parents & set(about["parents"])
            and (not names or about["name"] in names)
            and (not kinds or about["mimeType"] in kinds)
            and about["mimeType"] not in others
        ]


def _error(status: int, reason: str, message: str) -> dict[str, Any]:
    inner = {"domain": "global", "reason": reason, "message": message}
    return {"error": {"code": status, "message": message, "errors": [inner]}}


@contextmanager
def serving(folder: Path) -> Iterator[Drive]:
    """Have a Drive for the length of a ``with``."""
    drive = Drive(folder)
    context = authority.certify(folder, HOSTS)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)  # type: ignore[assignment]
                self.close_connection = False

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            status, body = drive.answer(asked.path, parse_qs(asked.query))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            if status == 200 and isinstance(body, bytes) and (part := self.headers.get("Range")):
                first, _, last = part.removeprefix("bytes=").partition("-")
                begin, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
                whole, content, status = len(content), content[begin : end + 1], 206
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {begin}-{end}/{whole}")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    drive.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield drive
    server.shutdown()
    server.server_close()
