"""Stop between two epochs, so that a checkpoint is left: on SIGTERM, SIGUSR1 (batch systems) and the first Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

EXIT_STOPPED: Final = 75
"""Exit status of a command that a signal has stopped: EX_TEMPFAIL of sysexits.h, "try again"."""

SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal has stopped the work; what is finished is on disk, and the same call resumes."""


class StopSign:
    """Tells every process that trains for one call, on any node, to stop after the current epoch.

    It is a file in the study's folder, which all of them see. Inside its ``with`` block a signal sets it
    (`heeding_signals`); leaving the block clears it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f".stop-{uuid.uuid4().hex[:8]}"
        self.interrupted = False
        """Whether it was Ctrl-C."""

    def __enter__(self) -> StopSign:
        _active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.remove(self)
        self._file.unlink(missing_ok=True)

    def set(self) -> None:
        """Tell every process to stop."""
        self._file.touch()

    def is_set(self) -> bool:
        """Whether every process is to stop."""
        return self._file.exists()

    def check(self, _row: dict[str, Any] | None = None) -> None:
        """Raise `Stopped` where the sign is set; called between two epochs (``on_epoch`` of `gndl.train.fit`)."""
        if self.is_set():
            raise Stopped


_active: list[StopSign] = []


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Let SIGTERM, SIGUSR1 and the first Ctrl-C stop training after the current epoch, and other work at once.

    A second Ctrl-C stops at once too. Only the main thread can handle signals; in any other nothing changes. A command
    that a shell has started in the background, where Ctrl-C is ignored, keeps ignoring it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN or number != signal.SIGINT:
                signal.signal(number, _on_signal)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to(caller: int) -> None:
    """Let a worker process ignore signals, which the process ``caller`` hears as well: it sets the sign."""
    if os.getpid() != caller and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _on_signal(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        if not _active or any(sign.interrupted for sign in _active):
            raise KeyboardInterrupt
        with suppress(OSError):  # print must not be entered twice
            os.write(2, b"Stopping after the current epoch; press Ctrl-C again to stop at once.\n")
    elif not _active:
        raise Stopped
    for sign in _active:
        sign.interrupted = number == signal.SIGINT
        sign.set()
