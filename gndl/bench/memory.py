"""Memory of this process: its own, and that of files mapped into it, which the system can take back at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY = 0.01
"""Seconds between two looks."""


@dataclass
class Peak:
    """The largest memory seen so far, in bytes, above what was there before."""

    anonymous: int = 0
    files: int = 0


def resident() -> tuple[int, int]:
    """Return the bytes of this process in memory: its own, and those of mapped files (0 where the system won't say)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return int(psutil.Process().memory_info().rss), 0
    found = {"RssAnon": 0, "RssFile": 0}
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name in found:
            found[name] = 1024 * int(value.split()[0])
    return found["RssAnon"], found["RssFile"]


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch the memory of this process during a ``with`` block, every hundredth of a second and at its end."""
    before, peak, done = resident(), Peak(), threading.Event()

    def look() -> None:
        now = resident()
        peak.anonymous = max(peak.anonymous, now[0] - before[0])
        peak.files = max(peak.files, now[1] - before[1])

    def watch() -> None:
        while not done.wait(EVERY):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
        look()
    finally:
        done.set()
        watcher.join()
