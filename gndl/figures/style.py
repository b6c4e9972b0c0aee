"""The look of every figure: acmart's widths, colours that mean the same everywhere, and words on rendered faces."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import rc_params_from_file
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gndl.figures.shown import DeclaringCanvas

ONE_COLUMN = 3.33
TWO_COLUMNS = 7.0
NARROW = 6.0
"""Below this width, in inches, panels that stand side by side stand one above the other."""

CLASS_COLOURS = {
    "anger": "#D55E00",
    "contempt": "#7F7F7F",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happiness": "#E69F00",
    "sadness": "#0072B2",
    "surprise": "#56B4E9",
}
"""Okabe and Ito's colour-blind-safe palette: a class has the same colour everywhere."""

METHOD_COLOURS = {"baseline": "#7F7F7F", "gndl": "#0072B2"}

STYLE: Any = dict(rc_params_from_file(Path(__file__).with_name("gndl.mplstyle"), use_default_template=False))
"""The settings in ``gndl.mplstyle``, which ``plt.style.use("gndl.figures.gndl")`` takes for plots of one's own."""

STAND_IN_NOTE = "rendered stand-in"


@contextmanager
def style() -> Iterator[None]:
    """Draw with the study's style inside the block, and leave the reader's own style as it was."""
    with mpl.rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches, outside pyplot so that nothing is shown twice or kept open."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine())


def add_note(figure: Figure, source: str, text: str = "") -> None:
    """Write under the figure what it was made from, in words that cannot be cut off.

    Where it was not made from rendered faces, its PNG will say whose faces it shows (`gndl.figures.shown`).
    """
    if source != "rendered":
        DeclaringCanvas(figure)
    note = f"{STAND_IN_NOTE}: rendered faces of nobody, not the database itself" if source == "rendered" else ""
    parts = [part for part in (note, text) if part]
    if parts:
        letters_a_line = int(19 * figure.get_figwidth())
        figure.supxlabel(textwrap.fill(". ".join(parts), letters_a_line), fontsize=6.5, color="#444444")
