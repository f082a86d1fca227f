"""The exports that follow edits on pages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sessionscribe.web.exports import Exports


class Project:
    """A plan, and runs that begin unless one is at work."""

    def __init__(self, **pending: list[bool]) -> None:
        steps = {name: [SimpleNamespace(model=model) for model in found] for name, found in pending.items()}
        self.sessions: dict[str, Any] = {
            name: SimpleNamespace(pending=dict(enumerate(found))) for name, found in steps.items()
        }
        self.busy, self.started = False, list[tuple[list[str], str]]()

    def plan(self) -> Any:
        return self

    def run(self, sessions: list[str], stage: str) -> bool:
        if not self.busy:
            self.started.append((sessions, stage))
        return not self.busy


def test_they_follow_the_last_edit_when_no_run_is_at_work_and_never_with_a_model() -> None:
    project: Any = Project(talk=[False], duo=[False], live=[True, False], same=[])
    exports = Exports(project, project)
    for name in ("talk", "duo", "live", "same"):
        exports.follow(name)
    exports.write(edited_before=0)
    assert project.started == []
    project.busy = True
    exports.write()
    project.busy = False
    exports.write()
    exports.write()
    assert project.started == [(["talk", "duo"], "export")]
