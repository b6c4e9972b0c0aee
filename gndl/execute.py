"""Run notebooks in batch with papermill, several side by side, and only those of which something has changed.

A notebook appears in its folder whole, or as ``NAME.failed.ipynb``. It keeps a fingerprint of what it was made from:
its cells, its parameters, the runs on disk, whose faces may be shown and the package's version. While that is the same
it is not run again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil

from gndl import __version__
from gndl.files import hash_file, hash_json, whole, written_aside
from gndl.licence import publishable
from gndl.notebook_size import keep_small
from gndl.paths import notebooks_folder, repository_root
from gndl.request import read_study_json
from gndl.results import finished_runs

FOR_EACH_DATABASE = "123456"
FOR_THE_STUDY = "7"
"""First signs of the notebooks that the batch runs; 0 and 8 are read by a person and belong to no study."""


@dataclass(frozen=True)
class Executed:
    """One notebook: where it lies, seconds it took, the last line of its error, or that it was there already."""

    path: Path
    seconds: float
    error: str = ""
    there: bool = False


@dataclass(frozen=True)
class Task:
    """One notebook to be run.

    Parameters
    ----------
    source : Path
        The notebook as it is committed.
    folder : Path
        Where the executed one goes.
    parameters : dict
        Of its cell tagged ``parameters``.
    inputs : callable, optional
        Returns what it reads, as JSON (`inputs_of`); looked at before and after it runs.
    """

    source: Path
    folder: Path
    parameters: dict[str, Any]
    inputs: Callable[[], Any] = dict

    @property
    def target(self) -> Path:
        """The executed notebook."""
        return self.folder / self.source.name

    def fingerprint(self) -> str:
        """Hash of everything that the executed notebook is made from."""
        notebook = nbformat.read(self.source, as_version=4)
        cells = [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in notebook.cells]
        made_from = {"cells": cells, "parameters": self.parameters, "inputs": self.inputs(), "gndl": __version__}
        return hash_json(made_from)

    def is_done(self) -> bool:
        """Whether the executed notebook and what it wrote lie there, and nothing that it was made from has changed."""
        try:
            kept = nbformat.read(self.target, as_version=4).metadata.get("gndl", {})
        except (OSError, ValueError, nbformat.ValidationError):
            return False
        wrote = [self.folder.parent / name for name in kept.get("wrote", ())]
        return all(file.exists() for file in wrote) and bool(kept.get("fingerprint") == self.fingerprint())


def notebook_sources(numbers: str = "") -> list[Path]:
    """The package's notebooks in the order of their numbers; with ``numbers`` only those that begin with one."""
    found = sorted(notebooks_folder().glob("[0-9]_*.ipynb"))
    return [path for path in found if not numbers or path.name[0] in numbers]


def inputs_of(out: Path, database: str = "") -> dict[str, str]:
    """Name what the notebooks of a study read, each with a hash: runs, folds and crops, of one database or of all.

    Whose faces they may show is among it, unless these are rendered. Those that span the databases read the runs
    across them, and the figures on disk too.
    """
    found = {
        run.folder.relative_to(out).as_posix(): f"{run.record['identity_hash']} {run.record['epochs']}"
        for run in (*finished_runs(out), *(() if database else finished_runs(out / "across")))
        if database in ("", run.database)
    }
    patterns = [f"{database or '*'}/folds.json", f"{database or '*'}/crops.csv"]
    for pattern in patterns if database else [*patterns, "*/figures/*.png", "*/tables/*.csv"]:
        found |= {file.relative_to(out).as_posix(): hash_file(file) for file in sorted(whole(out.glob(pattern)))}
    return found | _who_may_be_shown(out, database)


def _who_may_be_shown(out: Path, database: str) -> dict[str, str]:
    """Of each database of people the subjects who may be printed: whoever is entered or withdrawn changes pictures."""
    content = read_study_json(out) if (out / "study.json").exists() else {}
    source = content.get("source", "rendered")
    if source == "rendered":  # everybody, whatever is entered
        return {}
    rules = {name: publishable(out, name, source) for name in content["asked"]["data_roots"] if database in ("", name)}
    return {
        f"{name}: may be shown": "everybody" if rule.subjects is None else hash_json(sorted(rule.subjects))
        for name, rule in rules.items()
    }


def execute_missing(tasks: Sequence[Task], jobs: int) -> Iterator[Executed]:
    """Run the notebooks that are missing or of which something has changed, ``jobs`` at once; yield all as they end."""
    done = [task for task in tasks if task.is_done()]
    for task in done:
        yield Executed(task.target, 0.0, there=True)
    _stopping.clear()
    pool = ThreadPoolExecutor(max(1, jobs))
    futures: list[Future[Executed]] = []
    try:
        for task in tasks:
            if task not in done:
                asked = (task.source, task.folder, task.parameters, task.inputs)
                futures.append(pool.submit(execute_notebook, *asked))
        for future in as_completed(futures):
            yield future.result()
    except BaseException:  # Ctrl-C, or nobody wants the rest: the kernels would go on for minutes
        _stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + LONGEST_ENDING
        while not all(future.done() for future in futures) and time.monotonic() < end:
            _end_kernels()  # again, since one of them may just be starting
            time.sleep(0.1)
        raise
    finally:
        pool.shutdown(wait=not _stopping.is_set())


LONGEST_ENDING = 120.0
"""Seconds that notebooks are given to end once their kernels are ended."""

_stopping = threading.Event()
"""Set while notebooks are given up, so that none of them is kept as one that failed."""


def _end_kernels() -> None:
    """End the kernels that this process has started for notebooks."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any("ipykernel" in word for word in child.cmdline()):
                child.kill()


def execute_notebook(
    source: Path, folder: Path, parameters: dict[str, Any], inputs: Callable[[], Any] = dict
) -> Executed:
    """Execute one notebook into ``folder``, whether or not it lies there; the parameters are those of `Task`.

    papermill writes its output cell by cell, so it is given a file aside; a notebook that fails is kept with its
    error as ``NAME.failed.ipynb``, which the next success removes.
    """
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    # A kernel takes as many threads as there are cores unless told otherwise, and several run side by side here.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("GNDL_HOME", str(repository_root()))  # a kernel's own folder is the notebook's
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    task = Task(source, folder, parameters, inputs)
    failed = folder / f"{source.stem}.failed.ipynb"
    aside = folder / f".{source.stem}.running.ipynb"
    folder.mkdir(parents=True, exist_ok=True)
    started, began, before = time.monotonic(), time.time(), task.inputs()
    error = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            papermill.execute_notebook(
                str(source),
                str(aside),
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                cwd=str(source.parent),
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
    except papermill.exceptions.PapermillExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}"
    except Exception as failure:  # a kernel that died, a notebook that cannot be read: the batch reports and goes on
        error = f"{type(failure).__name__}: {failure}"
    seconds = time.monotonic() - started
    if error:
        if _stopping.is_set():
            aside.unlink(missing_ok=True)
        elif aside.exists():
            aside.replace(failed)
        return Executed(failed, seconds, error)
    _finish(aside, task, seconds, began, before)
    failed.unlink(missing_ok=True)
    return Executed(task.target, seconds)


def _runs_of(inputs: Any) -> set[str]:
    """The runs among what a notebook reads."""
    return {name for name in inputs if "/seed-" in name} if isinstance(inputs, dict) else set()


WRITTEN_INTO = ("figures", "tables")
"""Folders beside ``notebooks`` that notebooks write into."""


def written_since(folder: Path, began: float) -> list[str]:
    """Files in ``figures`` and ``tables`` of a folder that were written since a time, by this notebook or beside it."""
    files = whole(file for name in WRITTEN_INTO for file in (folder / name).glob("*"))
    clock = 1.0  # a file system may keep whole seconds
    written = (file for file in files if file.is_file() and file.stat().st_mtime >= began - clock)
    return sorted(file.relative_to(folder).as_posix() for file in written)


def _finish(aside: Path, task: Task, seconds: float, began: float, before: Any) -> None:
    """Put an executed notebook in its place, small enough to be read anywhere, with what it was made from.

    The fingerprint is taken now, for it writes tables and figures itself; where a run has appeared since it began,
    such as one imported by somebody else, it may not have seen it and counts as not done. What was written meanwhile
    is noted, so that a figure that somebody deletes is drawn again.
    """
    notebook = keep_small(nbformat.read(aside, as_version=4))
    notebook.metadata["gndl"] = {
        "fingerprint": "" if _runs_of(task.inputs()) - _runs_of(before) else task.fingerprint(),
        "version": __version__,
        "seconds": round(seconds, 1),
        "wrote": written_since(task.folder.parent, began),
    }
    with written_aside(task.target) as whole:
        nbformat.write(notebook, whole)
    aside.unlink()
