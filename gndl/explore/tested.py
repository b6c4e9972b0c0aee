"""The tested samples of a study, face by face with what the methods answer, and the map of their deviation features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from gndl import plots
from gndl.analysis import features
from gndl.analysis.features import FoldFeatures
from gndl.explore.widgets import (
    Explorer,
    Faces,
    answered,
    divided,
    dropdown,
    in_rows,
    new_figure,
    offer,
    probability_bars,
)
from gndl.files import GndlError
from gndl.paper import figure_order

if TYPE_CHECKING:
    from gndl.study import Study

FRAMES_SHOWN, NEIGHBOURS = 3, 5
Sample = tuple[int, int]
"""Fold, and position in the study's pairs."""


class Tested:
    """What the methods answered on a study's tested samples, with their faces and, fold by fold, GNDL's features."""

    def __init__(self, study: Study) -> None:
        results = answered(study)
        self.study, self.faces = study, Faces(study)
        self.methods, self.classes = list(dict.fromkeys(results.runs["method"])), results.classes(study.name)
        self._predictions = results.predictions.set_index(["fold", "sample"]).sort_index()
        order = {name: place for place, name in enumerate(figure_order(self.classes))}
        rows = results.predictions.drop_duplicates(["fold", "sample"])
        frames = None if self.faces.pairs is None else pd.Series(self.faces.pairs.frame)
        if frames is not None and frames.reindex(rows["sample"]).tolist() != rows["frame"].tolist():
            raise GndlError("The predictions are of other faces than the database has now; train these runs again.")
        rows = rows.sort_values("truth", key=lambda column: column.map(order), kind="stable")
        self.rows = rows.sort_values("fold", kind="stable").set_index(["fold", "sample"], drop=False)
        self.rows.index.names = [None, None]
        """One row a sample: fold by fold, in the order of the classes in Fig. 6."""
        self.features = cache(self._features)

    def probabilities(self, sample: Sample) -> pd.DataFrame:
        """Probability of every class (row) by every method (column)."""
        own = self._predictions.loc[[sample]].set_index("method")[[f"p_{name}" for name in self.classes]]
        return own.T.set_axis(self.classes)[[name for name in self.methods if name in own.index]]

    def truth(self, sample: Sample) -> str:
        """The class that a sample shows."""
        return str(self.rows.loc[sample, "truth"])

    def answers(self, sample: Sample) -> str:
        """What every method says, a line each."""
        said, truth = self.probabilities(sample).idxmax(), self.truth(sample)
        return "\n".join(f"{name}: {one} {'✓' if one == truth else '✗'}" for name, one in said.items())

    def name(self, sample: Sample) -> str:
        """Subject and frame."""
        return " · ".join(str(self.rows.loc[sample, name]) for name in ("subject", "frame"))

    def draw_card(self, figure: FigureBase, sample: Sample, frames: int) -> None:
        """Draw the neutral face, as many examined frames with the chosen one among them, and each method's answer."""
        same = (self.rows["fold"] == sample[0]) & (self.rows["sequence"] == self.rows.loc[sample, "sequence"])
        every = sorted(self.rows[same].index)
        start = max(0, min(every.index(sample) - frames + 1, len(every) - frames))
        left, right = divided(figure, 1, 2, width_ratios=(1 + frames, 2.5))
        first, *axes = left.subplots(1, 1 + frames)
        self.faces.draw(first, sample[1], "neutral", neutral=True, below="not seen by\nthe methods")
        for number, ax in enumerate(axes, start):
            if number < len(every):
                one, frame = every[number], plots.INK if every[number] == sample else ""
                self.faces.draw(ax, one[1], f"examined {number + 1}", frame=frame, below=self.answers(one))
            else:
                ax.set_axis_off()
        probability_bars(right.subplots(), self.probabilities(sample), self.truth(sample))

    def _features(self, fold: int) -> FoldFeatures:
        """GNDL's features of a fold; `GndlError` where they cannot be computed here."""
        if self.faces.pairs is None:
            raise GndlError(self.faces.note)
        return features.of_fold(self.study, "gndl", fold)


class Samples:
    """Choices of fold, class, subject and frame; the faces of the sample, and each method's answer."""

    def __init__(self, study: Study) -> None:
        self.tested = Tested(study)
        first = self.tested.rows.iloc[0]
        self.first = self._frames(first["fold"], first["truth"], first["subject"])[0][1]

    def widget(self) -> Explorer:
        """The choices above the picture."""
        rows = self.tested.rows
        fold = dropdown("fold", sorted(rows["fold"].unique().tolist()), "120px")
        expression, subject, frame = dropdown("class"), dropdown("subject"), dropdown("frame", width="300px")
        choices, filling = (fold, expression, subject), False

        def fill(_: object = None) -> None:
            """Offer the classes of the fold, the subjects who show the class, and their frames."""
            nonlocal filling
            if not filling:
                filling, own = True, rows[rows["fold"] == fold.value]
                offer(expression, own["truth"].unique())
                offer(subject, own[own["truth"] == expression.value]["subject"].unique())
                filling = False
                offer(frame, self._frames(*(choice.value for choice in choices)))

        fill()
        for choice in choices:
            choice.observe(fill, "value")
        return Explorer(self.figure, {"sample": frame}, [in_rows([*choices, frame])])

    def _frames(self, fold: int, expression: str, subject: str) -> list[tuple[str, Sample]]:
        """The frames of one class and subject, the last one (the apex) first."""
        rows = self.tested.rows
        own = rows[(rows["fold"] == fold) & (rows["truth"] == expression) & (rows["subject"] == subject)]
        return [(str(name), sample) for name, sample in zip(own["frame"], own.index, strict=True)][::-1]

    def figure(self, sample: Sample | None = None) -> Figure:
        """Draw a sample: neutral and examined faces, and each method's answer."""
        tested, sample = self.tested, sample or self.first
        title = f"{tested.study.title}, fold {sample[0]}: {tested.name(sample)} shows {tested.truth(sample)}"
        figure = new_figure(2.4, title, tested.faces.note)
        tested.draw_card(figure, sample, FRAMES_SHOWN)
        return figure


class DeviationMap:
    """A fold's deviation features (Eq. 7) in the plane of their main components; of each sequence the last frame."""

    def __init__(self, known: FoldFeatures) -> None:
        rows = sorted({name: row for row, name in enumerate(known.sequence.tolist())}.values())
        if len(rows) < 3 or known.deviation is None:
            raise GndlError("This fold has too few sequences for a map of deviation features.")
        self.pairs, self.truth, self.sequence = known.pairs[rows], known.truth[rows], known.sequence[rows]
        self.values = known.deviation[rows]
        plane = PCA(2, svd_solver="full").fit(self.values)
        self.place = plane.transform
        """Where features (n, D) lie in the plane (n, 2)."""
        self.points, self.real = plane.transform(self.values), plane.transform(known.deviation_real[rows])
        self.kept = float(plane.explained_variance_ratio_.sum())
        """Share of the variance that the plane keeps."""

    def nearest(self, feature: NDArray[Any], besides: str = "") -> list[int]:
        """The points whose features are nearest to one (D,), in all channels, but for those of one sequence."""
        order = np.argsort(np.linalg.norm(self.values - feature, axis=1), kind="stable")
        return [int(point) for point in order if self.sequence[point] != besides][:NEIGHBOURS]

    def draw(self, ax: Axes, classes: Sequence[str], chosen: NDArray[Any]) -> None:
        """Draw the points in the colours of their classes, and a ring around a place (2,)."""
        order = [name for name in figure_order(classes) if name in set(self.truth)]
        x, y = self.points.T
        colours: Any = plots.class_colours(classes)
        sns.scatterplot(x=x, y=y, hue=self.truth, hue_order=order, palette=colours, s=14, linewidth=0, ax=ax)
        ax.plot(*chosen, "o", markersize=9, markerfacecolor="none", markeredgecolor=plots.INK, label="this face")
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        ax.margins(0.08)
        ax.spines[:].set(visible=True, color="#DDDDDD")
        ax.legend(ncols=3, fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.01), columnspacing=0.8)


class FeatureMap:
    """Choices of fold and face; the map of the fold's deviation features, and the face of the chosen point."""

    def __init__(self, study: Study) -> None:
        self.tested = Tested(study)
        folds = sorted(self.tested.rows["fold"].unique().tolist())
        self.folds = [fold for fold in folds if features.has_weights(study, "gndl", fold)]
        if not self.folds or self.tested.faces.pairs is None:
            self.tested.features(folds[0])  # says what is missing
        self.map = cache(lambda fold: DeviationMap(self.tested.features(fold)))

    def widget(self) -> Explorer:
        """Choice of a fold and slider over its faces, above the picture."""
        fold = dropdown("fold", self.folds, "150px")
        face = widgets.SelectionSlider(
            options=self._faces(fold.value), description="face", continuous_update=False, readout=False,
            style={"description_width": "68px"}, layout={"width": "660px"},
        )  # fmt: skip
        fold.observe(lambda change: setattr(face, "options", self._faces(change["new"])), "value")
        return Explorer(self.figure, {"sample": face}, [in_rows([fold, face])])

    def _faces(self, fold: int) -> list[tuple[str, Sample]]:
        tested, shown = self.tested, set(self.map(fold).pairs.tolist())
        own = [sample for sample in tested.rows.index if sample[0] == fold and sample[1] in shown]
        return [(f"{tested.truth(sample)}: {tested.name(sample)}", sample) for sample in own]

    def figure(self, sample: Sample | None = None) -> Figure:
        """Draw the map with a ring around one sample, and that sample next to it."""
        fold, number = sample = sample or self._faces(self.folds[0])[0][1]
        tested, known = self.tested, self.map(fold)
        chosen = known.pairs.tolist().index(number)
        near = known.nearest(known.values[chosen], known.sequence[chosen])
        words = f"The plane keeps {known.kept:.0%} of the variance; nearness is measured in all channels."
        title = f"Deviation features of the tested people: {tested.study.title}, fold {fold}"
        figure = new_figure(3.8, title, f"{words} {tested.faces.note}".strip())
        left, right = divided(figure, 1, 2, width_ratios=(1, 1.1))
        ax = left.subplots()
        for other in near:
            ax.plot(*known.points[[chosen, other]].T, color=plots.INK, linewidth=0.4, alpha=0.6, zorder=1)
        ax.plot(*np.stack([known.points[chosen], known.real[chosen]]).T, ":", color=plots.INK, linewidth=0.7, zorder=1)
        ax.plot(*known.real[chosen], "s", mfc="none", mec=plots.INK, markersize=4.5, label="with the real neutral")
        known.draw(ax, tested.classes, known.points[chosen])
        above, below = divided(right, 2, 1, height_ratios=(1.8, 1))
        above.suptitle(tested.name(sample), fontsize=7.5)
        tested.draw_card(above, sample, frames=1)
        below.suptitle("nearest faces of other sequences", fontsize=7)
        colours = plots.class_colours(tested.classes)
        for ax, other in zip_longest(below.subplots(1, NEIGHBOURS), near):
            if other is None:
                ax.set_axis_off()
            else:
                name = str(known.truth[other])
                tested.faces.draw(ax, int(known.pairs[other]), name, frame=colours[name])
        return figure
