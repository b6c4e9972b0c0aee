"""What a sweep over λ shows, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gndl.comparison import FEWEST_FOLDS
from gndl.paper import DATABASE_TITLES
from gndl.sensitivity import listed


def in_plain_words(table: pd.DataFrame) -> str:
    """Say what :func:`gndl.sensitivity.sensitivity_table` shows, one Markdown line per database and method."""
    lines = []
    for (database, method), rows in table.groupby(["database", "method"], sort=False):
        run, absent = rows[rows["folds"] > 0], rows[rows["folds"] == 0]
        title = DATABASE_TITLES.get(str(database), str(database))
        parts = [_level(f"{title}, {method}", run)]
        parts += [_at_fixed(row) for row in run[run["fixed"]].to_dict("records")]
        parts += [_fall(rows)] if rows["best"].any() and run["accuracy"].nunique() > 1 else []
        parts += [f"Not run: λ = {listed(absent['lam'])}."] if len(absent) else []
        if (rows["source"] == "rendered").any():
            parts.append("Measured on rendered faces, it says nothing about people.")
        lines.append("- " + " ".join(parts))
    return "\n".join(lines)


def _level(method: str, run: pd.DataFrame) -> str:
    means = 100 * run["accuracy"]
    if len(run) < 2:
        values = f"only λ = {listed(run['lam'])} was run" if len(run) else "no value of λ was run"
        return f"**{method}**: {values}; a curve takes at least two values."
    if run["accuracy"].nunique() == 1:
        return f"**{method}**: the mean accuracy is {means.max():.1f} % for each of λ = {listed(run['lam'])}."
    return (
        f"**{method}**: over λ = {listed(run['lam'])} the mean accuracy lies between {means.min():.1f} and "
        f"{means.max():.1f} %, {means.max() - means.min():.1f} points apart."
    )


def _at_fixed(row: Mapping[Any, Any]) -> str:
    text = f"At λ = {row['lam']:g}, fixed beforehand, it is {100 * row['accuracy']:.1f} %"
    if row["to_baseline_folds"]:
        text += (
            f"; the baseline reaches {100 * row['baseline_accuracy']:.1f} % on the same folds (difference "
            f"{100 * row['to_baseline_difference']:+.1f} points"
        )
        if row["to_baseline_folds"] > 1:
            text += f", 95 % interval {100 * row['to_baseline_low']:+.1f} to {100 * row['to_baseline_high']:+.1f}"
        text += ")"
    return text + "."


def _fall(rows: pd.DataFrame) -> str:
    best, folds = rows[rows["best"]].iloc[0], int(rows["folds"].max())
    text = f"The highest mean is that of λ = {best['lam']:g}"
    text += " itself." if best["fixed"] else ": chosen on the test folds, it enters no table."
    if folds < FEWEST_FOLDS:
        return f"{text} With {folds} fold{'' if folds == 1 else 's'} no test is made and no decrease is marked."
    for row in rows[rows["decrease"]].to_dict("records"):
        return (
            f"{text} Above it, the first significant decrease comes at λ = {row['lam']:g} "
            f"({100 * row['to_best_difference']:+.1f} points, p = {row['to_best_p_holm']:.2g} after Holm)."
        )
    return f"{text} No value above it is significantly lower (after Holm)."


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a table of :func:`gndl.sensitivity.sensitivity_table` into text; what is missing is a dash."""

    def percent(value: float, sign: str = "") -> str:
        return "–" if pd.isna(value) else f"{100 * value:{sign}.1f}"

    def between(low: float, high: float, sign: str = "") -> str:
        return "–" if pd.isna(low) else f"{percent(low, sign)} to {percent(high, sign)}"

    rows = []
    for row in table.to_dict("records"):
        marks = [word for word, said in (("fixed beforehand", row["fixed"]), ("highest", row["best"])) if said]
        rows.append(
            {
                "Method": row["method"],
                "λ": f"{row['lam']:g}" + (f" ({', '.join(marks)})" if marks else ""),
                "Accuracy %": percent(row["accuracy"]) + ("" if pd.isna(row["sd"]) else f" ± {percent(row['sd'])}"),
                "95 % interval": between(row["low"], row["high"]),
                "Folds": str(row["folds"]),
                "Runs": str(row["runs"]),
                "Baseline %, same folds": percent(row["baseline_accuracy"]),
                "Points against the fixed λ": percent(row["to_fixed_difference"], "+"),
                "its 95 % interval": between(row["to_fixed_low"], row["to_fixed_high"], "+"),
                "p against the highest (Holm)": "–"
                if pd.isna(row["to_best_p_holm"])
                else f"{row['to_best_p_holm']:.2g}",
            }
        )
    return pd.DataFrame(rows)
