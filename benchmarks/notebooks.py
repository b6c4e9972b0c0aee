"""CPU seconds of notebooks under papermill, itself and the kernel included, versus one that only imports ``gndl``.

``python benchmarks/notebooks.py notebooks/2_training.ipynb -p database ckplus -p out runs/quick`` executes each one
``--repeats`` times in a temporary folder. The study should be finished: otherwise its training is measured.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat
from measuring import interleaved, options, show, spread


def cpu_seconds(source: Path, parameters: list[list[str]], folder: Path) -> Callable[[], float]:
    """A turn that executes the notebook and returns the CPU seconds of papermill and all that it starts."""
    command = [sys.executable, "-m", "papermill", str(source), str(folder / source.name), "--cwd", str(source.parent)]
    command += ["--kernel", "python3", "--no-progress-bar", "--log-level", "ERROR"]
    command += [word for name, value in parameters for word in ("-p", name, value)]

    def turn() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
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
        turns = {"imports only": cpu_seconds(imports, [], executed)}
        for source in asked.notebooks:
            turns[source.stem] = cpu_seconds(source.resolve(), asked.parameter, executed)
        table = interleaved(turns, 1 if asked.tiny else asked.repeats, warm_ups=0)
    show([spread(table, "imports only").assign(unit="CPU s")], asked.out)


if __name__ == "__main__":
    main()
