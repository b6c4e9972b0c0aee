"""The steps of the method for one face: the pictures, the features as strips of 16 × 32 values, the probabilities."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from gndl.analysis.tour import Array, Steps
from gndl.figures.faces import show_face
from gndl.figures.style import CLASS_COLOURS, ONE_COLUMN, TWO_COLUMNS, add_note, new_figure, style

STRIP = (16, 32)
"""Rows and columns in which the 512 channels of a feature are drawn; their order means nothing."""


def tour_faces(steps: Steps, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw both crops, and both pictures as the network sees them; grey squares where the person may not be shown."""
    size = steps.x_exam.shape[-1]
    side = steps.examined.shape[0]
    panels = (
        (steps.neutral, f"neutral face\n{side} × {side} bytes"),
        (steps.examined, f"examined face\n{side} × {side} bytes"),
        (_as_bytes(steps.x_neu, steps.neutral.ndim == 3), f"neutral, as input\n3 × {size} × {size}, training only"),
        (_as_bytes(steps.x_exam, steps.neutral.ndim == 3), f"examined, as input\n3 × {size} × {size}"),
    )
    with style():
        figure = new_figure(width, width / 4 + 0.75)
        for axes, (face, title) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            show_face(axes, face if steps.may_be_shown else np.full((8, 8), 200, np.uint8))
            axes.set_title(title, fontsize=7, pad=3)
        who = f"{steps.title}, person {steps.subject}, {steps.truth}"
        who += "" if steps.may_be_shown else " (not shown)"
        add_note(figure, steps.source, ". ".join(part for part in (who, steps.note) if part))
    return figure


def tour_features(steps: Steps, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw Eq. 7 in features: F_exam minus G(F_exam) is F_exp-d; below G(F_exam) the real F_neu, to compare.

    All strips share one colour scale, so that equal colours are equal numbers; the largest hundredth is cut off.
    """
    features = (steps.f_exam, steps.f_gen, steps.deviation, steps.f_neu)
    most = float(np.quantile(np.abs(np.concatenate(features)), 0.99)) or 1.0
    with style():
        figure = new_figure(width, 2.75)
        grid = figure.subplots(2, 3)
        titles = ("F_exam: the examined face", "G(F_exam): its neutral face, foretold", "F_exp-d: what is left")
        for axes, feature, title in zip(grid[0], features, titles, strict=False):
            image = _strip(axes, feature, title, most)
        _strip(grid[1, 1], steps.f_neu, "F_neu: the real neutral face\n(the network is not given it)", most)
        for axes in (grid[1, 0], grid[1, 2]):
            axes.axis("off")
        for axes, sign in ((grid[0, 1], "−"), (grid[0, 2], "=")):
            axes.text(-0.09, 0.5, sign, transform=axes.transAxes, ha="center", va="center", fontsize=13)
        bar = figure.colorbar(image, ax=grid, fraction=0.025, pad=0.015, shrink=0.8, extend="both")
        bar.outline.set_linewidth(0.4)
        bar.set_label("value of a channel")
        add_note(figure, steps.source, "512 channels as 16 × 32 squares; their order means nothing")
    return figure


def tour_probabilities(steps: Steps, *, width: float = ONE_COLUMN) -> Figure:
    """Draw the probability of each class (Eq. 10), the true one marked."""
    with style():
        figure = new_figure(width, 0.24 * len(steps.expressions) + 0.75)
        axes = figure.subplots()
        places = np.arange(len(steps.expressions))[::-1]
        colours = [CLASS_COLOURS.get(name, "#7F7F7F") for name in steps.expressions]
        axes.barh(places, steps.probabilities, color=colours, height=0.7)
        for place, value in zip(places, steps.probabilities, strict=True):
            axes.text(float(value) + 0.01, place, f"{100 * value:.0f}%", va="center", fontsize=7)
        labels = [f"{name} (truth)" if name == steps.truth else name for name in steps.expressions]
        axes.set_yticks(places, labels)
        axes.set_xlim(0, 1.12)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("probability")
        add_note(figure, steps.source)
    return figure


def _strip(axes: Axes, feature: Array, title: str, most: float) -> AxesImage:
    image = axes.imshow(feature.reshape(STRIP), cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    axes.set_title(title, fontsize=7, pad=3)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.3)
    return image


def _as_bytes(image: Array, colour: bool) -> NDArray[np.uint8]:
    """Stretch a normalised picture (3, S, S) to bytes that can be looked at: (S, S, 3), or (S, S) of grey ones.

    A grey face is the same in all three channels, but each is normalised by numbers of its own.
    """
    low, high = float(image.min()), float(image.max())
    shown = np.moveaxis(image, 0, -1) if colour else image.mean(axis=0)
    return (255 * (shown - low) / max(high - low, 1e-9)).round().astype(np.uint8)
