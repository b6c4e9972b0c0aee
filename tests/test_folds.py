"""Folds: no subject is ever in training and in test, whoever they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gndl.files import GndlError, hash_json
from gndl.folds import Folds, classes_without_training, deal_folds, read_folds, with_development, write_folds
from gndl.results import read

RECORD = Path(__file__).parents[1] / "record" / "standard"
SAMPLES = st.lists(st.tuples(st.text(min_size=1, max_size=4), st.integers(0, 6)), min_size=2, max_size=60).filter(
    lambda samples: len({subject for subject, _ in samples}) >= 2
)


@settings(max_examples=30, deadline=None)
@given(SAMPLES, st.integers(0, 5), st.booleans(), st.data())
def test_no_subject_is_on_both_sides_and_every_sample_is_tested_once(
    samples: list[tuple[str, int]], seed: int, develop: bool, data: st.DataObject
) -> None:
    """For any subjects, labels, seed and number of folds, with and without development subjects."""
    subjects, labels = [subject for subject, _ in samples], [label for _, label in samples]
    n_folds = data.draw(st.none() | st.integers(2, len(set(subjects))))
    folds = deal_folds(subjects, labels, n_folds, seed)
    assert len(folds) == (n_folds or min(10, len(set(subjects))))
    if develop and len(folds) > 2:
        folds = with_development(folds)
    everyone, tested, held = list(range(len(subjects))), [], []
    for fold in range(len(folds)):
        (train, test), dev = folds.train_test(fold, subjects), folds.development(fold, subjects)
        sides = [{subjects[i] for i in side} for side in (train, test, dev)]
        assert sum(map(len, sides)) == len(set.union(*sides)) and sorted([*train, *test, *dev]) == everyone
        tested, held = [*tested, *test], [*held, *dev]
    assert sorted(tested) == everyone and (not folds.dev_subjects or sorted(held) == everyone)


def test_every_fold_has_a_similar_share_of_every_class() -> None:
    """118 subjects with few and unequal classes each, as in CK+."""
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


@pytest.mark.parametrize("database", ["ckplus", "oulu_casia", "mmi"])
def test_the_folds_of_record_are_dealt_again(database: str) -> None:
    """From the subjects and classes of crops.csv, whatever the order of the samples."""
    results = read(RECORD, database)
    predictions = results.predictions.drop_duplicates(["sequence", "frame"])
    subjects, labels = list(predictions["subject"]), [results.classes(database).index(c) for c in predictions["truth"]]
    folds = results.folds[results.folds["role"] == "test"].groupby("fold")["subject"].apply(sorted)
    expected = Folds(tuple(map(tuple, folds)))
    assert len(expected) == 10
    assert deal_folds(subjects, labels) == deal_folds(subjects[::-1], labels[::-1]) == expected


@pytest.mark.parametrize(
    ("n_folds", "seed", "golden"),
    [(None, 0, "8fde1281"), (None, 1, "02238936"), (4, 0, "0cf0e182"), (30, 2, "d99e5f97")],
)
def test_the_same_seed_deals_the_same_folds_for_ever(n_folds: int | None, seed: int, golden: str) -> None:
    """30 subjects with 90 samples of six classes; the hashes are those of version 1."""
    random = np.random.default_rng(0)
    owner = np.concatenate([np.arange(30), random.integers(0, 30, 60)])
    labels = random.integers(0, 6, 90).tolist()
    folds = deal_folds([f"S{number:03}" for number in owner], labels, n_folds, seed)
    assert hash_json(folds.test_subjects)[:8] == golden


@pytest.mark.parametrize(
    ("subjects", "n_folds", "said"),
    [
        ("abc", 4, "from 2 to 3, the number of subjects; got 4"),
        ("aa", None, "at least two subjects; found 1"),
        ("ab", 1, "got 1"),
    ],
)
def test_impossible_numbers_of_folds_are_errors(subjects: str, n_folds: int | None, said: str) -> None:
    """Each in words that give the number."""
    with pytest.raises(GndlError, match=said):
        deal_folds(list(subjects), [0] * len(subjects), n_folds)
    with pytest.raises(GndlError, match="at least three folds; there are 2"):
        with_development(Folds((("a",), ("b",))))


def test_classes_that_cannot_be_trained_on_are_named() -> None:
    """Only subject a shows fear: the fold that tests a cannot recognise it."""
    subjects, labels = ["a", "a", "b", "c"], ["fear", "anger", "anger", "anger"]
    assert classes_without_training(Folds((("b",), ("a",), ("c",))), subjects, labels) == {1: ["fear"]}


def test_a_fold_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    """As JSON with and without development subjects, and as CSV with the columns subject,fold."""
    subjects = [f"S{number:03}" for number in range(12)]
    folds = deal_folds(subjects, [0] * 12, 3)
    for some in (folds, with_development(folds)):
        write_folds(tmp_path / "folds.json", some)
        assert read_folds(tmp_path / "folds.json", subjects) == some
    first = json.loads((tmp_path / "folds.json").read_text())["0"]
    assert first == {"test": list(folds.test_subjects[0]), "dev": list(folds.test_subjects[1])}
    rows = [f"{subject},{fold}" for fold, tested in enumerate(folds.test_subjects) for subject in tested]
    (tmp_path / "folds.csv").write_text("\n".join(["subject,fold", *rows]))
    assert read_folds(tmp_path / "folds.csv", subjects) == folds


def test_a_fold_table_is_read_and_a_fold_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    """As a spreadsheet saves it: a byte-order mark, blanks and blank lines change nothing."""
    path = tmp_path / "folds.csv"
    path.write_bytes("\ufeffsubject,fold\r\n\r\na , 0\r\nb,1\r\n,\r\n".encode())
    assert read_folds(path, ["a", "b"]) == Folds((("a",), ("b",)))
    path.write_text("subject,fold\na,0\nb,first\n")
    with pytest.raises(GndlError, match=r"folds.csv, row 3: 'first' is not a valid fold number"):
        read_folds(path, ["a", "b"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"0": ["a", "b"], "1": ["b", "c"]}', "subject b is listed more than once"),
        ('{"0": ["a", "b"], "1": ["c", "d"]}', "subject d is not in the database"),
        ('{"0": ["a"], "1": ["c"]}', "subject b is in no fold"),
        ('{"0": ["a", "b", "c"], "1": []}', "fold 1 has no test subject"),
        ('{"0": ["a", "b"], "2": ["c"]}', "without a gap"),
        ('{"0": {"test": ["a"], "dev": ["a"]}, "1": ["b", "c"]}', "subject a of fold 0 is tested in the same fold"),
        ('{"0": {"test": ["a"], "dev": ["b"]}, "1": ["b", "c"]}', "fold 1 has no development subject"),
        ('{"0": {"test": ["a", "b"], "val": ["c"]}, "1": ["c"]}', "not a fold file"),
        ('["a", "b", "c"]', "not a fold file"),
        ('{"0": "abc", "1": "d"}', "not a fold file"),
        ("{", "not a fold file"),
    ],
)
def test_a_wrong_fold_file_is_refused_by_file_and_subject(tmp_path: Path, content: str, message: str) -> None:
    """A subject twice, unknown or missing, and anything else that is not a fold file."""
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(GndlError, match=f"mine.json.*{message}"):
        read_folds(path, ["a", "b", "c"])


def test_samples_that_no_fold_knows_and_folds_without_samples_are_refused() -> None:
    """By subject and by fold; a subject on both sides is refused by `gndl.train.fit`."""
    for tested, fold, subjects, said in (
        ((("a",), ("b",)), 0, ["a", "b", "z"], "Subject z is in no fold"),
        ((("a",), ("b",)), 2, ["a", "b"], "no fold 2"),
        ((("a",), ("b",)), 0, ["a"], "Fold 0 has nothing to train on"),
    ):
        with pytest.raises(GndlError, match=said):
            Folds(tested).train_test(fold, subjects)
