"""Accuracy across databases as a square for each method: rows trained on, columns tested on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from gndl.analysis.variants import Variant
from gndl.figures.style import NARROW, ONE_COLUMN, TWO_COLUMNS, add_note, new_figure, style
from gndl.paper import DATABASE_TITLES
from gndl.tables.across import title_of

ACROSS_DESCRIPTION = (
    "One square of cells for each method, a row for each database trained on and a column for each tested on; darker "
    "cells have higher accuracy, and each has its number with an interval."
)


def across_databases(table: pd.DataFrame, *, width: float | None = None) -> Figure:
    """Draw one square per method; cells within a database, which come from its folds, have a frame.

    Parameters
    ----------
    table : DataFrame
        Of :func:`gndl.tables.across.cross_table`.
    width : float, optional
        In inches; default one column for one method, two for more.
    """
    methods = list(dict.fromkeys(zip(table["method"], table["lam"], strict=True)))
    rows, tested = list(dict.fromkeys(table["train_on"])), set(table["test_on"])
    # In the databases' own order, so that a study without runs within each database has its diagonal too, left blank.
    columns = [name for name in DATABASE_TITLES if name in tested]
    with style():
        width = width or (ONE_COLUMN if len(methods) == 1 else TWO_COLUMNS)
        stacked = width < NARROW
        figure = new_figure(width, (0.5 * len(rows) + 0.7) * (len(methods) if stacked else 1) + 0.5)
        shape = (len(methods), 1) if stacked else (1, len(methods))
        grid = figure.subplots(*shape, squeeze=False, sharex=stacked, sharey=True).ravel()
        image = None
        lowest = max(0.0, np.floor(10 * float(table["accuracy"].min())) / 10 - 0.2)
        for axes, (method, lam) in zip(grid, methods, strict=True):
            own = table[(table["method"] == method) & (table["lam"] == lam)]
            image = _square(axes, own, rows, columns, lowest)
            axes.set_title(Variant(method, lam).title)
        for axes in grid if stacked else grid[:1]:
            axes.set_yticks(range(len(rows)), [title_of(name) for name in rows])
            axes.set_ylabel("trained on")
        if image is not None:
            bar = figure.colorbar(image, ax=list(grid), shrink=0.5 if stacked else 0.9, label="accuracy, last epoch")
            bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        add_note(figure, str(table["source"].iloc[0]), "Framed: within one database, all folds. Small: 95 % intervals")
    return figure


def _square(axes: Axes, table: pd.DataFrame, rows: list[str], columns: list[str], lowest: float) -> AxesImage:
    values = np.full((len(rows), len(columns)), np.nan)
    for own in table.to_dict("records"):
        row, column = rows.index(own["train_on"]), columns.index(own["test_on"])
        values[row, column] = own["accuracy"]
        dark = (own["accuracy"] - lowest) / (1 - lowest) > 0.62
        interval = "" if pd.isna(own["low"]) else f"\n{100 * own['low']:.0f} to {100 * own['high']:.0f}"
        axes.text(
            column, row, f"{100 * own['accuracy']:.1f} %{interval}", ha="center", va="center", fontsize=6.5,
            color="white" if dark else "#222222",
        )  # fmt: skip
        if own["train_on"] == own["test_on"]:
            axes.add_patch(
                Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, fill=False, edgecolor="#D55E00", linewidth=1.2)
            )
    image = axes.imshow(values, cmap="Blues", vmin=lowest, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), [title_of(name) for name in columns])
    axes.set_xlabel("tested on")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.grid(visible=False)
    return image
