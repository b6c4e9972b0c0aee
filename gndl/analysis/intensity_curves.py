"""Curves along sequences: how early a method is right, what it says of neutral faces, how the deviation grows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gndl.analysis.resampling import interval_over_subjects

SURE = 0.5
"""Confidence above which an expression on a neutral face is a false alarm."""

GROUP = ["method", "lam"]


def curves(along: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Average what :func:`gndl.analysis.intensity.along_sequences` measured, at every moment.

    Parameters
    ----------
    along : DataFrame
    seed : int
        Of the bootstrap over subjects.

    Returns
    -------
    DataFrame
        One row per method, λ and ``position``: ``sequences``, ``subjects``, ``accuracy`` with ``accuracy_low`` and
        ``accuracy_high`` (95 % over subjects, NaN below five), ``truth_p``, ``deviation`` and ``from_neutral`` (lengths
        relative to the same sequence's apex, averaged; NaN where the method has none) and ``intensity`` (as rendered).
    """
    key = [*GROUP, "fold", "seed", "sequence"]
    table = along.sort_values([*key, "position"], ignore_index=True)
    apex = table.groupby(key, sort=False)[["deviation", "from_neutral"]].transform("last")
    for name in ("deviation", "from_neutral"):
        length = apex[name].to_numpy(dtype=float)
        table[name] = table[name].to_numpy(dtype=float) / np.where(length > 0, length, np.nan)
    table["right"] = table["predicted"] == table["truth"]
    rows = []
    for (method, lam, position), own in table.groupby([*GROUP, "position"]):
        interval = interval_over_subjects(own["right"], np.ones(len(own)), own["subject"], seed=seed)
        rows.append(
            {
                "method": method,
                "lam": lam,
                "position": position,
                "sequences": len(own),
                "subjects": own["subject"].nunique(),
                "accuracy": own["right"].mean(),
                "accuracy_low": interval[0] if interval else np.nan,
                "accuracy_high": interval[1] if interval else np.nan,
                **{name: own[name].mean() for name in ("truth_p", "deviation", "from_neutral", "intensity")},
            }
        )
    return pd.DataFrame(rows)


def false_alarms(along: pd.DataFrame, expressions: tuple[str, ...]) -> pd.DataFrame:
    """Count the neutral faces that are called an expression with a confidence above one half, and which.

    Neither method knows a class "neutral": some expression it must answer, but it need not be sure.

    Returns
    -------
    DataFrame
        One row per method and λ: ``neutral_faces``, ``subjects``, ``false_alarms``, ``share``, and for every class the
        number of alarms that named it.
    """
    neutral = along[along["position"] == 0]
    rows = []
    for (method, lam), own in neutral.groupby(GROUP):
        alarms = own[own["confidence"] > SURE]
        named = alarms["predicted"].value_counts()
        rows.append(
            {
                "method": method,
                "lam": lam,
                "neutral_faces": len(own),
                "subjects": own["subject"].nunique(),
                "false_alarms": len(alarms),
                "share": len(alarms) / len(own),
                **{name: int(named.get(name, 0)) for name in expressions},
            }
        )
    return pd.DataFrame(rows)


def first_right(along: pd.DataFrame) -> pd.DataFrame:
    """Find how early each method is right and stays so up to the apex.

    Returns
    -------
    DataFrame
        One row per method, λ, fold, seed and sequence: ``subject``, ``truth`` and ``from_position``, the earliest
        moment from which on every frame measured is classified rightly; NaN where the apex is not.
    """
    rows = []
    for key, own in along.groupby([*GROUP, "fold", "seed", "sequence"]):
        backwards = own.sort_values("position", ascending=False)
        right = (backwards["predicted"] == backwards["truth"]).to_numpy()
        steady = int(np.argmin(right)) if not right.all() else len(right)
        position = backwards["position"].iloc[steady - 1] if steady else np.nan
        names = dict(zip([*GROUP, "fold", "seed", "sequence"], key, strict=True))
        rows.append(
            {**names, "subject": own["subject"].iloc[0], "truth": own["truth"].iloc[0], "from_position": position}
        )
    return pd.DataFrame(rows)
