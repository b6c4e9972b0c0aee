"""How close a generated neutral feature is, and whose, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_features import planted_features

from gndl.analysis.agreement import (
    agreement_samples,
    cosine,
    mean_neutral,
    measure_agreement,
    measure_deviations,
    relative_l1,
    squared_distances,
)
from gndl.analysis.features import FoldFeatures
from gndl.analysis.measurement import Measurement
from gndl.analysis.retrieval import (
    ANOTHER,
    DATABASE,
    SAME,
    VALIDATION,
    chance_scores,
    measure_retrieval,
    retrieval_scores,
)


def values(found: list[Measurement], measure: str, condition: str = "all") -> dict[str, float]:
    """The values of one measure by feature."""
    return {one.feature: one.value for one in found if (one.measure, one.condition) == (measure, condition)}


def guessing_at_random(**more: int) -> FoldFeatures:
    """Features whose generator knows nobody."""
    own = planted_features(**more)
    noise = np.random.default_rng(1).normal(2, 1, own.f_exam.shape).astype(np.float32)
    return planted_features(**more, f_gen=noise, deviation=own.f_exam - noise)


def test_cosine_and_relative_l1_by_hand() -> None:
    """45° has 1/√2; being 1 off in one of two channels of size 2 is a quarter."""
    one, other = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    assert cosine(one, other).tolist() == pytest.approx([2**-0.5, 0.0])
    assert relative_l1(np.array([[1.0, 2.0]]), np.array([[2.0, 2.0]])).tolist() == [0.25]
    assert np.isnan(relative_l1(one, np.zeros((2, 2)))).all()
    assert squared_distances(one, other).tolist() == [[1.0, 1.0], [2.0, 2.0]]


def test_the_mean_neutral_counts_each_training_subject_once() -> None:
    """Two training subjects with features 1 (three crops) and 4 (one crop): the mean is 2.5, not 1.75."""
    own = planted_features(people=1, others=2, sequences=2, channels=1)
    own = planted_features(
        people=1, others=2, sequences=2, channels=1,
        gallery=np.array([[9], [9], [1], [1], [1], [4]], dtype=np.float32),
        gallery_subject=np.array(["S000", "S000", "S001", "S001", "S001", "S002"]),
        own=own.own,
    )  # fmt: skip
    assert mean_neutral(own).tolist() == [2.5]


def test_a_generator_that_knows_the_person_gains_over_the_mean_and_one_that_guesses_does_not() -> None:
    """Planted: G gives the person, so nearly all of the mean's distance is gained; the mean itself gains nothing."""
    knows, guesses = measure_agreement(planted_features()), measure_agreement(guessing_at_random())
    assert values(knows, "cosine")["G(F_exam)"] > 0.999 and values(knows, "relative L1")["G(F_exam)"] < 0.01
    assert values(knows, "gain over the mean neutral")["G(F_exam)"] > 0.95
    assert values(guesses, "gain over the mean neutral")["G(F_exam)"] < 0.1
    assert 0 < values(knows, "spread of neutral features")["F_neu"] < 1


def test_a_sequence_counts_once_whatever_its_frames() -> None:
    """One sequence of three frames that are 100 % off and one of one frame that is right: 50 %, not 75 %."""
    whole = planted_features(people=1, sequences=2, others=2)
    keep = slice(0, 4)
    fields = {name: getattr(whole, name)[keep] for name in ("pairs", "f_exam", "probabilities", "label", "subject",
                                                            "sequence", "frame", "own")}  # fmt: skip
    f_neu = whole.f_neu[keep]
    f_gen = np.where(np.arange(4)[:, None] < 3, 2 * f_neu, f_neu)
    own = planted_features(people=1, sequences=2, others=2, **fields, f_gen=f_gen, deviation=fields["f_exam"] - f_gen)
    found = measure_agreement(own)
    assert values(found, "relative L1")["G(F_exam)"] == pytest.approx(0.5)
    assert values(found, "relative L1", "anger")["G(F_exam)"] == pytest.approx(1.0)
    assert [one.weight for one in found if one.measure == "cosine" and one.condition == "all"] == [2, 2, 2]
    assert len(agreement_samples(own)) == 3 * 4


def test_deviations_agree_where_the_neutral_features_do() -> None:
    """With G = F_neu every asterisk lies in its square, and one classifier answers alike."""
    own = planted_features()
    own = planted_features(f_gen=own.f_neu, deviation=own.deviation_real)
    found = {one.measure: one for one in measure_deviations(own) if one.feature != "deviation, real neutral"}
    assert found["cosine of the two deviations"].value == pytest.approx(1, abs=1e-5)
    assert found["own sequence nearest"].value == 1 and found["own sequence nearest"].chance == pytest.approx(1 / 18)
    assert values(measure_deviations(own), "same answers") == {"deviation, real neutral": 1.0}
    assert values(measure_deviations(own), "accuracy") == {"deviation": 1.0, "deviation, real neutral": 1.0}
    assert measure_deviations(planted_features(f_gen=None, deviation=None)) == []


def test_retrieval_scores_by_hand() -> None:
    """Ranks 1 and 3 of three: top-1 one half, reciprocal rank (1 + 1/3)/2."""
    similarity = np.array([[0.9, 0.1, 0.2], [0.5, 0.1, 0.3]])
    scores = retrieval_scores(similarity, np.array([0, 1]))
    assert scores == {"top-1": 0.5, "top-5": 1.0, "mean reciprocal rank": pytest.approx(2 / 3)}


@settings(max_examples=25, deadline=None)
@given(size=st.integers(2, 40))
def test_a_query_that_finds_all_alike_scores_chance(size: int) -> None:
    """Ties stand in random order: all equal is what guessing gives."""
    scores = retrieval_scores(np.zeros((3, size)), np.array([0, 1, size - 1]))
    assert scores == pytest.approx(chance_scores(size))


def test_chance_by_hand() -> None:
    """Four entries: 1/4, certain among five, and (1 + 1/2 + 1/3 + 1/4)/4."""
    assert chance_scores(4) == {"top-1": 0.25, "top-5": 1.0, "mean reciprocal rank": pytest.approx(25 / 48)}


def test_features_that_hold_the_subject_find_it_always() -> None:
    """Planted: G is the person, so it finds its own in both galleries, in another sequence's face as well."""
    found = measure_retrieval(planted_features())
    for gallery, size in ((VALIDATION, 6), (DATABASE, 12)):
        for own in (SAME, ANOTHER):
            rows = [one for one in found if one.condition == f"{gallery}, {own}" and one.feature == "G(F_exam)"]
            assert [(one.value, one.choices, one.weight) for one in rows] == [(1.0, size, 54)] * 3
    assert values(found, "top-1", f"{DATABASE}, {ANOTHER}")["F_neu"] == 1.0
    assert "F_neu" not in values(found, "top-1", f"{DATABASE}, {SAME}")


def test_features_that_know_nobody_find_nobody_more_often_than_by_chance() -> None:
    """Random features, 240 independent queries of 40 subjects: within four standard deviations of 1/40."""
    own = guessing_at_random(people=40, others=10, sequences=6, frames=1)
    rows = {
        one.condition: one for one in measure_retrieval(own) if (one.feature, one.measure) == ("G(F_exam)", "top-1")
    }
    one = rows[f"{VALIDATION}, {SAME}"]
    assert one.chance == 1 / 40 and abs(one.value - one.chance) < 4 * (0.025 * 0.975 / 240) ** 0.5


def test_too_few_to_search_among_is_said_in_words() -> None:
    """One validation subject has nobody to be mistaken for; one sequence each leaves no other recording."""
    alone = [one for one in measure_retrieval(planted_features(people=1)) if one.condition.startswith(VALIDATION)]
    assert all(np.isnan(one.value) and "nobody to be mistaken for" in one.note for one in alone)
    single = [one for one in measure_retrieval(planted_features(sequences=1)) if one.condition.endswith(ANOTHER)]
    assert single and all(np.isnan(one.value) and "no subject has another sequence" in one.note for one in single)
