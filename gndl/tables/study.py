"""Tables that span a study's databases: Table 1 in the paper's own shape, and every paired comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.analysis.variants import Variant
from gndl.comparison import FEWEST_FOLDS
from gndl.files import write_text
from gndl.manuscript.bibliography import REFERENCE_KEYS
from gndl.manuscript.tex import escape
from gndl.paper import DATABASE_TITLES, DATABASES, TABLE_1
from gndl.results import write_csv
from gndl.tables.latex import Tex, to_latex
from gndl.tables.results_table import measured_rows, percent, to_markdown

REPORTED = "reported by the paper"


def study_table_1(summaries: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Table 1 in the paper's shape: one row per method, one accuracy per database; the paper's rows first.

    Parameters
    ----------
    summaries : mapping of database to DataFrame
        Headline's rows of `gndl.results.summarise`.

    Returns
    -------
    DataFrame
        ``method``, ``setting``, ``source`` and ``lam``; ``accuracy_DATABASE`` and ``sd_DATABASE`` as fractions;
        ``needs_neutral_at_test``; ``images_DATABASE`` per epoch and ``parameters`` (the largest of the databases).
    """
    databases = [*DATABASES, *(name for name in summaries if name not in DATABASES)]
    rows: list[dict[str, Any]] = []
    for row in TABLE_1:
        reported = {"method": row.method, "setting": row.setting, "source": REPORTED, "lam": None}
        for name in DATABASES:
            value = getattr(row, name)
            reported[f"accuracy_{name}"] = None if value is None else round(value / 100, 6)
        rows.append(reported)
    measured: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name, summary in summaries.items():
        for own in measured_rows(summary).to_dict("records"):
            key = (str(own["source"]), str(own["method"]), str(own["lam"]))
            row_of = measured.setdefault(
                key, {part: own[part] for part in ("method", "setting", "source", "lam", "needs_neutral_at_test")}
            )
            row_of |= {f"accuracy_{name}": own["accuracy"], f"sd_{name}": own["sd"]}
            row_of[f"images_{name}"] = own["images_per_epoch"]
            row_of["parameters"] = max(own["parameters"], row_of.get("parameters", 0))
    rows += sorted(measured.values(), key=lambda own: own["needs_neutral_at_test"])
    columns = ["method", "setting", "source", "lam", "needs_neutral_at_test"]
    columns += [f"{part}_{name}" for name in databases for part in ("accuracy", "sd", "images")]
    return pd.DataFrame(rows, columns=[*columns, "parameters"]).astype(object)


def readable_study_table(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the study's Table 1 into text: percent with the spread between folds, images per epoch by database."""
    databases = [name.removeprefix("accuracy_") for name in table.columns if name.startswith("accuracy_")]
    years = {row.method: row.year for row in TABLE_1}
    rows = []
    for own in table.to_dict("records"):
        reported = own["source"] == REPORTED
        year = years.get(own["method"]) if reported else None
        name = own["method"] if reported else Variant(str(own["method"]), str(own["lam"])).title
        text = {
            "Method": f"{name} ({year})" if year else name,
            "Setting": own["setting"],
            "Neutral face at test": "–" if reported else ("needed" if own["needs_neutral_at_test"] else "no"),
        }
        for name in databases:
            spread = "" if pd.isna(own[f"sd_{name}"]) else f" ± {percent(own[f'sd_{name}'])}"
            text[f"{DATABASE_TITLES.get(name, name)} %"] = percent(own[f"accuracy_{name}"]) + spread
        images = [own[f"images_{name}"] for name in databases if not pd.isna(own[f"images_{name}"])]
        text["Images per epoch"] = " / ".join(f"{int(value):,}" for value in images) or "–"
        text["Parameters (M)"] = "–" if pd.isna(own["parameters"]) else f"{own['parameters'] / 1e6:.2f}"
        rows.append(text)
    return pd.DataFrame(rows)


def save_study_table(table: pd.DataFrame, folder: Path) -> Path:
    """Write the study's Table 1 as CSV, Markdown and LaTeX (with citations) into ``folder``; return the Markdown."""
    text = readable_study_table(table)
    reported = table["source"].eq(REPORTED).to_numpy()
    apart = table["needs_neutral_at_test"].eq(True).to_numpy()
    rendered = table["source"].eq("rendered").any()
    count = int(reported.sum())
    caption = (
        "Recognition accuracy in percent: above as reported by the paper, below as measured here"
        + (
            " on rendered stand-ins of the databases (rendered stand-in: faces of nobody, not comparable with the rows "
            "above)"
            if rendered
            else ""
        )
        + ". Ours: last epoch, mean of folds ± standard deviation between folds. An asterisk marks neutral faces in "
        "training and none at validation. Images: seen in training per epoch, by database."
    )
    latex = text.copy()
    for number, row in enumerate(TABLE_1):
        if row.reference is not None:
            key = REFERENCE_KEYS[row.reference]
            latex.loc[number, "Method"] = Tex(rf"{escape(str(text['Method'][number]))}~\cite{{{key}}}")
    latex = latex.rename(columns={"Images per epoch": "Images", "Neutral face at test": "Neutral at test"})
    latex.columns = latex.columns.str.removesuffix(" %")
    rules = (count, int(apart.argmax())) if apart.any() else (count,)
    headings = {0: "Reported by the paper", count: "Measured on rendered stand-ins" if rendered else "Measured here"}
    write_csv(table, folder / "table1.csv")
    write_text(folder / "table1.tex", to_latex(latex, caption, "tab:study", rules, headings=headings))
    write_text(folder / "table1.md", to_markdown(text, caption))
    return folder / "table1.md"


def p_value(value: Any) -> str:
    """Print a p value; a dash where no test was made."""
    if pd.isna(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def points(value: Any) -> str:
    """Print a difference of fractions in percentage points, with its sign; a dash where there is none."""
    return "–" if pd.isna(value) else f"{100 * value:+.2f}".replace("-", "−")


def readable_comparisons(table: pd.DataFrame) -> pd.DataFrame:
    """Turn comparisons (`gndl.comparison.compare_with_baseline`, of one or more databases) into text."""
    rows = []
    for own in table.to_dict("records"):
        title = DATABASE_TITLES.get(own["database"], own["database"])
        compared = bool(own["against"]) and not pd.isna(own["against"])
        interval = f"{points(own['low'])} to {points(own['high'])}" if compared and not pd.isna(own["low"]) else "–"
        rows.append(
            {
                "On": title + (" stand-in" if own["source"] == "rendered" else ""),
                "Method": Variant(str(own["method"]), str(own["lam"])).title,
                "Against": own["against"] if compared else "–",
                "Folds": int(own["folds"]) if compared else "–",
                "Difference": points(own["difference"]) if compared else "–",
                "95 % interval": interval,
                "Better / worse / equal": f"{int(own['better'])} / {int(own['worse'])} / {int(own['equal'])}"
                if compared
                else "–",
                "p (corrected t)": p_value(own["p_corrected_t"]) if compared else "–",
                "p (Holm)": p_value(own.get("p_holm")) if compared else "–",
                "p (signed rank)": p_value(own["p_wilcoxon"]) if compared else "–",
                "Effect / rank": _effects(own) if compared else "–",
                "Seeds": int(own["seeds"]) if compared else "–",
                "Subjects better / worse / equal": _subjects(own) if compared else "–",
            }
        )
    return pd.DataFrame(rows)


def compact_comparisons(text: pd.DataFrame) -> pd.DataFrame:
    """Bring readable comparisons into as few columns as acmart's page has room for at its own size.

    What is one and the same in every row (the baseline, a single seed) is left to the caption.
    """
    compact = text[["On", "Method"]].copy()
    for name, usual in (("Against", "baseline"), ("Seeds", 1)):
        if not text[name].isin([usual, "–"]).all():
            compact[name] = text[name]
    intervals = text["95 % interval"].str.replace(" to ", ", ")
    compact["Difference [95 %]"] = [
        difference if interval == "–" else f"{difference} [{interval}]"
        for difference, interval in zip(text["Difference"], intervals, strict=True)
    ]
    compact["Folds"] = text["Better / worse / equal"]
    values = text[["p (corrected t)", "p (Holm)", "p (signed rank)"]]
    compact["p"] = ["–" if set(row) == {"–"} else ", ".join(row) for row in values.to_numpy().tolist()]
    compact["Effect / rank"], compact["Subjects"] = text["Effect / rank"], text["Subjects better / worse / equal"]
    return compact


def _effects(own: Mapping[Any, Any]) -> str:
    values = ("–" if pd.isna(own[name]) else f"{own[name]:+.2f}" for name in ("effect", "rank_effect"))
    return " / ".join(values).replace("-", "−")


def _subjects(own: Mapping[Any, Any]) -> str:
    names = ("subjects_better", "subjects_worse", "subjects_equal")
    return " / ".join("–" if pd.isna(own.get(name, None)) else str(int(own[name])) for name in names)


def save_comparisons(table: pd.DataFrame, folder: Path) -> Path | None:
    """Write the paired comparisons as CSV, Markdown and LaTeX into ``folder``; None where nothing was compared."""
    if table.empty or "difference" not in table.columns:
        return None
    rendered = table["source"].eq("rendered").any()
    caption = (
        "Each method minus the baseline that starts from the same weights (an imported method: the plain baseline), in "
        "percentage points over the folds that "
        "both have"
        + (", on rendered stand-ins (faces of nobody, not the databases)" if rendered else "")
        + ". Interval and t-test with the variance enlarged for training samples that folds share; below "
        f"{FEWEST_FOLDS} folds no test is made. Holm: adjusted for the databases tested. Signed rank: exact, equal "
        "folds left out. Effect: mean by standard deviation of the folds' differences; rank: rank-biserial. Seeds of a "
        "fold are averaged first. Subjects: by sequences right, one vote each."
    )
    text = readable_comparisons(table)
    write_csv(table, folder / "comparisons.csv")
    counted = f"{caption} Folds and subjects: better / worse / equal. p: corrected t, the same after Holm, signed rank."
    write_text(folder / "comparisons.tex", to_latex(compact_comparisons(text), counted, "tab:comparisons"))
    write_text(folder / "comparisons.md", to_markdown(text, caption))
    return folder / "comparisons.md"
