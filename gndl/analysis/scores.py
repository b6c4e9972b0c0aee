"""How good one method is, class by class and over all, and whether its confidence can be trusted.

The headline stays the mean over folds of the last epoch's accuracy (ledger L10, L12). Here is what it does not show.
Intervals are over subjects: frames and sequences of one subject are not independent draws.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gndl.results import sequence_votes

DRAWS = 2000
FEWEST_SUBJECTS = 5
"""Subjects below which no interval is given: so few can hardly stand for others."""

VARIANT = ["database", "method", "lam"]


def scores(predictions: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Score every method's predictions of the last epoch, pooled over folds and seeds; ``seed`` is the bootstrap's.

    One row per database, method, λ, unit counted (``of``: frames, or sequences with one vote each), ``class``
    (``"all"`` for the three over all) and ``measure``: ``accuracy``, ``macro_recall`` and ``macro_f1`` (plain means
    over the classes tested), ``recall``, ``precision`` and ``f1`` of a class; ``value``, its 95 % interval ``low`` to
    ``high`` (subjects drawn with replacement, the trained networks as they are; NaN below five subjects), ``count`` (of
    the class, all seeds), ``subjects``, ``folds`` and ``seeds``. A class that was never tested has no recall and no F1,
    one that was never predicted no precision.
    """
    tables = []
    for key, own in predictions.groupby(VARIANT, dropna=False, sort=False):
        classes = [str(name)[2:] for name in own if str(name).startswith("p_") and own[name].notna().any()]
        names = [("all", name) for name in ("accuracy", "macro_recall", "macro_f1")]
        names += [(name, part) for part in ("recall", "precision", "f1") for name in classes]
        for of, table in (("frames", own), ("sequences", sequence_votes(own))):
            counts = confusion_by_subject(table, classes)
            total = counts.sum(axis=0)
            low = high = np.full(len(names), np.nan)
            if len(counts) >= FEWEST_SUBJECTS:
                drawn = measures(np.tensordot(_times_drawn(len(counts), seed), counts, axes=1))
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)  # a class in no draw: no interval
                    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
            number = dict(zip(classes, total.sum(axis=1).astype(int), strict=True)) | {"all": int(total.sum())}
            common: Any = dict(zip(VARIANT, key, strict=True)) | {"of": of}
            rows = pd.DataFrame([(*common.values(), *name) for name in names], columns=[*common, "class", "measure"])
            rows = rows.assign(folds=own["fold"].nunique(), seeds=own["seed"].nunique(), value=measures(total[None])[0])
            rows = rows.assign(low=low, high=high, count=rows["class"].map(number), subjects=len(counts))
            tables.append(rows)
    return pd.concat(tables, ignore_index=True)


def confusion_by_subject(table: pd.DataFrame, classes: list[str]) -> NDArray[np.float64]:
    """Count answers of every subject: array (subjects, true classes, predicted classes)."""
    place = {name: number for number, name in enumerate(classes)}
    _, subject = np.unique(table["subject"].to_numpy(str), return_inverse=True)
    counts = np.zeros((int(subject.max()) + 1, len(classes), len(classes)))
    truth, predicted = (table[name].map(place).to_numpy(np.int64) for name in ("truth", "predicted"))
    np.add.at(counts, (subject, truth, predicted), 1)
    return counts


def measures(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Accuracy, macro recall and macro F1, then recall, precision and F1 of every class: (n, K, K) to (n, 3 + 3 K).

    scikit-learn's scores, for 2,000 bootstrap draws of a confusion matrix (true classes as rows) at once. NaN where a
    class gives no number; macro averages are over the classes tested.
    """
    right = np.diagonal(counts, axis1=1, axis2=2)
    tested, predicted = counts.sum(axis=2), counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = right / tested, right / predicted
        f1 = np.where(tested > 0, 2 * right / (tested + predicted), np.nan)
        accuracy = right.sum(axis=1) / counts.sum(axis=(1, 2))
    shown = tested > 0
    macro = [np.where(shown, part, 0).sum(axis=1) / shown.sum(axis=1) for part in (recall, f1)]
    return np.concatenate([np.column_stack([accuracy, *macro]), recall, precision, f1], axis=1)


def interval_over_subjects(
    values: ArrayLike, subjects: ArrayLike, *, member: ArrayLike | None = None, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval (95 %, percentiles) of a mean over rows, with subjects drawn with replacement.

    With ``member`` (bool, one per row; all rows of a subject alike), that of the mean of the members minus the mean of
    all others. NaN with fewer than five subjects, on either side.
    """
    numbers, names = np.asarray(values, dtype=float), np.asarray(subjects)
    if member is None:
        draws = _means_drawn(numbers, names, seed)
    else:
        inside = np.asarray(member, dtype=bool)
        first = _means_drawn(numbers[inside], names[inside], 2 * seed)
        draws = first - _means_drawn(numbers[~inside], names[~inside], 2 * seed + 1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _means_drawn(values: NDArray[np.float64], subjects: NDArray[np.object_], seed: int) -> NDArray[np.float64]:
    names, place = np.unique(subjects, return_inverse=True)
    if len(names) < FEWEST_SUBJECTS:
        return np.array([np.nan])
    times = _times_drawn(len(names), seed)
    return (times @ np.bincount(place, weights=values)) / (times @ np.bincount(place).astype(float))


@lru_cache(maxsize=64)
def _times_drawn(count: int, seed: int) -> NDArray[np.float64]:
    """How often each of ``count`` subjects is drawn, (draws, count)."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(float)


def reliability(predictions: pd.DataFrame, *, bins: int = 10, seed: int = 0) -> pd.DataFrame:
    """Compare confidence (probability of the predicted class) with accuracy, pooled over folds and seeds.

    One row per database, method, λ and bin of confidence, empty bins included: ``low`` and ``high`` (edges; a bin holds
    its upper one), ``count`` (frames), ``subjects``, ``confidence`` and ``accuracy`` (means, NaN in an empty bin),
    ``accuracy_low`` and ``accuracy_high`` (95 % over subjects), and in every row what holds for all bins: ``error``
    (expected calibration error: mean over frames of the distance between accuracy and confidence of their bin),
    ``mean_confidence``, ``mean_accuracy``, ``folds``, ``frames`` and ``tested_subjects``.
    """
    edges = np.linspace(0, 1, bins + 1)
    tables = []
    for key, own in predictions.groupby(VARIANT, dropna=False, sort=False):
        confidence = own.filter(regex="^p_").max(axis=1).astype(float)
        frames = own[["subject"]].assign(right=own["predicted"] == own["truth"], confidence=confidence)
        bin_of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
        rows = []
        for number in range(bins):
            here = frames[bin_of == number]
            row = {"low": edges[number], "high": edges[number + 1], "count": len(here)}
            row |= {"subjects": here["subject"].nunique(), "confidence": here["confidence"].mean()}
            low, high = interval_over_subjects(here["right"], here["subject"], seed=seed)
            rows.append(row | {"accuracy": here["right"].mean(), "accuracy_low": low, "accuracy_high": high})
        table = pd.DataFrame(rows).assign(**dict(zip(VARIANT, key, strict=True)))
        gaps = table["count"] * (table["accuracy"] - table["confidence"]).abs()
        of_all = {"mean_confidence": confidence.mean(), "mean_accuracy": frames["right"].mean()}
        of_all |= {"folds": own["fold"].nunique(), "frames": len(own), "tested_subjects": own["subject"].nunique()}
        tables.append(table.assign(error=gaps.sum() / len(own), **of_all))
    return pd.concat(tables, ignore_index=True)
