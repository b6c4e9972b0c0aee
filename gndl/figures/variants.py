"""Ablations and finer grains: how far each variant differs from GNDL, paired by fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gndl.figures.style import METHOD_COLOURS, NARROW, ONE_COLUMN, TWO_COLUMNS, add_note, new_figure, style
from gndl.paper import DATABASE_TITLES

OWN, APART = "#D55E00", "#009E73"
LOWEST = -0.30
"""Differences below this one are numbers with an arrow at the left edge, for they would flatten all others."""

VARIANTS_DESCRIPTION = (
    "One panel for each database and one row for each method: a dot at its difference from GNDL in percentage points, "
    "with a horizontal interval, and a vertical line at zero for GNDL."
)


def far_below(table: pd.DataFrame) -> str:
    """What the caption adds where a method, or an end of its interval, lies beyond the axis; empty where none does."""
    text = ""
    if (table["to_gndl_difference"] < LOWEST).any():
        text += (
            f" Methods more than {-100 * LOWEST:.0f} points below GNDL stand as numbers with an arrow at the left edge."
        )
    if any(_is_cut(row) for row in table.to_dict("records")):
        text += " Intervals that go on beyond the axis end in an arrow."
    return text


def _is_cut(row: Mapping[Any, Any]) -> bool:
    """Whether a row has its dot on the axis and an end of its interval beyond it."""
    return bool(row["to_gndl_difference"] >= LOWEST and row["to_gndl_low"] < LOWEST)


def variant_differences(table: pd.DataFrame, *, width: float | None = None) -> Figure:
    """Draw one panel per database and one row per method, GNDL at zero.

    Methods that are given the neutral face at test are squares below a line; the baseline is grey. A difference beyond
    `LOWEST` is a number at the left edge, an interval that goes on beyond it ends in an arrow there.

    Parameters
    ----------
    table : DataFrame
        Of :func:`gndl.tables.variants.variant_table`, of one group.
    width : float, optional
        In inches; default one column for one database, two for more.
    """
    databases = list(dict.fromkeys(table["database"]))
    methods = list(dict.fromkeys(table["method"]))
    apart = set(table.loc[table["needs_neutral_at_test"].astype(bool), "method"])
    with style():
        width = width or (ONE_COLUMN if len(databases) == 1 else TWO_COLUMNS)
        stacked = width < NARROW
        figure = new_figure(width, (0.19 * len(methods) + 0.45) * (len(databases) if stacked else 1) + 0.5)
        shape = (len(databases), 1) if stacked else (1, len(databases))
        grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, database in zip(grid, databases, strict=True):
            _panel(axes, table[table["database"] == database], methods, apart)
            axes.set_title(DATABASE_TITLES[database])
        for axes in grid if stacked else grid[:1]:
            axes.set_yticks(range(len(methods)), methods)
        grid[0].set_ylim(len(methods) - 0.4, -0.6)
        figure.legend(handles=_legend(apart), loc="outside upper center", ncols=2 if stacked else 4)
        _limit(grid[0], table)
        folds = sorted(set(table["folds"]))
        lines = (
            "Lines: 95 % intervals over folds" if table["to_gndl_low"].notna().any() else "A single fold: no intervals"
        )
        counts = f"{folds[0]}" if len(folds) == 1 else f"{folds[0]} to {folds[-1]}"
        if table["seeds"].max() > 1:
            counts += ", their seeds averaged first"
        add_note(figure, str(table["source"].iloc[0]), f"{lines}. Folds: {counts}")
    return figure


def _limit(axes: Axes, table: pd.DataFrame) -> None:
    """End the axis, which all panels share, a little beyond the outermost interval, and at `LOWEST` at the latest."""
    shown = table[~(table["to_gndl_difference"] < LOWEST)]
    ends = shown[["to_gndl_difference", "to_gndl_low", "to_gndl_high"]].to_numpy(float)
    lowest, highest = np.nanmin(ends, initial=-0.01), np.nanmax(ends, initial=0.01)
    space = 0.04 * (highest - lowest)
    axes.set_xlim(100 * max(lowest - space, LOWEST), 100 * (highest + space))


def _panel(axes: Axes, table: pd.DataFrame, methods: list[str], apart: set[str]) -> None:
    axes.axvline(0, color=METHOD_COLOURS["gndl"], linewidth=0.9, zorder=1)
    edge = ("axes fraction", "data")
    for row in table.to_dict("records"):
        place = methods.index(row["method"])
        if row["method"] == "gndl":
            axes.plot(0, place, "D", color=METHOD_COLOURS["gndl"], markersize=4, zorder=3)
            continue
        if pd.isna(row["to_gndl_difference"]):
            continue
        if row["to_gndl_difference"] < LOWEST:
            text = f"◂ {100 * row['to_gndl_difference']:.0f}".replace("-", "−")
            axes.annotate(text, (0.02, place), xycoords=edge, va="center", fontsize=6.5, color=OWN)
            continue
        colour = APART if row["method"] in apart else METHOD_COLOURS.get(row["method"], OWN)
        if not pd.isna(row["to_gndl_low"]):
            ends = [100 * row["to_gndl_low"], 100 * row["to_gndl_high"]]
            axes.plot(ends, [place, place], "-", color=colour, linewidth=1.1, zorder=2)
        if _is_cut(row):  # without a mark the interval would seem to end where the axis does
            axes.annotate("◂", (0, place), xycoords=edge, ha="left", va="center", fontsize=6.5, color=colour)
        marker = "s" if row["method"] in apart else "o"
        axes.plot(100 * row["to_gndl_difference"], place, marker, color=colour, markersize=4, zorder=3)
    if apart:
        axes.axhline(len(methods) - len(apart) - 0.5, color="#222222", linewidth=0.6, linestyle=(0, (3, 2)))
    axes.set_xlabel("points against GNDL")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def _legend(apart: set[str]) -> list[Line2D]:
    def mark(label: str, marker: str, colour: str) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=4, label=label)

    handles = [
        mark("GNDL", "D", METHOD_COLOURS["gndl"]),
        mark("baseline", "o", METHOD_COLOURS["baseline"]),
        mark("one part changed", "o", OWN),
    ]
    return [*handles, mark("neutral face at test", "s", APART)] if apart else handles
