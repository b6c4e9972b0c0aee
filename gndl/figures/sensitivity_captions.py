"""Captions of the figures of accuracy against λ, which say how many folds and runs stand behind every point."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gndl.comparison import FEWEST_FOLDS
from gndl.paper import DATABASE_TITLES
from gndl.sensitivity import listed

FAR = 0.25
"""How far below all others' level a value may lie and still be drawn to scale, as a fraction."""


def far_below(table: pd.DataFrame, column: str) -> pd.Series:
    """Which rows of one database lie so far below the highest value of ``column`` that the axis does not reach them.

    The others would be a flat line otherwise. None where fewer than two would be left. The fixed value differs from
    itself by nothing.
    """
    values = table[column].mask(table["fixed"], 0.0) if column == "to_fixed_difference" else table[column]
    far = values < values.max() - FAR
    return far if int((~far & values.notna()).sum()) > 1 else far & False


def sensitivity_caption(table: pd.DataFrame) -> str:
    """Caption of :func:`gndl.figures.sensitivity_curves`, which can be read alone."""
    methods = ", ".join("GNDL" if name == "gndl" else str(name) for name in dict.fromkeys(table["method"]))
    fixed = table.loc[table["fixed"], "lam"]
    bands = (
        "Bands, cut off at 0 and 100 %: 95 % interval of that mean over folds, by Student's t with the variance "
        "enlarged for training samples that folds share (Nadeau and Bengio). Folds differ alike for all values, so "
        "values are compared pairwise"
    )
    sentences = [
        f"Accuracy of {methods} against λ (Eq. 11) on {_on(table)}",
        "Points: last epoch, mean over folds, seeds of a fold averaged first",
        *([bands] if table["low"].notna().any() else []),
        *(["Grey: the baseline on the same folds"] if (table["baseline_folds"] > 0).any() else []),
        *_behind_points(table),
        *_off_the_axis(table, "accuracy"),
    ]
    if len(fixed):
        sentences.append(f"λ = {fixed.iloc[0]:g} was fixed beforehand; only this value enters a table")
    sentences.append(_on_decreases(table))
    return ". ".join(sentence for sentence in sentences if sentence) + "."


def sensitivity_description(table: pd.DataFrame) -> str:
    """Say what :func:`gndl.figures.sensitivity_curves` shows, for those who cannot see it."""
    parts = []
    for (database, method), rows in table[table["folds"] > 0].groupby(["database", "method"], sort=False):
        points = [f"{100 * row['accuracy']:.1f} percent at λ = {row['lam']:g}" for row in rows.to_dict("records")]
        parts.append(f"{DATABASE_TITLES.get(str(database), str(database))}, {method}: {', '.join(points)}")
    return f"A curve of accuracy over λ on a logarithmic axis. {'. '.join(parts)}."


DIFFERENCES_DESCRIPTION = "Points with vertical lines, one for each value of λ, around a line at zero."


def differences_caption(table: pd.DataFrame) -> str:
    """Caption of :func:`gndl.figures.sensitivity_differences`, which can be read alone."""
    fixed = table.loc[table["fixed"], "lam"]
    against = f"λ = {fixed.iloc[0]:g}, which was fixed beforehand" if len(fixed) else "the value fixed beforehand"
    sentences = [
        f"Difference in accuracy between each value of λ and {against}, on {_on(table)}",
        "Points: mean over folds of the differences fold by fold. Lines: its 95 % interval, by Student's t with the "
        "variance enlarged for training samples that folds share (Nadeau and Bengio); a single fold has none",
        *_behind_points(table),
        *_off_the_axis(table, "to_fixed_difference"),
    ]
    return ". ".join(sentences) + "."


def from_csv(table: pd.DataFrame) -> pd.DataFrame:
    """Make the table of :func:`gndl.sensitivity.sensitivity_table` again from the CSV saved with a figure."""
    return table.assign(lam=table["lam"].astype(float), fold_numbers=table["fold_numbers"].fillna(""))


def _on(table: pd.DataFrame) -> str:
    names = [DATABASE_TITLES.get(str(name), str(name)) for name in dict.fromkeys(table["database"])]
    on = " and ".join(", ".join(names).rsplit(", ", 1))
    rendered = f" (rendered stand-in{'s' * (len(names) > 1)}: faces of nobody, not the database itself)"
    return on + (rendered if (table["source"] == "rendered").any() else "")


def _behind_points(table: pd.DataFrame) -> list[str]:
    """Sentences on the folds and runs behind the points, the usual case first and every exception by name."""
    sentences = []
    several = table["database"].nunique() > 1 or table["method"].nunique() > 1
    for (database, method), rows in table.groupby(["database", "method"], sort=False):
        name = f"{DATABASE_TITLES.get(str(database), str(database))}, {method}: " if several else ""
        full, part = rows[rows["state"] == "run"], rows[rows["state"] == "in part"]
        parts = []
        for (folds, numbers, runs), same in full.groupby(["folds", "fold_numbers", "runs"], sort=False):
            point = "each point" if len(same) == len(rows) else f"each of λ = {listed(same['lam'])}"
            behind = f"{_counted(folds, 'fold')} ({_numbers(str(numbers))}) and {_counted(runs, 'run')}"
            parts.append(f"{behind} stand behind {point}")
        for row in part.to_dict("records"):
            behind = f"{_counted(row['folds'], 'fold')} ({_numbers(row['fold_numbers'])})"
            parts.append(f"λ = {row['lam']:g} stands on {behind} and {_counted(row['runs'], 'run')} only")
        absent = rows[rows["state"] == "not run"]
        if len(absent):
            parts.append(f"not run: λ = {listed(absent['lam'])}")
        text = name + "; ".join(parts)
        sentences.append(text[:1].upper() + text[1:])
    return sentences


def _off_the_axis(table: pd.DataFrame, column: str) -> list[str]:
    if not any(far_below(rows, column).any() for _, rows in table.groupby("database")):
        return []
    return [
        f"Means more than {100 * FAR:.0f} points below the highest stand as numbers with an arrow at the lower edge"
    ]


def _counted(number: Any, thing: str) -> str:
    return f"{int(number)} {thing}{'s' * (number != 1)}"


def _numbers(folds: str) -> str:
    """Numbers of folds as text: ``"0 to 3"`` where they follow each other, else ``"0, 2, 3"``."""
    numbers = [int(word) for word in folds.split()[1:]]
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def _on_decreases(table: pd.DataFrame) -> str:
    few = [rows for _, rows in table.groupby("database") if rows["folds"].max() < FEWEST_FOLDS]
    rule = (
        "A triangle marks the first value of λ above that of the highest mean whose paired decrease is significant at "
        "5 % (corrected t-test, adjusted over the values after Holm; the reference is itself chosen on the test folds, "
        "which makes decreases look larger)"
    )
    absent = "No value above the highest mean is significantly lower (corrected t-test, 5 % after Holm)"
    none = f"Below {FEWEST_FOLDS} folds no test is made, so no decrease is marked"
    if len(few) == table["database"].nunique():
        return none
    return ". ".join([rule if table["decrease"].any() else absent, *([none] if few else [])])
