"""Curves along sequences from neutral to apex: when a method is right, and how the deviation grows."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from gndl.analysis.variants import Variant
from gndl.figures.looks import look, measured_on
from gndl.figures.style import NARROW, TWO_COLUMNS, add_note, new_figure, style

INTENSITY_DESCRIPTION = "Two panels of curves over the moment of a sequence, one colour for each method."
TRUTH_COLOUR = "#222222"


def intensity_curves(table: pd.DataFrame, *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw two panels against the moment of the sequence: being right, and distance from neutral.

    Parameters
    ----------
    table : DataFrame
        Of `gndl.analysis.intensity_curves.curves`.
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    """
    with style():
        figure = new_figure(width, 5.6 if width < NARROW else 3.1)
        left, right = figure.subplots(2, 1) if width < NARROW else figure.subplots(1, 2)
        for number, ((method, _), own) in enumerate(table.groupby(["method", "lam"], sort=False)):
            colour, marker = look(str(method), number)
            _being_right(left, own, colour, marker)
            _lengths(right, own, colour, marker)
        if table["intensity"].notna().any():
            truth = table.groupby("position")["intensity"].mean()
            right.plot(truth.index, truth, color=TRUTH_COLOUR, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1.5)
        _axes(left, "share of frames, probability")
        left.set_ylim(0, 1.02)
        left.yaxis.set_major_formatter(PercentFormatter(1.0))
        _axes(right, "length relative to the apex")
        right.set_ylim(0, max(1.1, right.get_ylim()[1]))
        figure.legend(handles=_methods(table), loc="outside upper center", ncols=2 if width < NARROW else 4)
        above: Any = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2}
        left.legend(handles=_styles(("accuracy", "-"), ("probability of the true class", "--")), **above)
        right.legend(handles=_lines_of_lengths(table), **above)
        add_note(figure, source, _note(table))
    return figure


def intensity_caption(table: pd.DataFrame) -> str:
    """Caption of :func:`intensity_curves`, which can be read alone; the table with ``database`` and ``source``."""
    sequences, subjects = int(table["sequences"].max()), int(table["subjects"].max())
    names = " and ".join(label for _, label in _variants(table))
    text = (
        f"{measured_on(table)}: {names} along whole sequences, from the neutral face (0) to the apex (1): {sequences} "
        f"validation sequences of {subjects} subject{'' if subjects == 1 else 's'} that the networks never saw. Left: "
        "share of frames given their sequence's class (solid; bands: 95 % over subjects, where there are five), and "
        "that class's probability (dashed). A neutral frame shows no expression, so being right there is chance. "
        "Right: length of the deviation feature of Eq. 7 relative to that of the apex (solid), and distance of the "
        "examined feature from that of the sequence's real neutral frame (dashed), averaged over sequences"
    )
    if table["intensity"].notna().any():
        text += "; dotted: the intensity that was rendered"
    return f"{text}."


def _being_right(axes: Axes, own: pd.DataFrame, colour: str, marker: str) -> None:
    axes.plot(own["position"], own["truth_p"], color=colour, linestyle="--", linewidth=0.9, zorder=2)
    axes.plot(own["position"], own["accuracy"], color=colour, marker=marker, markersize=3.5, zorder=3, clip_on=False)
    if own["accuracy_low"].notna().all():
        axes.fill_between(own["position"], own["accuracy_low"], own["accuracy_high"], color=colour, alpha=0.16, lw=0)


def _lengths(axes: Axes, own: pd.DataFrame, colour: str, marker: str) -> None:
    axes.plot(own["position"], own["from_neutral"], color=colour, linestyle="--", linewidth=0.9, zorder=2)
    if own["deviation"].notna().any():
        axes.plot(own["position"], own["deviation"], color=colour, marker=marker, markersize=3.5, zorder=3)


def _axes(axes: Axes, label: str) -> None:
    axes.set(xlabel="from neutral (0) to apex (1)", ylabel=label, xlim=(-0.02, 1.02))


def _variants(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Method and title of every variant, in the order of the table."""
    pairs = table[["method", "lam"]].drop_duplicates().astype(str).to_numpy().tolist()
    return [(method, Variant(method, lam).title) for method, lam in pairs]


def _methods(table: pd.DataFrame) -> list[Line2D]:
    looks = [(*look(method, number), label) for number, (method, label) in enumerate(_variants(table))]
    return [Line2D([], [], color=colour, marker=marker, markersize=3.5, label=label) for colour, marker, label in looks]


def _styles(*styles: tuple[str, Any]) -> list[Line2D]:
    return [Line2D([], [], color="#555555", linestyle=dash, linewidth=1, label=text) for text, dash in styles]


def _lines_of_lengths(table: pd.DataFrame) -> list[Line2D]:
    lines = _styles(("from the real neutral feature", "--"))
    if table["deviation"].notna().any():
        lines = _styles(("deviation feature (Eq. 7)", "-")) + lines
    if table["intensity"].notna().any():
        lines += _styles(("rendered intensity", (0, (1, 1.5))))
    return lines


def _note(table: pd.DataFrame) -> str:
    sequences, subjects = int(table["sequences"].max()), int(table["subjects"].max())
    bands = "Bands: 95 % over subjects" if table["accuracy_low"].notna().any() else "Too few subjects for bands"
    return f"{sequences} sequences of {subjects} subject{'' if subjects == 1 else 's'}. {bands}"
