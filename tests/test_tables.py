"""Tables say what they are made of, and never mix the paper's numbers with those of stand-ins."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytest_regressions.dataframe_regression import DataFrameRegressionFixture
from pytest_regressions.file_regression import FileRegressionFixture

from gndl import results, tables


def named(method: str, /, **changes: object) -> dict[str, object]:
    """One row of a summary."""
    ours = method != "baseline"
    row: dict[str, object] = {"database": "ckplus", "source": "rendered", "method": method, "base_method": method}
    row |= {"weights": "", "lam": 5.0 if ours else np.nan, "needs_neutral_at_test": False, "neutral_in_training": ours}
    row |= {"imported": False, "accuracy": 0.92 if ours else 0.9, "sd": 0.02, "folds": 10, "seeds": 1, "pooled": 0.905}
    row |= {"per_sequence": 0.91, "optimistic": 0.95, "chance": 0.25, "n_test": 981, "parameters": 11_180_103}
    row |= {"images_per_epoch": 1766 if ours else 883}
    return row | changes


def summary(**changes: object) -> pd.DataFrame:
    return pd.DataFrame([named("baseline", **changes), named("gndl", **changes)])


BOUND = {"method": "oracle-swap", "needs_neutral_at_test": True, "neutral_in_training": True}


def test_summary_of_the_planted_study(planted_study: Path, dataframe_regression: DataFrameRegressionFixture) -> None:
    """Every way to count, from the files to the table (15, 17 of 18 right a fold; one vote a sequence)."""
    own = results.summarise(results.read(planted_study, "ckplus").headline)
    assert own["accuracy"].tolist() == pytest.approx([15 / 18, 17 / 18])
    assert own["per_sequence"].tolist() == pytest.approx([15 / 18, 1.0])
    numbers = own.drop(columns=["seeds", "n_test"]).select_dtypes("number")
    dataframe_regression.check(numbers, default_tolerance={"atol": 1e-12})


def test_table_1_keeps_the_papers_rows_as_reported_and_ours_apart() -> None:
    """Reported rows come first and unaltered, ours are named as measured, on stand-ins where faces were rendered."""
    table = tables.table_1(summary())
    reported, own = table[table["source"] == tables.REPORTED], table[table["source"] == "rendered"]
    assert len(reported) == 13 and reported["accuracy_ckplus"].max() == 0.9969
    assert table.index.tolist() == [*reported.index, *own.index]
    assert own["setting"].tolist() == ["image-based", "image-based*"] and own["lam"].tolist() == ["none", "5"]
    text = tables.readable(table)
    assert text["CK+ %"].iloc[-1] == "92.00 ± 2.00" and text["MMI %"].iloc[-1] == "–"
    assert text["Method"].iloc[[-3, -1]].tolist() == ["GNDL", "GNDL, λ = 5"]
    assert text["Source"].iloc[-1] == "measured on stand-ins"
    assert tables.readable(tables.table_1(summary(source="licensed")))["Source"].iloc[-1] == "measured"


def test_a_summary_says_what_was_measured_on_which_faces() -> None:
    """Methods that need the neutral face at test come last, marked, without the paper's asterisk."""
    rows = pd.concat([pd.DataFrame([named("gndl", **BOUND)]), summary(source="own", database="manifest")])
    text = tables.readable(rows)
    assert text["Method"].tolist() == ["baseline", "GNDL, λ = 5", "oracle-swap, λ = 5 †"]
    assert text["Database"].tolist() == ["Own faces", "Own faces", "CK+ stand-in"]
    assert text["Setting"].iloc[-1] == "image-based" and text["Accuracy %"].iloc[0] == "90.00 ± 2.00"
    unknown = dict.fromkeys(("optimistic", "images_per_epoch", "parameters"), np.nan)
    table = pd.DataFrame([named("imported-other", imported=True, lam=np.nan, **unknown)])
    assert tables.readable(table)["Setting"].item() == "imported: training not audited"
    assert tables.readable(table)["Best epoch % (optimistic)"].item() == "–"
    assert tables.readable(tables.table_1(table))[["Images", "Parameters (M)"]].iloc[-1].tolist() == ["–", "–"]


def test_the_papers_table_with_two_databases(file_regression: FileRegressionFixture, tmp_path: Path) -> None:
    """One row a method, one accuracy a database: numbers as CSV, text as LaTeX."""
    rows = pd.concat(
        [summary(), summary(database="mmi", accuracy=0.8, images_per_epoch=100), pd.DataFrame([named("gndl", **BOUND)])]
    )
    table = tables.table_1(rows)
    assert table.loc[13, ["accuracy_ckplus", "accuracy_mmi"]].tolist() == [0.9, 0.8]
    tables.save(table, tmp_path, "table1", tables.ABOUT_TABLE_1)
    assert len(pd.read_csv(tmp_path / "table1.csv")) == 16
    file_regression.check((tmp_path / "table1.tex").read_text(), extension=".tex")


def comparisons() -> pd.DataFrame:
    """Two rows as `gndl.analysis.compare.against_baseline` gives them, one without a baseline."""
    row = {
        "database": "ckplus",
        "source": "rendered",
        "method": "gndl",
        "lam": 5.0,
        "reference": "baseline",
        "seeds": 1,
    }
    row |= {"difference": 0.03, "low": -0.0005, "high": 0.0601, "better": 7, "worse": 1, "equal": 2, "folds": 10}
    row |= {"p": 0.00002, "p_adjusted": 0.0312, "p_signed_rank_adjusted": np.nan, "effect": -0.71, "rank_effect": 1.0}
    row |= {"subjects": 118, "subjects_better": 11, "subjects_worse": 2, "subjects_equal": 105}
    alone = {"database": "mmi", "source": "rendered", "method": "gndl-imagenet", "lam": 5.0, "reference": ""}
    return pd.DataFrame([row, alone])


def test_comparisons_are_shown_in_points_with_interval_and_tests(
    file_regression: FileRegressionFixture, tmp_path: Path
) -> None:
    """A dash where there was no test, and where there is no baseline."""
    tables.save(comparisons(), tmp_path, "comparisons", "Versus the baseline.")
    text = tables.readable(comparisons())
    assert text.loc[0, "Difference [95 %]"] == "+3.00 [−0.05, +6.01]"
    assert text.loc[0, "p (corrected t)"] == "< 0.001" and text.loc[0, "p (signed rank, Holm)"] == "–"
    assert set(text.loc[1].iloc[2:]) == {"–"}
    file_regression.check((tmp_path / "comparisons.tex").read_text(), extension=".tex")


def test_a_table_of_stand_ins_says_so(tmp_path: Path) -> None:
    tables.save(tables.table_1(summary()), tmp_path, "table1")
    tables.save(tables.table_1(summary(source="licensed")), tmp_path, "licensed")
    text = (tmp_path / "table1.tex").read_text()
    assert "measured on stand-ins" in text and "no real people" in text
    assert "textbf" not in text, "no number is set off as the best"
    assert "stand-in" not in (tmp_path / "licensed.tex").read_text()


def test_latex_needs_no_sign_beyond_ascii(tmp_path: Path) -> None:
    rows = pd.DataFrame([named("imported-my_net", imported=True), named("oracle-swap", **BOUND)])
    tables.save(rows, tmp_path, "summary", tables.ABOUT_COMPARISONS)
    latex = (tmp_path / "summary.tex").read_text()
    assert r"imported-my\_net, $\lambda$ = 5" in latex and r"Accuracy \%" in latex and r"92.00 $\pm$ 2.00" in latex
    assert not [sign for sign in latex if ord(sign) > 127]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex to set the tables with")
def test_tables_fit_the_page_of_acmart(tmp_path: Path) -> None:
    tables.save(tables.table_1(summary()), tmp_path, "table1", tables.ABOUT_TABLE_1)
    tables.save(comparisons(), tmp_path, "comparisons", tables.ABOUT_COMPARISONS)
    text = r"\documentclass[sigconf,nonacm]{acmart}\begin{document}\input{table1}\input{comparisons}\end{document}"
    (tmp_path / "paper.tex").write_text(text)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    said = done.stdout.decode("latin-1")
    assert done.returncode == 0, said[-2000:]
    assert "Overfull" not in said
