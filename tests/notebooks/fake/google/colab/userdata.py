"""Colab's secrets: one that is there, and the errors for one that is not."""

import os


class SecretNotFoundError(Exception):
    pass


class NotebookAccessError(Exception):
    pass


def get(name: str) -> str:
    try:
        return os.environ[f"FAKE_SECRET_{name}"]
    except KeyError:
        raise SecretNotFoundError(name) from None
