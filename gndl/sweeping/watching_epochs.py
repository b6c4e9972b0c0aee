"""A progress bar over the epochs of many runs, whoever trains them: it reads what they keep up to date on disk."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tqdm import tqdm

from gndl.prepare import Prepared
from gndl.progress import progress
from gndl.record import EPOCHS
from gndl.runs import Run


class EpochBar:
    """A bar over the epochs of all runs, read from the epochs.csv that each run keeps up to date."""

    def __init__(self, runs: Sequence[Run], study: Prepared) -> None:
        self._files = [run.folder / EPOCHS for run in runs]
        title = f"Training {study.database.title}, {len(runs)} runs"
        self._bar: tqdm[int] = progress([], title, total=len(runs) * study.train.epochs, unit="epoch")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> EpochBar:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._bar.close()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.write(text)

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self._update()
        self._update()

    def _update(self) -> None:
        done = sum(max(0, file.read_bytes().count(b"\n") - 1) for file in self._files if file.exists())
        self._bar.update(done - self._bar.n)
