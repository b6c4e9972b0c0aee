"""Ablations and finer grains as one table: each variant against GNDL and against the baseline, paired by fold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.comparison import compare
from gndl.files import write_text
from gndl.methods import METHOD_GROUPS, method_settings
from gndl.paper import DATABASE_TITLES
from gndl.results import FinishedRun, finished_runs, require_one_configuration, write_csv
from gndl.tables.latex import to_latex
from gndl.tables.results_table import percent, to_markdown
from gndl.tables.study import points

GROUP_TITLES = {
    "ablations": "What each part of GNDL earns",
    "granularity": "The neutral feature, disentangled at the map of each layer and at the pooled vector",
}
REFERENCES = {"gndl": "GNDL", "baseline": "the baseline"}

VARIANT_COLUMNS = (
    *("group", "database", "source", "method", "lam", "purpose", "needs_neutral_at_test", "folds", "accuracy", "sd"),
    *(f"to_{reference}_{part}" for reference in REFERENCES for part in ("folds", "difference", "low", "high")),
    *("images_per_epoch", "parameters"),
)


def variant_table(out: Path, group: str, lam: float) -> pd.DataFrame:
    """Compare the variants of one group that a study has run.

    Parameters
    ----------
    out : Path
        The study's directory.
    group : str
        One of `gndl.methods.METHOD_GROUPS`.
    lam : float
        λ fixed beforehand; runs at other values stay out (ledger L19).

    Returns
    -------
    DataFrame
        One row per database and method, in the group's order, methods that need the neutral face at test last:
        ``accuracy`` of the last epoch, mean over ``folds`` with ``sd`` between them (seeds of a fold averaged first);
        ``to_gndl_…`` and ``to_baseline_…``: paired difference over the ``folds`` that both have, and its 95 % interval
        with the variance enlarged for shared training samples (:func:`gndl.comparison.compare`). Empty where nothing
        but baseline and GNDL was run.

    Raises
    ------
    GndlError
        Where runs of one variant were trained under different configurations.
    """
    methods = sorted(METHOD_GROUPS[group], key=lambda name: method_settings(name).needs_neutral_at_test)
    runs = [run for run in finished_runs(out) if run.method in methods and run.lam in ("none", f"{lam:g}")]
    require_one_configuration(runs)
    rows: list[dict[str, Any]] = []
    for database in dict.fromkeys(run.database for run in runs):
        folds = {
            name: _by_fold(run for run in runs if (run.database, run.method) == (database, name)) for name in methods
        }
        if not any(len(folds[name]) for name in methods if name not in REFERENCES):
            continue
        rows += [
            _row(
                group,
                database,
                name,
                folds,
                next(run for run in runs if (run.database, run.method) == (database, name)),
            )
            for name in methods
            if len(folds[name])
        ]
    return pd.DataFrame(rows, columns=list(VARIANT_COLUMNS))


def _by_fold(runs: Iterable[FinishedRun]) -> pd.DataFrame:
    """Accuracy and ratio of tested to trained samples of each fold, seeds averaged."""
    rows = [(run.fold, run.record["accuracy_last"], run.record["n_test"] / run.record["n_train"]) for run in runs]
    return pd.DataFrame(rows, columns=["fold", "accuracy", "share"]).groupby("fold").mean()


def _row(group: str, database: str, name: str, folds: dict[str, pd.DataFrame], run: FinishedRun) -> dict[str, Any]:
    own = folds[name]
    settings = method_settings(name)
    row = {
        "group": group,
        "database": database,
        "source": run.source,
        "method": name,
        "lam": run.lam,
        "purpose": settings.purpose,
        "needs_neutral_at_test": settings.needs_neutral_at_test,
        "folds": len(own),
        "accuracy": float(own["accuracy"].mean()),
        "sd": float(own["accuracy"].std(ddof=1)),
        "images_per_epoch": run.record["images_per_epoch"],
        "parameters": run.record["parameters"],
    }
    for reference in REFERENCES:
        both = own.merge(folds[reference], on="fold", suffixes=("", "_reference"))
        if name == reference or both.empty:
            continue
        difference = (both["accuracy"] - both["accuracy_reference"]).to_numpy(float)
        compared = compare(difference, float(both["share"].mean()))
        row |= {f"to_{reference}_{part}": compared[part] for part in ("folds", "difference", "low", "high")}
    return row


def readable_variants(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the table into text: percent, and differences in points with their intervals."""
    rows = []
    for own in table.to_dict("records"):
        text = {
            "On": DATABASE_TITLES[own["database"]] + (" stand-in" if own["source"] == "rendered" else ""),
            "Method": own["method"] + (" (neutral face at test)" if own["needs_neutral_at_test"] else ""),
            "What it changes": own["purpose"],
            "Folds": str(own["folds"]),
            "Accuracy %": percent(own["accuracy"]) + ("" if pd.isna(own["sd"]) else f" ± {percent(own['sd'])}"),
        }
        for reference, title in REFERENCES.items():
            interval = f" [{points(own[f'to_{reference}_low'])}, {points(own[f'to_{reference}_high'])}]"
            known = not pd.isna(own[f"to_{reference}_low"])
            text[f"Against {title}"] = points(own[f"to_{reference}_difference"]) + (interval if known else "")
        rows.append(text)
    return pd.DataFrame(rows)


def variants_caption(table: pd.DataFrame) -> str:
    """Caption that can be read alone; ``table`` of one group, of one or more databases."""
    group, folds = str(table["group"].iloc[0]), sorted(set(table["folds"]))
    stand_in = ", on rendered stand-ins (faces of nobody, not the databases)" if _rendered(table) else ""
    counts = str(folds[0]) if len(folds) == 1 else f"{folds[0]} to {folds[-1]}"
    return (
        f"{GROUP_TITLES[group]}{stand_in}: accuracy of the last epoch in percent, mean of {counts} "
        f"fold{'' if folds == [1] else 's'} ± standard deviation between folds, and paired differences in percentage "
        "points with 95 % intervals over the folds that both methods have. Intervals allow for training samples that "
        "folds share; below seven folds there is no test. Methods that need the neutral face at test stand apart: they "
        "are bounds, not competitors."
    )


def save_variants(out: Path, folder: Path, lam: float) -> list[pd.DataFrame]:
    """Write every group that was run as CSV, Markdown and LaTeX into ``folder``; return the tables."""
    written = []
    for group in METHOD_GROUPS:
        table = variant_table(out, group, lam)
        if table.empty:
            continue
        text, caption = readable_variants(table), variants_caption(table)
        apart = table["database"].ne(table["database"].shift()) | (
            table["needs_neutral_at_test"].astype(int).diff().eq(1)
        )
        rules = tuple(int(row) for row in apart.to_numpy().nonzero()[0] if row)
        write_csv(table, folder / f"{group}.csv")
        write_text(folder / f"{group}.tex", to_latex(text, caption, f"tab:{group}", rules))
        write_text(folder / f"{group}.md", to_markdown(text, caption))
        written.append(table)
    return written


def _rendered(table: pd.DataFrame) -> bool:
    return bool(table["source"].eq("rendered").any())
