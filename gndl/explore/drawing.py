"""Drawings that the explorers share: bars of probabilities, marked faces, and a figure as bytes for a widget."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure

from gndl.explore.opened_fold import Array, OpenedFold
from gndl.explore.svg import METHOD_TITLES
from gndl.figures import CLASS_COLOURS, METHOD_COLOURS, show_face, style
from gndl.paper import figure_order

DOTS_PER_INCH = 180
SCREEN_WIDTH = "840px"
"""Of a figure of two columns on the screen: 120 pixels an inch, so that its small print can be read."""
RIGHT, WRONG, OWN = "#0072B2", "#D55E00", "#0072B2"
INK, OTHER = "#222222", "#999999"


def probability_bars(
    axes: Axes, probabilities: Mapping[str, Array], expressions: tuple[str, ...], truth: str = ""
) -> None:
    """Draw each class's probability by every method, side by side; the true class in bold with a band behind it.

    Parameters
    ----------
    axes : Axes
    probabilities : mapping of method to array (K,)
    expressions : tuple of K str
        In the order of the probabilities; they are drawn in Fig. 6's.
    truth : str
        The true class; "" where nobody knows it.
    """
    order = figure_order(expressions)
    columns = [expressions.index(name) for name in order]
    thick = 0.8 / max(len(probabilities), 1)
    for k, (method, values) in enumerate(probabilities.items()):
        places = np.arange(len(order)) + (k - (len(probabilities) - 1) / 2) * thick
        colour = METHOD_COLOURS.get(method, OTHER)
        axes.barh(places, values[columns], thick, color=colour, label=METHOD_TITLES.get(method, method))
        for place, value in zip(places, values[columns], strict=True):
            if value >= 0.005:
                axes.text(value + 0.012, place, f"{100 * value:.0f} %", va="center", fontsize=6, color="#444")
    axes.set_yticks(np.arange(len(order)), order)
    for label, name in zip(axes.get_yticklabels(), order, strict=True):
        label.set_fontweight("bold" if name == truth else "normal")
    if truth in order:
        axes.axhspan(order.index(truth) - 0.5, order.index(truth) + 0.5, color="#F1EFE6", zorder=0, linewidth=0)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("probability")
    legend_above(axes)


def legend_above(axes: Axes) -> None:
    """Put the legend in one row above the axes, flush with their right end, where nothing is drawn."""
    columns = len(axes.get_legend_handles_labels()[0])
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=1.0,
        fontsize=6.5,
    )


def side_by_side(whole: FigureBase, *widths: float) -> list[SubFigure]:
    """Divide a figure or a part of one into columns of these relative widths."""
    return list(np.asarray(whole.subfigures(1, len(widths), width_ratios=widths)))


def stacked(whole: FigureBase, *heights: float) -> list[SubFigure]:
    """Divide a figure or a part of one into rows of these relative heights."""
    return list(np.asarray(whole.subfigures(len(heights), 1, height_ratios=heights)))


def titled_face(axes: Axes, face: np.ndarray, title: str, *, frame: str = "", bold: bool = False) -> None:
    """Draw one face with a title above it and, where ``frame`` names a colour, a frame around it."""
    show_face(axes, face)
    axes.set_title(title, fontsize=6.5, pad=3, fontweight="bold" if bold else "normal", linespacing=1.1)
    if frame:
        for spine in axes.spines.values():
            spine.set(visible=True, color=frame, linewidth=2.2)


def say_below(axes: Axes, lines: list[tuple[str, str]]) -> None:
    """Write lines, each of a text and its colour, below a face."""
    for k, (text, colour) in enumerate(lines):
        place = (0.5, -0.05 - 0.155 * k)
        axes.text(*place, text, transform=axes.transAxes, ha="center", va="top", fontsize=6, color=colour)


def predictions_in_words(opened: OpenedFold, place: int) -> list[tuple[str, str]]:
    """What each method makes of one sample, right ones in blue with ✓ and wrong ones in red with ✗."""
    truth = opened.expressions[opened.labels[place]]
    lines = []
    for method in opened.probabilities:
        said = opened.predicted(method, place)
        mark, colour = ("✓", RIGHT) if said == truth else ("✗", WRONG)
        lines.append((f"{METHOD_TITLES.get(method, method)}: {said} {mark}", colour))
    return lines


def class_colour(expression: str) -> str:
    """The colour that a class has everywhere."""
    return CLASS_COLOURS.get(expression, OTHER)


def as_png(figure: Figure) -> bytes:
    """The figure as an image widget takes it."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
    return file.getvalue()
