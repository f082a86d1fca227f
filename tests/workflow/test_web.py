"""`sessionscribe serve`: who may ask for what, edits from the browser, search, runs; and a real browser."""

from __future__ import annotations

import http.client
import json
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from project import Project
from serving import Client, chromium, serving
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.batch import report as reports
from sessionscribe.batch.report import BatchReport, Failure, Gpu, Transcription
from sshd import eventually

NOTE_SEEK = """() => {
  const audio = document.getElementById("audio");
  audio.addEventListener("seeked", () => { document.body.dataset.seeked ??= audio.currentTime; });
}"""


@pytest.fixture(scope="module")
def served(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished.copy(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def client(served: Project) -> Iterator[Client]:
    yield from serving(served)


# Who may ask for what.


def test_without_the_token_nothing_is_shown(client: Client) -> None:
    for path in ("/", "/s/talk", "/api/sessions", "/api/s/talk/audio", "/events", "/static/site.css"):
        code, _, content = client.ask("GET", path, X_Nothing="1")
        assert code == 401
        assert b"talk" not in content
    assert client.ask("GET", "/healthz", X_Nothing="1")[0] == 200
    assert client.ask("GET", "/", Authorization="Bearer wrong")[0] == 401


def test_the_token_of_the_address_becomes_a_cookie(client: Client, served: Project) -> None:
    code, headers, _ = client.ask("GET", f"/search?q=a&token={client.token}", X_Nothing="1")
    assert (code, headers["location"]) == (303, "/search?q=a")
    assert {"HttpOnly", "SameSite=strict"} <= set(headers["set-cookie"].split("; "))
    assert (served / ".sessionscribe/serve.token").stat().st_mode & 0o777 == 0o600
    cookie = headers["set-cookie"].partition(";")[0]
    code, _, content = client.ask("GET", "/", Cookie=cookie)
    assert code == 200
    assert client.token.encode() not in content


def test_another_host_name_is_refused(client: Client) -> None:
    code, *_ = client.ask("GET", "/", Host="evil.example", Authorization=f"Bearer {client.token}")
    assert code == 400
    assert client.ask("GET", "/healthz", Host="LocalHost:80")[0] == 200  # names have no case


def test_what_changes_something_must_come_from_its_own_page(client: Client) -> None:
    cookie, host = client.cookie, f"127.0.0.1:{client.port}"
    stop = ("POST", "/api/run/stop", {})
    assert client.ask(*stop, Cookie=cookie)[0] == 403
    foreign = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.ask(*stop, Cookie=cookie, **foreign)[0] == 403
    assert client.ask(*stop, Cookie=cookie, Host=host, Origin="http://[")[0] == 403
    # Without TLS, browsers tell other machines the origin only.
    assert client.ask(*stop, Cookie=cookie, Host=host, Origin=f"http://{host}")[0] == 409
    own = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert client.ask(*stop, Cookie=cookie, Host=host, **own)[0] == 409  # allowed: there is nothing to stop


@pytest.mark.parametrize(
    "path",
    [
        "/s/nobody",
        "/s/..%2f..",
        "/api/s/..%2fconfig/audio",
        "/static/..%2fapp.py",
        "/lib/..%2f..%2fbin",
        "/config/config.yaml",
    ],
)
def test_nothing_but_what_the_manifest_names_is_reached(client: Client, path: str) -> None:
    assert client.ask("GET", path)[0] == 404


def test_a_page_may_load_nothing_from_elsewhere_and_run_no_inline_script(client: Client) -> None:
    for path in ("/", "/s/talk", "/s/talk/diff", "/search", "/queue", "/history", "/s/nobody"):
        _, headers, content = client.ask("GET", path)
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert not re.search(rb"<script(?! src=)|\son\w+=|https?://", content), path


def test_read_only_changes_nothing_and_a_proxy_may_have_the_server_below_a_path(finished: Project) -> None:
    for client in serving(finished, "--read-only", "--prefix", "/transcripts/"):
        assert client.ask("POST", "/api/run", {})[0] == 403
        assert client.ask("POST", "/api/s/talk/edits", {"base": "", "undo": True})[0] == 403
        for path in ("/", "/s/talk", "/s/nobody", "/static/nothing"):
            page = client.ask("GET", path)[2].decode()
            assert 'id="undo"' not in page
            addresses = re.findall(r'(?:href|src|action|hx-get)="(?!#)([^"]*)"', page)
            assert addresses
            assert all(address.startswith("/transcripts/") for address in addresses), path
        _, headers, _ = client.ask("GET", f"/?token={client.token}", X_Forwarded_Proto="https")
        assert headers["location"] == "/transcripts/"
        assert "Secure" in headers["set-cookie"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [(["--host", "0.0.0.0"], "other machines could connect"), (["--port", "1"], "cannot listen there")],
)
def test_a_door_that_would_be_open_or_is_taken_is_one_line(
    finished: Project, arguments: list[str], what: str
) -> None:
    if arguments[0] == "--port":
        with http.client.socket.create_server(("127.0.0.1", 0)) as taken:  # type: ignore[attr-defined]
            done = finished.sessionscribe("serve", "--port", str(taken.getsockname()[1]))
    else:
        done = finished.sessionscribe("serve", *arguments)
    assert (done.code, len(done.text.splitlines())) == (2, 1)
    assert what in done.text


# What is shown and heard.


def test_the_sessions_are_those_of_status(client: Client) -> None:
    rows = {row["session"]: row["status"] for row in client.get("/api/sessions")}
    assert rows == {"talk": "complete", "duo": "complete", "live": "complete"}


@pytest.mark.parametrize("session", ["talk", "duo", "live"])
def test_every_layout_can_be_heard_in_parts_and_has_a_waveform(
    client: Client, served: Project, session: str
) -> None:
    code, headers, content = client.ask(
        "GET", f"/api/s/{session}/audio", Authorization=f"Bearer {client.token}", Range="bytes=100-199"
    )
    assert (code, len(content)) == (206, 100)
    assert headers["content-range"].startswith("bytes 100-199/")
    _, _, peaks = client.ask("GET", f"/api/s/{session}/peaks")
    assert (len(peaks), max(peaks) > 20) == (2000, True)


def test_the_caches_may_be_deleted(client: Client, served: Project) -> None:
    asked = ("/api/search?q=the", "/api/s/duo/peaks")
    before = [client.ask("GET", path)[2] for path in asked]
    subprocess.run(
        "rm -rf .sessionscribe/listen .sessionscribe/search.db", shell=True, cwd=served.root, check=True
    )
    assert [client.ask("GET", path)[2] for path in asked] == before


@pytest.mark.parametrize(
    "asked", ['"', "AND", "a* b*", '"unclosed', "NEAR(", "said:x", "'; DROP TABLE said; --", "日本"]
)
def test_no_question_breaks_the_search(client: Client, asked: str) -> None:
    assert client.ask("GET", f"/api/search?q={quote(asked)}")[0] == 200


def test_what_is_found_is_said_by_whom_and_on_the_day_that_was_asked_for(client: Client) -> None:
    everybody = {hit["speaker"] for hit in client.get("/api/search?q=a*")}
    one = sorted(everybody)[0]
    assert len(everybody) > 1
    assert {hit["speaker"] for hit in client.get(f"/api/search?q=a*&speaker={quote(one[:-1].lower())}")} >= {
        one
    }
    assert {hit["speaker"] for hit in client.get(f"/api/search?q=a*&speaker={quote(one)}")} == {one}
    assert client.get("/api/search?q=a*&from=2001-01-01") == []  # nobody knows when these were recorded


# Batches.


@pytest.fixture
def batches(served: Project) -> Iterator[None]:
    """Two batches of November, of which one failed and left a machine behind, and one of October."""
    failure = {"session": "talk", "rule": "transcribe_chunk", "output": "x", "key": "k", "last_tried": "-"}
    failed = Failure(**failure, message="<b>out of memory</b>")
    done = Transcription(chunks_transcribed=6, chunks_failed=2)
    lost = Gpu(we_started_it=True, runtime_seconds=1800, cost_usd=0.25)
    for report in (
        BatchReport(timestamp="2026-10-31T23:00:00Z", status="success"),
        BatchReport(timestamp="2026-11-01T01:00:00Z", status="success"),
        BatchReport(
            timestamp="2026-11-02T03:00:00Z",
            status="partial",
            sessions=["talk"],
            transcription=done,
            failures=[failed],
            gpu=lost,
            cost={"USD": 0.25},
        ),
    ):
        report.write(reports.path_for(report, served.root))
    yield
    shutil.rmtree(served / "logs/batch/reports")


@pytest.mark.usefixtures("batches")
def test_batches_are_shown_by_month(client: Client) -> None:
    for month in ("2026-11", "", "2026-12", "../..", "*"):  # what is no month with a report is the last one
        found = client.get(f"/api/reports?month={quote(month)}")
        assert [report["timestamp"][:10] for report in found["reports"]] == ["2026-11-01", "2026-11-02"]
    assert found["sums"]["notSeenToStop"] == 1
    _, _, content = client.ask("GET", "/history?month=2026-11")
    page = re.sub(r"<[^>]+>", " ", content.decode())
    not_stopped, escaped = "1 machine may still be running", "&lt;b&gt;out of memory"
    for part in (not_stopped, "2 (25.0 %)", "0.50 0.2500 USD", escaped):
        assert re.search(re.escape(part).replace(r"\ ", r"\s+"), page), part
    assert client.get("/api/reports?month=2026-10")["sums"]["batches"] == 1


def test_what_failed_is_shown_with_its_log_and_what_machines_cost_in_every_way(
    client: Client, served: Project
) -> None:
    export, log = served / "results/export/live/live.srt", "logs/export/live.txt"
    failed, usage = served / "logs/failed/live/x.json", served / "logs/usage/runners.jsonl"
    content = export.read_bytes()
    export.unlink()
    for path in (failed, usage, served / log):
        path.parent.mkdir(parents=True, exist_ok=True)
    (served / log).write_text("\n".join(f"line {n}" for n in range(99)) + "\n<b>\x1b[31mthe end</b>")
    output = "results/export/live/live.srt"
    failed.write_text(json.dumps({"message": "<i>no room", "log": log, "output": output}))
    price = {"runner": "*", "per_hour": 2, "currency": "EUR", "date": "2026-01-01", "source": "-"}
    work = {"live": {"transcribe_chunk": {"jobs": 1, "seconds": 9, "audio_s": 1800}}}
    used = {"wall_s": 3600, "busy_s": 1800, "bytes_up": 0, "bytes_down": 0, "price": price, "work": work}
    days = [
        {"runner": "ec2", "start": f"2026-11-{n}T01", "stop": f"2026-11-{n}T02", **used} for n in (14, 15)
    ]
    usage.write_text("".join(json.dumps(day) + "\n" for day in days))
    _, _, page = client.ask("GET", "/history?by=month")
    shown = page.decode()
    assert "&lt;i&gt;no room" in shown
    assert "line 98" in shown
    assert "line 20\n" not in shown
    assert "&lt;b&gt;" in shown
    assert "\x1b" not in shown
    for by, names in {
        "day": ["2026-11-15", "2026-11-14"],
        "month": ["2026-11"],
        "runner": ["ec2"],
        "session": ["live"],
    }.items():
        found = client.get(f"/api/costs?by={by}")
        assert list(found) == names
        assert sum(one["cost"]["EUR"] for one in found.values()) == pytest.approx(4)
    assert re.search(r"4\.00 EUR.*<details", client.ask("GET", "/")[2].decode(), re.DOTALL)
    failed.write_text(json.dumps({"message": "x", "log": "config/test.yaml", "output": output}))
    assert b"toy-whisper" not in client.ask("GET", "/history")[2]
    export.write_bytes(content)
    failed.unlink()
    usage.unlink()


@pytest.mark.usefixtures("batches")
def test_prometheus_is_shown_the_figures(client: Client) -> None:
    code, headers, content = client.ask("GET", "/metrics")
    assert (code, headers["content-type"].split(";")[0]) == (200, "text/plain")
    found = {(one.name, *one.labels.values()): one.value for one in figures(content.decode())}
    project = next(labels[0] for name, *labels in found if name == "sessionscribe_sessions")
    assert found["sessionscribe_sessions", project, "complete"] == 3
    assert found["sessionscribe_batch_last_chunks_failed", project] == 2
    assert client.ask("GET", "/metrics", X_Nothing="1")[0] == 401
    assert client.ask("GET", "/metrics", Authorization="Bearer wrong")[0] == 401


def figures(text: str) -> Iterator[Any]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


# Edits.


def words_of(project: Project, session: str) -> list[str]:
    for stage in ("correct", "diarize"):
        path = project / f"results/{stage}/{session}.json"
        if path.is_file():
            return [word.text for part in Transcript.read(path).segments for word in part.words]
    return []


def test_a_word_is_mended_and_taken_back(client: Client, served: Project) -> None:
    before = served.results("results/export/talk")
    corrections = served / "config/corrections/talk.tsv"
    old = words_of(served, "talk")
    change = {"op": "words", "first": 2, "last": 2, "text": "Strahd"}
    code, answer = client.post("/api/s/talk/edits", {"base": "", "changes": [change]})
    assert code == 200
    assert [one["state"] for one in answer["corrections"]] == ["applied"]
    assert len(corrections.read_text().splitlines()) == 2
    assert "applied" in served.sessionscribe("correct", "talk", "--list").out
    _, _, versions = client.ask("GET", "/s/talk/diff")
    assert re.search(rf"<del> ?{old[2].strip()}</del><ins> ?Strahd</ins>", versions.decode())

    code, refused = client.post("/api/s/talk/edits", {"base": "", "changes": [change]})
    assert code == 409
    assert "Strahd" in refused["html"]  # what there is now, for the one who came second

    assert client.post("/api/run", {"sessions": ["talk"], "exports": True})[0] == 202
    wait_for_the_run(client)
    assert words_of(served, "talk") == [*old[:2], "Strahd", *old[3:]]
    assert "Strahd" in (served / "results/export/talk/talk.srt").read_text()
    assert "transcribe_chunk" not in (served / "logs/run/serve.log").read_text()

    code, answer = client.post("/api/s/talk/edits", {"base": answer["base"], "undo": True})
    assert (code, answer["base"], corrections.exists()) == (200, "", False)
    assert client.post("/api/run", {"sessions": ["talk"], "exports": True})[0] == 202
    wait_for_the_run(client)
    assert served.results("results/export/talk") == before


def wait_for_the_run(client: Client) -> None:
    for _ in range(600):
        if client.get("/api/run") is None:
            return
        time.sleep(0.1)
    pytest.fail("the run does not end")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"base": "", "changes": [{"op": "words", "first": 99999, "last": 99999, "text": "x"}]}, 400),
        ({"base": "", "changes": [{"op": "words", "first": -1, "last": 0, "text": "x"}]}, 422),
        ({"base": "", "changes": [{"op": "delete"}]}, 422),
        ({"base": "", "undo": True}, 400),
        ({"changes": []}, 422),
        ([], 422),
    ],
)
def test_an_edit_that_cannot_be_is_one_line(client: Client, body: object, code: int) -> None:
    found, answer = client.post("/api/s/duo/edits", body)
    assert found == code
    assert answer["error"]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_edits_in_the_browser_are_those_of_the_command(client: Client, served: Project, count: int) -> None:
    chance, session = random.Random(count), "duo"
    path = served / f"config/corrections/{session}.tsv"
    copy = json.loads((served / f"results/export/{session}/{session}.json").read_text())
    words = [word for segment in copy["segments"] for word in segment["words"]]
    speakers = sorted({word["speaker"] for word in words})
    changes = []
    for number in chance.sample(range(len(words)), count):
        if chance.random() < 0.7:
            text = words[number]["text"] = chance.choice(["Barovia", "two words", "50%"])
            changes.append({"op": "words", "first": number, "last": number, "text": text})
        else:
            other = [name for name in speakers if name != words[number]["speaker"]]
            who = words[number]["speaker"] = chance.choice(other)
            changes.append({"op": "speaker", "first": number, "last": number, "text": who})
    code, answer = client.post(f"/api/s/{session}/edits", {"base": "", "changes": changes})
    assert code == 200, answer
    by_browser = laid(client, session)
    path.unlink()
    keys = ("start", "end", "speaker", "text")
    segments = [{key: word[key] for key in keys} | {"words": [word]} for word in words]
    (served / "edited.json").write_text(json.dumps(copy | {"segments": segments}))
    done = served.sessionscribe("correct", session, "edited.json")
    assert done.code == 0, done.text
    by_command = laid(client, session)
    path.unlink()
    assert by_browser == by_command


def laid(client: Client, session: str) -> list[str]:
    _, _, content = client.ask("GET", f"/s/{session}")
    return re.findall(r"<bdi>.*?</bdi>|data-t=\"[\d.]+\"|(?<=\">)[^<\s][^<]*(?=</span>)", content.decode())


# Runs.


def test_a_run_is_started_and_stopped_and_goes_on_later(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy(tmp_path / "project")
    for client, other in zip(serving(project), serving(project), strict=True):
        assert client.post("/api/run", {"sessions": ["nobody"]})[0] == 404
        assert client.post("/api/run", {"sessions": ["duo"]})[0] == 202
        assert client.post("/api/run", {})[0] == 409
        # A server that did not start the run, such as one that was restarted, shows its progress, too.
        assert eventually(lambda at=other: b" jobs, " in at.ask("GET", "/queue")[2], 60)
        assert client.post("/api/run/stop", {})[0] == 202
        wait_for_the_run(client)
        assert client.post("/api/run/stop", {})[0] == 409
        assert client.post("/api/scan", {})[0] == 202
        wait_for_the_run(client)
        pending = json.loads((project / "logs/batch/pending-jobs.json").read_text())
        assert "talk" in {session["sessionId"] for session in pending["sessions"]}
    assert project.sessionscribe("run", "--session", "duo").code == 0


# A real browser.


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium("--autoplay-policy=no-user-gesture-required") as started:
        yield started


@pytest.mark.browser
def test_a_word_is_heard_found_mended_and_taken_back_with_the_keyboard(
    client: Client, served: Project, browser: Any
) -> None:
    page = browser.new_page()
    problems: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type in ("error", "warning") else None)
    page.on("request", lambda request: asked.append(request.url))
    origin = f"http://127.0.0.1:{client.port}"
    page.goto(f"{origin}/?token={client.token}")
    page.get_by_role("link", name="talk").click()
    word = page.locator('[data-n="8"]')
    start = float(word.get_attribute("data-t"))
    page.evaluate(NOTE_SEEK)
    word.click()
    page.locator("body[data-seeked]").wait_for()
    assert float(page.locator("body").get_attribute("data-seeked")) == pytest.approx(start, abs=0.05)
    page.locator("[data-n].now").first.wait_for()
    first = page.locator("[data-n].now").get_attribute("data-n")
    page.wait_for_timeout(1500)
    assert page.locator("[data-n].now").get_attribute("data-n") != first

    word.dblclick()
    page.locator("#text input").fill("Vallaki")
    page.keyboard.press("Enter")
    page.get_by_text("Saved.").wait_for()
    assert page.locator('[data-n="8"]').inner_text() == "Vallaki"
    assert "Vallaki" in (served / "config/corrections/talk.tsv").read_text()
    page.keyboard.press("u")
    page.locator("#undo[disabled]").wait_for()
    assert not (served / "config/corrections/talk.tsv").exists()
    page.keyboard.press("?")
    assert page.locator("#key-list").is_visible()
    for path in ("/search?q=the", "/queue", "/history"):
        page.goto(origin + path)
    assert not problems
    assert all(url.startswith((origin, "blob:", "data:")) for url in asked)
    page.close()


@pytest.mark.browser
@pytest.mark.usefixtures("batches")
def test_no_page_keeps_anybody_out(served: Project, browser: Any) -> None:
    (served / "config/serve.yaml").write_text("serve: {record: true}")
    script = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    for client in serving(served, "--configfile", "config/serve.yaml"):
        client.post("/api/batch/lock", {"userId": "anna", "sessionId": "meeting"})
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(f"http://127.0.0.1:{client.port}/?token={client.token}")
        for path in (
            *("/", "/s/talk", "/s/talk/diff?a=heard&b=shown", "/search?q=the", "/queue", "/history"),
            *("/record", "/s/nobody"),
        ):
            page.goto(f"http://127.0.0.1:{client.port}{path}")
            page.evaluate(script)
            found = page.evaluate("async () => (await axe.run()).violations")
            page.emulate_media(color_scheme="dark")
            found += page.evaluate("async () => (await axe.run({runOnly: ['color-contrast']})).violations")
            page.emulate_media(color_scheme="light")
            faults = [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found]
            assert [fault for fault in faults if fault[1] in ("serious", "critical")] == [], path
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, f"{path} is wider than a phone"
        client.post("/api/batch/unlock", {"userId": "anna"})
        page.close()


@pytest.mark.browser
def test_the_one_who_comes_second_is_told_and_keeps_the_words(
    client: Client, served: Project, browser: Any
) -> None:
    pages = [browser.new_page() for _ in range(2)]
    for page in pages:
        page.goto(f"http://127.0.0.1:{client.port}/s/talk?token={client.token}")
    for page, number, text in zip(pages, (3, 5), ("Ireena", "Ismark"), strict=True):
        page.locator(f'[data-n="{number}"]').dblclick()
        page.locator("#text input").fill(text)
        page.keyboard.press("Enter")
        page.get_by_text("Saved." if page is pages[0] else "Not saved").wait_for()
    assert "Ismark" in pages[1].locator("#state").inner_text()
    assert pages[1].locator('[data-n="3"]').inner_text() == "Ireena"
    pages[1].context.set_offline(True)
    pages[1].locator('[data-n="5"]').dblclick()
    pages[1].locator("#text input").fill("Ismark")
    pages[1].keyboard.press("Enter")
    pages[1].get_by_text("The server does not answer. · You typed: Ismark").wait_for()
    assert pages[1].locator('[data-n="5"]').inner_text() != "Ismark"  # what is not saved is not shown as if
    for page in pages:
        page.close()
    (served / "config/corrections/talk.tsv").unlink()
