"""Tables of what was chosen on development subjects, and of what choosing on the test fold would have promised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.analysis.variants import Variant
from gndl.files import write_text
from gndl.paper import DATABASE_TITLES
from gndl.results import write_csv
from gndl.selection import choices, summarise_choices
from gndl.tables.latex import to_latex
from gndl.tables.results_table import percent, to_markdown
from gndl.tables.scores import OPTIMISTIC


def save_choices(out: Path, database: str, folder: Path) -> pd.DataFrame:
    """Write ``choices.csv`` (fold by fold) and ``choices_summary`` (CSV, Markdown, LaTeX); return the summary.

    Nothing is written, and the summary is empty, where no run has development subjects.
    """
    chosen = choices(out, database)
    summary = summarise_choices(chosen)
    if len(summary):
        write_csv(chosen, folder / "choices.csv")
        write_csv(summary, folder / "choices_summary.csv")
        text, caption = readable_choices(summary), choices_caption(summary)
        write_text(folder / "choices_summary.md", to_markdown(text, caption))
        write_text(folder / "choices_summary.tex", to_latex(text, caption, f"tab:choices-{database}"))
    return summary


def readable_choices(summary: pd.DataFrame) -> pd.DataFrame:
    """Show a summary (:func:`gndl.selection.summarise_choices`) as text, accuracies in percent, differences in points.

    Parameters
    ----------
    summary : DataFrame
        May be of several databases.
    """
    rows = []
    for row in summary.to_dict("records"):
        rows.append(
            {
                "Method": Variant(row["method"]).title,
                "λ": row["lams"].removeprefix("λ ").replace(" ", ", ").replace("none", "–"),
                "Folds": str(row["folds"]),
                "Fixed λ, last epoch %": percent(row["fixed"], 1),
                "Chosen on development subjects %": percent(row["on_dev"], 1),
                f"Chosen on the test fold % ({OPTIMISTIC})": percent(row["on_test"], 1),
                "Gap [95 %]": _points(row, "gap"),
                "Development against fixed [95 %]": _points(row, "to_fixed"),
                "Against the baseline, both by development [95 %]": _points(row, "to_baseline"),
            }
        )
    return pd.DataFrame(rows)


def choices_caption(summary: pd.DataFrame) -> str:
    """Say what the table is of, and what every number in it was chosen on."""
    first = summary.iloc[0]
    stand_in = " stand-in (rendered faces)" if first["source"] == "rendered" else ""
    return (
        f"{DATABASE_TITLES[str(first['database'])]}{stand_in}: λ and epoch fixed beforehand, chosen on development "
        "subjects, and chosen on the test fold itself. Development subjects are held out of training and test of each "
        "fold. All accuracies are those of the test folds, means over folds; the gap is what choosing on the test fold "
        "adds. Intervals are made of folds (corrected t)."
    )


def _points(row: Mapping[Any, Any], name: str) -> str:
    if pd.isna(row[name]):
        return "–"
    text = f"{100 * row[name]:+.1f}"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return text if pd.isna(low) else f"{text} [{100 * low:+.1f}, {100 * high:+.1f}]"
