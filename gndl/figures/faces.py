"""Tables of faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gndl.figures.style import TWO_COLUMNS, add_note, new_figure, style


def show_face(axes: Axes, face: np.ndarray) -> None:
    """Draw one face, grey or colour, without ticks and frame."""
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
        No row at all draws an empty figure with ``title`` and ``note``.
    row_labels, column_labels : texts beside the rows and above the columns
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    """
    rows, columns = len(faces), len(column_labels)
    with style():
        if not rows:
            return _nobody(title, source, note, width)
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
                    show_face(axes, face)
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


def _nobody(title: str, source: str, note: str, width: float) -> Figure:
    figure = new_figure(width, 0.8)
    axes = figure.subplots()
    axes.axis("off")
    axes.text(0.5, 0.5, "no face to be shown", ha="center", va="center", color="#777777", transform=axes.transAxes)
    if title:
        figure.suptitle(title, fontsize=8.5)
    add_note(figure, source, note)
    return figure
