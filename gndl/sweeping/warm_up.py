"""How fast this device trains, from a few steps on noise: the same network, settings and number of runs at once."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import get_reusable_executor

from gndl.checkpoint import save_state
from gndl.device import choose_device, computing_on
from gndl.methods import method_settings
from gndl.pairs import FacePairs
from gndl.profiles import TrainSettings
from gndl.sweeping.engine_local import processes_and_gpus
from gndl.sweeping.gpu_places import take_place
from gndl.sweeping.sweep import Sweep
from gndl.trainer import Trainer

SECONDS: Final = 1.0
"""Least time that the steps of one method are measured for."""

CPU_BATCH: Final = 16
"""Pairs in a step that is measured on a processor, where larger ones are no faster for each picture."""

IN_EACH: Final = 3
"""Pairs of one sequence, whose one neutral face a method that takes whole sequences looks at once."""


@dataclass(frozen=True)
class Pace:
    """What one process takes while as many others train as will.

    Parameters
    ----------
    trained, tested : float
        Seconds for a picture that is trained on, and one that is tested.
    checkpoint : float
        Seconds to write a checkpoint.
    """

    trained: float
    tested: float
    checkpoint: float

    def epoch(self, trained: float, tested: float, checkpoints: float = 0.0) -> float:
        """Seconds of an epoch of so many pictures, and of so many checkpoints (a fraction where not every epoch)."""
        return trained * self.trained + tested * self.tested + checkpoints * self.checkpoint


def measured_paces(
    methods: Sequence[str], settings: TrainSettings, lam: float, device: str, how: Sweep
) -> dict[str, Pace]:
    """Measure each method in as many processes at once as will train, and return the median process of each.

    Nothing is read, and nothing stays on disk.
    """
    processes, gpus = processes_and_gpus(device, how)
    with tempfile.TemporaryDirectory(prefix="gndl-places-") as folder:
        task = delayed(_measure)
        tasks = (
            task(list(methods), settings, lam, device, gpus if processes > 1 else (), Path(folder))
            for _ in range(processes)
        )
        measured: list[dict[str, Pace]] = Parallel(n_jobs=processes, batch_size=1)(tasks)
        if processes > 1:
            get_reusable_executor().shutdown()
    return {name: _median([paces[name] for paces in measured]) for name in methods}


def _measure(
    methods: Sequence[str], settings: TrainSettings, lam: float, device: str, gpus: Sequence[str], folder: Path
) -> dict[str, Pace]:
    take_place(gpus, folder)
    return {name: pace_of(name, settings, lam, choose_device(device)) for name in methods}


def pace_of(name: str, settings: TrainSettings, lam: float, device: torch.device) -> Pace:
    """Measure one method in this process, after one step to warm up."""
    method = method_settings(name)
    size = settings.batch_size if device.type == "cuda" else min(CPU_BATCH, settings.batch_size)
    pairs, index = _noise(size, settings.image_size), np.arange(size)
    with computing_on(device, settings.precision, settings.threads, seed=0), tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(method, pairs, index, index, settings, lam if method.uses_lam else None, 0, device, None)
        trainer.optimise()
        trainer.logits(trainer.test_index)

        def step() -> None:
            trainer.optimise()  # reads its losses, and so waits for the device

        def test() -> None:
            float(trainer.logits(trainer.test_index).sum())

        trained = _seconds(step, SECONDS) / (size * method.images_per_pair)
        tested = _seconds(test, SECONDS / 5) / size
        checkpoint = _seconds(lambda: save_state(Path(folder) / "state.pt", trainer.state({})), 0.0, least=1)
    return Pace(trained, tested, checkpoint)


def _seconds(do: Callable[[], None], long: float, least: int = 2) -> float:
    """Median seconds of ``do``, called for ``long`` seconds and ``least`` times at least."""
    took: list[float] = []
    while len(took) < least or sum(took) < long:
        started = time.perf_counter()
        do()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def _noise(count: int, size: int) -> FacePairs:
    """Grey pairs of noise, three of a sequence as in the databases; speed does not depend on what is seen."""
    images = np.random.default_rng(0).integers(0, 256, (2 * count, size, size), dtype=np.uint8)
    index, sequence = np.arange(count), np.arange(count) // IN_EACH
    frames, names = [str(number) for number in index], [str(number) for number in sequence]
    return FacePairs(images, index, sequence + count, sequence % 7, names, names, frames, tuple("abcdefg"))


def _median(paces: Sequence[Pace]) -> Pace:
    def middle(name: str) -> float:
        return statistics.median(getattr(pace, name) for pace in paces)

    return Pace(middle("trained"), middle("tested"), middle("checkpoint"))


def describe_paces(paces: Mapping[str, Pace], device: str, how: Sweep) -> str:
    """Say what was measured, in one line."""
    processes, _ = processes_and_gpus(device, how)
    chosen = choose_device(device)
    where = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else f"{cpu_count()} cores"
    rates = ", ".join(f"{name} {1 / pace.trained:.0f}" for name, pace in paces.items())
    return (
        f"measured just now on this device ({chosen.type}, {where}), images a second of one of {processes} processes: "
        f"{rates}"
    )
