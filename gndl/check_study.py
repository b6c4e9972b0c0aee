"""Audit a study: derive its numbers again from its own files, and say where they disagree."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.results import (
    ACCURACY_COLUMNS,
    FinishedRun,
    accuracy_table,
    finished_runs,
    read_csv,
    require_one_configuration,
)

TOLERANCE = 1e-9


def check_study(out: Path) -> list[str]:
    """Re-derive every accuracy and check every fold of a study.

    Each run's last accuracy is derived again from predictions.csv, its best from epochs.csv; its test subjects must
    be those of its fold in folds.json and of no other fold; crops.csv must name every sample tested; accuracy.csv
    must agree with the runs, and the runs of one variant must have been trained alike.

    Returns
    -------
    list of str
        One line per problem, each with the file's name; empty where everything agrees.

    Raises
    ------
    GndlError
        Where ``out`` holds no finished run.
    """
    runs = finished_runs(out)
    if not runs:
        raise GndlError(f"{out} holds no finished run; to audit a copy of a database, say which with --database.")
    problems: list[str] = []
    for run in runs:
        problems += _check_record(run)
        problems += _check_run(out, run)
    try:
        require_one_configuration(runs)
    except GndlError as error:
        problems.append(str(error))
    return problems + _check_accuracy_csv(out)


def _check_record(run: FinishedRun) -> list[str]:
    """The identity must have the hash that stands beside it, and name the fold and seed of its folder."""
    path, identity = run.folder / "run.json", run.record["identity"]
    problems = []
    if hash_json(identity) != run.record["identity_hash"]:
        problems.append(f"{path}: the identity does not have the hash beside it; the file was changed")
    for name, expected in (("fold", run.fold), ("seed", run.seed)):
        if identity[name] != expected:
            problems.append(f"{path}: is of {name} {identity[name]}, but lies in the folder of {name} {expected}")
    return problems


def _check_run(out: Path, run: FinishedRun) -> list[str]:
    path = run.folder / "predictions.csv"
    problems = []
    try:
        predictions = read_csv(path, ("sample", "subject", "sequence", "truth", "predicted"))
        epochs = read_csv(run.folder / "epochs.csv", ("epoch", "accuracy_test"))
    except GndlError as error:
        return [str(error)]
    derived = float((predictions["truth"] == predictions["predicted"]).mean())
    if abs(derived - run.record["accuracy_last"]) > TOLERANCE:
        problems.append(f"{path}: gives an accuracy of {derived:.6f}, run.json says {run.record['accuracy_last']:.6f}")
    best = float(epochs["accuracy_test"].max())
    if abs(best - run.record["accuracy_best"]) > TOLERANCE:
        problems.append(
            f"{run.folder / 'epochs.csv'}: best accuracy is {best:.6f}, run.json says {run.record['accuracy_best']:.6f}"
        )
    last = float(epochs["accuracy_test"].iloc[-1])
    if abs(last - derived) > TOLERANCE:
        problems.append(f"{run.folder / 'epochs.csv'}: ends at {last:.6f}, predictions.csv gives {derived:.6f}")
    if len(epochs) != run.record["epochs"]:
        problems.append(f"{run.folder / 'epochs.csv'}: has {len(epochs)} epochs, run.json says {run.record['epochs']}")
    if len(predictions) != run.record["n_test"]:
        problems.append(f"{path}: has {len(predictions)} rows, run.json says that {run.record['n_test']} were tested")
    if predictions["sample"].duplicated().any():
        problems.append(f"{path}: has a sample more than once")
    return problems + _check_fold(out, run, predictions)


def _check_fold(out: Path, run: FinishedRun, predictions: pd.DataFrame) -> list[str]:
    path = out / run.database / "folds.json"
    try:
        folds: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        return [f"{path}: cannot be read ({error})"]
    own = set(folds.get(str(run.fold), []))
    tested = set(predictions["subject"])
    problems = []
    if not tested <= own:
        problems.append(
            f"{run.folder / 'predictions.csv'}: tests {sorted(tested - own)[0]}, who is not in fold {run.fold} "
            f"of {path}"
        )
    trained = {subject for fold, subjects in folds.items() if fold != str(run.fold) for subject in subjects}
    if tested & trained:
        problems.append(f"{path}: {sorted(tested & trained)[0]} is tested in fold {run.fold} and in another fold too")
    try:
        crops = read_csv(out / run.database / "crops.csv", ("sequence", "subject", "source"))
    except GndlError as error:
        return [*problems, str(error)]
    unknown = set(predictions["sequence"]) - set(crops["sequence"].astype(str))
    if unknown:
        problems.append(f"{run.folder / 'predictions.csv'}: sequence {sorted(unknown)[0]} is not in crops.csv")
    return problems


def _check_accuracy_csv(out: Path) -> list[str]:
    path = out / "accuracy.csv"
    try:
        kept = read_csv(path, ACCURACY_COLUMNS)
    except GndlError as error:
        return [str(error)]
    key = ["database", "method", "lam", "fold", "seed"]
    derived = accuracy_table(out)
    both = derived.merge(kept, on=key, how="outer", suffixes=("", "_kept"), indicator=True)
    problems = []
    for _, row in both.iterrows():
        name = ", ".join(str(row[part]) for part in key)
        if row["_merge"] == "left_only":
            problems.append(f"{path}: lacks the run {name}")
        elif row["_merge"] == "right_only":
            problems.append(f"{path}: has a row for {name}, but there is no such run")
        else:
            for column in ("accuracy_last", "accuracy_best", "n_train", "n_test"):
                if abs(float(row[column]) - float(row[f"{column}_kept"])) > TOLERANCE:
                    problems.append(
                        f"{path}: {column} of {name} is {row[f'{column}_kept']}, the run says {row[column]}"
                    )
    return problems
