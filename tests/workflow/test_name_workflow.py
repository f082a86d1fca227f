"""Names: a clip out of one session names its speaker, in exports only; a table of names decides over it."""

from __future__ import annotations

from collections import Counter

from project import Project


def test_an_enrolled_voice_is_named_in_exports_only_and_the_table_decides(
    project: Project, finished: Project
) -> None:
    enrolled = project.sessionscribe("enroll", "Anna", "--session", "talk", "--speaker", "SPEAKER_00")
    assert enrolled.code == 0, enrolled.text
    # Both recordings are listened through for her; on tracks of one person each nobody listens for voices.
    wanted = Counter(check_models=1, embed_voice=1, name_speakers=2, correct_transcript=2, write_export=2)
    assert project.plan() == wanted
    done = project.sessionscribe("run")
    assert done.code == 0, done.text
    talk = (project / "results/export/talk/talk.txt").read_text(encoding="utf-8")
    assert "Anna:" in talk
    assert "SPEAKER_00" not in talk
    assert project.plan() == Counter()
    for folder in ("results/diarize", "results/merge", "results/transcribe", "results/audit"):
        assert project.results(folder) == finished.results(folder)

    (project / "config/names.tsv").write_text("session\tspeaker\tname\ntalk\tSPEAKER_00\tBo\n")
    assert project.plan() == Counter(name_speakers=1, correct_transcript=1, write_export=1)
    assert project.snakemake().code == 0
    assert "Bo:" in (project / "results/export/talk/talk.txt").read_text(encoding="utf-8")

    (project / "config/names.tsv").unlink()
    (project / "config/voices/Anna.flac").unlink()
    assert project.plan() == Counter(write_export=2)
    assert project.snakemake().code == 0
    assert project.results("results/export") == finished.results("results/export")
    assert project.results("results/correct") == {}
