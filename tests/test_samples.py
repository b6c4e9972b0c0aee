"""Two methods sample by sample, on predictions small enough to count by hand."""

from __future__ import annotations

from math import comb

import pandas as pd
import pytest
from planted_runs import Frame, predictions

from gndl.analysis.samples import hard_samples, pair_predictions, right_and_wrong
from gndl.files import GndlError

SURE, UNSURE, WRONG, BADLY = (0.8, 0.1, 0.1), (0.5, 0.3, 0.2), (0.3, 0.6, 0.1), (0.1, 0.8, 0.1)


def frames(subject: str, number: int, *probabilities: tuple[float, ...]) -> list[Frame]:
    """The frames of one sequence of anger."""
    return [(subject, f"{subject}_{number}", "anger", values) for values in probabilities]


def both(fold: int, baseline: list[Frame], gndl: list[Frame], first: int = 0) -> pd.DataFrame:
    """One fold by both methods."""
    common = {"database": "ckplus", "fold": fold, "seed": 0}
    tables = [
        predictions(own, first=first).assign(method=method, lam=lam, **common)
        for method, lam, own in (("baseline", float("nan"), baseline), ("gndl", 5.0, gndl))
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    """Two folds of two subjects; GNDL gains three sequences, two of them of S1, and loses one."""
    one = both(
        0,
        frames("S1", 1, WRONG, BADLY) + frames("S1", 2, BADLY, BADLY) + frames("S2", 1, WRONG, SURE),
        frames("S1", 1, UNSURE, UNSURE) + frames("S1", 2, SURE, UNSURE) + frames("S2", 1, UNSURE, UNSURE),
    )
    other = both(
        1,
        frames("S3", 1, SURE, SURE) + frames("S4", 1, BADLY, BADLY),
        frames("S3", 1, WRONG, UNSURE) + frames("S4", 1, WRONG, WRONG),
        first=6,
    )
    return pd.concat([one, other], ignore_index=True)


def test_the_four_cells_are_counted_per_frame_and_per_sequence(study: pd.DataFrame) -> None:
    """Frames: S1's four and S2's first are gained, S3's first is lost; votes are means of probabilities."""
    cells = right_and_wrong(study)
    counts = cells[["database", "of", "both", "only_a", "only_b", "neither"]]
    # S2 by the baseline: mean of .3 and .8 for anger, .6 and .1 for happiness, so right. S3 by GNDL: .40 against .45.
    assert counts.to_numpy().tolist() == [["ckplus", "frames", 2, 1, 5, 2], ["ckplus", "sequences", 1, 1, 2, 1]]
    assert cells[["folds", "subjects", "subjects_a", "subjects_b"]].iloc[0].tolist() == [2, 4, 1, 1]
    assert cells.filter(regex="^p_").isna().all(axis=None), "two folds allow no test"
    named = ["a_method", "a_lam", "b_method", "b_lam", "seed"]
    assert cells[named].fillna("none").iloc[0].tolist() == ["baseline", "none", "gndl", 5.0, 0]


def seven_folds(gained: int, lost: int, database: str = "ckplus") -> pd.DataFrame:
    """Seven subjects with two sequences of three frames; both sequences of so many are gained, and of the last lost."""
    folds = []
    for fold in range(7):
        answers = [(BADLY, SURE), (SURE, BADLY), (SURE, SURE)][0 if fold < gained else 1 if fold >= 7 - lost else 2]
        own = [frames(f"S{fold}", 1, *[values] * 3) + frames(f"S{fold}", 2, *[values] * 3) for values in answers]
        folds.append(both(fold, *own, first=6 * fold))
    return pd.concat(folds).assign(database=database)


@pytest.mark.parametrize(("gained", "lost"), [(7, 0), (4, 1), (1, 2), (0, 0)])
def test_from_seven_folds_on_mcnemar_is_on_sequences_and_the_flip_on_subjects(gained: int, lost: int) -> None:
    """Binomial by hand: 2 gained sequences a subject, neither the 6 frames nor the subject alone."""
    cells = right_and_wrong(seven_folds(gained, lost))
    n, fewer = 2 * (gained + lost), 2 * min(gained, lost)
    expected = min(1, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)
    assert cells["p_mcnemar"].tolist() == pytest.approx([expected] * 2)
    n, sums = gained + lost, [gained + lost - 2 * down for down in range(gained + lost + 1)]
    flips = sum(comb(n, down) for down, total in enumerate(sums) if abs(total) >= abs(gained - lost)) / 2**n
    assert cells["p_subjects"].tolist() == pytest.approx([flips] * 2)
    assert cells[["subjects", "subjects_b", "subjects_a"]].iloc[0].tolist() == [7, gained, lost]


def test_the_p_of_samples_are_adjusted_over_the_databases(study: pd.DataFrame) -> None:
    """MMI 2 (1 + 10 + 45)/2¹⁰ and CK+ 2/2¹⁴: the smaller p counts twice; a database without GNDL costs nothing."""
    half = seven_folds(1, 0, "oulu_casia").query("method == 'baseline'")
    cells = right_and_wrong(pd.concat([seven_folds(4, 1, "mmi"), seven_folds(7, 0), half]))
    assert cells["database"].tolist() == ["mmi", "mmi", "ckplus", "ckplus"]
    assert cells["p_mcnemar_adjusted"].iloc[::2].tolist() == pytest.approx([112 / 2**10, 4 / 2**14])
    assert cells["p_subjects_adjusted"].iloc[::2].tolist() == pytest.approx([12 / 2**5, 4 / 2**7])
    with pytest.raises(GndlError, match="share no finished fold"):
        right_and_wrong(half)


def test_hard_samples_follow_the_stated_rule(study: pd.DataFrame) -> None:
    """One frame a sequence, largest gain first, and S2 before S1 comes a second time."""
    paired = pair_predictions(study)
    chosen = hard_samples(paired, "b", count=6)
    # S1_2: .8 - .1 = .7; S2_1: .5 - .3 = .2; S1_1: the second frame gains .5 - .1 = .4, the first only .2.
    assert list(chosen["sequence"]) == ["S1_2", "S2_1", "S1_1"]
    assert chosen["gain"].to_numpy() == pytest.approx([0.7, 0.2, 0.4])
    assert list(chosen["sample"]) == [2, 4, 1]
    assert list(hard_samples(paired, "b", count=2)["sequence"]) == ["S1_2", "S2_1"]


def test_the_reverse_gallery_shows_what_the_baseline_alone_gets_right(study: pd.DataFrame) -> None:
    """S3's first frame: .8 by the baseline, .3 by GNDL."""
    (chosen,) = hard_samples(pair_predictions(study), "a").to_dict("records")
    assert (chosen["sequence"], chosen["predicted_a"], chosen["predicted_b"]) == ("S3_1", "anger", "happiness")
    assert (chosen["gain"], chosen["confidence_b"]) == pytest.approx((0.5, 0.6))


def test_only_folds_that_both_have_are_compared(study: pd.DataFrame) -> None:
    """A fold that one method lacks is left out; without a common one there is an error that says what to do."""
    here = study[(study["fold"] == 1) | (study["method"] == "gndl")]
    assert set(pair_predictions(here)["subject"]) == {"S3", "S4"}
    with pytest.raises(GndlError, match="share no finished fold of one seed; train"):
        pair_predictions(study[(study["fold"] == 0) == (study["method"] == "gndl")])


def test_methods_tested_on_other_samples_or_at_two_lams_are_not_compared(study: pd.DataFrame) -> None:
    """Samples are matched by number, subject, sequence and frame."""
    changed = study.assign(subject=study["subject"].mask((study["method"] == "gndl") & (study["fold"] == 1), "S9"))
    with pytest.raises(GndlError, match="not tested on the same samples"):
        pair_predictions(changed)
    with pytest.raises(GndlError, match="keep one lam"):
        pair_predictions(pd.concat([study, study[study["method"] == "gndl"].assign(lam=50.0)]))
