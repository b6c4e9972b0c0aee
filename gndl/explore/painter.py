"""A thread that draws whenever it is asked to, never two pictures at once and never one that is out of date."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

REST_AFTER = 0.3
"""Seconds without being asked after which the fine picture is drawn."""


class Painter:
    """Calls ``quick`` for as long as it is asked, and ``fine`` once when nobody asks any more.

    Whoever asks goes on at once, from any thread: a kernel handles what sliders send in threads of its own, and the
    next value has to travel while a picture is made. Being asked ten times during one picture makes one more picture,
    of what is set by then.

    Parameters
    ----------
    quick, fine : callable
    failed : callable
        Told of an error, after which the painter goes on.
    """

    def __init__(
        self, quick: Callable[[], None], fine: Callable[[], None], failed: Callable[[Exception], None]
    ) -> None:
        self._quick, self._fine, self._failed = quick, fine, failed
        self._asked = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="face studio", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Have a picture drawn of what is set now."""
        self._asked.set()

    def close(self) -> None:
        """End the thread once the picture that it draws is done."""
        self._closed = True
        self._asked.set()
        if self._thread is not threading.current_thread():
            self._thread.join(10)

    def _work(self) -> None:
        while not self._closed:
            self._asked.wait()
            try:
                while self._asked.wait(REST_AFTER) and not self._closed:
                    self._asked.clear()
                    self._quick()
                if not self._closed:
                    self._fine()
            except Exception as error:  # shown to the reader; the next movement of a slider is drawn all the same
                self._asked.clear()
                self._failed(error)


class Share:
    """Lets something dear be done now and then, so that it takes no more than a ``share`` of the whole time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._next = 0.0

    def is_due(self, now: float) -> bool:
        """Whether enough time has gone by since the last time, in seconds of ``time.monotonic``."""
        return now >= self._next

    def took(self, started: float) -> None:
        """Note that it was begun at ``started`` and is done now."""
        done = time.monotonic()
        self._next = done + (done - started) * (1 / self._share - 1)
