"""examples/first_model.ipynb: every cell runs, and prints what stands under it.

``python -m tests.test_notebook`` runs it and stores what it prints.
"""

from __future__ import annotations

import os
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples" / "first_model.ipynb"


def executed(notebook: Any) -> Any:
    """The notebook after all its cells ran in the folder where it lies; raises where one fails."""
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the kernel's debugger would remark on frozen modules
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    return notebook


def printed(cell: Any) -> str:
    """What a cell shows as text, in however many pieces it came; pictures are not compared."""
    outputs = cell.get("outputs", [])
    return "".join(
        each["text"] if each.output_type == "stream" else each["data"].get("text/plain", "") for each in outputs
    )


def test_every_cell_prints_what_stands_under_it() -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(stored)
    again = executed(nbformat.read(NOTEBOOK, as_version=4))
    code = [pair for pair in zip(stored.cells, again.cells, strict=True) if pair[0].cell_type == "code"]
    assert [printed(after) for _, after in code] == [printed(before) for before, _ in code]
    assert any("image/png" in each.get("data", {}) for cell in stored.cells for each in cell.get("outputs", []))


if __name__ == "__main__":
    nbformat.write(executed(nbformat.read(NOTEBOOK, as_version=4)), NOTEBOOK)
