"""The sample explorer: one sequence of a validation subject, what the methods make of it, and whom G makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure, FigureBase, SubFigure

from gndl.explore.drawing import (
    INK,
    OWN,
    SCREEN_WIDTH,
    as_png,
    predictions_in_words,
    probability_bars,
    say_below,
    side_by_side,
    stacked,
    titled_face,
)
from gndl.explore.exploration import Exploration
from gndl.explore.opened_fold import NearNeutral, OpenedFold, nearest_neutrals
from gndl.figures import TWO_COLUMNS, add_note, new_figure, style
from gndl.paper import DATABASE_TITLES

FRAMES_SHOWN = 3
NEIGHBOURS = 7
SAME_PERSON = "#56B4E9"


def first_sample(opened: OpenedFold) -> int:
    """The sample that is shown first: of the first class in Fig. 6's order and its first subject, the last frame."""
    expression = opened.expressions_shown()[0]
    return opened.samples(expression, opened.subjects_showing(expression)[0])[-1]


def sample_figure(opened: OpenedFold, place: int) -> Figure:
    """Draw one sample: neutral and examined faces, probabilities, and the neutral faces most like G(F_exam).

    Parameters
    ----------
    opened : OpenedFold
    place : int
        The sample's place in the fold.
    """
    truth = opened.expressions[opened.labels[place]]
    neighbours = nearest_neutrals(opened, place, NEIGHBOURS)
    with style():
        figure = new_figure(TWO_COLUMNS, 3.75 if neighbours else 2.4)
        above: FigureBase = figure
        if neighbours:
            above, below = stacked(figure, 1.75, 1)
            _draw_neighbours(below, opened, neighbours)
        faces, bars = side_by_side(above, 1.55, 1)
        _draw_sequence(faces, opened, place)
        values = {method: table[place] for method, table in opened.probabilities.items()}
        probability_bars(bars.subplots(), values, opened.expressions, truth)
        title = DATABASE_TITLES.get(opened.study.database.name, opened.study.database.name)
        figure.suptitle(f"{title}, fold {opened.fold}: {opened.name(place)} shows {truth}", fontsize=8.5)
        add_note(figure, opened.study.database.source, opened.lacking)
    return figure


def _draw_sequence(faces: FigureBase, opened: OpenedFold, place: int) -> None:
    """Draw the neutral face and the examined frames, at most `FRAMES_SHOWN` with the chosen one among them."""
    frames = opened.same_sequence(place)
    start = max(0, min(frames.index(place) - FRAMES_SHOWN + 1, len(frames) - FRAMES_SHOWN))
    cells = faces.subplots(1, 1 + FRAMES_SHOWN)
    titled_face(cells[0], opened.neutral_face(place), "neutral")
    say_below(cells[0], [("not given to", "#444444"), ("the methods", "#444444")])
    for k, axes in enumerate(cells[1:], start):
        if k >= len(frames):
            axes.set_axis_off()
            continue
        chosen = frames[k] == place
        titled_face(
            axes, opened.examined_face(frames[k]), f"examined {k + 1}", frame=INK if chosen else "", bold=chosen
        )
        say_below(axes, predictions_in_words(opened, frames[k]))


def _draw_neighbours(below: SubFigure, opened: OpenedFold, neighbours: list[NearNeutral]) -> None:
    """Draw the nearest neutral faces in a row, the own one in a thick frame, others of the same person in a pale."""
    assert opened.features is not None
    people = len(opened.features.gallery)
    below.suptitle(
        f"Most like the generated neutral G(F_exam) among all {people} neutral faces, by cosine", fontsize=7.5
    )
    for axes, near in zip_longest(np.ravel(below.subplots(1, NEIGHBOURS + 1)), neighbours):
        if near is None:
            axes.set_axis_off()
            continue
        face, colour = opened.gallery_face(near.place), OWN if near.own else SAME_PERSON if near.same_subject else ""
        who = "own neutral" if near.own else "same person" if near.same_subject else ""
        titled_face(
            axes, face, f"{near.rank}. {opened.features.gallery_subject[near.place]}", frame=colour, bold=near.own
        )
        say_below(axes, [(f"cosine {near.similarity:.2f}", "#444444"), (who, OWN)])


class SampleExplorer:
    """Choices of database, fold, class, subject and frame, and the picture of the sample that they name.

    Parameters
    ----------
    exploration : Exploration
        Of at least one database.
    """

    def __init__(self, exploration: Exploration) -> None:
        self._exploration = exploration
        self._quiet = False
        self.database = _choice("database", [(DATABASE_TITLES[name], name) for name in exploration.databases])
        self.fold, self.expression = _choice("fold"), _choice("class")
        self.subject, self.frame = _choice("subject"), _choice("frame", width="330px")
        self.image = widgets.Image(format="png", layout={"width": SCREEN_WIDTH})
        self.image.add_class("gndl-sample")
        self.database.value = exploration.chosen
        choices = (self.database, self.fold, self.expression, self.subject, self.frame)
        self._offer_folds()
        for rank, choice in enumerate(choices):
            choice.observe(lambda _, rank=rank: self._chosen(rank), "value")
        above = widgets.HBox(choices, layout={"flex_flow": "row wrap", "width": SCREEN_WIDTH})
        self.widget = widgets.VBox([above, self.image])

    @property
    def opened(self) -> OpenedFold:
        """The fold that is shown."""
        return self._exploration.fold(self.fold.value, self.database.value)

    def figure(self) -> Figure:
        """What is shown now, as a figure."""
        return sample_figure(self.opened, self.frame.value)

    def draw(self) -> None:
        """Put the picture of what is chosen in place of the one before."""
        self.image.value = as_png(self.figure())

    def _chosen(self, rank: int) -> None:
        if self._quiet:
            return
        # What was chosen further left decides what there is to choose further right.
        (self._offer_folds, self._offer_classes, self._offer_subjects, self._offer_frames, lambda: None)[rank]()
        self.draw()

    def _offer_folds(self) -> None:
        self._offer(self.fold, [(str(fold), fold) for fold in self._exploration.folds(self.database.value)])
        self._offer_classes()

    def _offer_classes(self) -> None:
        self._offer(self.expression, self.opened.expressions_shown())
        self._offer_subjects()

    def _offer_subjects(self) -> None:
        self._offer(self.subject, self.opened.subjects_showing(self.expression.value))
        self._offer_frames()

    def _offer_frames(self) -> None:
        samples = self.opened.samples(self.expression.value, self.subject.value)
        self._offer(self.frame, [(self.opened.name(place), place) for place in samples], samples[-1])

    def _offer(self, choice: widgets.Dropdown, options: Sequence[Any], value: object = None) -> None:
        """Change a choice's options and keep what is chosen where it is still there, without drawing."""
        values = [option[1] if isinstance(option, tuple) else option for option in options]
        kept = choice.value if choice.value in values else values[0]
        self._quiet = True
        choice.options = options
        choice.value = kept if value is None else value
        self._quiet = False


def _choice(text: str, options: Sequence[Any] = (), width: str = "190px") -> widgets.Dropdown:
    style = {"description_width": "64px"}
    dropdown = widgets.Dropdown(options=options, description=text, style=style, layout={"width": width})
    dropdown.add_class(f"gndl-choose-{text}")
    return dropdown
