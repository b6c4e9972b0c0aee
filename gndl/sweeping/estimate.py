"""How long a study will still take: work left in each stage ÷ the rate measured in this very run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from gndl.methods import MethodSettings, method_settings
from gndl.paper import COUNTS
from gndl.profiles import Profile
from gndl.request import StudyRequest
from gndl.train import steps_per_epoch

STAGES = ("render", "crop", "train", "notebooks")

FIRST_GUESS = {"render": 6.0, "crop": 15.0, "train": 100.0, "notebooks": 0.06}
"""Units a second and core before anything was measured: frames, frames, images at 64 pixels, notebooks."""


@dataclass
class Estimate:
    """Work left, by stage and database, and the rates measured so far.

    Parameters
    ----------
    jobs : int
        Processes that share the work; first guesses are multiplied by it.
    image_size : int
        Side of the pictures trained on; training time goes with its square.
    """

    jobs: int
    image_size: int = 64
    left: dict[tuple[str, str], float] = field(default_factory=dict)
    _done: dict[str, float] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def plan(self, stage: str, database: str, units: float) -> None:
        """Say how much work a stage of one database is; a later, better count replaces an earlier one."""
        self.left[stage, database] = units

    def finished(self, stage: str, database: str, units: float, seconds: float) -> None:
        """Take a database's stage off; ``units`` were really done in ``seconds``, 0 if all was there already."""
        self.left.pop((stage, database), None)
        if units > 0 and seconds > 0:
            self._done[stage] = self._done.get(stage, 0.0) + units
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def rate(self, stage: str) -> float:
        """Units a second: measured where there is a measurement, else the first guess."""
        if self._seconds.get(stage):
            return self._done[stage] / self._seconds[stage]
        guess = FIRST_GUESS[stage] * self.jobs
        return guess * (64 / self.image_size) ** 2 if stage == "train" else guess

    def seconds_left(self, stage: str | None = None) -> float:
        """Seconds that one stage, or all stages, will still take."""
        return sum(units / self.rate(of) for (of, _), units in self.left.items() if stage in (None, of))

    def line(self) -> str:
        """Say what has passed and what remains, in one line."""
        parts = [f"{stage} {duration(self.seconds_left(stage))}" for stage in STAGES if self.seconds_left(stage) > 0]
        remains = f"about {duration(self.seconds_left())} remain: {', '.join(parts)}" if parts else "nothing remains"
        return f"[{duration(time.monotonic() - self._started)} passed, {remains}]"


def expected_images(settings: Profile, sequences: int, subjects: int) -> float:
    """Images that the runs of one database will train on, headline and sweep over λ, before it was read.

    Parameters
    ----------
    sequences, subjects : int
        Labelled sequences and subjects: the stand-in's, or the paper's.
    """
    n_folds = settings.n_folds or min(10, subjects)
    folds = [fold for fold in range(n_folds) if settings.only_folds is None or fold in settings.only_folds]
    swept = [fold for fold in folds if settings.sweep_folds is None or fold in settings.sweep_folds] or folds
    pairs, epochs = expected_training(settings, sequences, n_folds)
    methods = [method_settings(name) for name in settings.methods]
    others = len([lam for lam in settings.lams if lam != settings.lam])
    runs = sum(
        method.images_per_pair * (len(folds) + (others * len(swept) if method.uses_lam else 0)) for method in methods
    )
    return epochs * pairs * runs


def expected_training(settings: Profile, sequences: int, n_folds: int) -> tuple[float, int]:
    """Pairs that one run trains on and its epochs, before its database was read."""
    held = 2 if settings.select_on == "dev" else 1  # folds that do not train
    pairs = 3 * sequences * (1 - held / n_folds)
    steps = max(1, steps_per_epoch(int(pairs), settings.train.batch_size))
    return pairs, max(settings.train.epochs, math.ceil(settings.train.min_steps / steps))


def cost_to_deal(request: StudyRequest, database: str, method: MethodSettings) -> float:
    """Return the images by which a run is dealt: known before a database is read, so that every call deals alike."""
    settings = request.settings
    sequences, subjects = expected_size(settings, database, rendered=not request.data_roots[database])
    pairs, epochs = expected_training(settings, sequences, settings.n_folds or min(10, subjects))
    return method.images_per_pair * pairs * epochs


def expected_size(settings: Profile, database: str, rendered: bool) -> tuple[int, int]:
    """Labelled sequences and subjects to expect: the stand-in's, the paper's, or a guess for faces of one's own."""
    if rendered:
        return settings.standins[database].labelled, settings.standins[database].subjects
    counts = COUNTS.get(database)
    return (counts.labelled, counts.labelled_subjects) if counts else (100, 10)


def duration(seconds: float) -> str:
    """A length of time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
