"""Accuracy by group of rendered people, as a table to be read: a row for each group, two columns for each method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from gndl.analysis.variants import Variant
from gndl.files import write_text
from gndl.paper import DATABASE_TITLES
from gndl.results import write_csv
from gndl.tables.results_table import percent, to_markdown


def readable_bias(table: pd.DataFrame) -> pd.DataFrame:
    """Turn `gndl.analysis.bias.study_bias` into text: percent, and points of difference to all others."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for own in table.to_dict("records"):
        name = Variant(own["method"], own["lam"]).title
        row = rows.setdefault(
            (own["attribute"], own["group"]),
            {
                "Group": own["group"] + (" skin" if own["attribute"] == "skin tone" else ""),
                "People": str(own["subjects"]),
                "Frames": str(own["frames"]),
            },
        )
        row[f"{name}, %"] = percent(own["accuracy"], 1)
        row[f"{name}: difference"] = f"{_points(own['difference'])} ({_interval(own)})"
    return pd.DataFrame(list(rows.values()))


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _interval(row: dict[Any, Any]) -> str:
    if pd.isna(row["difference_low"]):
        return "no interval"
    return f"{_points(row['difference_low'])} to {_points(row['difference_high'])}"


def bias_caption(table: pd.DataFrame) -> str:
    """Caption that can be read alone."""
    title = DATABASE_TITLES.get(str(table["database"].iloc[0]), str(table["database"].iloc[0]))
    compared = table[table["difference_low"].notna()]
    apart = int(((compared["difference_low"] > 0) | (compared["difference_high"] < 0)).sum())
    return (
        f"Rendered stand-in of {title} (faces of nobody, not the database): accuracy of the last epoch by group, and "
        "in points the difference to all others of the same attribute, with 95 % intervals by drawing people anew, not "
        f"corrected for the number of groups; {apart} of {len(compared)} intervals leave out zero. No interval: fewer "
        "than five people on a side, or all of a side equally often right."
    )


def save_bias(table: pd.DataFrame, folder: Path) -> Path:
    """Write ``bias.csv`` and ``bias.md`` into ``folder``; return the Markdown."""
    write_csv(table, folder / "bias.csv")
    write_text(folder / "bias.md", to_markdown(readable_bias(table), bias_caption(table)))
    return folder / "bias.md"
