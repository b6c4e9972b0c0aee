"""One database of a study: open it, and train what is missing, many runs at once."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import torch
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from tqdm import tqdm

from gndl import results
from gndl.device import choose_device
from gndl.errors import GndlError
from gndl.methods import MethodSettings
from gndl.paper import DATABASE_TITLES
from gndl.prepare import Prepared, prepare
from gndl.progress import progress
from gndl.record import EPOCHS
from gndl.request import request_for_notebook
from gndl.runs import Run, find_finished, fit_run, plan_runs
from gndl.train import FitResult


def default_jobs(device: str = "auto") -> int:
    """Processes that share the runs: one per core, or one on a GPU."""
    return 1 if choose_device(device).type == "cuda" else (os.cpu_count() or 1)


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
    return prepare(request, database, jobs or os.cpu_count() or 1)


def train_missing(
    study: Prepared,
    *,
    methods: Iterable[str | MethodSettings] | None = None,
    lams: Iterable[float] | None = None,
    folds: Iterable[int] | None = None,
    jobs: int | None = None,
    on_finished: Callable[[Run, FitResult], None] | None = None,
) -> pd.DataFrame:
    """Train the runs that are missing, several side by side, and return the database's accuracies.

    Each run computes with its own fixed number of threads, so ``jobs`` changes no number.

    Parameters
    ----------
    study : Prepared
    methods, lams : optional
        Default: the headline's methods at the profile's λ.
    folds : optional
        Default: the folds that the study runs.
    jobs : int, optional
        Runs at once; default one per core, or one on a GPU.
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
    """
    runs = plan_runs(study, methods, lams, folds)
    failed: list[str] = []
    missing = [run for run in runs if find_finished(study, run) is None]
    if missing:
        jobs = min(jobs or default_jobs(study.request.device), len(missing))
        with _EpochBar(missing, study) as bar:
            tasks = (delayed(_fit_in_worker)(study, run) for run in missing)
            finished = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(tasks)
            # joblib replaces a worker that has grown, says so, and goes on: nothing that a reader has to act on.
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
            for run, result in finished:
                if isinstance(result, str):
                    failed.append(f"{run.name}: {result}")
                    continue
                bar.say(f"{run.name}: {100 * result.accuracy_last:.1f} % after {result.record['epochs']} epochs")
                if on_finished is not None:
                    on_finished(run, result)
        if jobs > 1:
            get_reusable_executor().shutdown()  # idle workers would keep a gigabyte each while the notebooks run
    accuracy = results.write_accuracy(study.request.out)
    if failed:
        raise GndlError(f"{len(failed)} of {len(missing)} runs failed, the others are finished. " + " | ".join(failed))
    return accuracy[accuracy["database"] == study.database.name].reset_index(drop=True)


def _fit_in_worker(study: Prepared, run: Run) -> tuple[Run, FitResult | str]:
    """Train one run; what went wrong comes back as text, so that one run that fails stops no other."""
    torch.set_num_threads(study.train.threads)
    try:
        return run, fit_run(study, run)
    except GndlError as error:
        return run, str(error)


class _EpochBar:
    """A bar over the epochs of all runs, read from the epochs.csv that each run keeps up to date."""

    def __init__(self, runs: list[Run], study: Prepared) -> None:
        self._files = [run.folder / EPOCHS for run in runs]
        title = f"Training {study.database.title}, {len(runs)} runs"
        self._bar: tqdm[int] = progress([], title, total=len(runs) * study.train.epochs, unit="epoch")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _EpochBar:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._bar.close()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.write(text)

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self._update()
        self._update()

    def _update(self) -> None:
        done = sum(max(0, file.read_bytes().count(b"\n") - 1) for file in self._files if file.exists())
        self._bar.update(done - self._bar.n)
