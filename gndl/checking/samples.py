"""Audit who was trained on and who was tested: folds, samples and training sets, against crops.csv and the hashes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.folds import Folds, fold_sides
from gndl.results import FinishedRun, read_csv
from gndl.train import pairs_per_epoch

CROP_COLUMNS = ("sequence", "subject", "role", "frame", "source_file", "source_sha256", "crop", "source")


def samples_of_crops(crops: pd.DataFrame) -> pd.DataFrame:
    """List the samples that crops.csv makes, in the order in which they are numbered: one per examined frame.

    Parameters
    ----------
    crops : DataFrame
        The rows of crops.csv (`gndl.crop.Crops`).

    Returns
    -------
    DataFrame
        ``subject``, ``sequence``, ``frame``, ``crop`` and ``neutral_crop``; the index is the sample's number.
    """
    neutral = crops[crops["role"] == "neutral"].set_index("sequence")["crop"]
    examined = crops[crops["role"] != "neutral"].reset_index(drop=True)
    return examined[["subject", "sequence", "frame", "crop"]].assign(
        neutral_crop=examined["sequence"].map(neutral).to_numpy()
    )


def read_crops_csv(path: Path) -> pd.DataFrame:
    """Read crops.csv as text, but for the number of the crop.

    Raises
    ------
    GndlError
        Where it is missing or lacks a column, a crop's number is none, or a sequence has two neutral faces.
    """
    read_csv(path, CROP_COLUMNS, encoding_errors="surrogateescape")  # for its messages
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    try:
        table = table.assign(crop=table["crop"].astype(int))
    except (ValueError, OverflowError) as error:
        raise GndlError(f"{path}: a number in the column crop is none ({str(error)[:80]}).") from error
    neutral = table.loc[table["role"] == "neutral", "sequence"]
    if neutral.duplicated().any():
        raise GndlError(
            f"{path}: sequence {neutral[neutral.duplicated()].iloc[0]} has two neutral faces; fetch the file again, or "
            "let `gndl prepare` write it in a new OUT."
        )
    return table


def read_folds_json(path: Path) -> Folds:
    """Read the folds that lie in a study, in any state; what is wrong with them is for `check_folds` to say.

    Raises
    ------
    GndlError
        Where the file cannot be read at all.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        sides = [fold_sides(content[str(fold)]) for fold in range(len(content))]
        dev = tuple(tuple(own) for _, own in sides)
        return Folds(tuple(tuple(own) for own, _ in sides), dev if any(dev) else ())
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise GndlError(
            f"{path}: cannot be read as folds ({error}); fetch it again, or let `gndl prepare` deal folds in a new OUT."
        ) from error


def check_folds(path: Path, folds: Folds, samples: pd.DataFrame) -> list[str]:
    """Check that every subject of the samples is in one fold and in no other.

    Returns
    -------
    list of str
        One line per problem, the file's name first; so for every function here.
    """
    problems: list[str] = []
    seen: dict[str, int] = {}
    for fold, tested in enumerate(folds.test_subjects):
        for subject in tested:
            if subject in seen:
                problems.append(f"{path}: {subject} is tested in fold {seen[subject]} and in fold {fold}")
            seen.setdefault(subject, fold)
    for fold, held in enumerate(folds.dev_subjects):
        for subject in sorted(set(held) & set(folds.test_subjects[fold])):
            problems.append(f"{path}: {subject} is a development subject of fold {fold} and tested in it")
    missing = sorted(set(samples["subject"]) - set(seen))
    if missing:
        problems.append(f"{path}: {missing[0]} is in no fold ({len(missing)} such subjects)")
    return problems


def check_training_set(
    run: FinishedRun, predictions: pd.DataFrame, folds: Folds, samples: pd.DataFrame, folds_path: Path
) -> list[str]:
    """Verify that no subject tested was trained on, and that the hashes of the run's two sets say the same.

    The run keeps a hash of the numbers of the samples it trained on. The samples of all subjects outside the fold, but
    for its development subjects, have that hash, or the run trained on something else.
    """
    path = run.folder / "predictions.csv"
    tested = predictions["sample"].to_numpy(int)
    if tested.min() < 0 or tested.max() >= len(samples):
        return [f"{path}: sample {tested.max()} is not one of the {len(samples)} that crops.csv makes"]
    if not 0 <= run.fold < len(folds):
        return [f"{folds_path}: has no fold {run.fold}, of which {run.folder} is a run"]
    problems = []
    said = predictions[["subject", "sequence", "frame"]].reset_index(drop=True)
    known = samples.loc[tested, ["subject", "sequence", "frame"]].reset_index(drop=True)
    differs = (said != known).any(axis=1)
    if differs.any():
        row = int(differs.to_numpy().argmax())
        problems.append(
            f"{path}: sample {tested[row]} is {', '.join(said.iloc[row].tolist())}; crops.csv makes it "
            f"{', '.join(known.iloc[row].tolist())} ({int(differs.sum())} such rows)"
        )
    own = set(folds.test_subjects[run.fold])
    held = set(folds.dev_subjects[run.fold]) if folds.dev_subjects else set()
    strangers = sorted(set(predictions["subject"]) - own)
    if strangers:
        problems.append(f"{path}: tests {strangers[0]}, who is not in fold {run.fold} of {folds_path}")
    subject = samples["subject"].to_numpy(str)
    test_index = np.flatnonzero(np.isin(subject, list(own)))
    train_index = np.flatnonzero(np.isin(subject, list(own | held), invert=True))
    if sorted(tested.tolist()) != test_index.tolist():
        problems.append(f"{path}: does not hold the {len(test_index)} samples of fold {run.fold}, each once")
    return problems + _check_hashes(run, test_index, train_index, folds, folds_path)


def _check_hashes(
    run: FinishedRun, test_index: np.ndarray, train_index: np.ndarray, folds: Folds, folds_path: Path
) -> list[str]:
    path, record, identity = run.folder / "run.json", run.record, run.record["identity"]
    problems = []
    for name, index, what in (
        ("train_samples", train_index, f"was not trained on exactly the samples of those outside fold {run.fold}"),
        ("test_samples", test_index, f"was not tested on exactly the samples of those in fold {run.fold}"),
    ):
        if identity[name] != hash_json(index.tolist()):
            problems.append(f"{path}: {what} of {folds_path} (hash {name})")
    for name, sides, who in (
        ("test_subjects", folds.test_subjects, "test"),
        ("dev_subjects", folds.dev_subjects, "development"),
    ):
        known = hash_json(sorted(sides[run.fold])) if sides else None
        if identity["extra"].get(name) != known:
            problems.append(f"{path}: the hash of its {who} subjects is not that of fold {run.fold} of {folds_path}")
    counts = {"n_train": len(train_index), "n_test": len(test_index)}
    if not run.imported:  # of whose epochs nothing is known
        pairs = pairs_per_epoch(len(train_index), identity["train"]["batch_size"])
        counts["images_per_epoch"] = pairs * identity["method"]["images_per_pair"]
    for name, expected in counts.items():
        if record[name] != expected:
            problems.append(f"{path}: {name} is {record[name]}; folds and crops give {expected}")
    return problems
