"""Deviation features in a plane: Fig. 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from gndl.figures.looks import measured_on
from gndl.figures.style import CLASS_COLOURS, ONE_COLUMN, add_note, new_figure, style
from gndl.paper import ABBREVIATIONS, figure_order

MAP_DESCRIPTION = (
    "A scatter plot without axes. Every sample is a square and an asterisk of its class's colour, joined by a line; "
    "where they coincide the asterisk stands in the square. Samples of a class mostly stand together."
)

ROOM = 0.05
"""Distance of a class's letters from every sample, as a share of the map."""


def deviation_map(table: pd.DataFrame, *, source: str, width: float = ONE_COLUMN) -> Figure:
    """Draw Fig. 8: every sample twice, as a square by its real neutral face and as an asterisk by the generated one.

    Parameters
    ----------
    table : DataFrame
        Of :func:`gndl.analysis.embedding.deviation_embedding`.
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    width : float
        In inches.
    """
    with style():
        figure = new_figure(width, width * 1.12 + 0.2)
        axes = figure.subplots()
        classes = _draw_pairs(axes, table)
        figure.legend(handles=_map_legend(classes, table), loc="outside upper center", ncols=4, columnspacing=1.0,
                      handletextpad=0.3)  # fmt: skip
        add_note(figure, source, "t-SNE: who is near whom; distances and sizes of clusters mean little")
    return figure


def map_caption(table: pd.DataFrame) -> str:
    """Caption of :func:`deviation_map`, which can be read alone; the table with ``source``."""
    first, samples = table.iloc[0], table["sample"].nunique()
    return (
        f"{measured_on(table)}: deviation features of the {samples} samples ({table['sequence'].nunique()} sequences, "
        f"{table['subject'].nunique()} subjects) of validation fold {first['fold']}, by t-SNE. Squares: F_exam minus "
        "the real neutral feature; asterisks: F_exam minus the generated one (Eq. 7). A line joins both of a sample, a "
        "ring marks a wrong answer, letters stand beside the middle of each class. That squares and asterisks lie "
        "together shows that the two neutral features are alike, not that either knows the person."
    )


def _draw_pairs(axes: Axes, table: pd.DataFrame) -> tuple[str, ...]:
    """Draw all samples; return the classes shown, in Fig. 6's order."""
    shown = set(table["truth"])
    classes = tuple(name for name in figure_order(tuple(dict.fromkeys(table["truth"]))) if name in shown)
    real = table[table["neutral"] == "real"].set_index("sample")
    generated = table[table["neutral"] == "generated"].set_index("sample").loc[real.index]
    axes.plot([real["x"], generated["x"]], [real["y"], generated["y"]], color="#555555", linewidth=0.4, alpha=0.6,
              zorder=1)  # fmt: skip
    area = float(np.clip(2000 / len(real), 9, 30))  # many samples stand close together
    for name in classes:
        own, colour = real["truth"] == name, _colour(name, classes)
        square: dict[str, Any] = {"marker": "s", "s": area, "facecolors": "none", "edgecolors": colour}
        axes.scatter(real.loc[own, "x"], real.loc[own, "y"], zorder=2, linewidths=0.6, **square)
        asterisk: dict[str, Any] = {"marker": (6, 2, 0), "s": 0.5 * area, "color": colour}
        axes.scatter(generated.loc[own, "x"], generated.loc[own, "y"], zorder=3, linewidths=0.6, **asterisk)
    wrong = generated[generated["predicted"] != generated["truth"]]
    axes.scatter(wrong["x"], wrong["y"], marker="o", s=2.2 * area, facecolors="none", edgecolors="#000000",
                 linewidths=0.6, zorder=4)  # fmt: skip
    axes.margins(0.08)
    for name, (x, y) in _label_places(table, classes).items():
        label = axes.text(x, y, ABBREVIATIONS.get(name, name[:2]), fontsize=7, fontweight="bold", color="#111111",
                          ha="center", va="center", zorder=5)  # fmt: skip
        label.set_path_effects([withStroke(linewidth=1.6, foreground="white")])
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color("#BBBBBB")
    return classes


def _label_places(points: pd.DataFrame, classes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Place each class's letters beside its middle asterisk, where there is room."""
    plane = points[["x", "y"]].to_numpy(float)
    size = np.maximum(np.ptp(plane, axis=0), 1e-9)
    directions = [np.array([np.cos(angle), np.sin(angle)]) for angle in np.arange(8) * np.pi / 4]
    steps = [reach * direction for reach in (0.055, 0.075, 0.1, 0.13) for direction in directions]
    low, high = (plane / size).min(axis=0) - 0.05, (plane / size).max(axis=0) + 0.05
    taken, places = plane / size, dict[str, NDArray[np.float64]]()
    for name in classes:
        own = plane[((points["truth"] == name) & (points["neutral"] == "generated")).to_numpy()] / size
        middle = own[np.abs(own[:, None] - own[None]).sum(axis=(1, 2)).argmin()]
        free = np.array([np.linalg.norm(taken - (middle + step), axis=1).min() for step in steps])
        free[[bool(((middle + step < low) | (middle + step > high)).any()) for step in steps]] = 0  # over the frame
        # The nearest place with room for two letters, else the roomiest.
        chosen = middle + steps[int(np.argmax(np.minimum(free, ROOM)))]
        places[name] = chosen * size
        taken = np.concatenate([taken, chosen[None]])
    return places


def _map_legend(classes: Sequence[str], table: pd.DataFrame) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=4.5, color=_colour(name, classes), label=name)
        for name in classes
    ]
    grey: dict[str, Any] = {"linestyle": "", "color": "#333333", "markeredgewidth": 0.7}
    handles += [
        Line2D([], [], marker="s", markersize=4.5, markerfacecolor="none", label="real neutral", **grey),
        Line2D([], [], marker=(6, 2, 0), markersize=5, label="generated", **grey),
    ]
    if (table["predicted"] != table["truth"]).any():
        handles.append(Line2D([], [], marker="o", markersize=7, markerfacecolor="none", label="wrong", **grey))
    return handles


def _colour(name: str, classes: Sequence[str]) -> str:
    return CLASS_COLOURS.get(name, f"C{list(classes).index(name)}")
