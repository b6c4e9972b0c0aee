"""Where a training whose loss is no number any more went wrong: the step, by training that stretch once more.

The loop itself reads its losses once an epoch, at its end, so as not to wait for the device at every step. On a
processor the same training takes the same steps, so the stretch since the last checkpoint shows the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.checkpoint import RESUME, load_state
from gndl.device import choose_device, computing_on
from gndl.errors import Diverged, GndlError
from gndl.identity import run_identity
from gndl.methods import MethodSettings
from gndl.model import Losses, Output
from gndl.pairs import FacePairs
from gndl.profiles import TrainSettings
from gndl.train import FitResult, OnEpoch, fit
from gndl.trainer import Trainer

ADVICE = "Lower the learning rate or λ, or use fp32"


class _NotFinite(Exception):
    """The first step whose loss is no finite number."""

    def __init__(self, step: int, losses: Losses) -> None:
        parts = {"total": losses.total, "classification": losses.cls, "neutral": losses.neu}
        said = [f"{name} {float(value.detach()):g}" for name, value in parts.items() if value is not None]
        super().__init__(", ".join(said))
        self.step = step


def fit_naming_the_step(
    method: MethodSettings,
    pairs: FacePairs,
    train_index: NDArray[np.int64],
    test_index: NDArray[np.int64],
    settings: TrainSettings,
    *,
    run_folder: Path,
    lam: float | None,
    device: str | torch.device,
    weights: Path | None,
    identity: Mapping[str, Any],
    fold: int = 0,
    seed: int = 0,
    dev_index: NDArray[np.int64] | None = None,
    on_epoch: OnEpoch | None = None,
    show_progress: bool = True,
) -> FitResult:
    """Train one run as :func:`gndl.train.fit` does; where it diverges, the error names the step.

    Raises
    ------
    GndlError
        As :func:`gndl.train.fit`.
    """
    chosen = choose_device(str(device))
    try:
        return fit(
            method, pairs, train_index, test_index, settings, run_folder=run_folder, lam=lam, fold=fold, seed=seed,
            device=chosen, weights=weights, identity=identity, on_epoch=on_epoch, show_progress=show_progress,
            dev_index=dev_index,
        )  # fmt: skip
    except Diverged as error:
        make_trainer = partial(
            Trainer, method, pairs, train_index, test_index, settings, lam, seed, chosen, weights, dev_index
        )
        full_identity = run_identity(
            method, pairs, train_index, test_index, settings,
            lam=lam, fold=fold, seed=seed, device=chosen, weights=weights, extra=identity,
        )  # fmt: skip
        raise with_the_step(error, make_trainer, settings, chosen, seed, run_folder, full_identity) from error


def with_the_step(
    error: GndlError,
    make_trainer: Callable[[], Trainer],
    settings: TrainSettings,
    device: torch.device,
    seed: int,
    folder: Path,
    identity: Mapping[str, Any],
) -> GndlError:
    """Find the step at which a training diverged, and return the error that names it.

    Parameters
    ----------
    error : GndlError
        That ended the training; returned itself where no step shows a loss that is not finite.
    make_trainer : callable
        Returns the training as it began.
    settings, device, seed
        Of the training.
    folder : Path
        Of the run; its last checkpoint is gone on from and left as it is.
    identity : dict
        Of the run.
    """
    with computing_on(device, settings.precision, settings.threads, seed):
        trainer = make_trainer()
        state = load_state(folder, identity)
        if state is not None:
            trainer.restore(state)
        kept = len(trainer.history)
        taken = _watch(trainer)
        for epoch in range(kept + 1, settings.epochs + 1):
            taken[0] = 0
            try:
                trainer.train_epoch(epoch)
            except _NotFinite as found:
                checkpoint = f"{folder / RESUME} keeps epoch {kept}" if kept else "no epoch was finished before"
                name = trainer.method_settings.name
                return GndlError(
                    f"{folder}: the loss of {name} is not finite at step {found.step} of epoch {epoch} "
                    f"({found}). {ADVICE}; {checkpoint}."
                )
            except GndlError:
                break
    return error


def _watch(trainer: Trainer) -> list[int]:
    """Let the network's loss raise `_NotFinite` at the first step where it is not finite; return the step counter."""
    taken = [0]
    original = trainer.network.loss

    def watched(output: Output, labels: Tensor) -> Losses:
        losses = original(output, labels)
        taken[0] += 1
        if not math.isfinite(float(losses.total.detach())):
            raise _NotFinite(taken[0], losses)
        return losses

    trainer.network.loss = watched  # type: ignore[method-assign]
    return taken
