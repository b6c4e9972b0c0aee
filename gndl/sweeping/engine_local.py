"""Runs shared among processes of this machine (joblib), each with a GPU of its own where there are any."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import BrokenProcessPool, get_reusable_executor

from gndl.device import choose_device
from gndl.errors import GndlError
from gndl.prepare import Prepared
from gndl.runs import Run
from gndl.streaming import StreamedPairs
from gndl.sweeping.gpu_places import places, take_place, visible_gpus
from gndl.sweeping.stopping import StopSign, heed_signals_in_worker
from gndl.sweeping.sweep import Outcome, Outcomes, Sweep, train_one

RETRIES: Final = 3
"""How often runs whose worker process was killed are taken up again, from their checkpoints."""


@contextmanager
def local_engine(study: Prepared, how: Sweep, stop: StopSign) -> Iterator[Outcomes]:
    """Yield the function that trains runs in processes of this machine.

    Raises
    ------
    GndlError
        Where workers are killed again and again; what they finished stays.
    """
    processes, gpus = processes_and_gpus(study.request.device, how)
    side_by_side = False
    with tempfile.TemporaryDirectory(prefix="gndl-places-") as folder:

        def outcomes(runs: Sequence[Run], wait: bool) -> Iterator[Outcome]:
            nonlocal side_by_side
            jobs = min(processes, len(runs))
            side_by_side = side_by_side or jobs > 1
            own_gpus = gpus if jobs > 1 else ()  # one at a time is trained in this very process
            training = sharing_memory(study, most_on_one_device(own_gpus, jobs))
            left = {run.folder: run for run in runs}
            for attempt in range(RETRIES + 1):
                train = delayed(_in_worker)
                tasks = (
                    train(training, run, stop, wait, os.getpid(), own_gpus, Path(folder)) for run in list(left.values())
                )
                expect_renewed_workers()
                try:
                    for outcome in Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(tasks):
                        del left[outcome.run.folder]
                        yield outcome
                    return
                except BrokenProcessPool as error:
                    if stop.is_up():  # the signal reached a worker that was not yet, or no longer, training
                        yield from [Outcome(run, stopped=True) for run in left.values()]
                        return
                    if attempt == RETRIES:
                        raise GndlError(
                            f"Worker processes were killed {RETRIES + 1} times, as where memory runs out: use fewer "
                            "--jobs. The same call goes on from the checkpoints."
                        ) from error
                    print("A worker process was killed; its run goes on from its checkpoint.", file=sys.stderr)

        try:
            yield outcomes
        finally:
            if side_by_side:
                get_reusable_executor().shutdown()  # idle workers would keep a gigabyte each while the notebooks run


def expect_renewed_workers() -> None:
    """Let joblib replace a worker that has grown without a warning: it goes on, and nobody has to act."""
    warnings.filterwarnings("ignore", message="A worker stopped while some", category=UserWarning)


def processes_and_gpus(device: str, how: Sweep) -> tuple[int, tuple[str, ...]]:
    """Return how many runs go on at once, and the GPU of each; no GPUs on a CPU, or where one is named (``cuda:1``).

    On a CPU it is one for each core that this process may use: of a node's 64 a batch system may have given it 4.
    """
    chosen = choose_device(device)
    if chosen.type != "cuda":
        return how.jobs or cpu_count(), ()
    if chosen.index is not None:
        return len(places((device,), how.runs_per_gpu, how.jobs)), ()
    gpus = places(visible_gpus(), how.runs_per_gpu, how.jobs)
    return len(gpus), gpus


def most_on_one_device(gpus: Sequence[str], jobs: int) -> int:
    """Return how many of so many processes share one device at most: all of them where ``gpus`` names none."""
    return max(Counter(gpus[:jobs]).values(), default=jobs)


def sharing_memory(study: Prepared, processes: int) -> Prepared:
    """Return the study with pairs that leave room for the copies of other processes; no number changes by it."""
    if not isinstance(study.pairs, StreamedPairs):
        return study
    return replace(study, pairs=study.pairs.shared_by(processes))


def _in_worker(
    study: Prepared, run: Run, stop: StopSign, wait: bool, caller: int, gpus: tuple[str, ...], folder: Path
) -> Outcome:
    heed_signals_in_worker(caller)
    take_place(gpus, folder)
    if os.getpid() != caller:  # what calls keeps its threads; a training sets its own (`gndl.device.computing_on`)
        torch.set_num_threads(study.train.threads)
    return train_one(study, run, stop, wait)
