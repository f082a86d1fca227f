"""The words of all chunks of a session as one."""
