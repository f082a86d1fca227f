"""The logic of notebooks/transcribe.ipynb: transcribe sessions in a Drive folder on a GPU of Colab or Kaggle.

It runs in the notebook's own Python (3.10 or newer) with the standard library only; everything else is done
by commands in an environment of their own.
"""

from sessionscribe.notebook.session import NotebookSession, StopHereError

__all__ = ["NotebookSession", "StopHereError"]
