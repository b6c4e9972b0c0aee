"""What a run is: everything that can change its numbers, so that no run is ever taken for another."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gndl.errors import GndlError
from gndl.files import hash_file, hash_json
from gndl.methods import MethodSettings, build_method
from gndl.pairs import FacePairs
from gndl.profiles import TrainSettings

_WITHOUT_EFFECT = ("min_steps", "checkpoint_every", "keep_state")
"""Training settings that leave every number as it is; ``min_steps`` acts through ``epochs``."""

_MODULES = ("model", "pairs", "trainer", "device")
"""Modules that every number passes through; a further variant in ``methods`` leaves other runs what they are."""


def code_hash(source: str) -> str:
    """SHA-256 of Python source as it runs: comments, docstrings and blank space do not count.

    Text is cut out of the source rather than read back from the syntax tree, whose form differs between versions of
    Python.
    """
    source = textwrap.dedent(source)
    lines = source.splitlines(keepends=True)
    cuts = [
        (token.start, token.end)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(source)):
        # Docstrings, and the strings under attributes: expressions that nobody reads at run time.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
            encoded = [lines[row - 1].encode() for row, _ in (start, end)]  # the tree counts bytes, tokens characters
            columns = [len(line[:col].decode()) for line, (_, col) in zip(encoded, (start, end), strict=True)]
            cuts.append(((start[0], columns[0]), (end[0], columns[1])))
    for (row, column), (last_row, last_column) in sorted(cuts, reverse=True):
        rest = lines[last_row - 1][last_column:]
        lines[row - 1 : last_row] = [lines[row - 1][:column] + rest, *[""] * (last_row - row)]
    return hash_json(["".join(line.split()) for line in lines if line.strip()])


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
    """Hash the modules that every number passes through, and the source of a method from elsewhere."""
    folder = Path(__file__).parent
    modules = _MODULES if weights is None else (*_MODULES, "weights")
    hashes = {name: code_hash((folder / f"{name}.py").read_text(encoding="utf-8")) for name in modules}
    hashes["build_method"] = _source_hash(build_method)
    factory = method.factory
    own = [kind for kind in inspect.getmro(factory) if _is_own(kind)] if inspect.isclass(factory) else [factory]
    own = [part for part in own if _is_own(part)]
    if own:
        hashes["method"] = hash_json([_source_hash(part) for part in own])
    return hashes


def _is_own(part: Any) -> bool:
    module = getattr(part, "__module__", "") or ""
    return module.split(".")[0] not in ("gndl", "torch", "builtins", "abc")


def _source_hash(part: Any) -> str:
    try:
        return code_hash(inspect.getsource(part))
    except (OSError, TypeError) as error:
        raise GndlError(
            f"The source of {getattr(part, '__qualname__', part)} cannot be read, so its runs could not be told apart: "
            "define the method in a file or a notebook cell."
        ) from error


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
