"""The λ explorer: a slider over the values that are trained, and one sample to follow."""

from __future__ import annotations

import ipywidgets as widgets
import pandas as pd
from matplotlib.figure import Figure

from gndl.explore.drawing import SCREEN_WIDTH, as_png
from gndl.explore.lam_runs import LamRuns, lam_figure
from gndl.explore.markup import as_html
from gndl.paper import figure_order


class LamExplorer:
    """Slider over λ and choices of a sample, above the picture of what they name.

    Parameters
    ----------
    runs : LamRuns
    """

    def __init__(self, runs: LamRuns) -> None:
        self.runs = runs
        style = {"description_width": "64px"}
        self.lam = widgets.SelectionSlider(
            options=[(f"{value:g}", value) for value in runs.lams],
            value=runs.lam_to_begin_with,
            description="λ",
            continuous_update=False,
            style=style,
            layout={"width": "400px"},
        )
        self.lam.add_class("gndl-lam")
        present = set(runs.samples["truth"])
        shown = [name for name in figure_order(runs.study.pairs.expressions) if name in present]
        self.expression = widgets.Dropdown(options=shown, description="class", style=style, layout={"width": "190px"})
        self.sample = widgets.Dropdown(description="sample", style=style, layout={"width": "420px"})
        self.words = widgets.HTML(layout={"width": SCREEN_WIDTH})
        self.image = widgets.Image(format="png", layout={"width": SCREEN_WIDTH})
        self.image.add_class("gndl-lams")
        self._quiet = False
        self._offer_samples()
        self.expression.observe(lambda _: self._offer_samples(draw=True), "value")
        self.sample.observe(lambda _: self.draw(), "value")
        self.lam.observe(lambda _: self.draw(), "value")
        choices = widgets.HBox([self.expression, self.sample])
        self.widget = widgets.VBox([self.lam, choices, self.words, self.image])

    def figure(self) -> Figure:
        """What is shown now, as a figure."""
        return lam_figure(self.runs, self.lam.value, self.sample.value)

    def draw(self) -> None:
        """Show what is set now in place of what was shown."""
        if self._quiet:
            return
        said = f"{self.runs.in_words(self.lam.value)} {as_html(self.runs.how_to_train_others())}"
        self.words.value = f"<div style='line-height:1.45'>{said}</div>"
        self.image.value = as_png(self.figure())

    def _offer_samples(self, *, draw: bool = False) -> None:
        samples = self.runs.samples
        rows = samples.index[samples["truth"] == self.expression.value]
        self._quiet = True
        self.sample.options = [(_title(samples.loc[row]), int(row)) for row in rows]
        self.sample.value = int(rows[0])
        self._quiet = False
        if draw:
            self.draw()


def _title(sample: pd.Series) -> str:
    return f"fold {sample['fold']}: {sample['subject']} · {sample['frame']}"
