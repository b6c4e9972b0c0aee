"""The plane of Fig. 8 and silhouettes: the same for the same features, and right on planted structure."""

from __future__ import annotations

import numpy as np
import pytest
from planted_features import planted_features
from sklearn.metrics import pairwise_distances, silhouette_score

from gndl.analysis.embedding import (
    deviation_embedding,
    in_a_plane,
    measure_silhouettes,
    sequence_means,
    silhouette,
)
from gndl.errors import GndlError


def test_every_sample_is_there_as_square_and_as_asterisk() -> None:
    """Two rows a sample, with who, what and what was answered; the pair coincides where the features do."""
    own = planted_features(people=4, sequences=2)
    own = planted_features(people=4, sequences=2, f_gen=own.f_neu, deviation=own.deviation_real)
    table = deviation_embedding(own)
    assert table["neutral"].value_counts().to_dict() == {"real": 24, "generated": 24}
    assert table["truth"].tolist() == 2 * own.truth.tolist() and set(table["fold"]) == {0}
    assert (table["predicted"] == table["truth"]).all()
    points = table.pivot(index="sample", columns="neutral", values=["x", "y"])
    apart = np.hypot(points["x", "real"] - points["x", "generated"], points["y", "real"] - points["y", "generated"])
    assert apart.max() < 0.1 * np.ptp(table[["x", "y"]].to_numpy(), axis=0).max()


def test_one_seed_gives_one_plane() -> None:
    """Twice the same, to the last bit."""
    points = np.random.default_rng(0).normal(size=(30, 60)).astype(np.float32)
    assert np.array_equal(in_a_plane(points, seed=3), in_a_plane(points, seed=3))


@pytest.mark.parametrize("samples", [3, 4])
def test_few_samples_have_a_plane_and_fewer_none(samples: int) -> None:
    """The perplexity adapts; below three samples the table is empty, with all its columns."""
    assert len(deviation_embedding(planted_features(people=1, sequences=samples, frames=1))) == 2 * samples
    nothing = deviation_embedding(planted_features(people=1, sequences=2, frames=1))
    assert nothing.empty and {"x", "y", "neutral", "truth"} <= set(nothing.columns)


def test_a_method_without_generator_is_refused_by_name() -> None:
    """There is nothing to subtract."""
    with pytest.raises(GndlError, match="gndl generates no neutral feature"):
        deviation_embedding(planted_features(f_gen=None, deviation=None))


def test_the_silhouette_is_scikit_learns() -> None:
    """With groups of many sizes, one of them a single point, and two points that coincide."""
    random = np.random.default_rng(0)
    points = random.normal(size=(20, 3))
    points[4] = points[5]
    groups = np.array([0] + [1] * 4 + [2] * 7 + [3] * 8)
    distance = pairwise_distances(points)
    np.fill_diagonal(distance, 0)
    assert silhouette(distance, groups) == pytest.approx(silhouette_score(distance, groups, metric="precomputed"))


def test_the_deviation_separates_classes_and_the_generated_neutral_persons() -> None:
    """Planted: the deviation is the expression alone, G(F_exam) the person alone."""
    found = {(one.measure, one.feature): one for one in measure_silhouettes(planted_features())}
    assert found["silhouette by class", "deviation"].value > 0.95
    assert found["silhouette by subject", "deviation"].value < found["silhouette by subject", "F_exam"].value
    assert found["silhouette by subject", "G(F_exam)"].value > 0.95
    by_subject = found["silhouette by subject", "deviation"]
    assert by_subject.chance == pytest.approx(by_subject.value, abs=0.3) and by_subject.choices == 6
    assert by_subject.weight == 18  # sequences, not frames


def test_near_copies_change_no_silhouette() -> None:
    """A frame three times over is one sequence still."""
    once, thrice = (measure_silhouettes(planted_features(frames=frames)) for frames in (1, 3))
    values = np.array([[one.value for one in found if one.feature == "G(F_exam)"] for found in (once, thrice)])
    assert values[0] == pytest.approx(values[1], abs=1e-5)


def test_one_group_has_no_silhouette_and_it_is_said() -> None:
    """One subject; or as many groups as sequences."""
    alone = [one for one in measure_silhouettes(planted_features(people=1)) if one.measure.endswith("subject")]
    assert all(np.isnan(one.value) and one.note == "one group alone" for one in alone)
    single = [one for one in measure_silhouettes(planted_features(sequences=1)) if one.measure.endswith("subject")]
    assert all(np.isnan(one.value) and one.note == "no group has two sequences" for one in single)


def test_means_are_taken_within_each_sequence() -> None:
    """By the sequences' names in order."""
    means = sequence_means(np.array([[1.0], [3.0], [10.0]]), np.array(["b", "b", "a"]))
    assert means.tolist() == [[10.0], [2.0]]
