"""`sessionscribe batch check`: check the prerequisites of a batch without starting anything that costs."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sessionscribe.batch import install, notices, watch
from sessionscribe.batch.install import Schedule
from sessionscribe.batch.locks import BatchLock
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, describe
from sessionscribe.core.text import counted
from sessionscribe.engines import models
from sessionscribe.planning.plan import Plan
from sessionscribe.runners import costs
from sessionscribe.runners.errors import DisconnectedError
from sessionscribe.runners.machine import Settings
from sessionscribe.runners.mailbox import Mailbox
from sessionscribe.runners.registry import LOCAL, machine_of

LEAST_FREE_GB, MOST_SKEW_S = 2.0, 60.0
MAILBOX = "mailbox:"


def check(
    settings: Config,
    profile: Mapping[str, Any],
    root: Path = Path(),
    *,
    notify: bool = False,
    alerts: bool = False,
) -> int:
    """Print a line for each prerequisite; return 1 if one is not fulfilled.

    ``notify`` sends a test notification, ``alerts`` a real one if no batch has succeeded for too long.
    """
    checks: dict[str, Callable[[], str]] = {
        "manifest": lambda: f"{len(Plan(settings, root).sessions)} sessions",
        "lock": partial(_lock, settings, root),
        **{f"source {place}": partial(_source, place, settings) for place in settings.batch.sources},
        "speech model": partial(_model, settings, profile),
        **dict(_runners(profile, root)),
        "disk": partial(_disk, root),
        "notifications": partial(_notices, settings, notify),
        "schedule": partial(install.state, Schedule(root.absolute())),
    }
    if alerts:
        checks["last batch"] = partial(_last_batch, settings, root)
    failed = False
    for name, look_at in checks.items():
        try:
            print(f"ok      {name}: {look_at()}")
        except (UserError, DisconnectedError, OSError) as error:
            failed = True
            print(f"FAILED  {describe(error, name) if not isinstance(error, DisconnectedError) else error}")
    return int(failed)


def _lock(settings: Config, root: Path) -> str:
    """Read the lock, and write and delete a test object that locks nothing."""
    lock = BatchLock(settings.batch, root)
    skew_s = lock.check_access(f"check-{uuid.uuid4().hex}")
    if abs(skew_s) > MOST_SKEW_S:
        what = f"its clock and this machine's differ by {abs(skew_s):.0f} s"
        raise UserError(what, where=settings.batch.lock, hint="Set the clocks right (NTP)")
    held = lock.held()
    return f"{settings.batch.lock} can be read and written; {held[0] if held else 'not locked'}"


def _source(place: str, settings: Config) -> str:
    groups = watch.look(place, settings)
    recordings = counted(sum(len(group.files) for group in groups), "recording")
    return f"{recordings} in {counted(len(groups), 'session')}"


def _model(settings: Config, profile: Mapping[str, Any]) -> str:
    speech = settings.transcribe.model
    if "check_models" in str(profile.get("warm-guests", "")):
        return f"{speech}, on the other machine"
    if speech == "auto" or models.locate(speech, models.WHISPER_FILES):
        return speech
    hint = "`sessionscribe models` lists and downloads models"
    raise UserError("is not on this machine", where=speech, hint=hint)


def _runners(profile: Mapping[str, Any], root: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield a check for each runner, which asks for its state and does not start it."""
    given = profile.get("warm-runner", [])
    ssh = ("-F", str(Path(profile["warm-ssh-config"]).absolute())) if "warm-ssh-config" in profile else ()
    for name in [given] if isinstance(given, str) else given:
        if name.startswith(MAILBOX):
            yield name, partial(_mailbox, name.removeprefix(MAILBOX))
        elif name != LOCAL:
            yield name, partial(_runner, name, Settings(root.absolute(), ssh=ssh))
            yield f"price of {name}", partial(_price, name, root)


def _runner(name: str, settings: Settings) -> str:
    return machine_of(name, settings).check()


def _mailbox(place: str) -> str:
    return f"can be read; {counted(len(Mailbox(place).names()), 'file')}"


def _price(name: str, root: Path) -> str:
    """Look for prices that may apply; on EC2 that depends on the instance's type, known once it runs."""
    kind = name.partition(":")[0]
    prices = costs.read_prices(root / costs.PRICES)
    fitting = [price for price in prices if price.runner.partition(":")[0] in (kind, "*")]
    if fitting:
        return f"{len(fitting)} in {costs.PRICES}"
    raise UserError("has no price, so its cost is unknown", where=name, hint=f"Add one to {costs.PRICES}")


def _notices(settings: Config, notify: bool) -> str:
    addresses, problems = notices.read_addresses(settings.notify)
    if notify:
        problems += notices.send(
            addresses, "sessionscribe: a test", "Notifications about batches arrive here."
        )
    if problems:
        raise problems[0]
    kinds = ", ".join(address.kind for address in addresses)
    return (
        f"{'sent' if notify else 'go'} to {kinds}" if kinds else f"no address in {settings.notify.urls_file}"
    )


def _last_batch(settings: Config, root: Path) -> str:
    if silence := notices.notify_of_silence(settings, root):
        hint = "See `sessionscribe batch report`, and check that the schedule is active"
        raise UserError(silence.rstrip("."), where="last batch", hint=hint)
    return f"a batch succeeded within the last {settings.notify.silent_hours:g} h"


def _disk(root: Path) -> str:
    free = shutil.disk_usage(root).free / 1e9
    if free < LEAST_FREE_GB:
        raise UserError(f"only {free:.1f} GB free", where=root.absolute(), hint="Make room")
    return f"{free:.0f} GB free"
