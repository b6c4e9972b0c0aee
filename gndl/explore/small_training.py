"""A real but very small study for the studio: one rendered database, one fold, baseline and GNDL, two minutes.

``python -m gndl.explore.small_training`` trains it in a process of its own, which the studio starts and watches.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from gndl.errors import GndlError
from gndl.files import write_text
from gndl.paths import data_folder, resolve
from gndl.prepare import Prepared, prepare
from gndl.profiles import PROFILES, StandInSize
from gndl.record import EPOCHS
from gndl.request import StudyRequest, save_request
from gndl.runs import find_finished, plan_runs
from gndl.standins import render_database
from gndl.study import default_jobs, train_missing

DATABASE = "ckplus"
SIZE = StandInSize(subjects=14, sequences=46, labelled=44, frames=(6, 6))
"""Short sequences: the study takes a neutral frame and three at the apex of each."""
SEED = 20
"""Of the rendered people: others than those of every other study."""
FOLDER = "runs/studio"
LOG = "training.log"

WEAKNESS = (
    "**A weak model.** It saw a few rendered people for a minute and knows nothing else: it errs, it changes its mind "
    "at a shadow, and its numbers prove nothing. It is here to be played with; `make study` trains better ones."
)


def small_request(out: str | Path = FOLDER) -> StudyRequest:
    """What the small study asks: profile ``quick`` on a stand-in of its own, one fold of four, a minute of epochs."""
    quick = PROFILES["quick"]
    settings = dataclasses.replace(
        quick,
        purpose="the face studio's two-minute training on a few rendered people: something to play with, no result",
        n_folds=4,
        only_folds=(0,),
        train=dataclasses.replace(quick.train, epochs=15, min_steps=0, schedule="cosine", checkpoint_every=0),
        standins={DATABASE: SIZE},
    )
    return StudyRequest(out=resolve(out), settings=settings, data_roots={DATABASE: str(tree())}, device="cpu")


def tree() -> Path:
    """Folder of the small study's rendered database."""
    return data_folder() / "standins" / "studio" / DATABASE


def train_small(out: str | Path = FOLDER, jobs: int | None = None) -> Prepared:
    """Render, crop and train whatever of the small study is missing, and return it."""
    jobs = jobs or default_jobs("cpu")
    render_database(DATABASE, tree(), size=SIZE, seed=SEED, jobs=jobs, description="Rendering people for the studio")
    study = prepare(save_request(small_request(out)), DATABASE, jobs)
    train_missing(study, jobs=jobs)
    return study


def trained_small(out: str | Path = FOLDER) -> Prepared | None:
    """The small study where it is complete, else None; nothing is rendered or trained."""
    request = small_request(out)
    if not (request.out / "study.json").exists() or not tree().exists():
        return None
    try:
        study = prepare(save_request(request), DATABASE)
        complete = all(find_finished(study, run) is not None for run in plan_runs(study))
    except GndlError:  # of another version of the package: it is trained anew elsewhere or after its removal
        return None
    return study if complete else None


@dataclass(frozen=True)
class Progress:
    """How far the training has come: what is being done, and the share of the whole time that lies behind."""

    stage: str
    share: float


class Training:
    """The training as a process of its own, so that the studio goes on while it runs."""

    def __init__(self, out: str | Path = FOLDER) -> None:
        self.out = resolve(out)
        self.started = time.monotonic()
        self.out.mkdir(parents=True, exist_ok=True)
        # One thread for each of its processes, and the studio before them: the face is to stay alive.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GNDL_DATA": str(data_folder())}
        command = [sys.executable, "-m", "gndl.explore.small_training", str(self.out)]
        with (self.out / LOG).open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def running(self) -> bool:
        """Whether it still trains."""
        return self._process.poll() is None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""
        self._process.wait(timeout)

    def progress(self) -> Progress:
        """How far it has come, read from what lies on disk."""
        return progress_of(self.out)

    def failure(self) -> str | None:
        """The last line that it wrote where it failed, else None."""
        if self._process.poll() in (None, 0):
            return None
        lines = (self.out / LOG).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"the training ended with exit status {self._process.returncode}"

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self.started


def progress_of(out: Path) -> Progress:
    """Read from disk how far the small study in ``out`` has come."""
    whole = tree()
    if not whole.exists():
        partial = whole.with_name(f".{whole.name}.partial")
        frames = sum(1 for _ in partial.rglob("*.png"))
        share = frames / (SIZE.sequences * SIZE.frames[1])
        return Progress(f"rendering {SIZE.subjects} people who do not exist", 0.02 + 0.38 * min(share, 1.0))
    epochs = small_request(out).settings.train.epochs
    files = list((out / DATABASE).glob(f"*/lam-*/fold-*/seed-*/{EPOCHS}"))
    done = sum(max(0, file.read_bytes().count(b"\n") - 1) for file in files)
    if not done:
        return Progress("cutting out the faces", 0.42)
    return Progress("training baseline and GNDL side by side", 0.45 + 0.55 * min(done / (2 * epochs), 1.0))


def main() -> None:
    """Train it and note how long that took."""
    started = time.monotonic()
    out = Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER)
    try:
        study = train_small(out)
    except GndlError as error:
        sys.exit(str(error))
    seconds = time.monotonic() - started
    write_text(study.request.out / "seconds.txt", f"{seconds:.0f}\n")
    print(f"{study.request.out}: trained in {seconds:.0f} s")


if __name__ == "__main__":
    main()
