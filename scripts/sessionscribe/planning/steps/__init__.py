"""The steps from a session's recordings to its exports: their files, keys and order.

A step is one job; a folder stands for many similar jobs. A step states its inputs, settings and outputs. Its
key is the fingerprint of everything that determines the outputs, so what is stale is missing. The modules
define the steps of the stages, ``session`` combines them, and ``plan`` compares them with existing files.
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
"""The rules for ``--until`` with which a stage is complete."""
STAGE_OF = {rule: stage for stage, rules in STAGES.items() for rule in rules}
Options = Mapping[str, Any]
"""Settings as plain values."""
NOTHING: Options = MappingProxyType({})


class Output(NamedTuple):
    """One of a step's outputs."""

    step: Step
    path: str


class Listed(NamedTuple):
    """A folder of many files, of which a job's inputs are only those that this run makes.

    Snakemake would need memory and time for each file of a finished archive. So the job's settings name the
    folder, and it finds the existing files by the plans of the tracks.
    """

    folder: Folder


Inputs = Mapping[str, Any]
"""A source or a list of sources by name: a ``Step``, ``Output``, ``Folder`` or ``Listed``, which redoes this
step when it is redone, or the path of a file that only has to exist."""


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """What one job does for a session.

    Attributes:
        rule: the rule of the job.
        session: the name of the session.
        name: the name of its settings and record: the rule, and the track if there is one.
        inputs: what the job reads, by name. A file given by its path is always remade identically, because
            its key is part of this step's key.
        outputs: the files that it makes.
        key: the fingerprint of everything that determines the outputs.
        options: the content of its settings file.
        machine: settings that do not affect the outputs: how to read, where models are.
        model: the model that the job loads, if any.
        audio_s: the seconds of audio that the job processes, for the progress.
        keyed: the outputs' folder is named by the key, so they need neither settings file nor record.
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
    audio_s: float = 0.0
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
        """The input file whose name contains the key."""
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
        """Return one of its outputs as an input for another step."""
        return Output(self, self.outputs[index])


@dataclass(frozen=True, eq=False, slots=True)
class Folder:
    """Steps of one rule that make one file each, in a folder (``path``) named by their common key.

    The names of the files are known beforehand, and one listing shows which exist. The key covers everything
    that determines them, so only a missing file is due. ``inputs`` and ``options`` return those of a file's
    step; ``pattern`` is a file's name with the rule's wildcards. ``audio_s`` is that of all steps together,
    which count as equally long.
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
    audio_s: float = 0.0

    @property
    def outputs(self) -> Sequence[str]:
        """The paths of all files, in order."""
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
            audio_s=self.audio_s / len(self.names),
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
    return (source.folder if isinstance(source, Listed) else source).outputs


def settings_file(session: str, name: str, key: str) -> str:
    """Return the settings file of a step."""
    return f"results/settings/{session}/{name}.{key}.json"


def record_of(session: str, name: str) -> str:
    """Return the provenance file of a step."""
    return f"results/provenance/{session}/{name}.json"


def told(works: Iterable[Step | Folder]) -> dict[str, dict[str, Any]]:
    """Return the settings of jobs that affect results, by stage; of similar jobs, those of the first."""
    found: dict[str, dict[str, Any]] = {}
    for work in works:
        step = work if isinstance(work, Step) else work.step(work.names[0]) if work.names else None
        for name, value in (step.settings.get("options", {}) if step else {}).items():
            if step and name not in ("device", "batch_size"):
                found.setdefault(step.stage, {}).setdefault(name, value)
    return found


@lru_cache(maxsize=8)  # the paths of a whole archive would take tens of megabytes
def _paths(folder: str, names: tuple[str, ...]) -> list[str]:
    return [f"{folder}/{name}" for name in names]


class SessionSteps:
    """The steps of one session, each after those that it needs.

    Args:
        session: its rows of the manifest.
        options: all settings as plain values.
    """

    def __init__(self, session: Session, options: Options) -> None:
        self.session, self.options = session, options
        self.reading = {**options["ingest"], "live": session.layout == "live"}
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
        audio_s: float = 0.0,
    ) -> Step:
        """Add a step; ``track`` distinguishes the steps of a rule."""
        name = f"{rule}.{track}" if track else rule
        step = Step(rule, self.session.name, name, inputs, outputs, key, options, machine, model, audio_s)
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
        """Return the step that makes ``path``; None if no step of this session does."""
        folder, _, name = path.rpartition("/")
        for work in self.works:
            if isinstance(work, Folder):
                if work.path == folder and name in work.names:
                    return work.step(name)
            elif path in work.outputs or path == work.record:
                return work
        return None
