"""Make the notebooks of their sources: ``python notebooks/build.py`` (``make notebooks``).

The same source gives the same bytes: cells are numbered, and there are no outputs.
"""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat

FOLDER = Path(__file__).resolve().parent
METADATA = {
    "accelerator": "GPU",
    "colab": {"gpuType": "T4", "provenance": []},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def built(source: Path) -> str:
    """Return the notebook that a source gives, as its file has it."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
    notebook.metadata = nbformat.from_dict(METADATA)
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


if __name__ == "__main__":
    for source in sorted(FOLDER.glob("*.py")):
        if source != Path(__file__).resolve():
            source.with_suffix(".ipynb").write_text(built(source), encoding="utf-8")
