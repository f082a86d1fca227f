"""Warns before results are redone because of other settings: the user may have forgotten a settings file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sessionscribe.core.errors import SHOWN
from sessionscribe.core.text import counted, listed
from sessionscribe.planning.results import Results
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import settings_file

READ = 8
"""How many sessions are compared in detail: the differences are mostly the same in all."""
FIRST = 3
OTHER = "with other settings"
HINT = "If that is not meant, give the same --configfile, or keep those settings in config/local.yaml"


def warning(plans: Iterable[SessionPlan], results: Results) -> str | None:
    """Return a line that names the sessions whose results were made with other settings, and the settings."""
    changed = [plan for plan in plans if plan.changed]
    found: dict[str, tuple[Any, Any]] = {}
    for plan in changed[:READ]:
        for name, values in _differing(plan, results):
            found.setdefault(name, values)
    if not found:
        return None
    first = sorted(found, key=lambda name: not name.startswith("transcribe."))[:FIRST]  # the costly ones
    shown = ", ".join(f"{name} was {_shown(found[name][0])}, is {_shown(found[name][1])}" for name in first)
    more = f" and {len(found) - FIRST} more" if len(found) > FIRST else ""
    names = listed([plan.session.name for plan in changed], SHOWN)
    what = f"{counted(len(changed), 'session')} ({names}) would be made again in part {OTHER}"
    return f"{what}: {shown}{more}. {HINT}"


def _differing(plan: SessionPlan, results: Results) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the settings that were different in the last run: ``stage.name`` with the old and new value."""
    for step in plan.pending.values():
        if (key := plan.changed.get(step.name)) is None:
            continue
        before, now = results.record(settings_file(step.session, step.name, key)), step.settings
        # `assign_speakers` records the settings of all stages before it.
        recorded, made = (found.get("made", {}).get("settings", {}) for found in (before, now))
        stages = [(step.stage, before.get("options", {}), now.get("options", {}))]
        stages += [(stage, recorded.get(stage, {}), new) for stage, new in made.items()]
        for stage, old, new in stages:
            for name in new:
                # JSON has turned tuples into lists.
                if name in old and json.dumps(old[name]) != json.dumps(new[name]):
                    yield f"{stage}.{name}", (old[name], new[name])


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False).strip('"')
    return f"`{text if len(text) <= 40 else text[:39] + '…'}`"
