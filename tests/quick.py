"""A study of planted faces on a network of one convolution: a run takes a fraction of a second."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from planted import planted_pairs
from torch import nn

from gndl.folds import deal_folds
from gndl.methods import MethodSettings, method_settings, register_method
from gndl.model import GNDL
from gndl.profiles import SMOKE, StudyConfig
from gndl.runs import Run
from gndl.study import Study

EPOCHS = 8
HALFWAY, LATER = 4, 6
"""Epochs before which the runs of a gated study wait."""
PATIENCE = 1200.0
"""Seconds after which a test that hangs gives up; however busy the machine is, no test that passes takes as long."""


class Quick(GNDL):
    """GNDL on one convolution.

    With a folder ``gate``, every process that trains leaves the GPUs that it sees in a file there, every epoch leaves
    its number in ``epochs``, and a run waits before the epochs of ``halts`` until the test lets it go on (`at_gate`).
    """

    def __init__(self, n_classes: int, lam: float, gate: str = "", halts: Sequence[int] = ()) -> None:
        super().__init__(n_classes, lam)
        features = [nn.Conv2d(3, 16, 8, stride=8), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(64, 512)]
        self.backbone = nn.Sequential(*features)
        self.gate, self.halts = gate, halts
        if gate:
            (Path(gate) / f"process-{os.getpid()}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))

    def on_epoch(self, epoch: int, epochs: int) -> None:
        if self.gate:
            with (Path(self.gate) / "epochs").open("a") as file:
                file.write(f"{epoch}\n")
            if epoch in self.halts:
                wait_for((Path(self.gate) / f"open-{epoch}").exists)


def quick(name: str = "quick", **options: object) -> MethodSettings:
    """The method, registered under ``name``."""
    return register_method(name, Quick, options=options)


def gated(folder: Path, *halts: int) -> MethodSettings:
    """The method with a gate in ``folder``."""
    folder.mkdir()
    return quick("gated", gate=str(folder), halts=halts)


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


def epochs_done(run: Run) -> int:
    """Epochs that a run's epochs.csv lists."""
    file = run.folder / "epochs.csv"
    return file.read_bytes().count(b"\n") - 1 if file.exists() else 0


def epochs_begun(folder: Path) -> Counter[int]:
    """How often each epoch has begun at the gate in ``folder``, in all runs together."""
    return Counter(map(int, (folder / "epochs").read_text().split())) if (folder / "epochs").exists() else Counter()


def written(runs: Sequence[Run]) -> list[tuple[bytes, ...]]:
    """The bytes of everything that a run's numbers are in."""
    names = ("weights.safetensors", "predictions.csv", "epochs.csv")
    return [tuple((run.folder / name).read_bytes() for name in names) for run in runs]


def wait_for(condition: Callable[[], object]) -> None:
    """Return once ``condition`` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def at_gate(
    folder: Path, epoch: int, waiting: int, do: Callable[[], object], until: Callable[[], object] = lambda: True
) -> Iterator[None]:
    """Once ``waiting`` runs wait before ``epoch``, call ``do`` in a thread, and let them go on when ``until`` holds."""
    ended = threading.Event()

    def act() -> None:
        wait_for(lambda: epochs_begun(folder)[epoch] >= waiting or ended.is_set())
        if not ended.is_set():
            do()
        wait_for(lambda: until() or ended.is_set())
        (folder / f"open-{epoch}").touch()

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
