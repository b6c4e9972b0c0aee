"""A study of planted faces on a network of one convolution: a run takes a fraction of a second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from planted import planted_pairs
from torch import Tensor, nn

from gndl.folds import deal_folds
from gndl.methods import MethodSettings, method_settings, register_method
from gndl.model import GNDL, Losses, Output
from gndl.profiles import SMOKE, StudyConfig
from gndl.runs import Run
from gndl.study import Study

EPOCHS = 8
"""Epochs of a slow run, of at least a tenth of a second each."""


class Quick(GNDL):
    """GNDL on one convolution.

    ``pause`` seconds in each step stand for a network that takes its time. In the folder ``seen``, every process that
    trains leaves the GPUs that it sees, in a file named by its id, and waits for a second process.
    """

    def __init__(self, n_classes: int, lam: float, pause: float = 0.0, seen: str = "") -> None:
        super().__init__(n_classes, lam)
        features = [nn.Conv2d(3, 16, 8, stride=8), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(64, 512)]
        self.backbone = nn.Sequential(*features)
        self.pause = pause
        if seen:
            (Path(seen) / str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
            end = time.monotonic() + 300
            while len(list(Path(seen).iterdir())) < 2 and time.monotonic() < end:
                time.sleep(0.05)

    def loss(self, output: Output, labels: Tensor) -> Losses:
        time.sleep(self.pause)
        return super().loss(output, labels)


def quick(name: str = "quick", **options: object) -> MethodSettings:
    """The method, registered under ``name``."""
    return register_method(name, Quick, options=options)


SLOW = quick("slow", pause=0.05)


def quick_study(
    out: Path, method: str | MethodSettings, *, epochs: int = 1, folds: int = 2, checkpoint_every: int = 0
) -> Study:
    """A study of one method on the planted pairs; only its runs are ever written, into ``out``."""
    train = replace(SMOKE.train, epochs=epochs, image_size=16, batch_size=8, checkpoint_every=checkpoint_every)
    settings = replace(SMOKE, train=train, only_folds=None, methods=(method_settings(method).name,))
    study = Study(out, "ckplus", StudyConfig(settings, data_roots={"ckplus": ""}, device="cpu"))
    study.pairs, study.source = planted_pairs(), "rendered"
    study.folds = deal_folds(study.pairs.subject, study.pairs.label.tolist(), n_folds=folds)
    return study


def slow_study(out: Path, method: MethodSettings = SLOW) -> Study:
    """Two slow runs, without checkpoints of their own."""
    return quick_study(out, method, epochs=EPOCHS)


def epochs_done(run: Run) -> int:
    """Epochs that a run's epochs.csv lists."""
    file = run.folder / "epochs.csv"
    return file.read_bytes().count(b"\n") - 1 if file.exists() else 0


def written(runs: Sequence[Run]) -> list[tuple[bytes, ...]]:
    """The bytes of everything that a run's numbers are in."""
    names = ("weights.safetensors", "predictions.csv", "epochs.csv")
    return [tuple((run.folder / name).read_bytes() for name in names) for run in runs]


class Watched:
    """What a watching thread saw of runs: their epochs when it acted, and whether one ever began anew."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.began_anew = False


@contextmanager
def after_epochs(least: int, runs: Sequence[Run], do: Callable[[], None]) -> Iterator[Watched]:
    """Call ``do`` in a thread once one of ``runs`` has ``least`` epochs behind it, and keep watching."""
    watched, over = Watched(), threading.Event()

    def watch() -> None:
        before = [0 for _ in runs]
        while not over.wait(0.01):
            now = [epochs_done(run) for run in runs]
            watched.began_anew = watched.began_anew or any(a < b for a, b in zip(now, before, strict=True))
            before = now
            if not watched.epochs and max(now) >= least:
                watched.epochs = now
                do()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield watched
    finally:
        over.set()
        thread.join()
