"""What the networks say, as a widget: bars on the left, the map of deviation features on the right."""

from __future__ import annotations

from collections.abc import Iterable

import ipywidgets as widgets

from gndl.explore.live import LiveReader, Reading
from gndl.explore.svg import MapDrawing, bars, legend_of_map, nearest_in_words


class ReadingView:
    """Bars and map; empty until there are networks, with ``offer`` in their place."""

    def __init__(self) -> None:
        self.title = widgets.HTML()
        self.bars = widgets.HTML(layout={"width": "412px"})
        self.map = widgets.HTML(layout={"width": "412px"})
        self.offer = widgets.VBox([])
        self.bars.add_class("gndl-bars")
        self._drawing: MapDrawing | None = None
        self._reader: LiveReader | None = None
        self._readings = widgets.HBox([self.bars, self.map], layout={"flex_flow": "row wrap", "display": "none"})
        self.widget = widgets.VBox([self._readings, self.title, self.offer])

    def use(self, reader: LiveReader, note: str = "") -> None:
        """Show what these networks say; ``note`` is HTML that tells how far they can be trusted."""
        self._reader = reader
        self._drawing = None if reader.map is None else MapDrawing(reader.map, reader.expressions)
        self.title.value = (
            f"<div style='line-height:1.45;margin-top:6px;font-size:13px'>{reader.in_words()} {note}</div>"
        )
        self._readings.layout.display = "flex"

    def show(self, reading: Reading, trail: Iterable[tuple[float, float]]) -> None:
        """Draw one reading."""
        assert self._reader is not None
        head = "<div style='line-height:1.5;font-weight:600;padding:4px 0'>{}</div>"
        self.bars.value = head.format("Class probabilities") + bars(reading.probabilities, self._reader.expressions)
        if self._drawing is not None and self._reader.map is not None:
            kept = f"<span style='font-weight:400'> · {nearest_in_words(reading)}</span>"
            self.map.value = (
                head.format(f"Deviation feature{kept}")
                + self._drawing.draw(tuple(trail))
                + legend_of_map(self._reader.expressions)
                + f"<div style='font-size:12px;color:#666;line-height:1.4'>Dots: faces of people left out of training. "
                f"The plane keeps {100 * self._reader.map.explained:.0f} % of their variance.</div>"
            )
