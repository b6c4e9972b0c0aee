"""One measured number with its chance, and how those of several folds become one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

F_EXAM, F_NEU, F_GEN = "F_exam", "F_neu", "G(F_exam)"
DEVIATION, DEVIATION_REAL = "deviation", "deviation, real neutral"
MEAN_NEUTRAL = "mean neutral"
"""Names of features in every table and figure."""

RUN = ["database", "method", "lam", "fold", "seed", "run"]
WHAT = ["analysis", "measure", "feature", "condition"]


@dataclass(frozen=True)
class Measurement:
    """One number, measured on one validation fold.

    Parameters
    ----------
    analysis : str
        ``"agreement"``, ``"retrieval"``, ``"silhouette"`` or ``"probe"``.
    measure, feature : str
        What was measured, and on which feature.
    condition : str
        On which part, or against which gallery; ``"all"`` for everything.
    value : float
        NaN where it could not be measured.
    weight : float
        Its weight among folds: mostly the number of sequences it is a mean of.
    chance : float
        What guessing would give; NaN where there is no such thing.
    choices : int
        Among how many guessing would choose: subjects in a gallery, groups; 0 where there is no such thing.
    note : str
        Why there is no value, in words.
    """

    analysis: str
    measure: str
    feature: str
    condition: str
    value: float
    weight: float
    chance: float = np.nan
    choices: int = 0
    note: str = ""


def measurements_table(about: dict[str, str | int], measurements: Iterable[Measurement]) -> pd.DataFrame:
    """One row per measurement, with what names its run (:attr:`gndl.analysis.features.FoldFeatures.about`) first."""
    return pd.DataFrame([about | asdict(one) for one in measurements])


def over_folds(table: pd.DataFrame) -> pd.DataFrame:
    """Join the measurements of several folds: weighted mean, and the spread between folds.

    Every fold has a network of its own, so features are never pooled, only what was measured in them.

    Parameters
    ----------
    table : DataFrame
        Of :func:`measurements_table`, of any number of runs.

    Returns
    -------
    DataFrame
        One row per database, method, λ and what was measured, in the order of first appearance: ``value`` (mean by
        weight), ``sd`` (standard deviation between folds, NaN for one), ``lowest``, ``highest``, ``chance`` (by
        weight), ``choices`` (mean), ``folds`` (with a value) and ``note`` (why there is none).
    """
    rows = []
    key = [*RUN[:3], *WHAT]
    for names, group in table.groupby(key, sort=False):
        found = group[group["value"].notna()]
        values, weight = found["value"].to_numpy(float), found["weight"].to_numpy(float)
        several = len(found) > 1
        rows.append(
            dict(zip(key, names, strict=True))
            | {
                "value": _mean(values, weight),
                "sd": float(values.std(ddof=1)) if several else np.nan,
                "lowest": float(values.min()) if several else np.nan,
                "highest": float(values.max()) if several else np.nan,
                "chance": _mean(found["chance"].to_numpy(float), weight),
                "choices": float(found["choices"].mean()) if len(found) else np.nan,
                "folds": len(found),
                "note": "" if len(found) else "; ".join(dict.fromkeys(group["note"])),
            }
        )
    return pd.DataFrame(rows)


def _mean(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    return float((values * weight).sum() / weight.sum()) if weight.sum() > 0 else np.nan
