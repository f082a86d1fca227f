"""Runners: other machines whose warm workers run jobs, reached by ssh or through a mailbox.

``machine`` and its kinds (``command_machine``, ``ec2``, ``colab``) start and stop machines. ``connection`` is
an ssh connection, ``remote_workspace`` our folder there, ``worker_connection`` a process under a guard,
``job_bundle`` the inputs of a job, and ``remote`` the worker that uses them all. ``mailbox_home`` and
``mailbox_worker`` are the two sides of a mailbox. ``usage_log`` and ``costs`` keep the accounts. ``guard``,
``environment`` and the worker run on the machine, with Python's standard library only.
"""
