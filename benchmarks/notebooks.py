"""CPU seconds of notebooks under papermill, kernel and its workers included, versus one that only imports ``gndl``.

``python benchmarks/notebooks.py notebooks/2_training.ipynb -p database ckplus -p out runs/quick`` executes each one
``--repeats`` times in a temporary folder. The study should be finished: otherwise its training is measured.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
from measuring import interleaved, options, show, spread


def cpu_seconds(source: Path, parameters: dict[str, Any], folder: Path) -> Callable[[], float]:
    """A turn that executes the notebook and returns the CPU seconds of the processes it started."""

    def turn() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        papermill.execute_notebook(
            source, folder / source.name, parameters, kernel_name="python3", progress_bar=False, cwd=source.parent
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return turn


def main() -> None:
    """Execute the notebooks in turns."""
    parser = options(__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gndl-notebooks-") as folder:
        executed = Path(folder) / "executed"
        executed.mkdir()
        imports = Path(folder) / "imports.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import gndl\ngndl.plots")]), imports)
        turns = {"imports only": cpu_seconds(imports, {}, executed)}
        for source in asked.notebooks:
            turns[source.stem] = cpu_seconds(source.resolve(), dict(asked.parameter), executed)
        table = interleaved(turns, 1 if asked.tiny else asked.repeats, warm_ups=0)
    show([spread(table, "imports only").assign(unit="CPU s")], asked.out)


if __name__ == "__main__":
    main()
