"""Figures of batches: a real Prometheus reads them, its alerts fire, the dashboard's queries have answers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from project import DIARIZATION_MODEL, ROOT, SPEECH_MODEL
from remotes import free_port
from sessionscribe.artifacts.provenance import Failure, JobUsage
from sessionscribe.batch import metrics, report
from sessionscribe.batch.report import BatchReport, Gpu, Scan, Transcription
from sessionscribe.config.settings import Config, validate
from sessionscribe.runners.usage_log import MACHINES, note_event

RULES = ROOT / "ops/prometheus"
DASHBOARD = ROOT / "ops/grafana/dashboard.json"
NOW = datetime.now(UTC)
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("prometheus-node-exporter")),
    reason="no prometheus and prometheus-node-exporter here",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    """A project after a batch with all there is to be told: failures, a GPU, a machine that is still up."""
    root = tmp_path_factory.mktemp("figures") / "talks"
    manifest = root / "config/sessions.tsv"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("session\tlayout\ttrack\tsource\ntalk\trecording\tmix\t/talk.flac\n")
    times = {**dict.fromkeys(("queued_s", "cpu_s"), 0.0), "wall_s": 9.0, "gpu_s": 8.0, "audio_s": 600.0}
    JobUsage(
        session="talk",
        rule="transcribe_chunk",
        output="o",
        ok=True,
        started=(NOW + timedelta(minutes=1)).strftime(report.TIME),
        host="gpu-box",
        peak_memory_mb=1.0,
        peak_gpu_memory_mb=5120.0,
        gpu_load=0.75,
        gpu_temperature_c=61,
        **times,
    ).write(root / "logs/usage/talk/transcribe_chunk.mix.0001.json")
    failure = Failure(session="talk", rule="embed_chunk", output="o", message="m", log="l")
    failure.write(root / "logs/failed/talk/embed_chunk.mix.0001.json")
    price = {"runner": "ec2:*", "per_hour": 2.5, "currency": "USD", "date": "2026-11-30", "source": "test"}
    used = {
        **{"runner": "ec2:gpu", "stop": NOW.strftime(report.TIME), "price": price},
        **{"wall_s": 3600, "busy_s": 3600, "bytes_up": 0, "bytes_down": 0},
        "work": {"talk": {"transcribe_chunk": {"jobs": 1, "seconds": 3600, "audio_s": 7200}}},
    }
    (root / "logs/usage/runners.jsonl").write_text(json.dumps(used) + "\n")
    started = {
        "time": (NOW - timedelta(minutes=31)).strftime(report.TIME),
        "runner": "ec2:gpu",
        "event": "start",
    }
    (root / MACHINES).write_text(json.dumps(started) + "\n")
    models = {"transcribe": {"model": str(SPEECH_MODEL)}, "diarize": {"model": str(DIARIZATION_MODEL)}}
    return root, validate({**models, "batch": {"metrics": str(root / "metrics")}})


def batch() -> BatchReport:
    return BatchReport(
        timestamp=NOW.strftime(report.TIME),
        status="partial",
        sessions=["talk"],
        scan=Scan(sessions_scanned=1, total_missing_chunks=24),
        transcription=Transcription(chunks_transcribed=20, chunks_failed=3),
        gpu=Gpu(we_started_it=True, runtime_seconds=2400),
    )


def test_the_figures_are_those_of_the_files(project: tuple[Path, Config]) -> None:
    root, settings = project
    metrics.write(batch(), settings, root)
    text = (root / "metrics/sessionscribe-talks.prom").read_text()
    for line in (
        'pending_chunks{project="talks"} 4.0',
        'sessions{project="talks",status="pending"} 1.0',
        'failures{project="talks",rule="embed_chunk"} 1.0',
        'cost_today{currency="USD",project="talks"} 2.5',
        'remote_audio_seconds{project="talks",runner="ec2:gpu"} 7200.0',
        'gpu_load_ratio{host="gpu-box",project="talks"} 0.75',
        'gpu_memory_bytes{host="gpu-box",project="talks"} 5.36870912e+09',
        'gpu_temperature_celsius{host="gpu-box",project="talks"} 61.0',
        'batch_last_success_timestamp_seconds{project="talks"} 0.0',
    ):
        assert f"sessionscribe_{line}\n" in text
    good = batch()
    good.status = "skipped"
    metrics.write(good, settings, root)
    text = (root / "metrics/sessionscribe-talks.prom").read_text()
    (last,) = re.findall(r"last_success_timestamp_seconds{.*} (.*)", text)
    assert float(last) == good.time.timestamp()


def test_a_machine_is_up_until_it_is_seen_to_stop(project: tuple[Path, Config], tmp_path: Path) -> None:
    root, settings = tmp_path / "calls", project[1]
    for event, up in (
        ("running", None),
        ("start", 1),
        ("ready", 1),
        ("stop", 1),
        ("stopped", 0),
        ("start", 1),
        ("refused", 0),
    ):
        note_event(root, "ec2:gpu", event)  # type: ignore[arg-type]
        metrics.write_machines(settings, root)
        text = Path(settings.batch.metrics, "sessionscribe-calls-machines.prom").read_text()
        found = re.findall(r"gpu_started_by_us{.*} (.*)", text)
        assert found == ([] if up is None else [f"{up}.0"]), event


def test_a_folder_that_cannot_be_written_fails_no_batch(
    project: tuple[Path, Config], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, settings = project
    (tmp_path / "file").write_text("")
    wrong = settings.batch.model_copy(update={"metrics": str(tmp_path / "file")})
    metrics.write(batch(), settings.model_copy(update={"batch": wrong}), root)
    assert len(set(capfd.readouterr().err.splitlines())) == 1


@needs_prometheus
def test_the_alerts_fire_just_beyond_their_limits() -> None:
    for command in (
        "check rules sessionscribe.rules.yml",
        "test rules tests.yml",
        "check config prometheus.yml",
    ):
        done = subprocess.run(
            ["promtool", *command.split()], cwd=RULES, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """A Prometheus that scrapes a node exporter, which reads a folder."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str) -> Any:
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Any]:
        found: list[Any] = self.ask(f"query?query={quote(expression)}")["result"]
        return found


@pytest.fixture(scope="module")
def prometheus(
    project: tuple[Path, Config], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    root, settings = project
    metrics.write(batch(), settings, root)
    folder, port, exporter = tmp_path_factory.mktemp("prometheus"), free_port(), free_port()
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES / "sessionscribe.rules.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{exporter}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    collector = ["--collector.disable-defaults", "--collector.textfile"]
    read = f"--collector.textfile.directory={settings.batch.metrics}"
    stored = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    commands = (
        ["prometheus-node-exporter", *collector, read, f"--web.listen-address=127.0.0.1:{exporter}"],
        ["prometheus", *stored, f"--web.listen-address=127.0.0.1:{port}"],
    )
    with ExitStack() as stack:
        for command in commands:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        server, until = Prometheus(port), time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if len({alert["labels"]["alertname"] for alert in server.ask("alerts")["alerts"]}) == 4:
                    break
            except OSError:
                pass
            time.sleep(0.2)
        yield server


@needs_prometheus
def test_a_real_scrape_raises_the_alerts(prometheus: Prometheus) -> None:
    (scrape,) = prometheus.query("node_textfile_scrape_error")
    assert scrape["value"][1] == "0"
    alerts = {
        (alert["labels"]["alertname"], alert["labels"].get("runner"), alert["state"])
        for alert in prometheus.ask("alerts")["alerts"]
    }
    assert alerts == {
        ("SessionscribeChunksFailed", None, "firing"),
        ("SessionscribeGpuLong", None, "firing"),
        ("SessionscribeGpuLong", "ec2:gpu", "firing"),
        ("SessionscribeNoBatch", None, "pending"),
        ("SessionscribeCostHigh", None, "firing"),
    }


@needs_prometheus
def test_every_query_of_the_dashboard_has_an_answer(prometheus: Prometheus) -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 15
    for expression in queries:
        assert prometheus.query(expression.replace("$project", ".*")), expression
    shown = set(
        re.findall(
            r"sessionscribe_\w+", " ".join([*queries, (RULES / "sessionscribe.rules.yml").read_text()])
        )
    )
    assert {
        name for name in prometheus.ask("label/__name__/values") if name.startswith("sessionscribe_")
    } - shown == {"sessionscribe_build_info", "sessionscribe_batch_last_timestamp_seconds"}
