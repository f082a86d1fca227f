"""Runners: machines elsewhere that work through jobs in a warm worker, reached by ssh.

``machine`` says how a machine is brought up and stopped, ``connection`` is one multiplexed ssh connection to
it, ``site`` our place there, ``channel`` a process under its guard, ``parcel`` finds what a job reads, and
``remote`` puts these together into a worker. ``ledger`` and ``costs`` keep the accounts. On the machine run
``guard`` and ``environment`` (and the worker), with nothing but Python's own library.
"""

from sessionscribe.runners.errors import DiedError, GivenBackError, LostError, UnusableError

__all__ = ["DiedError", "GivenBackError", "LostError", "UnusableError"]
