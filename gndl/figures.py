"""Results in, matplotlib figures out: one function per figure, and one that saves any of them for a manuscript.

Widths are acmart's: 3.33 in for one column, 7.0 in for two. A figure on rendered faces says so in words.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from gndl.files import written_aside
from gndl.paper import ABBREVIATIONS, FIGURE_6_ORDER, figure_order
from gndl.results import write_csv

ONE_COLUMN = 3.33
TWO_COLUMNS = 7.0

CLASS_COLOURS = {
    "anger": "#D55E00",
    "contempt": "#7F7F7F",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happiness": "#E69F00",
    "sadness": "#0072B2",
    "surprise": "#56B4E9",
}
"""Okabe and Ito's colour-blind-safe palette: a class has the same colour everywhere."""

METHOD_COLOURS = {"baseline": "#7F7F7F", "gndl": "#0072B2"}

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "figure.dpi": 120,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "gndl",
}

STAND_IN_NOTE = "rendered stand-in"


@contextmanager
def style() -> Iterator[None]:
    """Draw with the study's style inside the block, and leave the reader's own style as it was."""
    with mpl.rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches, outside pyplot so that nothing is shown twice or kept open."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine())


def add_note(figure: Figure, source: str, text: str = "") -> None:
    """Write under the figure what it was made from, in words that cannot be cut off."""
    note = f"{STAND_IN_NOTE}: rendered faces of nobody, not the database itself" if source == "rendered" else ""
    parts = [part for part in (note, text) if part]
    if parts:
        letters_a_line = int(19 * figure.get_figwidth())
        figure.supxlabel(textwrap.fill(". ".join(parts), letters_a_line), fontsize=6.5, color="#444444")


def save_figure(figure: Figure, folder: Path, name: str, data: pd.DataFrame, source: str) -> Path:
    """Write ``name`` as PDF (TrueType), SVG (text as paths), PNG (300 dpi) and the CSV behind it; return the PNG.

    Every row of the CSV says in ``source`` what kind of faces it comes from. Dates and random identifiers are left
    out, so that the same numbers give the same bytes.
    """
    metadata: dict[str, dict[str, None]] = {"pdf": {"CreationDate": None, "ModDate": None}, "svg": {"Date": None}}
    with style():
        for kind in ("pdf", "svg", "png"):
            with written_aside(folder / f"{name}.{kind}") as aside:
                figure.savefig(aside, format=kind, metadata=metadata.get(kind))
    write_csv(data.assign(source=source), folder / f"{name}.csv")
    return folder / f"{name}.png"


def _show_face(axes: Axes, face: np.ndarray) -> None:
    axes.imshow(face, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def face_grid(
    faces: Sequence[Sequence[np.ndarray | None]],
    *,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    source: str,
    title: str = "",
    width: float = TWO_COLUMNS,
    note: str = "",
) -> Figure:
    """Draw a table of faces, such as subjects × classes; ``None`` leaves a cell empty.

    Parameters
    ----------
    faces : rows of uint8 arrays (S, S) or (S, S, 3)
    row_labels, column_labels : texts beside the rows and above the columns
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    """
    rows, columns = len(faces), len(column_labels)
    with style():
        cell = (width - 0.7) / columns
        figure = new_figure(width, rows * cell + 0.55)
        figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02))
        grid = figure.subplots(rows, columns, squeeze=False)
        for row in range(rows):
            for column in range(columns):
                axes = grid[row, column]
                face = faces[row][column] if column < len(faces[row]) else None
                if face is None:
                    axes.axis("off")
                else:
                    _show_face(axes, face)
                if row == 0:
                    axes.set_title(column_labels[column], fontsize=7, pad=2)
                if column == 0 and row_labels:
                    axes.axis("on")
                    axes.set_xticks([])
                    axes.set_yticks([])
                    axes.set_ylabel(row_labels[row], rotation=0, ha="right", va="center", fontsize=7)
                    for spine in axes.spines.values():
                        spine.set_visible(False)
        if title:
            figure.suptitle(title, fontsize=8.5)
        add_note(figure, source, note)
    return figure


def confusion_matrices(counts: Mapping[str, pd.DataFrame], *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw Fig. 6: one row-normalised confusion matrix per title, with percent and counts in every cell.

    Parameters
    ----------
    counts : mapping of title to DataFrame
        Counts with true classes as rows and predicted classes as columns (`gndl.results.confusion_counts`).
    """
    columns = min(len(counts), 2)
    rows = -(-len(counts) // columns)
    with style():
        figure = new_figure(width, rows * (width * 0.92 / columns if columns > 1 else width * 0.85) * 0.98 + 0.3)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(counts) :]:
            axes.remove()
        images = [_draw_matrix(axes, *titled) for axes, titled in zip(grid.flat, counts.items(), strict=False)]
        bar = figure.colorbar(images[0], ax=grid, fraction=0.03, pad=0.02, shrink=0.75, format="{x:.0%}")
        bar.outline.set_linewidth(0.4)
        bar.set_label("share of the true class")
        shown = {str(name) for table in counts.values() for name in table.index}
        names = [name for name in FIGURE_6_ORDER if name in shown]
        add_note(figure, source, ", ".join(f"{ABBREVIATIONS[name]} {name}" for name in names))
    return figure


def _draw_matrix(axes: Axes, title: str, table: pd.DataFrame) -> AxesImage:
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
    with style():
        figure = new_figure(width, 2.3)
        grid = figure.subplots(1, len(panels))
        for axes, (column, label) in zip(grid, panels, strict=True):
            for number, ((method, lam), runs) in enumerate(epochs.groupby(["method", "lam"])):
                colour = METHOD_COLOURS.get(str(method), f"C{number + 1}")
                for _, run in runs.groupby(["fold", "seed"]):
                    axes.plot(run["epoch"], run[column], color=colour, alpha=0.25, linewidth=0.6)
                mean = runs.groupby("epoch")[column].mean()
                name = str(method) if lam == "none" else f"{method}, λ = {lam}"
                axes.plot(mean.index, mean, color=colour, label=f"{name} ({_counted(runs['fold'].nunique())})")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_title(label)
            if column == "loss":
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, 1.02)
                axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        add_note(figure, source, "The test fold's curve is shown, never used to choose an epoch")
    return figure


def _counted(folds: int) -> str:
    return "one fold" if folds == 1 else f"mean of {folds} folds"


def fold_balance(table: pd.DataFrame, *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw how many pairs of each class every fold tests.

    Parameters
    ----------
    table : DataFrame
        One row per fold (index) and one column per class, counts of pairs.
    """
    with style():
        figure = new_figure(width, 2.2)
        axes = figure.subplots()
        bottom = np.zeros(len(table))
        for number, name in enumerate(table.columns):
            values = table[name].to_numpy(dtype=float)
            colour = CLASS_COLOURS.get(str(name), f"C{number}")
            axes.bar(table.index.astype(str), values, bottom=bottom, color=colour, label=str(name), width=0.7)
            bottom += values
        axes.set_xlabel("fold")
        axes.set_ylabel("pairs tested")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside right upper")
        add_note(figure, source)
    return figure


def training_figures(
    counts: Mapping[str, pd.DataFrame], epochs: pd.DataFrame, source: str, folder: Path
) -> tuple[Figure, Figure]:
    """Draw and save the confusion matrices (Fig. 6) and the learning curves of one database."""
    matrices, curves = confusion_matrices(counts, source=source), learning_curves(epochs, source=source)
    panels = [
        table.rename_axis("truth")
        .reset_index()
        .melt("truth", var_name="predicted", value_name="count")
        .assign(panel=name)
        for name, table in counts.items()
    ]
    save_figure(matrices, folder, "confusion_matrices", pd.concat(panels, ignore_index=True), source)
    save_figure(curves, folder, "learning_curves", epochs, source)
    return matrices, curves
