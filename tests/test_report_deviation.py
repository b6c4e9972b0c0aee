"""Notebook 4's numbers: measured once, kept without weights, joined over folds, drawn and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from planted_features import planted_features, planted_study

from gndl.analysis import deviation
from gndl.analysis.deviation import agreement_numbers, deviation_measurements, map_name, measure_features
from gndl.analysis.embedding import deviation_embedding
from gndl.analysis.ensure import one_run
from gndl.analysis.features import FoldFeatures
from gndl.analysis.measurement import Measurement, measurements_table, over_folds
from gndl.figures.deviation import deviation_map
from gndl.figures.measures import deviation_measures
from gndl.figures.redraw import redraw
from gndl.narrative import deviation_words as words
from gndl.narrative.deviation import report_map, report_numbers
from gndl.prepare import Prepared
from gndl.runs import fit_run, plan_runs


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """GNDL trained for one epoch on two folds, the baseline on none."""
    made = planted_study(tmp_path_factory.mktemp("planted"))
    for run in plan_runs(made, ["gndl"]):
        fit_run(made, run)
    return made


def about(fold: int) -> dict[str, str | int]:
    """What names a run."""
    return {"database": "ckplus", "method": "gndl", "lam": "5", "fold": fold, "seed": 0, "run": f"r{fold}"}


def test_folds_are_joined_by_weight() -> None:
    """0.2 on 1 and 0.8 on 3 sequences: 0.65; spread between folds, range, chance; no value, no part in it."""
    values = [(0, 0.2, 1.0, 0.1, ""), (1, 0.8, 3.0, 0.3, ""), (2, np.nan, 5.0, np.nan, "too few")]
    table = pd.concat(
        measurements_table(
            about(fold), [Measurement("probe", "identity", "F_exam", "all", value, weight, chance, 4, note)]
        )
        for fold, value, weight, chance, note in values
    )
    row = over_folds(table).iloc[0]
    assert row["value"] == pytest.approx(0.65) and row["chance"] == pytest.approx(0.25) and row["folds"] == 2
    assert (row["lowest"], row["highest"], row["note"]) == (0.2, 0.8, "")
    assert row["sd"] == pytest.approx(np.std([0.2, 0.8], ddof=1))
    nothing = over_folds(table[table["fold"] == 2]).iloc[0]
    assert np.isnan(nothing["value"]) and nothing["folds"] == 0 and nothing["note"] == "too few"


def test_numbers_are_measured_once_and_outlive_the_weights(study: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call computes no feature; nor does one after the weights have gone, even with other code."""
    calls = list[int]()
    plain = deviation.features_of_run
    monkeypatch.setattr(deviation, "features_of_run", lambda *given: calls.append(1) or plain(*given))  # type: ignore[func-returns-value]
    first = deviation_measurements(study, [("gndl", None), ("baseline", None)])
    assert len(calls) == 2 and set(first.folds["fold"]) == {0, 1}
    assert first.notes == (
        "Not measured, for want of a finished run with its weights: baseline fold 0, baseline fold 1.",
    )
    file = study.folder / "analysis" / "deviation_folds.csv"
    written = file.read_bytes()
    again = deviation_measurements(study, [("gndl", None)])
    pd.testing.assert_frame_equal(again.folds, first.folds)
    assert len(calls) == 2 and file.read_bytes() == written
    monkeypatch.setattr(deviation, "_code", lambda: "other code")
    weights = [path for path in study.folder.rglob("weights.safetensors")]
    away = [path.rename(path.with_name("away")) for path in weights]
    pd.testing.assert_frame_equal(deviation_measurements(study, [("gndl", None)]).folds, first.folds)
    assert len(calls) == 2
    for path in away:
        path.rename(path.with_name("weights.safetensors"))
    deviation_measurements(study, [("gndl", None)], folds=[1])  # with its weights, by the new code
    assert len(calls) == 3
    kept = pd.read_csv(file)
    assert kept.groupby("fold")["code"].unique().map(list).to_dict()[1] == ["other code"]
    assert set(kept["fold"]) == {0, 1} and set(kept["source"]) == {"rendered"}


def test_a_run_that_has_changed_takes_its_numbers_along(study: Prepared, tmp_path: Path) -> None:
    """Rows of a run that is no longer the study's are not read."""
    file = study.folder / "analysis" / "deviation_folds.csv"
    deviation_measurements(study, [("gndl", None)])
    table = pd.read_csv(file)
    table.assign(run="another", value=-7.0).to_csv(file, index=False)
    found = deviation_measurements(study, [("gndl", None)]).folds
    assert not (found["value"] == -7).any() and len(found) == len(table)


def test_agreement_numbers_are_those_of_notebook_4(study: Prepared, tmp_path: Path) -> None:
    """The report reads what the notebook shows; a study without runs gives nothing."""
    numbers = agreement_numbers(study)
    assert set(numbers["method"]) == {"gndl"} and set(numbers["folds"]) <= {0, 2}
    pd.testing.assert_frame_equal(numbers, report_numbers(study).numbers)
    assert agreement_numbers(planted_study(tmp_path / "empty")).empty


def test_notebook_4_leaves_figures_tables_and_what_is_kept(study: Prepared) -> None:
    """Fig. 8 and the measures in every form, and both drawn again from their CSV alone, byte for byte."""
    drawn, numbers = report_map(study, fold=0), report_numbers(study)
    assert isinstance(drawn.figure, Figure) and isinstance(numbers.figure, Figure) and drawn.note == ""
    figures, tables = study.folder / "figures", study.folder / "tables"
    for name in ("deviation_features", "deviation_measures"):
        assert {path.suffix for path in figures.glob(f"{name}.*")} == {".pdf", ".svg", ".png", ".csv", ".tex"}
        assert "rendered faces of nobody" in (figures / f"{name}.tex").read_text(encoding="utf-8")
    analyses = ("agreement", "retrieval", "silhouette", "probe", "folds")
    assert {path.name for path in tables.glob("deviation_*.csv")} == {f"deviation_{name}.csv" for name in analyses}
    before = {path: path.read_bytes() for path in figures.glob("deviation_*.svg")}
    redraw(study.folder, figures, ["deviation_features", "deviation_measures"])
    assert len(before) == 2 and {path: path.read_bytes() for path in before} == before


def test_the_plane_is_read_where_it_was_made(study: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same fold and seed compute nothing again; another fold does."""
    first = report_map(study, fold=0).table
    monkeypatch.setattr(deviation, "features_of_run", lambda *given: 1 / 0)
    pd.testing.assert_frame_equal(report_map(study, fold=0).table, first)
    with pytest.raises(ZeroDivisionError):
        report_map(study, fold=1)


def test_a_plane_that_does_not_say_how_it_came_about_is_made_again(study: Prepared) -> None:
    """The CSV behind Fig. 8 in the place of what is kept: it is not taken for it, and what is kept is written again."""
    first = report_map(study, fold=0).table
    kept = study.folder / "analysis" / "deviation_features.csv"
    written = kept.read_bytes()
    kept.write_bytes((study.folder / "figures" / "deviation_features.csv").read_bytes())
    pd.testing.assert_frame_equal(report_map(study, fold=0).table, first)
    assert kept.read_bytes() == written


def test_what_is_kept_draws_the_same_figure_and_csv(study: Prepared, tmp_path: Path) -> None:
    """A study of record has the kept plane alone: Fig. 8 and its CSV come out of it byte for byte."""
    report_map(study, fold=0)
    redraw(study.folder, tmp_path, ["deviation_features"], csv_folders=("analysis",))
    for kind in ("csv", "svg", "png"):
        name = f"deviation_features.{kind}"
        assert (tmp_path / name).read_bytes() == (study.folder / "figures" / name).read_bytes(), name


def test_only_the_headline_has_the_plain_name(study: Prepared) -> None:
    """Other variants and other values of λ never take the place of Fig. 8."""
    assert map_name(study, one_run(study, "gndl", None, 0)) == "deviation_features"
    assert map_name(study, one_run(study, "gndl-sum", None, 0)) == "deviation_features_gndl-sum"
    assert map_name(study, one_run(study, "gndl", 0.5, 0)) == "deviation_features_gndl_lam-0.5"


def numbers_of(features: FoldFeatures) -> pd.DataFrame:
    """Everything that one fold's planted features give."""
    return over_folds(measure_features(features, pd.DataFrame(index=pd.RangeIndex(len(features)))))


def test_words_say_whether_the_generator_knows_the_person() -> None:
    """Planted: it does; with the same guess for everybody it does not, and the words say so."""
    knows = numbers_of(planted_features())
    own = planted_features()
    same = np.repeat(own.gallery[-9:].mean(axis=0)[None], len(own), axis=0)
    guesses = numbers_of(planted_features(f_gen=same, deviation=own.f_exam - same))
    assert "it knows something of the person" in words.agreement_words(knows, "rendered")
    assert "G comes no closer than that mean" in words.agreement_words(guesses, "licensed")
    gain = knows["measure"] == "gain over the mean neutral"
    several = knows.assign(lowest=knows["lowest"].mask(gain, -0.4), folds=10)
    assert "but not in every fold: no sign yet" in words.agreement_words(several, "licensed")
    assert "says nothing about people" in words.agreement_words(knows, "rendered")
    assert "says nothing about people" not in words.agreement_words(knows, "licensed")
    assert "finds its own first in 100.0 % (chance 8.3 %)" in words.retrieval_words(knows, "licensed")
    assert "97 % from F_neu" not in words.probe_words(knows, "licensed")
    assert "100 % from F_neu: it can be found" in words.probe_words(knows, "licensed")


def test_where_nothing_can_be_measured_words_say_why_and_nothing_prints_nan() -> None:
    """One validation subject of one sequence."""
    poor = numbers_of(planted_features(people=1, sequences=1))
    told = [
        tell(poor, "rendered")
        for tell in (
            words.agreement_words,
            words.deviation_words,
            words.retrieval_words,
            words.silhouette_words,
            words.probe_words,
        )
    ]
    shown = [
        table(poor).to_string()
        for table in (words.agreement_table, words.retrieval_table, words.silhouette_table, words.probe_table)
    ]
    assert "nan" not in " ".join([*told, *shown]).lower() and "e+" not in " ".join(told)
    assert "one group alone" in told[3] and "fewer than 3 people" in told[4]
    assert isinstance(deviation_measures(poor, source="rendered"), Figure)


def test_the_map_shows_each_sample_twice_and_rings_what_is_wrong() -> None:
    """A square and an asterisk per sample, a line between them, a ring around a wrong answer, a label per class."""
    own = planted_features(people=4, frames=1)
    wrong = own.probabilities.copy()
    wrong[0] = np.roll(wrong[0], 1)
    axes = deviation_map(
        deviation_embedding(planted_features(people=4, frames=1, probabilities=wrong)), source="own"
    ).axes[0]
    sizes = [len(collection.get_offsets()) for collection in axes.collections]  # type: ignore[arg-type]
    assert sizes == [4, 4, 4, 4, 4, 4, 1] and len(axes.lines) == 12
    assert {text.get_text() for text in axes.texts} == {"An", "Ha", "Su"}
