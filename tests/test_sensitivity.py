"""Accuracy against λ is what one would work out by hand, and a decrease is marked only where a test says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from gndl.errors import GndlError
from gndl.figures.looks import look
from gndl.figures.redraw import redraw
from gndl.figures.sensitivity import sensitivity_curves, sensitivity_differences, sensitivity_figures
from gndl.figures.sensitivity_captions import differences_caption, sensitivity_caption
from gndl.narrative.sensitivity_words import in_plain_words, readable
from gndl.prepare import Prepared
from gndl.profiles import PROFILES, STANDARD, Profile
from gndl.request import MAY_GROW, profile_from_json
from gndl.runs import sweep_folds
from gndl.sensitivity import holm, sensitivity_of_study, sensitivity_table

Row = tuple[str, str, int, int, float]


def accuracies(rows: Iterable[Row], database: str = "ckplus") -> pd.DataFrame:
    """Rows of accuracy.csv: method, λ, fold, seed and accuracy; 10 samples tested for 90 trained on."""
    table = pd.DataFrame(list(rows), columns=["method", "lam", "fold", "seed", "accuracy_last"])
    return table.assign(database=database, source="rendered", n_test=10, n_train=90)


def sweep(folds: int, fall: float = 0.1) -> pd.DataFrame:
    """A baseline at 80 %, GNDL at 85 % for λ = 1, 88 % for 5, and ``fall`` lower for 20 and 50; folds differ."""
    rows: list[Row] = []
    for fold in range(folds):
        apart = 0.01 * (fold % 3)
        rows.append(("baseline", "none", fold, 0, 0.80 + apart))
        for lam, mean in (("1", 0.85), ("5", 0.88), ("20", 0.88 - fall), ("50", 0.88 - fall)):
            rows.append(("gndl", lam, fold, 0, mean + apart + 0.004 * ((fold + len(lam)) % 2)))
    return accuracies(rows)


def row_of(table: pd.DataFrame, lam: float) -> pd.Series:
    """The only row of a value of λ."""
    (found,) = [row for _, row in table.iterrows() if row["lam"] == lam]
    return found


def test_holm_multiplies_by_the_tests_that_are_left() -> None:
    """0.01, 0.04, 0.03: 3 × 0.01, then 2 × 0.03 = 0.06, then 0.04 raised to 0.06; NaN is not counted."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([np.nan, 0.04, 0.6])[1:] == pytest.approx([0.08, 0.6])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    """Adjusted values are at least p, at most m p, and sorted alike."""
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_a_point_is_the_mean_over_folds_of_the_means_over_seeds() -> None:
    """Fold 0: seeds 0.7 and 0.9; fold 1: 0.6. Mean 0.7, sd 0.1414; 12.706 is the 97.5 % point of t with 1 degree."""
    rows: list[Row] = [("gndl", "5", 0, 0, 0.7), ("gndl", "5", 0, 1, 0.9), ("gndl", "5", 1, 0, 0.6)]
    row = row_of(sensitivity_table(accuracies(rows), folds=(0, 1)), 5)
    assert row["accuracy"] == pytest.approx(0.7)
    assert row["sd"] == pytest.approx(0.1 * np.sqrt(2))
    assert row["high"] - row["accuracy"] == pytest.approx(12.7062 * 0.1 * np.sqrt(2) * np.sqrt(1 / 2 + 1 / 9), rel=1e-4)
    assert (row["folds"], row["runs"], row["fold_numbers"]) == (2, 3, "folds 0 1")


def test_the_baseline_stands_on_the_folds_of_the_point() -> None:
    """GNDL on folds 0 and 1, the baseline on 0 to 3: folds 2 and 3, at 10 %, count nowhere."""
    rows: list[Row] = [("gndl", "5", 0, 0, 0.9), ("gndl", "5", 1, 0, 0.7)]
    rows += [("baseline", "none", fold, 0, value) for fold, value in enumerate((0.8, 0.7, 0.1, 0.1))]
    row = row_of(sensitivity_table(accuracies(rows), folds=range(4)), 5)
    assert row["baseline_accuracy"] == pytest.approx(0.75)
    assert (row["baseline_folds"], row["state"]) == (2, "in part")
    assert row["to_baseline_difference"] == pytest.approx(0.05)


def test_runs_of_folds_outside_the_sweep_are_left_out() -> None:
    """λ = 5 has ten folds from the headline; the sweep's four are what its point stands on."""
    table = sensitivity_table(sweep(10), folds=(0, 1, 2, 3))
    assert set(table["fold_numbers"]) == {"folds 0 1 2 3"}
    assert not table["decrease"].any()


def test_the_first_significant_decrease_above_the_best_is_marked() -> None:
    """Ten folds, ten points lower at 20 and at 50: both are significant, only the first is marked."""
    table = sensitivity_table(sweep(10), folds=range(10))
    assert table.loc[table["decrease"], "lam"].tolist() == [20.0]
    assert row_of(table, 20)["to_best_difference"] == pytest.approx(row_of(table, 20)["to_fixed_difference"])
    assert "first significant decrease comes at λ = 20" in in_plain_words(table)


def test_below_seven_folds_no_decrease_is_marked_and_the_caption_says_so() -> None:
    """The same fall on six folds: no p, no mark, and the caption and the words say why."""
    table = sensitivity_table(sweep(6), folds=range(6))
    assert table["to_best_p"].isna().all()
    assert not table["decrease"].any()
    assert "Below 7 folds no test is made, so no decrease is marked" in sensitivity_caption(table)
    assert "no decrease is marked" in in_plain_words(table)


def test_a_flat_curve_has_no_decrease() -> None:
    """On ten folds without a fall nothing is marked, and the caption says that nothing is significant."""
    table = sensitivity_table(sweep(10, fall=0.0), folds=range(10))
    assert not table["decrease"].any()
    assert "No value above the highest mean is significantly lower" in sensitivity_caption(table)


def test_values_that_were_not_run_are_rows_without_numbers() -> None:
    """Asked for 0.1 as well: a row with no fold, named in the caption, in the words and in grey on the axis."""
    table = sensitivity_table(sweep(3), folds=range(3), lams=(0.1, 5))
    row = row_of(table, 0.1)
    assert (row["state"], row["folds"], row["runs"]) == ("not run", 0, 0)
    assert np.isnan(row["accuracy"])
    assert "not run: λ = 0.1" in sensitivity_caption(table)
    assert "Not run: λ = 0.1." in in_plain_words(table)
    figure = sensitivity_curves(table)
    (label,) = [text for text in figure.axes[0].get_xticklabels() if text.get_text() == "0.1"]
    assert label.get_color() == "#AAAAAA"


def test_the_caption_says_how_many_folds_and_runs_stand_behind_each_point() -> None:
    """Two folds are missing at λ = 20: the usual case and the exception, by number."""
    whole = sweep(4)
    part = whole[~((whole["lam"] == "20") & (whole["fold"] > 1))]
    caption = sensitivity_caption(sensitivity_table(part, folds=range(4)))
    assert "4 folds (0 to 3) and 4 runs stand behind each of λ = 1, 5, 50" in caption
    assert "λ = 20 stands on 2 folds (0, 1) and 2 runs only" in caption
    assert "rendered stand-in: faces of nobody" in caption


def test_one_fold_and_one_value_are_drawn_without_bands_and_said_in_words() -> None:
    """Of a smoke study: a point, no nan anywhere in figure, caption or words."""
    table = sensitivity_table(accuracies([("gndl", "5", 0, 0, 0.5)]), folds=(0,))
    figures = [sensitivity_curves(table), sensitivity_differences(table)]
    shown = " ".join(text.get_text() for figure in figures for text in figure.findobj(Text))  # type: ignore[attr-defined]
    said = shown + sensitivity_caption(table) + in_plain_words(table)
    assert "nan" not in said
    assert "A single fold: no bands" in shown
    assert "a curve takes at least two values" in said


def test_the_best_of_equals_is_the_smallest_and_lam_zero_has_a_place() -> None:
    """Three values of one accuracy, with 0: the axis is logarithmic and still shows it."""
    rows: list[Row] = [("gndl", lam, fold, 0, 0.5) for lam in ("0", "1", "5") for fold in range(2)]
    table = sensitivity_table(accuracies(rows), folds=range(2))
    assert table.loc[table["best"], "lam"].tolist() == [0.0]
    assert [label.get_text() for label in sensitivity_curves(table).axes[0].get_xticklabels()] == ["0", "1", "5"]


def test_several_databases_have_a_panel_each() -> None:
    """Tables one after the other: two titled panels, and a caption that names both."""
    other = sweep(3).assign(database="mmi")
    table = pd.concat([sensitivity_table(part, folds=range(3)) for part in (sweep(3), other)])
    assert [axes.get_title() for axes in sensitivity_curves(table).axes] == ["CK+ stand-in", "MMI stand-in"]
    assert "CK+ and MMI (rendered stand-ins" in sensitivity_caption(table)


@pytest.mark.parametrize("folds", [1, 3])
def test_figures_are_drawn_again_from_their_csv_with_the_same_bytes(folds: int, tmp_path: Path) -> None:
    """What `gndl report` draws from the CSV is what the notebook saved, caption included."""
    folder = tmp_path / "ckplus" / "figures"
    table = sensitivity_table(sweep(folds), folds=range(folds), lams=(0.1, 5))
    sensitivity_figures(table, folder)
    names = ("sensitivity", "sensitivity_differences")
    files = [folder / f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv", "tex")]
    before = [file.read_bytes() for file in files]
    redraw(tmp_path / "ckplus", folder, names)
    assert [file.read_bytes() for file in files] == before
    assert "fixed beforehand" in differences_caption(table)


def test_the_table_of_a_study_on_disk_reads_its_runs(tiny_study: Path) -> None:
    """Of the tiny study: one value was run, on one fold, beside the baseline; asked values are absent rows."""
    table = sensitivity_of_study(tiny_study, "ckplus", lams=(0.5, 5.0))
    assert table["state"].tolist() == ["not run", "run"]
    assert row_of(table, 5)["baseline"] == "baseline"
    nothing = sensitivity_of_study(tiny_study, "manifest", lams=(0.5, 5.0))
    assert nothing["state"].tolist() == ["not run", "not run"]
    figures = [sensitivity_curves(nothing), sensitivity_differences(nothing)]
    assert all(figure.axes for figure in figures)
    assert "no value of λ was run" in in_plain_words(nothing)
    assert "nan" not in readable(nothing).to_string() + sensitivity_caption(nothing)
    with pytest.raises(GndlError, match="holds no study"):
        sensitivity_of_study(tiny_study / "nowhere", "ckplus")


def test_the_sweep_has_folds_of_its_own() -> None:
    """Standard sweeps folds 0 to 3 of those that are run; where none of them is run, all that are."""
    assert STANDARD.sweep_folds == (0, 1, 2, 3)

    def folds(run_folds: tuple[int, ...], profile: Profile = STANDARD) -> tuple[int, ...]:
        study = object.__new__(Prepared)
        object.__setattr__(study, "run_folds", run_folds)
        object.__setattr__(study, "request", type("Request", (), {"settings": profile}))
        return sweep_folds(study)

    assert folds(tuple(range(10))) == (0, 1, 2, 3)
    assert folds((2, 7)) == (2,)
    assert folds((7, 8)) == (7, 8)
    assert folds((0, 1, 2, 3, 4), PROFILES["quick"]) == (0, 1, 2, 3, 4)


def test_a_study_of_before_the_sweep_had_folds_is_read_and_may_take_them() -> None:
    """An absent field is that of the profile named; it changes no study."""
    content = dataclasses.asdict(STANDARD)
    assert profile_from_json(content) == STANDARD
    del content["sweep_folds"]
    assert profile_from_json(content) == STANDARD
    assert "settings.sweep_folds" in MAY_GROW


def test_a_mean_that_falls_far_is_a_number_at_the_edge_and_leaves_the_others_apart() -> None:
    """At λ = 20 and 50 a third of the accuracy is left: the axis keeps to the others, and the caption says why."""
    table = sensitivity_table(sweep(4, fall=0.6), folds=range(4))
    for figure, edge in ((sensitivity_curves(table), "29% ↓"), (sensitivity_differences(table), "−60 ↓")):
        axes = figure.axes[0]
        assert [text.get_text() for text in axes.texts] == [edge, edge]
    assert sensitivity_curves(table).axes[0].get_ylim()[0] > 0.6
    for caption in (sensitivity_caption(table), differences_caption(table)):
        assert "Means more than 25 points below the highest stand as numbers" in caption
    near = sensitivity_table(sweep(4), folds=range(4))
    assert not sensitivity_curves(near).axes[0].texts and "stand as numbers" not in sensitivity_caption(near)


def test_ticks_are_what_their_labels_say() -> None:
    """Labels are whole percents, so the ticks are as well."""
    figure = sensitivity_curves(sensitivity_table(sweep(4, fall=0.6), folds=range(4)))
    figure.canvas.draw()
    axes = figure.axes[0]
    ticks = [round(100 * tick, 6) for tick in axes.get_yticks()]
    assert [f"{tick:g}%" for tick in ticks] == [label.get_text() for label in axes.get_yticklabels()]


def test_a_number_at_the_edge_has_the_colour_of_its_method() -> None:
    """Two methods, of which only the second falls far: its number is drawn as its curve is."""
    near, far = sweep(4), sweep(4, fall=0.6)
    other = far[far["method"] == "gndl"].assign(method="another")
    table = sensitivity_table(pd.concat([near, other]), folds=range(4))
    axes = sensitivity_curves(table).axes[0]
    drawn = {line.get_color() for line in axes.get_lines() if len(line.get_xdata()) == 4}
    assert {text.get_color() for text in axes.texts} == {
        look("another", list(table["method"].unique()).index("another"))[0]
    }
    assert {text.get_color() for text in axes.texts} < drawn and len(drawn) == 2
