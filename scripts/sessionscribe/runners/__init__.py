"""Runners: machines elsewhere that work through jobs in a warm worker, reached by ssh or through a mailbox.

``machine`` says how machines are used, brought up and stopped, ``connection`` is one multiplexed ssh
connection to one, ``remote_workspace`` our folder there, ``worker_connection`` a process under its guard,
``job_bundle`` what a job reads and makes, and ``remote`` puts these together into a worker. ``mailbox_home``
and ``mailbox_worker`` are the two sides of a mailbox. ``usage_log`` and ``costs`` keep the accounts. On the
machine run ``guard``, ``environment`` and the worker, with nothing but Python's own library.
"""
