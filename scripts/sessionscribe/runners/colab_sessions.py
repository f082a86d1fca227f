"""Our session on Colab: created, found again, released, and seen to be gone.

The user's other sessions are in the same list and are never touched. Ours is identified by its endpoint,
which is written to a file as soon as the session is created, so that a later run finds it.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_text
from sessionscribe.runners.colab_cli import Cli, reason_in
from sessionscribe.runners.errors import DisconnectedError, UnusableError

CPU = "cpu"
CREATE_S = 900.0
"""Time limit for creating a session: if it is exceeded, there may be one that is not known here."""
STOP_S = 120.0
"""Time limit for ending one."""
KEEP_ALIVE_S = 180.0
REFUSALS = {
    "Backend rejected accelerator": "not for this account",
    "Allocation refused": "too many sessions, or a limit of this account",
    ": Forbidden": "this account may not use Colab",
}
"""Answers of Colab for which a retry is useless."""
ANSWERS = {**REFUSALS, "Service Unavailable": "none is free"}
"""Answers after which there certainly is no session."""


@dataclass(frozen=True)
class Session:
    """A session; ``created`` in seconds since the epoch."""

    endpoint: str
    accelerator: str
    created: float

    @property
    def age_s(self) -> float:
        """The time since it was created, in seconds."""
        return max(0.0, time.time() - self.created)


class Sessions:
    """The sessions of a runner, of which there is one at a time.

    Args:
        cli: the command ``colab``.
        name: the command's name for the session.
        runner: the runner's name.
        say: shows the user a line.
    """

    def __init__(self, cli: Cli, name: str, *, runner: str, say: Callable[[str], None]) -> None:
        self.cli, self.name, self.runner, self._say = cli, name, runner, say
        self._file = cli.home / "session.json"

    def known(self) -> Session | None:
        """Return the session that was created last and not released, as far as is known here."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Session(**json.loads(self._file.read_text(encoding="utf-8")))
        # A run that was killed while it created one may have left it to the command only.
        if known := self.cli.known().get(self.name):
            accelerator = known["accelerator"]
            return self._remember(known["endpoint"], CPU if accelerator == "NONE" else accelerator)
        return None

    def _remember(self, endpoint: str, accelerator: str) -> Session:
        session = Session(endpoint, accelerator, time.time())
        write_text(self._file, json.dumps(asdict(session)))
        return session

    def find(self) -> Session | None:
        """Return our session if Colab still has it.

        Raises:
            UnusableError, DisconnectedError: Colab does not answer.
        """
        session = self.known()
        if session and session.endpoint not in self.cli.sessions():
            self._forget()
            return None
        return session

    def _forget(self) -> None:
        self._file.unlink(missing_ok=True)
        for history in (self.cli.home / ".config/colab-cli/history").glob("*.jsonl"):
            history.unlink()

    def create(self, accelerators: Sequence[str]) -> Session:
        """Create a session with the first of these accelerators that is available.

        Raises:
            UnusableError: Colab refuses them all, or nobody is logged in.
            DisconnectedError: none is free now, or Colab does not answer.
        """
        reasons: dict[str, str] = {}
        for accelerator, following in zip(accelerators, [*accelerators[1:], ""], strict=True):
            hardware = [] if accelerator == CPU else ["--gpu", accelerator]
            try:
                said = self.cli.call("new", "--session", self.name, *hardware, limit_s=CREATE_S)
            except DisconnectedError as error:
                hint = "if it gave one after all, end it at colab.research.google.com (Manage sessions)"
                raise DisconnectedError(f"{self.runner}: Colab gives no session ({error}); {hint}") from None
            if known := self.cli.known().get(self.name):
                return self._remember(known["endpoint"], accelerator)
            answer = next((meaning for sign, meaning in ANSWERS.items() if sign in said), "")
            reasons[accelerator] = answer or reason_in(said)
            if not answer:
                break  # there may be a session after all, or no accelerator would help
            if following:
                self._say(f"{self.runner}: no {accelerator} ({answer}); trying {following}")
        details = ", ".join(f"{accelerator}: {reason}" for accelerator, reason in reasons.items())
        if set(reasons.values()) <= set(REFUSALS.values()):
            hint = "Stop sessions that you do not need, wait, or name other accelerators: `colab:T4,L4,cpu`"
            raise UnusableError(f"Colab gives no session ({details})", where=self.runner, hint=hint)
        raise DisconnectedError(f"{self.runner}: Colab gives no session now ({details})")

    def keep_alive(self, over: threading.Event) -> None:
        """Have the notebook's kernel do something now and then: Colab does not count what ssh does."""
        while not over.wait(KEEP_ALIVE_S):
            if self.known():
                with contextlib.suppress(DisconnectedError, UserError):
                    self.cli.call("exec", "--session", self.name, given="pass", limit_s=45.0)

    def stop(self) -> None:
        """Ask Colab to end our session, if there is one.

        Raises:
            UnusableError, DisconnectedError: Colab does not answer.
        """
        with contextlib.suppress(DisconnectedError):
            self.cli.wait(STOP_S)  # an earlier call may be about to create it
        if session := self.known():
            if self.name not in self.cli.known():
                self.cli.remember({"name": self.name, "endpoint": session.endpoint})
            self.cli.call("stop", "--session", self.name)
