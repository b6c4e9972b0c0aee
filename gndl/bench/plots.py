"""Plots of benchmarks: ratios with their spread, and growth."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from gndl.figures.style import TWO_COLUMNS, new_figure, style

INK, GOAL = "#0072B2", "#D55E00"


def ratios(table: pd.DataFrame, title: str, unit: str, conditions: Sequence[str] = (), *, log: bool = False) -> Figure:
    """Draw the ratio of every way to its reference: a dot for the median, a line from least to largest repeat.

    Parameters
    ----------
    table : DataFrame
        Of :func:`gndl.bench.repeats.spread`.
    title : str
    unit : str
        Of the values written beside the dots.
    conditions : sequence of str
        Written before the way.
    log : bool
        Scale the axis logarithmically.
    """
    rows = table.iloc[::-1].to_dict("records")
    with style():
        figure = new_figure(TWO_COLUMNS, 0.9 + 0.24 * len(rows))
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            axes.plot([row["ratio_low"], row["ratio_high"]], [place, place], color=INK, linewidth=1.4)
            axes.plot([row["ratio"]], [place], "o", color=INK, markersize=4)
            if row["goal"] == row["goal"]:
                axes.plot([row["goal"]], [place], "|", color=GOAL, markersize=11, markeredgewidth=1.4)
            axes.annotate(
                f"{row['median']:.3g} {unit}",
                (1.005, place),
                xycoords=("axes fraction", "data"),
                fontsize=6.5,
                va="center",
            )
        axes.axvline(1, color="#7F7F7F", linewidth=0.7, linestyle="--")
        axes.set_yticks(range(len(rows)), [_label(row, conditions) for row in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(0, 1.03 * max(1.0, *(row["ratio_high"] for row in rows), *table["goal"].dropna()))
        against = ", ".join(dict.fromkeys(str(row["reference"]) for row in rows[::-1]))
        goal = "; orange: goal" if table["goal"].notna().any() else ""
        axes.set_xlabel(textwrap.fill(f"ratio to: {against}; dot: median, line: least to largest repeat{goal}", 110))
        axes.xaxis.label.set(ha="right", x=1.0)  # under long names of ways, where a centred one would be cut off
        axes.set_title(title, loc="left")
    return figure


def _label(row: Mapping[Any, Any], conditions: Sequence[str]) -> str:
    named = (f"{row[name]} {name}" if isinstance(row[name], int) else str(row[name]) for name in conditions)
    return ", ".join([*named, str(row["way"])])


def growth(table: pd.DataFrame, title: str) -> Figure:
    """Draw seconds of an epoch and resident memory against pairs, all logarithmic, a line for each way."""
    with style():
        figure = new_figure(TWO_COLUMNS, 2.5)
        panels = figure.subplots(1, 2)
        columns = (("seconds", "seconds of an epoch"), ("anonymous_mb", "resident memory, MB"))
        for axes, (column, label) in zip(panels, columns, strict=True):
            for way, own in table.groupby("way", sort=False):
                axes.errorbar(
                    own["pairs"],
                    own[column],
                    [own[column] - own[f"{column}_low"], own[f"{column}_high"] - own[column]],
                    marker="o",
                    markersize=3.5,
                    label=str(way),
                )
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("pairs")
            axes.set_ylabel(label)
        first = table.iloc[0]
        panels[0].plot(
            table["pairs"].unique(),
            first["seconds"] * table["pairs"].unique() / first["pairs"],
            color="#7F7F7F",
            linestyle="--",
            linewidth=0.7,
            label="linear",
        )
        panels[0].legend()
        figure.suptitle(title)
    return figure


def intervals(table: pd.DataFrame, title: str) -> Figure:
    """Draw paired differences of accuracy in points with their 95 % intervals, and the band of ± 1 point."""
    rows = table.iloc[::-1].to_dict("records")
    with style():
        figure = new_figure(TWO_COLUMNS, 0.9 + 0.24 * len(rows))
        axes = figure.add_subplot()
        axes.axvspan(-1, 1, color="#DDDDDD", linewidth=0)
        for place, row in enumerate(rows):
            axes.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.4)
            axes.plot([row["difference"]], [place], "o", color=INK, markersize=4)
        axes.axvline(0, color="#7F7F7F", linewidth=0.7, linestyle="--")
        axes.set_yticks(range(len(rows)), [str(row["way"]) for row in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(
            "accuracy minus that of the reference on the same folds, points; line: 95 % interval; grey: ± 1"
        )
        axes.set_title(title, loc="left")
    return figure
