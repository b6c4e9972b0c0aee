"""The feature-map explorer: a map whose points are buttons; press one and see the face."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from gndl.errors import GndlError
from gndl.explore.drawing import as_png, class_colour
from gndl.explore.exploration import Exploration
from gndl.explore.feature_map import COMPONENTS, T_SNE, FeatureMap, card_figure, feature_map, feature_map_figure
from gndl.explore.samples import first_sample
from gndl.explore.svg import legend_of_map
from gndl.paper import DATABASE_TITLES

WIDTH, HEIGHT, EDGE, DOT = 408, 336, 18, 13
"""Of the map, its margin, and a point, in pixels."""

STYLE = f"""<style>
.gndl-map {{ position: relative; overflow: hidden; border: 1px solid #ddd; background: white; }}
.gndl-map .gndl-point {{ position: absolute; width: {DOT}px !important; height: {DOT}px !important;
  margin: 0 !important;  padding: 0 !important; min-width: 0 !important; border-radius: 50%; opacity: .85; }}
.gndl-map .gndl-point:hover, .gndl-map .gndl-point:focus {{ opacity: 1; outline: 2px solid #222; z-index: 2; }}
.gndl-map .gndl-ring {{ position: absolute; left: 0; top: 0; margin: 0; pointer-events: none; z-index: 1; }}
.gndl-map .gndl-ring .widget-html-content {{ pointer-events: none; line-height: 0; }}
</style>"""


class MapExplorer:
    """The map of one fold and the card of the point that was pressed.

    Parameters
    ----------
    exploration : Exploration
        Of at least one database, with GNDL's weights for a fold of the chosen one.
    fold : int
        To begin with.
    """

    def __init__(self, exploration: Exploration, fold: int) -> None:
        self._exploration = exploration
        style = {"description_width": "64px"}
        folds = [(str(number), number) for number in exploration.folds()]
        self.fold = widgets.Dropdown(
            options=folds, value=fold, description="fold", style=style, layout={"width": "190px"}
        )
        self.layout = widgets.Dropdown(
            options=[COMPONENTS, T_SNE], description="layout", style=style, layout={"width": "240px"}
        )
        self.layout.add_class("gndl-choose-layout")
        self.face = widgets.Dropdown(description="face", style=style, layout={"width": "400px"})
        self.said = widgets.HTML()
        self.ring = widgets.HTML()
        self.ring.add_class("gndl-ring")
        self.map = widgets.Box(layout={"width": f"{WIDTH}px", "height": f"{HEIGHT}px"})
        self.map.add_class("gndl-map")
        self.card = widgets.Image(format="png", layout={"width": "420px"})
        self.card.add_class("gndl-card")
        self.words = widgets.HTML(layout={"width": f"{WIDTH}px"})
        self.points: list[widgets.Button] = []
        self._map: FeatureMap | None = None
        self._quiet = False
        above = widgets.HBox([self.fold, self.layout, self.face], layout={"flex_flow": "row wrap"})
        left = widgets.VBox([self.map, self.words])
        body = widgets.HBox([left, self.card], layout={"flex_flow": "row wrap"})
        self.widget = widgets.VBox([widgets.HTML(STYLE), above, self.said, body], layout={"max_width": "860px"})
        self.open(fold)
        for choice in (self.fold, self.layout):
            choice.observe(lambda _: self.open(self.fold.value), "value")
        self.face.observe(lambda change: self._show(change["new"]), "value")

    def open(self, fold: int) -> None:
        """Lay out a fold; where that cannot be done the map stays as it was, and it is said why."""
        try:
            laid_out = feature_map(self._exploration.fold(fold), self.layout.value)
        except GndlError as error:
            self.said.value = f"<div style='line-height:1.4'>{error}</div>"
            return
        opened = laid_out.opened
        same = self._map is not None and self._map.opened is opened
        wanted = self.face.value if same else first_sample(opened)  # in another layout the same face
        self.said.value, self._map = "", laid_out
        before, self.points = self.points, self._buttons(laid_out)
        self.map.children = [self.ring, *self.points]
        for point in before:
            point.close()
        self.words.value = (
            f"{legend_of_map(opened.expressions_shown(), neutral=False)}<div style='font-size:12px;color:#666;"
            f"line-height:1.4'>{DATABASE_TITLES[opened.study.database.name]}, fold {opened.fold}: press a point. "
            "Ring: the face shown, with lines to the nearest faces; square: its deviation from the real neutral face "
            f"instead of the generated one. {laid_out.in_words()}</div>"
        )
        self._quiet = True
        self.face.options = [(_title(laid_out, place), place) for place in laid_out.shown]
        self.face.value = wanted if wanted in laid_out.shown else laid_out.shown[0]
        self._quiet = False
        self._show(self.face.value)

    def press(self, place: int) -> None:
        """Show the face of one point."""
        self.face.value = place

    def figure(self) -> Figure:
        """What is shown now, as a figure."""
        assert self._map is not None
        return feature_map_figure(self._map, self.face.value)

    def _show(self, place: int | None) -> None:
        if self._quiet or self._map is None or place is None:
            return
        self.ring.value = _ring(self._map, place)
        self.card.value = as_png(card_figure(self._map, place))

    def _buttons(self, laid_out: FeatureMap) -> list[widgets.Button]:
        opened = laid_out.opened
        styles = {name: widgets.ButtonStyle(button_color=class_colour(name)) for name in opened.expressions}
        buttons = []
        for place in laid_out.shown:
            x, y = _pixel(laid_out, laid_out.points[place])
            layout = widgets.Layout(left=f"{x - DOT / 2:.0f}px", top=f"{y - DOT / 2:.0f}px")
            name = opened.expressions[opened.labels[place]]
            button = widgets.Button(tooltip=_title(laid_out, place), style=styles[name], layout=layout)
            button.add_class("gndl-point")
            button.on_click(lambda _, place=place: self.press(place))
            buttons.append(button)
        return buttons


def _title(laid_out: FeatureMap, place: int) -> str:
    opened = laid_out.opened
    return f"{opened.expressions[opened.labels[place]]} – {opened.name(place)}"


def _pixel(laid_out: FeatureMap, point: np.ndarray) -> tuple[float, float]:
    """Where a point of the plane lies in the map; what is beyond the points' own range lies at the edge."""
    points = laid_out.points[list(laid_out.shown)]
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array([WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE])
    x, y = np.clip((point - low) / np.maximum(high - low, 1e-9), -0.03, 1.03) * room + EDGE
    return float(x), float(HEIGHT - y)


def _ring(laid_out: FeatureMap, place: int) -> str:
    """SVG that marks one point, its nearest faces, and its deviation from the real neutral face."""
    x, y = _pixel(laid_out, laid_out.points[place])
    parts = []
    for other in laid_out.nearest(place):
        u, v = _pixel(laid_out, laid_out.points[other])
        parts.append(f"<line x1='{x:.0f}' y1='{y:.0f}' x2='{u:.0f}' y2='{v:.0f}' stroke='#222' opacity='.45'/>")
    u, v = _pixel(laid_out, laid_out.real[place])
    dashes = "stroke='#222' stroke-dasharray='2 3'"
    parts.append(f"<line x1='{x:.0f}' y1='{y:.0f}' x2='{u:.0f}' y2='{v:.0f}' {dashes}/>")
    parts.append(f"<rect x='{u - 5:.0f}' y='{v - 5:.0f}' width='10' height='10' fill='white' stroke='#222'/>")
    parts.append(f"<circle cx='{x:.0f}' cy='{y:.0f}' r='10' fill='none' stroke='#222' stroke-width='2.5'/>")
    size = f"width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}'"
    return f"<svg {size} role='img' aria-label='The face shown among its nearest'>{''.join(parts)}</svg>"
