"""Accuracy across databases as a table: trained on the one, tested on the other, and within each beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.analysis.resampling import interval_over_subjects
from gndl.analysis.variants import Variant
from gndl.cross import finished_across
from gndl.errors import GndlError
from gndl.files import write_text
from gndl.paper import DATABASE_TITLES
from gndl.results import finished_runs, read_csv, write_csv
from gndl.tables.latex import to_latex
from gndl.tables.results_table import percent, to_markdown

CROSS_COLUMNS = (
    *("train_on", "test_on", "source", "method", "lam", "accuracy", "low", "high", "macro_recall", "chance"),
    *("classes", "seeds", "n_train", "n_test", "subjects"),
)


def cross_table(out: Path, lam: float) -> pd.DataFrame:
    """Summarise a study's runs across databases, and those within each database beside them.

    Parameters
    ----------
    out : Path
        The study's directory.
    lam : float
        λ fixed beforehand.

    Returns
    -------
    DataFrame
        One row per training, test and method: ``accuracy`` of the last epoch over all samples tested (seeds averaged),
        with the 95 % interval ``low`` to ``high`` by drawing test subjects anew (it does not tell how much another
        training would differ); ``macro_recall``, the mean of the classes' recalls; ``chance``, always answering the
        class most frequent in the test; ``classes`` that all databases involved have. Within one database: the samples
        of all folds together, each by the run that did not see its subject, on the database's own classes. Empty where
        nothing was run across.
    """
    rows: list[dict[str, Any]] = []
    groups: dict[tuple[str, str, str, str], list[tuple[pd.DataFrame, dict[str, Any]]]] = {}
    for run in finished_across(out):
        train_on, _, test_on = run.database.partition("-to-")
        groups.setdefault((train_on, test_on, run.method, run.lam), []).append((_predictions(run.folder), run.record))
    if not groups:
        return pd.DataFrame(columns=list(CROSS_COLUMNS))
    methods = {(method, lam_name) for _, _, method, lam_name in groups}
    for run in finished_runs(out):
        if (run.method, run.lam) in methods and run.lam in ("none", f"{lam:g}"):
            groups.setdefault((run.database, run.database, run.method, run.lam), []).append(
                (_predictions(run.folder), run.record)
            )
    for (train_on, test_on, method, lam_name), found in groups.items():
        rows.append({"train_on": train_on, "test_on": test_on, "method": method, "lam": lam_name} | _summary(found))
    order = {name: number for number, name in enumerate(DATABASE_TITLES)}
    table = pd.DataFrame(rows, columns=list(CROSS_COLUMNS))
    place = table["train_on"].map(lambda text: (text.count("+"), [order.get(name, 99) for name in text.split("+")]))
    keys = list(zip(place, table["test_on"].map(order), table["method"], strict=True))
    return table.iloc[sorted(range(len(table)), key=keys.__getitem__)].reset_index(drop=True)


def _predictions(folder: Path) -> pd.DataFrame:
    return read_csv(folder / "predictions.csv", ("sample", "subject", "truth", "predicted"))


def _summary(found: list[tuple[pd.DataFrame, dict[str, Any]]]) -> dict[str, Any]:
    """Numbers of all runs of one cell: of several seeds, or of the folds of one database."""
    table = pd.concat([predictions for predictions, _ in found], ignore_index=True)
    records = [record for _, record in found]
    classes = {tuple(record["expressions"]) for record in records}
    if len(classes) > 1:
        raise GndlError("Runs that are to be summarised together were trained on different classes; train them alike.")
    right = (table["truth"] == table["predicted"]).to_numpy(dtype=float)
    interval = interval_over_subjects(right, np.ones(len(right)), table["subject"])
    low, high = interval if interval is not None else (np.nan, np.nan)
    recalls = pd.Series(right).groupby(table["truth"].to_numpy()).mean()
    return {
        "source": records[0]["identity"]["extra"]["source"],
        "accuracy": float(right.mean()),
        "low": low,
        "high": high,
        "macro_recall": float(recalls.mean()),
        "chance": float(table["truth"].value_counts(normalize=True).iloc[0]),
        "classes": len(next(iter(classes))),
        "seeds": len({record["seed"] for record in records}),
        "n_train": round(float(np.mean([record["n_train"] for record in records]))),
        "n_test": len(table) // len({record["seed"] for record in records}),
        "subjects": table["subject"].nunique(),
    }


def title_of(databases: str) -> str:
    """Print ``ckplus+mmi`` as ``CK+ and MMI``."""
    return " and ".join(DATABASE_TITLES.get(name, name) for name in databases.split("+"))


def readable_cross(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the table into text, in percent."""
    rows = []
    for own in table.to_dict("records"):
        within = own["train_on"] == own["test_on"]
        interval = "" if pd.isna(own["low"]) else f" [{percent(own['low'], 1)}, {percent(own['high'], 1)}]"
        rows.append(
            {
                "Trained on": title_of(own["train_on"]) + (" (folds)" if within else ""),
                "Tested on": title_of(own["test_on"]),
                "Method": Variant(own["method"], own["lam"]).title,
                "Accuracy %": percent(own["accuracy"], 1) + interval,
                "Macro recall %": percent(own["macro_recall"], 1),
                "Chance %": percent(own["chance"], 1),
                "Classes": str(own["classes"]),
                "Tested": f"{own['n_test']:,} of {own['subjects']} subjects",
            }
        )
    return pd.DataFrame(rows)


def cross_caption(table: pd.DataFrame) -> str:
    """Caption that can be read alone."""
    return (
        "Trained on all subjects of one database and tested on all of another, on the classes that both have"
        + (" (rendered stand-ins: faces of nobody, not the databases)" if _rendered(table) else "")
        + ". Accuracy of the last epoch over all samples tested, with 95 % intervals by drawing test subjects anew; "
        "they do not tell how much another training would differ. Within a database: all folds together, each subject "
        "tested by the run that did not see it, on the database's own classes."
    )


def cross_in_words(table: pd.DataFrame) -> str:
    """Say in Markdown how far each method is from the baseline on a database that it has not seen, and what that shows.

    Parameters
    ----------
    table : DataFrame
        Of :func:`cross_table`; what lies within one database is compared elsewhere, fold by fold.
    """
    across = table[table["train_on"] != table["test_on"]]
    lines = []
    for (train_on, test_on), own in across.groupby(["train_on", "test_on"], sort=False):
        baseline = next((row for row in own.to_dict("records") if row["method"] == "baseline"), None)
        for row in own.to_dict("records"):
            if baseline is None or row["method"] == "baseline":
                continue
            alone = row["seeds"] == baseline["seeds"] == 1
            made_of = "single trainings" if alone else f"means of {row['seeds']} and {baseline['seeds']} seeds, no test"
            difference = _ahead(row["accuracy"] - baseline["accuracy"])
            lines.append(
                f"- **{Variant(row['method'], row['lam']).title}**, trained on {title_of(str(train_on))} and tested on "
                f"{title_of(str(test_on))}: {difference}; {made_of}: no difference shown."
            )
    if not lines:
        return "Nothing was run beside a baseline across databases, so there is nothing to compare."
    nobody = " Measured on rendered faces, it says nothing about people." if _rendered(table) else ""
    closing = (
        "No test is made: intervals are those of each accuracy over test subjects, not of a difference, and do not "
        f"tell how much another training would differ.{nobody}"
    )
    return "\n".join([*lines, "", closing])


def _ahead(difference: float) -> str:
    if round(100 * abs(difference), 1) == 0:
        return "level with the baseline"
    return f"{100 * abs(difference):.1f} points {'ahead of' if difference > 0 else 'behind'} the baseline"


def _rendered(table: pd.DataFrame) -> bool:
    return bool(table["source"].eq("rendered").any())


def save_cross(table: pd.DataFrame, folder: Path) -> None:
    """Write ``across.csv``, ``.md`` and ``.tex`` into ``folder``."""
    text, caption = readable_cross(table), cross_caption(table)
    write_csv(table, folder / "across.csv")
    write_text(folder / "across.md", f"{to_markdown(text, caption)}\n{cross_in_words(table)}\n")
    write_text(folder / "across.tex", to_latex(text, caption, "tab:across"))
