"""Which GPU a worker process trains on: one process each, or several where that was asked for.

Every worker sees one GPU alone (``CUDA_VISIBLE_DEVICES``), so a run names its device ``cuda`` wherever it is trained.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from filelock import FileLock, Timeout

from gndl.errors import GndlError

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"

_taken: dict[Path, FileLock] = {}
"""The place of this process, held for as long as it lives."""


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, by the names that ``CUDA_VISIBLE_DEVICES`` gives them."""
    count = torch.cuda.device_count()
    named = os.environ.get(VISIBLE)
    if named is None:
        return tuple(str(number) for number in range(count))
    return tuple(name.strip() for name in named.split(","))[:count]


def places(gpus: Sequence[str], runs_per_gpu: int, jobs: int | None = None) -> tuple[str, ...]:
    """Return the GPU of each process: every GPU has its first one before any has a second, ``jobs`` at most."""
    if runs_per_gpu < 1:
        raise GndlError(f"--runs-per-gpu takes a number of at least 1; it was given {runs_per_gpu}.")
    return tuple(gpu for _ in range(runs_per_gpu) for gpu in gpus)[:jobs]


def take_place(of: Sequence[str], folder: Path) -> None:
    """Let this worker process see the GPU of a place that no other holds, from now on and as long as it lives.

    The place of a worker that has died is free again, for whichever process takes its part.

    Parameters
    ----------
    of : sequence of str
        The GPU of each place, from :func:`places`; nothing is done where there are none.
    folder : Path
        Where the places' lock files lie, the same for all workers of one call.
    """
    if not of or folder in _taken:
        return
    if torch.cuda.is_initialized():
        raise GndlError("This process has used a GPU already, so it cannot be given another.")
    while True:
        for number, gpu in enumerate(of):
            lock = FileLock(folder / f"place-{number}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            _taken[folder] = lock
            os.environ[VISIBLE] = gpu
            return
        time.sleep(0.1)  # one whose process is ending
