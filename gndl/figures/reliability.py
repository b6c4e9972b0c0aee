"""The reliability diagram: accuracy against confidence, with how often each confidence comes about."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from gndl.analysis.variants import Variant
from gndl.figures.looks import look, measured_on
from gndl.figures.style import NARROW, TWO_COLUMNS, add_note, new_figure, style

RELIABILITY_DESCRIPTION = (
    "For each method a plot of accuracy against confidence with a diagonal, over a histogram of the confidences."
)


def reliability_diagrams(table: pd.DataFrame, *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw one reliability diagram per method, three in a row at most, each over a histogram of its confidences.

    Parameters
    ----------
    table : DataFrame
        Rows of `gndl.analysis.reliability.reliability_table`.
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    """
    variants = list(table.groupby(["method", "lam"], sort=False))
    columns = 2 if width < NARROW else min(max(len(variants), 2), 3)
    rows = -(-len(variants) // columns)
    with style():
        figure = new_figure(width, rows * (min(1.05 * width / columns, 2.7) + 0.35) + 0.25)
        parts = np.atleast_2d(figure.subfigures(rows, columns, squeeze=False))
        for number, (part, ((method, lam), own)) in enumerate(zip(parts.flat, variants, strict=False)):
            upper, lower = part.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
            _diagram(upper, own, *look(str(method), number))
            _histogram(lower, own, look(str(method), number)[0])
            between = "\n" if width < NARROW else " "
            error = f"calibration error{between}{100 * own['error'].iloc[0]:.1f} points"
            upper.set_title(f"{Variant(str(method), str(lam)).title}\n{error}")
        add_note(figure, source, _note(table))
    return figure


def reliability_caption(table: pd.DataFrame) -> str:
    """Caption of :func:`reliability_diagrams`, which can be read alone; the table with ``database`` and ``source``."""
    parts = []
    for (method, lam), own in table.groupby(["method", "lam"], sort=False):
        first = own.iloc[0]
        parts.append(
            f"{Variant(str(method), str(lam)).title}: mean confidence {100 * first['mean_confidence']:.1f} %, accuracy "
            f"{100 * first['mean_accuracy']:.1f} %, calibration error {100 * first['error']:.1f} points"
        )
    return (
        f"{measured_on(table)}: accuracy of the answers given with each confidence (probability of the predicted "
        "class), pooled over folds; below, how many answers there are. On the diagonal a confidence can be believed, "
        "below it a method is too sure; pale bars show how far off it is. Lines through points: 95 % intervals over "
        f"subjects, where a bin has at least five. {'. '.join(parts)}."
    )


def _diagram(axes: Axes, own: pd.DataFrame, colour: str, marker: str) -> None:
    there = own[own["count"] > 0]
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for row in there.to_dict("records"):
        place = [row["confidence"]] * 2
        axes.plot(place, [row["confidence"], row["accuracy"]], color=colour, linewidth=3.5, alpha=0.25, zorder=2)
        if np.isfinite(row["accuracy_low"]):
            axes.plot(place, [row["accuracy_low"], row["accuracy_high"]], color=colour, linewidth=0.9, zorder=3)
    axes.plot(there["confidence"], there["accuracy"], marker, color=colour, markersize=4.5, zorder=4, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_yticks(np.linspace(0, 1, 6))


def _histogram(axes: Axes, own: pd.DataFrame, colour: str) -> None:
    width = (own["high"] - own["low"]).to_numpy()
    axes.bar(own["low"], own["count"], width=width, align="edge", color=colour, edgecolor="white", linewidth=0.6)
    axes.set(xlabel="confidence", ylabel="frames")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_locator(MaxNLocator(2, integer=True))


def _note(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    folds, subjects = int(first["folds"]), int(first["tested_subjects"])
    return (
        f"{int(first['frames'])} frames of {subjects} subject{'' if subjects == 1 else 's'}, {folds} "
        f"fold{'' if folds == 1 else 's'}. Thin lines: 95 % over subjects"
    )
