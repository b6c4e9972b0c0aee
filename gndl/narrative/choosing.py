"""What notebook 3 says of λ and epoch chosen on development subjects, beside the same chosen on the test fold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.analysis.variants import Variant
from gndl.selection import choices, summarise_choices
from gndl.tables.choices import choices_caption, readable_choices
from gndl.tables.results_table import to_markdown

NONE_HELD = (
    "This study holds no development subjects: λ was fixed beforehand and the last epoch counts, so nothing was "
    "chosen, and what the test folds would choose enters no table. `gndl study --select-on dev --out runs/NAME` holds "
    "development subjects out of every fold, chooses λ and epoch on them, and shows here what choosing on the test "
    "folds would have promised beyond that."
)


def choosing(out: Path, database: str) -> str:
    """Return table and words, in Markdown, of one database of a study; a sentence where nobody is held out."""
    summary = summarise_choices(choices(out, database))
    if summary.empty:
        return NONE_HELD
    return f"{to_markdown(readable_choices(summary), choices_caption(summary))}\n\n{in_plain_words(summary)}"


def in_plain_words(summary: pd.DataFrame) -> str:
    """Say what a summary of choices shows, one Markdown line a method."""
    return "\n".join(f"- {_sentence(row)}" for row in summary.to_dict("records"))


def _sentence(row: Mapping[Any, Any]) -> str:
    what = "the epoch" if row["lams"] == "λ none" else "λ and epoch"
    folds = f"{row['folds']} fold{'' if row['folds'] == 1 else 's'}"
    text = (
        f"**{Variant(row['method']).title}**: with {what} chosen on development subjects the mean accuracy of {folds} "
        f"is {100 * row['on_dev']:.1f} %; chosen on the test folds it would read {100 * row['on_test']:.1f} %, "
        f"{100 * row['gap']:.1f} points more that nobody could count on."
    )
    if not pd.isna(row["fixed"]):
        text += f" Fixed beforehand it is {100 * row['fixed']:.1f} %."
    if not pd.isna(row["to_baseline"]):
        text += f" Against the {row['baseline']}, chosen likewise: {100 * row['to_baseline']:+.1f} points"
        if not pd.isna(row["to_baseline_low"]):
            text += f", 95 % interval {100 * row['to_baseline_low']:+.1f} to {100 * row['to_baseline_high']:+.1f}"
        text += "."
        if pd.isna(row["to_baseline_p"]):
            text += " With so few folds no test is made."
        elif row["to_baseline_p"] < 0.05:
            text += f" The folds tell the two apart (corrected t, p = {row['to_baseline_p']:.2g}, approximate)."
        else:
            text += f" No difference is shown (corrected t, p = {row['to_baseline_p']:.2g}, approximate)."
    return text
