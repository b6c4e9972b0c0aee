"""Trainings that benchmarks compare: GNDL as the study trains it, on noise, and with one thing about it changed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.device import autocast, computing_on
from gndl.methods import method_settings
from gndl.pairs import FacePairs
from gndl.profiles import Precision, TrainSettings
from gndl.trainer import Trainer

LAM = 5.0
"""λ of every benchmark; it costs nothing."""


@dataclass(frozen=True)
class Way:
    """How GNDL is trained; the defaults are the study's.

    Parameters
    ----------
    precision : {"fp32", "tf32", "bf16"}
    compile_with : str
        Backend of ``torch.compile`` for the backbone; "" for none.
    channels_last, fused : bool
        Memory format of network and batches, and Adam in one kernel.
    by_sequence : bool
        Batches of whole sequences, each neutral face once (:mod:`gndl.variants.by_sequence`).
    """

    precision: Precision = "fp32"
    compile_with: str = ""
    channels_last: bool = True
    fused: bool = True
    by_sequence: bool = False

    @property
    def method(self) -> str:
        """Name of the method that is trained."""
        return "gndl-by-sequence" if self.by_sequence else "gndl"


def ways(fast: Precision, compile_with: str) -> dict[str, Way]:
    """Name the ways that are compared: fp32 as the study trains it, one change at a time, then the fast precision."""
    found = {
        "fp32": Way(),
        "fp32, contiguous": Way(channels_last=False),
        "fp32, Adam not fused": Way(fused=False),
        "fp32, by sequence": Way(by_sequence=True),
        fast: Way(fast),
        f"{fast}, by sequence": Way(fast, by_sequence=True),
    }
    if compile_with:
        found |= {"fp32, compiled": Way(compile_with=compile_with), f"{fast}, compiled": Way(fast, compile_with)}
    return found


class WayTrainer(Trainer):
    """The study's trainer of GNDL, in one of the `ways`."""

    def __init__(
        self,
        way: Way,
        pairs: FacePairs,
        train_index: NDArray[np.int64],
        test_index: NDArray[np.int64],
        settings: TrainSettings,
        seed: int,
        device: torch.device,
        lam: float = LAM,
    ) -> None:
        settings = replace(settings, precision=way.precision)
        method = method_settings(way.method)
        super().__init__(method, pairs, train_index, test_index, settings, lam, seed, device, None)
        if not way.channels_last:
            self.network.to(memory_format=torch.contiguous_format)
            self.network.register_forward_pre_hook(_contiguous)
        if not way.fused:
            self.optimizer = torch.optim.Adam(
                self.network.parameters(), lr=settings.learning_rate, betas=settings.betas, fused=False
            )
        if way.compile_with:
            self.network.get_submodule("backbone").compile(backend=way.compile_with)

    def settings_hold(self) -> AbstractContextManager[None]:
        """Threads, precision and determinism of this training, for the length of a ``with`` block."""
        return computing_on(self.device, self.settings.precision, self.settings.threads, self.seed)

    def epoch(self) -> None:
        """One epoch of steps, without evaluation."""
        with self.settings_hold():
            self.optimise()


def _contiguous(module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.contiguous() if isinstance(value, Tensor) else value for value in inputs)


def noise_pairs(sequences: int, size: int, in_each: int = 3) -> FacePairs:
    """Return grey pairs of noise, several of each sequence with its one neutral face: speed is blind to them."""
    count = sequences * in_each
    images = np.random.default_rng(0).integers(0, 256, (sequences + count, size, size), dtype=np.uint8)
    number = np.arange(count) // in_each
    names = [f"{value:06d}" for value in number]
    frames = [str(pair) for pair in range(count)]
    return FacePairs(images, sequences + np.arange(count), number, number % 7, names, names, frames, tuple("abcdefg"))


class Limit:
    """The same network, losses, optimiser, precision and threads, fed with random tensors that already lie in memory.

    What a training loses against it is spent on batches: gathering, flips, noise, normalisation, running sums.
    """

    def __init__(self, way: Way, settings: TrainSettings, device: torch.device, batches: int) -> None:
        size, count = settings.image_size, settings.batch_size
        pairs, index = noise_pairs(1, size), np.arange(3)
        self.trainer = WayTrainer(way, pairs, index, index, settings, 0, device)
        shape = (count, 3, size, size)
        self.examined, self.neutral = (
            torch.randn(shape, device=device).to(memory_format=torch.channels_last) for _ in range(2)
        )
        self.label = torch.arange(count, device=device) % 7
        self.batches = batches

    def epoch(self) -> None:
        """As many steps as the training beside it takes."""
        trainer = self.trainer
        with trainer.settings_hold():
            trainer.network.train()
            for _ in range(self.batches):
                trainer.optimizer.zero_grad(set_to_none=True)
                with autocast(trainer.device, trainer.settings.precision):
                    losses = trainer.network.loss(trainer.network(self.examined, self.neutral), self.label)
                losses.total.backward()
                trainer.optimizer.step()


def batches_of_a_turn(size: int, most: int = 4) -> int:
    """Batches that take about as long at every size: 4 at 64 pixels, 1 at 224; at most ``most``."""
    return min(most, max(1, 256 // size))
