"""The map of a fold's deviation features: where each face lies in the plane, and who is near it in all channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from gndl.analysis.embedding import deviation_embedding
from gndl.errors import GndlError
from gndl.explore.drawing import (
    INK,
    class_colour,
    probability_bars,
    side_by_side,
    stacked,
    titled_face,
)
from gndl.explore.opened_fold import Array, OpenedFold
from gndl.figures import TWO_COLUMNS, add_note, new_figure, style
from gndl.paper import DATABASE_TITLES, figure_order

COMPONENTS, T_SNE = "main components", "t-SNE (Fig. 8)"
"""Layouts of the map."""
NEIGHBOURS_STAY = "t-SNE keeps neighbours together; distances and sizes of clusters mean little"
NEIGHBOURS = 5
POINTS_SHOWN = 300
"""Above this, one frame of each sequence is shown, for three frames of a sequence are near copies."""


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Deviation features of one validation fold in a plane.

    Parameters
    ----------
    opened : OpenedFold
    points : array (T, 2)
        Of F_exam − G(F_exam), Eq. 7: what is classified.
    real : array (T, 2)
        Of F_exam − F_neu in the same plane: the deviation from the real neutral face.
    shown : tuple of int
        The samples that have a point of their own.
    words : str
        What the plane is and what it leaves out.
    """

    opened: OpenedFold
    points: Array
    real: Array
    shown: tuple[int, ...]
    words: str

    def nearest(self, place: int) -> tuple[int, ...]:
        """The samples nearest to one, in all channels, the last frame of each of the other sequences only."""
        features = self.opened.features
        assert features is not None and features.deviation is not None
        distance = np.linalg.norm(features.deviation - features.deviation[place], axis=1)
        others = [k for k in last_frames(self.opened) if features.sequence[k] != features.sequence[place]]
        return tuple(sorted(others, key=lambda k: (distance[k], k))[:NEIGHBOURS])

    def in_words(self) -> str:
        """What the plane is, and that neighbours are not read off it."""
        return f"{self.words}; nearness is measured in all channels."


def feature_map(opened: OpenedFold, layout: str = COMPONENTS) -> FeatureMap:
    """Lay out a fold's deviation features.

    Parameters
    ----------
    opened : OpenedFold
    layout : str
        `COMPONENTS`: the two main components of the generated deviations, which takes no time and keeps straight lines
        straight. `T_SNE`: neighbours stay neighbours, distances mean little; the plane of notebook 4 (Fig. 8).

    Raises
    ------
    GndlError
        Where there are no features, or too few for t-SNE.
    """
    features = opened.features
    if features is None or features.deviation is None:
        raise GndlError(opened.lacking or "There are no deviation features without GNDL.")
    if layout == T_SNE:
        table = deviation_embedding(features)
        if table.empty:
            raise GndlError(f"Fold {opened.fold} has too few samples for t-SNE.")
        points, real = (table.loc[table["neutral"] == kind, ["x", "y"]].to_numpy() for kind in ("generated", "real"))
        return FeatureMap(opened, points, real, places_shown(opened), NEIGHBOURS_STAY)
    mean = features.deviation.mean(axis=0)
    centred = features.deviation - mean
    _, sizes, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    axes = axes[:2]
    # The sign of a component is arbitrary: its largest channel counts as positive.
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    points, real = centred @ axes.T, (features.deviation_real - mean) @ axes.T
    if points.shape[1] == 1:  # a single sample
        points, real = (np.hstack([values, np.zeros_like(values)]) for values in (points, real))
    explained = float((sizes[:2] ** 2).sum() / max(float((sizes**2).sum()), 1e-12))
    words = f"The plane of the two main components keeps {100 * explained:.0f} % of the variance"
    return FeatureMap(opened, points, real, places_shown(opened), words)


def places_shown(opened: OpenedFold) -> tuple[int, ...]:
    """All samples, or one of each sequence where they are too many for a map."""
    return tuple(range(len(opened.tested))) if len(opened.tested) <= POINTS_SHOWN else last_frames(opened)


def last_frames(opened: OpenedFold) -> tuple[int, ...]:
    """The last examined frame of every sequence."""
    sequences = opened.study.pairs.sequence
    return tuple(sorted({str(sequences[int(pair)]): place for place, pair in enumerate(opened.tested)}.values()))


def feature_map_figure(laid_out: FeatureMap, place: int) -> Figure:
    """Draw the map with one sample ringed, and that sample beside it."""
    opened = laid_out.opened
    with style():
        figure = new_figure(TWO_COLUMNS, 3.7)
        left, right = side_by_side(figure, 1, 1.05)
        axes = left.subplots()
        _draw_map(axes, laid_out, place)
        draw_card(right, laid_out, place)
        title = DATABASE_TITLES.get(opened.study.database.name, opened.study.database.name)
        figure.suptitle(f"Deviation features of the people left out: {title}, fold {opened.fold}", fontsize=8.5)
        add_note(figure, opened.study.database.source, laid_out.in_words())
    return figure


def card_figure(laid_out: FeatureMap, place: int) -> Figure:
    """Draw one sample of the map: its faces, probabilities and nearest samples."""
    with style():
        figure = new_figure(TWO_COLUMNS / 2, 3.6)
        draw_card(figure, laid_out, place)
        add_note(figure, laid_out.opened.study.database.source)
    return figure


def draw_card(part: FigureBase, laid_out: FeatureMap, place: int) -> None:
    """Draw the card of one sample into a figure or a part of one."""
    opened = laid_out.opened
    expressions, labels = opened.expressions, opened.labels
    truth = expressions[labels[place]]
    above, below = stacked(part, 2.1, 1)
    faces, bars = side_by_side(above, 1, 1.25)
    cells = faces.subplots(2, 1)
    titled_face(cells[0], opened.examined_face(place), truth, frame=class_colour(truth), bold=True)
    titled_face(cells[1], opened.neutral_face(place), "neutral")
    values = {method: table[place] for method, table in opened.probabilities.items()}
    probability_bars(bars.subplots(), values, expressions, truth)
    nearest = laid_out.nearest(place)
    part.suptitle(opened.name(place), fontsize=7.5)
    if not nearest:
        return
    below.suptitle("nearest faces of other sequences, in all channels", fontsize=7)
    for axes, other in zip(np.ravel(below.subplots(1, NEIGHBOURS)), nearest, strict=False):
        name = expressions[labels[other]]
        titled_face(axes, opened.examined_face(other), name, frame=class_colour(name))
    for axes in below.axes[len(nearest) :]:
        axes.set_axis_off()


def _draw_map(axes: Axes, laid_out: FeatureMap, place: int) -> None:
    opened, shown = laid_out.opened, np.array(laid_out.shown)
    for name in figure_order(opened.expressions):
        own = shown[opened.labels[shown] == opened.expressions.index(name)]
        if len(own):
            x, y = laid_out.points[own].T
            axes.scatter(x, y, s=14, color=class_colour(name), linewidths=0, alpha=0.85, label=name)
    chosen, real = laid_out.points[place], laid_out.real[place]
    for other in laid_out.nearest(place):
        axes.plot(*np.stack([chosen, laid_out.points[other]]).T, color=INK, linewidth=0.4, alpha=0.6, zorder=1)
    axes.plot(*np.stack([chosen, real]).T, color=INK, linewidth=0.7, linestyle=":", zorder=1)
    hollow: Any = {"linestyle": "none", "markerfacecolor": "none", "markeredgecolor": INK}
    axes.plot(*real, "s", markersize=4.5, label="with the real neutral", **hollow)
    axes.plot(*chosen, "o", markersize=9, label="the face shown", **hollow)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.08)
    for spine in axes.spines.values():
        spine.set(visible=True, color="#DDDDDD")
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        ncols=3,
        handletextpad=0.2,
        columnspacing=0.9,
        fontsize=6.5,
    )
