"""Access control: token, Host header, origin of changes, and the content security policy."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
OPEN = ("/healthz",)
"""Paths that need no token, as they reveal nothing."""
LOCK = "/api/batch/"
"""The paths that pages of configured origins may use."""
KEPT = ("/static/", "/player/", "/lib/")
"""Public files, which browsers may cache and revalidate."""
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

    Attributes:
        token: grants access to everything.
        hosts: accepted names of the server.
        read_only: refuse all changes.
        origins: sites whose pages may use the lock.
        lock_token: grants access to the lock only.
    """

    token: str
    hosts: Collection[str]
    read_only: bool = False
    origins: Collection[str] = ()
    lock_token: str = ""

    @property
    def cookie(self) -> str:
        """The cookie's name, which differs by project, as browsers share cookies among a host's ports."""
        return f"sessionscribe-{hashlib.sha256(self.token.encode()).hexdigest()[:8]}"


class Guard:
    """Middleware that refuses forbidden requests and adds security headers to responses."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules
        # Browsers send preflight requests without the token, so these are answered before the guard.
        self._from_elsewhere = CORSMiddleware(
            self._guarded,
            allow_origins=tuple(rules.origins),
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
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

    def _refusal(self, request: Request) -> Response | None:  # noqa: PLR0911 -- one return per rule
        """Return the response to a request that is refused or redirected; None: accept it."""
        if request.headers.get("host", "").rsplit(":", 1)[0].lower() not in self.rules.hosts:
            return PlainTextResponse("Unknown host name: start the server with --allow-host NAME.", 400)
        if _path(request.scope) in OPEN:
            return None
        if (given := request.query_params.get("token")) and self._is_token(given):
            address = request.url.remove_query_params("token")  # keep the token out of the history
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
            return PlainTextResponse("Only pages of this server may make changes.", 403)
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
    """Return whether the request comes from a page of this server, according to the browser.

    Without TLS, browsers send `Sec-Fetch-Site` to this machine only, but `Origin` always.
    """
    is_same = headers.get("sec-fetch-site", "same-origin") == "same-origin"
    return is_same and headers.get("origin", "").partition("://")[2] == headers["host"]
