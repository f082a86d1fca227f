"""Writes the tables of docs/records.md: the meaning of each field of each file, from the models' docstrings.

Run as ``python docs/records.py`` (``make docs``); a test compares the tables with the models.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

from sessionscribe import artifacts
from sessionscribe.artifacts.base import Artifact, Part, SessionArtifact
from sessionscribe.core.files import write_text

PAGE = Path(__file__).with_suffix(".md")
COMMON = {
    "session": "The session",
    "track": "The track",
    "layout": "`recording`, `multitrack` or `live`",
    "start": "Seconds",
    "end": "Seconds",
    "stop": "The sample after the last",
    "duration_s": "The length",
    "samples": "The length, in samples",
    "gaps": "Missing audio",
    "missing": "Missing audio",
    "engines": "The engines that decoded the words",
    "diarization": "The diarization pipeline; `off` if there is none",
    "settings": "The settings of all jobs, by stage",
    "versions": "The versions of packages and of this program, with a checksum of its files",
    "removed": "Text that the engine or a hallucination filter removed",
    "redecoded": "Speech that was decoded twice",
    "unused_prompt": "Hotwords that did not fit into the prompt",
    "probability": "The model's probability",
    "checksum": "The SHA-256 of the content",
    "text": "The text",
    "words": "The words",
    "language": "The language of most words",
    "speaker": "The label",
    "speakers": "The labels",
    "model": "The pipeline",
    "made": "The recordings, models, settings and versions that determined it",
    "size": "The size, in bytes",
    "sha256": "The SHA-256 of the content",
    "rule": "The rule of the job",
    "output": "The first output of the job",
    "flags": "Warnings",
}
"""The meaning of fields without a docstring."""
NUMBERS = {
    "start": "The first sample",
    "channels": "The number of channels",
    "chunks": "The number of chunks",
    "speakers": "The number of speakers",
    "windows": "The number of windows",
    "words": "The number of words",
}
"""The same for integers."""


def models() -> dict[str, type[Part]]:
    """Return all artifacts and parts by name, in the order of the code."""
    modules = [
        import_module(f"{artifacts.__name__}.{found.name}") for found in iter_modules(artifacts.__path__)
    ]
    found = {
        name: model
        for module in modules
        for name, model in vars(module).items()
        if isinstance(model, type) and issubclass(model, Part) and model.__module__ == module.__name__
        if model not in (Part, Artifact, SessionArtifact)
    }
    for model in found.values():
        model.model_rebuild()  # some refer to models defined below them
    return found


def documented(page: str) -> str:
    """Return the page with updated tables."""

    def renewed(mark: re.Match[str]) -> str:
        table = _parts() if mark[2] == "the parts" else _fields(models()[mark[2]])
        return f"{mark[1]}\n{table}\n"

    return re.sub(r"(<!-- fields of ([\w ]+) -->)\n(?:\|.*\n)*", renewed, page)


def _fields(model: type[Part]) -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in _meanings(model)]
    return "\n".join(["| Field | Meaning |", "|---|---|", *rows])


def _parts() -> str:
    rows = []
    for name, model in models().items():
        if not issubclass(model, Artifact):
            base = model.__base__
            own = [] if base is Part or base is None else [f"the fields of `{base.__name__}`"]
            own += [": ".join(filter(None, (f"`{field}`", meaning))) for field, meaning in _meanings(model)]
            rows.append(f"| `{name}` | {'; '.join(own)} |")
    return "\n".join(["| Part | Fields |", "|---|---|", *rows])


def _meanings(model: type[Part]) -> Iterator[tuple[str, str]]:
    """Yield the fields of an artifact, or the own fields of a part, with their meanings."""
    docstrings = dict(_docstrings(model))
    for name, field in model.model_fields.items():
        if name == "schema_version" or (
            name not in model.__annotations__ and not issubclass(model, Artifact)
        ):
            continue
        common = NUMBERS if field.annotation is int and name in NUMBERS else COMMON
        meaning = (docstrings.get(name) or common.get(name, "")).removesuffix(".").replace("|", "\\|")
        if not meaning[:2].isupper():
            meaning = meaning[:1].lower() + meaning[1:]
        links = ", ".join(
            f"[`{part.__name__}`](#{part.__name__.lower() if issubclass(part, Artifact) else 'parts'})"
            for part in dict.fromkeys(_parts_in(field.annotation))
        )
        yield name, ": ".join(filter(None, (meaning, links)))


def _docstrings(model: type[Part]) -> Iterator[tuple[str, str]]:
    """Yield the docstrings below a model's fields (pydantic would parse them whenever a program starts)."""
    for base in reversed(model.__mro__[: model.__mro__.index(Part)]):
        for definition in ast.parse(inspect.getsource(base)).body:
            assert isinstance(definition, ast.ClassDef)
            for field, below in pairwise(definition.body):
                match field, below:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                        value=ast.Constant(value=str(text))
                    ):
                        yield name, inspect.cleandoc(text)


def _parts_in(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts_in(inner)


def main() -> None:
    """Write the page."""
    write_text(PAGE, documented(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
