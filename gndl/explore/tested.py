"""The tested samples of a study, face by face, with what the methods answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gndl import plots
from gndl.explore.widgets import Explorer, Faces, answered, dropdown, in_rows, new_figure, offer, probability_bars
from gndl.files import GndlError
from gndl.paper import figure_order

if TYPE_CHECKING:
    from gndl.study import Study

FRAMES_SHOWN = 3
Sample = tuple[int, int]
"""Fold, and position in the study's pairs."""


class Samples:
    """Choices of fold, class, subject and frame; the faces of the sample, and each method's answer."""

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

    def probabilities(self, sample: Sample) -> pd.DataFrame:
        """Probability of every class (row) by every method (column)."""
        own = self._predictions.loc[[sample]].set_index("method")[[f"p_{name}" for name in self.classes]]
        return own.T.set_axis(self.classes)[[name for name in self.methods if name in own.index]]

    def answers(self, sample: Sample) -> str:
        """What every method says, a line each."""
        said, truth = self.probabilities(sample).idxmax(), self.rows.loc[sample, "truth"]
        return "\n".join(f"{name}: {one} {'✓' if one == truth else '✗'}" for name, one in said.items())

    def widget(self) -> Explorer:
        """The choices above the picture."""
        fold = dropdown("fold", sorted(self.rows["fold"].unique().tolist()), "120px")
        expression, subject, frame = dropdown("class"), dropdown("subject"), dropdown("frame", width="300px")
        choices, filling = (fold, expression, subject), False

        def fill(_: object = None) -> None:
            """Offer the classes of the fold, the subjects who show the class, and their frames, the apex first."""
            nonlocal filling
            if not filling:
                filling, own = True, self.rows[self.rows["fold"] == fold.value]
                offer(expression, own["truth"].unique())
                own = own[own["truth"] == expression.value]
                offer(subject, own["subject"].unique())
                own = own[own["subject"] == subject.value]
                filling = False
                offer(frame, list(zip(own["frame"], own.index, strict=True))[::-1])

        fill()
        for choice in choices:
            choice.observe(fill, "value")
        return Explorer(self.figure, {"sample": frame}, [in_rows([*choices, frame])])

    def figure(self, sample: Sample | None = None) -> Figure:
        """Draw a sample: its neutral face, examined frames with the chosen one among them, each method's answer.

        By default the apex of the first sequence.
        """
        rows = self.rows
        if sample is None:
            sample = max(rows[rows["sequence"] == rows["sequence"].iloc[0]].index)
        fold, number = sample
        about = rows.loc[[sample]].iloc[0]
        every = sorted(rows[(rows["fold"] == fold) & (rows["sequence"] == about["sequence"])].index)
        title = f"{self.study.title}, fold {fold}: {about['subject']} · {about['frame']} shows {about['truth']}"
        figure = new_figure(2.4, title, self.faces.note)
        widths = [1] * (1 + FRAMES_SHOWN) + [2.5]
        first, *axes, bars = np.ravel(figure.subplots(1, len(widths), width_ratios=widths))
        self.faces.draw(first, number, "neutral", neutral=True, below="not seen by\nthe methods")
        start = max(0, min(every.index(sample) - FRAMES_SHOWN + 1, len(every) - FRAMES_SHOWN))
        for place, ax in enumerate(axes, start):
            if place < len(every):
                frame = plots.INK if every[place] == sample else ""
                below = self.answers(every[place])
                self.faces.draw(ax, every[place][1], f"examined {place + 1}", frame=frame, below=below)
            else:
                ax.set_axis_off()
        probability_bars(bars, self.probabilities(sample), str(about["truth"]))
        return figure
