"""A prepared study of planted faces on a network of one convolution: a run takes a fraction of a second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
from planted import EXPRESSIONS, planted_pairs
from torch import nn

from gndl.crop import Crops
from gndl.folds import deal_folds
from gndl.methods import MethodSettings, method_settings, register_method
from gndl.model import GNDL, Losses, Output
from gndl.prepare import Prepared
from gndl.profiles import PROFILES
from gndl.request import StudyRequest
from gndl.runs import Run
from gndl.sequences import Database


class Quick(GNDL):
    """GNDL on one convolution.

    ``pause`` seconds in each step stand for a network that takes its time. In the folder ``seen``, if there is one,
    every process that trains leaves the GPUs that it sees, in a file named by its id, and waits for a second process.
    """

    def __init__(self, n_classes: int, lam: float, pause: float = 0.0, seen: str = "") -> None:
        super().__init__(n_classes, lam)
        features = [nn.Conv2d(3, 16, 8, stride=8), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(256, 512)]
        self.backbone = nn.Sequential(*features)
        self.pause = pause
        if seen:
            (Path(seen) / str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
            end = time.monotonic() + 300
            while len(list(Path(seen).iterdir())) < 2 and time.monotonic() < end:
                time.sleep(0.05)

    def loss(self, output: Output, label: object) -> Losses:  # type: ignore[override]
        time.sleep(self.pause)
        return super().loss(output, label)  # type: ignore[arg-type]


def quick(name: str = "quick", **options: object) -> MethodSettings:
    """The method, registered under ``name``."""
    return register_method(name, Quick, options=options)


SLOW = quick("slow", pause=0.05)
EPOCHS = 12


def slow_study(out: Path) -> Prepared:
    """Two runs of twelve epochs, each of which takes a tenth of a second at least, without checkpoints of its own."""
    return planted_study(out, SLOW, epochs=EPOCHS)


def epochs_done(run: Run) -> int:
    """Epochs that a run's epochs.csv tells."""
    file = run.folder / "epochs.csv"
    return file.read_bytes().count(b"\n") - 1 if file.exists() else 0


class Watched:
    """What a watching thread saw of runs: their epochs when it acted, and whether one ever began anew."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.began_anew = False


@contextmanager
def after_epochs(least: int, runs: Sequence[Run], do: Callable[[], None]) -> Iterator[Watched]:
    """Call ``do`` in a thread once one of ``runs`` has ``least`` epochs behind it, and go on watching."""
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


def planted_study(
    out: Path, method: str | MethodSettings, *, epochs: int = 2, folds: int = 2, checkpoint_every: int = 0
) -> Prepared:
    """A study of one method on the planted pairs; nothing but its runs is ever written, into ``out``."""
    pairs = planted_pairs()
    smoke = PROFILES["smoke"]
    train = replace(smoke.train, epochs=epochs, batch_size=8, checkpoint_every=checkpoint_every)
    settings = replace(smoke, train=train, only_folds=None, methods=(method_settings(method).name,))
    return Prepared(
        request=StudyRequest(out=out, settings=settings, data_roots={"ckplus": ""}, device="cpu"),
        database=Database("ckplus", out, "rendered", EXPRESSIONS, ()),
        crops=Crops(out, "0" * 16, pairs.images, pd.DataFrame(), {}, (), out),
        pairs=pairs,
        folds=deal_folds(pairs.subject, pairs.label.tolist(), n_folds=folds),
        run_folds=tuple(range(folds)),
        train=train,
    )


def written(runs: Sequence[Run]) -> list[tuple[bytes, ...]]:
    """The bytes of everything that a run's numbers are in."""
    names = ("weights.safetensors", "predictions.csv", "epochs.csv")
    return [tuple((run.folder / name).read_bytes() for name in names) for run in runs]
