"""The cost of other machines by runner and by session, for ``sessionscribe status --cost``."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sessionscribe.core.errors import UserError
from sessionscribe.core.text import aligned

PRICES = Path("config/prices.yaml")


class Price(BaseModel):
    """The price of certain machines; ``runner``, ``machine`` and ``accelerator`` are patterns with ``*``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runner: str
    machine: str = "*"
    accelerator: str = "*"
    per_hour: float = Field(ge=0, allow_inf_nan=False)
    currency: str
    date: datetime.date
    source: str


@dataclass
class Sum:
    """Totals: times in seconds, of which ``unpriced_s`` have no known price, and cost by currency."""

    wall_s: float = 0.0
    busy_s: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0
    audio_s: float = 0.0
    unpriced_s: float = 0.0
    cost: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def read_prices(path: Path) -> list[Price]:
    """Return the prices of a file; none if it does not exist.

    Raises:
        UserError: the file has another format.
    """
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(list[Price]).validate_python(given or [])
    except FileNotFoundError:
        return []
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        hint = "Each entry has runner, machine or accelerator, per_hour, currency, date and source"
        raise UserError(f"cannot be understood ({reason})", where=path, hint=hint) from None


def known_prices(path: Path) -> list[Price]:
    """Return the prices of a file; none if it cannot be read, which `status --cost` reports."""
    try:
        return read_prices(path)
    except (UserError, OSError):
        return []


def price_of(record: dict[str, Any], prices: Iterable[Price]) -> Price | None:
    """Return the price that a record contains, or else the first one that matches it."""
    if record.get("price"):
        return Price.model_validate(record["price"])
    for price in prices:
        patterns = {"runner": price.runner, "machine": price.machine, "accelerator": price.accelerator}
        if all(fnmatchcase(record.get(name, ""), pattern) for name, pattern in patterns.items()):
            return price
    return None


def money(cost: Mapping[str, float]) -> str:
    """Return amounts by currency as text."""
    return " + ".join(f"{amount:.2f} {currency}" for currency, amount in sorted(cost.items()))


def sum_up(
    records: Iterable[dict[str, Any]],
    prices: list[Price],
    key: Callable[[dict[str, Any]], str] = itemgetter("runner"),
) -> tuple[dict[str, Sum], dict[str, Sum]]:
    """Return totals by runner (or by whatever ``key`` returns for a record), and by session.

    Sessions share the time of a connection, including idle time, in proportion to the time of their jobs.
    """
    runners: dict[str, Sum] = defaultdict(Sum)
    sessions: dict[str, Sum] = defaultdict(Sum)
    for record in records:
        price = price_of(record, prices)
        seconds = {
            name: sum(done["seconds"] for done in rules.values()) for name, rules in record["work"].items()
        }
        shares = {name: spent / sum(seconds.values()) for name, spent in seconds.items() if spent}
        parts = [(runners[key(record)], 1.0), *((sessions[name], part) for name, part in shares.items())]
        for total, share in parts:
            total.wall_s += record["wall_s"] * share
            total.busy_s += record["busy_s"] * share
            total.bytes_up += round(record["bytes_up"] * share)
            total.bytes_down += round(record["bytes_down"] * share)
            if price:
                total.cost[price.currency] += price.per_hour * record["wall_s"] * share / 3600
            else:
                total.unpriced_s += record["wall_s"] * share
        for name, rules in record["work"].items():
            heard = rules.get("transcribe_chunk", {}).get("audio_s", 0.0)
            sessions[name].audio_s += heard
            runners[key(record)].audio_s += heard
    return dict(runners), dict(sessions)


def cost_on(day: str, records: Iterable[dict[str, Any]], prices: list[Price]) -> dict[str, float]:
    """Return the cost, by currency, of machines that were released on a day or in a month.

    Args:
        day: ``YYYY-MM-DD`` or ``YYYY-MM``, in UTC.
        records: the usage log.
        prices: prices for records that contain none.
    """
    released = (record for record in records if record["stop"].startswith(day))
    totals, _ = sum_up(released, prices, key=lambda _: day)
    return dict(totals[day].cost) if totals else {}


def figures(records: list[dict[str, Any]], prices: list[Price]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the totals of ``runners`` and ``sessions`` as plain values, with the fields of ``Sum``."""
    runners, sessions = sum_up(records, prices)
    return {
        kind: {name: {**vars(total), "cost": dict(total.cost)} for name, total in sums.items()}
        for kind, sums in (("runners", runners), ("sessions", sessions))
    }


def table(records: list[dict[str, Any]], prices: list[Price]) -> str:
    """Return the totals as a table of text."""
    if not records:
        return "No other machine has been used yet."
    runners, sessions = sum_up(records, prices)
    rows: list[tuple[str, ...]] = [
        ("runner", "hours", "busy", "MB up", "MB down", "audio h", "cost", "per audio h")
    ]
    rows += [_row(name, total) for name, total in sorted(runners.items())]
    rows += [("", *[""] * 7), ("session", *rows[0][1:])]
    rows += [_row(name or "(all)", total) for name, total in sorted(sessions.items())]
    lines = aligned(rows)
    unpriced = sum(total.unpriced_s for total in runners.values())
    if unpriced:
        lines += ["", f"{unpriced / 3600:.2f} h have no price: add one to config/prices.yaml"]
    return "\n".join(lines)


def _row(name: str, total: Sum) -> tuple[str, ...]:
    hours, busy = total.wall_s / 3600, total.busy_s / total.wall_s if total.wall_s else 0.0
    cost = money(total.cost) or "?"
    audio_h = total.audio_s / 3600
    per_hour = [f"{amount / audio_h:.3f} {unit}" for unit, amount in sorted(total.cost.items()) if audio_h]
    moved = (f"{total.bytes_up / 1e6:.1f}", f"{total.bytes_down / 1e6:.1f}")
    return name, f"{hours:.2f}", f"{busy:.0%}", *moved, f"{audio_h:.2f}", cost, " + ".join(per_hour) or "-"
