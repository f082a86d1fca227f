"""What machines cost: shared among sessions by their work, and never guessed."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sessionscribe.core.errors import UserError
from sessionscribe.runners.costs import (
    Price,
    cost_on,
    figures,
    price_of,
    read_prices,
    sum_up,
    table,
)
from sessionscribe.runners.usage_log import USAGE_LOG, Entry, read_usage

ROOT = Path(__file__).parents[2]


def record(runner: str = "ec2:box", accelerator: str = "NVIDIA A10G", **work: Any) -> dict[str, Any]:
    sessions = {
        name: {"transcribe_chunk": {"jobs": 1, "seconds": seconds, "audio_s": audio_s}}
        for name, (seconds, audio_s) in work.items()
    }
    about = {"runner": runner, "accelerator": accelerator, "wall_s": 7200.0, "busy_s": 3600.0}
    return {**about, "bytes_up": 10_000_000, "bytes_down": 1_000_000, "work": sessions}


def price(runner: str, accelerator: str, per_hour: float) -> Price:
    date = datetime.date(2026, 1, 1)
    return Price(
        runner=runner, accelerator=accelerator, per_hour=per_hour, currency="USD", date=date, source="a list"
    )


PRICES = [price("ec2:*", "*A10G*", 1.5), price("ssh:*", "*", 0.0)]


def test_sessions_share_the_cost_by_their_work() -> None:
    runners, sessions = sum_up([record(one=(300, 3600), two=(100, 600)), record(one=(50, 0))], PRICES)
    assert runners["ec2:box"].cost == {"USD": 6.0}
    assert sessions["one"].cost == {"USD": pytest.approx(3 * 0.75 + 3)}
    assert sessions["two"].cost == {"USD": pytest.approx(3 * 0.25)}
    assert sessions["one"].audio_s == 3600
    text = table([record(one=(300, 3600), two=(100, 600))], PRICES)
    assert "2.250 USD" in text
    assert "50%" in text


def test_programs_get_the_same_sums_as_people() -> None:
    found = json.loads(json.dumps(figures([record(one=(300, 3600)), record("colab:T4")], PRICES)))
    assert found["runners"]["ec2:box"]["cost"] == {"USD": 3.0}
    assert found["sessions"]["one"]["audio_s"] == 3600
    assert (found["runners"]["colab:T4"]["cost"], found["runners"]["colab:T4"]["unpriced_s"]) == ({}, 7200.0)


def test_a_day_and_a_month_have_what_ended_in_them() -> None:
    uses = [{**record(), "stop": f"2026-{day}T12:00:00Z"} for day in ("10-31", "11-01", "11-30")]
    assert cost_on("2026-11-30", uses, PRICES) == {"USD": 3.0}
    assert cost_on("2026-11", uses, PRICES) == {"USD": 6.0}


def test_without_a_price_none_is_made_up() -> None:
    assert price_of(record(accelerator="Tesla T4"), PRICES) is None
    text = table([record(accelerator="Tesla T4", one=(1, 1))], PRICES)
    assert "2.00 h have no price" in text
    assert "?" in text
    assert table([], PRICES) == "No other machine has been used yet."


def test_what_a_connection_notes_can_be_summed_up(tmp_path: Path) -> None:
    file = tmp_path / USAGE_LOG
    for _ in range(2):
        entry = Entry("ssh:gpu")
        with entry.busy():
            entry.finished("talk", "transcribe_chunk", 2.0, 600.0)
        entry.finished("talk", "embed_chunk", 1.0, 600.0)
        entry.close(tmp_path, {"host": "gpu", "accelerator": ""}, 100, 10)
    with file.open("a") as steps:
        steps.write('{"runner": "cut')
    records = read_usage(file)
    assert len(records) == 2
    runners, sessions = sum_up(records, PRICES)
    assert runners["ssh:gpu"].bytes_up == 200
    assert sessions["talk"].audio_s == 1200
    assert runners["ssh:gpu"].cost == {"USD": 0.0}
    assert 0 <= records[0]["idle_s"] <= records[0]["wall_s"]


def test_the_price_goes_by_the_machine_and_is_that_of_its_day(tmp_path: Path) -> None:
    prices = read_prices(ROOT / "config/prices.yaml")
    entry = Entry("ec2:gpu")
    entry.machine = "g5.xlarge"
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / "config/prices.yaml", tmp_path / "config")
    entry.close(tmp_path, {"accelerator": "NVIDIA A10G"})
    (noted,) = read_usage(tmp_path / USAGE_LOG)
    assert noted["price"]["per_hour"] == 1.006
    assert noted["price"]["date"] < "2027"
    dearer = [price("ec2:*", "*", 9.0)]
    assert price_of(noted, dearer) == next(one for one in prices if one.machine == "g5.xlarge")
    assert price_of({**noted, "price": None}, dearer) == dearer[0]
    assert price_of({**noted, "price": None, "machine": "x.large"}, prices) is None


def test_our_prices_can_be_read_and_a_wrong_entry_is_one_line(tmp_path: Path) -> None:
    assert {entry.currency for entry in read_prices(ROOT / "config/prices.yaml")} == {"USD"}
    assert read_prices(tmp_path / "none.yaml") == []
    (tmp_path / "prices.yaml").write_text(json.dumps([{"runner": "ssh:*", "per_hour": -1}]))
    with pytest.raises(UserError, match=r"prices\.yaml: cannot be understood") as error:
        read_prices(tmp_path / "prices.yaml")
    assert "\n" not in str(error.value)
