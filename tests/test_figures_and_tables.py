"""Figures and tables say what they are made of, and the same numbers give the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gndl import figures, paper
from gndl.results import ACCURACY_COLUMNS
from gndl.tables import results_table as tables

EXPRESSIONS = paper.EXPRESSIONS["ckplus"]


def counts(seed: int = 0) -> pd.DataFrame:
    """A confusion matrix of random counts."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.integers(0, 30, (7, 7)), index=list(EXPRESSIONS), columns=list(EXPRESSIONS))


def named(method: str) -> dict[str, object]:
    """A method's columns of a summary."""
    return {"method": method, "base_method": method, "weights": "", "neutral_in_training": method != "baseline"}


def summary(source: str = "rendered") -> pd.DataFrame:
    """Two rows as `gndl.results.summarise` returns them."""
    common = {
        "database": "ckplus",
        "source": source,
        "needs_neutral_at_test": False,
        "sd": 0.02,
        "folds": 10,
        "seeds": 1,
        "pooled": 0.9,
        "per_sequence": 0.91,
        "optimistic": 0.95,
        "chance": 0.25,
        "n_test": 981,
        "parameters": 11_180_103,
    }
    return pd.DataFrame(
        [
            {**common, **named("baseline"), "lam": "none", "accuracy": 0.9, "images_per_epoch": 883},
            {**common, **named("gndl"), "lam": "5", "accuracy": 0.92, "images_per_epoch": 1766},
        ]
    )


def texts(figure: object) -> str:
    """Every text that a figure shows."""
    from matplotlib.text import Text

    return " | ".join(text.get_text() for text in figure.findobj(Text))  # type: ignore[attr-defined]


def test_confusion_matrix_shows_percent_counts_and_the_papers_order() -> None:
    """Cells hold row percent and count; the axes run in Fig. 6's order; the stand-in is named."""
    table = counts()
    figure = figures.confusion_matrices({"CK+ stand-in: gndl": table}, source="rendered")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Ha", "Sa", "Su", "Fe", "Di", "An", "Co"]
    share = 100 * table.loc["happiness", "happiness"] / table.loc["happiness"].sum()
    assert f"{share:.0f}%\n{table.loc['happiness', 'happiness']}" in texts(figure)
    assert "rendered stand-in" in texts(figure)


def test_the_key_to_the_classes_keeps_abbreviation_and_word_on_one_line() -> None:
    """The note below the matrices is wrapped between classes only."""
    note = figures.confusion_matrices({"CK+ stand-in: GNDL": counts()}, source="rendered").get_supxlabel()
    assert "\n" in note
    pieces = note.replace("\n", " ").split(". ")[1].split(", ")
    assert pieces[0] == "Ha\u00a0happiness"
    assert all(any(piece in line for line in note.split("\n")) for piece in pieces)


def test_learning_curves_call_gndl_by_its_name() -> None:
    """As all other figures of comparisons do, and not by its folder's name."""
    epochs = pd.DataFrame(
        [
            {"method": method, "lam": lam, "fold": fold, "seed": 0, "epoch": epoch}
            | {"loss": 1.0, "accuracy_train": 0.5, "accuracy_test": 0.5}
            for method, lam in (("baseline", "none"), ("gndl", "5"))
            for fold in (0, 1)
            for epoch in (1, 2)
        ]
    )
    legend = figures.learning_curves(epochs, source="rendered").legends[0]
    assert [label.get_text() for label in legend.get_texts()] == [
        "baseline (mean of 2 folds)",
        "GNDL, λ = 5 (mean of 2 folds)",
    ]


def test_the_balance_of_folds_names_classes_in_the_papers_order() -> None:
    """Whatever the order of the columns, Fig. 6's order is drawn, and a class that it lacks comes last."""
    table = pd.DataFrame({"anger": [1, 2], "boredom": [1, 1], "fear": [2, 1], "happiness": [3, 3]})
    figure = figures.fold_balance(table, source="rendered")
    legend = [label.get_text() for label in figure.legends[0].get_texts()]
    assert legend == ["boredom", "An anger", "Fe fear", "Ha happiness"], "as the pieces of a bar lie"
    assert {text.get_text() for text in figure.axes[0].texts} == {"Ha", "Fe", "An", ""}, "to be read without colour"
    heights = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    assert heights == [[3, 3], [2, 1], [1, 2], [1, 1]]


def test_a_class_without_samples_is_not_shown_as_never_predicted() -> None:
    """Its row is greyed and says so."""
    table = counts()
    table.loc["contempt"] = 0
    figure = figures.confusion_matrices({"CK+ stand-in: gndl": table}, source="rendered")
    assert texts(figure).count("no sample tested") == 1


def test_a_licensed_figure_carries_no_stand_in_note() -> None:
    """The words belong to rendered faces alone."""
    figure = figures.confusion_matrices({"CK+: gndl": counts()}, source="licensed")
    assert "stand-in" not in texts(figure)


def test_figures_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    """PDF, SVG, PNG and CSV of one figure do not depend on when they were drawn."""
    for folder in ("a", "b"):
        figure = figures.confusion_matrices({"CK+ stand-in: gndl": counts()}, source="rendered")
        figures.save_figure(figure, tmp_path / folder, "matrix", counts(), "rendered")
    for kind in ("pdf", "svg", "png", "csv"):
        assert (tmp_path / "a" / f"matrix.{kind}").read_bytes() == (tmp_path / "b" / f"matrix.{kind}").read_bytes()


def test_figures_embed_truetype_and_draw_svg_text_as_paths(tmp_path: Path) -> None:
    """No Type 3 font in the PDF, no text element in the SVG."""
    figure = figures.fold_balance(pd.DataFrame({"anger": [1, 2], "fear": [2, 1]}), source="rendered")
    figures.save_figure(figure, tmp_path, "folds", pd.DataFrame({"fold": [0]}), "rendered")
    pdf = (tmp_path / "folds.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"<text" not in (tmp_path / "folds.svg").read_bytes()
    assert (tmp_path / "folds.csv").read_text() == "fold,source\n0,rendered\n"


def test_face_grid_leaves_missing_faces_empty() -> None:
    """None is an empty cell; grey and colour faces are both drawn."""
    grey, colour = np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.uint8)
    figure = figures.face_grid(
        [[grey, None], [colour, colour]], row_labels=["a", "b"], column_labels=["neutral", "fear"], source="own"
    )
    assert sum(len(axes.images) for axes in figure.axes) == 3


def test_every_class_has_a_colour_of_its_own() -> None:
    """The same class has the same colour everywhere, and no two share one."""
    assert set(figures.CLASS_COLOURS) == set(EXPRESSIONS)
    assert len(set(figures.CLASS_COLOURS.values())) == len(EXPRESSIONS)


def test_table_1_keeps_the_papers_thirteen_rows_and_sets_ours_apart(tmp_path: Path) -> None:
    """Reported rows stand first and unaltered; a measured row is called a stand-in, in every form."""
    table = tables.table_1(summary(), "ckplus")
    reported = table[table["source"] == "reported by the paper"]
    assert len(reported) == 13
    assert reported["accuracy"].max() == pytest.approx(0.9969)
    measured = table[table["source"] == "rendered"]
    assert set(measured["measured_on"]) == {"CK+ stand-in"}
    assert measured["paper"].isna().all()
    tables.save_table_1(table, tmp_path, "ckplus")
    for kind in ("tex", "md"):
        text = (tmp_path / f"table1.{kind}").read_text()
        assert "CK+ stand-in (rendered)" in text
        assert "rendered stand-in" in text
        assert "textbf" not in text
        assert "**" not in text
    assert "optimistic" in (tmp_path / "table1.md").read_text()


def test_a_licensed_row_is_called_by_the_databases_name() -> None:
    """Only rendered faces make a stand-in."""
    measured = tables.measured_rows(summary("licensed"))
    assert set(measured["measured_on"]) == {"CK+"}
    assert list(measured["paper"]) == [0.9755, 0.9969]


def test_methods_that_need_the_neutral_face_at_test_stand_apart(tmp_path: Path) -> None:
    """They come last, behind a rule, with a mark that the caption explains and without the paper's asterisk."""
    rows = summary()
    bound = rows.iloc[[1]].assign(method="oracle", base_method="oracle", needs_neutral_at_test=True)
    table = tables.table_1(pd.concat([bound, rows], ignore_index=True), "ckplus")
    assert list(table["method"])[-3:] == ["baseline", "gndl", "oracle"]
    assert list(table["setting"])[-3:] == ["image-based", "image-based*", "image-based"]
    tables.save_table_1(table, tmp_path, "ckplus")
    text = (tmp_path / "table1.tex").read_text()
    assert r"oracle, $\lambda$ = 5 $\dagger$" in text
    assert text.count(r"\midrule") == 3
    assert "† needs the neutral face at test time" in (tmp_path / "table1.md").read_text()


def test_a_table_of_own_faces_claims_no_row_of_the_paper(tmp_path: Path) -> None:
    """Without a database of the paper there is no reported row, no second rule and no such caption."""
    table = tables.table_1(summary("own").assign(database="manifest"), "manifest")
    tables.save_table_1(table, tmp_path, "manifest")
    assert (tmp_path / "table1.tex").read_text().count(r"\midrule") == 1
    assert "reported by the paper" not in (tmp_path / "table1.md").read_text()


@given(st.lists(st.sampled_from(EXPRESSIONS), min_size=1, unique=True))
def test_the_figures_order_loses_no_class(expressions: list[str]) -> None:
    """Whatever classes there are, Fig. 6's order is a permutation of them."""
    assert sorted(paper.figure_order(tuple(expressions))) == sorted(expressions)


def test_the_papers_counts_add_up() -> None:
    """Class counts sum to the sequences, three pairs a sequence."""
    for name, stated in paper.COUNTS.items():
        assert stated.pairs == 3 * stated.labelled
        if stated.per_class is not None:
            assert sum(stated.per_class.values()) == stated.labelled
            assert set(stated.per_class) == set(paper.EXPRESSIONS[name])
    assert [choice.number for choice in paper.LEDGER] == [f"L{n}" for n in range(1, 22)]
    assert ACCURACY_COLUMNS[0] == "database"
