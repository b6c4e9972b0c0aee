"""Seconds of the analysis notebooks on a finished study, beside a notebook that only imports the package."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nbformat

from gndl.bench.asked import Asked
from gndl.bench.plots import ratios
from gndl.bench.repeats import NotMeasured, Result, interleaved, spread
from gndl.checkpoint import WEIGHTS
from gndl.errors import GndlError
from gndl.execute import FOR_THE_STUDY, execute_notebook, notebook_sources
from gndl.paths import resolve
from gndl.request import read_study_json
from gndl.results import finished_runs

IMPORTS = "a notebook that imports gndl"


def copy_of_study(study: Path, folder: Path) -> Path:
    """Copy a study, since notebooks write figures into it; weights, which nobody rewrites in place, are linked."""

    def copy(source: str, target: str) -> str:
        if Path(source).name == WEIGHTS:
            try:
                os.link(source, target)
                return target
            except OSError:  # another disk
                pass
        return str(shutil.copy2(source, target))

    return Path(shutil.copytree(study, folder / "study", copy_function=copy, ignore=shutil.ignore_patterns("*.lock")))


def empty_notebook(folder: Path) -> Path:
    """Write a notebook that imports what every notebook imports, and does nothing."""
    notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    parameters = nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]})
    notebook.cells = [parameters, nbformat.v4.new_code_cell("import gndl.figures\nimport gndl.study")]
    path = folder / "imports.ipynb"
    nbformat.write(notebook, path)
    return path


def measure(asked: Asked) -> Result:
    """Run every notebook of every database of a copy of the study, again and again."""
    study = resolve(asked.study)
    if not (study / "study.json").exists() or not finished_runs(study):
        raise NotMeasured(f"{study}: holds no finished study; make one (make study), or name another (--study).")
    content = read_study_json(study)
    roots = content["asked"]["data_roots"]
    databases = [name for name in roots if name in asked.databases]
    with tempfile.TemporaryDirectory(prefix="gndl-notebooks-", dir=asked.scratch) as folder:
        out = copy_of_study(study, Path(folder))
        turns = {IMPORTS: partial(_seconds, empty_notebook(Path(folder)), Path(folder) / "executed", {})}
        for source in notebook_sources(asked.notebooks):
            for database in [""] if source.name[0] in FOR_THE_STUDY else databases:
                parameters = {
                    "database": database,
                    "data_root": roots.get(database, ""),
                    "profile": content["profile"],
                    "out": str(out),
                    "device": content["device"],
                    "seed": content["seeds"][0],
                }
                name = f"{source.stem}, {database or 'all databases'}"
                turns[name] = partial(_seconds, source, Path(folder) / "executed" / database, parameters)
        named: dict[str, Callable[[], float]] = dict(turns)
        repeats = interleaved(named, asked.repeats, warm_ups=0, description="notebooks")
    table = spread(repeats, IMPORTS)
    slowest = table.iloc[int(table["median"].to_numpy().argmax())]
    return Result(
        name="notebooks",
        title="The analysis notebooks on a finished study",
        reading=(
            f"Seconds of each notebook on a copy of a finished study (profile {content['profile']}, "
            f"{len(finished_runs(study))} runs), executed one at a time in a kernel of its own, one thread. A "
            "notebook that only starts a kernel and imports the package stands for 1."
        ),
        table=table,
        repeats=repeats,
        notes=(f"The slowest is {slowest['way']}: {slowest['median']:.1f} s.",),
        figure=ratios(table, "Notebooks on a finished study", "s", log=True),
    )


def _seconds(source: Path, folder: Path, parameters: dict[str, object]) -> float:
    done = execute_notebook(source, folder, parameters)
    if done.error:
        raise GndlError(f"{source.name}: failed ({done.error})")
    return done.seconds
