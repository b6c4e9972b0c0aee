"""How close a generated neutral feature is, whose it is, and what can be read off, where the answer was planted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planted import EXPRESSIONS
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
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
    over_folds,
    relative_l1,
    retrieval,
    retrieval_scores,
    silhouettes,
)
from gndl.analysis.probes import _best_penalty, deal_sequences, factor_probe, identity_probe, probes
from gndl.files import GndlError


def planted_features(
    *, people: int = 6, others: int = 6, sequences: int = 3, frames: int = 3, channels: int = 24
) -> FoldFeatures:
    """Return features in which F_neu is the person, F_exam the person and the expression, and G knows the person.

    ``people`` are tested, ``others`` are in the gallery alone. Every sequence has a neutral crop of its own, with a
    little noise on the person.
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
    return FoldFeatures(**values)


def by_hand(gallery: list[list[float]], f_exam: list[list[float]], f_gen: list[list[float]]) -> FoldFeatures:
    """One frame a sequence; the rows of ``gallery`` belong to the sequences and then to one trained subject each."""
    size, faces = len(f_exam), np.array(gallery, np.float32)
    exam, gen = np.array(f_exam, np.float32), np.array(f_gen, np.float32)
    fields: dict[str, Any] = {"f_exam": exam, "f_gen": gen, "deviation": exam - gen, "gallery": faces}
    fields |= {"gallery_trained": np.arange(len(faces)) >= size, "own": np.arange(size)}
    fields["gallery_subject"] = np.array([f"S{k}" for k in range(len(faces))])
    whole = planted_features(people=size, sequences=1, frames=1, channels=1)
    return replace(whole, **fields, subject=fields["gallery_subject"][:size])


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


def test_the_mean_neutral_counts_each_training_subject_once_and_no_development_subject() -> None:
    """Two training subjects with features 1 (three crops) and 4 (one crop): the mean is 2.5; 9 and 100 do not count."""
    gallery = np.array([[9], [9], [1], [1], [1], [4], [100]], dtype=np.float32)
    whose = np.array(["S000", "S000", "S001", "S001", "S001", "S002", "S003"])
    own = replace(planted_features(), gallery=gallery, gallery_subject=whose)
    assert mean_neutral(replace(own, gallery_trained=np.isin(whose, ["S001", "S002"]))).tolist() == [2.5]


def test_agreement_by_hand() -> None:
    """Neutral 4, examined 7, generated 5, mean neutral 2."""
    found = agreement(by_hand([[4], [2]], [[7]], [[5]]))
    assert values(found, "relative L1") == pytest.approx({"G(F_exam)": 1 / 4, "F_exam": 3 / 4, "mean neutral": 2 / 4})
    assert values(found, "gain over the mean neutral") == pytest.approx({"G(F_exam)": 1 - 1 / 2, "F_exam": 1 - 3 / 2})
    assert values(found, "spread of neutral features") == pytest.approx({"F_neu": 2 / 5})
    weights = table_of(found).groupby("measure")["weight"].first()
    assert weights[["gain over the mean neutral", "spread of neutral features"]].tolist() == [2, 5]


def test_a_sequence_counts_once_whatever_its_frames() -> None:
    """One sequence of three frames that are 100 % off and one of one frame that is right: 50 %, not 75 %."""
    whole = planted_features(people=1, sequences=2, others=2)
    names = ("pairs", "f_exam", "probabilities", "label", "subject", "sequence", "frame", "own")
    fields = {name: getattr(whole, name)[:4] for name in names}
    f_gen = np.where(np.arange(4)[:, None] < 3, 2 * whole.f_neu[:4], whole.f_neu[:4])
    found = agreement(replace(whole, **fields, f_gen=f_gen, deviation=fields["f_exam"] - f_gen))
    assert values(found, "relative L1")["G(F_exam)"] == pytest.approx(0.5)
    assert values(found, "relative L1", "anger")["G(F_exam)"] == pytest.approx(1.0)
    assert table_of(found).query("measure == 'cosine' and condition == 'all'")["weight"].tolist() == [2, 2, 2]


def test_deviations_by_hand() -> None:
    """Real deviations (3, 0), (0, 3) and (3, 3); generated ones (3, 0), (3, 0), (4, 4): the second finds the first."""
    gallery, exam = [[1, 1], [1, 1], [1, 1], [0, 0]], [[4, 1], [1, 4], [4, 4]]
    own = by_hand(gallery, exam, [[1, 1], [-2, 4], [0, 0]])
    answers = np.eye(3, dtype=np.float32)
    own = replace(own, label=np.array([0, 1, 1]), probabilities=answers, probabilities_real=answers[[0, 2, 2]])
    found = deviations(own)
    assert values(found, "cosine of the two deviations") == pytest.approx({"deviation": 2 / 3})
    assert values(found, "accuracy") == pytest.approx({"deviation": 2 / 3, "deviation, real neutral": 1 / 3})
    assert values(found, "same answers") == pytest.approx({"deviation, real neutral": 2 / 3})
    nearest = table_of(found).query("measure == 'own sequence nearest'").iloc[0]
    assert nearest[["value", "chance", "choices"]].tolist() == pytest.approx([2 / 3, 1 / 3, 3])
    assert deviations(replace(own, f_gen=None, deviation=None)) == []


def test_retrieval_scores_by_hand() -> None:
    """Ranks 1 and 3 of three: top-1 one half, reciprocal rank (1 + 1/3)/2; chance in four is 25/48; six is no top-5."""
    similarity = np.array([[0.9, 0.1, 0.2], [0.5, 0.1, 0.3]])
    scores = retrieval_scores(similarity, np.array([0, 1]))
    assert scores == {"top-1": 0.5, "top-5": 1.0, "mean reciprocal rank": pytest.approx(2 / 3)}
    guessed = retrieval_scores(np.zeros((1, 4)), np.array([0]))
    assert guessed == {"top-1": 0.25, "top-5": 1.0, "mean reciprocal rank": pytest.approx(25 / 48)}
    assert retrieval_scores(np.arange(7.0)[None], np.array([1]))["top-5"] == 0
    assert retrieval_scores(np.arange(7.0)[None], np.array([2]))["top-5"] == 1


def test_retrieval_compares_directions_from_the_mean_neutral_feature() -> None:
    """From the mean (10, 0) the query (10.5, 0.5) lies towards (20, 10); from the origin it lies towards (10, 1)."""
    found = retrieval(by_hand([[20, 10], [10, 1], [10, 0]], [[10, 0], [10, 0]], [[10.5, 0.5], [10, 2]]))
    assert values(found, "top-1", "validation fold, same sequence")["G(F_exam)"] == 1.0


def test_features_that_hold_the_subject_find_it_always() -> None:
    """Planted: G is the person, so it finds its own in both galleries, in another sequence's face as well."""
    found = retrieval(planted_features())
    of_generated = table_of(found).query("feature == 'G(F_exam)'").groupby("condition")
    assert len(of_generated) == 4
    for condition, rows in of_generated:
        size = 6 if str(condition).startswith("validation fold") else 12
        assert rows[["value", "choices", "weight"]].to_numpy().tolist() == [[1.0, size, 54]] * 3
        assert rows["chance"].iloc[0] == pytest.approx(1 / size)
    assert values(found, "top-1", "whole database, another sequence")["F_neu"] == 1.0
    assert "F_neu" not in values(found, "top-1", "whole database, same sequence"), "it would find itself"


def test_another_sequence_is_never_the_querys_own() -> None:
    """Every neutral face has a code of its own, and G knows it: found in the same sequence, by chance in another."""
    whole = planted_features(people=20, others=10, frames=1, channels=200)
    codes = np.random.default_rng(1).normal(2, 1, whole.gallery.shape).astype(np.float32)
    found = retrieval(replace(whole, gallery=codes, f_gen=codes[whole.own]))
    assert values(found, "top-1", "whole database, same sequence")["G(F_exam)"] == 1.0
    for feature in ("G(F_exam)", "F_neu"):
        assert values(found, "top-1", "whole database, another sequence")[feature] < 0.2


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
    expected = silhouette_score(sequence_means(own.f_exam, own.sequence), np.repeat(np.arange(6), 3))
    assert by_subject["F_exam"] == pytest.approx(expected)
    assert (table_of(found)["chance"] < 0).all(), "groups at random lie in one another"
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
    assert found.loc["age", ["chance", "choices"]].tolist() == [0, 12]
    assert np.isnan(found.loc["glasses", "value"]) and found.loc["glasses", "note"] == "does not vary"
    assert set(values(probes(own, drawn), "age")) == {"F_exam", "deviation", "G(F_exam)"}


def test_a_probe_is_fitted_and_standardised_without_those_it_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ridge by hand, with the means and deviations of all others; an odd held-out channel is clipped to 5 of them."""
    monkeypatch.setattr("gndl.analysis.probes.ALPHAS", (10.0,))
    random = np.random.default_rng(0)
    channels, drawn = random.normal(3, 2, (12, 3)), random.normal(size=(12, 1))
    channels[0, 0] = 1000
    subject, wrong, guess = np.repeat([f"S{k}" for k in range(6)], 2), 0.0, 0.0
    for who in np.unique(subject):
        x, y, asked = channels[subject != who], drawn[subject != who, 0], channels[subject == who]
        z, centred = (x - x.mean(0)) / x.std(0), y - y.mean()
        weights = np.linalg.solve(z.T @ z + 10 * np.eye(3), z.T @ centred)
        predicted = ((asked - x.mean(0)) / x.std(0)).clip(-5, 5) @ weights + y.mean()
        wrong += ((predicted - drawn[subject == who, 0]) ** 2).sum()
        guess += ((y.mean() - drawn[subject == who, 0]) ** 2).sum()
    found = factor_probe(channels, drawn, subject)
    assert (found[0].item(), found[1].item()) == pytest.approx((wrong, guess))
    error, guessing = factor_probe(np.ones((12, 3)), drawn, subject)
    assert error.item() == pytest.approx(guessing.item()), "what says nothing guesses the mean of the others: R² is 0"


def test_the_penalty_is_chosen_within_the_fitted_part() -> None:
    """Subjects are told apart by the features, but their numbers are in no order: at best a guess."""
    random = np.random.default_rng(0)
    subject = np.repeat([f"S{k:02}" for k in range(12)], 4)
    person = random.normal(size=(12, 40))[np.repeat(np.arange(12), 4)]
    number = random.permutation(12)[np.repeat(np.arange(12), 4)].astype(float)[:, None]
    error, guessing = factor_probe(person, number, subject)
    assert 1 - error[0] / guessing[0] < 0.2
    channels = random.normal(size=(40, 3))
    assert _best_penalty(channels, channels[:, :1], np.arange(40) % 10).tolist() == [10], "where there is a line"


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
    assert set(first["method"]) == {"gndl"} and list(first.columns) == [*neutral.RUN, *neutral.DEFAULTS]
    assert set(first["analysis"]) == {"agreement", "retrieval", "silhouette", "probe"}
    assert set(first.loc[first["analysis"] == "probe", "measure"]) == {"identity"}, "pictures of noise have no truth"
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
