"""Scores by class and over all, and their intervals over subjects, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score
from written_runs import CLASSES, Frame, predictions, write_run

from gndl import results
from gndl.analysis.comparisons import compare_database, compare_study
from gndl.analysis.scores import measures, scores, scores_of
from gndl.analysis.variants import Variant
from gndl.tables.scores import (
    OPTIMISTIC,
    error_bars_table,
    in_words,
    readable_classes,
    readable_scores,
    save_scores,
    score_table,
    upright,
)

GNDL = Variant("gndl", "5")
SURE = {"anger": (0.8, 0.1, 0.1), "happiness": (0.1, 0.8, 0.1), "surprise": (0.1, 0.1, 0.8)}


def frames(subject: str, *answers: tuple[str, str]) -> list[Frame]:
    """One sequence of one frame for each truth and answer."""
    return [(subject, f"{subject}_{k}", truth, SURE[answer]) for k, (truth, answer) in enumerate(answers)]


def value(table: pd.DataFrame, of: str, name: str, measure: str) -> float:
    """One cell of a table of scores."""
    chosen = (table["of"] == of) & (table["class"] == name) & (table["measure"] == measure)
    return float(table.loc[chosen, "value"].iloc[0])


def test_recall_and_f1_of_classes_and_their_plain_means() -> None:
    """Anger 2 of 3, happiness 1 of 1, surprise never tested; one anger called happiness."""
    one = frames("S1", ("anger", "anger"), ("anger", "happiness"))
    table = predictions(one + frames("S2", ("anger", "anger"), ("happiness", "happiness")))
    found = scores_of(table.assign(fold=0, seed=0), GNDL)
    for of in ("frames", "sequences"):
        assert value(found, of, "anger", "recall") == pytest.approx(2 / 3)
        assert value(found, of, "happiness", "recall") == 1
        assert np.isnan(value(found, of, "surprise", "recall"))
        assert value(found, of, "happiness", "precision") == pytest.approx(1 / 2)
        assert value(found, of, "anger", "f1") == pytest.approx(4 / 5)
        assert value(found, of, "happiness", "f1") == pytest.approx(2 / 3)
        assert value(found, of, "all", "accuracy") == pytest.approx(3 / 4)
        assert value(found, of, "all", "macro_recall") == pytest.approx((2 / 3 + 1) / 2)
        assert value(found, of, "all", "macro_f1") == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["low"].isna().all()  # two subjects can hardly stand for others


def test_frames_and_sequences_are_counted_apart() -> None:
    """Two frames wrong by a hair and one right by far: one third of the frames, and the whole sequence."""
    near: list[Frame] = [("S1", "S1_0", "anger", values) for values in ((0.45, 0.5, 0.05),) * 2 + ((0.9, 0.05, 0.05),)]
    found = scores_of(predictions(near).assign(fold=0, seed=0), GNDL)
    assert value(found, "frames", "anger", "recall") == pytest.approx(1 / 3)
    assert value(found, "sequences", "anger", "recall") == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_macro_averages_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """Over the classes tested, with no division by nothing."""
    truth, predicted = zip(*pairs, strict=True)
    counts = np.zeros((1, 3, 3))
    np.add.at(counts, (0, truth, predicted), 1)
    tested = sorted(set(truth))
    _, recall, f1 = measures(counts)[0, :3]
    assert recall == pytest.approx(recall_score(truth, predicted, labels=tested, average="macro", zero_division=0))
    assert f1 == pytest.approx(f1_score(truth, predicted, labels=tested, average="macro", zero_division=0))


def test_the_interval_is_over_subjects_and_not_over_frames() -> None:
    """Ten subjects, all right or all wrong: the interval is that of ten draws, however many frames they have."""

    def study(each: int) -> pd.DataFrame:
        rows: list[Frame] = []
        for number in range(10):
            answer = "anger" if number < 5 else "happiness"
            rows += frames(f"S{number}", *[("anger", answer)] * each)
        return predictions(rows).assign(fold=0, seed=0)

    few, many = (scores_of(study(each), GNDL) for each in (1, 40))
    row = few[(few["of"] == "frames") & (few["class"] == "all") & (few["measure"] == "accuracy")].iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((0.2, 0.8))  # 2.5 % points of Bin(10, 1/2), by 10
    pd.testing.assert_series_equal(few["low"], many["low"])
    assert few.equals(scores_of(study(1), GNDL))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Baseline and GNDL on seven folds of one subject each; two subjects gain, one loses."""
    good, bad = ("anger", "anger"), ("anger", "surprise")
    for fold in range(7):
        happy = ("happiness", "happiness")
        base = [good if fold not in (0, 1) else bad, happy]
        gndl = [good if fold != 2 else bad, happy]
        for method, lam, answers in (("baseline", "none", base), ("gndl", "5", gndl)):
            write_run(tmp_path, method, lam, fold, predictions(frames(f"S{fold}", *answers), first=10 * fold))
    return tmp_path


def test_subjects_that_differ_are_counted_beside_the_folds(study: Path) -> None:
    """Two better, one worse, four equal; and the sentence says so, and shows no difference."""
    from gndl.comparison import in_plain_words

    summary = results.summarise(study, "ckplus")
    (row,) = compare_database(study, "ckplus", summary).to_dict("records")
    assert [row[f"subjects_{part}"] for part in ("better", "worse", "equal")] == [2, 1, 4]
    assert row["subjects"] == 7
    together = compare_study(study, {"ckplus": summary})
    assert together["databases_tested"].tolist() == [1]
    words = in_plain_words(together)
    assert "3 of 7 subjects differ: 2 better, 1 worse" in words
    assert "no difference shown" in words
    assert "better in 2, worse in 1, equal in 4" in words


def test_the_best_epoch_stands_beside_the_last_and_is_called_what_it_is(study: Path, tmp_path: Path) -> None:
    """Every table of scores says of what, and of which faces, and what its brackets are."""
    summary = results.summarise(study, "ckplus")
    table = score_table(study, "ckplus", summary)
    text = readable_scores(table, summary)
    assert list(text.columns[1:3]) == ["Last epoch, mean of folds ± sd %", f"Best epoch % ({OPTIMISTIC})"]
    classes = readable_classes(table)
    assert len(classes) == 2 * len(CLASSES)
    save_scores(table, summary, tmp_path / "tables", "ckplus")
    for name in ("scores", "class_scores"):
        for kind in ("md", "tex"):
            written = (tmp_path / "tables" / f"{name}.{kind}").read_text()
            assert OPTIMISTIC in written
            assert "rendered stand-in" in written
            assert "over subjects" in written
    latex = upright(text)
    assert list(latex.columns) == ["Accuracy", *text["Method"]] and list(latex["Accuracy"]) == list(text.columns[1:])
    assert latex.iloc[:, 1:].T.to_numpy().tolist() == text.iloc[:, 1:].to_numpy().tolist()
    many = pd.concat([text] * 3, ignore_index=True)
    assert upright(many) is many
    kept = results.read_csv(tmp_path / "tables" / "scores.csv", ("source",))
    assert set(kept["source"]) == {"rendered"}
    assert "GNDL, λ = 5** finds happiness most surely (100 % of 7 sequences)" in in_words(table, [GNDL])
    assert scores(study, "ckplus", GNDL).equals(
        table[table["method"] == "gndl"][scores_of_columns()].reset_index(drop=True)
    )


def scores_of_columns() -> list[str]:
    """Columns without those of the study."""
    from gndl.analysis.scores import SCORE_COLUMNS

    return list(SCORE_COLUMNS)


def test_every_error_bar_says_what_it_is_made_of() -> None:
    """Folds, seeds or subjects; a standard deviation or an interval."""
    table = error_bars_table()
    assert set(table["made of"]) == {"folds", "seeds", "subjects"}
    assert table["what it is"].str.contains("deviation|interval|none drawn").all()


def test_the_list_of_error_bars_leaves_none_out() -> None:
    """What notebook 7 announces as every spread and interval has what stands beyond Table 1 too."""
    made_of = error_bars_table().set_index("where")["made of"]
    for where, unit in (
        ("ablations and finer grains, ±", "folds"),
        ("ablations and finer grains, brackets and lines", "folds"),
        ("across databases, brackets", "subjects"),
        ("chosen on development subjects, the gap and differences", "folds"),
        ("`gndl bias`, differences of a group to all others", "subjects"),
        ("deviation features, lines", "folds"),
    ):
        assert made_of[where] == unit
    assert made_of.index.is_unique
