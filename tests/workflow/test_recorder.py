"""What recorders ask `sessionscribe serve` for: the lock, a place for parts, a page that records."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from project import DEMO, ROOT, Project, cut_audio
from serving import Client, chromium, serving
from sshd import eventually

WEB = ROOT / "docs/web.md"
MEETING = DEMO / "recordings/meeting.mp4"
ORIGIN = "https://recorder.example"
SHORT_PARTS = "Object.assign(document.getElementById('record').dataset, {partS: '2', sliceS: '0.3'})"
ANNA = {"userId": "anna", "sessionId": "2026-11-30 Besprechung/ü"}
OPTIONS = ("--configfile", "config/serve.yaml")


@pytest.fixture(scope="module")
def project(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = fresh.copy(tmp_path_factory.mktemp("recorder"))
    (project / "config/serve.yaml").write_text(
        yaml.safe_dump({"serve": {"origins": [ORIGIN], "record": True}})
    )
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
        ({"sessionId": "x" * 10_001}, 413),
        (b'{"sessionId": "\\ud800"}', 422),
    ],
)
def test_a_lock_that_cannot_be_is_one_line(client: Client, body: object, code: int) -> None:
    found, answer = client.post("/api/batch/lock", body)
    assert found == code
    assert len(answer["error"].splitlines()) == 1
    assert client.get("/api/batch/lock-status") == {"locked": False}


@pytest.mark.parametrize(
    "session", ["../../up", "..", "a\0b", ".json", "-rf", "<script>alert(1)</script>", "ü" * 200]
)
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
    foreign = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site", "Cookie": client.cookie}
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


@pytest.mark.browser
def test_the_lines_of_the_docs_do_for_a_page_elsewhere(project: Project, tmp_path: Path) -> None:
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)
    ) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{other.server_port}"
        settings = {"serve": {"origins": [origin]}}
        (project / "config/elsewhere.yaml").write_text(yaml.safe_dump(settings))
        for client in serving(project, "--configfile", "config/elsewhere.yaml"):
            [lines] = re.findall(r"^```js\n(.*?)^```$", WEB.read_text(), re.MULTILINE | re.DOTALL)
            lines = lines.replace("https://transcripts.example.org", f"http://127.0.0.1:{client.port}")
            token = (project / ".sessionscribe/lock.token").read_text().strip()
            (tmp_path / "index.html").write_text(f"<script>const TOKEN = '{token}';\n{lines}</script>")
            with chromium() as browser:
                page = browser.new_page()
                page.set_default_timeout(90_000)  # a busy machine
                assert any(says_goodbye(page, origin, client) for _ in range(3))
        other.shutdown()


def says_goodbye(page: Any, origin: str, client: Client) -> bool:
    """Take the lock on a page and leave it: is the lock released? No browser promises a page the time."""
    page.goto(origin)
    page.evaluate("lock => begin(lock)", ANNA)
    assert is_held(client, ANNA["sessionId"])
    page.goto("about:blank")
    return is_held(client, None)


def is_held(client: Client, session: str | None) -> bool:
    return eventually(lambda: client.get("/api/batch/lock-status").get("sessionId") == session, 30)


# Parts of a recording.


@pytest.fixture(scope="module")
def parts(project: Project) -> list[bytes]:
    """Three parts of some seconds, each a whole file."""
    made = [cut_audio(MEETING, project / f"part-{n}.webm", 5 * n, 5 * n + 5) for n in range(3)]
    return [path.read_bytes() for path in made]


def test_parts_become_a_session(client: Client, project: Project, parts: list[bytes]) -> None:
    address = f"/api/record/{quote('Sitzung-ä')}"
    assert client.get(address) == {"next": 0}
    for number, part in enumerate(parts):
        path = f"{address}/chunk-{number:03}.webm"
        assert client.ask("PUT", path, part)[0] == 201
        assert client.ask("PUT", path, part)[0] == 200  # its sender did not hear that it had arrived
    folder = project / "recordings/live/Sitzung-ä"
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == parts
    assert client.post(f"{address}/finish", {}) == (200, {"added": "Sitzung-ä"})
    row = next(row for row in client.get("/api/sessions") if row["session"] == "Sitzung-ä")
    assert row["layout"] == "live"
    assert row["hours"] * 3600 == pytest.approx(15, abs=0.5)

    assert client.get(address) == {"next": 3}  # it may go on
    for number, content in ((1, parts[2]), (2, parts[0])):
        path = f"{address}/chunk-{number:03}.webm"
        assert client.ask("PUT", path, content)[0] == 409
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == parts


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("..%2fup/chunk-000.webm", 404),
        (".hidden/chunk-000.webm", 404),
        ("a%20b/chunk-000.webm", 404),
        ("-rf/chunk-000.webm", 404),
        ("x" * 201 + "/chunk-000.webm", 404),
        ("x/..%2fchunk-000.webm", 404),
        ("x/chunk-0.webm", 404),
        ("x/chunk-0000.webm", 404),
        ("x/chunk-٠٠٠.webm", 404),
        ("x/chunk-000.html", 404),
    ],
)
def test_nothing_is_written_elsewhere(
    client: Client, project: Project, parts: list[bytes], path: str, code: int
) -> None:
    before = sorted(project.root.rglob("chunk-*"))
    assert client.ask("PUT", f"/api/record/{quote(path, safe='/%')}", parts[0])[0] == code
    assert sorted(project.root.rglob("chunk-*")) == before


def test_what_is_no_part_is_not_kept(client: Client, project: Project, parts: list[bytes]) -> None:
    for content in (b"", b"<html>", parts[0][1000:]):  # such as the later parts of one MediaRecorder
        assert client.ask("PUT", "/api/record/odd/chunk-000.webm", content)[0] == 422
    asked = {"Authorization": f"Bearer {client.token}", "Content-Length": "50000001"}
    assert client.ask("PUT", "/api/record/odd/chunk-000.webm", None, **asked)[0] == 413
    assert client.post("/api/record/odd/finish", {})[0] == 409
    assert not (project / "recordings/live/odd").exists()
    assert client.ask("GET", "/api/record/talk")[0] == 409  # another recording has this name


def test_parts_need_the_token_and_a_page_of_this_server(
    client: Client, project: Project, parts: list[bytes]
) -> None:
    put = ("PUT", "/api/record/mine/chunk-000.webm", parts[0])
    lock_token = (project / ".sessionscribe/lock.token").read_text().strip()
    assert client.ask(*put, X_Nothing="1")[0] == 401
    assert client.ask(*put, Authorization=f"Bearer {lock_token}")[0] == 401
    foreign = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site", "Cookie": client.cookie}
    assert client.ask(*put, **foreign)[0] == 403
    assert client.ask("POST", "/api/record/mine/finish", {}, **foreign)[0] == 403
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    assert "access-control-allow-origin" not in client.ask("OPTIONS", put[1], **asked)[1]
    assert not (project / "recordings/live/mine").exists()


def test_recording_is_off_unless_it_is_asked_for_and_where_nothing_may_change(
    project: Project, parts: list[bytes]
) -> None:
    for client in serving(project):
        for method, path in (("GET", "/record"), ("PUT", "/api/record/x/chunk-000.webm")):
            assert client.ask(method, path)[0] == 404
        assert b'"/record"' not in client.ask("GET", "/")[2]
    for client in serving(project, *OPTIONS, "--read-only"):
        assert client.ask("PUT", "/api/record/x/chunk-000.webm", parts[0])[0] == 403
        assert client.ask("POST", "/api/record/x/finish", {})[0] == 403
        assert b"<form" not in client.ask("GET", "/record")[2]


# The page that records.


@pytest.mark.browser
def test_a_browser_records_and_loses_nothing_when_the_server_dies_and_the_page_is_closed(
    project: Project, tmp_path: Path
) -> None:
    heard = cut_audio(MEETING, tmp_path / "meeting.wav", 0, 60)
    folder, problems = project / "recordings/live/from-browser", list[str]()
    audio = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium(*audio, f"--use-file-for-fake-audio-capture={heard}") as browser:
        context = browser.new_context()
        for client in serving(project, *OPTIONS):
            port = client.port
            page = context.new_page()
            page.set_default_timeout(90_000)  # a busy machine
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(f"http://127.0.0.1:{port}/record?token={client.token}")
            page.locator("#name").fill("from-browser")
            page.evaluate(SHORT_PARTS)
            page.locator("#start:enabled").click()
            page.locator("#stop:enabled").wait_for()
            began = time.monotonic()
            assert client.get("/api/batch/lock-status")["sessionId"] == "from-browser"
            assert eventually(lambda: len(list(folder.glob("chunk-*"))) >= 2, 30)
            assert page.evaluate("document.getElementById('level').value") > 0
        arrived = len(list(folder.glob("chunk-*")))  # and now the server is dead
        page.get_by_text("The server does not answer").wait_for()
        page.wait_for_timeout(3500)
        for client in serving(project, *OPTIONS, "--port", str(port)):
            assert client.get("/api/batch/lock-status")["locked"]
            page.on("dialog", lambda dialog: dialog.accept())
            took = time.monotonic() - began
            page.reload()
            page.get_by_text("from-browser is on the server").wait_for(timeout=60_000)
            assert client.get("/api/batch/lock-status") == {"locked": False}  # the page that was left said so
            rows = {row["session"]: row for row in client.get("/api/sessions")}
            assert rows["from-browser"]["hours"] * 3600 == pytest.approx(took, abs=1.5)
            assert len(list(folder.glob("chunk-*"))) > arrived + 1

            page.evaluate(SHORT_PARTS)
            page.locator("#name").fill("from-browser")
            page.locator("#start:enabled").click()
            page.locator("#stop:enabled").wait_for()
            page.wait_for_timeout(2500)
            page.locator("#stop").click()
            page.get_by_text("from-browser is on the server").wait_for(timeout=60_000)
            assert client.get("/api/batch/lock-status") == {"locked": False}
        assert not problems
    for path in folder.glob("chunk-*"):
        assert np.abs(decoded(path)).max() > 0.01


def decoded(path: Path) -> NDArray[np.float32]:
    with av.open(str(path)) as file:
        return np.concatenate([frame.to_ndarray().ravel() for frame in file.decode(audio=0)])
