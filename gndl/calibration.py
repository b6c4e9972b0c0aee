"""How hard the stand-ins are: the baseline on rendered databases of other people than those of the record.

The difficulty of each stand-in (:data:`gndl.standins.DIFFICULTY`) was set with this script and with nothing else: the
ResNet-18 baseline at profile ``standard``, last epoch, on renders of other seeds, until its accuracy came near the
paper's baseline. GNDL takes no part. A level that was set is no evidence of anything.

``python -m gndl.calibration ckplus --seed 101`` renders, trains and adds one line to ``record/calibration.csv``; with
``--strength 0.3 0.7`` and the like it tries other numbers than the standard ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import tyro
from joblib import cpu_count

from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.paper import reported_accuracy
from gndl.paths import data_folder, repository_root
from gndl.prepare import STAND_IN_SEED, prepare
from gndl.profiles import STANDARD, StandInSize
from gndl.request import StudyRequest, save_request
from gndl.results import write_csv
from gndl.standins import GENERATOR_VERSION, render_database
from gndl.standins.difficulty import DIFFICULTY, Difficulty
from gndl.study import train_missing

TARGETS = {"ckplus": (0.95, 0.99), "oulu_casia": (0.84, 0.91), "mmi": (0.78, 0.87)}
"""Accuracy that the baseline's last epoch is to come near: round about the paper's own (Table 1)."""

SIZES = {
    "ckplus": StandInSize(subjects=123, sequences=332, labelled=327, frames=(6, 6)),
    "oulu_casia": StandInSize(subjects=80, sequences=480, labelled=480, frames=(6, 6), in_all_lights=0),
    "mmi": StandInSize(subjects=32, sequences=205, labelled=205, frames=(15, 15)),
}
"""The full number of labelled sequences, with fewer frames between neutral and apex, which no training looks at."""


@dataclass(frozen=True)
class Trial:
    """One measurement of a difficulty.

    Parameters
    ----------
    database : {"ckplus", "oulu_casia", "mmi"}
    seed : int
        Of the rendered people; never the record's.
    strength : (float, float), optional
        Least and largest strength of an expression; the standard one where it is not given.
    blend : float, optional
        Largest drift to the class that people confuse with it.
    variety : float, optional
        Share of the sequences in which people may show an emotion otherwise than most do.
    resting, shape : float, optional
        How far subjects differ in their resting faces, and in the shape of their heads.
    folds : tuple of int
        Folds to train.
    jobs : int, optional
        Processes; default one per core.
    table : Path, optional
        Where the line is added; default ``record/calibration.csv`` in the repository.
    """

    database: Annotated[str, tyro.conf.Positional]
    seed: int = 101
    strength: tuple[float, float] | None = None
    blend: float | None = None
    variety: float | None = None
    resting: float | None = None
    shape: float | None = None
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    jobs: int | None = None
    table: Path | None = None

    def difficulty(self) -> Difficulty:
        """The standard difficulty with what was named."""
        standard = DIFFICULTY[self.database]
        looks = {"resting_sigma": self.resting, "shape_sigma": self.shape}
        appearance = replace(standard.appearance, **_given(looks))
        manner = {"strength": self.strength, "blend": self.blend, "variety": self.variety}
        return replace(standard, appearance=appearance, **_given(manner))


def measure(trial: Trial) -> dict[str, Any]:
    """Render, crop and train the baseline for one trial, taking up whatever is there already.

    Returns
    -------
    dict
        One line of the calibration table: the difficulty, the accuracies (fractions) and the target.

    Raises
    ------
    GndlError
        For the seed of the record, whose people calibration must not see, or an unknown database.
    """
    name, difficulty = trial.database, trial.difficulty()
    if name not in SIZES:
        raise GndlError(f"There is no stand-in {name!r} to calibrate; choose one of {', '.join(SIZES)}.")
    if trial.seed == STAND_IN_SEED:
        raise GndlError(f"Seed {STAND_IN_SEED} is the record's own; calibrate on other people (--seed 101).")
    jobs = trial.jobs or cpu_count()
    settings = replace(STANDARD, methods=("baseline",), only_folds=trial.folds)
    place = data_folder() / "calibration" / f"{name}-{trial.seed}-v{GENERATOR_VERSION}-{difficulty.fingerprint()}"
    tree = render_database(name, place / name, size=SIZES[name], seed=trial.seed, jobs=jobs, difficulty=difficulty)
    study = place / f"study-{hash_json(asdict(settings.train))[:8]}"
    request = StudyRequest(study, settings, data_roots={name: str(tree)})
    save_request(request)
    accuracy = train_missing(prepare(request, name, jobs), jobs=jobs)
    found = accuracy[accuracy["fold"].isin(trial.folds)]["accuracy_last"]
    low, high = TARGETS[name]
    train = settings.train
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
        "paper_baseline": reported_accuracy("baseline", name),
    }


def add_line(row: dict[str, Any], table: Path) -> pd.DataFrame:
    """Add a line to the calibration table, in place of an earlier one of the same trial; return the table."""
    rows = pd.DataFrame([row])
    if table.exists():
        rows = pd.concat([pd.read_csv(table), rows], ignore_index=True)
    trial = [column for column in rows.columns if not column.startswith("accuracy")]
    rows = rows.drop_duplicates(trial, keep="last")
    write_csv(rows, table)
    return rows


def main() -> None:
    """Measure one trial and add it to the table."""
    trial = tyro.cli(Trial, prog="python -m gndl.calibration", description=__doc__)
    row = measure(trial)
    table = trial.table or repository_root() / "record" / "calibration.csv"
    add_line(row, table)
    inside = row["target_low"] <= row["accuracy_last"] <= row["target_high"]
    print(
        f"{trial.database}, seed {trial.seed}: baseline {100 * row['accuracy_last']:.1f} ± "
        f"{100 * row['accuracy_last_sd']:.1f} % over {row['folds']} folds; target {100 * row['target_low']:.0f} to "
        f"{100 * row['target_high']:.0f} %: {'inside' if inside else 'OUTSIDE'}. Written to {table}"
    )


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


if __name__ == "__main__":
    main()
