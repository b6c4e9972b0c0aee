"""Probes find what was planted, and nothing where nothing was; factors are what was drawn for each face."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from planted import planted_pairs
from planted_features import planted_features
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gndl.analysis.factors import FACTORS, face_factors
from gndl.analysis.probes import (
    ALPHAS,
    CONSTANT,
    deal_sequences,
    factor_probe,
    identity_probe,
    measure_probes,
    ridge_path,
)
from gndl.sequences import STAND_IN_LABEL


def test_the_ridge_path_is_scikit_learns_ridge() -> None:
    """At every penalty, with more and with fewer points than channels."""
    random = np.random.default_rng(0)
    for points in (12, 60):
        values, drawn, asked = random.normal(3, 2, (points, 30)), random.normal(size=(points, 2)), values_of(random)
        path = ridge_path(values, drawn, asked)
        scaler = StandardScaler().fit(values)
        for number, alpha in enumerate(ALPHAS):
            expected = Ridge(alpha=alpha).fit(scaler.transform(values), drawn).predict(scaler.transform(asked))
            assert path[number] == pytest.approx(expected, abs=1e-8)


def values_of(random: np.random.Generator) -> np.ndarray:
    """Points within the range that a probe was fitted on."""
    return random.normal(3, 1, (7, 30))


def test_sequences_are_dealt_so_that_each_subject_is_known_and_asked() -> None:
    """Every subject with two sequences or more has some in two parts; one sequence alone takes no part."""
    subject = np.array(["a"] * 5 + ["b"] * 2 + ["c"] + ["d"] * 3)
    part, several = deal_sequences(subject)
    assert several.tolist() == [True] * 7 + [False] + [True] * 3
    assert sorted(np.bincount(part[subject == "a"]).tolist()) == [1, 2, 2]
    assert sorted(part[subject == "b"]) == [0, 1] and sorted(part[subject == "d"]) == [0, 1, 2]


def test_identity_is_found_where_it_was_planted_and_not_elsewhere() -> None:
    """G(F_exam) and F_neu hold the person, the deviation the expression alone."""
    found = {one.feature: one for one in measure_probes(planted_features(), no_factors(54))}
    assert found["G(F_exam)"].value == found["F_neu"].value == 1.0
    assert found["deviation"].value < 0.5 and found["deviation"].chance == 1 / 6
    assert {one.measure for one in found.values()} == {"identity"}


def test_identity_in_noise_is_guessed() -> None:
    """Thirty people of four sequences in pure noise: within four standard deviations of 1/30."""
    random = np.random.default_rng(0)
    subject = np.repeat([f"S{k:02}" for k in range(30)], 4)
    correct = identity_probe(random.normal(size=(120, 8)), subject, deal_sequences(subject)[0])
    assert abs(correct.mean() - 1 / 30) < 4 * (1 / 30 * 29 / 30 / 120) ** 0.5


def test_the_identity_probe_is_scikit_learns_on_all_channels() -> None:
    """Fitting in the span of the points changes no answer."""
    random = np.random.default_rng(2)
    subject = np.repeat([f"S{k}" for k in range(5)], 4)
    values = random.normal(size=(5, 50))[np.repeat(np.arange(5), 4)] + random.normal(0, 2, (20, 50))
    part, _ = deal_sequences(subject)
    expected = np.zeros(20, dtype=bool)
    for held_out in range(3):
        fitted = part != held_out
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
        probe.fit(values[fitted], subject[fitted])
        expected[~fitted] = probe.predict(values[~fitted]) == subject[~fitted]
    assert identity_probe(values, subject, part).tolist() == expected.tolist() and 0 < expected.mean() < 1


def no_factors(samples: int) -> pd.DataFrame:
    """What a licensed study has: nothing is known of what was photographed."""
    return pd.DataFrame(index=pd.RangeIndex(samples))


def test_factors_are_found_in_people_whom_the_probe_has_not_seen() -> None:
    """A planted channel gives R² near 1, a factor that is in no channel about 0, a constant no number."""
    own = planted_features(people=12, sequences=3)
    age = own.f_exam[:, 0].astype(float)
    noise = np.random.default_rng(1).normal(size=12)[[int(name[1:]) for name in own.subject]]
    drawn = pd.DataFrame({"age": age, "skin tone": noise, "glasses": 0.0})
    found = {one.measure: one for one in measure_probes(own, drawn) if one.feature == "F_exam"}
    assert found["age"].value > 0.8 and found["skin tone"].value < 0.3 and found["age"].chance == 0
    assert np.isnan(found["glasses"].value) and found["glasses"].note == CONSTANT
    features = {one.feature for one in measure_probes(own, drawn) if one.measure == "age"}
    assert features == {"F_exam", "deviation", "G(F_exam)"}


def test_nobody_is_fitted_and_asked() -> None:
    """A factor that is the subject's number, in features that tell subjects apart but not in order: no better than a
    guess, though a probe that had seen the subjects would know it."""
    random = np.random.default_rng(0)
    subject = np.repeat([f"S{k:02}" for k in range(12)], 4)
    person = random.normal(size=(12, 40))[np.repeat(np.arange(12), 4)]
    number = random.permutation(12)[np.repeat(np.arange(12), 4)].astype(float)[:, None]
    error, guessing = factor_probe(person, number, subject)
    assert 1 - error[0] / guessing[0] < 0.2


def test_too_few_people_are_said_in_words() -> None:
    """Two people give neither identity nor factors; a number would be chance."""
    found = measure_probes(planted_features(people=2), pd.DataFrame({"age": np.arange(18.0)}))
    assert all(np.isnan(one.value) for one in found)
    assert {one.note for one in found} == {"fewer than 3 people with two sequences", "fewer than 6 subjects"}


def write_truth(root: Path) -> None:
    """Ground truth of a tree with two stills of Ann and a clip of two frames of Bob."""
    folder = root.with_name(f"{root.name}.truth")
    for place in (root, folder):
        place.mkdir()
        (place / STAND_IN_LABEL).write_text("a stand-in")
    frames = pd.DataFrame(
        {
            "subject": ["Ann", "Ann", "Bob", "Bob"], "sequence": ["A1", "A1", "B1", "B1"], "emotion": "anger",
            "drifts_to": "", "file": ["A/0.png", "A/1.png", "B/1.avi", "B/1.avi"], "index": [0, 1, 0, 1],
            "light_azimuth": [-30, 10, 20, 20], "light_height": [5, 5, 6, 6], "light_amount": 0.9,
            "yaw": [1, -2, 3, -4], "pitch": [0, 1, 2, 3],
        }
    )  # fmt: skip
    frames.to_csv(folder / "truth.csv", index=False)
    skin = {f"complexion.skin.{k}": [0.5, 0.1] for k in range(3)}
    pd.DataFrame({"name": ["Ann", "Bob"], "age": [0.2, 0.7], "glasses": ["no", "yes"], **skin}).to_csv(
        folder / "subjects.csv", index=False
    )
    arrays = dict.fromkeys(("actions", "landmarks", "hidden", "resting", "identity"), np.zeros(1))
    names = {"action_names": np.array([]), "identity_names": np.array([])}
    np.savez(folder / "truth.npz", subject=np.array([0, 0, 1, 1]), **arrays, **names)


def rendered_study(root: Path, frames: list[tuple[str, str]], source: str = "rendered") -> SimpleNamespace:
    """A study whose pairs examine these (file, frame), in this order."""
    pairs = planted_pairs(n_pairs=len(frames))
    table = pd.DataFrame(frames, columns=["source_file", "frame"]).assign(crop=pairs.examined_index)
    return SimpleNamespace(
        database=SimpleNamespace(root=root, source=source), pairs=pairs, crops=SimpleNamespace(table=table)
    )


def test_factors_are_looked_up_by_file_and_frame(tmp_path: Path) -> None:
    """Stills by their file, frames of a clip by their number from 1; sides are taken off, tone is −ln of the skin."""
    write_truth(tmp_path / "tree")
    frames = [("B/1.avi", "1.avi#2"), ("A/0.png", "0.png"), ("A/1.png", "1.png"), ("B/1.avi", "1.avi#1")]
    found = face_factors(rendered_study(tmp_path / "tree", frames))  # type: ignore[arg-type]
    assert tuple(found.columns) == tuple(FACTORS)
    assert found["light from the side"].tolist() == [20, 30, 10, 20] and found["nodding"].tolist() == [3, 0, 1, 2]
    assert found["turned to the side"].tolist() == [4, 1, 2, 3] and found["glasses"].tolist() == [1, 0, 0, 1]
    assert found["age"].tolist() == [0.7, 0.2, 0.2, 0.7]
    assert found["skin tone"].tolist() == pytest.approx(-np.log([0.1, 0.5, 0.5, 0.1]))


def test_without_ground_truth_there_are_no_factors(tmp_path: Path) -> None:
    """Nor has a licensed copy any, nor a rendered tree without its truth, nor faces that the truth does not name."""
    frames = [("A/0.png", "0.png")]
    assert face_factors(rendered_study(tmp_path / "gone", frames)).shape == (1, 0)  # type: ignore[arg-type]
    write_truth(tmp_path / "tree")
    for study in (
        rendered_study(tmp_path / "tree", frames, "licensed"),
        rendered_study(tmp_path / "tree", [("C/9.png", "9.png")]),
    ):
        assert face_factors(study).shape == (1, 0)  # type: ignore[arg-type]
