"""Writes the files that are derived from the settings' models; run by ``make docs``.

These are the JSON schema, the table in docs/configuration.md and config/config.yaml. A test compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sessionscribe.config.settings import Config
from sessionscribe.core.files import write_text

SCHEMA = Path("config/config.schema.json")
TABLE = Path("docs/configuration.md")
DEFAULTS = Path("config/config.yaml")
BEGIN, END = "<!-- settings: made by `make docs` -->", "<!-- end of settings -->"


def schema() -> str:
    """Return the JSON schema of the settings."""
    return json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def table() -> str:
    """Return the Markdown table of all settings."""
    lines = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for path, _, field in _leaves(Config):
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{'.'.join(path)}` | `{_yaml(field)}` | {meaning} |")
    return "\n".join(lines) + "\n"


def defaults() -> str:
    """Return the default settings file: every setting with its meaning above it."""
    lines = [
        "# The settings of sessionscribe, each with its default; docs/configuration.md has them as a table.",
        "# Unknown keys are refused. Settings in another file go over these: --configfile FILE.",
        "",
    ]
    open_sections: tuple[str, ...] = ()
    for path, section, field in _leaves(Config):
        for depth, name in enumerate(path[:-1]):
            if open_sections[: depth + 1] != path[: depth + 1]:
                lines += ["", f"{'  ' * depth}# {section[depth]}", f"{'  ' * depth}{name}:"]
        open_sections = path[:-1]
        indent = "  " * (len(path) - 1)
        lines += [f"{indent}# {field.description}", f"{indent}{path[-1]}: {_yaml(field)}"]
    return "\n".join(lines) + "\n"


def documented(text: str) -> str:
    """Return a document with a new table between its two marks."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table()}\n{END}{tail}"


def _leaves(
    model: type[BaseModel], path: tuple[str, ...] = (), sections: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            text = (kind.__doc__ or "").strip().splitlines()[0]
            yield from _leaves(kind, (*path, name), (*sections, text))
        else:
            yield (*path, name), sections, field


def _yaml(field: FieldInfo) -> str:
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9).strip()
    return text.removesuffix("\n...").removesuffix("...").strip()


def main() -> None:
    """Write the three files."""
    write_text(SCHEMA, schema())
    write_text(DEFAULTS, defaults())
    write_text(TABLE, documented(TABLE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
