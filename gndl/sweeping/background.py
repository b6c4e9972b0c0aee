"""A training too long to wait for, as a process of its own: a notebook starts it, reads how far it is, and may close.

The process holds a lock as long as it lives, so a second cell starts no second one, and the runs' own locks and
checkpoints see to it that nothing is trained twice. What it does lies beside the database's runs: ``background.json``
(what was asked), ``background.log`` (what it says).

``python -m gndl.sweeping.background FILE LOCK`` is what the process runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from gndl.absent_methods import absent_note, methods_at_hand
from gndl.device import choose_device, computing_on
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.methods import MethodSettings
from gndl.paths import repository_root
from gndl.prepare import Prepared
from gndl.record import EPOCHS
from gndl.runs import Run, find_finished, plan_runs
from gndl.study import default_jobs, open_study, train_missing
from gndl.trainer import Trainer

LONG = 600.0
"""Seconds from which on a training is not waited for."""

JOB, LOG, LOCK = "background.json", "background.log", ".background.lock"


@dataclass(frozen=True)
class Progress:
    """How far a background training is, as its files on disk say.

    Parameters
    ----------
    running : bool
    epochs_done, epochs : int
        Of all its runs together.
    seconds : float
        Since it was started, or that it took.
    failure : str
        Why it ended before its work was done, else "".
    """

    running: bool
    epochs_done: int
    epochs: int
    seconds: float
    failure: str = ""

    @property
    def share(self) -> float:
        """Of the work, in [0, 1]."""
        return min(1.0, self.epochs_done / max(1, self.epochs))


@dataclass(frozen=True)
class Standing:
    """What became of a call of :func:`train`: in words (Markdown), and whether a background process is at work."""

    folder: Path
    words: str
    running: bool = False


def someone_is_there() -> bool:
    """Whether a person asks, in JupyterLab: papermill and other batches allow no input, scripts have no kernel."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and bool(getattr(kernel, "_allow_stdin", True))


def train(
    study: Prepared,
    *,
    methods: Iterable[str | MethodSettings] | None = None,
    lams: Iterable[float] | None = None,
    folds: Iterable[int] | None = None,
    jobs: int | None = None,
    wait: bool | None = None,
    longest: float = LONG,
) -> Standing:
    """Train the runs that are missing: in front where that is short or nobody is there, else in the background.

    Parameters
    ----------
    study, methods, lams, folds, jobs
        As for :func:`gndl.study.train_missing`.
    wait : bool, optional
        Train in front, however long it takes; default where nobody is there (:func:`someone_is_there`).
    longest : float
        Seconds above which a training goes to the background, by a rate measured in a few steps.

    Raises
    ------
    GndlError
        Where runs failed that were trained in front.
    """
    note = absent_note(study) if methods is None else ""
    methods = list(methods_at_hand(study) if methods is None else methods)
    lams = None if lams is None else list(lams)
    folds = None if folds is None else list(folds)
    runs = plan_runs(study, methods, lams, folds)
    missing = [run for run in runs if find_finished(study, run) is None]
    wait = not someone_is_there() if wait is None else wait
    words = f"All {len(runs)} runs are there; nothing was trained."
    if missing and not wait:
        if is_running(study.folder):
            return Standing(study.folder, _elsewhere(len(missing)), running=True)
        jobs = min(jobs or default_jobs(study.request.device), len(missing))
        seconds = expected_seconds(study, missing, jobs)
        of_session = any(run.method.code is not None for run in missing)  # no other process could read its source
        if seconds > longest and not of_session:
            start(study, missing, jobs)
            return Standing(study.folder, _started(len(missing), seconds), running=True)
    if missing:
        train_missing(study, methods=methods, lams=lams, folds=folds, jobs=jobs)
        words = f"{len(missing)} of {len(runs)} runs were missing and have been trained now; what was there is read."
    return Standing(study.folder, f"{words} {note}".strip())


def expected_seconds(study: Prepared, missing: Sequence[Run], jobs: int) -> float:
    """Seconds that runs will take, by the rate of a few steps of the costliest one, measured now on this machine."""
    costliest = max(missing, key=lambda run: run.images)
    rate = measured_rate(study, costliest)
    work = [run.images * study.train.epochs / rate for run in missing]
    return max(sum(work) / jobs, *work)


def measured_rate(study: Prepared, run: Run, steps: int = 2, pairs: int = 8) -> float:
    """Images a second of one process: ``steps`` optimiser steps of ``pairs`` pairs each, after one to warm up.

    Nothing is written, and no random state is changed.
    """
    train_index, test_index = study.folds.train_test(run.fold, study.pairs.subject)
    size = min(pairs, study.train.batch_size, len(train_index))
    settings = replace(study.train, batch_size=size)
    device = choose_device(study.request.device)
    with computing_on(device, settings.precision, settings.threads, run.seed):
        chosen = np.resize(train_index, size * steps)
        trainer = Trainer(
            run.method, study.pairs, chosen[:size], test_index[:1], settings, run.lam, run.seed, device, None
        )
        trainer.optimise()
        trainer.train_index = chosen
        started = time.perf_counter()
        trainer.optimise()
        return run.method.images_per_pair * len(chosen) / (time.perf_counter() - started)


def start(study: Prepared, missing: Sequence[Run], jobs: int) -> int | None:
    """Start a process that trains the runs and outlives this one; return its id, None where one is at work already."""
    request, folder = study.request, study.folder
    folder.mkdir(parents=True, exist_ok=True)
    lock = _hold(folder)
    if lock is None:
        return None
    with lock, (folder / LOG).open("w", encoding="utf-8") as log:
        job: dict[str, Any] = {
            "database": study.database.name,
            "data_root": request.data_roots[study.database.name],
            "profile": request.settings.name,
            "out": str(request.out),
            "device": request.device,
            "jobs": jobs,
            "epochs": study.train.epochs,
            "started": time.time(),
            "runs": [
                {"method": run.method.name, "lam": run.lam, "fold": run.fold, "seed": run.seed,
                 "folder": run.folder.relative_to(folder).as_posix()}
                for run in missing
            ],
        }  # fmt: skip
        write_json(folder / JOB, job)
        process = subprocess.Popen(
            [sys.executable, "-m", "gndl.sweeping.background", str(folder / JOB), str(lock.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=repository_root(),
            # One thread for each of its processes: there is one on every core.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
        write_json(folder / JOB, job | {"pid": process.pid})
    return process.pid


def is_running(folder: Path) -> bool:
    """Whether a background training of the database in ``folder`` is alive."""
    if not (folder / LOCK).exists():
        return False
    lock = _hold(folder)
    if lock is None:
        return True
    lock.close()
    return False


def progress_of(folder: Path) -> Progress | None:
    """Read how far the background training of a database is; None where there never was one."""
    if not (folder / JOB).exists():
        return None
    running = is_running(folder)
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    files = [folder / run["folder"] / EPOCHS for run in job["runs"]]
    done = sum(max(0, file.read_bytes().count(b"\n") - 1) for file in files if file.exists())
    epochs = len(files) * job["epochs"]
    complete = all((folder / run["folder"] / "run.json").exists() for run in job["runs"])
    failure = ""
    if not running and not complete:
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing"]
        failure = job.get("error", f"it was ended from outside; the last that it said is: {lines[-1]}")
    return Progress(running, done, epochs, job.get("ended", time.time()) - job["started"], failure)


def stop(folder: Path) -> bool:
    """End the background training of a database; its runs go on from their last checkpoints. False where none is."""
    if not is_running(folder):
        return False
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    if "pid" not in job:  # it is being started this very moment
        return False
    os.killpg(job["pid"], signal.SIGTERM)
    write_json(folder / JOB, job | {"ended": time.time(), "error": "it was stopped"})
    return True


def _hold(folder: Path) -> TextIO | None:
    """Take the database's lock without waiting; None where another process has it."""
    lock = (folder / LOCK).open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _started(runs: int, seconds: float) -> str:
    time_ = f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
    return (
        f"**Runs that are missing: {runs}. They will take about {time_}**, by the rate of a few steps here. A "
        "process of its own trains them now: you may go on reading or close this page. Run this notebook again later; "
        "what is finished by then is read, and nothing is trained twice."
    )


def _elsewhere(runs: int) -> str:
    return (
        f"**A background training of this database is at work**; runs asked for here and not finished: {runs}. Run "
        "this notebook again when it has ended."
    )


def main(job_file: str, lock: str) -> None:
    """Train what a job file lists, and note in it when that ended and how."""
    os.set_inheritable(int(lock), False)  # the lock is this process's alone, not its workers'
    path = Path(job_file)
    job = json.loads(path.read_text(encoding="utf-8"))
    error = ""
    try:
        for seed in sorted({run["seed"] for run in job["runs"]}):
            study = open_study(
                job["database"], data_root=job["data_root"], profile=job["profile"], out=job["out"],
                device=job["device"], seed=seed,
            )  # fmt: skip
            own = [run for run in job["runs"] if run["seed"] == seed]
            methods = list(dict.fromkeys(run["method"] for run in own))
            lams = sorted({run["lam"] for run in own} - {None})
            folds = sorted({run["fold"] for run in own})
            train_missing(study, methods=methods, lams=lams or None, folds=folds, jobs=job["jobs"])
    except GndlError as failure:
        error = str(failure)
        print(f"gndl: {error}", file=sys.stderr)
    job = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, job | {"ended": time.time()} | ({"error": error} if error else {}))
    sys.exit(1 if error else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
