"""Train and evaluate one run: one method on one fold, from one seed (sections 3.4 and 4.2).

Precision, threads and seed are set for the run and put back after it. On a CPU the same call writes the same bytes,
also when it was killed and resumed on the way.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor

from gndl import __version__
from gndl.checkpoint import (
    CONTINUE,
    RECORD,
    RESUME,
    State,
    load_state,
    read_record,
    read_weights,
    save_state,
    write_weights,
)
from gndl.device import autocast, choose_device, computing_on
from gndl.errors import GndlError
from gndl.files import hash_json, write_json
from gndl.identity import require_same, run_identity
from gndl.methods import MethodSettings, build_method, method_settings, variant_name
from gndl.model import Method
from gndl.pairs import DevicePairs, FacePairs
from gndl.profiles import Precision, TrainSettings
from gndl.progress import progress
from gndl.record import read_epochs, write_epochs, write_predictions
from gndl.weights import WeightsReport, load_backbone_weights

EVALUATION_BATCH = 256
EVALUATION_PIXELS = 64 * 224 * 224
"""Pixels in an evaluation batch at most, so that 224-pixel faces stay well below a gibibyte of activations."""

OnEpoch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class FitResult:
    """A finished run.

    Parameters
    ----------
    folder : Path
    record : dict
        The content of run.json.
    epochs : list of dict
        The rows of epochs.csv.
    reused : bool
        Whether it was there already and nothing was trained.
    """

    folder: Path
    record: dict[str, Any]
    epochs: list[dict[str, Any]]
    reused: bool = False

    @property
    def accuracy_last(self) -> float:
        """Accuracy on the test fold after the last epoch, in [0, 1] (the headline, ledger L10)."""
        return float(self.record["accuracy_last"])


def steps_per_epoch(n_pairs: int, batch_size: int) -> int:
    """Return the optimiser steps of one epoch; a last batch of a single pair is none (ledger L20)."""
    full, rest = divmod(n_pairs, batch_size)
    return (full if batch_size > 1 else 0) + (rest > 1)


def raise_epochs(settings: TrainSettings, fewest_pairs: int) -> TrainSettings:
    """Return ``settings`` with ``epochs`` raised to ``min_steps`` steps for the fold with ``fewest_pairs`` to train on."""
    steps = steps_per_epoch(fewest_pairs, settings.batch_size)
    if not steps:
        raise GndlError(f"{fewest_pairs} training pairs in batches of {settings.batch_size} give no step.")
    return replace(settings, epochs=max(settings.epochs, math.ceil(settings.min_steps / steps)))


def find_run(folder: Path, identity: Mapping[str, Any], epochs: int) -> FitResult | None:
    """Return the finished run in ``folder``; None where it is absent, unfinished or has fewer epochs than asked.

    Raises
    ------
    GndlError
        Where the folder holds a run of another identity, naming the field, or one of more epochs.
    """
    record = read_record(folder)
    if record is None:
        return None
    path = folder / RECORD
    require_same(path, record.get("identity", {}), identity)
    done = int(record["epochs"])
    if done > epochs:
        raise GndlError(f"{path}: has {done} epochs, asked for {epochs}; epochs may only grow.")
    if done < epochs or not all((folder / name).exists() for name in ("epochs.csv", "predictions.csv")):
        return None
    return FitResult(folder, record, read_epochs(folder), reused=True)


def fit(
    method: str | MethodSettings,
    pairs: FacePairs,
    train_index: NDArray[np.int64],
    test_index: NDArray[np.int64],
    settings: TrainSettings,
    *,
    run_folder: Path,
    lam: float | None = None,
    fold: int = 0,
    seed: int = 0,
    device: str | torch.device = "cpu",
    weights: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    on_epoch: OnEpoch | None = None,
    show_progress: bool = True,
) -> FitResult:
    """Train one run to the end, from where it stands, and evaluate it on its test fold.

    A finished run of the same identity is read, not trained. One that was interrupted resumes from its last
    checkpoint. One that finished with fewer epochs continues from its kept state, or, where none was kept, is trained
    again from the first epoch, which on a CPU gives the same numbers.

    Parameters
    ----------
    method : str or MethodSettings
        Name of a registered method, or its settings.
    pairs : FacePairs
    train_index, test_index : int arrays
        Pairs to train on and to test on, from :meth:`gndl.folds.Folds.train_test`; no subject may be in both.
    settings : TrainSettings
        ``epochs`` is taken as it stands; see :func:`raise_epochs` for ``min_steps``.
    run_folder : Path
        Where the run's files go.
    lam : float, optional
        λ of Eq. 11, for methods that use it.
    fold, seed : int
        ``seed`` draws initial weights, order, flips and noise.
    device : str or torch.device
    weights : Path, optional
        Backbone weights to start from (ledger L8).
    identity : dict, optional
        What else the caller wants the run told apart by, such as the hash of its crops.
    on_epoch : callable, optional
        Called after every epoch, and after its checkpoint, with that epoch's row of epochs.csv.
    show_progress : bool
        Show a progress bar over the epochs.

    Returns
    -------
    FitResult

    Raises
    ------
    GndlError
        Where the folder holds another run, a subject is on both sides, or the loss is not finite.
    """
    method, device = method_settings(method), choose_device(str(device))
    train_index, test_index = np.asarray(train_index, dtype=np.int64), np.asarray(test_index, dtype=np.int64)
    _check_split(pairs, train_index, test_index, settings)
    full_identity = run_identity(
        method, pairs, train_index, test_index, settings,
        lam=lam, fold=fold, seed=seed, device=device, weights=weights, extra=identity,
    )  # fmt: skip
    finished = find_run(run_folder, full_identity, settings.epochs)
    if finished is not None:
        return finished
    with computing_on(device, settings.precision, settings.threads, seed):
        run = _Run(method, pairs, train_index, test_index, settings, lam, seed, device, weights)
        state = load_state(run_folder, full_identity)
        if state is not None:
            if state.epoch > settings.epochs:
                raise GndlError(
                    f"{run_folder}: has {state.epoch} epochs, asked for {settings.epochs}; epochs may only grow."
                )
            run.restore(state)
        epochs = range(len(run.history) + 1, settings.epochs + 1)
        bar = (
            progress(epochs, f"{variant_name(method, weights)} fold {fold}", unit="epoch") if show_progress else epochs
        )
        for epoch in bar:
            row = run.train_epoch(epoch)
            every = settings.checkpoint_every
            if every and (epoch % every == 0 or epoch == settings.epochs):
                save_state(run_folder / RESUME, run.state(full_identity))
            if on_epoch is not None:
                on_epoch(row)
        record = {"fold": fold, **run.record(full_identity)}
        _write_run(run_folder, run, record, full_identity)
    return FitResult(run_folder, record, run.history)


def evaluate(
    method: Method,
    data: DevicePairs,
    index: NDArray[np.int64],
    precision: Precision = "fp32",
    *,
    with_neutral: bool = False,
) -> Tensor:
    """Return the logits (T, K) of the pairs in ``index``, in float32, by running statistics (ledger L5).

    Only examined faces are given to the method, unless ``with_neutral`` (for methods that declare
    ``needs_neutral_at_test``). The method is left in evaluation mode.
    """
    method.eval()
    side = data.images.shape[1]
    batch_size = max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // side**2))
    logits = []
    with torch.no_grad(), autocast(data.device, precision):
        for batch in data.evaluation_batches(index, batch_size, with_neutral=with_neutral):
            logits.append(method(batch.examined, batch.neutral).logits.float())
    return torch.cat(logits)


def load_method(folder: Path) -> tuple[Method, dict[str, Any]]:
    """Return the trained method of a finished run, in evaluation mode on the CPU, and its run.json.

    Raises
    ------
    GndlError
        Where the run is unfinished, its weights are absent, or its method is not registered here.
    """
    record = read_record(folder)
    if record is None:
        raise GndlError(f"{folder}: holds no finished run (no {RECORD}).")
    known = method_settings(record["method"]["name"])
    method = build_method(known, len(record["expressions"]), record["lam"])
    method.load_state_dict(read_weights(folder))
    return method.eval(), record


def learning_rate(settings: TrainSettings, epoch: int) -> float:
    """Return the learning rate of ``epoch``, counted from 1 (ledger L7: constant)."""
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs))


def _check_split(
    pairs: FacePairs, train_index: NDArray[np.int64], test_index: NDArray[np.int64], settings: TrainSettings
) -> None:
    shared = {str(pairs.subject[int(i)]) for i in train_index} & {str(pairs.subject[int(i)]) for i in test_index}
    if shared:
        raise GndlError(f"Subject {min(shared)} is in training and in test: this fold's accuracy would mean nothing.")
    if not len(test_index):
        raise GndlError("There is no pair to test on.")
    if not steps_per_epoch(len(train_index), settings.batch_size):
        raise GndlError(
            f"{len(train_index)} training pairs in batches of {settings.batch_size} give no optimiser step."
        )
    if settings.epochs < 1:
        raise GndlError(f"{settings.epochs} epochs were asked for; at least 1 is needed.")


class _Run:
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
    ) -> None:
        self.method_settings, self.pairs, self.settings, self.lam, self.seed = method, pairs, settings, lam, seed
        self.device, self.weights = device, weights
        self.train_index, self.test_index = train_index, test_index
        self.network = build_method(method, len(pairs.expressions), lam, seed=seed)
        self.report: WeightsReport | None = load_backbone_weights(self.network, weights) if weights else None
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(
            self.network.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.generator = torch.Generator().manual_seed(seed)
        self.data = pairs.on(device, settings.image_size, mean=settings.input_mean, std=settings.input_std)
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.epochs_here = 0

    def train_epoch(self, epoch: int) -> dict[str, Any]:
        """Train for one epoch, evaluate, and return the row of epochs.csv."""
        start = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, epoch)
        losses = self._optimise()
        logits = self.test_logits()
        correct = logits.argmax(1) == self.data.label[torch.from_numpy(self.test_index).to(self.device)]
        row = {"epoch": epoch, **losses, "accuracy_test": float(correct.double().mean())}
        self.history.append(row)
        self.seconds += time.perf_counter() - start
        self.epochs_here += 1
        return row

    def _optimise(self) -> dict[str, float | None]:
        """Take one epoch of steps; losses and accuracy are summed on the device and read once, at the end."""
        self.network.train()
        settings, optimizer = self.settings, self.optimizer
        sums = torch.zeros(4, dtype=torch.float64, device=self.device)  # loss, loss_cls, loss_neu, correct; per pair
        seen, has_neu = 0, False
        for batch in self.data.training_batches(
            self.train_index, settings.batch_size, self.generator, settings.augmentation,
            with_neutral=self.method_settings.images_per_pair > 1,
        ):  # fmt: skip
            optimizer.zero_grad(set_to_none=True)
            with autocast(self.device, settings.precision):
                output = self.network(batch.examined, batch.neutral)
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
            raise GndlError(
                f"{self.method_settings.name}: the loss became {total} in epoch {len(self.history) + 1}. Lower the "
                "learning rate or λ, or use fp32; the last checkpoint is from before."
            )
        return {"loss": total, "loss_cls": cls, "loss_neu": neu_mean if has_neu else None, "accuracy_train": accuracy}

    def test_logits(self) -> Tensor:
        """Return the logits (T, K) of the test fold."""
        needs_neutral = self.method_settings.needs_neutral_at_test
        return evaluate(self.network, self.data, self.test_index, self.settings.precision, with_neutral=needs_neutral)

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

    def record(self, identity: dict[str, Any]) -> dict[str, Any]:
        """Return run.json."""
        method, settings = self.method_settings, self.settings
        best = max(self.history, key=lambda row: row["accuracy_test"])  # the first of equals
        n_train, steps = len(self.train_index), steps_per_epoch(len(self.train_index), settings.batch_size)
        rest = n_train % settings.batch_size
        images = method.images_per_pair * (n_train - (rest == 1))
        return {
            "method": method.as_json(),
            "variant": variant_name(method, self.weights),
            "lam": self.lam,
            "seed": self.seed,
            "epochs": len(self.history),
            "needs_neutral_at_test": method.needs_neutral_at_test,
            "accuracy_last": self.history[-1]["accuracy_test"],
            "accuracy_best": best["accuracy_test"],
            "epoch_best": best["epoch"],
            "n_train": n_train,
            "n_test": len(self.test_index),
            "steps": steps * len(self.history),
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "images_per_epoch": images,
            "expressions": list(self.pairs.expressions),
            "settings": asdict(settings),
            "weights": None if self.report is None else asdict(self.report),
            "identity": identity,
            "identity_hash": hash_json(identity),
            "time": {
                "seconds": round(self.seconds, 3),
                "images_per_second": round(images * len(self.history) / max(self.seconds, 1e-9), 1),
            },
            "versions": {
                "gndl": __version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "torchvision": torchvision.__version__,
                "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else platform.machine(),
            },
        }


def _write_run(folder: Path, run: _Run, record: dict[str, Any], identity: dict[str, Any]) -> None:
    """Write the files of a finished run, run.json last; until then the run counts as unfinished."""
    (folder / RECORD).unlink(missing_ok=True)  # of fewer epochs: never beside the files of more
    write_weights(folder, run.network.state_dict())
    probabilities = run.test_logits().softmax(1).cpu().numpy()
    write_predictions(folder, run.pairs, run.test_index, probabilities)
    write_epochs(folder, run.history)
    if run.settings.keep_state:
        save_state(folder / CONTINUE, run.state(identity), with_model=False)
    else:
        (folder / CONTINUE).unlink(missing_ok=True)
    write_json(folder / RECORD, record)
    (folder / RESUME).unlink(missing_ok=True)
