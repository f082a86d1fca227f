"""What notebooks/transcribe.ipynb does: sessions from a Drive folder, on a GPU of Colab or Kaggle.

It runs in the notebook's own Python (3.10 or newer), whose packages are none of ours: so it needs Python's
own library only, and everything else is done by commands in an environment of their own.
"""

from sessionscribe.notebook.session import NotebookSession, StopHereError

__all__ = ["NotebookSession", "StopHereError"]
