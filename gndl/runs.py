"""Which runs there are, where they are stored, and what tells one from another.

One run is one training: database × method × λ × fold × seed. Its folder holds run.json, epochs.csv, predictions.csv and
weights.safetensors. This module does not load torch.
"""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from gndl.files import GndlError, hash_file, hash_json, write_csv
from gndl.methods import MethodSettings
from gndl.profiles import TrainSettings, flatten

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gndl.pairs import FacePairs

NUMBERS = 1
"""Version of the numerics; raised by hand, with a line in CHANGELOG, when a change of the code changes any number."""

RUN_JSON, EPOCHS, PREDICTIONS, WEIGHTS = "run.json", "epochs.csv", "predictions.csv", "weights.safetensors"
MAX_SEED = 2**32 - 1
EPOCH_COLUMNS = ("epoch", "loss", "loss_cls", "loss_neu", "accuracy_train", "accuracy_test")
"""Columns of epochs.csv; a method's own terms follow ``loss_neu`` as ``loss_NAME``. Where the folds have development
subjects, ``accuracy_dev`` comes last."""

_WITHOUT_EFFECT = ("min_steps", "checkpoint_every")
"""Training settings that change no number; ``min_steps`` acts through ``epochs``."""


@dataclass(frozen=True)
class Run:
    """One training of a study."""

    database: str
    method: MethodSettings
    variant: str
    """Name of the method with that of its starting weights: METHOD of the run's folder."""
    lam: float | None
    """None for methods without λ."""
    fold: int
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """The run in a few words, for progress lines."""
        lam = "" if self.lam is None else f" λ={self.lam:g}"
        return f"{self.database} {self.variant}{lam} fold {self.fold}"


def check_seed(seed: object) -> None:
    """Raise `GndlError` where ``seed`` is not a whole number from 0 to `MAX_SEED`, also for a number given as text."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= int(seed) <= MAX_SEED:
        raise GndlError(f"seed must be a whole number from 0 to {MAX_SEED}, got {seed!r}")


def run_folder(database_folder: Path, variant: str, lam: float | None, fold: int, seed: int) -> Path:
    """Folder of a run in a database's folder of a study; ``lam-none`` for methods without λ.

    `GndlError` for a seed or a λ that could not be read back from the folder's name.
    """
    check_seed(seed)
    if lam is not None and not (0 <= lam < math.inf and float(f"{lam:g}") == lam):
        raise GndlError(f"λ must be a number >= 0 with at most six digits, got {lam!r}")
    lam_folder = "lam-none" if lam is None else f"lam-{lam:g}"
    return database_folder / variant / lam_folder / f"fold-{fold}" / f"seed-{seed}"


def pairs_per_epoch(n_pairs: int, batch_size: int) -> int:
    """Pairs that one epoch trains on: all, except a last batch of a single pair (ledger L20)."""
    return n_pairs - (n_pairs % batch_size == 1) if batch_size > 1 else 0


def raise_epochs(settings: TrainSettings, fewest_pairs: int) -> TrainSettings:
    """Raise ``epochs`` until ``fewest_pairs`` training pairs give ``min_steps`` steps."""
    steps = math.ceil(pairs_per_epoch(fewest_pairs, settings.batch_size) / settings.batch_size)
    if not steps:
        raise GndlError(f"{fewest_pairs} training pairs in batches of {settings.batch_size} give no step.")
    return replace(settings, epochs=max(settings.epochs, math.ceil(settings.min_steps / steps)))


def require_fitting(method: MethodSettings, image_size: int, weights: Path | None) -> None:
    """Raise `GndlError` where a method cannot be trained on faces of this size, or cannot start from weights."""
    if image_size % method.side_multiple:
        raise GndlError(
            f"{method.name} needs faces of a multiple of {method.side_multiple} pixels, not {image_size}; choose "
            "another profile, or leave out this method."
        )
    if weights is not None and not method.takes_weights:
        raise GndlError(
            f"{method.name} has no backbone that could start from {weights}; leave out this method, or the weights."
        )


def run_identity(
    method: MethodSettings,
    settings: TrainSettings,
    *,
    pairs: str,
    lam: float | None,
    fold: int,
    seed: int,
    device: str,
    weights: Path | None = None,
    extra: Mapping[str, Any] | None = None,
    train_index: NDArray[np.int64] | None = None,
    test_index: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Everything that can change a run's numbers, as JSON, so that no run is ever taken for another.

    The number of epochs is left out, since a longer training repeats a shorter one; with a cosine schedule, which ends
    with the epochs, or where the method has stages, it counts. Versions of libraries are in run.json: they may change
    the last bits.

    ``pairs`` is the ``content_hash`` of the pairs that the method trains on. ``extra`` is what the caller adds: the
    database, its test subjects and the source of its pictures, by default ``"own"``. The indices are left out, and then
    not compared, where the pictures have not been read.
    """
    training = {key: value for key, value in asdict(settings).items() if key not in _WITHOUT_EFFECT}
    if settings.schedule == "constant" and not method.depends_on_epochs:
        del training["epochs"]
    indices = {"train_samples": train_index, "test_samples": test_index}
    identity = {
        "method": method.as_json(),
        "lam": lam,
        "fold": fold,
        "seed": seed,
        "device": device.partition(":")[0],
        "train": training,
        "weights": None if weights is None else hash_file(weights),
        "pairs": pairs,
        **{name: hash_json([int(i) for i in index]) for name, index in indices.items() if index is not None},
        "numbers": NUMBERS,
        **({} if method.source is None else {"method_source": method.source}),
        "extra": {"source": "own", **(extra or {})},
    }
    # As it comes back from JSON: tuples as lists, numpy scalars as numbers, paths as text.
    as_json: dict[str, Any] = json.loads(
        json.dumps(identity, default=lambda value: value.item() if isinstance(value, np.generic) else str(value))
    )
    return as_json


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Name the fields in which two identities differ, such as ``"train.learning_rate: 0.001, now 0.01"``.

    Version 1 kept hashes of its code in place of the number of the numerics; neither is compared with the other.
    """
    ignored = {name for name in ("train_samples", "test_samples") if not (name in one and name in other)}
    if "numbers" not in one or "numbers" not in other:
        ignored |= {"numbers", "code"}
    was, now = (flatten({key: identity[key] for key in identity if key not in ignored}) for identity in (one, other))
    differing = [key for key in sorted({*was, *now}) if was.get(key) != now.get(key)]
    texts = [f"{key}: {was.get(key)}, now {now.get(key)}" for key in differing]
    return [re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1…", text) for text in texts]  # hashes, shortened


def require_same(path: Path, was: Mapping[str, Any], now: Mapping[str, Any], done: int, epochs: int) -> None:
    """Raise `GndlError` where ``path`` belongs to another run, naming the fields, or has more epochs than asked for."""
    problem = "; ".join(differences(was, now))
    if not problem and done > epochs:
        problem = f"{done} epochs, asked for {epochs}"
    if problem:
        raise GndlError(
            f"{path}: belongs to another configuration ({problem}). Nothing was overwritten: choose another output "
            "folder, or delete this run's folder."
        )


class _Method(BaseModel):
    name: str
    images_per_pair: int


class _Identity(BaseModel):
    fold: int
    seed: int
    lam: float | str | None
    weights: str | None
    train: dict[str, Any]
    extra: dict[str, Any]


class _Record(BaseModel):
    """What every reader of a study takes from run.json."""

    method: _Method
    epochs: int
    needs_neutral_at_test: bool
    accuracy_last: float
    n_train: int
    n_test: int
    identity: _Identity
    identity_hash: str


def read_run(folder: Path) -> dict[str, Any] | None:
    """Read run.json, also of version 1; None where the run is not finished.

    The file may be somebody else's, so it is checked: `GndlError` names the file and the first key that is wrong.
    """
    path = folder / RUN_JSON
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _Record.model_validate(record, strict=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}"
        raise GndlError(
            f"{path}: is damaged ({reason}). Fetch it again, or delete this run's folder to train it again."
        ) from error
    return record


def find_run(folder: Path, identity: Mapping[str, Any], epochs: int) -> dict[str, Any] | None:
    """Read run.json of a finished run; None where it is missing, unfinished or has fewer epochs than asked for.

    Raises `GndlError` where the folder holds a run of another identity, or one of more epochs.
    """
    record = read_run(folder)
    if record is None:
        return None
    require_same(folder / RUN_JSON, record["identity"], identity, record["epochs"], epochs)
    if record["epochs"] < epochs or not ((folder / PREDICTIONS).exists() and (folder / EPOCHS).exists()):
        return None
    return record if len(read_epochs(folder)) == epochs else None


def write_epochs(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write one row per epoch; ``loss_neu`` is empty for methods without a reconstruction loss.

    Losses are means over the epoch's pairs. ``accuracy_train`` counts the predictions made while training, on augmented
    faces and by weights that still change; ``accuracy_test`` and ``accuracy_dev`` are measured after the epoch.
    """
    write_csv(pd.DataFrame(history), folder / EPOCHS)


def read_epochs(folder: Path) -> list[dict[str, Any]]:
    """Read the rows of epochs.csv as they were before writing; `GndlError` where the file is damaged."""
    path = folder / EPOCHS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            {name: int(text) if name == "epoch" else float(text) if text else None for name, text in row.items()}
            for row in rows
        ]
    except (OSError, ValueError, TypeError) as error:
        raise GndlError(f"{path}: is damaged ({error}); delete this run's folder to train it again.") from error


def write_predictions(
    folder: Path, pairs: FacePairs, test_index: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> None:
    """Write one row per test pair: its position in ``pairs``, who and which frame, true and predicted class, softmax.

    ``probabilities`` (T, K) of Eq. 10 are written with nine digits, which give back the same float32.
    """
    classes = pairs.expressions
    columns: dict[str, Any] = {
        "sample": test_index,
        **{name: [getattr(pairs, name)[i] for i in test_index] for name in ("subject", "sequence", "frame")},
        "truth": [classes[pairs.label[i]] for i in test_index],
        "predicted": [classes[i] for i in probabilities.argmax(axis=1)],
    }
    for name, column in zip(classes, probabilities.T, strict=True):
        columns[f"p_{name}"] = [f"{probability:.9g}" for probability in column]
    write_csv(pd.DataFrame(columns), folder / PREDICTIONS)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a number can depend on."""
    numbers = {"python": platform.python_version()}
    for name in ("gndl", "torch", "torchvision", "numpy", "pandas", "pillow", "av", "dlib-bin", "anny", "warp-lang"):
        with suppress(PackageNotFoundError):
            numbers[name] = version(name)
    return numbers


def git_state() -> dict[str, Any]:
    """Commit of the checkout that the package runs from, and whether tracked files differ from it; else None, None."""
    root = Path(__file__).resolve().parent.parent
    # An installed package runs from no repository, and the user's own one around it says nothing about the code.
    if not (root / "pyproject.toml").exists():
        return {"commit": None, "changed": None}
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "changed": None}
    return {"commit": text.removesuffix("-dirty"), "changed": text.endswith("-dirty")}


def machine() -> dict[str, Any]:
    """Processor, cores, memory and GPU."""
    import torch
    from joblib import cpu_count

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "system": platform.platform(),
        "processor": (names or [platform.processor() or platform.machine()])[0],
        "cores": cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }
