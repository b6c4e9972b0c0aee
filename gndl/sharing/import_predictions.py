"""``gndl import-predictions``: another code base's predictions, checked against the folds and kept beside our runs.

A file has the columns ``sample,truth,predicted`` and a ``p_CLASS`` for every class; ``fold``, ``subject``,
``sequence`` and ``frame`` may be there and must then agree (`gndl export-data` writes a form to fill in). Every fold
that it names has to be whole. What was imported is called ``imported-NAME`` in every table, test and gallery, and
said to be not audited: how it was trained is nothing that can be seen in its answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl import results
from gndl.csv_rows import Row, read_table
from gndl.errors import GndlError
from gndl.files import hash_file, hash_json, write_json, write_text
from gndl.imported import MARK, PREFIX
from gndl.prepare import Prepared
from gndl.record import EPOCH_COLUMNS, write_predictions
from gndl.runs import run_folder
from gndl.sharing.export_data import pair_table

SUMS_TO = 1e-3
"""How far the probabilities of a row may sum from 1: files hold few digits. They are kept as summing to 1."""


def import_predictions(
    study: Prepared,
    file: Path,
    name: str,
    *,
    subject_disjoint: bool,
    seed: int = 0,
    needs_neutral_at_test: bool = False,
) -> list[Path]:
    """Check a file of predictions against a study's folds and put it beside the study's own runs.

    Parameters
    ----------
    study : Prepared
    file : Path
        CSV, see the module.
    name : str
        Lower-case letters, digits and hyphens; the method will be called ``imported-NAME``.
    subject_disjoint : bool
        The importer's word that nothing of a fold's test subjects was used in training for it, nor to choose anything.
    seed : int
        Of the other code base's training, to tell several imports of one fold apart.
    needs_neutral_at_test : bool
        Whether the method was given the neutral face at test time too; such rows stand apart in tables.

    Returns
    -------
    list of Path
        The folders of the runs, one per fold.

    Raises
    ------
    GndlError
        Naming the file and the row, where a sample is unknown, missing or there twice, a truth is not the study's, or
        probabilities cannot be meant; where disjointness is not declared; or where other predictions lie there.
    """
    if not re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", name) or name.startswith(PREFIX):
        raise GndlError(f'"{name}" cannot name a method: lower-case letters, digits and hyphens, and no "{PREFIX}".')
    if not subject_disjoint:
        raise GndlError(
            f"{file}: say that its folds are subject-disjoint: that the network which answers for a fold was trained "
            "without any picture, neutral ones too, of that fold's test subjects, and that nothing was chosen on them. "
            "With --subject-disjoint you declare it; without it these numbers cannot stand beside the others."
        )
    probabilities = read_probabilities(study, file)
    variant = f"{PREFIX}{name}"
    table = pair_table(study)
    folds = sorted({int(table["fold"][sample]) for sample in probabilities})
    folders = {fold: run_folder(study.folder, variant, None, fold, seed) for fold in folds}
    declared = {
        "file": file.name,
        "sha256": hash_file(file),
        "subject_disjoint": True,
        "audited": False,
        "note": MARK,
    }
    for fold, folder in folders.items():
        _refuse_others(folder, study, fold, probabilities)
    for fold, folder in folders.items():
        _write(study, folder, fold, seed, variant, probabilities, declared, needs_neutral_at_test)
    results.write_accuracy(study.request.out)
    return list(folders.values())


def read_probabilities(study: Prepared, file: Path) -> dict[int, np.ndarray]:
    """Read and check a file of predictions; return the probabilities (K,) of every sample, in the classes' order."""
    names = study.pairs.expressions
    columns = {f"p_{name}".lower(): number for number, name in enumerate(names)}
    if len(columns) != len(names):
        raise GndlError(f"{study.folder}: has classes that differ only in case; a file cannot tell them apart.")
    rows = read_table(file, ("sample", "truth", "predicted", *columns))
    if not rows:
        raise GndlError(f"{file}: holds no prediction.")
    table = pair_table(study)
    found: dict[int, np.ndarray] = {}
    for row in rows:
        where = f"{file}, row {row.line}"
        sample = _sample(where, row, len(table))
        if sample in found:
            raise GndlError(f"{where}: sample {sample} is there twice; every test sample has one prediction.")
        known = {str(key): value for key, value in table.iloc[sample].items()}
        _agree(where, row, sample, known)
        found[sample] = _probabilities(where, row, columns, names)
    _require_whole_folds(file, table, found)
    return found


def _sample(where: str, row: Row, count: int) -> int:
    text = row["sample"]
    if not text.isdecimal() or len(text) > 9 or int(text) >= count:
        raise GndlError(f"{where}: {text[:40]!r} is no sample; the study has samples 0 to {count - 1} (pairs.csv).")
    return int(text)


def _agree(where: str, row: Row, sample: int, known: Mapping[str, Any]) -> None:
    for column in ("truth", "fold", "subject", "sequence", "frame"):
        if column in row.cells and row[column] != str(known[column]):
            raise GndlError(
                f"{where}: {column} of sample {sample} is {row[column]!r} there and {str(known[column])!r} in the "
                "study; export the data again, or mend the file."
            )


def _probabilities(where: str, row: Row, columns: Mapping[str, int], names: tuple[str, ...]) -> np.ndarray:
    values = np.zeros(len(names))
    for column, number in columns.items():
        try:
            values[number] = float(row[column])
        except ValueError:
            raise GndlError(f"{where}: {column} is {row[column]!r}, a probability is expected.") from None
        if not (math.isfinite(values[number]) and 0 <= values[number] <= 1):
            raise GndlError(f"{where}: {column} is {row[column]}, a probability lies between 0 and 1.")
    if abs(values.sum() - 1) > SUMS_TO:
        raise GndlError(f"{where}: the probabilities sum to {values.sum():.4g}, not to 1.")
    predicted = row["predicted"]
    if predicted not in names:
        raise GndlError(f"{where}: {predicted!r} is no class; there are {', '.join(names)}.")
    values = _as_kept(values / values.sum())
    if values[names.index(predicted)] < values.max() or (values == values.max()).sum() > 1:
        raise GndlError(f"{where}: {predicted} is predicted, but its probability is not the largest alone.")
    return values


def _require_whole_folds(file: Path, table: pd.DataFrame, found: Mapping[int, object]) -> None:
    """Raise where a fold is there in part: its accuracy would be of samples that somebody chose."""
    for fold in sorted({int(table["fold"][sample]) for sample in found}):
        own = table.loc[table["fold"] == fold, "sample"].astype(int).tolist()
        missing = [sample for sample in own if sample not in found]
        if missing:
            one = table.iloc[missing[0]]
            raise GndlError(
                f"{file}: lacks {len(missing)} of the {len(own)} samples that fold {fold} tests, the first one sample "
                f"{missing[0]} ({one['frame']} of {one['sequence']}); a fold is imported whole or not at all."
            )


def _refuse_others(folder: Path, study: Prepared, fold: int, probabilities: Mapping[int, np.ndarray]) -> None:
    path = folder / "predictions.csv"
    if not path.exists():
        return
    kept = results.read_csv(path, ("sample",))
    columns = [f"p_{name}" for name in study.pairs.expressions]
    _, tested = study.folds.train_test(fold, study.pairs.subject)
    ours = np.array([_as_kept(probabilities[int(sample)]) for sample in tested])
    if len(kept) != len(ours) or not np.array_equal(kept[columns].to_numpy(np.float32), ours):
        raise GndlError(f"{path}: holds other predictions; remove {folder}, or import under another name.")


def _as_kept(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _write(
    study: Prepared,
    folder: Path,
    fold: int,
    seed: int,
    variant: str,
    probabilities: Mapping[int, np.ndarray],
    declared: Mapping[str, Any],
    needs_neutral_at_test: bool,
) -> None:
    pairs = study.pairs
    trained, tested = study.folds.train_test(fold, pairs.subject)
    values = np.array([_as_kept(probabilities[int(sample)]) for sample in tested])
    accuracy = float((values.argmax(axis=1) == np.asarray(pairs.label)[tested]).mean())
    method = {"name": variant, "base": variant, "images_per_pair": 1, "options": {}}
    identity = {
        "method": method,
        "lam": None,
        "fold": fold,
        "seed": seed,
        "train": {},
        "weights": None,
        "pairs": pairs.content_hash,
        "train_samples": hash_json([int(i) for i in trained]),
        "test_samples": hash_json([int(i) for i in tested]),
        "imported": True,
        "extra": study.identity(fold),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(folder, pairs, tested, values)
    write_text(folder / "epochs.csv", ",".join(EPOCH_COLUMNS) + "\n")
    record = {
        "method": method,
        "variant": variant,
        "lam": None,
        "fold": fold,
        "seed": seed,
        "imported": {**declared, "predictions_sha256": hash_file(folder / "predictions.csv")},
        "needs_neutral_at_test": needs_neutral_at_test,
        "expressions": list(pairs.expressions),
        "epochs": 0,
        "accuracy_last": accuracy,
        "accuracy_best": None,
        "epoch_best": None,
        "n_train": len(trained),
        "n_test": len(tested),
        "images_per_epoch": None,
        "parameters": None,
        "identity": identity,
        "identity_hash": hash_json(identity),
    }
    write_json(folder / "run.json", record)
