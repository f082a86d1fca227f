"""The steps that lead from a session's recordings to its exports: their files, keys and order.

A step is what one job does. Its key is the fingerprint of all that determines its outputs, so that "stale"
and "missing" are the same question. Nothing here looks at results; ``agenda`` does. An archive has very many
steps and few of them are to be done: what a job is told is put together only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from sessionscribe import grid, models
from sessionscribe.chunk import chunk_count
from sessionscribe.config import Config
from sessionscribe.fingerprint import fingerprint, step_key
from sessionscribe.formats import ending, options_for
from sessionscribe.manifest import Row, Session

STAGES = {
    "ingest": ("fetch_recording",),
    "convert": ("convert_audio",),
    "chunk": ("plan_chunks", "build_timeline"),
    "transcribe": ("detect_language", "transcribe_chunk"),
    "merge": ("merge_transcript",),
    "diarize": ("embed_chunk", "cluster_speakers", "assign_speakers"),
    "export": ("write_export",),
}
# What `cluster_speakers` goes by beside what the models found.
CLUSTERING = ("num_speakers", "min_speakers", "max_speakers", "threshold")
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
        """Return the paths of all its files, in order."""
        return [f"{self.path}/{name}" for name in self.names]

    def step(self, name: str) -> Step:
        """Return the step that makes the file ``name``."""
        tell = self.tell
        outputs = (f"{self.path}/{name}",)
        return Step(self.rule, self.session, outputs, self.key, lambda: tell(name), model=self.model)


def files(work: Step | Folder) -> Sequence[str]:
    """Return the paths of all that a step or the steps of a folder make."""
    return work.outputs() if isinstance(work, Folder) else work.outputs


@dataclass(frozen=True)
class Decoder:
    """The speech model and number format that a session is transcribed with."""

    model: str
    compute_type: str
    identity: str


@dataclass(frozen=True, slots=True)
class Track:
    """A row of the manifest and the steps that prepare its audio."""

    row: Row
    converted: Step
    plan: Step
    chunks: int

    @property
    def audio(self) -> str:
        """The converted recording."""
        return self.converted.outputs[0]


def decoders(config: Config, identity: Callable[[str], str]) -> Iterator[Decoder]:
    """Yield what ``auto`` may stand for, best first; one decoder where nothing is ``auto``."""
    options = config.transcribe
    machine = models.machine_device()
    devices = (
        [options.device] if options.device != "auto" else [machine, "cpu" if machine == "cuda" else "cuda"]
    )
    seen = set()
    for device in devices:
        name = models.AUTO_MODEL[device] if options.model == "auto" else options.model
        kind = models.AUTO_COMPUTE_TYPE[device] if options.compute_type == "auto" else options.compute_type
        if (name, kind) not in seen:
            seen.add((name, kind))
            model = models.resolve(name, models.WHISPER, setting="transcribe.model")
            yield Decoder(model, kind, identity(model))


@lru_cache(maxsize=64)
def chunk_names(track: str, chunks: int, ending: str = "json") -> tuple[str, ...]:
    """Return the names of the files that a track's chunks have in a fingerprint folder."""
    return tuple(f"{track}.{index:04d}.{ending}" for index in range(chunks))


def unusable(session: Session) -> tuple[Row, ...]:
    """Return the rows that keep a session from being worked on; none where all is well."""
    rows = tuple(row for row in session.rows if not row.checksum or row.duration_s <= 0)
    return rows or (session.rows[:1] if session.problem else ())


def decoding(session: Session, options: Options, decoder: Decoder) -> dict[str, Any]:
    """Return the ``transcribe`` settings of a session: its row's over the general ones, nothing ``auto``."""
    general = options["transcribe"]
    return {
        **general,
        "model": decoder.model,
        "compute_type": decoder.compute_type,
        "language": str(session.setting("language") or general["language"]),
        "hotwords": f"{general['hotwords']} {session.setting('hotwords')}".strip(),
    }


def words_folder(session: str, words: str) -> str:
    """Return the folder of a session's chunk transcripts."""
    return f"results/transcribe/{session}/{words}"


def words_key(session: Session, options: Options, decoder: Decoder) -> str:
    """Name all that determines a session's words; "" if it cannot be worked on.

    Of a live session the parts are left out: the files' names say which they are of.
    """
    if unusable(session):
        return ""
    live = session.shape == "live"
    decoded = decoding(session, options, decoder) | {"model": decoder.identity}
    for speed_only in ("device", "batch_size"):
        del decoded[speed_only]
    return fingerprint(
        [step_key(rule) for rule in ("plan_chunks", "detect_language", "transcribe_chunk")],
        None if live else [(row.track, row.checksum, row.duration_s) for row in session.rows],
        [row.audio_stream for row in (session.rows[:1] if live else session.rows)],
        options["convert"],
        options["chunk"],
        decoded,
    )


class SessionSteps:
    """The steps of one session, in an order in which each comes after those that it needs.

    Args:
        session: its rows of the manifest.
        options: all settings as plain values.
        decoder: what transcribes it.
        words: ``words_key`` of these three.
        diarizer: the diarization pipeline (folder or hub id) and its identity.
    """

    def __init__(
        self, session: Session, options: Options, decoder: Decoder, words: str, diarizer: tuple[str, str]
    ) -> None:
        self.session, self.options, self.decoder, self.diarizer = session, options, decoder, diarizer
        self.words = words
        self.works: list[Step | Folder] = []
        if rows := unusable(session):
            # These jobs fail with one clear line, so that the session is marked and the others go on.
            for row in rows:
                self._fetch(row)
            return
        tracks = [self._track(row) for row in session.rows]
        timeline = self._timeline(tracks)
        chunks = self._transcribe(tracks)
        merged = self._merge(timeline, tracks, chunks)
        spoken = self._assign(merged, self._diarize(timeline, tracks), timeline)
        self._export(spoken)

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

    def _add(
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
        record = f"results/provenance/{self.session.name}/{rule}{name}.json"
        step = Step(rule, self.session.name, outputs, key, tell, record, needs, model)
        self.works.append(step)
        return step

    def _add_folder(
        self,
        rule: str,
        path: str,
        key: str,
        names: tuple[str, ...],
        tell: Callable[[str], dict[str, Any]],
        *,
        model: str = "",
    ) -> Folder:
        folder = Folder(rule, self.session.name, path, key, names, tell, model)
        self.works.append(folder)
        return folder

    def _fetch(self, row: Row) -> Step:
        problem = self.session.problem

        def tell() -> dict[str, Any]:
            return {
                "track": row.track,
                "source": row.source,
                "checksum": row.checksum,
                "duration_s": row.duration_s,
                "problem": problem,
            }

        output = f"results/ingest/{row.session}/{row.track}.json"
        key = step_key("fetch_recording", row.source, row.checksum, row.duration_s, problem)
        return self._add("fetch_recording", f".{row.track}", (output,), key, tell)

    def _track(self, row: Row) -> Track:
        fetched = self._fetch(row)
        converted = self._convert(fetched, row)
        chunks = 1 if row.shape == "live" else chunk_count(row.duration_s, self.options["chunk"]["target_s"])
        return Track(row, converted, self._plan(converted, row, chunks), chunks)

    def _convert(self, fetched: Step, row: Row) -> Step:
        """A recording that was moved is looked at again, and not converted again: no ``needs``."""
        options = self.options["convert"]
        if row.audio_stream is not None:
            options = {**options, "audio_stream": row.audio_stream}

        def tell() -> dict[str, Any]:
            return {"ingest": fetched.outputs[0], "options": options}

        stem = f"results/convert/{row.session}/{row.track}"
        key = step_key("convert_audio", row.checksum, options)
        return self._add("convert_audio", f".{row.track}", (f"{stem}.flac", f"{stem}.json"), key, tell)

    def _plan(self, converted: Step, row: Row, chunks: int) -> Step:
        options = self.options["chunk"]

        def tell() -> dict[str, Any]:
            return {"track": row.track, "chunks": chunks, "options": options}

        key = step_key("plan_chunks", converted.key, options, chunks)
        output = f"results/chunk/{row.session}/{row.track}.plan.json"
        return self._add("plan_chunks", f".{row.track}", (output,), key, tell, needs=(converted,))

    def _timeline(self, tracks: list[Track]) -> Step:
        rows, shape = self.session.rows, self.session.shape
        parts = [row.part for row in rows]
        speakers = [(row.speaker or row.track) if shape == "tracks" else None for row in rows]

        def tell() -> dict[str, Any]:
            return {"shape": shape, "plans": plans(tracks), "parts": parts, "speakers": speakers}

        key = step_key("build_timeline", [track.plan.key for track in tracks], parts, speakers)
        output = f"results/chunk/{self.session.name}.timeline.json"
        needs = tuple(track.plan for track in tracks)
        return self._add("build_timeline", "", (output,), key, tell, needs=needs)

    def _transcribe(self, tracks: list[Track]) -> Folder:
        options = decoding(self.session, self.options, self.decoder)
        folder = words_folder(self.session.name, self.words)
        # A live session's first parts decide: later ones must not change what is already transcribed.
        voters = tracks[:10] if self.session.shape == "live" else tracks

        def tell_language(_: str) -> dict[str, Any]:
            return {
                "plans": plans(voters),
                "audio": [track.audio for track in voters],
                "options": options,
            }

        def tell_chunk(name: str) -> dict[str, Any]:
            track, index, _ = name.split(".")
            return {
                "track": track,
                "index": int(index),
                "language": [f"{folder}/language.json"],
                "options": options,
            }

        names = tuple(name for track in tracks for name in chunk_names(track.row.track, track.chunks))
        model = self.decoder.model
        self._add_folder(
            "detect_language", folder, self.words, ("language.json",), tell_language, model=model
        )
        return self._add_folder("transcribe_chunk", folder, self.words, names, tell_chunk, model=model)

    def _merge(self, timeline: Step, tracks: list[Track], chunks: Folder) -> Step:
        options = self.options["merge"]

        def tell() -> dict[str, Any]:
            return {"options": options, "plans": plans(tracks), "chunks": chunks.outputs()}

        key = step_key("merge_transcript", self.words, timeline.key, options)
        output = f"results/merge/{self.session.name}.json"
        needs: tuple[Step | Folder, ...] = (timeline, *(track.plan for track in tracks), chunks)
        return self._add("merge_transcript", "", (output,), key, tell, needs=needs)

    def _diarize(self, timeline: Step, tracks: list[Track]) -> Step:
        options: dict[str, Any] = {}
        method, model = "tracks", ""
        embedded: Folder | None = None
        needs: tuple[Step | Folder, ...] = (timeline, *(track.plan for track in tracks))
        key = step_key("cluster_speakers", timeline.key)
        if self.session.shape != "tracks":
            embedded = self._embed(tracks)
            method, model, needs = "pyannote", self.diarizer[0], (embedded,)
            options = {**self.options["diarize"], "model": model}
            for name in ("num_speakers", "min_speakers", "max_speakers"):
                options[name] = self.session.setting(name) or options[name]
            own = {name: options[name] for name in CLUSTERING}
            key = step_key("cluster_speakers", embedded.key, embedded.names, own)

        def tell() -> dict[str, Any]:
            return {
                "embeddings": embedded.outputs() if embedded else [],
                "plans": [] if embedded else plans(tracks),
                "method": method,
                "options": options,
            }

        output = f"results/diarize/{self.session.name}.turns.json"
        return self._add("cluster_speakers", "", (output,), key, tell, needs=needs, model=model)

    def _embed(self, tracks: list[Track]) -> Folder:
        """Let the models hear the session; in its key is what matters to them.

        The parts of a live session are in the files' names instead: those of its beginning stay as it grows.
        """
        given, live = self.options["diarize"], self.session.shape == "live"
        options = {name: given[name] for name in ("device", "step", "chunk_s")} | {"model": self.diarizer[0]}
        key = step_key(
            "embed_chunk",
            None if live else [track.converted.key for track in tracks],
            {**options, "model": self.diarizer[1], "device": None},
        )

        def tell(name: str) -> dict[str, Any]:
            stem = name.removesuffix(".npz")
            stretch = next(found for found in stretches(tracks, given["chunk_s"]) if found.name == stem)
            audio = {track.row.track: track.audio for track in tracks}
            return {
                "stretch": asdict(stretch) | {"tracks": list(stretch.tracks)},
                "audio": [audio[track] for track in stretch.tracks],
                "options": options,
            }

        names = stretch_files(tracks, given["chunk_s"])
        folder = f"results/diarize/{self.session.name}/{key}"
        return self._add_folder("embed_chunk", folder, key, names, tell, model=self.diarizer[0])

    def _assign(self, merged: Step, turns: Step, timeline: Step) -> Step:
        def tell() -> dict[str, Any]:
            return {"turns": [turns.outputs[0]]}

        key = step_key("assign_speakers", merged.key, turns.key)
        output = f"results/diarize/{self.session.name}.json"
        return self._add("assign_speakers", "", (output,), key, tell, needs=(merged, turns, timeline))

    def _export(self, spoken: Step) -> None:
        given = self.options["export"]
        formats = list(dict.fromkeys(given["formats"]))
        options = options_for(formats, given)

        def tell() -> dict[str, Any]:
            return {"options": options, "formats": formats}

        key = step_key("write_export", spoken.key, options)  # which formats there are, the record says
        stem = f"results/export/{self.session.name}/{self.session.name}"
        outputs = tuple(f"{stem}.{ending(name)}" for name in formats)
        self._add("write_export", "", outputs, key, tell, needs=(spoken,))


def stretches(tracks: list[Track], chunk_s: float) -> list[grid.Stretch]:
    """Return the stretches of a session that diarization looks at one by one."""
    if tracks[0].row.shape != "live":
        return grid.of_recording(tracks[0].row.track, tracks[0].row.duration_s, chunk_s)
    parts = [grid.Part(t.row.track, t.row.part, t.row.duration_s, t.converted.key) for t in tracks]
    return grid.of_live(parts, chunk_s)


def stretch_files(tracks: list[Track], chunk_s: float) -> tuple[str, ...]:
    """Return the names of the files of these stretches."""
    if tracks[0].row.shape != "live":
        return recording_files(chunk_count(tracks[0].row.duration_s, chunk_s))
    return tuple(f"{stretch.name}.npz" for stretch in stretches(tracks, chunk_s))


@lru_cache(maxsize=64)
def recording_files(count: int) -> tuple[str, ...]:
    """Return the names of the files of a recording's stretches."""
    return tuple(f"{name}.npz" for name in grid.recording_names(count))


def plans(tracks: list[Track]) -> list[str]:
    """Return the files of the tracks' plans."""
    return [track.plan.outputs[0] for track in tracks]
