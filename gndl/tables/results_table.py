"""Results in, tables out: Table 1's rows beside ours, as LaTeX (booktabs), Markdown and CSV.

What was measured on a rendered stand-in is called so, stands in a block of its own, and shares no mean and no bold
face with the paper's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.analysis.variants import Variant
from gndl.files import write_text
from gndl.imported import MARK
from gndl.paper import DATABASE_TITLES, TABLE_1, reported_accuracy
from gndl.results import write_csv
from gndl.tables.latex import to_latex

TABLE_COLUMNS = (
    "method",
    "setting",
    "measured_on",
    "source",
    "lam",
    "accuracy",
    "sd",
    "folds",
    "pooled",
    "per_sequence",
    "best_epoch_optimistic",
    "chance",
    "paper",
    "needs_neutral_at_test",
    "images_per_epoch",
    "parameters",
)


def measured_on(database: str, source: str) -> str:
    """Name what a number was measured on: "CK+", or "CK+ stand-in" where the faces were rendered."""
    title = DATABASE_TITLES.get(database, database)
    return f"{title} stand-in" if source == "rendered" else title


def reported_rows(database: str) -> pd.DataFrame:
    """The paper's own rows of Table 1 for one database, as fractions; empty for a database that it does not have."""
    rows = []
    for row in TABLE_1:
        percent = getattr(row, database, None)
        if percent is not None:
            year = f" ({row.year})" if row.year else ""
            rows.append(
                {
                    "method": f"{row.method}{year}",
                    "setting": row.setting,
                    "measured_on": DATABASE_TITLES[database],
                    "source": "reported by the paper",
                    "accuracy": round(percent / 100, 6),
                }
            )
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))


def measured_rows(summary: pd.DataFrame) -> pd.DataFrame:
    """Our rows from `gndl.results.summarise`, the paper's number beside each method that it has.

    The setting's asterisk means neutral faces in training and none at validation, as in the paper. Methods that need
    the neutral face at test time come last.
    """
    rows = []
    for record in summary.sort_values("needs_neutral_at_test", kind="stable").to_dict("records"):
        apart, rendered = record["needs_neutral_at_test"], record["source"] == "rendered"
        rows.append(
            {
                "method": record["method"],
                "setting": _setting(record, apart),
                "measured_on": measured_on(record["database"], record["source"]),
                "source": record["source"],
                "lam": record["lam"],
                "accuracy": record["accuracy"],
                "sd": record["sd"],
                "folds": record["folds"],
                "pooled": record["pooled"],
                "per_sequence": record["per_sequence"],
                "best_epoch_optimistic": record["optimistic"],
                "chance": record["chance"],
                # A number of the paper beside one on rendered faces would invite a comparison that means nothing.
                "paper": None if rendered else reported_accuracy(record["base_method"], record["database"]),
                "needs_neutral_at_test": record["needs_neutral_at_test"],
                "images_per_epoch": record["images_per_epoch"],
                "parameters": record["parameters"],
            }
        )
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))


def _setting(record: Mapping[Any, Any], apart: bool) -> str:
    if record.get("imported") is True:
        return MARK
    return f"image-based{'*' if record['neutral_in_training'] and not apart else ''}"


def table_1(summary: pd.DataFrame, database: str) -> pd.DataFrame:
    """Table 1 for one database: the paper's rows as reported, then ours as measured."""
    reported, measured = reported_rows(database), measured_rows(summary)
    parts = [part for part in (reported, measured) if len(part)]
    return pd.concat([part.astype(object) for part in parts], ignore_index=True) if parts else reported


def percent(value: Any, decimals: int = 2) -> str:
    """Print a fraction as percent; what is missing as a dash."""
    return "–" if pd.isna(value) else f"{100 * float(value):.{decimals}f}"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Turn Table 1 into text as a reader sees it: percent, spread between folds, best epoch marked."""

    def number(value: Any) -> str:
        return "–" if pd.isna(value) else f"{int(value):,}"

    def accuracy(row: pd.Series) -> str:
        spread = "" if pd.isna(row["sd"]) else f" ± {percent(row['sd'])}"
        return percent(row["accuracy"]) + spread

    def method(row: pd.Series) -> str:
        mark = " †" if row["needs_neutral_at_test"] is True else ""
        if row["source"] == "reported by the paper":
            return f"{row['method']}{mark}"
        return Variant(str(row["method"]), str(row["lam"])).title + mark

    return pd.DataFrame(
        {
            "Method": table.apply(method, axis=1),
            "Setting": table["setting"],
            "On": [
                on if source == "reported by the paper" else f"{on}" + (" (rendered)" if source == "rendered" else "")
                for on, source in zip(table["measured_on"], table["source"], strict=True)
            ],
            "Accuracy %": table.apply(accuracy, axis=1),
            "Folds": table["folds"].map(number),
            "Pooled %": table["pooled"].map(percent),
            "Per sequence %": table["per_sequence"].map(percent),
            "Best epoch % (optimistic: chosen on the test fold)": table["best_epoch_optimistic"].map(percent),
            "Chance %": table["chance"].map(percent),
            "Paper %": table["paper"].map(percent),
            "Images per epoch": table["images_per_epoch"].map(number),
            "Parameters": table["parameters"].map(number),
        }
    )


def to_markdown(text: pd.DataFrame, caption: str) -> str:
    """Write a table of texts as Markdown with its caption below."""
    rows = [text.columns.tolist(), ["---"] * len(text.columns), *text.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows) + f"\n\n{caption}\n"


def compact(table: pd.DataFrame) -> pd.DataFrame:
    """Turn Table 1 into text that fits a page in print: short headings, no column that repeats what a heading says."""
    text = readable(table)
    names = {
        "Method": "Method",
        "Setting": "Setting",
        "Accuracy %": "Accuracy",
        "Folds": "Folds",
        "Pooled %": "Pooled",
        "Per sequence %": "Per seq.",
        "Best epoch % (optimistic: chosen on the test fold)": "Best ep.",
        "Chance %": "Chance",
        "Paper %": "Paper",
        "Images per epoch": "Images",
        "Parameters": "Param. (M)",
    }
    text["Parameters"] = ["–" if pd.isna(value) else f"{float(value) / 1e6:.2f}" for value in table["parameters"]]
    if table["paper"].isna().all():
        del names["Paper %"]
    return text[list(names)].rename(columns=names)


def save_table_1(table: pd.DataFrame, folder: Path, database: str) -> Path:
    """Write Table 1 of one database as CSV, Markdown and LaTeX into ``folder``; return the Markdown file."""
    title = DATABASE_TITLES.get(database, database)
    reported = int((table["source"] == "reported by the paper").sum())
    apart = table["needs_neutral_at_test"].eq(True).to_numpy()
    sentences = [f"Recognition accuracy on {title}" + (" as reported by the paper, and ours" if reported else "")]
    if (table["source"] == "rendered").any():
        sentences[0] += f" as measured on the {title} stand-in (rendered stand-in: not comparable with the rows above)"
    else:
        sentences[0] += " as measured"
    sentences += [
        "Accuracy of the last epoch, mean of folds ± standard deviation between folds",
        "Pooled: over all samples tested. Per sequence: one vote for its frames",
        "Best epoch: optimistic, chosen on the test fold",
        "Chance: always answering the class that is most frequent in the folds tested",
        "An asterisk marks neutral faces in training and none at validation",
    ]
    if apart.any():
        sentences.append("† needs the neutral face at test time and stands apart: no method of the paper does")
    caption = ". ".join(sentences) + "."
    rules = {reported, int(apart.argmax()) if apart.any() else reported} - {0}
    on = f"{title} stand-in (rendered)" if (table["source"] == "rendered").any() else title
    headings = {reported: f"Measured on {'the ' * on.endswith('(rendered)')}{on}"}
    if reported:
        headings[0] = f"Reported by the paper on {title}"
    in_print = f"{caption} Accuracies in percent. Images: seen in training per epoch. Param.: millions of parameters."
    latex = to_latex(compact(table), in_print, f"tab:{database}", tuple(sorted(rules)), headings=headings)
    write_csv(table, folder / "table1.csv")
    write_text(folder / "table1.tex", latex)
    write_text(folder / "table1.md", to_markdown(readable(table), caption))
    return folder / "table1.md"
