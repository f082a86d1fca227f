"""``serve``: a web server to read, hear, correct and search sessions."""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import webbrowser
from functools import partial
from pathlib import Path

import uvicorn

from sessionscribe.cli.options import (
    SETTINGS,
    argument,
    command,
    configfiles,
    flag,
    load,
    passed_on,
    repeated,
)
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain
from sessionscribe.web import security
from sessionscribe.web.app import create_app
from sessionscribe.web.archive import Archive
from sessionscribe.web.edits import Editor
from sessionscribe.web.exports import Exports
from sessionscribe.web.runs import Runs
from sessionscribe.web.search import Index
from sessionscribe.web.site import Site

TOKEN = Path(".sessionscribe/serve.token")
LOCK_TOKEN = Path(".sessionscribe/lock.token")
LIBRARIES = Path(sys.prefix) / "share/sessionscribe/web"


@command(
    "serve",
    SETTINGS,
    argument("--host", "ADDRESS", "address to listen on (default: 127.0.0.1)", default="127.0.0.1"),
    argument("--port", "PORT", "port to listen on (default: 8642)", type=int, default=8642),
    argument("--token-file", "FILE", "read the token from this file", type=Path),
    repeated("--allow-host", "NAME", "accept this host name (repeatable)"),
    argument("--prefix", "/PATH", "path of this server behind a proxy", default=""),
    flag("--read-only", "show everything, change nothing"),
    flag("--open", "open the page in a browser"),
)
def serve(options: argparse.Namespace, config: Config) -> int:
    """Show the sessions in a browser, to read, listen, correct and search.

    Raises:
        UserError: other machines could connect without a token of their own, or the port is taken.
    """
    if options.host not in ("127.0.0.1", "::1", "localhost") and not (
        options.token_file and options.allow_host
    ):
        hint = "Give --token-file FILE and --allow-host NAME; docs/web.md shows a proxy with TLS"
        raise UserError("other machines could connect", where=f"--host {options.host}", hint=hint)
    token = security.token(options.token_file or TOKEN)
    listener = _listen(options.host, options.port)
    port = listener.getsockname()[1]
    root = Path.cwd()
    archive = Archive(partial(load, options), configfiles(options), root)
    index = Index(root, archive.names)
    threading.Thread(target=index.fill, daemon=True).start()
    runs = Runs(root, passed_on(options))
    site = Site(
        archive,
        Editor(archive, _author()),
        index,
        runs,
        Exports(archive, runs),
        security.Rules(
            token,
            (*security.LOOPBACK, *map(str.lower, options.allow_host)),
            options.read_only,
            config.serve.origins,
            security.token(LOCK_TOKEN) if config.serve.origins else "",
        ),
        LIBRARIES,
        config.serve.record,
        options.prefix and f"/{options.prefix.strip('/')}",
    )
    if not (LIBRARIES / "htmx.min.js").is_file():
        complain("the browser's libraries are not installed: run `make setup` on a machine with npm")
    host = f"[{options.host}]" if ":" in options.host else options.host
    address = f"http://{host}:{port}/?token={token}"
    print(address, flush=True)
    if options.open:
        webbrowser.open(address)
    # No access log, as it would contain the token. Open event streams must not delay Ctrl-C.
    serving = uvicorn.Config(
        create_app(site),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        root_path=site.prefix,
    )
    uvicorn.Server(serving).run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        hint = "Use another port: --port 8643"
        what = f"cannot listen there ({getattr(error, 'strerror', error)})"
        raise UserError(what, where=f"{host}:{port}", hint=hint) from None


def _author() -> str:
    """Return the user's name in Git; "" if there is none."""
    try:
        found = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip()
