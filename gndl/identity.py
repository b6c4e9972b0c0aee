"""What a run is: everything that can change its numbers, so that no run is ever taken for another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gndl.errors import GndlError
from gndl.files import hash_file, hash_json
from gndl.method_code import code_hash, function_hash
from gndl.methods import MethodSettings
from gndl.pairs import FacePairs
from gndl.profiles import TrainSettings

_WITHOUT_EFFECT = ("min_steps", "checkpoint_every", "keep_state")
"""Training settings that leave every number as it is; ``min_steps`` acts through ``epochs``."""

_MODULES = ("model", "pairs", "batches", "trainer", "device")
"""Modules that every number passes through; a further variant in ``methods`` leaves other runs what they are."""

_FUNCTIONS = {
    "build_method": "methods",
    "fit": "train",
    "_restore": "train",
    "_train": "train",
    "_write_run": "train",
    "write_predictions": "record",
}
"""Functions that every number passes through, with their modules, whose other parts change none."""


SHARED_CODE = frozenset({*_MODULES, *_FUNCTIONS})

EQUAL_NUMBERS = Path(__file__).parent / "assets" / "equal_numbers.json"
"""Versions of the shared code that `gndl.checking.equal_numbers` has shown to give the same bytes, by hash."""


def run_identity(
    method: MethodSettings,
    pairs: FacePairs,
    train_index: NDArray[np.int64],
    test_index: NDArray[np.int64],
    settings: TrainSettings,
    *,
    lam: float | None,
    fold: int,
    seed: int,
    device: torch.device,
    weights: Path | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the identity of one run, as JSON; :func:`gndl.files.hash_json` of it is the run's hash.

    The number of epochs is no part of it, since epochs may grow; with a cosine schedule, which ends where the epochs
    do, it is. Versions of libraries are kept in run.json, not here: they may change the last bits, not what was asked.

    Parameters
    ----------
    method, pairs, train_index, test_index, settings, lam, fold, seed, device, weights
        As for :func:`gndl.train.fit`.
    extra : dict, optional
        What the caller adds, such as the hash of the crops' settings.
    """
    training = {key: value for key, value in asdict(settings).items() if key not in _WITHOUT_EFFECT}
    if settings.schedule == "constant":
        del training["epochs"]
    identity = {
        "method": method.as_json(),
        "lam": lam,
        "fold": fold,
        "seed": seed,
        "device": device.type,
        "train": training,
        "weights": None if weights is None else hash_file(weights),
        "pairs": pairs.content_hash,
        "train_samples": hash_json([int(i) for i in train_index]),
        "test_samples": hash_json([int(i) for i in test_index]),
        "code": _code(method, weights),
        "extra": dict(extra or {}),
    }
    return _as_json(identity)


def differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Name the fields in which two identities differ, such as ``"train.learning_rate: 0.001, now 0.01"``."""
    named = []
    for key in sorted({*one, *other}):
        was, now = one.get(key), other.get(key)
        if key == "code" and isinstance(was, Mapping) and isinstance(now, Mapping):
            was, now = _without_equal_numbers(was, now)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            named += differences(was, now, f"{prefix}{key}.")
        elif was != now:
            named.append(f"{prefix}{key}: {_short(was)}, now {_short(now)}")
    return named


def require_same(path: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise :class:`GndlError` naming ``path`` and the fields where two identities differ."""
    named = differences(was, now)
    if named:
        raise GndlError(
            f"{path}: belongs to another configuration ({'; '.join(named)}). Nothing was overwritten: choose another "
            "output folder, or delete this run's folder."
        )


def _code(method: MethodSettings, weights: Path | None) -> dict[str, str]:
    """Hash the modules and functions that every number passes through, and the code of a method of one's own."""
    folder = Path(__file__).parent
    modules = _MODULES if weights is None else (*_MODULES, "weights")
    hashes = {name: code_hash((folder / f"{name}.py").read_text(encoding="utf-8")) for name in modules}
    hashes |= {function: function_hash(folder / f"{module}.py", function) for function, module in _FUNCTIONS.items()}
    if method.code is not None:
        hashes["method"] = method.code
    for function in (method.factory, method.rearrange):
        module = str(getattr(function, "__module__", ""))
        if module.startswith("gndl.") and module != "gndl.model":  # a variant of this package in a file of its own
            file = folder.parent / Path(*module.split(".")).with_suffix(".py")
            hashes[module] = code_hash(file.read_text(encoding="utf-8"))
    return hashes


def _without_equal_numbers(was: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leave the shared code out of both where the two versions of it were shown to give the same bytes."""
    if shared_code_version(was) == shared_code_version(now):
        was, now = ({key: value for key, value in code.items() if key not in SHARED_CODE} for code in (was, now))
    return dict(was), dict(now)


def shared_code_version(code: Mapping[str, Any]) -> str:
    """Return the hash of the code that every number passes through; one hash for all versions of equal numbers."""
    version = hash_json({key: value for key, value in code.items() if key in SHARED_CODE})
    groups: list[list[str]] = json.loads(EQUAL_NUMBERS.read_text(encoding="utf-8"))["versions"]
    return next((group[0] for group in groups if version in group), version)


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text


def _as_json(value: Any) -> Any:
    """Return ``value`` as it comes back from JSON: tuples as lists, numpy scalars as numbers, paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
