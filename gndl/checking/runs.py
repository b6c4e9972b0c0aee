"""Audit finished runs one by one: the numbers of run.json that the files beside it give are derived again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from gndl.errors import GndlError
from gndl.files import hash_file, hash_json
from gndl.record import DEV_COLUMN
from gndl.results import FinishedRun, read_csv

TOLERANCE = 1e-9
"""Accuracies are shares of counts; rounding in a sum moves them by less."""

PROBABILITY_TOLERANCE = 1e-3
"""Nine digits of a single-precision softmax sum to one far closer than this."""

PREDICTION_COLUMNS = ("sample", "subject", "sequence", "frame", "truth", "predicted")
SAMPLE_COLUMNS = ["subject", "sequence", "frame", "truth"]


def agree(one: float, other: float) -> bool:
    """Whether two numbers are one but for rounding. NaN, such as of a blank cell, agrees with nothing, nor with NaN."""
    return abs(one - other) <= TOLERANCE


def check_record(run: FinishedRun) -> list[str]:
    """Check run.json itself: the identity has the hash beside it, and names the variant, fold and seed of its folder.

    Returns
    -------
    list of str
        One line per problem, the file's name first; so for every function here.
    """
    path, record, identity = run.folder / "run.json", run.record, run.record["identity"]
    problems = []
    if hash_json(identity) != record["identity_hash"]:
        problems.append(f"{path}: the identity does not have the hash beside it; the file was changed")
    for name, expected in (("fold", run.fold), ("seed", run.seed)):
        if identity[name] != expected:
            problems.append(f"{path}: is of {name} {identity[name]}, but lies in the folder of {name} {expected}")
    if "lam" in record and _lam(identity["lam"]) != run.lam:
        problems.append(f"{path}: is of λ = {_lam(identity['lam'])}, but lies in the folder of λ = {run.lam}")
    if record.get("variant", run.method) != run.method:
        problems.append(f"{path}: is of {record['variant']}, but lies in the folder of {run.method}")
    for name in ("method", "lam", "fold", "seed"):  # a value that stands twice must be one
        if name in record and record[name] != identity[name]:
            problems.append(f"{path}: {name} is {record[name]} above and {identity[name]} in the identity")
    return problems


def _lam(value: float | str | None) -> str:
    try:
        return "none" if value in (None, "none") else f"{float(value):g}"
    except ValueError:
        return str(value)  # which no folder is called


def check_imported(run: FinishedRun) -> list[str]:
    """Check that imported predictions are those that were imported, and that they were declared subject-disjoint."""
    path, imported = run.folder / "run.json", run.record["imported"]
    problems = []
    if imported.get("subject_disjoint") is not True:
        problems.append(f"{path}: nobody has declared that the imported folds are subject-disjoint")
    if imported.get("predictions_sha256") != hash_file(run.folder / "predictions.csv"):
        problems.append(f"{run.folder / 'predictions.csv'}: is not what was imported; the file was changed")
    return problems


def check_epochs(run: FinishedRun) -> list[str]:
    """Derive the best epoch, the last accuracy and the number of epochs again from epochs.csv."""
    path, record = run.folder / "epochs.csv", run.record
    try:
        epochs = read_csv(path, ("epoch", "accuracy_test"))
    except GndlError as error:
        return [str(error)]
    if epochs.empty:
        return [f"{path}: has no epoch"]
    problems = []
    tested = epochs["accuracy_test"].to_numpy(float)
    if not np.isfinite(tested).all():
        return [f"{path}: epoch {epochs['epoch'].iloc[int((~np.isfinite(tested)).argmax())]} has no accuracy"]
    if not agree(tested.max(), record["accuracy_best"]):
        problems.append(
            f"{path}: best accuracy is {tested.max():.6f}, run.json says {record['accuracy_best']:.6f} (optimistic: "
            "chosen on the test fold)"
        )
    first_best = int(epochs["epoch"].iloc[int(tested.argmax())])
    if first_best != record["epoch_best"]:
        problems.append(f"{path}: the best epoch is {first_best}, run.json says {record['epoch_best']}")
    if not agree(tested[-1], record["accuracy_last"]):
        problems.append(f"{path}: ends at {tested[-1]:.6f}, run.json says {record['accuracy_last']:.6f}")
    if ("n_dev" in record) != (DEV_COLUMN in epochs):
        problems.append(f"{path}: {'lacks' if 'n_dev' in record else 'has'} a column {DEV_COLUMN}, unlike run.json")
    if len(epochs) != record["epochs"] or epochs["epoch"].tolist() != list(range(1, len(epochs) + 1)):
        problems.append(f"{path}: does not hold the epochs 1 to {record['epochs']} of run.json, one each")
    return problems


def check_predictions(run: FinishedRun) -> tuple[pd.DataFrame | None, list[str]]:
    """Derive the last accuracy again from predictions.csv, and check that every row says one thing.

    Returns
    -------
    predictions : DataFrame or None
        As read; None where the file cannot be read.
    problems : list of str
    """
    path, record = run.folder / "predictions.csv", run.record
    try:
        predictions = read_csv(path, PREDICTION_COLUMNS)
    except GndlError as error:
        return None, [str(error)]
    if predictions.empty:
        return None, [f"{path}: has no row"]
    problems = []
    derived = float((predictions["truth"] == predictions["predicted"]).mean())
    if not agree(derived, record["accuracy_last"]):
        problems.append(f"{path}: gives an accuracy of {derived:.6f}, run.json says {record['accuracy_last']:.6f}")
    if len(predictions) != record["n_test"]:
        problems.append(f"{path}: has {len(predictions)} rows, run.json says that {record['n_test']} were tested")
    if predictions["sample"].duplicated().any():
        problems.append(f"{path}: has a sample more than once")
    return predictions, problems + _check_probabilities(run, predictions)


def _check_probabilities(run: FinishedRun, predictions: pd.DataFrame) -> list[str]:
    """The class predicted is the one of the largest probability, and probabilities sum to one."""
    path = run.folder / "predictions.csv"
    columns = [name for name in predictions.columns if name.startswith("p_")]
    classes = np.array([name.removeprefix("p_") for name in columns])
    if "expressions" in run.record and list(classes) != list(run.record["expressions"]):
        return [f"{path}: has probabilities of {', '.join(classes)}, run.json names other classes"]
    if not columns:
        return [f"{path}: has no probabilities"]
    values = predictions[columns].to_numpy(float)
    if not np.isfinite(values).all() or values.min() < 0:
        return [f"{path}: holds a probability that is none"]
    problems = []
    said = values[np.arange(len(values)), [_place(classes, name) for name in predictions["predicted"]]]
    wrong = np.flatnonzero(said < values.max(axis=1))
    if len(wrong):
        sample, predicted = predictions[["sample", "predicted"]].iloc[int(wrong[0])]
        problems.append(
            f"{path}: sample {sample} is predicted {predicted}, but {classes[values[wrong[0]].argmax()]} has the "
            f"largest probability ({len(wrong)} such rows)"
        )
    off = np.flatnonzero(np.abs(values.sum(axis=1) - 1) > PROBABILITY_TOLERANCE)
    if len(off):
        problems.append(
            f"{path}: probabilities of sample {predictions['sample'].iloc[off[0]]} sum to "
            f"{values[off[0]].sum():.4f} ({len(off)} such rows)"
        )
    return problems


def _place(classes: np.ndarray, name: object) -> int:
    """Column of a class; the first where it is unknown, so that the row is reported as not the most probable."""
    found = np.flatnonzero(classes == name)
    return int(found[0]) if len(found) else 0


def check_same_samples(runs: Iterable[tuple[FinishedRun, pd.DataFrame]]) -> list[str]:
    """Check that a sample is the same face with the same truth in every run of one database."""
    known: pd.DataFrame | None = None
    problems = []
    for run, predictions in runs:
        own = predictions.drop_duplicates("sample").set_index("sample")[SAMPLE_COLUMNS].astype(str)
        if known is None:
            known = own
            continue
        shared = own.index.intersection(known.index)
        differs = (own.loc[shared] != known.loc[shared]).any(axis=1)
        if differs.any():
            sample = differs.index[int(differs.to_numpy().argmax())]
            problems.append(
                f"{run.folder / 'predictions.csv'}: sample {sample} is {', '.join(own.loc[sample])}; another run says "
                f"{', '.join(known.loc[sample])} ({int(differs.sum())} such samples)"
            )
        known = pd.concat([known, own.loc[own.index.difference(known.index)]])
    return problems
