"""Why a job does not end on a machine, although nothing is wrong with the job."""

from sessionscribe.core.errors import UserError


class DisconnectedError(Exception):
    """The connection to a machine was lost or could not be made; a retry may succeed."""


class UnusableError(UserError):
    """A machine cannot be used in this run; a retry would not help."""


class DiedError(Exception):
    """The worker died or timed out during the job."""


class RequeuedError(Exception):
    """The job was waiting for a busy worker and goes back into the queue, because another worker is free."""
