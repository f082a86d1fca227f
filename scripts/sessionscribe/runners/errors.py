"""How work on another machine ends when the job itself is not to blame."""

from sessionscribe.core.errors import UserError


class DisconnectedError(Exception):
    """The connection to a machine was lost or could not be made; another try may go better."""


class UnusableError(UserError):
    """A machine cannot be used in this run, however often it is tried."""


class DiedError(Exception):
    """The worker on a machine died and its job with it; the connection is well."""


class RequeuedError(Exception):
    """A job that waited for its turn on a machine goes to another one, which is free."""
