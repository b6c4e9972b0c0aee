"""Stop between two epochs where the system asks for it, so that a checkpoint is what is left.

A batch system that wants its node back sends SIGTERM, or SIGUSR1 some time before. Training then ends its epoch, writes
its state, and the command exits with `EXIT_STOPPED`; called again, it goes on from there.
"""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

EXIT_STOPPED: Final = 75
"""Exit status of a command that a signal has stopped: EX_TEMPFAIL of sysexits.h, "try again"."""

SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal has stopped the work; what is done lies on disk, and the same call goes on from there."""


class StopSign:
    """Tells every process that trains for one call, on whatever node, to stop after the epoch in progress.

    It is a file in the study's folder, for that is what all of them see. In the block of a ``with`` statement a signal
    puts it up (`heeding_signals`); at the block's end it is taken down.

    Parameters
    ----------
    folder : Path
        The study's directory.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f".stop-{uuid.uuid4().hex[:8]}"

    def __enter__(self) -> StopSign:
        _standing.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _standing.remove(self)
        self._file.unlink(missing_ok=True)

    def put_up(self) -> None:
        """Tell everybody to stop."""
        self._file.touch()

    def is_up(self) -> bool:
        """Whether this process was told to stop, by the sign or by a signal of its own."""
        return _signalled.is_set() or self._file.exists()

    def check(self, _row: dict[str, Any] | None = None) -> None:
        """Raise `Stopped` where the sign is up; to be called between two epochs (``on_epoch`` of `gndl.train.fit`)."""
        if self.is_up():
            raise Stopped


_standing: list[StopSign] = []
_signalled = threading.Event()
"""A worker process that a signal has reached itself, as where a batch system signals every process of a job."""


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Let SIGTERM and SIGUSR1 put up every stop sign that stands, or raise `Stopped` where none does.

    So they end whatever a command does as Ctrl-C would, only training between two epochs. Only the main thread can
    heed signals; in any other nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """Put the handlers of SIGTERM and SIGUSR1 back after a block that may set its own, as starting Ray does."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                if handler is not None:  # one that was not set from Python
                    signal.signal(number, handler)


def heed_signals_in_worker(caller: int) -> None:
    """Let a worker process of the process ``caller`` end its epoch too where a signal reaches it."""
    if os.getpid() != caller and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, lambda *_: _signalled.set())


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    if not _standing:
        raise Stopped
    for sign in _standing:
        sign.put_up()
