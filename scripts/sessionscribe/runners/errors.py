"""How work ends when the job itself is not to blame."""

from sessionscribe.core.errors import UserError


class DisconnectedError(Exception):
    """The connection to a machine was lost or could not be made; another try may go better."""


class UnusableError(UserError):
    """A machine cannot be used in this run, however often it is tried."""


class DiedError(Exception):
    """A worker died, or gave no answer in time, and its job with it."""


class RequeuedError(Exception):
    """A job that waited for its turn on a machine goes to another one, which is free."""
