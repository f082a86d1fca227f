"""The steps that lead from a session's recordings to its exports: their files, keys and order.

A step is one job; a folder stands for very many jobs that are alike. A step states once what it reads, what
its settings are and what it makes. Its key is the fingerprint of everything that determines its outputs, so
that "stale" means "missing". Nothing here looks at results; ``plan`` does. The modules define the steps of
the stages, and ``session`` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from sessionscribe.manifest.manifest import Session

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
    "export": ("draw_waveform", "write_export"),
}
LAST = {stage: rules[-1:] for stage, rules in STAGES.items()} | {
    "chunk": STAGES["chunk"],
    "transcribe": ("build_timeline", "transcribe_chunk"),
}
"""What to stop at, so that a stage is done: nothing is started behind a rule of ``--until``."""
STAGE_OF = {rule: stage for stage, rules in STAGES.items() for rule in rules}
Options = Mapping[str, Any]  # settings as plain values
NOTHING: Options = MappingProxyType({})


class Output(NamedTuple):
    """One of a step's outputs."""

    step: Step
    path: str


class Listed(NamedTuple):
    """A folder of very many files: a job waits for those that this run makes and finds the others itself.

    To Snakemake each file of a finished archive would cost memory and time; so the job's settings name the
    folder, and the plans of the tracks say what is in it.
    """

    folder: Folder


Inputs = Mapping[str, Any]
"""By name a source or a list of them: a ``Step``, ``Output``, ``Folder`` or ``Listed``, which when redone
redoes this step, or the path of a file that only has to be there."""


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """What one job does for a session.

    Attributes:
        rule: the rule of the job.
        session: the session that it is about.
        name: what its settings and its record are called: the rule, and the track if it is about one.
        inputs: what the job reads, by name. When a step or a folder among them is redone, this step is too; a
            file given by its path only has to be there: it is the same whenever it is made, because its key
            is in ours.
        outputs: the files that it makes.
        key: names all that determines the outputs.
        options: what the job is told of that; written to its settings file.
        machine: what it is told that does not matter to the outputs: how to read, where models are.
        model: the one that the job loads, if any.
        keyed: the outputs' folder is named by the key, so that they need neither settings file nor record.
    """

    rule: str
    session: str
    name: str
    inputs: Inputs
    outputs: tuple[str, ...]
    key: str
    options: Options | Callable[[], Options]
    machine: Options
    model: str = ""
    keyed: bool = False

    @property
    def stage(self) -> str:
        """The stage word of this step."""
        return STAGE_OF[self.rule]

    @property
    def settings(self) -> dict[str, Any]:
        """The job's settings."""
        options = self.options() if callable(self.options) else self.options
        return {"session": self.session, "rule": self.rule, "key": self.key, **options}

    @property
    def settings_file(self) -> str:
        """The input file whose name contains the key: with other settings, it is missing."""
        return settings_file(self.session, self.name, self.key)

    @property
    def record(self) -> str:
        """The provenance file; empty if there is none."""
        return "" if self.keyed else record_of(self.session, self.name)

    @property
    def needs(self) -> Iterator[Step | Folder]:
        """The steps and folders that, when redone, redo this step."""
        for source in sources(self.inputs):
            if isinstance(source, Step | Folder):
                yield source
            elif not isinstance(source, str):
                yield source[0]

    def output(self, index: int) -> Output:
        """Return one of its outputs, to be another step's input."""
        return Output(self, self.outputs[index])


@dataclass(frozen=True, eq=False, slots=True)
class Folder:
    """Steps of one rule that make one file each, in a folder (``path``) named by the key that they share.

    The names of the files are known before anything ran, and one listing tells which are there. What depends
    on them is in the key, so that nothing but a missing file makes one of them due. ``inputs`` and
    ``options`` return those of a file's step; ``pattern`` is a file's name with the wildcards of the rule.
    """

    rule: str
    session: str
    path: str
    key: str
    names: tuple[str, ...]
    pattern: str
    inputs: Callable[[str], Inputs]
    options: Callable[[str], Options]
    model: str = ""

    def outputs(self) -> list[str]:
        """Return the paths of all its files, in order; the same list each time, while it is in use."""
        return _paths(self.path, self.names)

    def step(self, name: str) -> Step:
        """Return the step that makes the file ``name``."""
        return Step(
            self.rule,
            self.session,
            name,
            self.inputs(name),
            (f"{self.path}/{name}",),
            self.key,
            lambda: self.options(name),
            NOTHING,
            model=self.model,
            keyed=True,
        )


def sources(inputs: Inputs) -> Iterator[Any]:
    """Yield every source among a step's inputs."""
    for value in inputs.values():
        if isinstance(value, list):
            yield from value
        else:
            yield value


def paths(source: Any) -> Sequence[str]:
    """Return the files of a source."""
    if isinstance(source, str):
        return (source,)
    if isinstance(source, Step):
        return source.outputs[:1]
    if isinstance(source, Output):
        return (source.path,)
    return (source.folder if isinstance(source, Listed) else source).outputs()


def settings_file(session: str, name: str, key: str) -> str:
    """Return the file of the settings that a step has under a key."""
    return f"results/settings/{session}/{name}.{key}.json"


def record_of(session: str, name: str) -> str:
    """Return the provenance file of a step."""
    return f"results/provenance/{session}/{name}.json"


def told(works: Iterable[Step | Folder]) -> dict[str, dict[str, Any]]:
    """Return the settings of jobs by stage; of similar jobs, those of the first.

    On which device and how many at once they work is left out: it is no matter of the result.
    """
    found: dict[str, dict[str, Any]] = {}
    for work in works:
        step = work if isinstance(work, Step) else work.step(work.names[0]) if work.names else None
        for name, value in (step.settings.get("options", {}) if step else {}).items():
            if step and name not in ("device", "batch_size"):
                found.setdefault(step.stage, {}).setdefault(name, value)
    return found


@lru_cache(maxsize=8)  # not more: those of every session of an archive would take tens of megabytes
def _paths(folder: str, names: tuple[str, ...]) -> list[str]:
    return [f"{folder}/{name}" for name in names]


def files(work: Step | Folder) -> Sequence[str]:
    """Return the paths of all that a step or the steps of a folder make."""
    return work.outputs() if isinstance(work, Folder) else work.outputs


class SessionSteps:
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
        inputs: Inputs,
        outputs: tuple[str, ...],
        key: str,
        options: Options | Callable[[], Options],
        *,
        track: str = "",
        machine: Options = NOTHING,
        model: str = "",
    ) -> Step:
        """Note a step; ``track`` tells it from the rule's other steps in the session."""
        name = f"{rule}.{track}" if track else rule
        step = Step(rule, self.session.name, name, inputs, outputs, key, options, machine, model)
        self.works.append(step)
        return step

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
