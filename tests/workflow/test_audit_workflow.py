"""The audit in the workflow: its verdict is in the status table, and it finds what nobody would notice."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from project import Project, jobs

DUO = ("--config", "sessions=['duo']")


def audit(project: Project, session: str = "duo") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / f"results/audit/{session}.json").read_bytes())
    return found


def verdicts(project: Project) -> dict[str, str]:
    """Return the verdict of each session as the status table has it."""
    lines = project.sessionscribe("status").out.split("\n\n")[0].splitlines()
    at = lines[0].index("audit"), lines[0].index("status")
    return {line.split()[0]: line[slice(*at)].strip() for line in lines[1:]}


def test_every_finished_session_is_audited_and_status_shows_the_verdict(finished: Project) -> None:
    shown = verdicts(finished)
    assert set(shown) == {"talk", "duo", "live"}
    for name, verdict in shown.items():
        found = audit(finished, name)
        assert (found["verdict"], found["problems"]) == (verdict, [])
        assert verdict in ("complete", "complete with flags")
        words = found["words"]
        assert words["heard"] == words["kept"] > 0
        for track in found["tracks"]:
            assert track["tiled"]
            assert track["chunks"] == track["planned"]
            assert track["covered_s"] > 0.9 * track["speech_s"] > 0
        assert sum(part["words"] for part in found["speakers"]) <= words["kept"]


def test_a_chunk_that_was_changed_behind_its_back_is_found(project: Project) -> None:
    """Nothing else would notice, and nothing else is redone."""
    (path,) = (project / "results/transcribe/duo").glob("*/alice.0000.json")
    chunk = json.loads(path.read_bytes())
    del chunk["sha256"]  # which would tell at once
    word = next(w for part in chunk["segments"] for w in part["words"] if w["text"].isalpha())
    was, word["text"] = word["text"], "x" * len(word["text"])
    content = json.dumps(chunk, ensure_ascii=False, separators=(",", ":")) + "\n"
    path.write_text(content, encoding="utf-8")
    assert project.plan(*DUO) == Counter()

    (project / "results/audit/duo.json").unlink()
    assert verdicts(project)["duo"] == "-"
    done = project.snakemake(*DUO)
    assert done.code == 0, done.text
    assert jobs(project.log()) == Counter(audit_session=1)
    assert verdicts(project)["duo"] == "incomplete"
    strays = audit(project)["words"]["strays"]
    assert {stray["text"] for stray in strays} == {was, word["text"]}
    assert "duo: 1 word lost between stages" in project.sessionscribe("status").out
    assert project.plan(*DUO) == Counter()
