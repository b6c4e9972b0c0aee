"""A still picture of the studio, for notebooks that nobody sits in front of."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from gndl import figures
from gndl.explore.drawing import probability_bars
from gndl.explore.live import LiveReader, Reading
from gndl.explore.state import EMOTIONS, Expression, State
from gndl.explore.studio import LABEL, FaceStudio, Photograph
from gndl.explore.svg import nearest_in_words
from gndl.paper import figure_order


def still_picture(studio: FaceStudio, reader: LiveReader | None, state: State) -> tuple[Figure, pd.DataFrame]:
    """Draw one person with every emotion, and below it what the networks make of the one that ``state`` shows.

    Parameters
    ----------
    studio : FaceStudio
    reader : LiveReader or None
        Without networks the faces are shown alone.
    state : State

    Returns
    -------
    figure : Figure
    table : DataFrame
        The probabilities behind it, one row a class and method; without networks the emotions shown.
    """
    table = pd.DataFrame({"shown": EMOTIONS})
    shown = EMOTIONS if reader is None else ("neutral", *figure_order(reader.expressions))
    photographs = {}
    for k, emotion in enumerate(shown):
        expression = Expression(emotion, variant=state.expression.variant)
        # One shading serves the whole strip, so that a batch of notebooks is soon done.
        photographs[emotion] = studio.show(replace(state, expression=expression), hurry=k > 0)
    with mpl.rc_context(figures.STYLE):
        height = 1.25 if reader is None else 3.4
        figure = Figure(figsize=(figures.TWO_COLUMNS, height), layout="constrained")
        faces: FigureBase = figure
        below: FigureBase | None = None
        if reader is not None:
            faces, below = np.asarray(figure.subfigures(2, 1, height_ratios=(1, 1.9))).tolist()
        for axes, emotion in zip(np.ravel(faces.subplots(1, len(shown))), shown, strict=True):
            _show_face(axes, photographs[emotion], emotion, chosen=emotion == state.expression.emotion)
        if reader is not None and below is not None:
            reading = reader.read(studio.show(state, 448))
            left, right = below.subplots(1, 2, width_ratios=(1, 1.1))
            probability_bars(left, reading.probabilities, reader.expressions)
            _show_map(right, reading, reader)
            table = pd.DataFrame(
                [
                    {"shown": state.expression.emotion, "method": method, "class": name, "probability": float(value)}
                    for method, values in reading.probabilities.items()
                    for name, value in zip(reader.expressions, values, strict=True)
                ]
            )
        figure.suptitle(f"Face studio. {LABEL}", fontsize=8)
    return figure, table


def _show_face(axes: Axes, photograph: Photograph, emotion: str, *, chosen: bool) -> None:
    axes.imshow(photograph.picture)
    axes.set_title(emotion, fontsize=7, fontweight="bold" if chosen else "normal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _show_map(axes: Axes, reading: Reading, reader: LiveReader) -> None:
    if reader.map is None:
        axes.set_axis_off()
        return
    axes.scatter(
        reader.map.neutral[:, 0],
        reader.map.neutral[:, 1],
        s=9,
        facecolors="none",
        edgecolors="#999",
        linewidths=0.6,
        label="neutral",
    )
    for name in figure_order(reader.expressions):
        own = reader.map.points[reader.map.labels == reader.expressions.index(name)]
        axes.scatter(
            own[:, 0],
            own[:, 1],
            s=9,
            color=figures.CLASS_COLOURS.get(name, "#999"),
            alpha=0.8,
            linewidths=0,
            label=name,
        )
    if reading.place is not None:
        axes.scatter(*reading.place, s=70, facecolors="none", edgecolors="#222", linewidths=1.8, label="the face above")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(f"deviation features, validation set\n{nearest_in_words(reading)}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=6, handletextpad=0.2)
