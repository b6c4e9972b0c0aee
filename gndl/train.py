"""Train and evaluate one run: one method on one fold, from one seed (sections 3.4 and 4.2).

Precision, threads and seed are set for the run and restored after it. On a CPU the same call writes the same bytes,
also when it was killed and resumed. ``resume.pt`` holds the whole state while a run is unfinished.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from gndl.device import choose_device, computing_on
from gndl.files import GndlError, atomic_write, hash_json, locked, progress, write_json
from gndl.methods import MethodSettings, build_method, method_settings, variant_name
from gndl.model import Method
from gndl.pairs import FacePairs
from gndl.profiles import TrainSettings
from gndl.runs import (
    RUN_JSON,
    WEIGHTS,
    find_run,
    pairs_per_epoch,
    raise_epochs,
    read_epochs,
    read_run,
    require_fitting,
    run_identity,
    versions,
    write_epochs,
    write_predictions,
)
from gndl.trainer import Diverged, Trainer

RESUME = "resume.pt"
OnEpoch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class FitResult:
    """A finished run: its folder, the content of run.json and the rows of epochs.csv."""

    folder: Path
    record: dict[str, Any]
    epochs: list[dict[str, Any]]
    reused: bool = False
    """Whether the run existed already, so that nothing was trained."""

    @property
    def accuracy_last(self) -> float:
        """Accuracy on the test fold after the last epoch, in [0, 1] (the headline, ledger L10)."""
        return float(self.record["accuracy_last"])


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
    weights_partial: bool = False,
    identity: Mapping[str, Any] | None = None,
    on_epoch: OnEpoch | None = None,
    show_progress: bool = True,
    dev_index: NDArray[np.int64] | None = None,
) -> FitResult:
    """Train one run to the end, from where it stands, and evaluate it on its test fold.

    A finished run of the same identity is read, not trained. An interrupted one resumes from its last checkpoint. One
    that finished with fewer epochs is trained again from the first. A second process with the same folder waits for the
    first and reads what it wrote.

    Parameters
    ----------
    train_index, test_index
        Pairs to train on and to test on, from `gndl.folds.Folds.train_test`; no subject may be in both.
    settings
        ``epochs`` is used as it is; see `gndl.runs.raise_epochs` for ``min_steps``.
    seed
        Draws initial weights, order, flips and noise.
    weights, weights_partial
        Backbone weights to start from (ledger L8), and whether they may lack a layer.
    identity
        What else tells the run from others: ``extra`` of `gndl.runs.run_identity`.
    on_epoch
        Called after every epoch and its checkpoint with that epoch's row of epochs.csv.
    dev_index
        Pairs of development subjects, who are in neither of the two: their accuracy after every epoch is in epochs.csv.
    """
    method, device = method_settings(method), choose_device(device)
    train_index, test_index = np.asarray(train_index, dtype=np.int64), np.asarray(test_index, dtype=np.int64)
    sides = {"training": train_index, "test": test_index, "development": () if dev_index is None else dev_index}
    subjects = {side: {str(pairs.subject[i]) for i in index} for side, index in sides.items()}
    for one, other in combinations(subjects, 2):
        if shared := subjects[one] & subjects[other]:
            raise GndlError(f"Subject {min(shared)} is in {one} and in {other}: this fold's accuracy is meaningless.")
    if not len(test_index):
        raise GndlError("There is no pair to test on.")
    require_fitting(method, settings.image_size, weights)
    raise_epochs(settings, len(train_index))
    if settings.epochs < 1:
        raise GndlError(f"epochs must be >= 1, got {settings.epochs}")
    full_identity = run_identity(
        method, settings, pairs=pairs.content_hash, lam=lam, fold=fold, seed=seed, device=device.type, weights=weights,
        extra=identity, train_index=train_index, test_index=test_index,
    )  # fmt: skip
    if record := find_run(run_folder, full_identity, settings.epochs):
        return FitResult(run_folder, record, read_epochs(run_folder), reused=True)
    with locked(run_folder), computing_on(device, settings.precision, settings.threads, seed):
        if record := find_run(run_folder, full_identity, settings.epochs):  # by the process that had the lock
            return FitResult(run_folder, record, read_epochs(run_folder), reused=True)
        run = Trainer(
            method, pairs, train_index, test_index, settings,
            lam=lam, seed=seed, device=device, weights=weights, weights_partial=weights_partial, dev_index=dev_index,
        )  # fmt: skip
        run.resume(run_folder / RESUME, full_identity)
        # A run of fewer epochs gives way to this one: from here on the folder holds no finished run, until the end.
        (run_folder / RUN_JSON).unlink(missing_ok=True)
        title = f"{variant_name(method, weights)} fold {fold}" if show_progress else None
        try:
            _train(run, run_folder, full_identity, on_epoch, title)
            probabilities = run.logits(test_index).softmax(1).cpu().numpy()
        except Diverged as error:
            raise Diverged(f"{run_folder}: {error}") from error
        with atomic_write(run_folder / WEIGHTS) as temporary:
            state = run.network.state_dict()
            temporary.write_bytes(save({key: value.detach().cpu().contiguous() for key, value in state.items()}))
        write_predictions(run_folder, pairs, test_index, probabilities)
        write_epochs(run_folder, run.history)
        record = _record(run, fold, full_identity)
        write_json(run_folder / RUN_JSON, record)
        (run_folder / RESUME).unlink(missing_ok=True)
    return FitResult(run_folder, record, run.history)


def _train(run: Trainer, folder: Path, identity: dict[str, Any], on_epoch: OnEpoch | None, title: str | None) -> None:
    """Train the missing epochs: epochs.csv after each, a checkpoint as often as asked for and on interruption."""
    every, epochs = run.settings.checkpoint_every, range(len(run.history) + 1, run.settings.epochs + 1)
    for epoch in epochs if title is None else progress(epochs, title, unit="epoch"):
        row = run.train_epoch(epoch)
        due = bool(every) and (epoch % every == 0 or epoch == run.settings.epochs)
        if due:
            run.save(folder / RESUME, identity)
        write_epochs(folder, run.history)  # shows how far the run is
        try:
            if on_epoch is not None:
                on_epoch(row)
        except KeyboardInterrupt:  # stopping a training between two epochs loses none
            if not due:
                run.save(folder / RESUME, identity)
            raise


def _record(run: Trainer, fold: int, identity: dict[str, Any]) -> dict[str, Any]:
    """Content of run.json."""
    method, settings = run.method, run.settings
    best = max(run.history, key=lambda row: row["accuracy_test"])  # the first of equals
    images = method.images_per_pair * pairs_per_epoch(len(run.train_index), settings.batch_size)
    on_cuda = run.device.type == "cuda"
    return {
        "method": method.as_json(),
        "variant": variant_name(method, run.weights),
        "lam": run.lam,
        "fold": fold,
        "seed": run.seed,
        "epochs": len(run.history),
        "needs_neutral_at_test": method.needs_neutral_at_test,
        "accuracy_last": run.history[-1]["accuracy_test"],
        "accuracy_best": best["accuracy_test"],
        "epoch_best": best["epoch"],
        "n_train": len(run.train_index),
        "n_test": len(run.test_index),
        **({} if run.dev_index is None else {"n_dev": len(run.dev_index)}),
        "parameters": sum(parameter.numel() for parameter in run.network.parameters()),
        "images_per_epoch": images,
        "expressions": list(run.pairs.expressions),
        "colour": run.pairs.images.ndim == 4,
        "settings": asdict(settings),
        "weights": None if run.report is None else asdict(run.report),
        "identity": identity,
        "identity_hash": hash_json(identity),
        "time": {
            "seconds": round(run.seconds, 3),
            "images_per_second": round(images * len(run.history) / max(run.seconds, 1e-9), 1),
        },
        "versions": versions() | {"device": torch.cuda.get_device_name() if on_cuda else platform.machine()},
    }


def read_weights(folder: Path) -> dict[str, Tensor]:
    """State dict of the finished run in ``folder``; `GndlError` where the file is missing or damaged."""
    path = folder / WEIGHTS
    if not path.exists():
        raise GndlError(f"{path}: is missing (weights are not shared with a study); train this run again.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise GndlError(f"{path}: is damaged; train this run again.") from error


def load_method(folder: Path) -> tuple[Method, dict[str, Any]]:
    """The trained method of a finished run, in evaluation mode on the CPU, and its run.json."""
    record = read_run(folder)
    if record is None:
        raise GndlError(f"{folder}: holds no finished run (no {RUN_JSON}).")
    method = build_method(record["method"]["name"], len(record["expressions"]), record["lam"])
    method.load_state_dict(read_weights(folder))
    return method.eval(), record
