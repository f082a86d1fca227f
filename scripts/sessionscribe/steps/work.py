"""What there is to do: a step is one job, a folder very many alike, and a ledger all of a session's.

A step's key is the fingerprint of all that determines its outputs, so that "stale" and "missing" are the same
question. An archive has very many steps and few of them are to be done: what a job is told is put together
only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sessionscribe.manifest import Session

STAGES = {
    "ingest": ("fetch_recording",),
    "convert": ("convert_audio",),
    "chunk": ("plan_chunks", "build_timeline"),
    "transcribe": ("detect_language", "transcribe_chunk"),
    "merge": ("merge_transcript",),
    "diarize": ("embed_chunk", "cluster_speakers", "assign_speakers"),
    "name": ("embed_voice", "name_speakers"),
    "audit": ("audit_session",),
    "correct": ("correct_transcript",),
    "export": ("write_export",),
}
STAGE_OF = {rule: stage for stage, rules in STAGES.items() for rule in rules}
Options = Mapping[str, Any]  # settings as plain values


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """What one job does for a session.

    ``record`` is the job's provenance file; it is empty where the outputs' own name holds the key. When
    something of ``needs`` is redone, this step is too; all else that it reads only has to be there (it is the
    same whenever it is made, because its key is in ours). ``model`` is the one that the job loads, if any.
    """

    rule: str
    session: str
    outputs: tuple[str, ...]
    key: str
    tell: Callable[[], dict[str, Any]]
    record: str = ""
    needs: tuple[Step | Folder, ...] = ()
    model: str = ""

    @property
    def stage(self) -> str:
        """The stage word of this step."""
        return STAGE_OF[self.rule]

    @property
    def task(self) -> dict[str, Any]:
        """What the job is told."""
        return {"session": self.session, "key": self.key, **self.tell()}


@dataclass(frozen=True, eq=False, slots=True)
class Folder:
    """Steps of one rule that make one file each, in a folder (``path``) named by the key that they share.

    The names of the files are known before anything ran, and one listing tells which are there. What depends
    on them is in the key, so that nothing but a missing or broken file makes one of them due.
    """

    rule: str
    session: str
    path: str
    key: str
    names: tuple[str, ...]
    tell: Callable[[str], dict[str, Any]]
    model: str = ""

    def outputs(self) -> list[str]:
        """Return the paths of all its files, in order; the same list each time, while it is in use."""
        return _paths(self.path, self.names)

    def step(self, name: str) -> Step:
        """Return the step that makes the file ``name``."""
        tell = self.tell
        outputs = (f"{self.path}/{name}",)
        return Step(self.rule, self.session, outputs, self.key, lambda: tell(name), model=self.model)


def told(works: Iterable[Step | Folder]) -> dict[str, dict[str, Any]]:
    """Return the settings that jobs are told, by stage; of jobs that are alike, the first one's.

    On which device and how many at once they work is left out: it is no matter of the result.
    """
    found: dict[str, dict[str, Any]] = {}
    for work in works:
        step = work if isinstance(work, Step) else work.step(work.names[0]) if work.names else None
        for name, value in (step.task.get("options", {}) if step else {}).items():
            if step and name not in ("device", "batch_size"):
                found.setdefault(step.stage, {}).setdefault(name, value)
    return found


def record_of(session: str, rule: str, name: str = "") -> str:
    """Return the provenance file of a job; ``name`` tells it from others of its rule in the session."""
    return f"results/provenance/{session}/{rule}{name}.json"


@lru_cache(maxsize=64)  # not more: of every session of an archive they would be tens of megabytes
def _paths(folder: str, names: tuple[str, ...]) -> list[str]:
    return [f"{folder}/{name}" for name in names]


def files(work: Step | Folder) -> Sequence[str]:
    """Return the paths of all that a step or the steps of a folder make."""
    return work.outputs() if isinstance(work, Folder) else work.outputs


class Ledger:
    """The steps of one session, in an order in which each comes after those that it needs.

    Args:
        session: its rows of the manifest.
        options: all settings as plain values.
    """

    def __init__(self, session: Session, options: Options) -> None:
        self.session, self.options = session, options
        self.works: list[Step | Folder] = []

    def add(
        self,
        rule: str,
        name: str,
        outputs: tuple[str, ...],
        key: str,
        tell: Callable[[], dict[str, Any]],
        *,
        needs: tuple[Step | Folder, ...] = (),
        model: str = "",
    ) -> Step:
        """Note a step; ``name`` tells its record from those of the rule's other steps in the session."""
        record = record_of(self.session.name, rule, name)
        step = Step(rule, self.session.name, outputs, key, tell, record, needs, model)
        self.works.append(step)
        return step

    def add_folder(
        self,
        rule: str,
        path: str,
        key: str,
        names: tuple[str, ...],
        tell: Callable[[str], dict[str, Any]],
        *,
        model: str = "",
    ) -> Folder:
        """Note the steps that make ``names`` in the folder ``path``, which is named by their key."""
        folder = Folder(rule, self.session.name, path, key, names, tell, model)
        self.works.append(folder)
        return folder

    def __iter__(self) -> Iterator[Step]:
        """Yield every step in order."""
        for work in self.works:
            if isinstance(work, Folder):
                yield from map(work.step, work.names)
            else:
                yield work

    def find(self, path: str) -> Step | None:
        """Return the step that makes ``path``, if it is one of this session's files."""
        folder, _, name = path.rpartition("/")
        for work in self.works:
            if isinstance(work, Folder):
                if work.path == folder and name in work.names:
                    return work.step(name)
            elif path in work.outputs or path == work.record:
                return work
        return None
