"""What run.json and study.json must hold. They may be somebody else's, so they are checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gndl.errors import GndlError

_NUMBER = (int, float)
_NOTHING = type(None)

Kinds = Mapping[str, Any]
"""Type, or tuple of types, of the value of every key; a mapping for an object within."""

EVERY_RUN: Kinds = {
    "method": {"name": str, "images_per_pair": int},
    "epochs": int,
    "needs_neutral_at_test": bool,
    "accuracy_last": _NUMBER,
    "n_train": int,
    "n_test": int,
    "identity": {
        "fold": int,
        "seed": int,
        "lam": (*_NUMBER, str, _NOTHING),
        "weights": (str, _NOTHING),
        "train": dict,
        "train_samples": str,
        "test_samples": str,
        "extra": {"source": str},
    },
    "identity_hash": str,
}
TRAINED_HERE: Kinds = {"accuracy_best": _NUMBER, "epoch_best": int, "images_per_epoch": int, "parameters": int}
"""What a run that was imported does not have."""

AUDITED: Kinds = {"expressions": list, "identity": {"pairs": str}}
AUDITED_TRAINED_HERE: Kinds = {"identity": {"train": {"batch_size": int}, "method": {"images_per_pair": int}}}
"""What only an audit reads besides."""


STUDY: Kinds = {"profile": str, "asked": {"data_roots": dict, "read_options": dict}}
STUDY_WHERE_THERE: Kinds = {"seeds": list, "git": (dict, _NOTHING), "source": str}


def require_record(path: Path, record: Mapping[str, Any]) -> None:
    """Raise `GndlError`, naming file and key, where run.json lacks what every reader of a study takes from it."""
    _require(path, record, EVERY_RUN)
    if record.get("imported"):
        _require(path, record, {"imported": dict})
    else:
        _require(path, record, TRAINED_HERE)


def require_auditable(path: Path, record: Mapping[str, Any]) -> None:
    """Raise `GndlError`, naming file and key, where run.json lacks what the audit of a study needs besides."""
    _require(path, record, AUDITED)
    if not record.get("imported"):
        _require(path, record, AUDITED_TRAINED_HERE)
        if record["identity"]["train"]["batch_size"] < 1:
            raise GndlError(f"{path}: identity.train.batch_size is below 1; {_WHAT_TO_DO}")
    if not all(isinstance(name, str) for name in record["expressions"]):
        raise GndlError(f"{path}: expressions are no names; {_WHAT_TO_DO}")


def require_study(path: Path, content: Mapping[str, Any]) -> None:
    """Raise `GndlError`, naming file and key, where study.json lacks what the audit of a study needs."""
    _require(path, content, STUDY)
    _require(path, content, {name: kind for name, kind in STUDY_WHERE_THERE.items() if name in content})


_WHAT_TO_DO = "no run writes that. Fetch the file again, or delete its folder and train again."


def _require(path: Path, content: Mapping[str, Any], kinds: Kinds, above: str = "") -> None:
    for name, kind in kinds.items():
        if name not in content:
            raise GndlError(f"{path}: lacks {above}{name}; {_WHAT_TO_DO}")
        value = content[name]
        expected = dict if isinstance(kind, Mapping) else kind
        # JSON's true is an int for Python, and no number.
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise GndlError(f"{path}: {above}{name} is {str(value)[:40]!r}; {_WHAT_TO_DO}")
        if isinstance(kind, Mapping):
            _require(path, value, kind, f"{above}{name}.")
