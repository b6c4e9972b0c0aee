"""How far a method's confidence can be believed: the reliability diagram and the expected calibration error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gndl import results
from gndl.analysis.resampling import interval_over_subjects
from gndl.analysis.variants import Variant

BINS = 10


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence beside accuracy, pooled over folds and seeds.

    Parameters
    ----------
    variant : Variant
    bins : DataFrame
        One row per bin of confidence (probability of the predicted class), empty bins included: ``low`` and ``high``
        (edges; a bin holds its upper one), ``count`` (frames), ``subjects``, ``confidence`` and ``accuracy`` (means,
        NaN in an empty bin), ``accuracy_low`` and ``accuracy_high`` (95 % over subjects, NaN below five).
    error : float
        Expected calibration error: mean over frames of the distance between accuracy and confidence of their bin.
    confidence, accuracy : float
        Means over all frames.
    folds, frames, subjects : int
    """

    variant: Variant
    bins: pd.DataFrame
    error: float
    confidence: float
    accuracy: float
    folds: int
    frames: int
    subjects: int


def reliability(out: Path, database: str, variant: Variant, *, bins: int = BINS, seed: int = 0) -> Reliability:
    """Bin the predictions of all folds and seeds of one variant by their confidence.

    Parameters
    ----------
    out : Path
        The study's directory.
    database : str
    variant : Variant
    bins : int
        Of equal width between 0 and 1.
    seed : int
        Of the bootstrap over subjects.
    """
    predictions = results.read_predictions(out, database, variant.method, variant.lam)
    return reliability_of(predictions, variant, bins=bins, seed=seed)


def reliability_of(predictions: pd.DataFrame, variant: Variant, *, bins: int = BINS, seed: int = 0) -> Reliability:
    """Bin rows of predictions.csv by their confidence; arguments as for :func:`reliability`."""
    classes = [name for name in predictions.columns if name.startswith("p_")]
    confidence = predictions[classes].max(axis=1).to_numpy(dtype=float)
    right = (predictions["predicted"] == predictions["truth"]).to_numpy(dtype=float)
    subject = predictions["subject"].to_numpy()
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    rows = []
    for number in range(bins):
        own = place == number
        interval = interval_over_subjects(right[own], np.ones(own.sum()), subject[own], seed=seed)
        rows.append(
            {
                "low": edges[number],
                "high": edges[number + 1],
                "count": int(own.sum()),
                "subjects": len(np.unique(subject[own])),
                "confidence": confidence[own].mean() if own.any() else np.nan,
                "accuracy": right[own].mean() if own.any() else np.nan,
                "accuracy_low": interval[0] if interval else np.nan,
                "accuracy_high": interval[1] if interval else np.nan,
            }
        )
    table = pd.DataFrame(rows)
    distance = (table["accuracy"] - table["confidence"]).abs().fillna(0.0)
    return Reliability(
        variant=variant,
        bins=table,
        error=float((distance * table["count"]).sum() / len(predictions)),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        folds=int(predictions["fold"].nunique()),
        frames=len(predictions),
        subjects=len(np.unique(subject)),
    )


def reliability_table(several: Iterable[Reliability]) -> pd.DataFrame:
    """Return the bins of several methods in one table, with ``method``, ``lam`` and the sums over all bins in a row."""
    return pd.concat(
        [
            one.bins.assign(
                method=one.variant.method,
                lam=one.variant.lam,
                error=one.error,
                mean_confidence=one.confidence,
                mean_accuracy=one.accuracy,
                folds=one.folds,
                frames=one.frames,
                tested_subjects=one.subjects,
            )
            for one in several
        ],
        ignore_index=True,
    )
