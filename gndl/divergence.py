"""Where a training whose loss is no number any more went wrong: the step, by training that stretch once more.

The loop itself reads its losses once an epoch, at its end, so as not to wait for the device at every step. On a
processor the same training takes the same steps, so the stretch since the last checkpoint shows the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gndl.checkpoint import RECORD, RESUME, WEIGHTS, load_state
from gndl.device import computing_on
from gndl.errors import GndlError
from gndl.model import Losses, Output
from gndl.profiles import TrainSettings
from gndl.record import PREDICTIONS
from gndl.trainer import Trainer

ADVICE = "Lower the learning rate or λ, or use fp32"


class _NotFinite(Exception):
    """The first step whose loss is no finite number."""

    def __init__(self, step: int, losses: Losses) -> None:
        parts = {"total": losses.total, "classification": losses.cls, "neutral": losses.neu}
        said = [f"{name} {float(value.detach()):g}" for name, value in parts.items() if value is not None]
        super().__init__(", ".join(said))
        self.step = step


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


def require_finite_predictions(folder: Path) -> None:
    """Take a run back whose last step led to weights that give no numbers, and raise; nothing reads it as finished.

    Raises
    ------
    GndlError
        Where a probability in predictions.csv is not finite.
    """
    table = pd.read_csv(folder / PREDICTIONS)
    columns = [name for name in table.columns if name.startswith("p_")]
    if np.isfinite(table[columns].to_numpy(dtype=float)).all():
        return
    for name in (RECORD, WEIGHTS, PREDICTIONS):
        (folder / name).unlink(missing_ok=True)
    raise GndlError(
        f"{folder}: after its last step the network gives no finite probabilities, so the run was taken back. {ADVICE}."
    )
