"""Results as tables for a reader: Table 1 and comparisons, as text, CSV and LaTeX (booktabs).

What was measured on a stand-in is named so in every row and shares no mean with the paper's numbers.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from gndl import paper
from gndl.files import write_csv, write_text
from gndl.paper import DATABASE_TITLES, DATABASES
from gndl.results import lam_as_text, measured_on

REPORTED = "reported by the paper"
IMPORTED = "imported: training not audited"

ABOUT_TABLE_1 = (
    "Recognition accuracy in percent. Ours: last epoch, mean of folds ± standard deviation between folds. An asterisk "
    "marks neutral faces in training and none at validation. Images: seen in training per epoch, by database."
)
ABOUT_COMPARISONS = (
    "Each method minus the baseline that starts from the same weights, in percentage points over the folds that both "
    "have; seeds of a fold are averaged first. Interval and t test: variance enlarged for training samples that folds "
    "share (Nadeau and Bengio); no test below seven folds. Holm: adjusted for the number of databases; the t test "
    "decides. Signed rank: exact, equal folds left out. Effect: mean by standard deviation of the folds' differences; "
    "rank: rank-biserial. Subjects: by sequences right, one vote each."
)
NOT_PEOPLE = "Synthetic stand-ins (no real people): not comparable with the paper's numbers."

FORMATS = {
    "percent": (100, "{:.2f}"),
    "points": (100, "{:+.2f}"),
    "effect": (1, "{:+.2f}"),
    "p": (1, "{:.3f}"),
    "count": (1, "{:,.0f}"),
    "millions": (1e-6, "{:.2f}"),
}
"""Kind of number to the factor by which it is multiplied and its format."""
_PDFLATEX = str.maketrans({"–": "--", "−": "$-$", "±": r"$\pm$", "†": r"$\dagger$", "λ": r"$\lambda$", "<": "$<$"})


def table_1(summary: pd.DataFrame) -> pd.DataFrame:
    """Table 1 in the paper's shape, one row a method: the paper's rows as reported, then ours as measured.

    ``summary`` is `gndl.results.summarise` of the headline's runs. Accuracies and ``sd`` are fractions, by database.
    Methods that need the neutral face at test time come last.
    """
    reported = paper.table_1().assign(source=REPORTED)
    reported[[f"accuracy_{name}" for name in DATABASES]] = (reported[list(DATABASES)] / 100).round(6)
    own, keys = _measured(lam_as_text(summary)), ["method", "setting", "source", "lam", "needs_neutral_at_test"]
    parts, columns = [], []
    for name in dict.fromkeys([*DATABASES, *own["database"]]):
        columns += [f"{part}_{name}" for part in ("accuracy", "sd", "images")]
        part = own[own["database"] == name].set_index(keys)[["accuracy", "sd", "images_per_epoch"]]
        parts.append(part.set_axis(columns[-3:], axis=1))
    parts.append(own.groupby(keys, sort=False)[["parameters"]].max())
    ours = pd.concat(parts, axis=1).reset_index().sort_values("needs_neutral_at_test", kind="stable")
    return pd.concat([reported, ours], ignore_index=True)[[*keys, *columns, "parameters"]]


def _measured(summary: pd.DataFrame) -> pd.DataFrame:
    own = summary.sort_values("needs_neutral_at_test", kind="stable", ignore_index=True)
    starred = own["neutral_in_training"].astype(bool) & ~own["needs_neutral_at_test"].astype(bool)
    image_based = np.where(starred, "image-based*", "image-based")
    return own.assign(setting=np.where(own["imported"].astype(bool), IMPORTED, image_based))


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A summary, `table_1`, or comparisons (`gndl.analysis.compare.against_baseline`) as text."""
    if "reference" in table:
        return _readable_comparisons(table)
    if "setting" in table:
        return _readable_table_1(table)
    table = _measured(table)
    text = pd.DataFrame({"Method": _titles(table) + np.where(table["needs_neutral_at_test"], " †", "")})
    text["Setting"], text["Database"] = table["setting"], _databases(table)
    text["Accuracy %"] = _with_spread(table["accuracy"], table["sd"])
    text["Folds"] = _shown(table["folds"], "count")
    shares = {"Pooled": "pooled", "Per sequence": "per_sequence", "Best epoch": "optimistic", "Chance": "chance"}
    for title, name in shares.items():
        text[f"{title} %" + " (optimistic)" * (name == "optimistic")] = _shown(table[name], "percent")
    return text


def _readable_table_1(table: pd.DataFrame) -> pd.DataFrame:
    reported, needed = table["source"] == REPORTED, table["needs_neutral_at_test"].eq(True)
    years = paper.table_1().set_index("method")["year"].map(" ({})".format, na_action="ignore")
    named = table["method"] + table["method"].map(years).fillna("")
    text = pd.DataFrame({"Method": named.where(reported, _titles(table)), "Setting": table["setting"]})
    text["Source"] = table["source"].map({REPORTED: REPORTED, "rendered": "measured on stand-ins"}).fillna("measured")
    text["Neutral at test"] = np.where(reported, "–", np.where(needed, "needed", "no"))
    databases = [str(name).removeprefix("accuracy_") for name in table if str(name).startswith("accuracy_")]
    for name in databases:
        accuracy = _with_spread(table[f"accuracy_{name}"], table[f"sd_{name}"])
        text[f"{DATABASE_TITLES.get(name, name)} %"] = accuracy
    images = pd.DataFrame({name: _shown(table[f"images_{name}"], "count") for name in databases})
    text["Images"] = [" / ".join(cell for cell in row if cell != "–") or "–" for row in images.to_numpy().tolist()]
    text["Parameters (M)"] = _shown(table["parameters"], "millions")
    return text


def _readable_comparisons(table: pd.DataFrame) -> pd.DataFrame:
    low, high, difference = (_shown(table[name], "points") for name in ("low", "high", "difference"))
    tests = {"p (corrected t)": "p", "p (Holm)": "p_adjusted", "p (signed rank, Holm)": "p_signed_rank_adjusted"}
    folds, subjects = (
        reduce(lambda a, b: a + " / " + b, (_shown(table[of + way], "count") for way in ("better", "worse", "equal")))
        for of in ("", "subjects_")
    )
    cells = {
        "Versus": table["reference"],
        "Difference [95 %]": difference + (" [" + low + ", " + high + "]").where(table["low"].notna(), ""),
        "Folds better / worse / equal": folds,
        **{title: _shown(table[name], "p").mask(table[name] < 0.001, "< 0.001") for title, name in tests.items()},
        "Effect / rank": _shown(table["effect"], "effect") + " / " + _shown(table["rank_effect"], "effect"),
        "Seeds": _shown(table["seeds"], "count"),
        "Subjects better / worse / equal": subjects,
    }
    text = pd.DataFrame(cells).where(table["difference"].notna(), "–")
    text.insert(0, "Method", _titles(table))
    text.insert(0, "Database", _databases(table))
    return text


def _titles(table: pd.DataFrame) -> pd.Series:
    """Methods at their λ as tables name them, such as "GNDL, λ = 5"."""
    lam = lam_as_text(table)["lam"]
    return table["method"].replace("gndl", "GNDL") + (", λ = " + lam).mask(lam == "none", "")


def _databases(table: pd.DataFrame) -> list[str]:
    return [measured_on(*own) for own in table[["database", "source"]].itertuples(index=False)]


def _shown(values: pd.Series, kind: str) -> pd.Series:
    """Numbers as text, with a dash where they are missing."""
    scale, form = FORMATS[kind]
    return values.astype(float).mul(scale).map(form.format).str.replace("-", "−").where(values.notna(), "–")


def _with_spread(values: pd.Series, sd: pd.Series) -> pd.Series:
    return _shown(values, "percent") + (" ± " + _shown(sd, "percent")).where(sd.notna(), "")


def save(table: pd.DataFrame, folder: Path, name: str, caption: str = "") -> None:
    """Write a table as NAME.csv (numbers) and NAME.tex (as `readable` shows it, for two columns; booktabs, graphicx).

    A table with rendered rows says so in its caption.
    """
    if (table["source"] == "rendered").any():
        caption = f"{caption} {NOT_PEOPLE}".strip()
    style = readable(table).style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    latex = style.to_latex(
        hrules=True, caption=caption, label=f"tab:{name}", environment="table*", position_float="centering"
    )
    latex = latex.replace(r"\begin{tabular}", r"\resizebox{\textwidth}{!}{\begin{tabular}")
    latex = latex.replace(r"\end{tabular}", r"\end{tabular}}")
    write_csv(lam_as_text(table), folder / f"{name}.csv")
    write_text(folder / f"{name}.tex", latex.translate(_PDFLATEX))
