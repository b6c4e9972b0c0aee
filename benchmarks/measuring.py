"""What the benchmarks share: ways that take turns, ratios within each repeat, and trainings on noise."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gndl.device import autocast, computing_on
from gndl.files import write_csv
from gndl.methods import method_settings
from gndl.pairs import FacePairs
from gndl.profiles import Precision, TrainSettings
from gndl.trainer import Trainer

CPU = torch.device("cpu")


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="turns of every way that count; one more warms up")
    parser.add_argument("--out", type=Path, help="CSV file to write the table to")
    parser.add_argument("--tiny", action="store_true", help="sizes that run in seconds; numbers mean nothing")
    return parser


def interleaved(turns: Mapping[str, Callable[[], float]], repeats: int, warm_ups: int = 1) -> pd.DataFrame:
    """Let every way take its turn, again and again, every other repeat backwards: columns way, repeat, value."""
    rows = []
    for repeat in range(1 - warm_ups, repeats + 1):
        for way in list(turns) if repeat % 2 else list(turns)[::-1]:
            value = turns[way]()
            if repeat > 0:
                rows.append({"way": way, "repeat": repeat, "value": value})
    return pd.DataFrame(rows)


def spread(repeats: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Median, smallest and largest value of each way, and of its ratio to the reference within the same repeat."""
    values = repeats.pivot(index="repeat", columns="way", values="value")[list(repeats["way"].unique())]
    ratios = values.div(values[reference], axis=0)
    table = {"median": values.median(), "low": values.min(), "high": values.max(), "ratio": ratios.median()}
    table |= {"ratio_low": ratios.min(), "ratio_high": ratios.max()}
    return pd.DataFrame(table).assign(reference=reference, repeats=len(values))


def show(tables: Sequence[pd.DataFrame], out: Path | None) -> None:
    """Print the tables as one, and write it."""
    table = pd.concat([table.reset_index() for table in tables], ignore_index=True)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    if out is not None:
        write_csv(table, out)


def seconds(do: Callable[[], object], device: torch.device = CPU) -> Callable[[], float]:
    """A turn that returns the seconds of ``do``, the device's work included."""

    def turn() -> float:
        wait_for(device)
        started = time.perf_counter()
        do()
        wait_for(device)
        return time.perf_counter() - started

    return turn


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def noise_pairs(count: int, size: int) -> FacePairs:
    """Grey pairs of noise, three of each sequence with its one neutral face: speed does not depend on what is seen."""
    sequences = -(-count // 3)
    images = np.random.default_rng(0).integers(0, 256, (sequences + count, size, size), dtype=np.uint8)
    number = np.arange(count) // 3
    names = [f"{value:06d}" for value in number]
    frames, examined = [str(pair) for pair in range(count)], sequences + np.arange(count)
    return FacePairs(images, examined, number, number % 7, names, names, frames, tuple("abcdefg"))


class Training:
    """GNDL trained as the study trains it, on noise, ``batches`` steps a turn."""

    def __init__(
        self, settings: TrainSettings, batches: int, *, precision: Precision = "fp32", device: torch.device = CPU,
        compiled: bool = False, method: str = "gndl",
    ) -> None:  # fmt: skip
        count, settings = settings.batch_size * batches, replace(settings, precision=precision)
        index = np.arange(count)
        pairs = noise_pairs(count, settings.image_size)
        self.images, self.batches, self.device = 2 * count, batches, device
        self.trainer = Trainer(method_settings(method), pairs, index, index, settings, lam=5.0, device=device)
        if compiled:
            self.trainer.network.get_submodule("backbone").compile()

    def steps(self) -> None:
        """One turn of steps, without evaluation."""
        with computing_on(self.device, self.trainer.settings.precision, 1, 0):
            self.trainer.optimise(1)


class Limit(Training):
    """The same network, losses, optimiser, precision and threads, on random tensors that are already in memory.

    What a training takes more than this goes into batches: gathering, flips, noise, normalisation, sums of losses.
    """

    def steps(self) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        shape = (settings.batch_size, 3, settings.image_size, settings.image_size)
        if not hasattr(self, "examined"):
            self.examined, self.neutral = (
                torch.randn(shape, device=self.device).to(memory_format=torch.channels_last) for _ in range(2)
            )
            self.label = torch.arange(shape[0], device=self.device) % 7
        with computing_on(self.device, settings.precision, settings.threads, 0):
            trainer.network.train()
            for _ in range(self.batches):
                trainer.optimizer.zero_grad(set_to_none=True)
                with autocast(self.device, settings.precision):
                    losses = trainer.network.loss(trainer.network(self.examined, self.neutral), self.label)
                losses.total.backward()
                trainer.optimizer.step()
