"""One training in memory: its steps, its losses, its evaluation (sections 3.4 and 4.2)."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.batches import Batch, DevicePairs
from gndl.checkpoint import State
from gndl.device import autocast
from gndl.errors import Diverged
from gndl.methods import MethodSettings, build_method
from gndl.model import Method, Output
from gndl.pairs import FacePairs
from gndl.profiles import Precision, TrainSettings
from gndl.weights import WeightsReport, load_backbone_weights

EVALUATION_BATCH = 256
EVALUATION_PIXELS = 64 * 224 * 224
"""Pixels in an evaluation batch at most, so that 224-pixel faces stay well below a gibibyte of activations."""


def steps_per_epoch(n_pairs: int, batch_size: int) -> int:
    """Return the optimiser steps of one epoch; a last batch of a single pair is none (ledger L20)."""
    full, rest = divmod(n_pairs, batch_size)
    return (full if batch_size > 1 else 0) + (rest > 1)


def learning_rate(settings: TrainSettings, epoch: int) -> float:
    """Return the learning rate of ``epoch``, counted from 1 (ledger L7: constant)."""
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs))


def evaluate(
    method: Method,
    data: DevicePairs,
    index: NDArray[np.int64],
    precision: Precision = "fp32",
    *,
    with_neutral: bool = False,
    whole_sequences: bool = False,
) -> Tensor:
    """Return the logits (T, K) of the pairs in ``index``, in float32, by running statistics (ledger L5).

    Only examined faces are given to the method, unless ``with_neutral`` (for methods that declare
    ``needs_neutral_at_test``), and sequences are kept whole where it declares ``whole_sequences``. The method is left
    in evaluation mode.
    """
    method.eval()
    side = data.images.shape[1]
    batch_size = max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // side**2))
    logits = []
    with torch.no_grad(), autocast(data.device, precision):
        for batch in data.evaluation_batches(
            index, batch_size, with_neutral=with_neutral, whole_sequences=whole_sequences
        ):
            logits.append(_output(method, batch).logits.float())
    found = torch.cat(logits)
    if not whole_sequences:
        return found
    in_order = torch.empty_like(found)
    in_order[data.sequence_order(index).to(found.device)] = found
    return in_order


def _output(method: Method, batch: Batch) -> Output:
    """Call a method on what it declares to need."""
    if batch.sequence is None:
        output: Output = method(batch.examined, batch.neutral)
    else:
        output = method(batch.examined, batch.neutral, batch.sequence)
    return output


class Trainer:
    """One training in memory: network, optimiser, data, and what came of each epoch."""

    def __init__(
        self,
        method: MethodSettings,
        pairs: FacePairs,
        train_index: NDArray[np.int64],
        test_index: NDArray[np.int64],
        settings: TrainSettings,
        lam: float | None,
        seed: int,
        device: torch.device,
        weights: Path | None,
        dev_index: NDArray[np.int64] | None = None,
    ) -> None:
        self.method_settings, self.pairs, self.settings, self.lam, self.seed = method, pairs, settings, lam, seed
        self.device, self.weights = device, weights
        self.train_index, self.test_index, self.dev_index = train_index, test_index, dev_index
        self.network = build_method(method, len(pairs.expressions), lam, seed=seed)
        self.report: WeightsReport | None = load_backbone_weights(self.network, weights) if weights else None
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(
            list(self.network.parameter_groups(settings.learning_rate)),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.lr_ratios = [group["lr"] / settings.learning_rate for group in self.optimizer.param_groups]
        self.generator = torch.Generator().manual_seed(seed)
        self.data = pairs.on(device, settings.image_size, mean=settings.input_mean, std=settings.input_std)
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0

    def train_epoch(self, epoch: int) -> dict[str, Any]:
        """Train for one epoch, evaluate, and return the row of epochs.csv."""
        start = time.perf_counter()
        for group, ratio in zip(self.optimizer.param_groups, self.lr_ratios, strict=True):
            group["lr"] = learning_rate(self.settings, epoch) * ratio
        self.network.on_epoch(epoch, self.settings.epochs)
        losses = self.optimise()
        row = {"epoch": epoch, **losses, "accuracy_test": self.accuracy(self.test_index)}
        if self.dev_index is not None:
            row["accuracy_dev"] = self.accuracy(self.dev_index)
        self.history.append(row)
        self.seconds += time.perf_counter() - start
        return row

    def optimise(self) -> dict[str, float | None]:
        """Take one epoch of steps; losses and accuracy are summed on the device and read once, at the end."""
        self.network.train()
        settings, optimizer = self.settings, self.optimizer
        sums = torch.zeros(4, dtype=torch.float64, device=self.device)  # loss, loss_cls, loss_neu, correct; per pair
        seen, has_neu = 0, False
        for batch in self.data.training_batches(
            self.train_index, settings.batch_size, self.generator, settings.augmentation,
            with_neutral=self.method_settings.images_per_pair > 1,
            whole_sequences=self.method_settings.whole_sequences,
        ):  # fmt: skip
            optimizer.zero_grad(set_to_none=True)
            with autocast(self.device, settings.precision):
                output = _output(self.network, batch)
                losses = self.network.loss(output, batch.label)
            losses.total.backward()
            optimizer.step()
            with torch.no_grad():
                size, has_neu = len(batch.label), losses.neu is not None
                neu = losses.total.new_zeros(()) if losses.neu is None else losses.neu
                correct = (output.logits.argmax(1) == batch.label).double().mean()
                sums += size * torch.stack([losses.total.double(), losses.cls.double(), neu.double(), correct])
                seen += size
        total, cls, neu_mean, accuracy = (sums / seen).tolist()
        if not math.isfinite(total):
            raise Diverged(
                f"{self.method_settings.name}: the loss became {total} in epoch {len(self.history) + 1}. Lower the "
                "learning rate or λ, or use fp32; the last checkpoint is from before."
            )
        self._require_finite_weights()  # the last step's are in no loss yet, and a checkpoint is to be good
        return {"loss": total, "loss_cls": cls, "loss_neu": neu_mean if has_neu else None, "accuracy_train": accuracy}

    def _require_finite_weights(self) -> None:
        """Raise where a weight or a running statistic is no finite number, before it is kept or evaluated."""
        state = {name: value for name, value in self.network.state_dict().items() if value.is_floating_point()}
        # A sum of finite numbers is finite, or so large that each is looked at below; isfinite() takes five passes.
        if torch.stack([value.sum() for value in state.values()]).isfinite().all():  # read once
            return
        name = next((name for name, value in state.items() if not value.isfinite().all()), None)
        if name is None:
            return
        raise Diverged(
            f"{self.method_settings.name}: {name} is no finite number after the last step of epoch "
            f"{len(self.history) + 1}, whose losses were. Lower the learning rate or λ, or use fp32; the last "
            "checkpoint is from before."
        )

    def accuracy(self, index: NDArray[np.int64]) -> float:
        """Return the share of the pairs in ``index`` that are recognised, in [0, 1]."""
        correct = self.logits(index).argmax(1) == self.data.label[torch.from_numpy(index).to(self.device)]
        return float(correct.double().mean())

    def logits(self, index: NDArray[np.int64]) -> Tensor:
        """Return the logits (T, K) of the pairs in ``index``."""
        needs = self.method_settings
        return evaluate(
            self.network, self.data, index, self.settings.precision,
            with_neutral=needs.needs_neutral_at_test, whole_sequences=needs.whole_sequences,
        )  # fmt: skip

    def state(self, identity: dict[str, Any]) -> State:
        """Return everything that this training goes on from."""
        random = [torch.get_rng_state()]
        if self.device.type == "cuda":
            random.append(torch.cuda.get_rng_state(self.device))
        model, optimizer = self.network.state_dict(), self.optimizer.state_dict()
        return State(identity, model, optimizer, self.generator.get_state(), random, list(self.history), self.seconds)

    def restore(self, state: State) -> None:
        """Go back to ``state``."""
        self.network.load_state_dict(state.model)
        self.optimizer.load_state_dict(state.optimizer)
        self.generator.set_state(state.generator)
        torch.set_rng_state(state.torch_random[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state.torch_random[1], self.device)
        self.history, self.seconds = list(state.history), state.seconds
