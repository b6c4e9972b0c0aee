"""Set the difficulty of the stand-ins: the baseline on rendered databases of other people than those of the record.

The difficulty (`standins.difficulty.DIFFICULTY`) was set with this script and with nothing else: the ResNet-18 baseline
at profile ``standard``, last epoch, on renders of other seeds, until its accuracy came near the paper's baseline. GNDL
takes no part. A level that was set is no evidence of anything.

``python tools/calibrate.py ckplus --seed 101`` renders, trains, and adds one line to ``record/calibration.csv``;
``--strength 0.3 0.7`` and the like try other values than the standard ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import tyro
from joblib import cpu_count

import gndl
from gndl.files import GndlError, data_folder, hash_json, repository_root, write_csv
from gndl.profiles import StandInSize, profile_named
from standins import GENERATOR_VERSION, render_database
from standins.difficulty import DIFFICULTY, Difficulty

SEED_OF_RECORD = 0
PAPER_BASELINE = {"ckplus": 0.9755, "oulu_casia": 0.8757, "mmi": 0.8256}
"""Table 1."""
TARGETS = {"ckplus": (0.95, 0.99), "oulu_casia": (0.84, 0.91), "mmi": (0.78, 0.87)}
"""Accuracy that the baseline's last epoch is to come near: around the paper's own (Table 1)."""

SIZES = {
    "ckplus": StandInSize(subjects=123, sequences=332, labelled=327, frames=(6, 6)),
    "oulu_casia": StandInSize(subjects=80, sequences=480, labelled=480, frames=(6, 6)),
    "mmi": StandInSize(subjects=32, sequences=205, labelled=205, frames=(15, 15)),
}
"""The full number of labelled sequences, with fewer frames between neutral and apex, which no training looks at."""


@dataclass(frozen=True)
class Trial:
    """One measurement of a difficulty."""

    database: Annotated[str, tyro.conf.Positional]
    """ckplus, oulu_casia or mmi."""
    seed: int = 101
    """Seed of the rendered people; never the record's."""
    strength: tuple[float, float] | None = None
    """Smallest and largest strength of an expression; None for the standard one, as for all that follow."""
    blend: float | None = None
    """Largest drift to the class that people confuse with it."""
    variety: float | None = None
    """Share of the sequences in which people may show an emotion otherwise than most do."""
    resting: float | None = None
    """How far subjects differ in their resting faces."""
    shape: float | None = None
    """How far subjects differ in the shape of their heads."""
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Folds to train."""
    profile: str = "standard"
    """Profile of the training."""
    jobs: int = 0
    """Parallel processes, 0 for one per core."""
    table: Path = Path("record/calibration.csv")
    """Where the line is added."""

    def difficulty(self) -> Difficulty:
        """The standard difficulty with what was named."""
        standard = DIFFICULTY[self.database]
        looks = {"resting_sigma": self.resting, "shape_sigma": self.shape}
        manner = {"strength": self.strength, "blend": self.blend, "variety": self.variety}
        return replace(standard, appearance=replace(standard.appearance, **_given(looks)), **_given(manner))


def measure(trial: Trial) -> dict[str, Any]:
    """Render, crop and train the baseline, resuming what exists; return one line of the table, accuracies as fractions.

    `GndlError` for an unknown database, and for the record's own seed, whose people calibration must not see.
    """
    name = trial.database
    if name not in SIZES:
        raise GndlError(f"{name!r} is not a stand-in; choose one of {', '.join(SIZES)}")
    if trial.seed == SEED_OF_RECORD:
        raise GndlError(f"seed {SEED_OF_RECORD} is the record's own; calibrate on other people (--seed 101)")
    difficulty, jobs = trial.difficulty(), trial.jobs or int(cpu_count())
    train = profile_named(trial.profile).train
    folder = data_folder() / "calibration" / f"{name}-{trial.seed}-v{GENERATOR_VERSION}-{difficulty.fingerprint()}"
    tree = render_database(name, folder / name, size=SIZES[name], seed=trial.seed, jobs=jobs, difficulty=difficulty)
    out = folder / f"study-{hash_json(asdict(train))[:8]}"
    study = gndl.open_study(name, data_root=tree, profile=trial.profile, out=out, jobs=jobs)
    found = study.train(["baseline"], folds=trial.folds).runs["accuracy_last"]
    low, high = TARGETS[name]
    return {
        "database": name,
        "source": "rendered",
        "generator_version": GENERATOR_VERSION,
        "seed": trial.seed,
        "difficulty": difficulty.fingerprint(),
        "strength_low": difficulty.strength[0],
        "strength_high": difficulty.strength[1],
        "blend": difficulty.blend,
        "variety": difficulty.variety,
        "resting_sigma": difficulty.appearance.resting_sigma,
        "shape_sigma": difficulty.appearance.shape_sigma,
        "image_size": train.image_size,
        "epochs": train.epochs,
        "min_steps": train.min_steps,
        "precision": train.precision,
        "folds": len(found),
        "accuracy_last": found.mean(),
        "accuracy_last_sd": found.std(ddof=1),
        "target_low": low,
        "target_high": high,
        "paper_baseline": PAPER_BASELINE[name],
    }


def add_line(row: dict[str, Any], table: Path) -> None:
    """Add a line to the table, in place of an earlier one of the same trial."""
    rows = pd.DataFrame([row])
    if table.exists():
        rows = pd.concat([pd.read_csv(table), rows], ignore_index=True)
    trial = [column for column in rows.columns if not column.startswith("accuracy")]
    write_csv(rows.drop_duplicates(trial, keep="last"), table)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


if __name__ == "__main__":
    asked = tyro.cli(Trial, description=__doc__)
    line, target = measure(asked), repository_root() / asked.table
    add_line(line, target)
    reached = "inside" if line["target_low"] <= line["accuracy_last"] <= line["target_high"] else "OUTSIDE"
    print(pd.Series(line).to_string())
    print(f"Target {line['target_low']:.2f} to {line['target_high']:.2f}: {reached}. Written to {target}")
