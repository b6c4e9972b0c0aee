"""Run notebooks in batch with papermill; each appears in the study's folder whole, or as ``….failed.ipynb``."""

from __future__ import annotations

import logging
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gndl.paths import repository_root


@dataclass(frozen=True)
class Executed:
    """One notebook that was run: where it lies, how long it took, and the error's last line if it failed."""

    path: Path
    seconds: float
    error: str = ""


def notebook_sources() -> list[Path]:
    """The study's notebooks, in the order of their numbers."""
    return sorted((repository_root() / "notebooks").glob("[0-9]_*.ipynb"))


def execute_notebook(source: Path, folder: Path, parameters: dict[str, Any]) -> Executed:
    """Execute one notebook into ``folder``.

    papermill writes its output cell by cell, so it is given a file aside; a notebook that fails is kept with its
    error as ``NAME.failed.ipynb``, which the next success removes.
    """
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    # A kernel takes as many threads as there are cores unless told otherwise, and several run side by side here.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    target = folder / source.name
    failed = folder / f"{source.stem}.failed.ipynb"
    aside = folder / f".{source.stem}.running.ipynb"
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
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
        if aside.exists():
            aside.replace(failed)
        return Executed(failed, seconds, error)
    aside.replace(target)
    failed.unlink(missing_ok=True)
    return Executed(target, seconds)
