"""Paired differences of methods from a reference: a dot per fold, a dot per subject."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gndl.analysis.variants import Variant
from gndl.figures.looks import measured_on
from gndl.figures.style import NARROW, TWO_COLUMNS, add_note, new_figure, style

PAIRED_DESCRIPTION = (
    "Dots above and below a zero line, one for each fold on the left and for each subject on the right."
)
BETTER, WORSE, EQUAL = "#0072B2", "#D55E00", "#7F7F7F"
NOTHING = 1e-9


def paired_dots(table: pd.DataFrame, *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw one row per variant: left a dot per fold, right a dot per subject from the worst to the best.

    Dots above the line are better than the reference and point up, dots below are worse and point down.

    Parameters
    ----------
    table : DataFrame
        Of `gndl.analysis.paired.PairedDifferences.table`.
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    """
    variants = list(table.groupby(["method", "lam"], sort=False))
    reference = _reference(table).title
    with style():
        narrow, rows = width < NARROW, len(variants)
        figure = new_figure(width, (3.3 if narrow else 1.75) * rows + 0.45)
        if narrow:
            grid = figure.subplots(2 * rows, 1, squeeze=False).reshape(rows, 2)
        else:
            grid = figure.subplots(rows, 2, squeeze=False, width_ratios=(1, 1.9))
        for (left, right), ((method, lam), own) in zip(grid, variants, strict=True):
            folds, subjects = own[own["per"] == "fold"], own[own["per"] == "subject"]
            _dots(left, folds["fold"].astype(int).astype(str).tolist(), folds["difference"].to_numpy(float))
            in_order = np.sort(subjects["difference"].to_numpy(float))
            _dots(right, [""] * len(in_order), in_order)
            left.set_ylabel(f"{Variant(str(method), str(lam)).title}\nminus {reference}, points")
            left.set_title(f"{len(folds)} fold{'' if len(folds) == 1 else 's'}: {_counts(folds)}")
            right.set_title(f"{len(subjects)} subject{'' if len(subjects) == 1 else 's'}: {_counts(subjects)}")
        grid[-1][0].set_xlabel("fold")
        grid[-1][1].set_xlabel("subjects, from worst to best")
        add_note(figure, source, "Folds: frames; dashed: mean. Subjects: sequences, one vote each")
    return figure


def paired_caption(table: pd.DataFrame) -> str:
    """Caption of :func:`paired_dots`, which can be read alone; the table with ``database`` and ``source``."""
    reference = _reference(table).in_a_sentence
    names = ", ".join(
        Variant(str(method), str(lam)).title for method, lam in table[["method", "lam"]].drop_duplicates().values
    )
    return (
        f"{measured_on(table)}: paired differences of {names} from {reference} on the same test folds. Left: last "
        "epoch's accuracy of each fold, and their mean as a line. Right: share of each subject's sequences that are "
        "right, one vote a sequence, subjects sorted. Triangles up are better than the reference, triangles down "
        "worse, grey circles equal."
    )


def _reference(table: pd.DataFrame) -> Variant:
    return Variant(str(table["reference_method"].iloc[0]), str(table["reference_lam"].iloc[0]))


def _dots(axes: Axes, labels: list[str], values: np.ndarray) -> None:
    axes.axhline(0, color="#222222", linewidth=0.6, zorder=1)
    points = 100 * values
    for chosen, marker, colour in (
        (values > NOTHING, "^", BETTER),
        (values < -NOTHING, "v", WORSE),
        (np.abs(values) <= NOTHING, "o", EQUAL),
    ):
        places = np.flatnonzero(chosen)
        axes.vlines(places, 0, points[chosen], color=colour, linewidth=0.6, alpha=0.6, zorder=2)
        axes.plot(places, points[chosen], marker, color=colour, markersize=4 if len(values) <= 40 else 3, zorder=3)
    reach = max(float(np.abs(points).max(initial=0)), 1.0) * 1.15
    axes.set_ylim(-reach, reach)
    edge = max(0.6, 0.015 * len(values))  # room for the outermost arrows
    axes.set_xlim(-edge, max(len(values), 1) - 1 + edge)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if any(labels):
        axes.axhline(float(points.mean()), color="#222222", linewidth=0.9, linestyle=(0, (3, 2)), zorder=1.5)
        axes.set_xticks(range(len(labels)), labels)
    else:
        axes.set_xticks([])


def _counts(rows: pd.DataFrame) -> str:
    values = rows["difference"].to_numpy(float)
    better, worse = int((values > NOTHING).sum()), int((values < -NOTHING).sum())
    return f"{better} better, {worse} worse, {len(values) - better - worse} equal"
