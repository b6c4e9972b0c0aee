"""What was measured in the features of a method: closeness, retrieval, silhouettes and probes, beside chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, PercentFormatter

from gndl.analysis.agreement import ALL
from gndl.analysis.measurement import DEVIATION, DEVIATION_REAL, F_EXAM, F_GEN, F_NEU, MEAN_NEUTRAL
from gndl.analysis.retrieval import ANOTHER, DATABASE, SAME, TOP_1
from gndl.analysis.variants import Variant
from gndl.figures.looks import measured_on
from gndl.figures.style import NARROW, TWO_COLUMNS, add_note, new_figure, style

FEATURE_LOOKS = {
    F_EXAM: ("#7F7F7F", "o"),
    DEVIATION: ("#0072B2", "D"),
    DEVIATION_REAL: ("#56B4E9", "s"),
    F_GEN: ("#D55E00", "*"),
    F_NEU: ("#009E73", "s"),
    MEAN_NEUTRAL: ("#222222", "P"),
}
"""Colour and marker of a feature, the same in every panel."""

MEASURES_DESCRIPTION = (
    "Four panels of dots on horizontal lines: distance from the real neutral feature, share of queries that find their "
    "subject, silhouettes by class and by subject, and scores of linear probes, each beside a tick at chance."
)

WORST = -0.25
"""Values of R² below this are drawn here, as arrows: how much worse than guessing says little."""


def deviation_measures(numbers: pd.DataFrame, *, source: str, width: float = TWO_COLUMNS) -> Figure:
    """Draw what was measured in the features of a method: closeness, retrieval, silhouettes and probes, a panel each.

    Points are means over folds, lines reach from the lowest to the highest fold, black ticks stand at chance.

    Parameters
    ----------
    numbers : DataFrame
        Of :func:`gndl.analysis.measurement.over_folds`, of one method with a generator.
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    """
    drawn = numbers[numbers["value"].notna()]
    with style():
        figure = new_figure(width, 9.6 if width < NARROW else 5.3)
        grid = figure.subplots(4, 1) if width < NARROW else figure.subplots(2, 2).flat
        for axes, panel in zip(grid, (_closeness, _retrieval, _silhouettes, _probes), strict=True):
            panel(axes, drawn)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
            axes.set_axisbelow(True)
        figure.legend(handles=_feature_legend(drawn), loc="outside upper center", ncols=3 if width < NARROW else 7,
                      columnspacing=1.2, handletextpad=0.3)  # fmt: skip
        folds = int(drawn["folds"].max())
        lines = f"Means of {folds} folds, lines from the lowest to the highest" if folds > 1 else "One fold alone"
        add_note(figure, source, f"{lines}. Black ticks: chance")
    return figure


def measures_caption(numbers: pd.DataFrame) -> str:
    """Caption of :func:`deviation_measures`, which can be read alone; the table with ``source``."""
    folds, method, lam = int(numbers["folds"].max()), str(numbers["method"].iloc[0]), str(numbers["lam"].iloc[0])
    return (
        f"{measured_on(numbers)}: what is in the features of {Variant(method, lam).title}, measured on validation "
        "subjects. Upper left: distance from the real neutral "
        "feature, relative to its size, of the generated one, of F_exam itself, and of the mean neutral feature of the "
        "training subjects, which knows nobody. Upper right: how often a query finds its own subject among one neutral "
        "face per subject of the whole database. Lower left: silhouette by class and by subject, a sequence being one "
        "point. Lower right: linear probes, accuracy for identity and R² for what was drawn; fitted and scored on "
        "different people, but for identity, where sequences are split. Points are means over "
        f"{folds} fold{'' if folds == 1 else 's'}, lines reach from the lowest to the highest fold, black ticks are "
        "chance; an arrow is a value beyond the axis."
    )


def _closeness(axes: Axes, numbers: pd.DataFrame) -> None:
    rows = numbers[(numbers["measure"] == "relative L1") & (numbers["condition"] == ALL)]
    entries = [(_row_of(rows, feature), name) for feature, name in (
        (F_EXAM, "F_exam itself"), (MEAN_NEUTRAL, "mean neutral\nof others"), (F_GEN, "G(F_exam)"))]  # fmt: skip
    _dots(axes, entries, "How far from the real neutral feature?")
    axes.set_xlabel("relative L1 distance (log axis)")
    if any(row is not None for row, _ in entries):
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        ticks = [tick for tick in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if low <= tick <= high]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_locator(FixedLocator([]))


def _retrieval(axes: Axes, numbers: pd.DataFrame) -> None:
    rows = numbers[numbers["measure"] == TOP_1]
    entries = []
    for own in (SAME, ANOTHER):
        of_one = rows[rows["condition"] == f"{DATABASE}, {own}"]
        entries += [(_row_of(of_one, feature), f"{feature}\n{own}") for feature in (F_EXAM, F_GEN, F_NEU)
                    if (feature, own) != (F_NEU, SAME)]  # fmt: skip
    choices = rows.loc[rows["condition"].str.startswith(DATABASE), "choices"]
    size = f" ({choices.iloc[0]:.0f} subjects)" if len(choices) else ""
    _dots(axes, entries, f"Whose neutral face is it?{size}")
    axes.set_xlim(-0.03, 1.03)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("own subject found first")


def _silhouettes(axes: Axes, numbers: pd.DataFrame) -> None:
    entries = []
    for by in ("class", "subject"):
        rows = numbers[numbers["measure"] == f"silhouette by {by}"]
        entries += [(_row_of(rows, feature), f"by {by}: {feature}") for feature in (F_EXAM, DEVIATION)]
    _dots(axes, entries, "What lies together?")
    if any(row is not None for row, _ in entries):
        axes.axvline(0, color="#BBBBBB", linewidth=0.6, zorder=0)
    axes.set_xlim(-1.03, 1.03)
    axes.set_xlabel("silhouette")


def _probes(axes: Axes, numbers: pd.DataFrame) -> None:
    rows = numbers[numbers["analysis"] == "probe"]
    measures = list(dict.fromkeys(rows["measure"]))
    for place, measure in enumerate(measures):
        own = rows[rows["measure"] == measure]
        shown = [feature for feature in (F_EXAM, DEVIATION, F_GEN, F_NEU) if feature in set(own["feature"])]
        for number, feature in enumerate(shown):
            aside = 0.22 * (number - (len(shown) - 1) / 2)
            _dot(axes, own[own["feature"] == feature].iloc[0], place + aside, least=WORST)
        _chance(axes, own.iloc[0], place, 0.42)
    _frame(axes, [name if name != "identity" else "identity (accuracy)" for name in measures], "What can be read off?")
    axes.set_xlim(WORST - 0.05, 1.03)
    axes.set_xlabel("accuracy, or R²")


def _row_of(rows: pd.DataFrame, feature: str) -> pd.Series | None:
    found = rows[rows["feature"] == feature]
    return found.iloc[0] if len(found) else None


def _dots(axes: Axes, entries: Sequence[tuple[pd.Series | None, str]], title: str) -> None:
    """Draw one line per entry, from above; those without a number are left out."""
    there = [(row, name) for row, name in entries if row is not None]
    for place, (row, _) in enumerate(there):
        _dot(axes, row, place)
        _chance(axes, row, place, 0.3)
    _frame(axes, [name for _, name in there], title)


def _frame(axes: Axes, names: Sequence[str], title: str) -> None:
    axes.set_title(title)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    if not names:
        axes.text(0.5, 0.5, "too few people in these folds", ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])


def _dot(axes: Axes, row: pd.Series, place: float, least: float = -np.inf) -> None:
    colour, marker = FEATURE_LOOKS[row["feature"]]
    if np.isfinite(row["lowest"]):
        ends = np.maximum([row["lowest"], row["highest"]], least)
        axes.plot(ends, [place, place], color=colour, linewidth=1.0, alpha=0.7, solid_capstyle="butt", zorder=2)
    beyond = row["value"] < least
    size = 6 if marker == "*" else 4.2
    axes.plot(max(row["value"], least), place, "<" if beyond else marker, color=colour, markersize=size,
              markeredgecolor="white", markeredgewidth=0.3, zorder=3)  # fmt: skip


def _chance(axes: Axes, row: pd.Series, place: float, reach: float) -> None:
    if np.isfinite(row["chance"]):
        axes.plot([row["chance"]] * 2, [place - reach, place + reach], color="#000000", linewidth=1.0, zorder=1)


def _feature_legend(numbers: pd.DataFrame) -> list[Line2D]:
    names = {F_NEU: "F_neu (real)"}
    in_panels = numbers["measure"].isin(["relative L1", TOP_1]) | numbers["analysis"].isin(["silhouette", "probe"])
    shown = set(numbers.loc[in_panels, "feature"]) - {DEVIATION_REAL}
    return [
        Line2D([], [], linestyle="", color=colour, marker=marker, markersize=6 if marker == "*" else 4.2,
               label=names.get(feature, feature))
        for feature, (colour, marker) in FEATURE_LOOKS.items() if feature in shown
    ]  # fmt: skip
