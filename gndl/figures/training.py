"""What training gives: confusion matrices (Fig. 6), learning curves, and the balance of the folds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from gndl.analysis.variants import Variant
from gndl.figures.saving import save_figure
from gndl.figures.style import CLASS_COLOURS, METHOD_COLOURS, NARROW, TWO_COLUMNS, add_note, new_figure, style
from gndl.paper import ABBREVIATIONS, FIGURE_6_ORDER, figure_order


def confusion_matrices(counts: Mapping[str, pd.DataFrame], *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw Fig. 6: one row-normalised confusion matrix per title, with percent and counts in every cell.

    Parameters
    ----------
    counts : mapping of title to DataFrame
        Counts with true classes as rows and predicted classes as columns (`gndl.results.confusion_counts`).
    """
    columns = 1 if width < NARROW else min(len(counts), 2)
    rows = -(-len(counts) // columns)
    with style():
        figure = new_figure(width, rows * (width * 0.92 / columns if columns > 1 else width * 0.85) * 0.98 + 0.3)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(counts) :]:
            axes.remove()
        images = [draw_matrix(axes, *titled) for axes, titled in zip(grid.flat, counts.items(), strict=False)]
        bar = figure.colorbar(
            images[0], ax=list(grid.flat[: len(counts)]), fraction=0.03, pad=0.02, shrink=0.75, format="{x:.0%}"
        )
        bar.outline.set_linewidth(0.4)
        bar.set_label("share of the true class")
        shown = {str(name) for table in counts.values() for name in table.index}
        names = [name for name in FIGURE_6_ORDER if name in shown]
        # A blank that does not break keeps an abbreviation and its word on one line.
        add_note(figure, source, ", ".join(f"{ABBREVIATIONS[name]}\u00a0{name}" for name in names))
    return figure


def draw_matrix(axes: Axes, title: str, table: pd.DataFrame) -> AxesImage:
    """Draw one row-normalised confusion matrix of counts, true classes as rows, into ``axes``."""
    order = list(figure_order(tuple(str(name) for name in table.index)))
    values = table.loc[order, order].to_numpy(dtype=float)
    totals = values.sum(axis=1, keepdims=True)
    share = np.divide(values, totals, out=np.zeros_like(values), where=totals > 0)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in np.flatnonzero(totals[:, 0] == 0):
        axes.axhspan(row - 0.5, row + 0.5, color="#DDDDDD")
        axes.text(len(order) / 2 - 0.5, float(row), "no sample tested", ha="center", va="center", fontsize=6.2)
    axes.set_xticks(np.arange(len(order) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(order) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    for (row, column), fraction in np.ndenumerate(share):
        if values[row, column] > 0:
            axes.text(
                column,
                row,
                f"{100 * fraction:.0f}%\n{int(values[row, column])}",
                ha="center",
                va="center",
                fontsize=6.2 if len(order) <= 7 else 4.5,
                color="white" if fraction > 0.55 else "#222222",
                linespacing=0.95,
            )
    labels = [ABBREVIATIONS.get(name, name[:6]) for name in order]
    axes.set_xticks(range(len(order)), labels)
    axes.set_yticks(range(len(order)), labels)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted", ylabel="truth", title=title)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return image


def learning_curves(epochs: pd.DataFrame, *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw loss and accuracy against epochs: a thin line per fold, a thick one for their mean.

    Parameters
    ----------
    epochs : DataFrame
        Rows of every run's ``epochs.csv`` with ``method``, ``lam``, ``fold`` and ``seed`` (`gndl.results.read_epochs`).
    """
    panels = (
        ("loss", "training loss"),
        ("accuracy_train", "accuracy on training folds"),
        ("accuracy_test", "accuracy on the test fold"),
    )
    marker = "o" if epochs["epoch"].max() == 1 else ""  # a line of one epoch has no length
    with style():
        narrow = width < NARROW
        figure = new_figure(width, 5.4 if narrow else 2.3)
        grid = figure.subplots(len(panels), 1) if narrow else figure.subplots(1, len(panels))
        for axes, (column, label) in zip(grid, panels, strict=True):
            for number, ((method, lam), runs) in enumerate(epochs.groupby(["method", "lam"])):
                colour = METHOD_COLOURS.get(str(method), f"C{number + 1}")
                for _, run in runs.groupby(["fold", "seed"]):
                    axes.plot(run["epoch"], run[column], marker=marker, color=colour, alpha=0.25, linewidth=0.6)
                dash = (0, (4, 1.5)) if method == "baseline" else "-"  # to be told apart in grey too
                mean = runs.groupby("epoch")[column].mean()
                name = Variant(str(method), str(lam)).title
                named = f"{name} ({_counted(runs['fold'].nunique())})"
                axes.plot(mean.index, mean, marker=marker, color=colour, linestyle=dash, label=named)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_title(label)
            if column == "loss":
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, 1.02)
                axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=1 if narrow else len(labels))
        add_note(figure, source, "The test fold's curve is shown, never used to choose an epoch")
    return figure


def _counted(folds: int) -> str:
    return "one fold" if folds == 1 else f"mean of {folds} folds"


def fold_balance(table: pd.DataFrame, *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw how many pairs of each class every fold tests.

    Parameters
    ----------
    table : DataFrame
        One row per fold (index) and one column per class, counts of pairs. Classes are drawn in Fig. 6's order.
    """
    with style():
        figure = new_figure(width, 2.2)
        axes = figure.subplots()
        bottom = np.zeros(len(table))
        for number, name in enumerate(figure_order(tuple(str(name) for name in table.columns))):
            values = table[name].to_numpy(dtype=float)
            colour = CLASS_COLOURS.get(name, f"C{number}")
            letters = ABBREVIATIONS.get(name, "")
            axes.bar(table.index.astype(str), values, bottom=bottom, color=colour, label=f"{letters} {name}".strip(),
                     width=0.8, edgecolor="white", linewidth=0.5)  # fmt: skip
            _letters(axes, letters, values, bottom, least=0.06 * table.to_numpy(float).sum(axis=1).max())
            bottom += values
        axes.set_xlabel("fold")
        axes.set_ylabel("pairs tested")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside right upper", reverse=True)
        add_note(figure, source)
    return figure


def _letters(axes: Axes, letters: str, values: NDArray[Any], bottom: NDArray[Any], least: float) -> None:
    """Write a class's letters into its part of every bar that has room, for print without colour."""
    for place, (value, start) in enumerate(zip(values, bottom, strict=True)):
        if value >= least:
            axes.text(place, start + value / 2, letters, ha="center", va="center", fontsize=5.5, color="#111111")


def counts_table(counts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Write confusion matrices as one table: ``truth``, ``predicted``, ``count`` and ``panel``, the matrix's title."""
    panels = [
        table.rename_axis("truth")
        .reset_index()
        .melt("truth", var_name="predicted", value_name="count")
        .assign(panel=name)
        for name, table in counts.items()
    ]
    return pd.concat(panels, ignore_index=True)


def training_figures(
    counts: Mapping[str, pd.DataFrame], epochs: pd.DataFrame, source: str, folder: Path, width: float = TWO_COLUMNS
) -> tuple[Figure, Figure]:
    """Draw and save the confusion matrices (Fig. 6) and the learning curves of one database."""
    matrices = confusion_matrices(counts, source=source, width=width)
    curves = learning_curves(epochs, source=source, width=width)
    save_figure(matrices, folder, "confusion_matrices", counts_table(counts), source)
    save_figure(curves, folder, "learning_curves", epochs, source)
    return matrices, curves
