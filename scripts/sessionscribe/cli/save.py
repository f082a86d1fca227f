"""Save results during a run (``run --save-to``), and read its state from there (``status --from``)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from sessionscribe.cli.options import argument, joined, repeated
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain, describe
from sessionscribe.jobs.checkpoints import CheckpointManager
from sessionscribe.planning import status
from sessionscribe.sharing.places import Place, fetched, scratch
from sessionscribe.sharing.saves import STATUS, Saves
from sessionscribe.storage.locations import join

ROOT = Path()


OPTIONS = joined(
    argument("--save-to", "PLACE", "save new results to this place during the run"),
    argument("--save-minutes", "N", "minutes between saves (default: 10)", type=float, default=10.0),
    repeated("--save-since", "BUNDLE", "leave out what these bundles have"),
)


@contextmanager
def saving(
    options: argparse.Namespace, settings: Callable[[], Config], *, shows: bool
) -> Iterator[Callable[[], int]]:
    """Save a run's results, if requested, while the block runs; yield a function for the exit code."""
    if not options.save_to or shows:
        yield lambda: 0
        return
    since = [Place(name) for name in options.save_since]
    saves = Saves(settings, Place(options.save_to), ROOT, since)

    def tell(error: Exception) -> None:
        complain(f"not saved: {describe(error, options.save_to)}")

    with CheckpointManager(saves.save, options.save_minutes * 60, tell) as manager:
        yield lambda: int(manager.problem is not None)
    print(f"saved {len(saves.bundles)} bundles to {options.save_to}")


def status_from(name: str, config: Config) -> int:
    """Show the progress of a run elsewhere, from its saved status file."""
    file = name if name.endswith(".json") else join(name, STATUS)
    with scratch(ROOT) as folder:
        path = dict(fetched([file], folder)).get(file)
        if path is None:
            hint = "A run writes it with its first save (`run --save-to`)"
            raise UserError("has no status.json", where=name, hint=hint)
        try:
            found_status = status.RunStatus.model_validate_json(path.read_bytes())
            print("\n".join(found_status.lines(datetime.now(UTC))))
        except (ValidationError, ValueError, TypeError) as error:
            raise UserError("is not a run's status", where=name, hint="Wait for the next save") from error
    return 0
