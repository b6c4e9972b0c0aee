"""Many runs at once: shared among local processes (joblib) or a Ray cluster, each of them trained by one process.

Every run computes with its own fixed number of threads, so neither the engine nor who trains what changes a number.
Other calls may train in the same study at the same time, on this node or another: a run that another process has
locked is left to it, and read when it is finished.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import torch

from gndl.errors import GndlError
from gndl.files import is_locked, locked_if_free
from gndl.prepare import Prepared
from gndl.profiles import TrainSettings
from gndl.runs import Run, find_finished, fit_run
from gndl.sweeping.estimate import cost_to_deal
from gndl.sweeping.shard import Shard, dealt
from gndl.sweeping.stopping import Stopped, StopSign
from gndl.sweeping.watching_epochs import EpochBar
from gndl.train import FitResult

EngineName = Literal["joblib", "ray"]

POLL: Final = 1.0
"""Seconds between two looks at a run that another process trains."""


@dataclass(frozen=True)
class Sweep:
    """How the runs of a study are shared; nothing of it changes a number.

    Parameters
    ----------
    jobs : int or None
        Processes at once; None for one per core, or one per GPU.
    engine : {"joblib", "ray"}
        Processes of this machine, or those of a Ray cluster.
    runs_per_gpu : int
        Processes that share one GPU.
    shard : Shard or None
        The share of the plan that is trained; None for all of it.
    checkpoint_every : int or None
        Epochs between two checkpoints; None for the profile's, or 1 where the runs are shared among nodes.
    """

    jobs: int | None = None
    engine: EngineName = "joblib"
    runs_per_gpu: int = 1
    shard: Shard | None = None
    checkpoint_every: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of one run: its result, or what went wrong, or that another process trains it or all were stopped."""

    run: Run
    result: FitResult | None = None
    error: str = ""
    busy: bool = False
    stopped: bool = False


Outcomes = Callable[[Sequence[Run], bool], Iterator[Outcome]]
"""Trains runs, as they come; True: waits for those that another process is training, and reads them."""


def engine_named(name: EngineName) -> Callable[[Prepared, Sweep, StopSign], AbstractContextManager[Outcomes]]:
    """Return the engine called ``name``."""
    if name == "ray":
        from gndl.sweeping.engine_ray import ray_engine

        return ray_engine
    from gndl.sweeping.engine_local import local_engine

    return local_engine


def train_one(study: Prepared, run: Run, stop: StopSign, wait: bool) -> Outcome:
    """Train one run, in whatever process; what went wrong comes back as text, so that one run stops no other."""
    claim = run.folder.with_name(f"{run.folder.name}.claim")  # of two that come at once one goes on to the next run
    try:
        while True:
            stop.check()
            with locked_if_free(claim) as mine:
                if mine and not is_locked(run.folder):
                    return Outcome(run, fit_run(study, run, on_epoch=stop.check))
            if not wait:
                return Outcome(run, busy=True)
            time.sleep(POLL)
    except Stopped:
        return Outcome(run, stopped=True)
    except GndlError as error:
        return Outcome(run, error=str(error))
    except torch.OutOfMemoryError:
        return Outcome(run, error="the GPU's memory did not suffice; use fewer --runs-per-gpu, or a smaller batch.")
    except (MemoryError, torch.AcceleratorError):  # the next run would meet it as well
        raise
    except Exception as error:  # whatever a method of one's own raises
        if isinstance(error, OSError) and not _elsewhere(error, study.request.out):
            raise  # such as a full disk or a folder where nothing may be written
        traceback.print_exc()
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
        return Outcome(run, error=words)


def _elsewhere(error: OSError, out: Path) -> bool:
    """Whether an error names a file outside the study's folder, such as one that a method of one's own reads."""
    return error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(out)


def train_runs(
    study: Prepared,
    runs: Sequence[Run],
    how: Sweep | None = None,
    on_finished: Callable[[Run, FitResult], None] | None = None,
) -> None:
    """Train those of ``runs`` that are not finished.

    Parameters
    ----------
    study : Prepared
    runs : sequence of Run
    how : Sweep, optional
        Its share is dealt before: by `shared` over the plan of all databases.
    on_finished : callable, optional
        Called in this process with each run and its result.

    Raises
    ------
    GndlError
        Where runs failed, such as by a loss that is not finite; all others were finished first.
    Stopped
        Where a signal said so; each run in progress has ended its epoch.
    """
    how = how or Sweep()
    missing = [run for run in runs if find_finished(study, run) is None]
    if not missing:
        return
    failed: list[str] = []
    stopped = False
    by_folder = {run.folder: run for run in missing}
    study = with_checkpoints(study, how)
    engine = engine_named(how.engine)
    with (
        StopSign(study.request.out) as stop,
        EpochBar(missing, study) as bar,
        engine(study, how, stop) as train,
    ):
        waiting = missing
        for wait in (False, True):
            busy = []
            for outcome in train(waiting, wait) if waiting else ():
                run, result = by_folder[outcome.run.folder], outcome.result
                stopped = stopped or outcome.stopped
                if outcome.busy:
                    busy.append(run)
                elif outcome.error:
                    failed.append(f"{run.name}: {outcome.error}")
                elif result is not None:
                    bar.say(_words(run, result))
                    if on_finished is not None:
                        on_finished(run, result)
            waiting = busy
    if stopped:
        raise Stopped
    if failed:
        raise GndlError(f"{len(failed)} of {len(missing)} runs failed, the others are finished. " + " | ".join(failed))


def checkpoint_every(train: TrainSettings, how: Sweep) -> int:
    """Return the epochs between two checkpoints: as asked, else the profile's, else 1 where nodes may be taken away."""
    if how.checkpoint_every is not None:
        return how.checkpoint_every
    return 1 if how.shard is not None or how.engine == "ray" else train.checkpoint_every


def with_checkpoints(study: Prepared, how: Sweep) -> Prepared:
    """Return the study with checkpoints as often as ``how`` says; they change no number and no identity."""
    every = checkpoint_every(study.train, how)
    if every == study.train.checkpoint_every:
        return study
    return replace(study, train=replace(study.train, checkpoint_every=every))


def shared(plans: Sequence[tuple[Prepared, list[Run]]], shard: Shard) -> list[tuple[Prepared, list[Run]]]:
    """Return the share of a plan over several databases, the one that ``--dry-run`` names."""
    costs = {
        run.folder: cost_to_deal(study.request, study.database.name, run.method)
        for study, runs in plans
        for run in runs
    }
    own = dealt(costs, shard)
    return [(study, [run for run in runs if run.folder in own]) for study, runs in plans]


def _words(run: Run, result: FitResult) -> str:
    by_another = ", trained by another process" if result.reused else ""
    return f"{run.name}: {100 * result.accuracy_last:.1f} % after {result.record['epochs']} epochs{by_another}"
