"""The settings that a person works with, forgotten, kept in a file, and given in other ways."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from project import Done, Project

WARNS = "3 sessions (talk, duo, live) would be made again in part with other settings: transcribe.model was"


def plain(project: Project, *arguments: str) -> Done:
    """Run a command without the settings that all tests give."""
    return project.command(sys.executable, "-m", *arguments)


def test_settings_that_are_forgotten_are_said_and_those_in_their_own_file_are_read(
    finished: Project, tmp_path: Path
) -> None:
    project = finished.copy(tmp_path / "project")
    command = "sessionscribe.cli.main"
    snakemake = ("snakemake", "-n", "--quiet", "rules", "--profile", "profiles/local")
    for asked in ((command, "status"), (command, "run", "-n"), snakemake):
        done = plain(project, *asked)
        (line,) = (line for line in done.err.splitlines() if "other settings" in line)
        assert line.startswith(f"sessionscribe: {WARNS} `tests/data/models/toy-whisper`, is `"), line
        assert line.endswith(
            "If that is not meant, give the same --configfile, or keep those settings in config/local.yaml"
        )

    text = project.settings.read_text(encoding="utf-8")
    (project / "config/local.yaml").write_text(f"merge: {{}}\nmerge: {{}}\n{text}")
    for asked in ((command, "status"), snakemake):
        done = plain(project, *asked)
        assert done.code != 0
        assert "config/local.yaml, line 2: is not YAML (the key `merge` occurs twice)" in done.text

    project.settings.rename(project / "config/local.yaml")
    done = plain(project, command, "status")
    assert done.out.count("complete  complete") == 3, done.text
    assert done.err == ""
    for asked in ((command, "run", "-n"), snakemake):
        done = plain(project, *asked)
        assert "other settings" not in done.err
        assert "transcribe_chunk" not in done.text
    assert plain(project, command, "find").out.startswith("Nothing to do.")
    assert "no sizes of the files differ" in plain(project, command, "verify", "--quick").out

    other = ("--config", "merge={segment_gap_s: 2.5}")  # over all files, for every command
    assert plain(project, command, "status", *other).out.count(" transcribing") == 3
    done = plain(project, command, "run", "duo", "-n", *other)
    assert "Reasons:" not in done.text
    assert "merge.segment_gap_s was `1.0`, is `2.5`" in done.err
    assert re.search(r"^merge_transcript +1$", done.out, re.MULTILINE), done.text

    (project / "config/sessions.tsv").unlink()  # as before anything was added
    for asked in ((command, "run", "-n"), snakemake):
        assert "No sessions yet. Add recordings with `sessionscribe add" in plain(project, *asked).err
