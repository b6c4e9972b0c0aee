"""The files of one run: its state while it trains, its record when it is done.

``resume.pt`` holds the whole state while a run is unfinished. A finished run keeps ``weights.safetensors`` and, where
``TrainSettings.keep_state`` asks for it, ``continue.pt``: the rest of the state (optimiser, random generators,
history), from which more epochs continue. Without it they are trained again from the first one.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from gndl.errors import GndlError
from gndl.files import written_aside
from gndl.identity import require_same

RECORD = "run.json"
RESUME = "resume.pt"
CONTINUE = "continue.pt"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class State:
    """Everything that training goes on from, between two epochs.

    Parameters
    ----------
    identity : dict
        Of the run (:func:`gndl.identity.run_identity`).
    model, optimizer : dict
        State dicts.
    generator : tensor
        State of the generator that draws order, flips and noise.
    torch_random : list of tensor
        State of torch's global generators: the CPU's and, on CUDA, the device's.
    history : list of dict
        One row of epochs.csv for each epoch done.
    seconds : float
        Spent in training and evaluation so far.
    """

    identity: dict[str, Any]
    model: Mapping[str, Tensor]
    optimizer: dict[str, Any]
    generator: Tensor
    torch_random: list[Tensor]
    history: list[dict[str, Any]]
    seconds: float

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)


def save_state(path: Path, state: State, *, with_model: bool = True) -> None:
    """Write ``state`` atomically; ``with_model=False`` leaves out the weights, which lie beside it."""
    content = vars(state) | {"model": dict(state.model) if with_model else {}}
    with written_aside(path) as aside:
        try:
            torch.save(content, aside)
        except RuntimeError as error:  # so torch tells of a full disk
            reason = str(error).strip().splitlines()[0]
            raise OSError(errno.ENOSPC, f"torch could not write it: {reason}", str(path)) from error


def load_state(folder: Path, identity: Mapping[str, Any]) -> State | None:
    """Return the state from which the run in ``folder`` goes on; None where it starts anew.

    Raises
    ------
    GndlError
        Where the state belongs to another configuration, or its file is damaged.
    """
    for name in (RESUME, CONTINUE):
        path = folder / name
        if not path.exists():
            continue
        state = _read_state(path)
        require_same(path, state.identity, identity)
        if state.model:
            return state
        if (folder / WEIGHTS).exists():
            return replace(state, model=read_weights(folder))
    return None


def epochs_kept(folder: Path) -> int:
    """Return the epochs after which the run in ``folder`` goes on, 0 where it starts anew; nothing large is read.

    Raises
    ------
    GndlError
        Where the file of its state is damaged.
    """
    for path in (folder / RESUME, folder / CONTINUE):
        if path.exists():
            state = _read_state(path, mapped=True)
            if state.model or (folder / WEIGHTS).exists():
                return state.epoch
    return 0


def _read_state(path: Path, mapped: bool = False) -> State:
    """Read a state; ``mapped`` leaves its tensors in the file."""
    try:
        return State(**torch.load(path, map_location="cpu", weights_only=True, mmap=mapped))
    except Exception as error:  # a damaged pickle makes the unpickler raise whatever it meets
        raise GndlError(f"{path}: is damaged; delete it to train this run from its first epoch.") from error


def write_weights(folder: Path, model: Mapping[str, Tensor]) -> None:
    """Write a state dict as weights.safetensors, atomically; the same weights give the same bytes."""
    with written_aside(folder / WEIGHTS) as aside:
        aside.write_bytes(save({key: value.detach().cpu().contiguous() for key, value in model.items()}))


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the state dict of the finished run in ``folder``.

    Raises
    ------
    GndlError
        Where weights are absent (they are not committed with a study) or damaged.
    """
    path = folder / WEIGHTS
    if not path.exists():
        raise GndlError(f"{path}: is absent; train this run again to have its weights.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise GndlError(f"{path}: is damaged; train this run again to have its weights.") from error


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return run.json of ``folder``; None where the run is not finished.

    Raises
    ------
    GndlError
        Where run.json is no JSON object.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("no object")
    except (OSError, ValueError, RecursionError) as error:
        raise GndlError(f"{path}: is damaged ({error}); delete this run's folder to train it again.") from error
    return record
