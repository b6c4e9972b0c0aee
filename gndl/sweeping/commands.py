"""What ``gndl train`` does, and ``gndl study`` with a share: prepare every database, train runs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from gndl.errors import GndlError
from gndl.options import TrainingOptions
from gndl.prepare import Prepared, prepare
from gndl.request import StudyRequest, save_request
from gndl.results import write_accuracy
from gndl.runs import Run
from gndl.sweeping.engine_ray import imported_ray
from gndl.sweeping.shard import read_shard
from gndl.sweeping.sweep import Sweep, shared, train_runs


def sweep_asked(options: TrainingOptions) -> Sweep:
    """Turn options into how the runs are shared; numbers that cannot be meant raise `GndlError`."""
    for option, number in (
        ("--runs-per-gpu", options.runs_per_gpu),
        ("--checkpoint-every", options.checkpoint_every),
    ):
        if number is not None and number < 1:
            raise GndlError(f"{option} takes a number of at least 1; it was given {number}.")
    if options.engine == "ray":
        imported_ray()  # that it is missing is said before anything is rendered
    shard = read_shard(options.shard) if options.shard else None
    return Sweep(options.jobs or None, options.engine, options.runs_per_gpu, shard, options.checkpoint_every)


def train_plan(request: StudyRequest, jobs: int, how: Sweep, plan: Callable[[Prepared], list[Run]]) -> None:
    """Prepare every database, and train what ``plan`` lists of each, or this call's share of that.

    Raises
    ------
    GndlError
        Where runs failed; those of all databases were tried first.
    """
    request = save_request(request)
    studies = [prepare(request, name, jobs) for name in request.data_roots]
    plans = [(study, plan(study)) for study in studies]
    if how.shard is not None:
        whole = sum(len(runs) for _, runs in plans)
        plans = shared(plans, how.shard)
        print(f"Share {how.shard}: {sum(len(runs) for _, runs in plans)} of {whole} runs.", flush=True)
    failed = []
    for study, runs in plans:
        try:
            train_runs(study, runs, how)
        except GndlError as error:
            failed.append(str(error))
        finally:
            accuracy = write_accuracy(request.out)
        print(accuracy[accuracy["database"] == study.database.name].to_string(index=False), flush=True)
    print(f"Accuracies: {request.out / 'accuracy.csv'}")
    if failed:
        raise GndlError(" ".join(failed))
