"""Train many runs at once: shared among processes of this machine (joblib) or the nodes of a Ray cluster.

Every run computes with its own fixed number of threads, so neither the engine nor who trains what changes a number.
Other calls may train in the same study at the same time, on this node or another: a run that another process holds is
left to it, and read when it is finished.
"""

from __future__ import annotations

import copy
import errno
import os
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal

from filelock import FileLock, Timeout

from gndl.files import GndlError, counted, is_locked, locked, progress
from gndl.folds import PAPER_FOLDS, Folds, listed_sides
from gndl.opening import require_device
from gndl.runs import Run, read_run
from gndl.stopping import Stopped, StopSign, leave_signals_to

if TYPE_CHECKING:
    import pandas as pd
    from tqdm import tqdm

    from gndl.study import Study

    Plan = Callable[[Study], list[Run]]

RETRIES: Final = 3
"""How often runs whose worker process was killed are resumed, from their checkpoints."""
OF_THE_DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors that every further run would meet as well."""
VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
RAY_SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing here calls out to the internet
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # runs without a GPU leave CUDA's variable alone
    "RAY_agent_register_timeout_ms": "1200000",  # a busy machine starts processes slowly
    "RAY_worker_register_timeout_seconds": "1200",
    "RAY_gcs_server_request_timeout_seconds": "1200",
    "RAY_health_check_timeout_ms": "600000",
}
"""Environment variables of Ray, where the user has set none."""
RAY_STARTS: Final = 3
"""How often a cluster of this machine is started, where it takes longer than Ray waits."""


@dataclass(frozen=True)
class Shard:
    """One of ``count`` shares of a plan, numbered from 1."""

    number: int
    count: int

    def of(self, runs: Sequence[Run]) -> set[Path]:
        """The folders of this share's runs: of a sorted plan, run i is in share i mod n, so every call deals alike."""
        return set(sorted(run.folder for run in runs)[self.number - 1 :: self.count])


def read_shard(text: str) -> Shard:
    """Read ``2/8``, the second of eight shares."""
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise GndlError(f"--shard must be a share of how many, counted from 1, such as 1/8 to 8/8, got {text!r}")
    return Shard(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Sharing:
    """How the runs of a study are shared; none of it changes a number."""

    jobs: int | None = None
    """Processes at once; None for one per core, or one per GPU."""
    engine: Literal["joblib", "ray"] = "joblib"
    runs_per_gpu: int = 1
    """Processes that share one GPU."""
    shard: Shard | None = None
    """The share of the plan that is trained; None for all of it."""
    checkpoint_every: int | None = None
    """Epochs between two checkpoints; None for the profile's, or 1 where runs are shared among nodes."""

    def __post_init__(self) -> None:
        for option, number in (("--runs-per-gpu", self.runs_per_gpu), ("--checkpoint-every", self.checkpoint_every)):
            if number is not None and number < 1:
                raise GndlError(f"{option} must be >= 1, got {number}")


@dataclass(frozen=True)
class Outcome:
    """What became of one run; busy where another call is training it."""

    run: Run
    state: Literal["finished", "failed", "stopped", "busy"]
    message: str = ""


def shared(studies: Sequence[Study], plan: Plan, shard: Shard | None) -> list[tuple[Study, list[Run]]]:
    """What ``plan`` lists of every database, or one share of it all."""
    plans = [(study, plan(study)) for study in studies]
    dealt = shard.of([run for _, runs in plans for run in runs]) if shard else None
    return [(study, [run for run in runs if dealt is None or run.folder in dealt]) for study, runs in plans]


def planned_runs(studies: Sequence[Study], plan: Plan, shard: Shard | None = None) -> pd.DataFrame:
    """What `shared` lists and its state ("finished", "begun" or "missing"): nothing is read, rendered or written.

    As long as no folds are dealt, there are as many as the profile asks for, or the paper's ten.
    """
    import pandas as pd

    for study in studies:
        path, settings = study.folder / "folds.json", study.settings
        dealt = len(listed_sides(path)[0]) if path.exists() else settings.n_folds or PAPER_FOLDS
        study.folds = Folds(((),) * dealt)  # a plan asks for their number only
    rows = [
        (run.database, run.variant, run.lam, run.fold, run.seed, _state(run, study))
        for study, runs in shared(studies, plan, shard)
        for run in runs
    ]
    return pd.DataFrame(rows, columns=["database", "method", "lam", "fold", "seed", "state"]).astype({"lam": float})


def _state(run: Run, study: Study) -> str:
    record = read_run(run.folder)
    if record is not None and record["epochs"] >= run.method.lengthened(study.settings.train).epochs:
        return "finished"
    return "begun" if (run.folder / "epochs.csv").exists() else "missing"


def train_all(studies: Sequence[Study], plan: Plan, how: Sharing) -> None:
    """Train what ``plan`` lists of every database, or this call's share of it, and write accuracy.csv.

    Raises `GndlError` where runs failed, after those of all databases were tried.
    """
    from gndl.results import write_accuracy

    failed = []
    for study, runs in shared(studies, plan, how.shard):
        try:
            train_missing(study, runs, how)
        except GndlError as error:
            failed.append(str(error))
        finally:
            write_accuracy(study.out)
    if failed:
        raise GndlError(" ".join(failed))


def train_missing(study: Study, runs: Sequence[Run], how: Sharing | None = None) -> None:
    """Train those of ``runs`` that are not finished, with a progress bar over their epochs.

    `GndlError` where runs failed, such as by a loss that is not finite; all others were finished first. `Stopped`, or
    KeyboardInterrupt after Ctrl-C, where a signal said so; each run in progress has finished its epoch.
    """
    how = how or Sharing()
    if all(study.finished(run) is not None for run in runs):
        return
    require_device(study.config)
    _ = study.pairs  # reads the pictures; from here on every finished run is checked against them
    study = _to_share(study, how)
    missing, failed, was_stopped = [run for run in runs if study.finished(run) is None], list[str](), False
    engine = _on_ray if how.engine == "ray" else _on_this_machine
    with (
        StopSign(study.out) as stop,
        _epoch_bar(study, missing) as bar,
        closing(engine(study, missing, how, stop)) as outcomes,
    ):
        for outcome in outcomes:
            was_stopped = was_stopped or outcome.state == "stopped"
            if outcome.message:
                bar.write(f"{outcome.run.name}: {outcome.message}")
            if outcome.state == "failed":
                failed.append(f"{outcome.run.name}: {outcome.message}")
    if was_stopped:
        raise KeyboardInterrupt if stop.interrupted else Stopped
    if failed:
        raise GndlError(f"{len(failed)} of {len(missing)} runs failed, the others are finished. " + " | ".join(failed))


@contextmanager
def _epoch_bar(study: Study, runs: Sequence[Run]) -> Iterator[tqdm[Any]]:
    title = f"Training {study.title}, {len(runs)} runs"
    total = sum(run.method.lengthened(study.train_settings).epochs for run in runs)
    files, over = [run.folder / "epochs.csv" for run in runs], threading.Event()

    def watch() -> None:  # whoever trains them
        while not over.wait(1.0):
            bar.update(sum(max(0, file.read_bytes().count(b"\n") - 1) for file in files if file.exists()) - bar.n)

    with progress(range(0), title, total=total, unit="epoch") as bar:
        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield bar
        finally:
            over.set()
            thread.join()


def _to_share(study: Study, how: Sharing) -> Study:
    import numpy as np

    from gndl.train import choose_device

    light, train, device = copy.copy(study), study.settings.train, choose_device(study.device)
    for name in ("database", "crops"):
        vars(light).pop(name, None)
    if how.engine == "ray":  # other nodes may lack the file of the crops, and see other GPUs
        light.pairs = replace(study.pairs, images=np.array(study.pairs.images))
    every = how.checkpoint_every or (1 if how.shard or how.engine == "ray" else train.checkpoint_every)
    settings = replace(study.settings, train=replace(train, checkpoint_every=every))
    named = device.type if how.engine == "ray" else str(device)
    light.config = replace(study.config, settings=settings, device=named)
    return light


def train_one(study: Study, run: Run, stop: StopSign, wait: bool) -> Outcome:
    """Train one run, in any process; what went wrong comes back as text, so that one run stops no other."""
    import torch

    claim = run.folder.with_name(f"{run.folder.name}.claim")  # of two that arrive at once, one takes the next run
    try:
        while True:
            stop.check()
            with locked(claim, wait=False) as mine:
                if mine and not is_locked(run.folder):
                    result = study.fit(run, on_epoch=stop.check)
                    epochs = counted(result.record["epochs"], "epoch")
                    by_another = ", trained by another process" if result.reused else ""
                    return Outcome(run, "finished", f"{100 * result.accuracy_last:.1f} % after {epochs}{by_another}")
            if not wait:
                return Outcome(run, "busy")
            time.sleep(1.0)
    except Stopped:
        return Outcome(run, "stopped")
    except GndlError as error:
        return Outcome(run, "failed", str(error))
    except torch.OutOfMemoryError:
        return Outcome(run, "failed", "the GPU's memory is too small; use fewer --runs-per-gpu.")
    except (MemoryError, torch.AcceleratorError):  # the next run would meet it as well
        raise
    except Exception as error:  # whatever a method from outside raises
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            raise
        traceback.print_exc()
        file, line, *_ = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(run, "failed", f"{type(error).__name__}: {error} ({Path(file).name}, line {line})")


def _on_this_machine(study: Study, runs: Sequence[Run], how: Sharing, stop: StopSign) -> Generator[Outcome]:
    # Rounds of all runs that are left: the second waits for those that other calls train; others follow a kill.
    from joblib import Parallel, delayed
    from joblib.externals.loky import BrokenProcessPool, get_reusable_executor

    processes, gpus = processes_and_gpus(study.device, how)
    left, kills, wait = {run.folder: run for run in runs}, 0, False
    # Joblib replaces a worker that has grown, and warns of it; nobody has to act.
    warnings.filterwarnings("ignore", message="A worker stopped while some", category=UserWarning)
    try:
        with tempfile.TemporaryDirectory(prefix="gndl-places-") as folder:
            while left:
                jobs = min(processes, len(left))
                to_choose = gpus if jobs > 1 else ()  # one at a time is trained in this very process
                common = (study, stop, wait, os.getpid(), to_choose, Path(folder))
                tasks = (delayed(_in_worker)(run, *common) for run in list(left.values()))
                try:
                    for outcome in Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(tasks):
                        if outcome.state != "busy":
                            del left[outcome.run.folder]
                            yield outcome
                    wait = True
                except BrokenProcessPool as error:
                    if stop.is_set():  # the signal reached a worker that was not yet, or no longer, training
                        yield from [Outcome(run, "stopped") for run in left.values()]
                        return
                    kills += 1
                    if kills > RETRIES:
                        raise GndlError(
                            f"Worker processes were killed {kills} times, as where memory runs out: use fewer --jobs. "
                            "The same call resumes from the checkpoints."
                        ) from error
                    print("A worker process was killed; its run resumes from its checkpoint.", file=sys.stderr)
    finally:
        if min(processes, len(runs)) > 1:
            get_reusable_executor().shutdown()  # idle workers would keep a gigabyte each


def _in_worker(
    run: Run, study: Study, stop: StopSign, wait: bool, caller: int, gpus: Sequence[str], places: Path
) -> Outcome:
    leave_signals_to(caller)
    take_place(gpus, places)
    return train_one(study, run, stop, wait)


def processes_and_gpus(device: str, how: Sharing) -> tuple[int, tuple[str, ...]]:
    """How many runs train at once, and the GPU of each; no GPUs on a CPU, or where one is named (``cuda:1``).

    On a CPU it is one for each core that this process may use: of a node's 64 a batch system may have given it 4. GPUs
    keep the names that ``CUDA_VISIBLE_DEVICES`` gives them; each has its first process before any has a second.
    """
    import torch
    from joblib import cpu_count

    from gndl.train import choose_device

    chosen, named = choose_device(device), os.environ.get(VISIBLE)
    if chosen.type != "cuda":
        return how.jobs or int(cpu_count()), ()
    count = torch.cuda.device_count() if chosen.index is None else 1
    gpus = [str(number) for number in range(count)] if named is None else [name.strip() for name in named.split(",")]
    places = tuple((gpus[:count] * how.runs_per_gpu)[: how.jobs])
    return len(places), places if chosen.index is None else ()


_taken: dict[Path, FileLock] = {}
"""The place of this process, held as long as it lives."""


def take_place(gpus: Sequence[str], folder: Path) -> None:
    """Let this worker process see only the GPU of a place that no other holds, as long as it lives.

    So a run names its device ``cuda`` wherever it is trained. The place of a worker that has died is free again.
    """
    while gpus and folder not in _taken:
        for number, gpu in enumerate(gpus):
            lock = FileLock(folder / f"place-{number}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            _taken[folder], os.environ[VISIBLE] = lock, gpu
            return
        time.sleep(0.1)  # one whose process is ending


def require_ray() -> ModuleType:
    """Ray, without its usage statistics; `GndlError` where it is not installed."""
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise GndlError("--engine ray needs Ray: pip install -c constraints.txt -e '.[ray]'") from error
    module: ModuleType = ray
    return module


def _on_ray(study: Study, runs: Sequence[Run], how: Sharing, stop: StopSign) -> Generator[Outcome]:
    # Pairs and folds are sent to each node once; every node must see the study's folder under the same path.
    ray = require_ray()
    with nullcontext() if ray.is_initialized() else _cluster(ray, study, how):
        on_gpu = study.device == "cuda"
        if on_gpu and not ray.cluster_resources().get("GPU", 0):
            raise GndlError("The Ray cluster has no GPU: start its nodes with --num-gpus, or use --device cpu.")
        # Ray counts in ten thousandths; rounded down, the runs of a GPU never need more than one.
        needed = {"num_cpus": study.train_settings.threads, "num_gpus": on_gpu * (10_000 // how.runs_per_gpu) / 10_000}
        task, sent = ray.remote(max_retries=RETRIES, **needed)(train_one), ray.put(study)
        pending = {task.remote(sent, run, stop, False): run for run in runs}
        while pending:
            for reference in ray.wait(list(pending), num_returns=1, timeout=1.0)[0]:  # signals are heard in between
                run = pending.pop(reference)
                try:
                    outcome: Outcome = ray.get(reference)
                except ray.exceptions.RayError as error:
                    last = str(error).strip().splitlines()[-1:]
                    outcome = Outcome(run, "failed", " ".join([f"on the Ray cluster, {type(error).__name__}:", *last]))
                if outcome.state == "busy":  # wait for it, after all others
                    pending[task.remote(sent, run, stop, True)] = run
                else:
                    yield outcome


@contextmanager
def _cluster(ray: ModuleType, study: Study, how: Sharing) -> Iterator[None]:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    address, before = os.environ.get("RAY_ADDRESS", "local"), signal.getsignal(signal.SIGTERM)
    if address == "local":
        processes, _ = processes_and_gpus(study.device, how)
        options |= {"num_cpus": processes * study.train_settings.threads, "include_dashboard": False}
    for left in reversed(range(RAY_STARTS)):
        try:
            ray.init(address=address, **options)
            break
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise GndlError(f"No Ray cluster answers at RAY_ADDRESS={address}: {error}") from error
        except Exception as error:  # Ray waits 30 s for its own node, however busy the machine is
            if not left or "timed out" not in str(error):
                raise
            ray.shutdown()
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray has set a handler of its own
        yield
    finally:
        ray.shutdown()
