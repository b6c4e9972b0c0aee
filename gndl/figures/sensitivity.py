"""Accuracy against λ (Fig. 7): a curve with its band, the baseline on the same folds, and what stands behind both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from gndl.figures.looks import look
from gndl.figures.saving import save_figure
from gndl.figures.sensitivity_captions import (
    DIFFERENCES_DESCRIPTION,
    differences_caption,
    far_below,
    sensitivity_caption,
    sensitivity_description,
)
from gndl.figures.style import METHOD_COLOURS, ONE_COLUMN, TWO_COLUMNS, add_note, new_figure, style
from gndl.paper import DATABASE_TITLES

_MARK_COLOUR = "#D55E00"


BEYOND = 1.6
"""Factor by which the axis of λ goes on beyond the outermost values."""


def sensitivity_curves(table: pd.DataFrame, *, width: float | None = None) -> Figure:
    """Draw Fig. 7: one panel per database, one curve per method that uses λ, on a logarithmic axis.

    A band is the 95 % interval of a mean over folds. Values on fewer folds than the others are hollow, values that
    were not run have a grey label and no point; the curve is dotted across them.

    Parameters
    ----------
    table : DataFrame
        Of :func:`gndl.sensitivity.sensitivity_table`, of one database or of several one after the other.
    width : float, optional
        In inches; default one column for one database, two for more.
    """
    databases = list(dict.fromkeys(table["database"]))
    with style():
        width = width or (ONE_COLUMN if len(databases) == 1 else TWO_COLUMNS)
        figure = new_figure(width, 2.75 if len(databases) == 1 else 2.6)
        grid = figure.subplots(1, len(databases), squeeze=False)[0]
        for axes, database in zip(grid, databases, strict=True):
            _panel(axes, table[table["database"] == database], titled=len(databases) > 1)
        grid[0].set_ylabel("accuracy, last epoch")
        columns = 2 if width < 5 else 4
        figure.legend(handles=_legend(table), loc="outside upper center", ncols=columns, columnspacing=1.2)
        without = "A single fold: no bands" if table["folds"].any() else "Nothing was run yet"
        bands = table["low"].notna().any()
        add_note(figure, _source(table), "Bands: 95 % intervals over folds" if bands else without)
    return figure


def sensitivity_differences(table: pd.DataFrame, *, width: float | None = None) -> Figure:
    """Draw how far every value of λ differs from the one fixed beforehand, paired by fold, with 95 % intervals.

    Parameters
    ----------
    table, width
        As for :func:`sensitivity_curves`.
    """
    databases = list(dict.fromkeys(table["database"]))
    with style():
        width = width or (ONE_COLUMN if len(databases) == 1 else TWO_COLUMNS)
        figure = new_figure(width, 2.0)
        grid = figure.subplots(1, len(databases), squeeze=False)[0]
        for axes, database in zip(grid, databases, strict=True):
            _differences(axes, table[table["database"] == database], titled=len(databases) > 1)
        if table["method"].nunique() > 1:
            figure.legend(handles=_method_handles(table), loc="outside upper center", ncols=3)
        fixed = table.loc[table["fixed"], "lam"]
        grid[0].set_ylabel(f"points against λ = {fixed.iloc[0]:g}" if len(fixed) else "points")
        add_note(figure, _source(table), "Paired by fold; lines: 95 % intervals over folds")
    return figure


def sensitivity_figures(table: pd.DataFrame, folder: Path, width: float | None = None) -> tuple[Figure, Figure]:
    """Draw and save the curves (Fig. 7) and the differences of one database, each with its caption."""
    source = _source(table)
    curves, differences = sensitivity_curves(table, width=width), sensitivity_differences(table, width=width)
    data = table.drop(columns="source")  # which every CSV gets as its last column
    caption, description = sensitivity_caption(table), sensitivity_description(table)
    save_figure(curves, folder, "sensitivity", data, source, caption=caption, description=description)
    caption, description = differences_caption(table), DIFFERENCES_DESCRIPTION
    save_figure(differences, folder, "sensitivity_differences", data, source, caption=caption, description=description)
    return curves, differences


def _panel(axes: Axes, table: pd.DataFrame, *, titled: bool) -> None:
    lams = np.array(sorted(set(table["lam"])))
    places = _places(lams)
    at = dict(zip(lams.tolist(), places.tolist(), strict=True))
    axes.set_xscale("log")
    for number, (method, rows) in enumerate(table.groupby("method", sort=False)):
        x = rows["lam"].map(at).to_numpy(float)
        if number == 0:
            _baseline(axes, rows, x, places)
        _curve(axes, rows, x, *look(str(method), number))
    for lam in table.loc[table["fixed"], "lam"].unique():
        axes.axvline(at[lam], color="#222222", linewidth=0.7, linestyle=(0, (1, 2)), zorder=0.5)
    _axes(axes, table, lams, places)
    if titled:
        axes.set_title(_title(table))


def _differences(axes: Axes, table: pd.DataFrame, *, titled: bool) -> None:
    lams = np.array(sorted(set(table["lam"])))
    places = _places(lams)
    at = dict(zip(lams.tolist(), places.tolist(), strict=True))
    axes.set_xscale("log")
    axes.axhline(0, color="#222222", linewidth=0.6)
    for number, (method, rows) in enumerate(table.groupby("method", sort=False)):
        colour, marker = look(str(method), number)
        aside = 1.12 ** (number - (table["method"].nunique() - 1) / 2)  # side by side, not on top of each other
        for row in rows[rows["to_fixed_folds"] > 0].to_dict("records"):
            place = at[row["lam"]] * aside
            ends = [100 * row["to_fixed_low"], 100 * row["to_fixed_high"]]
            axes.plot([place, place], ends, color=colour, linewidth=1.0)
            axes.plot(place, 100 * row["to_fixed_difference"], marker, color=colour, markersize=4)
    for lam in table.loc[table["fixed"] & (table["folds"] > 0), "lam"].unique():
        axes.plot(at[lam], 0, "D", color="#222222", markersize=3.5)
    _lam_axis(axes, table, lams, places)
    far = far_below(table, "to_fixed_difference")
    shown = 100 * table.loc[~far, ["to_fixed_difference", "to_fixed_low", "to_fixed_high"]].to_numpy(float)
    shown = np.array([-1.0, 1.0, *shown[~np.isnan(shown)]])
    room = 0.06 * (shown.max() - shown.min())
    axes.set_ylim(shown.min() - room * (4 if far.any() else 1), shown.max() + room)
    _strip(axes, table, far, at, "to_fixed_difference", "{:+.0f} ↓", top=shown.min() - 0.7 * room)
    if titled:
        axes.set_title(_title(table))


def _source(table: pd.DataFrame) -> str:
    return "rendered" if (table["source"] == "rendered").any() else str(table["source"].iloc[0])


def _title(table: pd.DataFrame) -> str:
    name = str(table["database"].iloc[0])
    return DATABASE_TITLES.get(name, name) + (" stand-in" if _source(table) == "rendered" else "")


def _places(lams: np.ndarray) -> np.ndarray:
    """Where values of λ stand on the axis; 0 has no logarithm and stands a third of the smallest to the left."""
    positive = lams[lams > 0]
    return np.where(lams > 0, lams, (positive.min() if len(positive) else 1.0) / 3)


def _baseline(axes: Axes, rows: pd.DataFrame, x: np.ndarray, places: np.ndarray) -> None:
    """The baseline on the folds of each point: a flat line where all points stand on the same folds."""
    there = rows["baseline_folds"].to_numpy(int) > 0
    if not there.any():
        return
    values = np.clip(rows[["baseline_accuracy", "baseline_low", "baseline_high"]].to_numpy(float)[there], 0, 1)
    ends = np.array([places.min() / BEYOND, *x[there], places.max() * BEYOND])
    mean, low, high = np.vstack([values[:1], values, values[-1:]]).T
    axes.plot(ends, mean, color=METHOD_COLOURS["baseline"], linewidth=1.0, linestyle="--", zorder=1.5)
    axes.fill_between(ends, low, high, color=METHOD_COLOURS["baseline"], alpha=0.16, linewidth=0, zorder=1)


def _curve(axes: Axes, rows: pd.DataFrame, x: np.ndarray, colour: str, marker: str) -> None:
    there = rows["folds"].to_numpy(int) > 0
    mean = rows["accuracy"].to_numpy(float)
    low, high = np.clip(rows[["low", "high"]].to_numpy(float), 0, 1).T
    axes.plot(x[there], mean[there], color=colour, linewidth=0.7, linestyle=":", zorder=2)
    axes.plot(x, mean, color=colour, linewidth=1.3, zorder=2.5)
    axes.fill_between(x[there], low[there], high[there], color=colour, alpha=0.18, linewidth=0, zorder=1.2)
    axes.errorbar(x[there], mean[there], np.abs(np.array([mean - low, high - mean]))[:, there], fmt="none",
                  ecolor=colour, elinewidth=0.5, alpha=0.7, zorder=2)  # fmt: skip
    for place, row in zip(x, rows.to_dict("records"), strict=True):
        if row["folds"]:
            face = colour if row["state"] == "run" else "white"
            axes.plot(place, row["accuracy"], marker, color=colour, markerfacecolor=face, markersize=4, zorder=3)
        if row["best"]:
            axes.plot(place, row["accuracy"], "o", color=colour, markerfacecolor="none", markersize=8.5, zorder=3,
                      clip_on=False)  # fmt: skip
        if row["decrease"]:
            axes.annotate("▼", (place, row["accuracy"]), (0, 4), textcoords="offset points", ha="center", va="bottom",
                          color=_MARK_COLOUR, fontsize=7, zorder=4)  # fmt: skip


def _lam_axis(axes: Axes, table: pd.DataFrame, lams: np.ndarray, places: np.ndarray) -> None:
    run = set(table.loc[table["folds"] > 0, "lam"])
    axes.set_xlim(places.min() / BEYOND, places.max() * BEYOND)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(places, [f"{lam:g}" for lam in lams])
    for label, lam in zip(axes.get_xticklabels(), lams.tolist(), strict=True):
        label.set_color("#222222" if lam in run else "#AAAAAA")
    axes.set_xlabel("λ (grey: not run)" if len(run) < len(lams) else "λ")
    axes.grid(axis="y", linewidth=0.3, color="#DDDDDD")
    axes.set_axisbelow(True)


def _strip(
    axes: Axes, table: pd.DataFrame, far: pd.Series, at: dict[float, float], column: str, form: str, *, top: float
) -> None:
    """Write the values that lie below the axis into a strip of its own under ``top``, each in its method's colour."""
    if not far.any():
        return
    lowest, highest = axes.get_ylim()
    axes.axhspan(lowest, top, facecolor="white", edgecolor="none", zorder=3.4)  # curves end where the strip begins
    axes.axhline(top, color="#AAAAAA", linewidth=0.5, linestyle=(0, (2, 2)), zorder=3.5)
    axes.set_yticks([tick for tick in axes.get_yticks() if top <= tick <= highest])
    axes.set_ylim(lowest, highest)
    methods, rows = list(dict.fromkeys(table["method"])), table[far]
    for number, (lam, method, value) in enumerate(zip(rows["lam"], rows["method"], rows[column], strict=True)):
        colour, _ = look(str(method), methods.index(method))
        above = 2 + 7 * sum(lam == other for other in rows["lam"].iloc[:number])  # methods on top of each other
        text = form.format(100 * value).replace("-", "−")
        axes.annotate(text, (at[lam], lowest), (0, above), textcoords="offset points", ha="center", va="bottom",
                      color=colour, fontsize=6.5, zorder=4)  # fmt: skip


def _axes(axes: Axes, table: pd.DataFrame, lams: np.ndarray, places: np.ndarray) -> None:
    _lam_axis(axes, table, lams, places)
    far = far_below(table, "accuracy")
    columns = ["accuracy", "low", "high", "baseline_accuracy", "baseline_low", "baseline_high"]
    shown = table.loc[~far, columns].to_numpy(float)
    shown = np.clip(shown[~np.isnan(shown)], 0, 1)
    low, high = (shown.min(), shown.max()) if len(shown) else (0.0, 1.0)
    room = max(0.06 * (high - low), 0.01)
    methods = max(1, table["method"].nunique()) if far.any() else 0
    axes.set_ylim(max(low - room * (1 + 2.4 * methods), -0.02 - 0.1 * methods), min(high + room, 1.02))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))  # no ticks that whole percents misquote
    at = dict(zip(lams.tolist(), places.tolist(), strict=True))
    _strip(axes, table, far, at, "accuracy", "{:.0f}% ↓", top=low - 0.5 * room)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if high - low > 0.04 else 1))


def _method_handles(table: pd.DataFrame) -> list[Line2D]:
    handles = []
    for number, method in enumerate(dict.fromkeys(table["method"])):
        colour, marker = look(str(method), number)
        label = "GNDL" if method == "gndl" else str(method)
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, label=label))
    return handles


def _legend(table: pd.DataFrame) -> list[Line2D]:
    handles = _method_handles(table)
    if (table["baseline_folds"] > 0).any():
        grey = METHOD_COLOURS["baseline"]
        handles.append(Line2D([], [], color=grey, linestyle="--", label="baseline, same folds"))
    if table["fixed"].any():
        label = f"λ = {table.loc[table['fixed'], 'lam'].iloc[0]:g}, fixed beforehand"
        handles.append(Line2D([], [], color="#222222", linewidth=0.7, linestyle=(0, (1, 2)), label=label))
    ring: dict[str, Any] = {"color": "none", "markeredgecolor": "#444444", "markerfacecolor": "none"}
    if table["best"].any():
        handles.append(Line2D([], [], marker="o", markersize=7, label="highest mean (chosen on test)", **ring))
    if (table["state"] == "in part").any():
        handles.append(Line2D([], [], marker="o", markersize=4, label="on fewer folds", **ring))
    if table["decrease"].any():
        mark = Line2D([], [], color="none", marker="v", markersize=6, markerfacecolor=_MARK_COLOUR)
        mark.set(label="first significant decrease", markeredgecolor=_MARK_COLOUR)
        handles.append(mark)
    return handles
