"""Google Colab on this machine, for one test: what the unmodified command `colab` talks to, and its machines.

The command's requests reach us through a proxy (HTTPS_PROXY) and certificates of our own. A machine is a
real sshd with a home folder of its own, behind the WebSocket that `colab ssh` opens. A notebook's kernel says
yes to everything and does nothing. Machines can be taken away, refused, and their owner logged out.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import authority
import sshd
from sessionscribe.runners import colab_cli
from sessionscribe.runners.errors import UnusableError

PINS = Path(__file__).resolve().parents[1] / "envs"
HOSTS = ("colab.research.google.com", "oauth2.googleapis.com")
PREFIX = ")]}'\n"
XSRF = "xsrf-token"
VARIANTS = {"DEFAULT": 0, "GPU": 1, "TPU": 2}
TOKEN = "runtime-proxy-token"  # the header, the parameter, and what we call it
LOGIN = "ya29.secret-of-the-user"
KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


@cache
def require_colab() -> Path:
    """Return the command, installed if need be; skip the test where that cannot be."""
    sshd.require_sshd()
    try:
        return colab_cli.install(PINS, Path(sys.prefix) / "colab-cli")
    except UnusableError as error:
        pytest.skip(str(error))


@dataclass(eq=False)
class Vm:
    """A machine that Colab has given somebody."""

    host: sshd.Host
    endpoint: str
    accelerator: str
    variant: str
    notebook: str = ""
    token: str = field(default_factory=lambda: f"secret-of-a-runtime-{secrets.token_hex(8)}")
    bridges: list[web.WebSocketResponse] = field(default_factory=list)
    executed: int = 0

    def about(self, url: str) -> dict[str, Any]:
        return {"token": self.token, "tokenExpiresInSeconds": 3600, "url": url}


class Colab:
    """Google's side.

    Args:
        folder: for machines, certificates, and the home folder of the user who is logged in.

    Attributes:
        machines: those that are given out, by endpoint.
        refuse: HTTP statuses with which accelerators are refused.
        no_ssh: HTTP status with which ssh is refused; 0 where it is not.
        slow_s: how long it takes to give out a machine.
        asked: what was asked for, as "POST assign T4".
        bridges: how often somebody came in by ssh.
        released: endpoints of machines that their owners gave back.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "the user's"
        self.machines: dict[str, Vm] = {}
        self.refuse: dict[str, int] = {}
        self.asked: list[str] = []
        self.released: list[str] = []
        self.bridges, self.logged_in, self.slow_s, self.no_ssh = 0, True, 0.0, 0
        self._count, self._inside = 0, dict[str, Vm]()
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/colab").symlink_to(require_colab())
        (self.home / ".config/colab-cli").mkdir(parents=True)
        self.log_in()
        self._context = authority.certify(folder, HOSTS)
        self._loop = asyncio.new_event_loop()

    def log_in(self, *, expired: bool = False) -> None:
        """Let the user have logged in; long ago, if ``expired``, and what would renew it is refused."""
        year = 2020 if expired else 2099
        login = {
            "token": LOGIN,
            "refresh_token": f"{LOGIN}-again",
            "client_id": "us",
            "client_secret": "none",
            "token_uri": "https://oauth2.googleapis.com/token",
            "expiry": f"{year}-01-01T00:00:00Z",
        }
        (self.home / ".config/colab-cli/token.json").write_text(json.dumps(login))

    def environment(self) -> dict[str, str]:
        """Return the variables with which the command comes to us."""
        proxy = f"http://127.0.0.1:{self._proxy_port}"
        # Both spellings: the lower one is looked at first.
        return {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / ".local/state"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "REQUESTS_CA_BUNDLE": str(self.folder / "ca.pem"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def assigned(self, accelerator: str = "T4") -> Vm:
        """Give out a machine that our code did not ask for: the user has one in a browser."""
        return self._wait(self._give("notebook-of-the-user", accelerator, "GPU"))

    def take_away(self, vm: Vm) -> None:
        """End a machine in the middle of whatever it does."""
        self._wait(self._end(vm))

    def told(self, *folders: Path) -> list[str]:
        """Return the files and command lines in which a login or a token stands, but for the login's own."""
        files = [
            path
            for folder in (self.folder, *folders)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink() and path.name != "token.json"
        ]
        found = []
        for path in [*files, *Path("/proc").glob("[0-9]*/cmdline")]:
            with suppress(OSError):
                found += [str(path)] if b"secret-of-" in path.read_bytes() else []
        return found

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def serve(self) -> None:
        """Begin to listen."""
        api = web.Application()
        api.router.add_route("*", "/tun/m/assign", self._assign)
        api.router.add_get("/tun/m/assignments", self._list)
        api.router.add_route("*", "/tun/m/unassign/{endpoint}", self._unassign)
        api.router.add_post("/token", self._renew_login)
        self._api = web.AppRunner(api)
        await self._api.setup()
        workspace = web.TCPSite(self._api, "127.0.0.1", 0, ssl_context=self._context)
        await workspace.start()
        self._api_port = self._api.addresses[0][1]
        runtimes = web.Application()
        runtimes.router.add_get("/colab/ssh", self._bridge)
        runtimes.router.add_post("/api/kernels", self._kernel)
        runtimes.router.add_get("/api/kernels/{id}", self._kernel)
        runtimes.router.add_get("/api/kernels/{id}/channels", self._channels)
        runtimes.router.add_post("/unassign", self._released_from_inside)
        self._runtimes = web.AppRunner(runtimes)
        await self._runtimes.setup()
        self.url = f"http://127.0.0.1:{await self._listen()}"
        self._proxy = await asyncio.start_server(self._tunnel, "127.0.0.1", 0)
        self._proxy_port = self._proxy.sockets[0].getsockname()[1]

    async def _listen(self) -> int:
        """Listen on one more port, and return it."""
        workspace = web.TCPSite(self._runtimes, "127.0.0.1", 0)
        await workspace.start()
        assert workspace._server is not None
        return int(workspace._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]

    async def end(self) -> None:
        """End all machines and stop listening."""
        for vm in list(self.machines.values()):
            await self._end(vm)
        self._proxy.close()
        for runner in (self._api, self._runtimes):
            await runner.cleanup()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be a proxy that leads to us, whatever is asked for."""
        host, _, _ = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().partition(":")
        if host not in HOSTS:
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            writer.close()
            return
        onward = await asyncio.open_connection("127.0.0.1", self._api_port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pump(reader, onward[1]), _pump(onward[0], writer))

    def _check_login(self, request: web.Request) -> None:
        if not self.logged_in or request.headers.get("Authorization") != f"Bearer {LOGIN}":
            raise web.HTTPUnauthorized

    async def _renew_login(self, _request: web.Request) -> web.Response:
        return web.json_response({"error": "invalid_grant", "error_description": "revoked"}, status=400)

    async def _assign(self, request: web.Request) -> web.Response:
        self._check_login(request)
        accelerator = request.query.get("accelerator", "NONE")
        variant, notebook = request.query.get("variant", "DEFAULT"), request.query["nbh"]
        if request.method == "GET":
            told = {"acc": accelerator, "nbh": notebook, "token": XSRF, "variant": variant}
            return _answer(told)
        assert request.headers["X-Goog-Colab-Token"] == XSRF
        self.asked.append(f"POST assign {accelerator}")
        if accelerator in self.refuse:
            return web.Response(status=self.refuse[accelerator])
        await asyncio.sleep(self.slow_s)
        vm = await self._give(notebook, accelerator, variant)
        return _answer(
            {
                "accelerator": accelerator,
                "endpoint": vm.endpoint,
                "runtimeProxyInfo": vm.about(self.url),
                "variant": VARIANTS[variant],
            }
        )

    async def _give(self, notebook: str, accelerator: str, variant: str) -> Vm:
        self._count += 1
        endpoint = f"gpu-{accelerator.lower()}-s-{self._count}"
        # What a machine calls to end itself: in the environment of everything that runs there.
        address = f"127.0.0.1:{await self._listen()}"
        host = sshd.Host(self.folder / endpoint, endpoint, environment={"TBE_RUNTIME_ADDR": address})
        vm = Vm(host, endpoint, accelerator, variant, notebook)
        await self._loop.run_in_executor(None, host.start)
        self.machines[endpoint] = vm
        self._inside[address] = vm
        return vm

    async def _list(self, request: web.Request) -> web.Response:
        self._check_login(request)
        self.asked.append("GET assignments")
        found = [
            {
                "accelerator": vm.accelerator,
                "endpoint": vm.endpoint,
                "variant": VARIANTS[vm.variant],
                "machineShape": 0,
                "runtimeProxyInfo": vm.about(self.url),
            }
            for vm in self.machines.values()
        ]
        return _answer({"assignments": found})

    async def _unassign(self, request: web.Request) -> web.Response:
        self._check_login(request)
        vm = self.machines.get(request.match_info["endpoint"])
        if vm is None:
            raise web.HTTPNotFound
        if request.method == "GET":
            return _answer({"token": XSRF})
        assert request.headers["X-Goog-Colab-Token"] == XSRF
        self.asked.append(f"POST unassign {vm.endpoint}")
        self.released.append(vm.endpoint)
        await self._end(vm)
        return web.Response(status=204)

    async def _released_from_inside(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        vm = self._inside[":".join(map(str, request.transport.get_extra_info("sockname")))]
        self.asked.append(f"POST unassign {vm.endpoint} from inside")
        self.released.append(vm.endpoint)
        self._ending = asyncio.ensure_future(self._end(vm))
        return web.Response()

    async def _end(self, vm: Vm) -> None:
        self.machines.pop(vm.endpoint, None)
        vm.host.stop()
        vm.host.cut()
        for pid in vm.host.pids(""):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for bridge in list(vm.bridges):
            await bridge.close()

    def _vm(self, request: web.Request) -> Vm:
        token = request.query.get(f"colab-{TOKEN}") or request.headers.get(f"X-Colab-{TOKEN}")
        for vm in self.machines.values():
            if vm.token == token:
                return vm
        raise web.HTTPUnauthorized

    async def _bridge(self, request: web.Request) -> web.StreamResponse:
        """Be a machine's door: a WebSocket before its sshd, one at a time."""
        vm, key = self._vm(request), request.headers.get("X-Colab-Ssh-Pubkey", "")
        if self.no_ssh:
            return web.Response(status=self.no_ssh)
        if not key.startswith(KEYS):
            raise web.HTTPBadRequest(text="unsupported key type")
        if vm.bridges:
            raise web.HTTPTooManyRequests
        with (vm.host.folder / "key.pub").open("a") as known:
            known.write(f"{key}\n")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        reader, writer = await asyncio.open_connection("127.0.0.1", vm.host.port)
        vm.bridges.append(socket)
        self.bridges += 1

        async def outward() -> None:
            with suppress(OSError, aiohttp.ClientError):
                while block := await reader.read(1 << 16):
                    await socket.send_bytes(block)
            await socket.close()

        sending = asyncio.ensure_future(outward())
        try:
            async for message in socket:
                writer.write(message.data)
                await writer.drain()
        except OSError:
            pass
        finally:
            vm.bridges.remove(socket)
            writer.close()
            await sending
        return socket

    async def _kernel(self, request: web.Request) -> web.Response:
        self._vm(request)
        return web.json_response({"id": "kernel", "name": "python3", "execution_state": "idle"})

    async def _channels(self, request: web.Request) -> web.StreamResponse:
        vm = self._vm(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            asked = json.loads(message.data)
            if asked["header"]["msg_type"] != "execute_request":
                continue
            vm.executed += 1
            for channel, kind, content in (
                ("iopub", "status", {"execution_state": "busy"}),
                ("shell", "execute_reply", {"status": "ok", "execution_count": vm.executed}),
                ("iopub", "status", {"execution_state": "idle"}),
            ):
                header = {**asked["header"], "msg_id": secrets.token_hex(8), "msg_type": kind}
                about = {"header": header, "msg_id": header["msg_id"], "msg_type": kind}
                rest = {"parent_header": asked["header"], "metadata": {}, "buffers": []}
                await socket.send_json({**about, **rest, "channel": channel, "content": content})
        return socket

    @contextmanager
    def running(self) -> Iterator[Colab]:
        """Serve for the length of a ``with``."""
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        try:
            self._wait(self.serve())
            yield self
            self._wait(self.end())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(1 << 16):
            writer.write(block)
            await writer.drain()
    writer.close()


def _answer(told: dict[str, Any]) -> web.Response:
    return web.Response(text=PREFIX + json.dumps(told))
