"""Results of commit 54d02dc are taken over once, and nothing of them is made again."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

from project import ROOT, SETTINGS
from sessionscribe.config import loading
from sessionscribe.planning.plan import Plan

ARCHIVE = Path(__file__).resolve().parents[1] / "data/older-results.tar.xz"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """What commit 54d02dc left of three small sessions, one of each layout (audio and arrays are empty)."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "54d02dc"


def plan(root: Path, **changes: dict[str, object]) -> Plan:
    """Return what is due, with the settings that the results were made with as far as there still are any."""
    then = yaml.safe_load((root / "config/test.yaml").read_text())
    settings = {section: {name: then[section][name] for name in SETTINGS[section]} for section in SETTINGS}
    for section in ("transcribe", "diarize"):
        settings[section]["model"] = str(ROOT / SETTINGS[section]["model"])
    for section, values in changes.items():
        settings.setdefault(section, {}).update(values)
    return Plan(loading.validate(settings), root)


def todo(found: Plan, session: str) -> Counter[str]:
    return Counter(step.rule for step in found.sessions[session].pending.values())


def test_nothing_is_made_again(older: Path) -> None:
    before = {path.name for path in (older / "results").rglob("*.json")}
    assert not plan(older).due
    assert before < {path.name for path in (older / "results").rglob("*.json")}
    noted = {path: path.read_bytes() for path in (older / "results/settings").rglob("*.json")}
    assert len(noted) == 33
    assert not plan(older).due
    assert {path: path.read_bytes() for path in (older / "results/settings").rglob("*.json")} == noted


def test_other_settings_redo_what_depends_on_them(older: Path) -> None:
    changed = plan(older, diarize={"num_speakers": 2})
    assert todo(changed, "talk").keys() == {
        *("cluster_speakers", "assign_speakers", "audit_session", "write_export")
    }
    assert todo(changed, "duo") == Counter()


def test_what_is_missing_is_made_again(older: Path) -> None:
    next((older / "results/transcribe/duo").glob("*/bob.0000.json")).unlink()
    (older / "results/merge/talk.json").unlink()
    found = plan(older)
    after = dict.fromkeys(("merge_transcript", "assign_speakers", "audit_session", "write_export"), 1)
    assert todo(found, "duo") == Counter(transcribe_chunk=1, **after)
    assert todo(found, "talk") == Counter(after)


def test_another_recording_is_not_taken_over(older: Path) -> None:
    table = older / "config/sessions.tsv"
    (row,) = (line for line in table.read_text().splitlines() if line.startswith("talk\t"))
    checksum = next(field for field in row.split("\t") if len(field) == 64)
    table.write_text(table.read_text().replace(checksum, "0" * 64))
    assert todo(plan(older), "talk")["transcribe_chunk"] == 3
    assert not list((older / "results/settings").glob("talk/*"))
