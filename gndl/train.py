"""Train and evaluate one run: one method on one fold, from one seed (sections 3.4 and 4.2).

Precision, threads and seed are set for the run and put back after it. On a CPU the same call writes the same bytes,
also when it was killed and resumed on the way.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray

from gndl import __version__
from gndl.checkpoint import (
    CONTINUE,
    RECORD,
    RESUME,
    load_state,
    read_record,
    read_weights,
    save_state,
    write_weights,
)
from gndl.device import choose_device, computing_on
from gndl.errors import GndlError
from gndl.files import hash_json, locked, write_json
from gndl.identity import require_same, run_identity
from gndl.methods import MethodSettings, build_method, method_settings, variant_name
from gndl.model import Method
from gndl.pairs import FacePairs
from gndl.profiles import TrainSettings
from gndl.progress import progress
from gndl.record import read_epochs, write_epochs, write_predictions
from gndl.trainer import Trainer, evaluate, steps_per_epoch

__all__ = ["FitResult", "evaluate", "find_run", "fit", "load_method", "raise_epochs", "steps_per_epoch"]

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


def pairs_per_epoch(n_pairs: int, batch_size: int) -> int:
    """Return the pairs that one epoch trains on: all, but for a last batch of a single pair (ledger L20)."""
    return n_pairs - (n_pairs % batch_size == 1)


def raise_epochs(settings: TrainSettings, fewest_pairs: int) -> TrainSettings:
    """Return ``settings`` with ``epochs`` raised until ``fewest_pairs`` training pairs give ``min_steps`` steps."""
    steps = steps_per_epoch(fewest_pairs, settings.batch_size)
    if not steps:
        raise GndlError(f"{fewest_pairs} training pairs in batches of {settings.batch_size} give no step.")
    return replace(settings, epochs=max(settings.epochs, math.ceil(settings.min_steps / steps)))


def find_run(folder: Path, identity: Mapping[str, Any], epochs: int) -> FitResult | None:
    """Return the finished run in ``folder``; None where it is absent, unfinished or has fewer epochs than asked.

    A run counts as finished where epochs.csv has as many rows as run.json says.

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
    rows = read_epochs(folder)
    return FitResult(folder, record, rows, reused=True) if len(rows) == done else None


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
    dev_index: NDArray[np.int64] | None = None,
) -> FitResult:
    """Train one run to the end, from where it stands, and evaluate it on its test fold.

    A finished run of the same identity is read, not trained. One that was interrupted resumes from its last
    checkpoint. One that finished with fewer epochs continues from its kept state, or, where none was kept, is trained
    again from the first epoch, which on a CPU gives the same numbers. A second process that is given the same folder
    waits for the first and reads what it wrote.

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
    dev_index : int array, optional
        Pairs of development subjects, who are in neither of the two: their accuracy after every epoch stands in
        epochs.csv, for choices to be made on (`gndl.selection`).

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
    _check_split(pairs, train_index, test_index, settings, dev_index)
    full_identity = run_identity(
        method, pairs, train_index, test_index, settings,
        lam=lam, fold=fold, seed=seed, device=device, weights=weights, extra=identity,
    )  # fmt: skip
    finished = find_run(run_folder, full_identity, settings.epochs)
    if finished is not None:
        return finished
    with locked(run_folder), computing_on(device, settings.precision, settings.threads, seed):
        finished = find_run(run_folder, full_identity, settings.epochs)  # by the process that had the lock
        if finished is not None:
            return finished
        run = Trainer(method, pairs, train_index, test_index, settings, lam, seed, device, weights, dev_index)
        _restore(run, run_folder, full_identity)
        epochs = range(len(run.history) + 1, settings.epochs + 1)
        title = f"{variant_name(method, weights)} fold {fold}"
        _train(
            run, progress(epochs, title, unit="epoch") if show_progress else epochs, run_folder, full_identity, on_epoch
        )
        record = _record(run, fold, full_identity)
        _write_run(run_folder, run, record, full_identity)
    return FitResult(run_folder, record, run.history)


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


def _check_split(
    pairs: FacePairs,
    train_index: NDArray[np.int64],
    test_index: NDArray[np.int64],
    settings: TrainSettings,
    dev_index: NDArray[np.int64] | None,
) -> None:
    train, test = ({str(pairs.subject[int(i)]) for i in index} for index in (train_index, test_index))
    if train & test:
        raise GndlError(
            f"Subject {min(train & test)} is in training and in test: this fold's accuracy would mean nothing."
        )
    held = set() if dev_index is None else {str(pairs.subject[int(i)]) for i in dev_index}
    if held & (train | test):
        raise GndlError(
            f"Subject {min(held & (train | test))} is a development subject and in training or in test as well: what "
            "is chosen on such a fold says nothing."
        )
    if not len(test_index):
        raise GndlError("There is no pair to test on.")
    if not steps_per_epoch(len(train_index), settings.batch_size):
        raise GndlError(
            f"{len(train_index)} training pairs in batches of {settings.batch_size} give no optimiser step."
        )
    if settings.epochs < 1:
        raise GndlError(f"{settings.epochs} epochs were asked for; at least 1 is needed.")


def _restore(run: Trainer, folder: Path, identity: dict[str, Any]) -> None:
    """Put ``run`` where its checkpoint or its kept state stands, if there is one."""
    state = load_state(folder, identity)
    if state is None:
        return
    if state.epoch > run.settings.epochs:
        raise GndlError(f"{folder}: has {state.epoch} epochs, asked for {run.settings.epochs}; epochs may only grow.")
    run.restore(state)


def _train(
    run: Trainer, epochs: Iterable[int], folder: Path, identity: dict[str, Any], on_epoch: OnEpoch | None
) -> None:
    """Train the epochs that are missing: epochs.csv after each, a checkpoint as often as asked and at a stop."""
    every = run.settings.checkpoint_every
    for epoch in epochs:
        row = run.train_epoch(epoch)
        due = bool(every) and (epoch % every == 0 or epoch == run.settings.epochs)
        if due:
            save_state(folder / RESUME, run.state(identity))
        # A finished run of fewer epochs is none any more once epochs.csv goes beyond it.
        (folder / RECORD).unlink(missing_ok=True)
        write_epochs(folder, run.history)  # who watches a run reads this file
        if on_epoch is None:
            continue
        try:
            on_epoch(row)
        except KeyboardInterrupt:  # what stops a training between two epochs costs it none
            if not due:
                save_state(folder / RESUME, run.state(identity))
            raise


def _record(run: Trainer, fold: int, identity: dict[str, Any]) -> dict[str, Any]:
    """Return run.json."""
    method, settings = run.method_settings, run.settings
    best = max(run.history, key=lambda row: row["accuracy_test"])  # the first of equals
    n_train, steps = len(run.train_index), steps_per_epoch(len(run.train_index), settings.batch_size)
    images = method.images_per_pair * pairs_per_epoch(n_train, settings.batch_size)
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
        "n_train": n_train,
        "n_test": len(run.test_index),
        **({} if run.dev_index is None else {"n_dev": len(run.dev_index)}),
        "steps": None if method.whole_sequences else steps * len(run.history),  # how many differs by their lengths
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
        "versions": {
            "gndl": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "device": torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else platform.machine(),
        },
    }


def _write_run(folder: Path, run: Trainer, record: dict[str, Any], identity: dict[str, Any]) -> None:
    """Write the files of a finished run, run.json last; until then the run counts as unfinished."""
    probabilities = run.logits(run.test_index).softmax(1).cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise GndlError(
            f"{folder}: after its last epoch the network gives no finite probabilities, so the run is not kept as "
            "finished. Lower the learning rate or λ, or use fp32."
        )
    # Files of fewer epochs never lie beside the files of more: killed here, the run resumes or starts again.
    (folder / RECORD).unlink(missing_ok=True)
    (folder / CONTINUE).unlink(missing_ok=True)
    write_weights(folder, run.network.state_dict())
    write_predictions(folder, run.pairs, run.test_index, probabilities)
    write_epochs(folder, run.history)
    if run.settings.keep_state:
        save_state(folder / CONTINUE, run.state(identity), with_model=False)
    write_json(folder / RECORD, record)
    (folder / RESUME).unlink(missing_ok=True)
