"""Progress that a person can read in a terminal, in JupyterLab and in a batch log alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO, TypeVar, cast

from tqdm import tqdm

Item = TypeVar("Item")


class _Lines:
    """Standard error for logs: every state of the bar is a line of its own, nothing is drawn over."""

    def write(self, text: str) -> None:
        line = text.replace("\r", "").strip()
        if line:
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        sys.stderr.flush()


def progress(items: Iterable[Item], description: str, *, total: int | None = None, unit: str = "it") -> tqdm[Item]:
    """Wrap ``items`` in a progress bar that shows itself after one second.

    Where the output is no terminal (a log, a notebook run in batch) it writes a line every ten seconds at most.
    """
    interactive = sys.stderr.isatty()
    return tqdm(
        items,
        file=None if interactive else cast(TextIO, _Lines()),
        desc=description,
        total=total,
        unit=unit,
        delay=1.0,
        mininterval=0.2 if interactive else 10.0,
        dynamic_ncols=interactive,
        ascii=not interactive,
    )
