"""Upload of one's own photograph: it is read from the browser, looked at, shown, and forgotten."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as widgets

from gndl.errors import GndlError
from gndl.explore.drawing import SCREEN_WIDTH, as_png
from gndl.explore.live import LiveReader
from gndl.explore.markup import as_html
from gndl.explore.own_photograph import (
    LARGEST,
    caution,
    example_photograph,
    look_at_photograph,
    photograph_figure,
    photograph_in_words,
)


class PhotographExplorer:
    """A button for the upload, the sentence of caution, and the picture of what the networks make of the face.

    Parameters
    ----------
    reader : LiveReader
    """

    def __init__(self, reader: LiveReader) -> None:
        self.reader = reader
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="Choose a photograph", layout={"width": "220px"}
        )
        self.upload.add_class("gndl-upload")
        self.words = widgets.HTML(layout={"width": SCREEN_WIDTH})
        self.words.add_class("gndl-photograph-words")
        self.image = widgets.Image(format="png", layout={"width": SCREEN_WIDTH})
        self.image.add_class("gndl-photograph")
        note = (
            "The photograph stays in this kernel's memory: it is written nowhere, and the next one takes its place. "
            f"At most {LARGEST // 1_000_000} MB, for a larger file breaks the connection; a face that looks at the "
            "camera."
        )
        always = widgets.HTML(
            f"<div style='line-height:1.45;margin:4px 0'>{as_html(caution(reader))}</div>",
            layout={"width": SCREEN_WIDTH},
        )
        beside = widgets.HTML(f"<div style='line-height:1.4;font-size:12px;color:#666;width:600px'>{note}</div>")
        self.widget = widgets.VBox([widgets.HBox([self.upload, beside]), always, self.words, self.image])
        self.upload.observe(self._uploaded, "value")

    def look_at(self, content: bytes, name: str) -> None:
        """Show what the networks make of a picture file's bytes, or say why they cannot."""
        try:
            looked = look_at_photograph(content, name, self.reader)
        except GndlError as error:
            self.image.layout.visibility = "hidden"
            self.words.value = f"<div style='line-height:1.45;color:#b00'>{escape(str(error))}</div>"
            return
        self.image.value = as_png(photograph_figure(looked, self.reader))
        self.image.layout.visibility = "visible"
        said = photograph_in_words(looked, self.reader)
        self.words.value = f"<div style='line-height:1.45'>{escape(said)}</div>"

    def show_example(self) -> None:
        """Look at a rendered face until somebody uploads a photograph."""
        self.look_at(*example_photograph())

    def _uploaded(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        content, name = bytes(file["content"]), str(file["name"])
        self.upload.value = ()  # the browser's copy goes, and the same file can be chosen again
        self.look_at(content, name)
