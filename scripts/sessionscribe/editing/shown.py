"""A session's transcript as it is shown: with names and corrections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.artifacts.speakers import Names
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError
from sessionscribe.planning.plan import Plan
from sessionscribe.stages.correct import table
from sessionscribe.stages.correct.apply import Overlaid
from sessionscribe.stages.correct.correct import lay_over


@dataclass(frozen=True)
class Shown:
    """A transcript with speaker labels, their names, and its corrections file (which may not exist)."""

    transcript: Transcript
    names: dict[str, str]
    corrections: Path

    @classmethod
    def of(cls, session: str, config: Config, root: Path, plan: Callable[[], Plan] | None = None) -> Shown:
        """Read a session.

        Args:
            session: its name.
            config: the settings.
            root: the project's folder.
            plan: returns a plan that contains the session; by default a new one.

        Raises:
            UserError: the session has not been transcribed yet.
        """
        path = root / f"results/diarize/{session}.json"
        if not path.is_file():
            hint = f"Make it first: sessionscribe run --session {session}"
            raise UserError("there is no transcript yet", where=session, hint=hint)
        planned = plan() if plan else Plan(config.model_copy(update={"sessions": (session,)}), root)
        # Ask the plan: a file of earlier settings may be left.
        files = [root / step.outputs[0] for step in planned.sessions[session].of("name_speakers")]
        named = [Names.read(file).by_label() for file in files if file.is_file()]
        names = {**config.export.names, **(named[0] if named else {})}
        return cls(Transcript.read(path), names, table.path_of(session, root))

    def laid(self) -> Overlaid:
        """Return the transcript with its corrections.

        Raises:
            UserError: the corrections file cannot be understood.
        """
        return lay_over(self.transcript, None, self.names, self.corrections)
