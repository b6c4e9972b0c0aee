"""How good one method is, class by class and over all: frames and sequences, with intervals over subjects.

The headline stays the mean over folds of the last epoch's accuracy (ledger L10, L12). Here is what it does not show:
which classes are found, how far the answer depends on the frame, and how far other people might have moved it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gndl import results
from gndl.analysis.resampling import interval_of_statistic
from gndl.analysis.variants import Variant

OF = ("frames", "sequences")
"""Counted by examined frames, and by sequences with one vote each (`gndl.results.sequence_votes`)."""

PER_CLASS = ("recall", "precision", "f1")
OVER_ALL = ("accuracy", "macro_recall", "macro_f1")

SCORE_COLUMNS = (
    "method",
    "lam",
    "of",
    "class",
    "measure",
    "value",
    "low",
    "high",
    "count",
    "subjects",
    "folds",
    "seeds",
)


def scores(out: Path, database: str, variant: Variant, *, seed: int = 0) -> pd.DataFrame:
    """Score one variant of a study; arguments as for :func:`scores_of`."""
    predictions = results.read_predictions(out, database, variant.method, variant.lam)
    return scores_of(predictions, variant, seed=seed)


def scores_of(predictions: pd.DataFrame, variant: Variant, *, seed: int = 0) -> pd.DataFrame:
    """Score the last epoch's predictions, pooled over folds and seeds.

    Parameters
    ----------
    predictions : DataFrame
        Of `gndl.results.read_predictions`.
    variant : Variant
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per unit counted (``of``), ``class`` (``"all"`` for the three over all) and ``measure``: ``accuracy``
        (pooled), ``macro_recall`` and ``macro_f1`` (plain means over the classes tested), ``recall``, ``precision``
        and ``f1`` of a class; ``value``, its 95 % interval ``low`` to ``high`` (subjects drawn with replacement, the
        trained networks as they are; NaN below five subjects), ``count`` (of the class, all seeds), ``subjects``,
        ``folds`` and ``seeds``. A class that was never tested has no recall and no F1, one that was never predicted
        no precision.
    """
    classes = [name.removeprefix("p_") for name in predictions.columns if name.startswith("p_")]
    common = {
        "method": variant.method,
        "lam": variant.lam,
        "folds": int(predictions["fold"].nunique()),
        "seeds": int(predictions["seed"].nunique()),
    }
    rows: list[dict[str, Any]] = []
    for of, table in zip(OF, (predictions, results.sequence_votes(predictions)), strict=True):
        by_subject = confusion_by_subject(table, classes)
        total = by_subject.sum(axis=0)
        values = measures(total[None])[0]
        interval = interval_of_statistic(by_subject, measures, seed=seed)
        low, high = interval if interval else (np.full(len(values), np.nan),) * 2
        names = [("all", name) for name in OVER_ALL] + [(name, part) for part in PER_CLASS for name in classes]
        counts = dict(zip(classes, total.sum(axis=1), strict=True)) | {"all": total.sum()}
        for place, (name, measure) in enumerate(names):
            numbers = {"value": values[place], "low": low[place], "high": high[place]}
            count = {"count": int(counts[name]), "subjects": len(by_subject)}
            rows.append({**common, "of": of, "class": name, "measure": measure, **numbers, **count})
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def confusion_by_subject(table: pd.DataFrame, classes: list[str]) -> NDArray[np.float64]:
    """Count answers of every subject: array (subjects, true classes, predicted classes)."""
    _, subject = np.unique(table["subject"].to_numpy(str), return_inverse=True)
    place = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((int(subject.max()) + 1, len(classes), len(classes)))
    truth, predicted = (table[name].map(place).to_numpy(np.int64) for name in ("truth", "predicted"))
    np.add.at(counts, (subject, truth, predicted), 1)
    return counts


def measures(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Accuracy, macro recall and macro F1, then recall, precision and F1 of every class.

    Parameters
    ----------
    counts : array (n, K, K)
        Confusion matrices, true classes as rows.

    Returns
    -------
    array (n, 3 + 3 K)
        NaN where a class gives no number; macro averages are over the classes tested.
    """
    right = np.diagonal(counts, axis1=1, axis2=2)
    tested, predicted = counts.sum(axis=2), counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = right / tested, right / predicted
        f1 = np.where(tested > 0, 2 * right / (tested + predicted), np.nan)
        accuracy = right.sum(axis=1) / counts.sum(axis=(1, 2))
    macro = [_mean_over_tested(part, tested) for part in (recall, f1)]
    return np.concatenate([np.column_stack([accuracy, *macro]), recall, precision, f1], axis=1)


def _mean_over_tested(values: NDArray[np.float64], tested: NDArray[np.float64]) -> NDArray[np.float64]:
    shown = tested > 0
    return np.where(shown, values, 0).sum(axis=1) / shown.sum(axis=1)
