"""Save the results of a run elsewhere while it works: parts that are written once, and its status."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sessionscribe.artifacts.bundle import SessionBundle
from sessionscribe.config.settings import Config
from sessionscribe.core.files import write_text
from sessionscribe.planning import status
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.status import RunStatus
from sessionscribe.sharing.bundle import DIGESTS, write_bundle
from sessionscribe.sharing.places import SCRATCH, Place

STATUS = "status.json"
_PART = re.compile(r"\.part-(\d+)-")


class Saves:
    """Writes new results of a run to a place, each time as a part with a new number.

    Parts are never overwritten, so if the machine disappears, a half-written part harms no other.
    ``import`` of the place puts them together. ``settings`` returns the settings, with the sessions of the
    run; what bundles in the places ``since`` contain is not saved again.
    """

    def __init__(
        self, settings: Callable[[], Config], place: Place, root: Path, since: Sequence[Place] = ()
    ) -> None:
        self._settings, self._place, self._root = settings, place, root
        self._began: tuple[float, int] | None = None
        there = place.contents()
        self._known = _contents(there)
        for other in since:
            self._known |= _contents(other.contents())
        numbers = [int(match[1]) for name in there if (match := _PART.search(name))]
        self._number = max(numbers, default=0)
        self.bundles: list[str] = []
        """The names of the saved bundles."""

    def save(self) -> int:
        """Save what is new, and the status; return the number of bundles.

        Raises:
            UserError, OSError: the place cannot be written, or a result is damaged. Call it again.
        """
        config = self._settings()
        plan = Plan(config, self._root)
        folder, before = self._root / SCRATCH / "saves", len(self.bundles)
        shutil.rmtree(folder, ignore_errors=True)  # a killed run's
        for session in plan.sessions.values():
            found = write_bundle(
                session,
                config,
                folder,
                root=self._root,
                kind="part",
                known=self._known,
                number=self._number + 1,
            )
            if found is None:
                continue
            path, bundle = found
            self._place.put([*(path.with_name(f"{path.name}.{name}") for name in DIGESTS), path])
            self._known |= bundle.contents
            self._number += 1
            self.bundles.append(path.name)
        self._note_status(plan, folder)
        shutil.rmtree(folder, ignore_errors=True)
        return len(self.bundles) - before

    def _note_status(self, plan: Plan, folder: Path) -> None:
        rows = status.collect(plan)
        done, total = sum(row.chunks_done for row in rows), sum(row.chunks for row in rows)
        self._began = self._began or (time.monotonic(), done)
        began, before = self._began
        rate = (done - before) / (time.monotonic() - began) if done > before else 0
        eta_s = (total - done) / rate if rate else None
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_text(
            folder / STATUS,
            RunStatus(written_at=now, sessions=rows, eta_s=eta_s, saves=tuple(self.bundles)).model_dump_json()
            + "\n",
        )
        self._place.put([folder / STATUS])


def _contents(bundles: dict[str, SessionBundle]) -> set[tuple[str, str]]:
    return {entry for bundle in bundles.values() for entry in bundle.contents}
