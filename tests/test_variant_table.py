"""The table of ablations: paired by fold, bounds apart, and nothing said that so few folds cannot tell."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats
from written_runs import predictions, write_run

from gndl.figures.variants import far_below, variant_differences
from gndl.files import write_json
from gndl.narrative.further_questions import further_questions
from gndl.narrative.study import StudyReport
from gndl.profiles import SMOKE
from gndl.report import report_variants
from gndl.request import StudyRequest, read_study_json, save_request
from gndl.results import finished_runs
from gndl.tables.across import cross_in_words, save_cross
from gndl.tables.variants import readable_variants, save_variants, variant_table, variants_caption, variants_in_words

RIGHT, WRONG = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1)


def some_runs(out: Path, method: str, lam: str, right: list[int], database: str = "ckplus", *, seed: int = 0) -> None:
    """One run a fold of ten anger frames, ``right`` of them right."""
    for fold, count in enumerate(right):
        frames = [(f"S{fold}", f"S{fold}_1", "anger", RIGHT if i < count else WRONG) for i in range(10)]
        folder = write_run(out, method, lam, fold, predictions(frames, first=10 * fold), database=database, seed=seed)
        assert folder.exists()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Four folds of CK+: baseline 0.6, GNDL 0.7, one variant worse, one bound better; MMI has the paper's two alone."""
    some_runs(tmp_path, "baseline", "none", [6, 6, 6, 6])
    some_runs(tmp_path, "gndl", "5", [7, 7, 8, 6])
    some_runs(tmp_path, "gndl", "50", [0, 0, 0, 0])
    some_runs(tmp_path, "gndl-stop-gradient", "5", [5, 6, 7])
    some_runs(tmp_path, "oracle-swap", "5", [9, 9, 9, 9])
    some_runs(tmp_path, "baseline", "none", [6, 6], database="mmi")
    some_runs(tmp_path, "gndl", "5", [6, 6], database="mmi")
    return tmp_path


def test_differences_are_paired_over_the_folds_that_both_have(study: Path) -> None:
    """By hand: 5, 6, 7 against 7, 7, 8 is −2, −1, −1 tenths; the interval is the corrected t with two degrees."""
    table = variant_table(study, "ablations", 5.0).set_index("method")
    assert list(table.index) == ["baseline", "gndl", "gndl-stop-gradient", "oracle-swap"]
    assert set(table["database"]) == {"ckplus"}, "a database without a variant has no ablation to show"
    row = table.loc["gndl-stop-gradient"]
    assert row["folds"] == 3 and row["accuracy"] == pytest.approx(0.6) and row["to_gndl_folds"] == 3
    assert row["to_gndl_difference"] == pytest.approx(-0.4 / 3)
    sd = pd.Series([-0.2, -0.1, -0.1]).std()
    reach = stats.t.ppf(0.975, 2) * sd * (1 / 3 + 10 / 30) ** 0.5
    assert row["to_gndl_high"] - row["to_gndl_difference"] == pytest.approx(reach)
    assert table.loc["gndl", "to_baseline_difference"] == pytest.approx(0.1)
    assert pd.isna(table.loc["gndl", "to_gndl_difference"])
    assert table.loc["gndl", "accuracy"] == pytest.approx(0.7), "λ = 50 stays out"


def test_a_seed_that_one_method_alone_has_is_in_no_difference(study: Path) -> None:
    """The variant has a second seed in every fold and GNDL in one: 5, 6, 7 against 7, 7, 8, and 9 against 8 in fold 0,
    whose two differences are averaged first. Accuracy is of all seeds; the others' stay what they were."""
    before = variant_table(study, "ablations", 5.0).set_index("method")
    some_runs(study, "gndl-stop-gradient", "5", [9, 9, 9], seed=1)
    some_runs(study, "gndl", "5", [8], seed=1)
    table = variant_table(study, "ablations", 5.0).set_index("method")
    row = table.loc["gndl-stop-gradient"]
    assert row["to_gndl_difference"] == pytest.approx(((-0.2 + 0.1) / 2 - 0.1 - 0.1) / 3)
    assert row["to_baseline_difference"] == pytest.approx(0.0), "seed 0 alone: 5, 6, 7 against 6, 6, 6"
    assert (row["folds"], row["seeds"], row["accuracy"]) == (3, 2, pytest.approx(0.75))
    assert (before["seeds"] == 1).all() and table.loc["gndl", "seeds"] == 1, "the fewest that a fold has"
    pd.testing.assert_series_equal(table.loc["oracle-swap"], before.loc["oracle-swap"])
    assert "mean of 3 to 4 folds, 1 to 2 seeds each" in variants_caption(table.reset_index())
    assert "mean of 3 to 4 folds, one seed each" in variants_caption(before.reset_index())
    readable = readable_variants(table.reset_index()).set_index("Method")["Folds"]
    assert readable["gndl-stop-gradient"] == "3 × 2 seeds" and readable["baseline"] == "4"


def test_every_row_says_what_its_intervals_show_and_that_none_is_a_test(study: Path) -> None:
    """The bound is 2, 2, 1 and 3 tenths above GNDL: zero is left out; the variant's interval has zero in it."""
    table = variant_table(study, "ablations", 5.0)
    words = variants_in_words(table)
    assert "**gndl-stop-gradient** on CK+ stand-in: −13.33 points against GNDL, no difference shown;" in words
    assert "neutral face at test: +20.00 points against GNDL, the interval leaves out zero;" in words
    assert "3 to 4 folds, one seed each: so few folds allow no test, and none is made; 2 of 5 intervals" in words
    assert "**baseline**" not in words and "significant" not in words
    save_variants(study, study / "tables", 5.0)
    assert (study / "tables" / "ablations.md").read_text().endswith(f"\n\n{words}\n")
    single = variants_in_words(
        table.assign(**{f"to_{name}_{end}": float("nan") for name in ("gndl", "baseline") for end in ("low", "high")})
    )
    assert "a single fold has no interval" in single and "leaves out zero" not in single
    many = variants_in_words(table.assign(folds=8))
    assert "8 folds, one seed each: no test is made" in many, "not even from seven folds on"
    assert "seven" not in variants_caption(table)


def test_across_databases_single_trainings_show_no_difference(tmp_path: Path) -> None:
    """Ahead here and behind there; what lies within one database is compared by folds, elsewhere."""
    cells = [("ckplus", "mmi", 0.6, 0.64), ("mmi", "ckplus", 0.7, 0.675), ("mmi", "mmi", 0.5, 0.9)]
    table = pd.DataFrame(
        [
            {"train_on": one, "test_on": other, "method": method, "lam": lam, "accuracy": value, "seeds": 1}
            for one, other, baseline, gndl in cells
            for method, lam, value in (("baseline", "none", baseline), ("gndl", "5", gndl))
        ]
    ).assign(source="rendered")
    words = cross_in_words(table)
    assert "trained on CK+ and tested on MMI: 4.0 points ahead of the baseline; single trainings: no diff" in words
    assert "trained on MMI and tested on CK+: 2.5 points behind the baseline; single trainings: no diff" in words
    assert words.count("GNDL") == 2 and "No test is made" in words and "rendered" in words
    assert "means of 2 and 2 seeds, no test: no difference shown" in cross_in_words(table.assign(seeds=2))
    assert "nothing to compare" in cross_in_words(table[table["method"] == "gndl"])
    whole = table.assign(
        low=float("nan"), high=float("nan"), macro_recall=0.5, chance=0.2, classes=6, n_test=9, subjects=3
    )
    save_cross(whole, tmp_path)
    assert (tmp_path / "across.md").read_text().endswith(f"\n\n{words}\n")


def test_bounds_stand_apart_in_table_and_words(study: Path) -> None:
    """They come last, behind a rule, and the text says what they are given."""
    table = variant_table(study, "ablations", 5.0)
    assert table["needs_neutral_at_test"].tolist() == [False, False, False, True]
    assert "neutral face at test" in readable_variants(table)["Method"].iloc[-1]
    assert "bounds" in variants_caption(table) and "no test" in variants_caption(table)
    assert "rendered stand-in" in variants_caption(table)
    save_variants(study, study / "tables", 5.0)
    text = (study / "tables" / "ablations.tex").read_text()
    body = text.split(r"\midrule")
    assert len(body) == 3 and "oracle-swap" in body[2] and "oracle-swap" not in body[1]


def test_nothing_is_written_of_a_group_that_was_not_run(study: Path) -> None:
    """No granularity without a layer; the ablations are there with figure and table, the same bytes every time."""
    tables = report_variants(study_json(study), study / "tables", study / "figures")
    assert [table["group"].iloc[0] for table in tables] == ["ablations"]
    assert not (study / "tables" / "granularity.csv").exists()
    first = (study / "figures" / "ablations.png").read_bytes()
    report_variants(study, study / "tables", study / "figures")
    assert (study / "figures" / "ablations.png").read_bytes() == first
    assert "ablations.pdf" in (study / "figures" / "ablations.tex").read_text()


def test_each_method_has_a_row_and_each_database_a_panel(study: Path) -> None:
    """The baseline, the variant and the bound have a dot each; GNDL stands at zero."""
    some_runs(study, "gndl-lam-0", "none", [6, 6], database="mmi")
    table = variant_table(study, "ablations", 5.0)
    figure = variant_differences(table)
    assert [axes.get_title() for axes in figure.axes] == ["CK+", "MMI"]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == list(dict.fromkeys(table["method"]))


def test_a_method_far_below_does_not_flatten_the_others(study: Path) -> None:
    """It is a number at the edge of an axis that ends at −30 points, and the caption says so; without it the axis ends
    at the outermost interval and the caption says nothing of it."""
    table = variant_table(study, "ablations", 5.0)
    near = table[table["method"] != "gndl-stop-gradient"]
    assert far_below(near) == "" and "◂" not in str(variant_differences(near).axes[0].texts)
    some_runs(study, "gndl-channel-sum", "5", [1, 2, 1, 2])
    table = variant_table(study, "ablations", 5.0)
    table = table[table["method"] != "gndl-stop-gradient"]
    axes = variant_differences(table).axes[0]
    assert axes.get_xlim()[0] == pytest.approx(-30)
    assert [text.get_text() for text in axes.texts] == ["◂ −55"]
    assert "more than 30 points below GNDL" in far_below(table) and "end in an arrow" not in far_below(table)


def test_an_interval_that_the_axis_cuts_ends_in_an_arrow(study: Path) -> None:
    """A dot at −13 points whose interval goes beyond −30: an arrow at the edge of its row, and the caption says so."""
    table = variant_table(study, "ablations", 5.0)
    row = table.set_index("method").loc["gndl-stop-gradient"]
    assert row["to_gndl_difference"] > -0.3 > row["to_gndl_low"]
    axes = variant_differences(table).axes[0]
    (arrow,) = axes.texts
    assert arrow.get_text() == "◂" and axes.get_xlim()[0] == pytest.approx(-30)
    assert arrow.xy == (0, table["method"].tolist().index("gndl-stop-gradient"))
    assert far_below(table) == " Intervals that go on beyond the axis end in an arrow."
    some_runs(study, "gndl-channel-sum", "5", [1, 2, 1, 2])
    both = variant_table(study, "ablations", 5.0)
    assert "30 points below GNDL" in far_below(both) and "end in an arrow" in far_below(both)


def study_json(out: Path) -> Path:
    """Write the study.json of a study at λ = 5."""
    save_request(StudyRequest(out=out, settings=SMOKE, data_roots={"ckplus": ""}))
    return out


def test_the_report_shows_what_was_asked_and_names_the_command_for_the_rest(study: Path) -> None:
    """Ablations were run; for the finer grains and for other databases it says what would answer."""
    folds = {str(fold): [f"S{fold}"] for fold in range(4)}
    for database in ("ckplus", "mmi"):
        write_json(study_json(study) / database / "folds.json", folds)
    report = StudyReport(study, ("ckplus",), read_study_json(study), finished_runs(study), {})
    shown = further_questions(report)
    assert len(shown) == 4 and "What each part of GNDL earns" in shown[0].data
    assert list(shown[1].data["Method"])[:2] == ["baseline", "gndl"]
    assert "no difference shown" in shown[2].data
    assert "--methods granularity" in shown[3].data and "--across" in shown[3].data
    nothing = further_questions(StudyReport(study, (), {}, [], {}))
    assert len(nothing) == 1 and "--methods ablations" in nothing[0].data
