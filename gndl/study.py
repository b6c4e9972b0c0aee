"""One database of a study: open it, and train what is missing, many runs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from joblib import cpu_count

from gndl import results
from gndl.absent_methods import methods_at_hand
from gndl.errors import GndlError
from gndl.methods import MethodSettings
from gndl.paper import DATABASE_TITLES
from gndl.prepare import Prepared, prepare
from gndl.request import request_for_notebook
from gndl.runs import Run, plan_runs
from gndl.sweeping.engine_local import processes_and_gpus
from gndl.sweeping.sweep import Sweep, train_runs
from gndl.train import FitResult


def default_jobs(device: str = "auto") -> int:
    """Processes that share the runs: one per core, or one per GPU."""
    return processes_and_gpus(device, Sweep())[0]


def open_study(
    database: str,
    *,
    data_root: str = "",
    profile: str = "quick",
    out: str | Path = "runs/quick",
    device: str = "auto",
    seed: int = 0,
    jobs: int | None = None,
) -> Prepared:
    """Open one database of a study, as the notebooks do: read what is there, render and crop what is missing.

    Parameters
    ----------
    database : str
        ``"ckplus"``, ``"oulu_casia"``, ``"mmi"`` or ``"manifest"``.
    data_root : str
        Folder of a copy, or a manifest file; ``""`` for the rendered stand-in.
    profile, out, device, seed
        As the notebooks' parameters; relative paths resolve against the repository.
    jobs : int, optional
        Processes for rendering and cropping; default one per core.

    Raises
    ------
    GndlError
        Where ``out`` holds another study, or the database cannot be used.
    """
    if database not in DATABASE_TITLES:
        raise GndlError(f"There is no database {database!r}; choose one of {', '.join(DATABASE_TITLES)}.")
    request = request_for_notebook(database, data_root=data_root, profile=profile, out=out, device=device, seed=seed)
    return prepare(request, database, jobs or cpu_count())


def train_missing(
    study: Prepared,
    *,
    methods: Iterable[str | MethodSettings] | None = None,
    lams: Iterable[float] | None = None,
    folds: Iterable[int] | None = None,
    jobs: int | None = None,
    how: Sweep | None = None,
    on_finished: Callable[[Run, FitResult], None] | None = None,
) -> pd.DataFrame:
    """Train the runs that are missing, several side by side, and return the database's accuracies.

    Each run computes with its own fixed number of threads, so ``jobs`` changes no number.

    Parameters
    ----------
    study : Prepared
    methods, lams : optional
        Default: the headline's methods at the profile's λ, but for those that are finished and whose class is not at
        hand (`gndl.absent_methods`).
    folds : optional
        Default: the folds that the study runs.
    jobs : int, optional
        Runs at once; default one per core, or one per GPU.
    how : Sweep, optional
        More on how they are shared, such as among the nodes of a Ray cluster; takes the place of ``jobs``.
    on_finished : callable, optional
        Called in this process with each run and its result.

    Returns
    -------
    DataFrame
        The rows of ``accuracy.csv`` of this database; the file itself is written too.

    Raises
    ------
    GndlError
        Where runs failed, such as by a loss that is not finite; all others were finished first.
    Stopped
        Where a signal said so (`gndl.sweeping.stopping`).
    """
    runs = plan_runs(study, methods_at_hand(study) if methods is None else methods, lams, folds)
    try:
        train_runs(study, runs, how or Sweep(jobs=jobs), on_finished)
    finally:
        accuracy = results.write_accuracy(study.request.out)
    return accuracy[accuracy["database"] == study.database.name].reset_index(drop=True)
