"""No subject is ever in training and in test, whoever they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gndl.errors import GndlError
from gndl.folds import Folds, _require_disjoint, deal_folds, read_folds, write_folds

SAMPLES = st.lists(st.tuples(st.text(min_size=1, max_size=4), st.integers(0, 6)), min_size=2, max_size=80).filter(
    lambda samples: len({subject for subject, _ in samples}) >= 2
)


@settings(max_examples=100, deadline=None)
@given(SAMPLES, st.integers(0, 5), st.data())
def test_folds_are_disjoint_in_subjects_and_test_every_sample_once(
    samples: list[tuple[str, int]], seed: int, data: st.DataObject
) -> None:
    """For any subjects, labels, seed and number of folds."""
    subjects, labels = [subject for subject, _ in samples], [label for _, label in samples]
    n_folds = data.draw(st.none() | st.integers(2, len(set(subjects))))
    folds = deal_folds(subjects, labels, n_folds, seed)
    assert len(folds) == (n_folds or min(10, len(set(subjects))))
    tested = []
    for fold in range(len(folds)):
        train, test = folds.train_test(fold, subjects)
        assert {subjects[i] for i in train}.isdisjoint(subjects[i] for i in test)
        assert sorted([*train, *test]) == list(range(len(subjects)))
        tested.extend(test)
    assert sorted(tested) == list(range(len(subjects)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=4, max_size=40), st.integers(0, 3))
def test_folds_of_one_class_differ_by_no_more_than_one_subject(sizes: list[int], seed: int) -> None:
    """Dealt largest first to the emptiest fold, no two folds differ by more than the largest subject."""
    subjects = [f"S{number}" for number, size in enumerate(sizes) for _ in range(size)]
    folds = deal_folds(subjects, [0] * len(subjects), 4, seed)
    counts = [len(folds.train_test(fold, subjects)[1]) for fold in range(4)]
    assert max(counts) - min(counts) <= max(sizes)


def test_folds_like_those_of_ckplus_hold_like_shares_of_every_class() -> None:
    """118 subjects with few and unequal classes each: even folds, and each class near its share in each."""
    random = np.random.default_rng(0)
    per_class = [45, 18, 59, 25, 69, 28, 83]
    pool = [label for label, count in enumerate(per_class) for _ in range(count)]
    random.shuffle(pool)
    owner = np.concatenate([np.arange(118), random.integers(0, 118, 327 - 118)])
    subjects = [f"S{number:03}" for number in owner for _ in range(3)]
    labels = np.repeat(pool, 3)
    folds = deal_folds(subjects, labels)
    tables = np.array([np.bincount(labels[folds.train_test(k, subjects)[1]], minlength=7) for k in range(10)])
    assert abs(tables.sum(1) - 98.1).max() <= 12
    share = tables / (3 * np.array(per_class) / 10)
    assert share.min() >= 0.4 and share.max() <= 1.7


def test_the_same_seed_deals_the_same_folds_whatever_the_order_of_the_samples() -> None:
    """Subjects are sorted first; another seed deals others."""
    subjects = [f"S{number}" for number in range(20) for _ in range(3)]
    labels = [number % 3 for number in range(60)]
    folds = deal_folds(subjects, labels, 5)
    assert deal_folds(subjects[::-1], labels[::-1], 5) == folds
    assert deal_folds(subjects, labels, 5, seed=1) != folds


def test_more_folds_than_subjects_and_a_single_subject_are_errors() -> None:
    """Each in words that give the number."""
    with pytest.raises(GndlError, match="only 3 subjects"):
        deal_folds(["a", "b", "c"], [0, 1, 0], 4)
    with pytest.raises(GndlError, match="at least two"):
        deal_folds(["a", "a"], [0, 1])
    with pytest.raises(GndlError, match="1 folds"):
        deal_folds(["a", "b"], [0, 1], 1)


def test_a_fold_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    """As JSON, and as CSV with the columns subject,fold."""
    subjects = [f"S{number:03}" for number in range(12)]
    folds = deal_folds(subjects, [0] * 12, 3)
    write_folds(tmp_path / "folds.json", folds)
    assert json.loads((tmp_path / "folds.json").read_text())["0"] == list(folds.test_subjects[0])
    assert read_folds(tmp_path / "folds.json", subjects) == folds
    rows = [f"{subject},{fold}" for fold, tested in enumerate(folds.test_subjects) for subject in tested]
    (tmp_path / "folds.csv").write_text("\n".join(["subject,fold", *rows]))
    assert read_folds(tmp_path / "folds.csv", subjects) == folds


def test_a_fold_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """A byte-order mark, blanks and blank lines change nothing; what is no number is named by its row."""
    path = tmp_path / "folds.csv"
    path.write_bytes("\ufeffsubject,fold\r\n\r\na , 0\r\nb,1\r\n,\r\n".encode())
    assert read_folds(path, ["a", "b"]) == Folds((("a",), ("b",)))
    path.write_text("subject,fold\na,0\nb,first\n")
    with pytest.raises(GndlError, match=r"folds.csv, row 3: 'first' is no fold"):
        read_folds(path, ["a", "b"])
    path.write_text("subject;fold\na;0\nb;1\n")
    with pytest.raises(GndlError, match=r"folds.csv: no column subject, fold.*not semicolons"):
        read_folds(path, ["a", "b"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"0": ["a", "b"], "1": ["b", "c"]}', "subject b is in fold 0 and in fold 1"),
        ('{"0": ["a", "b"], "1": ["c", "d"]}', "subject d is not in the database"),
        ('{"0": ["a"], "1": ["c"]}', "subject b is in no fold"),
        ('{"0": ["a", "b", "c"], "1": []}', "fold 1 has no test subject"),
        ('{"0": ["a", "b"], "2": ["c"]}', "without a gap"),
        ('["a", "b", "c"]', "is no fold file"),
        ('{"0": "abc", "1": "d"}', "is no fold file"),
        ("{", "is no fold file"),
    ],
)
def test_a_wrong_fold_file_is_refused_by_file_and_subject(tmp_path: Path, content: str, message: str) -> None:
    """A subject twice, unknown or missing, and anything that is no fold file."""
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(GndlError, match=f"mine.json.*{message}"):
        read_folds(path, ["a", "b", "c"])


def test_a_subject_on_both_sides_is_refused_at_run_time() -> None:
    """The check is on every call, and no assert statement that ``python -O`` drops."""
    with pytest.raises(GndlError, match="subject b in training and in test"):
        _require_disjoint(0, {"a", "b"}, {"b", "c"})
    with pytest.raises(GndlError, match="Subject z is in no fold"):
        Folds((("a",), ("b",))).train_test(0, ["a", "b", "z"])
    with pytest.raises(GndlError, match="no fold 2"):
        Folds((("a",), ("b",))).train_test(2, ["a", "b"])
