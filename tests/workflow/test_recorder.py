"""What recorders ask `sessionscribe serve` for: the lock of batches."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from project import Project
from serving import Client, serving

ORIGIN = "https://recorder.example"
ANNA = {"userId": "anna", "sessionId": "2026-11-30 Besprechung/ü"}
OPTIONS = ("--configfile", "config/serve.yaml")


@pytest.fixture(scope="module")
def project(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = fresh.copy(tmp_path_factory.mktemp("recorder"))
    (project / "config/serve.yaml").write_text(yaml.safe_dump({"serve": {"origins": [ORIGIN]}}))
    return project


@pytest.fixture(scope="module")
def client(project: Project) -> Iterator[Client]:
    yield from serving(project, *OPTIONS)


# The lock.


def test_a_recorder_takes_renews_and_releases_the_lock_of_batches(client: Client, project: Project) -> None:
    assert client.get("/api/batch/lock-status") == {"locked": False}
    code, lock = client.post("/api/batch/lock", ANNA)
    assert (code, lock) == (200, {"locked": True, **ANNA, "timestamp": lock["timestamp"]})
    status = json.loads(project.sessionscribe("batch", "lock-status", "--configfile", "config/test.yaml").out)
    assert {**status, "ageSeconds": 0} == {**lock, "ageSeconds": 0}
    assert client.post("/api/batch/lock", ANNA)[1]["timestamp"] > lock["timestamp"]
    assert client.get("/api/pending")["locked"]
    assert "2026-11-30 Besprechung/ü of anna" in client.ask("GET", "/queue")[2].decode()

    client.post("/api/batch/lock", {"sessionId": "other"})
    code, left = client.post("/api/batch/unlock", {"sessionId": ANNA["sessionId"]})
    assert (code, left["sessionId"]) == (200, "other")
    assert client.post("/api/batch/unlock", {"sessionId": "other"}) == (200, {"locked": False})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 422),
        ([], 422),
        (b"{", 422),
        ({"sessionId": 1}, 422),
        ({"sessionId": "x" * 201}, 422),
        (b'{"sessionId": "\\ud800"}', 422),
        ({"sessionId": "ü" * 200}, 400),  # as the name of a file
    ],
)
def test_a_lock_that_cannot_be_is_one_line(client: Client, body: object, code: int) -> None:
    found, answer = client.post("/api/batch/lock", body)
    assert found == code
    assert len(answer["error"].splitlines()) == 1
    assert client.get("/api/batch/lock-status") == {"locked": False}


@pytest.mark.parametrize("session", ["../../up", "..", "a\0b", ".json", "-rf", "<script>alert(1)</script>"])
def test_whatever_a_recording_is_called_its_lock_is_one_file(
    client: Client, project: Project, session: str
) -> None:
    assert client.post("/api/batch/lock", {"userId": "x", "sessionId": session})[0] == 200
    assert len(list((project / ".sessionscribe/batch-lock").iterdir())) == 1
    assert b"<script>alert" not in client.ask("GET", "/queue")[2]
    assert client.post("/api/batch/unlock", {"userId": "x"}) == (200, {"locked": False})


def test_the_lock_needs_the_token(client: Client) -> None:
    for method, path in (("POST", "lock"), ("POST", "unlock"), ("GET", "lock-status")):
        body = ANNA if method == "POST" else None
        assert client.ask(method, f"/api/batch/{path}", body, Origin=ORIGIN)[0] == 401
    foreign = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site", "Cookie": f"sessionscribe={client.token}"}
    assert client.ask("POST", "/api/batch/lock", ANNA, **foreign)[0] == 403
    assert client.get("/api/batch/lock-status") == {"locked": False}


def test_the_token_of_a_recorders_page_is_good_for_the_lock_only(client: Client, project: Project) -> None:
    token = project / ".sessionscribe/lock.token"
    assert token.stat().st_mode & 0o777 == 0o600
    recorder = Client(client.port, token.read_text().strip())
    assert recorder.post("/api/batch/lock", ANNA)[0] == recorder.post("/api/batch/unlock", ANNA)[0] == 200
    for path in ("/", "/api/sessions", "/queue", "/metrics", f"/?token={recorder.token}"):
        assert recorder.ask("GET", path)[0] == 401
    assert recorder.ask("POST", "/api/run", {})[0] == 401


def test_only_pages_of_named_origins_may_use_the_lock_and_nothing_else(client: Client) -> None:
    def allowed(path: str, origin: str) -> str | None:
        wants = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        return client.ask("OPTIONS", path, Origin=origin, **wants)[1].get("access-control-allow-origin")

    assert allowed("/api/batch/lock", ORIGIN) == ORIGIN
    assert allowed("/api/batch/lock", "https://evil.example") is None
    assert allowed("/api/run", ORIGIN) is None
    for origin, answer in ((ORIGIN, ORIGIN), ("https://evil.example", None)):
        given = {"Origin": origin, "Authorization": f"Bearer {client.token}"}
        code, headers, _ = client.ask("GET", "/api/batch/lock-status", **given)
        assert (code, headers.get("access-control-allow-origin")) == (200, answer)
        assert "access-control-allow-credentials" not in headers
    code, *_ = client.ask("GET", "/api/batch/lock-status", Host="evil.example", Origin=ORIGIN)
    assert code == 400


def test_read_only_takes_no_lock(project: Project) -> None:
    for client in serving(project, *OPTIONS, "--read-only"):
        for path in ("lock", "unlock"):
            assert client.ask("POST", f"/api/batch/{path}", ANNA)[0] == 403
        assert client.get("/api/batch/lock-status") == {"locked": False}
