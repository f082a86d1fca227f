"""The part of AWS Batch's API that registers, submits, describes and ends jobs, on loopback; jobs run."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from containers import Container, Machine


@dataclass
class Batch:
    """One queue's machine, and what was asked of it."""

    machine: Machine
    definitions: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Container] = field(default_factory=dict)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    refused: tuple[int, ...] = ()
    """Which submissions are refused, by number."""
    asked: int = 0

    def start(self) -> tuple[ThreadingHTTPServer, str]:
        """Serve; return the server and its address."""

        class Handler(_Handler):
            batch = self

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server, f"http://127.0.0.1:{server.server_address[1]}"

    def registerjobdefinition(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["jobDefinitionName"]
        assert len(json.dumps(asked)) < 24 * 1024, "AWS's limit for a definition"
        self.definitions[name] = asked
        return {"jobDefinitionName": name, "jobDefinitionArn": f"arn:{name}:1", "revision": 1}

    def submitjob(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        self.asked += 1
        if self.asked - 1 in self.refused:
            return None
        what = self.definitions[asked["jobDefinition"].removesuffix(":1")]["containerProperties"]
        needs = {need["type"]: int(need["value"]) for need in what["resourceRequirements"]}
        environment = {pair["name"]: pair["value"] for pair in what["environment"]}
        number = str(len(self.jobs))
        self.jobs[number] = self.machine.run(what["command"], environment, gpus=needs.get("GPU", 0))
        self.submitted.append(asked)
        return {"jobId": number, "jobName": asked["jobName"]}

    def describejobs(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = []
        for number in asked["jobs"]:
            code = self.jobs[number].code
            status = "RUNNING" if code is None else "FAILED" if code else "SUCCEEDED"
            job = {"jobId": number, "jobName": "", "jobQueue": "", "startedAt": 0, "status": status}
            about = {
                "jobDefinition": f"arn:{self.submitted[int(number)]['jobDefinition']}",
                "container": {"exitCode": code},
            }
            found.append(job | about | {"statusReason": "Essential container in task exited"})
        return {"jobs": found}

    def terminatejob(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.machine.remove(self.jobs[asked["jobId"]])
        return {}

    def deregisterjobdefinition(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.removed.append(asked["jobDefinition"])
        return {}


class _Handler(BaseHTTPRequestHandler):
    batch: Batch

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = getattr(self.batch, self.path.removeprefix("/v1/"))(asked)
        body = json.dumps({"message": "Job queue is full"} if answer is None else answer).encode()
        self.send_response(400 if answer is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""
