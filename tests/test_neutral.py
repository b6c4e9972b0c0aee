"""How close a generated neutral feature is, whose it is, and what can be read off, where the answer was planted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import open_trained
from hypothesis import given
from hypothesis import strategies as st
from planted import EXPRESSIONS
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances, silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gndl
from gndl.analysis import features, neutral
from gndl.analysis.features import FoldFeatures, sequence_means
from gndl.analysis.neutral import (
    agreement,
    cosine,
    deviations,
    mean_neutral,
    measure,
    measure_fold,
    over_folds,
    relative_l1,
    retrieval,
    retrieval_scores,
    silhouettes,
)
from gndl.analysis.probes import deal_sequences, factor_probe, identity_probe, probes
from gndl.files import GndlError


def planted_features(
    *, people: int = 6, others: int = 6, sequences: int = 3, frames: int = 3, channels: int = 24, **more: Any
) -> FoldFeatures:
    """Return features in which F_neu is the person, F_exam the person and the expression, and G knows the person.

    ``people`` are tested, ``others`` are in the gallery alone. Every sequence has a neutral crop of its own, with a
    little noise on the person. ``more`` replaces fields.
    """
    random = np.random.default_rng(0)
    person = np.abs(random.normal(2, 1, (people + others, channels)))
    expression = random.normal(0, 2, (len(EXPRESSIONS), channels))
    whose = np.repeat(np.arange(people + others), sequences)
    gallery = person[whose] + random.normal(0, 0.01, (len(whose), channels))
    own = np.repeat(np.arange(people * sequences), frames)
    label = own % sequences % len(EXPRESSIONS)
    f_exam = person[whose[own]] + expression[label] + random.normal(0, 0.01, (len(own), channels))
    f_gen = person[whose[own]]
    probabilities = (np.eye(len(EXPRESSIONS))[label] * 0.7 + 0.1).astype(np.float32)
    values: dict[str, Any] = {
        "about": {"database": "ckplus", "method": "gndl", "lam": 5.0, "fold": 0, "seed": 0, "run": "0123-2"},
        "expressions": EXPRESSIONS,
        "pairs": np.arange(len(own)),
        "f_exam": f_exam.astype(np.float32),
        "f_gen": f_gen.astype(np.float32),
        "deviation": (f_exam - f_gen).astype(np.float32),
        "probabilities": probabilities,
        "probabilities_real": probabilities,
        "label": label,
        "subject": np.array([f"S{k:03}" for k in whose[own]]),
        "sequence": np.array([f"S{whose[k]:03}_{k % sequences}" for k in own]),
        "frame": np.array([f"{k:04}.png" for k in range(len(own))]),
        "gallery": gallery.astype(np.float32),
        "gallery_subject": np.array([f"S{k:03}" for k in whose]),
        "gallery_trained": whose >= people,
        "own": own,
    }
    return FoldFeatures(**(values | more))


def guessing_at_random(**more: int) -> FoldFeatures:
    """Features whose generator knows nobody."""
    own = planted_features(**more)
    noise = np.random.default_rng(1).normal(2, 1, own.f_exam.shape).astype(np.float32)
    return planted_features(**more, f_gen=noise, deviation=own.f_exam - noise)


def table_of(found: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table, conditions filled in."""
    return pd.DataFrame([neutral.DEFAULTS | one for one in found])


def values(found: list[dict[str, Any]], measure: str, condition: str = "all") -> dict[str, float]:
    """The values of one measure by feature."""
    own = table_of(found).query("measure == @measure and condition == @condition")
    return dict(zip(own["feature"], own["value"], strict=True))


def test_cosine_and_relative_l1_by_hand() -> None:
    """45° has 1/√2; being 1 off in one of two channels of size 2 is a quarter."""
    one, other = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    assert cosine(one, other).tolist() == pytest.approx([2**-0.5, 0.0])
    assert relative_l1(np.array([[1.0, 2.0]]), np.array([[2.0, 2.0]])).tolist() == [0.25]
    assert np.isnan(relative_l1(one, np.zeros((2, 2)))).all()
    assert sequence_means(np.array([[1.0], [3.0], [10.0]]), np.array(["b", "b", "a"])).tolist() == [[10.0], [2.0]]


def test_the_mean_neutral_counts_each_training_subject_once() -> None:
    """Two training subjects with features 1 (three crops) and 4 (one crop): the mean is 2.5, not 1.75."""
    gallery = np.array([[9], [9], [1], [1], [1], [4]], dtype=np.float32)
    whose = np.array(["S000", "S000", "S001", "S001", "S001", "S002"])
    own = planted_features(people=1, others=2, sequences=2, channels=1, gallery=gallery, gallery_subject=whose)
    assert mean_neutral(own).tolist() == [2.5]


def test_a_generator_that_knows_the_person_gains_over_the_mean_and_one_that_guesses_does_not() -> None:
    """Planted: G gives the person, so nearly all of the mean's distance is gained; the mean itself gains nothing."""
    knows, guesses = agreement(planted_features()), agreement(guessing_at_random())
    assert values(knows, "cosine")["G(F_exam)"] > 0.999 and values(knows, "relative L1")["G(F_exam)"] < 0.01
    assert values(knows, "gain over the mean neutral")["G(F_exam)"] > 0.95
    assert values(guesses, "gain over the mean neutral")["G(F_exam)"] < 0.1
    assert "mean neutral" in values(knows, "cosine")
    assert 0 < values(knows, "spread of neutral features")["F_neu"] < 1


def test_a_sequence_counts_once_whatever_its_frames() -> None:
    """One sequence of three frames that are 100 % off and one of one frame that is right: 50 %, not 75 %."""
    whole = planted_features(people=1, sequences=2, others=2)
    names = ("pairs", "f_exam", "probabilities", "label", "subject", "sequence", "frame", "own")
    fields = {name: getattr(whole, name)[:4] for name in names}
    f_gen = np.where(np.arange(4)[:, None] < 3, 2 * whole.f_neu[:4], whole.f_neu[:4])
    deviation = fields["f_exam"] - f_gen
    found = agreement(planted_features(people=1, sequences=2, others=2, **fields, f_gen=f_gen, deviation=deviation))
    assert values(found, "relative L1")["G(F_exam)"] == pytest.approx(0.5)
    assert values(found, "relative L1", "anger")["G(F_exam)"] == pytest.approx(1.0)
    assert table_of(found).query("measure == 'cosine' and condition == 'all'")["weight"].tolist() == [2, 2, 2]


def test_deviations_agree_where_the_neutral_features_do() -> None:
    """With G = F_neu every asterisk lies in its square, and one classifier answers alike."""
    own = planted_features()
    found = deviations(planted_features(f_gen=own.f_neu, deviation=own.deviation_real))
    assert values(found, "cosine of the two deviations") == {"deviation": pytest.approx(1, abs=1e-5)}
    nearest = table_of(found).query("measure == 'own sequence nearest'").iloc[0]
    assert nearest["value"] == 1 and nearest["chance"] == pytest.approx(1 / 18)
    assert values(found, "same answers") == {"deviation, real neutral": 1.0}
    assert values(found, "accuracy") == {"deviation": 1.0, "deviation, real neutral": 1.0}
    assert deviations(planted_features(f_gen=None, deviation=None)) == []


def test_retrieval_scores_by_hand() -> None:
    """Ranks 1 and 3 of three: top-1 one half, reciprocal rank (1 + 1/3)/2; chance in four is 25/48."""
    similarity = np.array([[0.9, 0.1, 0.2], [0.5, 0.1, 0.3]])
    scores = retrieval_scores(similarity, np.array([0, 1]))
    assert scores == {"top-1": 0.5, "top-5": 1.0, "mean reciprocal rank": pytest.approx(2 / 3)}
    guessed = retrieval_scores(np.zeros((1, 4)), np.array([0]))
    assert guessed == {"top-1": 0.25, "top-5": 1.0, "mean reciprocal rank": pytest.approx(25 / 48)}


@given(size=st.integers(2, 40))
def test_a_query_that_finds_all_alike_scores_chance(size: int) -> None:
    """Ties stand in random order: all equal is what guessing gives."""
    scores = retrieval_scores(np.zeros((3, size)), np.array([0, 1, size - 1]))
    rank = (1 / np.arange(1, size + 1)).sum() / size
    assert list(scores.values()) == pytest.approx([1 / size, min(5, size) / size, rank])


def test_features_that_hold_the_subject_find_it_always() -> None:
    """Planted: G is the person, so it finds its own in both galleries, in another sequence's face as well."""
    found = retrieval(planted_features())
    of_generated = table_of(found).query("feature == 'G(F_exam)'").groupby("condition")
    assert len(of_generated) == 4
    for condition, rows in of_generated:
        size = 6 if str(condition).startswith("validation fold") else 12
        assert rows[["value", "choices", "weight"]].to_numpy().tolist() == [[1.0, size, 54]] * 3
    assert values(found, "top-1", "whole database, another sequence")["F_neu"] == 1.0
    assert "F_neu" not in values(found, "top-1", "whole database, same sequence")


def test_features_that_know_nobody_find_nobody_more_often_than_by_chance() -> None:
    """Random features, 240 independent queries of 40 subjects: within four standard deviations of 1/40."""
    found = retrieval(guessing_at_random(people=40, others=10, sequences=6, frames=1))
    value = values(found, "top-1", "validation fold, same sequence")["G(F_exam)"]
    assert abs(value - 1 / 40) < 4 * (0.025 * 0.975 / 240) ** 0.5


def test_what_cannot_be_measured_says_why() -> None:
    """One subject; one sequence each; two people: no number, and the reason as a note."""
    alone = table_of([*retrieval(planted_features(people=1)), *silhouettes(planted_features(people=1))])
    alone = alone[alone["condition"].str.startswith("validation") | alone["measure"].str.endswith("subject")]
    assert alone["value"].isna().all() and set(alone["note"]) == {"one subject alone", "one group alone"}
    single = table_of([*retrieval(planted_features(sequences=1)), *silhouettes(planted_features(sequences=1))])
    single = single[single["condition"].str.endswith("another sequence") | single["measure"].str.endswith("subject")]
    assert set(single["note"]) == {"no subject has another sequence", "no group has two sequences"}
    two = table_of(probes(planted_features(people=2), pd.DataFrame({"age": np.arange(18.0)})))
    assert two["value"].isna().all()
    assert set(two["note"]) == {"fewer than 3 people with two sequences", "fewer than 6 subjects"}


def test_the_deviation_separates_classes_and_the_generated_neutral_persons() -> None:
    """Planted: the deviation is the expression alone, G(F_exam) the person alone. Near copies change nothing."""
    own = planted_features()
    found = silhouettes(own)
    assert values(found, "silhouette by class")["deviation"] > 0.95
    by_subject = values(found, "silhouette by subject")
    assert by_subject["G(F_exam)"] > 0.95 and by_subject["deviation"] < by_subject["F_exam"]
    row = table_of(found).query("measure == 'silhouette by subject' and feature == 'deviation'").iloc[0]
    assert row["chance"] == pytest.approx(row["value"], abs=0.3) and (row["choices"], row["weight"]) == (6, 18)
    distance = pairwise_distances(sequence_means(own.f_exam, own.sequence))
    np.fill_diagonal(distance, 0)
    expected = silhouette_score(distance, np.repeat(np.arange(6), 3), metric="precomputed")
    assert by_subject["F_exam"] == pytest.approx(expected)
    once = values(silhouettes(planted_features(frames=1)), "silhouette by subject")
    assert once["G(F_exam)"] == pytest.approx(by_subject["G(F_exam)"], abs=1e-5)


def test_sequences_are_dealt_so_that_each_subject_is_known_and_asked() -> None:
    """Every subject with two sequences or more has some in two parts; one sequence alone takes no part."""
    subject = np.array(["a"] * 5 + ["b"] * 2 + ["c"] + ["d"] * 3)
    part, several = deal_sequences(subject)
    assert several.tolist() == [True] * 7 + [False] + [True] * 3
    assert sorted(np.bincount(part[subject == "a"]).tolist()) == [1, 2, 2]
    assert sorted(part[subject == "b"]) == [0, 1] and sorted(part[subject == "d"]) == [0, 1, 2]


def test_identity_is_found_where_it_was_planted_and_guessed_in_noise() -> None:
    """G(F_exam) and F_neu hold the person, the deviation the expression alone; thirty people in noise give 1/30."""
    found = values(probes(planted_features(), pd.DataFrame(index=range(54))), "identity")
    assert found["G(F_exam)"] == found["F_neu"] == 1.0 and found["deviation"] < 0.5
    subject = np.repeat([f"S{k:02}" for k in range(30)], 4)
    right = identity_probe(np.random.default_rng(0).normal(size=(120, 8)), subject, deal_sequences(subject)[0])
    assert abs(right.mean() - 1 / 30) < 4 * (1 / 30 * 29 / 30 / 120) ** 0.5


def test_the_identity_probe_is_logistic_regression_on_all_channels() -> None:
    """Fitting in the span of the points changes no answer."""
    random = np.random.default_rng(2)
    subject = np.repeat([f"S{k}" for k in range(5)], 4)
    channels = random.normal(size=(5, 50))[np.repeat(np.arange(5), 4)] + random.normal(0, 2, (20, 50))
    part, _ = deal_sequences(subject)
    expected = np.zeros(20, dtype=bool)
    for held_out in range(3):
        fitted = part != held_out
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(channels[fitted], subject[fitted])
        expected[~fitted] = probe.predict(channels[~fitted]) == subject[~fitted]
    assert identity_probe(channels, subject, part).tolist() == expected.tolist() and 0 < expected.mean() < 1


def test_factors_are_found_in_people_whom_the_probe_has_not_seen() -> None:
    """A planted channel gives R² near 1, a factor that is in no channel about 0, a constant no number."""
    own = planted_features(people=12, sequences=3)
    noise = np.random.default_rng(1).normal(size=12)[[int(name[1:]) for name in own.subject]]
    drawn = pd.DataFrame({"age": own.f_exam[:, 0].astype(float), "skin tone": noise, "glasses": 0.0})
    found = table_of(probes(own, drawn)).query("feature == 'F_exam'").set_index("measure")
    assert found.loc["age", "value"] > 0.8 and found.loc["skin tone", "value"] < 0.3
    assert found.loc["age", "chance"] == 0 and found.loc["age", "choices"] == 12
    assert np.isnan(found.loc["glasses", "value"]) and found.loc["glasses", "note"] == "does not vary"
    assert set(values(probes(own, drawn), "age")) == {"F_exam", "deviation", "G(F_exam)"}


def test_nobody_is_fitted_and_asked() -> None:
    """A factor that is the subject's number, in features that tell subjects apart but not in order: no better than a
    guess, though a probe that had seen the subjects would know it."""
    random = np.random.default_rng(0)
    subject = np.repeat([f"S{k:02}" for k in range(12)], 4)
    person = random.normal(size=(12, 40))[np.repeat(np.arange(12), 4)]
    number = random.permutation(12)[np.repeat(np.arange(12), 4)].astype(float)[:, None]
    error, guessing = factor_probe(person, number, subject)
    assert 1 - error[0] / guessing[0] < 0.2


def test_folds_are_joined_by_weight() -> None:
    """Values 1 and 0 with weights 3 and 1 are 0.75; a fold without a value counts nowhere, and its note is kept."""
    key = {"database": "ckplus", "method": "gndl", "lam": 5.0, "seed": 0, "run": "r"}
    key |= {"analysis": "agreement", "measure": "cosine", "feature": "F_exam", "condition": "all", "choices": 4}
    rows = [(0, 1.0, 3, 0.5, ""), (1, 0.0, 1, 0.1, ""), (2, np.nan, 9, 0.9, "one subject alone")]
    table = pd.DataFrame(rows, columns=["fold", "value", "weight", "chance", "note"]).assign(**key)
    (row,) = over_folds(table).to_dict("records")
    assert (row["value"], row["chance"], row["folds"], row["note"]) == (0.75, pytest.approx(0.4), 2, "")
    assert (row["lowest"], row["highest"], row["sd"]) == (0.0, 1.0, pytest.approx(2**-0.5))
    (nothing,) = over_folds(table[table["fold"] == 2].assign(lam=np.nan)).to_dict("records")
    assert np.isnan(nothing["value"]) and (nothing["folds"], nothing["note"]) == (0, "one subject alone")


def test_numbers_are_measured_once_and_outlive_the_weights(
    trained_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second call reads them, also from a packed record, which names what it lacks; not those of a changed run."""
    shutil.copytree(trained_study / "study", tmp_path / "study")
    data = {"data_root": trained_study / "ckplus", "profile": "smoke", "device": "cpu"}
    study = gndl.open_study("ckplus", out=tmp_path / "study", **data)
    first = measure(study, ["gndl"], [0])
    assert set(first["method"]) == {"gndl"} and set(first["analysis"]) == {
        "agreement",
        "retrieval",
        "silhouette",
        "probe",
    }
    both = measure(study, folds=[0])
    assert set(both["method"]) == {"gndl", "baseline"}

    def never(*_: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(neutral, "measure_fold", never)
    pd.testing.assert_frame_equal(measure(study, ["gndl"], [0]), first, check_dtype=False)
    gndl.results.pack(tmp_path / "study", tmp_path / "record")
    record = gndl.open_study("ckplus", out=tmp_path / "record", **data)
    pd.testing.assert_frame_equal(measure(record, ["gndl"]), first, check_dtype=False)
    assert "without weights here): ckplus gndl λ=5 fold 1" in capsys.readouterr().out
    kept, key = study.analysis / "deviation_folds.csv", features.identity_key(study, features.run_of(study, "gndl", 0))
    kept.write_text(kept.read_text().replace(key, "other-1"))
    with pytest.raises(AssertionError, match="measured again"):
        measure(study, ["gndl"], [0])


def test_where_nothing_was_measured_the_command_is_named(trained_study: Path, tmp_path: Path) -> None:
    """A record without numbers and weights cannot give any."""
    gndl.results.pack(trained_study / "study", tmp_path / "record")
    shutil.rmtree(tmp_path / "record" / "analysis", ignore_errors=True)
    data = {"data_root": trained_study / "ckplus", "profile": "smoke", "device": "cpu"}
    record = gndl.open_study("ckplus", out=tmp_path / "record", **data)
    with pytest.raises(GndlError, match="gndl train --profile smoke"):
        measure(record)


def test_a_trained_networks_numbers_have_the_columns_that_tables_use(trained_study: Path) -> None:
    """One row a number with its run; pictures of noise have no ground truth, so identity alone is probed."""
    study = open_trained(trained_study)
    found = measure_fold(features.of_fold(study), neutral.drawn_factors(study))
    assert list(found.columns) == [*neutral.RUN, *neutral.DEFAULTS]
    assert found[neutral.RUN].drop_duplicates().shape == (1, 6)
    assert set(found.loc[found["analysis"] == "probe", "measure"]) == {"identity"}
