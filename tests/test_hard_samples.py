"""Two methods sample by sample, on predictions small enough to count by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_runs import Frame, predictions, write_run

from gndl.analysis.exact_tests import mcnemar_exact, sign_flip_exact
from gndl.analysis.hard_samples import (
    Cells,
    compare_samples,
    count_cells,
    hard_samples,
    pair_predictions,
    pair_votes,
)
from gndl.analysis.variants import Variant
from gndl.errors import GndlError

BASELINE, GNDL = Variant("baseline"), Variant("gndl", "5")

TRUTH = "anger"
SURE, UNSURE, WRONG, BADLY = (0.8, 0.1, 0.1), (0.5, 0.3, 0.2), (0.3, 0.6, 0.1), (0.1, 0.8, 0.1)


def frames(subject: str, number: int, *probabilities: tuple[float, ...]) -> list[Frame]:
    """The frames of one sequence of anger."""
    return [(subject, f"{subject}_{number}", TRUTH, values) for values in probabilities]


def write_both(out: Path, fold: int, baseline: list[Frame], gndl: list[Frame], first: int = 0) -> None:
    """Write one fold by both methods."""
    write_run(out, "baseline", "none", fold, predictions(baseline, first=first))
    write_run(out, "gndl", "5", fold, predictions(gndl, first=first))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two folds of two subjects; GNDL gains three sequences, two of them of S1, and loses one."""
    write_both(
        tmp_path,
        0,
        frames("S1", 1, WRONG, BADLY) + frames("S1", 2, BADLY, BADLY) + frames("S2", 1, WRONG, SURE),
        frames("S1", 1, UNSURE, UNSURE) + frames("S1", 2, SURE, UNSURE) + frames("S2", 1, UNSURE, UNSURE),
    )
    write_both(
        tmp_path,
        1,
        frames("S3", 1, SURE, SURE) + frames("S4", 1, BADLY, BADLY),
        frames("S3", 1, WRONG, UNSURE) + frames("S4", 1, WRONG, WRONG),
        first=6,
    )
    return tmp_path


def test_the_four_cells_are_counted_per_frame_and_per_sequence(study: Path) -> None:
    """Frames: S1's four and S2's first are gained, S3's first is lost; votes are means of probabilities."""
    found = compare_samples(study, "ckplus", BASELINE, GNDL)
    assert found.frames == Cells(both=2, only_a=1, only_b=5, neither=2)
    # S2 by the baseline: mean of .3 and .8 for anger, .6 and .1 for happiness, so right. S3 by GNDL: .40 against .45.
    assert found.sequences == Cells(both=1, only_a=1, only_b=2, neither=1)
    assert (found.folds, found.subjects, found.subjects_a, found.subjects_b) == (2, 4, 1, 1)
    votes = pair_votes(study, "ckplus", BASELINE, GNDL).set_index("sequence")
    assert votes["right_a"].to_dict() == {"S1_1": False, "S1_2": False, "S2_1": True, "S3_1": True, "S4_1": False}
    assert votes["right_b"].to_dict() == {"S1_1": True, "S1_2": True, "S2_1": True, "S3_1": False, "S4_1": False}


def test_below_seven_folds_there_is_no_test_of_samples(study: Path) -> None:
    """Counts are given, no p."""
    found = compare_samples(study, "ckplus", BASELINE, GNDL)
    assert found.p_mcnemar is None
    assert found.p_subjects is None


def test_from_seven_folds_on_the_sequences_are_tested_by_subject_too(tmp_path: Path) -> None:
    """Seven subjects of whom GNDL gains both sequences of one fold each: 14 gained, none lost."""
    for fold in range(7):
        subject = f"S{fold}"
        write_both(
            tmp_path,
            fold,
            frames(subject, 1, BADLY) + frames(subject, 2, BADLY),
            frames(subject, 1, SURE) + frames(subject, 2, SURE),
            first=2 * fold,
        )
    found = compare_samples(tmp_path, "ckplus", BASELINE, GNDL)
    assert found.p_mcnemar == pytest.approx(2 / 2**14)
    assert found.p_subjects == pytest.approx(2 / 2**7)  # the subjects are seven, not fourteen


def test_hard_samples_follow_the_stated_rule(study: Path) -> None:
    """One frame a sequence, largest gain first, and S2 before S1 comes a second time."""
    paired = pair_predictions(study, "ckplus", BASELINE, GNDL)
    chosen = hard_samples(paired, "b", count=6)
    # S1_2: .8 − .1 = .7; S2_1: .5 − .3 = .2; S1_1: the second frame gains .5 − .1 = .4, the first only .2.
    assert list(chosen["sequence"]) == ["S1_2", "S2_1", "S1_1"]
    assert chosen["gain"].to_numpy() == pytest.approx([0.7, 0.2, 0.4])
    assert list(chosen["sample"]) == [2, 4, 1]
    assert list(hard_samples(paired, "b", count=2)["sequence"]) == ["S1_2", "S2_1"]


def test_the_reverse_gallery_shows_what_the_baseline_alone_gets_right(study: Path) -> None:
    """S3's first frame: .8 by the baseline, .3 by GNDL."""
    chosen = hard_samples(pair_predictions(study, "ckplus", BASELINE, GNDL), "a")
    assert list(chosen["sequence"]) == ["S3_1"]
    assert chosen["gain"].to_numpy() == pytest.approx([0.5])
    assert list(chosen["predicted_a"]) == ["anger"]
    assert list(chosen["predicted_b"]) == ["happiness"]
    assert chosen["confidence_b"].to_numpy() == pytest.approx([0.6])


def test_methods_that_agree_leave_an_empty_gallery(tmp_path: Path) -> None:
    """No row, but every column."""
    write_both(tmp_path, 0, frames("S1", 1, SURE), frames("S1", 1, UNSURE))
    paired = pair_predictions(tmp_path, "ckplus", BASELINE, GNDL)
    assert len(hard_samples(paired)) == 0
    assert "predicted_b" in hard_samples(paired).columns
    assert compare_samples(tmp_path, "ckplus", BASELINE, GNDL).sequences == Cells(1, 0, 0, 0)


def test_only_folds_that_both_have_are_compared(tmp_path: Path) -> None:
    """A fold that one method lacks is left out; without a common one there is an error."""
    write_both(tmp_path, 0, frames("S1", 1, SURE), frames("S1", 1, SURE))
    write_run(tmp_path, "gndl", "5", 1, predictions(frames("S2", 1, SURE), first=1))
    assert list(pair_predictions(tmp_path, "ckplus", BASELINE, GNDL)["subject"]) == ["S1"]
    write_run(tmp_path, "gndl", "9", 1, predictions(frames("S2", 1, SURE), first=1))
    with pytest.raises(GndlError, match="share no finished fold"):
        pair_predictions(tmp_path, "ckplus", BASELINE, Variant("gndl", "9"))


def test_methods_tested_on_other_samples_are_not_compared(tmp_path: Path) -> None:
    """A row more, or another frame under the same number, is no basis."""
    write_run(tmp_path, "baseline", "none", 0, predictions(frames("S1", 1, SURE, SURE)))
    write_run(tmp_path, "gndl", "5", 0, predictions(frames("S1", 1, SURE, SURE)).assign(frame=["0.png", "7.png"]))
    with pytest.raises(GndlError, match="not tested on the same samples"):
        pair_predictions(tmp_path, "ckplus", BASELINE, GNDL)


def test_one_seed_is_compared_at_a_time(tmp_path: Path) -> None:
    """The smallest that both have, unless one is named."""
    for seed, values in ((1, SURE), (2, BADLY)):
        write_run(tmp_path, "baseline", "none", 0, predictions(frames("S1", 1, values)), seed=seed)
        write_run(tmp_path, "gndl", "5", 0, predictions(frames("S1", 1, SURE)), seed=seed)
    assert compare_samples(tmp_path, "ckplus", BASELINE, GNDL).sequences == Cells(1, 0, 0, 0)
    assert compare_samples(tmp_path, "ckplus", BASELINE, GNDL, seed=2).sequences == Cells(0, 0, 1, 0)


def test_mcnemar_is_the_binomial_test_of_what_differs() -> None:
    """Two against eight: 2 (C(10,0) + C(10,1) + C(10,2)) / 2¹⁰ = 112/1024."""
    assert mcnemar_exact(2, 8) == pytest.approx(112 / 1024)
    assert mcnemar_exact(8, 2) == pytest.approx(112 / 1024)
    assert mcnemar_exact(0, 0) == 1


@given(st.lists(st.integers(-4, 4), max_size=9))
def test_the_sign_flip_test_counts_every_flip(differences: list[int]) -> None:
    """The count one subject after the other agrees with going through all 2ⁿ flips."""
    sums = [abs(sum(flip)) for flip in itertools.product(*[(value, -value) for value in differences])]
    expected = np.mean([total >= abs(sum(differences)) for total in sums])
    assert sign_flip_exact(differences) == pytest.approx(expected)


def test_one_subject_alone_shows_nothing() -> None:
    """Six sequences of one subject are one observation: McNemar says 2/64, the subject's sign 1."""
    assert mcnemar_exact(0, 6) == pytest.approx(2 / 64)
    assert sign_flip_exact([6]) == 1


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_the_four_cells_lose_nobody(pairs: list[tuple[bool, bool]]) -> None:
    """They sum to the number of samples, and their margins to what each method has right."""
    right = np.array(pairs, dtype=bool).reshape(-1, 2)
    cells = count_cells(right[:, 0], right[:, 1])
    assert cells.total == len(pairs)
    assert cells.both + cells.only_a == right[:, 0].sum()
    assert cells.both + cells.only_b == right[:, 1].sum()


def test_the_table_of_cells_names_the_methods(study: Path) -> None:
    """Columns are in words, rows are frames and sequences."""
    table = compare_samples(study, "ckplus", BASELINE, GNDL).readable()
    expected = pd.DataFrame(
        {
            "of": ["frames", "sequences (one vote each)"],
            "both right": [2, 1],
            "only GNDL, λ = 5 right": [5, 2],
            "only baseline right": [1, 1],
            "both wrong": [2, 1],
            "all": [10, 5],
        }
    )
    pd.testing.assert_frame_equal(table, expected)
    numbers = compare_samples(study, "ckplus", BASELINE, GNDL).cells()
    assert numbers[["both", "only_a", "only_b", "neither"]].to_numpy().tolist() == [[2, 1, 5, 2], [1, 1, 2, 1]]
    assert numbers["p_mcnemar"].isna().all()
