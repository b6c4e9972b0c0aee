"""Ablations and finer grains as one table: each variant against GNDL and the baseline, paired by fold and seed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.comparison import FEWEST_FOLDS, compare
from gndl.files import write_text
from gndl.methods import METHOD_GROUPS, method_settings
from gndl.paper import DATABASE_TITLES
from gndl.results import FinishedRun, finished_runs, require_one_configuration, write_csv
from gndl.tables.latex import to_latex
from gndl.tables.results_table import measured_on, percent, to_markdown
from gndl.tables.study import points

GROUP_TITLES = {
    "ablations": "What each part of GNDL earns",
    "granularity": "The neutral feature, disentangled at the map of each layer and at the pooled vector",
}
REFERENCES = {"gndl": "GNDL", "baseline": "the baseline"}

VARIANT_COLUMNS = (
    *("group", "database", "source", "method", "lam", "purpose", "needs_neutral_at_test"),
    *("folds", "seeds", "accuracy", "sd"),
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
        ``accuracy`` of the last epoch, mean over ``folds`` with ``sd`` between them, the ``seeds`` of a fold averaged
        first (the fewest that a fold has); ``to_gndl_…`` and ``to_baseline_…``: difference paired by fold and seed,
        over the ``folds`` where both have a seed in common, and its 95 % interval with the variance enlarged for shared
        training samples (:func:`gndl.comparison.compare`). Empty where nothing but baseline and GNDL was run.

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
        found = {
            name: _by_run(run for run in runs if (run.database, run.method) == (database, name)) for name in methods
        }
        if not any(len(found[name]) for name in methods if name not in REFERENCES):
            continue
        rows += [
            _row(
                group,
                database,
                name,
                found,
                next(run for run in runs if (run.database, run.method) == (database, name)),
            )
            for name in methods
            if len(found[name])
        ]
    return pd.DataFrame(rows, columns=list(VARIANT_COLUMNS))


def _by_run(runs: Iterable[FinishedRun]) -> pd.DataFrame:
    """Accuracy and ratio of tested to trained samples of every fold and seed."""
    rows = [
        (run.fold, run.seed, run.record["accuracy_last"], run.record["n_test"] / run.record["n_train"]) for run in runs
    ]
    return pd.DataFrame(rows, columns=["fold", "seed", "accuracy", "share"])


def _row(group: str, database: str, name: str, found: dict[str, pd.DataFrame], run: FinishedRun) -> dict[str, Any]:
    own = found[name]
    folds = own.groupby("fold")["accuracy"]
    settings = method_settings(name)
    row = {
        "group": group,
        "database": database,
        "source": run.source,
        "method": name,
        "lam": run.lam,
        "purpose": settings.purpose,
        "needs_neutral_at_test": settings.needs_neutral_at_test,
        "folds": folds.ngroups,
        "seeds": int(folds.size().min()),
        "accuracy": float(folds.mean().mean()),
        "sd": float(folds.mean().std(ddof=1)),
        "images_per_epoch": run.record["images_per_epoch"],
        "parameters": run.record["parameters"],
    }
    for reference in REFERENCES:
        # A seed that one method alone has would stand in the difference as if it were the method's doing.
        both = own.merge(found[reference], on=["fold", "seed"], suffixes=("", "_reference"))
        if name == reference or both.empty:
            continue
        paired = both.assign(difference=both["accuracy"] - both["accuracy_reference"]).groupby("fold")
        difference = paired["difference"].mean().to_numpy(float)
        compared = compare(difference, float(paired["share"].mean().mean()))
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
            "Folds": str(own["folds"]) + ("" if own["seeds"] == 1 else f" × {own['seeds']} seeds"),
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
    group = str(table["group"].iloc[0])
    stand_in = ", on rendered stand-ins (faces of nobody, not the databases)" if _rendered(table) else ""
    return (
        f"{GROUP_TITLES[group]}{stand_in}: accuracy of the last epoch in percent, mean of {_made_of(table)}, ± "
        "standard deviation between folds, and differences in percentage points, paired by fold and seed, with 95 % "
        "intervals over the folds that both methods have. Seeds of a fold are averaged first. Intervals allow for "
        "training samples that folds share; no test is made. Methods that need the neutral face at test stand apart: "
        "they are bounds, not competitors."
    )


def _made_of(table: pd.DataFrame) -> str:
    """Folds and seeds that the means of some rows are of: "3 to 4 folds, one seed each"."""
    texts = []
    for column in ("folds", "seeds"):
        counts = sorted(set(table[column]))
        text = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        texts.append(f"{text} {column.removesuffix('s') if counts == [1] else column}")
    return f"{texts[0]}, {'one seed' if texts[1] == '1 seed' else texts[1]} each"


def variants_in_words(table: pd.DataFrame) -> str:
    """Say of every row of a group what its intervals show, in Markdown, and that none of them is a test.

    The baseline has no sentence of its own: GNDL's is the same comparison.

    Parameters
    ----------
    table : DataFrame
        Of :func:`variant_table`.
    """
    lines, apart, intervals = [], 0, 0
    for row in table.to_dict("records"):
        parts = []
        for reference, title in REFERENCES.items():
            if row["method"] == "baseline" or pd.isna(row[f"to_{reference}_difference"]):
                continue
            known = not pd.isna(row[f"to_{reference}_low"])
            leaves_out = known and (row[f"to_{reference}_low"] > 0 or row[f"to_{reference}_high"] < 0)
            intervals, apart = intervals + known, apart + leaves_out
            shown = "the interval leaves out zero" if leaves_out else "no difference shown"
            parts.append(f"{points(row[f'to_{reference}_difference'])} points against {title}, {shown}")
        if parts:
            bound = ", a bound that is given the neutral face at test" if row["needs_neutral_at_test"] else ""
            on = measured_on(row["database"], row["source"])
            lines.append(f"- **{row['method']}** on {on}{bound}: {'; '.join(parts)}.")
    some = f"{apart} of {intervals} intervals leave out zero" if intervals else "a single fold has no interval"
    chance = "; one in twenty would where nothing differs, and they are not corrected for their number" if apart else ""
    few = "so few folds allow no test, and none is made" if table["folds"].max() < FEWEST_FOLDS else "no test is made"
    nobody = " Measured on rendered faces, it says nothing about people." if _rendered(table) else ""
    closing = f"Means of {_made_of(table)}: {few}; {some}{chance}.{nobody}"
    return "\n".join([*lines, "", closing])


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
        write_text(folder / f"{group}.md", f"{to_markdown(text, caption)}\n{variants_in_words(table)}\n")
        written.append(table)
    return written


def _rendered(table: pd.DataFrame) -> bool:
    return bool(table["source"].eq("rendered").any())
