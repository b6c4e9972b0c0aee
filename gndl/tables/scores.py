"""Tables of scores: every way to count an accuracy side by side, class by class, and what error bars are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.analysis.scores import scores
from gndl.analysis.variants import Variant
from gndl.comparison import FEWEST_FOLDS
from gndl.files import write_text
from gndl.results import write_csv
from gndl.tables.latex import to_latex
from gndl.tables.results_table import measured_on, percent, to_markdown

OPTIMISTIC = "optimistic: chosen on the test fold"
"""What an accuracy of the best epoch is called wherever it is shown."""

OF_TITLES = {"frames": "per frame", "sequences": "per sequence, one vote"}


MOST_SIDE_BY_SIDE = 4
"""Methods whose columns fit side by side over both columns of acmart."""


def variants_of(summary: pd.DataFrame) -> list[Variant]:
    """The variants of a summary (`gndl.results.summarise`), in its order."""
    return [Variant(str(row.method), str(row.lam)) for row in summary.itertuples()]


def score_table(out: Path, database: str, summary: pd.DataFrame) -> pd.DataFrame:
    """Score every variant of a summary (`gndl.analysis.scores.scores`), with ``database`` and ``source`` in front."""
    tables = [scores(out, database, variant) for variant in variants_of(summary)]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "database", database)
    table.insert(1, "source", str(summary["source"].iloc[0]))
    return table


def readable_scores(table: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Show every accuracy of every method side by side, as text in percent.

    Parameters
    ----------
    table : DataFrame
        Of :func:`score_table`.
    summary : DataFrame
        Of `gndl.results.summarise`, of the same variants.
    """
    rows = []
    for own in summary.to_dict("records"):
        here = table[(table["method"] == own["method"]) & (table["lam"] == own["lam"]) & (table["class"] == "all")]
        of = here.set_index(["of", "measure"])
        text: dict[str, Any] = {
            "Method": Variant(str(own["method"]), str(own["lam"])).title,
            "Last epoch, mean of folds ± sd %": percent(own["accuracy"], 1)
            + ("" if pd.isna(own["sd"]) else f" ± {percent(own['sd'], 1)}"),
            f"Best epoch % ({OPTIMISTIC})": percent(own["optimistic"], 1),
        }
        for unit, title in (("frames", "frames"), ("sequences", "sequences")):
            text[f"Pooled {title} % [95 %]"] = _with_interval(of.loc[(unit, "accuracy")])
            text[f"Macro recall, {title} %"] = percent(of.loc[(unit, "macro_recall"), "value"], 1)
            text[f"Macro F1, {title} % [95 %]"] = _with_interval(of.loc[(unit, "macro_f1")])
        rows.append(text)
    return pd.DataFrame(rows)


def _with_interval(row: pd.Series | Mapping[Any, Any]) -> str:
    interval = "" if pd.isna(row["low"]) else f" [{percent(row['low'], 1)}, {percent(row['high'], 1)}]"
    return percent(row["value"], 1) + interval


def readable_classes(table: pd.DataFrame) -> pd.DataFrame:
    """Show recall and F1 of every class and method, as text in percent, with the interval of the recall."""
    rows = []
    classes = [name for name in dict.fromkeys(table["class"]) if name != "all"]
    for (method, lam), own in table.groupby(["method", "lam"], sort=False):
        cells = {(row["of"], row["class"], row["measure"]): row for row in own.to_dict("records")}
        for name in classes:
            text: dict[str, Any] = {"Method": Variant(str(method), str(lam)).title, "Class": name}
            for unit in ("frames", "sequences"):
                recall, f1 = cells[unit, name, "recall"], cells[unit, name, "f1"]
                text[unit.capitalize()] = int(recall["count"])
                text[f"Recall, {unit} % [95 %]"] = _with_interval(recall)
                text[f"F1, {unit} %"] = percent(f1["value"], 1)
            rows.append(text)
    return pd.DataFrame(rows)


def score_caption(table: pd.DataFrame) -> str:
    """Say under a table of scores how its numbers are counted and what its intervals are made of."""
    seeds, folds = int(table["seeds"].max()), int(table["folds"].max())
    subjects = int(table["subjects"].max())
    on = measured_on(str(table["database"].iloc[0]), str(table["source"].iloc[0]))
    rendered = " (rendered stand-in)" if table["source"].iloc[0] == "rendered" else ""
    return (
        f"Measured on {on}{rendered}: {folds} fold{'' if folds == 1 else 's'}, {seeds} seed{'' if seeds == 1 else 's'} "
        f"each, {subjects} subject{'' if subjects == 1 else 's'}. Last epoch throughout, but for the best epoch "
        f"({OPTIMISTIC}). "
        "Mean of folds ± standard deviation between folds; pooled: all frames, or all sequences with one vote each. "
        "Macro: plain mean over the classes tested. Brackets: 95 % intervals over subjects (bootstrap of whole "
        "subjects, trained networks as they are)."
    )


def save_scores(table: pd.DataFrame, summary: pd.DataFrame, folder: Path, database: str) -> None:
    """Write ``scores`` (CSV in full; Markdown and LaTeX over all) and ``class_scores`` (Markdown and LaTeX)."""
    caption = score_caption(table)
    write_csv(table, folder / "scores.csv")
    whole, classes = readable_scores(table, summary), readable_classes(table)
    for name, text, latex in (("scores", whole, upright(whole)), ("class_scores", classes, classes)):
        write_text(folder / f"{name}.md", to_markdown(text, caption))
        write_text(folder / f"{name}.tex", to_latex(latex, caption, f"tab:{name.replace('_', '-')}-{database}"))


def upright(text: pd.DataFrame) -> pd.DataFrame:
    """Turn a table of a few methods on its side, a column each, so that it fits a page at the manuscript's size."""
    if len(text) > MOST_SIDE_BY_SIDE:
        return text
    return text.set_index("Method").T.rename_axis("Accuracy").rename_axis(columns=None).reset_index()


def error_bars_table() -> pd.DataFrame:
    """List every spread and interval that a study shows, and what it is made of."""
    t = "95 % interval of the mean by Student's t, variance × (1/k + n_test/n_train) for k folds (Nadeau and Bengio)"
    subjects = "95 % interval, whole subjects drawn with replacement 2,000 times; none below five subjects"
    between = "standard deviation between folds (k − 1 below), seeds of a fold averaged first"
    rows = [
        ("Table 1, ±", "folds", between),
        ("differences from the baseline", "folds", f"{t}; no test below {FEWEST_FOLDS} folds"),
        ("spread between seeds", "seeds", "standard deviation between seeds of one fold, pooled over folds"),
        ("pooled accuracy, recall, F1", "subjects", subjects),
        ("Fig. 7, bands and lines", "folds", t),
        ("reliability diagram, lines", "subjects", subjects),
        ("accuracy along sequences", "subjects", subjects),
        ("glasses, beards and so on", "subjects", subjects),
        ("deviation features, ±", "folds", "standard deviation between folds"),
        ("deviation features, lines", "folds", "no interval: from the lowest fold to the highest"),
        ("learning curves", "folds", "none drawn: every fold is a thin line"),
        ("ablations and finer grains, ±", "folds", between),
        ("ablations and finer grains, brackets and lines", "folds", f"{t}; paired by fold and seed, no test"),
        (
            "across databases, brackets",
            "subjects",
            f"{subjects}; of one accuracy, not of a difference, and not between trainings",
        ),
        (
            "chosen on development subjects, the gap and differences",
            "folds",
            f"{t}; no test below {FEWEST_FOLDS} folds",
        ),
        (
            "`gndl bias`, differences of a group to all others",
            "subjects",
            "95 % interval, whole subjects of either side drawn with replacement 2,000 times; none below five subjects "
            "on a side, not corrected for the number of groups",
        ),
    ]
    return pd.DataFrame(rows, columns=["where", "made of", "what it is"])


def in_words(table: pd.DataFrame, variants: Iterable[Variant]) -> str:
    """Say in Markdown which class each method finds best and worst, per sequence."""
    lines = []
    for variant in variants:
        own = table[(table["method"] == variant.method) & (table["lam"] == variant.lam) & (table["of"] == "sequences")]
        recall = own[(own["measure"] == "recall") & own["value"].notna()]
        if recall.empty:
            continue
        values = recall["value"].to_numpy(float)
        best, worst = recall.iloc[int(values.argmax())], recall.iloc[int(values.argmin())]
        f1 = own.loc[(own["class"] == "all") & (own["measure"] == "macro_f1"), "value"].iloc[0]
        lines.append(
            f"- **{variant.title}** finds {best['class']} most surely ({percent(best['value'], 0)} % of "
            f"{int(best['count'])} sequences) and {worst['class']} least ({percent(worst['value'], 0)} % of "
            f"{int(worst['count'])}{_between(worst)}); macro F1 {percent(f1, 1)} %."
        )
    return "\n".join(lines)


def _between(row: pd.Series) -> str:
    return "" if pd.isna(row["low"]) else f", 95 % between {percent(row['low'], 0)} and {percent(row['high'], 0)}"
