"""One function a figure: table in, drawn on ``ax``; the look of all figures; saving.

Importing this module sets matplotlib's defaults and then `STYLE`, whatever the reader's matplotlibrc says, so that the
same numbers give the same figure everywhere.
"""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.colors import hsv_to_rgb, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import PercentFormatter

from gndl.files import GndlError, atomic_write, repository_root, write_csv
from gndl.methods import method_names
from gndl.paper import ABBREVIATIONS, figure_order
from gndl.results import confusion_counts, is_packed, lam_as_text

ONE_COLUMN = (3.33, 2.4)
"""Size in inches of a figure in one column of acmart."""
TWO_COLUMNS = (7.0, 2.6)
"""Size in inches of a figure over both columns."""

STAND_IN_MARK = "synthetic stand-in (no real people)"

CLASS_COLOURS = {
    **{"anger": "#D55E00", "contempt": "#7F7F7F", "disgust": "#009E73", "fear": "#CC79A7"},
    **{"happiness": "#E69F00", "sadness": "#0072B2", "surprise": "#56B4E9"},
}
"""Okabe and Ito's colour-blind-safe palette: a class has the same colour everywhere."""

METHOD_COLOURS = {"baseline": "#7F7F7F", "gndl": "#0072B2"}
FURTHER_COLOURS = (
    *("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    *("#882255", "#117733", "#999933", "#332288", "#AA4499"),
)
BETTER, WORSE = "#0072B2", "#D55E00"
INK = "#222222"

STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "axes.prop_cycle": cycler(color=["#0072B2", *FURTHER_COLOURS[:5], "#7F7F7F"]),
    "figure.figsize": ONE_COLUMN,
    "figure.constrained_layout.use": True,
    "figure.dpi": 120,
    "savefig.dpi": 300,
    # TrueType inside PDF and PostScript, which the ACM asks for.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
}


class HasFigures(Protocol):
    """What a figure is saved for: a `gndl.Study`, or `gndl.results.Results` of several databases."""

    out: Path

    @property
    def source(self) -> str: ...


def style() -> None:
    """Set matplotlib's own defaults, then `STYLE`."""
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)


style()


def save(figure: Figure | Any, study: HasFigures, name: str, data: pd.DataFrame | None = None) -> Path:
    """Write a figure as NAME.pdf, NAME.png (300 dpi) and, with ``data``, NAME.csv; return the PNG.

    They go to the study's folder of figures; of a packed record to ``figures`` of the repository. The same numbers give
    the same bytes. A notebook shows the PNG in place of the figure. Every row of the CSV names its ``source``: its own,
    else the study's. A figure with any rendered row is marked as one.
    """
    figure = getattr(figure, "figure", figure)  # of a seaborn grid
    _show_dollars(figure.findobj(Text))
    folder = figures_of(study)
    if data is not None and "source" not in data:
        data = data.assign(source=study.source)
    if "rendered" in (study.source, *([] if data is None else data["source"])):
        notes = [note for note in figure.get_supxlabel().split("\n") if note not in ("", STAND_IN_MARK)]
        figure.supxlabel("\n".join([*notes, STAND_IN_MARK]), fontsize=6, color="#555555")
    with mpl.rc_context(STYLE):
        if isinstance(engine := figure.get_layout_engine(), ConstrainedLayoutEngine):
            engine.execute(figure)  # once, not for every file
            figure.set_layout_engine("none")
        canvas, dpi = figure.canvas, figure.dpi
        # Not by savefig, which draws every file twice.
        with atomic_write(folder / f"{name}.pdf") as temporary:
            FigureCanvasPdf(figure).print_pdf(temporary, metadata={"CreationDate": None, "ModDate": None})
        with atomic_write(folder / f"{name}.png") as temporary:
            figure.dpi = STYLE["savefig.dpi"]
            FigureCanvasAgg(figure).print_png(temporary)
        figure.set_canvas(canvas)
        figure.dpi = dpi
    if data is not None:
        write_csv(lam_as_text(data), folder / f"{name}.csv")
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):  # a notebook shows the file: to draw the figure again takes longer than all else
        from IPython.display import Image, display

        plt.close(figure)
        display(Image(filename=folder / f"{name}.png", width=round(figure.get_figwidth() * dpi)))
    return folder / f"{name}.png"


def figures_of(study: HasFigures, database: str = "") -> Path:
    """Folder that :func:`save` writes into; with ``database``, where the notebooks of one database have written."""
    if hasattr(study, "figures"):
        return Path(study.figures)
    if is_packed(study.out):
        return repository_root() / "figures" / database
    return study.out / database / "figures"


def find_fonts(texts: Iterable[str]) -> None:
    """Let figures take letters that DejaVu Sans lacks from an installed font; print which letters no font has."""
    letters = {letter for text in texts for letter in str(text) if letter.isprintable()}
    if lacking := letters - _letters(fontManager.findfont("DejaVu Sans")):
        _fall_back(frozenset(lacking))


@cache
def _letters(path: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError):  # such as a font of pictures alone
        return frozenset()


@cache  # so that every letter is looked for, and missed, once
def _fall_back(lacking: frozenset[str]) -> None:
    upright = sorted(
        {(abs(font.weight - 400) if isinstance(font.weight, int) else 0, font.name, font.fname)
         for font in fontManager.ttflist if font.style == "normal" and not font.name.startswith("Last Resort")}
    )  # fmt: skip
    while lacking:
        name, file = max((font[1:] for font in upright), key=lambda font: len(lacking & _letters(font[1])))
        if not lacking & _letters(file):
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")  # one line is enough
            print(f"No installed font has the letters {''.join(sorted(lacking))}: figures show boxes in their place. "
                  "Install one that has them (such as Noto Sans CJK for Chinese) and restart.")  # fmt: skip
            return
        lacking -= _letters(file)
        STYLE["font.family"].append(name)
        mpl.rcParams["font.family"] = STYLE["font.family"]


def _show_dollars(texts: Iterable[Any]) -> None:
    """Take a dollar sign in a name for itself; only matplotlib's own tick labels are mathematics."""
    for text in texts:
        if "$" in text.get_text() and "mathdefault" not in text.get_text():
            text.set_parse_math(False)


def class_colours(classes: Iterable[str]) -> dict[str, str]:
    """Colour of every class, all different; classes that the paper does not have get further ones, in the order given.

    Those come first that no class of the paper has, then those of absent classes, then pale ones.
    """
    names = list(dict.fromkeys(classes))
    find_fonts(names)
    unknown = [name for name in names if name not in CLASS_COLOURS]
    free = [*FURTHER_COLOURS[5:], *(colour for name, colour in CLASS_COLOURS.items() if name not in names)]
    pale = [to_hex(tuple(hsv_to_rgb((place / len(names), 0.45, 0.9)))) for place in range(len(unknown) - len(free))]
    further = dict(zip(unknown, [*free, *pale], strict=False))
    return {name: CLASS_COLOURS.get(name) or further[name] for name in names}


def method_colours(methods: Iterable[str]) -> dict[str, str]:
    """Colour of every method, a seaborn ``palette``: the same in every figure, whatever other methods it shows."""
    names = list(dict.fromkeys(methods))
    others = [name for name in method_names() if name not in METHOD_COLOURS]
    others += [name for name in names if name not in others]
    return {name: METHOD_COLOURS.get(name) or FURTHER_COLOURS[others.index(name) % 10] for name in names}


def percent_axis(axis: Any, decimals: int = 0) -> None:
    """Print the fractions of an axis (``ax.yaxis``) as percent."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=decimals))


def confusion_matrix(
    predictions: pd.DataFrame, classes: Iterable[Any], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw Fig. 6: share of the true class and number of samples in every cell, classes in the order of Fig. 6.

    Rows are the truth. Of more than ten classes the number alone is written; its colour is the share. `GndlError` where
    a sample has a class that is not among ``classes``.
    """
    import seaborn as sns  # takes a second to import

    ax = ax or plt.gca()
    order = list(figure_order(map(str, classes)))
    answers = predictions[["truth", "predicted"]].astype(str)  # classes that are numbers may have been read as such
    if unknown := sorted(set(answers.to_numpy().ravel()) - set(order)):
        raise GndlError(f"{unknown[0]!r} is not one of the classes {', '.join(order)}; draw one database at a time.")
    find_fonts([*order, title])
    counts = confusion_counts(answers, order)
    share = counts.div(counts.sum(axis=1), axis=0)
    text, size = counts.astype(str), min(6.2, 70 / len(order))
    if len(order) <= 10:
        text, size = share.map("{:.0%}".format) + "\n" + text, min(6.2, 6.2 * 7 / len(order))
    sns.heatmap(
        share, annot=text.where(counts > 0, ""), fmt="", cmap="Blues", vmin=0, vmax=1, cbar=False, square=True,
        linewidths=0.5, annot_kws={"size": size, "linespacing": 0.95}, xticklabels=False, yticklabels=False, ax=ax,
    )  # fmt: skip
    ax.set_facecolor("#DDDDDD")
    for row in np.flatnonzero(counts.sum(axis=1) == 0):
        ax.text(len(order) / 2, row + 0.5, "no sample tested", ha="center", va="center", fontsize=size)
    names = [textwrap.fill(name.replace("_", "_ "), 20).replace("_ ", "_") for name in order]
    middles = np.arange(len(order)) + 0.5
    short = [ABBREVIATIONS.get(name, name) for name in names]
    if max(map(len, short)) <= 2 and len(set(short)) == len(names):
        ax.set_xticks(middles, short, rotation=0)
    else:  # whole names, however long: several lines in smaller letters
        ax.set_xticks(middles, names, rotation=90)
        lines = max(name.count("\n") for name in names)
        ax.tick_params(labelsize=7 / (1 + 0.45 * lines * max(1, len(order) / 10)))
    ax.set_yticks(middles, names, rotation=0)
    _show_dollars([*ax.get_xticklabels(), *ax.get_yticklabels()])
    ax.tick_params(length=0)
    ax.set(xlabel="predicted", ylabel="truth", title=title)
    return ax


def reliability(table: pd.DataFrame, ax: Axes | None = None, colour: str = "#0072B2", title: str = "") -> Axes:
    """Draw `gndl.analysis.scores.reliability` of one method, with 95 % intervals and the gap to the diagonal."""
    ax = ax or plt.gca()
    known = table[table["count"] > 0]
    ax.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=(0, (4, 3)))
    ax.vlines(known["confidence"], known["confidence"], known["accuracy"], color=colour, linewidth=3.5, alpha=0.25)
    ax.vlines(known["confidence"], known["accuracy_low"], known["accuracy_high"], color=colour, linewidth=0.9)
    ax.plot(known["confidence"], known["accuracy"], "o", color=colour, markersize=4.5, clip_on=False)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy", title=title)
    percent_axis(ax.xaxis)
    percent_axis(ax.yaxis)
    return ax
