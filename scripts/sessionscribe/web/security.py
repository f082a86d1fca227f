"""Access control: token, Host header, origin of changes, and the content security policy."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
OPEN = ("/healthz",)
"""What needs no token: it says nothing."""
LOCK = "/api/batch/"
"""What pages of other origins may ask for, where the settings name them."""
KEPT = ("/static/", "/player/", "/lib/")
"""What browsers may keep, and ask whether it has changed: it is nobody's."""
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def token(path: Path) -> str:
    """Return the token in a file, which is created if missing (readable by the user only)."""
    if path.is_file() and (found := path.read_text(encoding="utf-8").strip()):
        return found
    made = secrets.token_urlsafe(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{made}\n")
    return made


@dataclass(frozen=True)
class Rules:
    """The rules that the guard enforces.

    ``hosts`` are the names by which the server may be called; with ``read_only`` nothing can be changed;
    pages of ``origins`` may use the lock, for which ``lock_token`` will do.
    """

    token: str
    hosts: Collection[str]
    read_only: bool = False
    origins: Collection[str] = ()
    lock_token: str = ""

    @property
    def cookie(self) -> str:
        """The cookie's name, different in each project: browsers share cookies between ports of a host."""
        return f"sessionscribe-{hashlib.sha256(self.token.encode()).hexdigest()[:8]}"


class Guard:
    """Middleware that refuses requests against the rules and adds security headers to answers."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules
        # Browsers ask without the token whether they may ask with it: that is answered before the guard.
        self._from_elsewhere = CORSMiddleware(
            self._guarded,
            allow_origins=tuple(rules.origins),
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif _path(scope).startswith(LOCK):
            await self._from_elsewhere(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        nonce, kept = secrets.token_urlsafe(16), _path(scope).startswith(KEPT)
        scope.setdefault("state", {})["nonce"] = nonce

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY.format(nonce=nonce)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault("Cache-Control", "no-cache" if kept else "no-store")
            await send(message)

        answer = self._refusal(request)
        await (answer or self.app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:  # noqa: PLR0911 -- a rule a line
        """Return the answer to a request that is refused or redirected; None: pass it on."""
        if request.headers.get("host", "").rsplit(":", 1)[0] not in self.rules.hosts:
            return PlainTextResponse("This server has another name: start it with --allow-host.", 400)
        if _path(request.scope) in OPEN:
            return None
        if (given := request.query_params.get("token")) and self._is_token(given):
            address = request.url.remove_query_params("token")  # the token is not to stay in the address
            redirect = RedirectResponse(f"{address.path}{'?' if address.query else ''}{address.query}", 303)
            secure = request.url.scheme == "https"
            redirect.set_cookie(
                self.rules.cookie, given, httponly=True, samesite="strict", secure=secure, max_age=30 * 86400
            )
            return redirect
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        by_header = scheme.lower() == "bearer" and (
            self._is_token(bearer)
            or (_path(request.scope).startswith(LOCK) and _is_same(bearer, self.rules.lock_token))
        )
        if not by_header and not self._is_token(request.cookies.get(self.rules.cookie, "")):
            return PlainTextResponse("Open the address that `sessionscribe serve` printed.", 401)
        if request.method in SAFE:
            return None
        if self.rules.read_only:
            return PlainTextResponse("This server was started with --read-only.", 403)
        if not by_header and not _is_same_origin(request.headers):
            return PlainTextResponse("Only the pages of this server may change something.", 403)
        return None

    def _is_token(self, given: str) -> bool:
        return _is_same(given, self.rules.token)


def _path(scope: Scope) -> str:
    """Return the path of a request without the prefix of a proxy."""
    path: str = scope["path"]
    return path.removeprefix(scope["root_path"])


def _is_same(given: str, token: str) -> bool:
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def _is_same_origin(headers: Headers) -> bool:
    """Return whether a browser says that the request comes from a page of this server."""
    origin = urlsplit(headers.get("origin", ""))
    return headers.get("sec-fetch-site") == "same-origin" and origin.netloc == headers.get("host")
