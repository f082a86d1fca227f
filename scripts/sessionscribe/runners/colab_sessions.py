"""One session on Colab, under a name of ours: made, found again, released, and seen to be.

Sessions of the user's are in the same list, and are never touched: ours is known by what Colab calls it (its
endpoint), which is noted in a file as soon as it is made. What a killed run left is found by that file.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from sessionscribe.core.errors import UserError, cause
from sessionscribe.core.files import write_text
from sessionscribe.runners.colab_cli import Cli
from sessionscribe.runners.errors import DisconnectedError, UnusableError

CPU = "cpu"
NEW_S = 900.0
"""How long Colab may take to give a machine; whoever gives up sooner cannot know whether there is one."""
REFUSALS = {
    "Backend rejected accelerator": "not for this account",
    "Allocation refused": "too many sessions, or a limit of this account",
}
"""Answers of Colab that will not change."""
FULL = "Service Unavailable"


@dataclass(frozen=True)
class Session:
    """A session as it was made; ``created`` in seconds since the epoch."""

    name: str
    endpoint: str
    accelerator: str
    created: float

    @property
    def age_s(self) -> float:
        """How old it is."""
        return max(0.0, time.time() - self.created)


class Sessions:
    """The sessions under one name, of which there is one at a time.

    Args:
        cli: the command.
        name: theirs.
        runner: what the user called the machine.
        say: shows the user a line.
    """

    def __init__(self, cli: Cli, name: str, *, runner: str, say: Callable[[str], None] = print) -> None:
        self.name, self.runner, self._cli, self._say = name, runner, cli, say
        self._note = cli.home / "session.json"

    def noted(self) -> Session | None:
        """Return the session that was made last and not released, as far as known here."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Session(**json.loads(self._note.read_text(encoding="utf-8")))
        # A run that was killed while it made one may have left it to the command only.
        if known := self._cli.known().get(self.name):
            accelerator = known["accelerator"]
            return self._take_note(known["endpoint"], CPU if accelerator == "NONE" else accelerator)
        return None

    def _take_note(self, endpoint: str, accelerator: str) -> Session:
        session = Session(self.name, endpoint, accelerator, time.time())
        write_text(self._note, json.dumps(asdict(session)))
        return session

    def find(self) -> Session | None:
        """Return our session if Colab still has it; else forget it.

        Raises:
            UnusableError, DisconnectedError: Colab does not say.
        """
        session = self.noted()
        if session and session.endpoint not in self._cli.sessions():
            self._forget()
            return None
        return session

    def _forget(self) -> None:
        self._note.unlink(missing_ok=True)
        for history in (self._cli.home / ".config/colab-cli/history").glob("*.jsonl"):
            history.unlink()

    def make(self, accelerators: Sequence[str]) -> Session:
        """Make a session with the first of these accelerators that is to be had.

        Raises:
            UnusableError: Colab gives none, and will not; or nobody is logged in.
            DisconnectedError: Colab gives none now, or does not say.
        """
        reasons = []
        for accelerator, following in zip(accelerators, [*accelerators[1:], ""], strict=True):
            hardware = [] if accelerator == CPU else ["--gpu", accelerator]
            try:
                said = self._cli.call("new", "--session", self.name, *hardware, limit_s=NEW_S)
            except DisconnectedError as error:
                unknown = "if it gave one after all, end it at colab.research.google.com (Manage sessions)"
                raise DisconnectedError(
                    f"{self.runner}: Colab gives no session ({error}); {unknown}"
                ) from None
            if known := self._cli.known().get(self.name):
                return self._take_note(known["endpoint"], accelerator)
            reason = next((why for sign, why in REFUSALS.items() if sign in said), "")
            reasons.append(
                (
                    accelerator,
                    reason or ("none is free" if FULL in said else cause(said).removeprefix("[colab] ")),
                )
            )
            if not reason and FULL not in said:
                break  # it may have made one, or nothing is right at all
            if following:
                self._say(f"{self.runner}: no {accelerator} ({reasons[-1][1]}); trying {following}")
        told = ", ".join(f"{accelerator}: {why}" for accelerator, why in reasons)
        if all(why in REFUSALS.values() for _, why in reasons):
            hint = "Stop sessions that you do not need, wait, or name others: `colab:T4,L4,cpu`"
            raise UnusableError(f"Colab gives no session ({told})", where=self.runner, hint=hint)
        raise DisconnectedError(f"{self.runner}: Colab gives no session now ({told})")

    def release(self, limit_s: float) -> None:
        """Stop our session, if there is one, and see that Colab has it no more.

        Raises:
            UserError: it is still there, or that cannot be said; the user has to look.
        """
        with contextlib.suppress(DisconnectedError):  # it may be about to note a session
            self._cli.wait(limit_s)
        session = self.noted()
        if session is None:
            return
        until, problem, wait_s = time.monotonic() + limit_s, "Colab still lists it", 1.0
        while True:
            try:
                if self.name not in self._cli.known():
                    self._cli.remember({"name": self.name, "endpoint": session.endpoint})
                self._cli.call("stop", "--session", self.name)
                if session.endpoint not in self._cli.sessions():
                    self._forget()
                    return
            except DisconnectedError as error:
                problem = str(error)
            except UnusableError as error:
                problem, until = error.what, 0.0
            if time.monotonic() + wait_s > until:
                break
            time.sleep(wait_s)
            wait_s = min(20.0, 2 * wait_s)
        hint = "It may cost money: end it at colab.research.google.com (Runtime, Manage sessions)"
        what = f"the session {session.endpoint} may still be running ({problem})"
        raise UserError(what, where=self.runner, hint=hint)
