"""The part of Kubernetes' API that submits, follows and removes jobs, on loopback; its pods really run."""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from containers import Container, Machine

PATH = re.compile(
    r"/(?:api/v1|apis/batch/v1)/namespaces/[^/]+/(?P<kind>\w+)(?:/(?P<name>[^/]+)(?:/(?P<part>\w+))?)?"
)
GPU = "nvidia.com/gpu"


class RefusedError(Exception):
    """A request that the API refuses, with its HTTP status."""


@dataclass
class Cluster:
    """A cluster of one node, with the volume claims that there are.

    Attributes:
        full: why pods with a GPU are not scheduled; "" where they are.
    """

    machine: Machine
    claims: set[str]
    full: str = ""
    waiting: set[str] = field(default_factory=set)
    pods: dict[str, Container] = field(default_factory=dict)
    specs: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)

    def start(self, kubeconfig: Path) -> ThreadingHTTPServer:
        """Serve; the file says to clients where."""

        class Handler(_Handler):
            cluster = self

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": {"server": url}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "current-context": "here",
        }
        kubeconfig.write_text(json.dumps(config))
        return server

    def submit(self, job: dict[str, Any]) -> dict[str, Any]:
        """Start a job's pod; refuse what a real API server refuses."""
        name, pod = job["metadata"]["name"], job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        asked, limits = (container["resources"].get(key) or {} for key in ("requests", "limits"))
        if asked.get(GPU) != limits.get(GPU):
            raise RefusedError(422, f"{GPU}: Limit must be set for non overcommitable resources")
        claims = {
            v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v
        }
        if not claims <= self.claims:
            raise RefusedError(422, f"no such claim: {claims - self.claims}")
        environment = {}
        for variable in container.get("env") or []:
            reference = variable["valueFrom"]["secretKeyRef"]
            encoded = self.secrets[reference["name"]]["data"][reference["key"]]
            environment[variable["name"]] = base64.b64decode(encoded).decode()
        command = [*container["command"], *container["args"]]
        self.specs[name] = pod
        if self.full:
            self.waiting.add(name)
            return job
        self.pods[name] = self.machine.run(command, environment, gpus=int(asked.get(GPU, 0)))
        return job

    def status(self, name: str) -> dict[str, Any]:
        """Return a job with its status."""
        code = None if name in self.waiting else self.pods[name].code
        counts = {} if code is None else {"failed" if code else "succeeded": 1}
        return {"metadata": {"name": name}, "status": counts}

    def pod(self, name: str) -> dict[str, Any]:
        """Return a job's pod."""
        about = {"name": f"{name}-pod", "labels": {"job-name": name}}
        if name in self.waiting:
            condition = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": self.full,
            }
            return {"metadata": about, "status": {"phase": "Pending", "conditions": [condition]}}
        code = self.pods[name].code
        state = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
        status = {
            **{"name": "snakemake", "ready": False, "restartCount": 0, "image": "", "imageID": ""},
            "state": state,
        }
        return {"metadata": about, "status": {"phase": "Running", "containerStatuses": [status]}}


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = self._asked()["kind"]
        if kind == "secrets":
            self.cluster.secrets[body["metadata"]["name"]] = body
            self._answer(body, 201)
            return
        try:
            self._answer(self.cluster.submit(body), 201)
        except RefusedError as refused:
            self._answer({"kind": "Status", "message": refused.args[1]}, refused.args[0])

    def do_GET(self) -> None:
        asked = self._asked()
        query = parse_qs(urlsplit(self.path).query)
        if asked["kind"] == "jobs":
            self._answer(self.cluster.status(asked["name"]))
        elif not asked["name"]:
            names = re.findall(r"[\w.-]+", query["labelSelector"][0].removeprefix("job-name"))
            known = [name for name in names if name in (*self.cluster.pods, *self.cluster.waiting)]
            self._answer({"kind": "PodList", "items": [self.cluster.pod(name) for name in known]})
        elif query.get("previous") == ["True"]:
            self._answer({"kind": "Status", "message": "previous terminated container not found"}, 400)
        else:
            self._answer(self.cluster.pods[asked["name"].removesuffix("-pod")].output)

    def do_DELETE(self) -> None:
        asked = self._asked()
        if asked["kind"] == "secrets":
            del self.cluster.secrets[asked["name"]]
        else:
            name = asked["name"].removesuffix("-pod")
            self.cluster.waiting.discard(name)
            if name in self.cluster.pods:
                self.cluster.machine.remove(self.cluster.pods[name])
        self._answer({"kind": "Status", "status": "Success"})

    def _asked(self) -> dict[str, str]:
        match = PATH.match(urlsplit(self.path).path)
        assert match, self.path
        asked = match.groupdict()
        verb = {"POST": "create", "GET": "get" if asked["name"] else "list", "DELETE": "delete"}[self.command]
        part = f"/{asked['part']}" if asked["part"] else ""
        self.cluster.asked.add((f"{asked['kind']}{part}", verb))
        return asked

    def _answer(self, what: Any, status: int = 200) -> None:
        body = (what if isinstance(what, str) else json.dumps(what)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(what, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""
