"""Runners: machines elsewhere that work through jobs in a warm worker, reached by ssh.

``machine`` says how a machine is brought up and stopped, ``connection`` is one multiplexed ssh connection to
it, ``remote_workspace`` our folder there, ``worker_connection`` a process under its guard, ``job_bundle``
finds what a job reads, and ``remote`` puts these together into a worker. ``usage_log`` and ``costs`` keep the
accounts. On the machine run ``guard`` and ``environment`` (and the worker), with nothing but Python's own
library.
"""

from sessionscribe.runners.errors import DiedError, DisconnectedError, RequeuedError, UnusableError

__all__ = ["DiedError", "DisconnectedError", "RequeuedError", "UnusableError"]
