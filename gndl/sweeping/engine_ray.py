"""The very same runs on a Ray cluster; Ray decides which node trains which, and retries those whose worker died."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

import numpy as np

from gndl.device import choose_device
from gndl.errors import GndlError
from gndl.outside_methods import VARIABLE
from gndl.prepare import Prepared
from gndl.runs import Run
from gndl.sweeping.engine_local import processes_and_gpus, sharing_memory
from gndl.sweeping.stopping import StopSign, keeping_handlers
from gndl.sweeping.sweep import Outcome, Outcomes, Sweep, train_one

RETRIES: Final = 5
"""How often Ray takes up a run again whose worker or node has died; it goes on from its checkpoint."""


@contextmanager
def ray_engine(study: Prepared, how: Sweep, stop: StopSign) -> Iterator[Outcomes]:
    """Yield the function that trains runs on the cluster at ``RAY_ADDRESS``, or on one started here for this call.

    Crops and folds are sent to each node once, through Ray's object store; runs are written to the study's folder,
    which every node must see under the same path. This process's kind of device is that of all runs.

    Raises
    ------
    GndlError
        Where Ray is not installed or not reached, or the cluster has no GPU for runs on CUDA.
    """
    ray = imported_ray()
    device = choose_device(study.request.device).type
    started_here = not ray.is_initialized()
    if started_here:
        _connect(ray, study, how)
    try:
        gpus = float(ray.cluster_resources().get("GPU", 0))
        if device == "cuda" and not gpus:
            raise GndlError("The Ray cluster has no GPU: start its nodes with --num-gpus, or use --device cpu.")
        options: dict[str, Any] = {"num_cpus": study.train.threads, "max_retries": RETRIES}
        if device == "cuda":
            options["num_gpus"] = gpus_of_a_run(how.runs_per_gpu)
        if own := variables_of_own_methods():
            options["runtime_env"] = {"env_vars": own}
        task = ray.remote(**options)(train_one)
        # Of other nodes' cores nothing is known here; --jobs says how many runs one of them is to take.
        sharing = how.runs_per_gpu if device == "cuda" else processes_and_gpus(device, how)[0]
        sent = ray.put(_to_send(sharing_memory(study, sharing), device))

        def outcomes(runs: Sequence[Run], wait: bool) -> Iterator[Outcome]:
            pending = {task.remote(sent, run, stop, wait): run for run in runs}
            while pending:
                ready, _ = ray.wait(list(pending), num_returns=1, timeout=1.0)
                for reference in ready:
                    yield _outcome(ray, reference, pending.pop(reference))

        yield outcomes
    finally:
        if started_here:
            with keeping_handlers():
                ray.shutdown()


def gpus_of_a_run(runs_per_gpu: int) -> float:
    """Return the fraction of a GPU that Ray reserves for a run; it takes ten thousandths, so it is rounded down."""
    if runs_per_gpu < 1:
        raise GndlError(f"--runs-per-gpu takes a number of at least 1; it was given {runs_per_gpu}.")
    return 10_000 // runs_per_gpu / 10_000


def variables_of_own_methods() -> dict[str, str]:
    """Return what a worker needs in its environment to import methods from files; nothing where there are none.

    Their classes travel by name, and the workers of a cluster that runs already know nothing of this process. The files
    must lie on a disk that every node sees.
    """
    if not os.environ.get(VARIABLE):
        return {}
    return {name: os.environ[name] for name in (VARIABLE, "PYTHONPATH") if os.environ.get(name)}


def imported_ray() -> ModuleType:
    """Return Ray, told to call nobody; where it is not installed `GndlError` says how to install it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing here calls out to the internet
    # Where a run takes no GPU, Ray leaves CUDA_VISIBLE_DEVICES alone; without this it warns about that.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise GndlError("--engine ray needs Ray: pip install -c constraints.txt -e '.[ray]'.") from error
    module: ModuleType = ray
    return module


def _connect(ray: ModuleType, study: Prepared, how: Sweep) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    address = os.environ.get("RAY_ADDRESS", "local")
    with keeping_handlers():
        if address != "local":
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise GndlError(f"No Ray cluster answers at RAY_ADDRESS={address}: {error}") from error
            return
        processes, _ = processes_and_gpus(study.request.device, how)
        ray.init(address="local", num_cpus=processes * study.train.threads, include_dashboard=False, **quiet)


def _to_send(study: Prepared, device: str) -> Prepared:
    """Return the study with its crops in memory, since other nodes may not have the file, and its device by name."""
    images = np.array(study.crops.images)
    return replace(
        study,
        request=replace(study.request, device=device),
        crops=replace(study.crops, images=images),
        pairs=replace(study.pairs, images=images),
    )


def _outcome(ray: ModuleType, reference: Any, run: Run) -> Outcome:
    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        words = str(error).strip().splitlines()
        return Outcome(run, error=f"on the Ray cluster, {type(error).__name__}: {words[-1] if words else ''}")
    return outcome
