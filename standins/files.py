"""What every part of the package needs: its error, files that appear whole or not at all, a lock, a progress bar."""

from __future__ import annotations

import errno
import os
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from tqdm import tqdm

STAND_IN_LABEL = "STAND-IN.txt"
"""File at the root of every rendered tree that says what it is."""

Item = TypeVar("Item")


class StandInError(Exception):
    """Something the caller can put right; the message says what and where."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path`` that takes its name only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{os.getpid()}-{uuid.uuid4().hex[:6]}{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        if error.filename is None:  # a full disk does not name its file
            error.filename = str(path)
        raise
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8 with ``\\n`` line ends."""
    with atomic_write(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time write ``path``; the others wait. The lock file ``.NAME.lock`` goes with the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    lock = FileLock(file)
    while True:
        try:
            lock.acquire()
            break
        except OSError as error:
            if error.errno != errno.ESTALE:  # on NFS another node may have removed the file meanwhile
                raise
    try:
        yield
    finally:
        # Whoever waits on the removed file notices and takes the lock anew (filelock >= 3.24).
        with suppress(OSError):
            file.unlink()
        lock.release()


def progress(items: Iterable[Item], description: str, *, total: int | None = None, unit: str = "it") -> tqdm[Item]:
    """Progress bar round ``items`` that appears after a second; in a log, redrawn every ten seconds."""
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(items, description, total, unit=unit, delay=1.0, mininterval=interval, dynamic_ncols=True)
