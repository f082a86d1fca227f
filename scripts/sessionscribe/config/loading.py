"""Reads settings files and checks them; every error is one line that names the file or the setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, meant, visible

LISTED = "docs/configuration.md lists all settings"
SECTION = ("should have settings below it", "Write it so: {name: value}")
PROBLEMS = {
    "string_type": ("should be text", "Put it in quotes"),
    "tuple_type": ("should be a list", "Write it so: [one, two]"),
    "float_parsing": ("should be a number", LISTED),
    "int_parsing": ("should be a whole number", LISTED),
    "missing": ("is missing", LISTED),
    "model_type": SECTION,
    "dict_type": SECTION,
}
"""Problem and hint for pydantic's types of errors."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that occurs twice in a section; PyYAML would silently keep the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"the key `{key.value}` occurs twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Refuse a number that YAML reads otherwise than people: ``1:30`` in base 60, ``010`` in base 8."""
        construct = self.construct_yaml_int if node.tag.endswith("int") else self.construct_yaml_float
        number: float = construct(node)
        if re.match(r"[-+]?0\d|.*:", node.value):
            problem = f"`{node.value}` would be read as {number}"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
        return number


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)


def load(paths: Iterable[Path], overrides: Mapping[str, Any] | None = None) -> Config:
    """Return the settings of YAML files: later ones override earlier ones, and ``overrides`` all of them."""
    values: dict[str, Any] = {}
    for layer in [*map(read, paths), overrides or {}]:
        values = _merged(values, layer)
    return validate(values)


def read(path: Path) -> dict[str, Any]:
    """Return the settings in a YAML file as they are written there.

    Raises:
        UserError: there is no such file, it is not valid YAML, or a key occurs twice.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except FileNotFoundError as error:
        hint = "Check its name (--configfile, or `configfile` in the profile)"
        raise UserError("does not exist", where=path, hint=hint) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        what = f"is not YAML ({error.problem})"
        raise UserError(what, where=f"{path}, line {line}", hint="Correct the file") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        what = f"cannot be read ({' '.join(str(error).split())})"
        raise UserError(what, where=path, hint="Save it as UTF-8 text") from error
    if not isinstance(found, dict):
        raise UserError("contains no settings (`key: value`)", where=path, hint="Correct the file")
    return found


def validate(values: Mapping[str, Any]) -> Config:
    """Return settings with defaults for all that ``values``, as read from YAML, does not contain.

    Raises:
        UserError: a key is unknown (the most similar one is named), or a value is of the wrong kind.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        problem = error.errors()[0]
        place = [str(part) for part in problem["loc"]]
        where = f"configuration: {'.'.join(place)}"
        if problem["type"] == "extra_forbidden":
            raise UserError("there is no such setting", where=where, hint=_nearest(place)) from None
        reason = problem["msg"].removeprefix("Value error, ").replace("Input should", "should")
        what, hint = PROBLEMS.get(problem["type"], (reason, LISTED))
        given = "" if isinstance(problem["input"], dict) else f" (it is `{visible(str(problem['input']))}`)"
        raise UserError(f"{what}{given}", where=where, hint=hint) from None


def _nearest(place: list[str]) -> str:
    model: Any = Config
    for part in place[:-1]:
        model = get_args(model)[0] if part.isdecimal() else model.model_fields[part].annotation
    return meant(place[-1], model.model_fields)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` overridden by ``above``, section by section, as Snakemake does it."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
