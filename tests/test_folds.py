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
from gndl.folds_audit import audit_folds
from gndl.results import read
from gndl.sequences import normal_form, spelled_twice

RECORD = Path(__file__).parents[1] / "record" / "standard"
SAMPLES = st.lists(st.tuples(st.text(min_size=1, max_size=4), st.integers(0, 6)), min_size=2, max_size=60).filter(
    lambda samples: len({subject for subject, _ in samples}) >= 2 and not spelled_twice(dict(samples))
)


@settings(max_examples=30, deadline=None)
@given(SAMPLES, st.integers(0, 5), st.booleans(), st.data())
def test_no_subject_is_on_both_sides_and_every_sample_is_tested_once(
    samples: list[tuple[str, int]], seed: int, develop: bool, data: st.DataObject
) -> None:
    """For any subjects, labels, seed and number of folds, with and without development subjects, in any order."""
    subjects, labels = [subject for subject, _ in samples], [label for _, label in samples]
    n_folds = data.draw(st.none() | st.integers(2, len(set(subjects))))
    folds = deal_folds(subjects, labels, n_folds, seed)
    mixed = data.draw(st.permutations(samples))
    assert deal_folds([subject for subject, _ in mixed], [label for _, label in mixed], n_folds, seed) == folds
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
        ('{"0": ["a", "b"], "1": ["c", "d"]}', "subject d is not in the database, whose subjects are called a and so"),
        ('{"0": ["a"], "1": ["c"]}', "subject b is in no fold"),
        ('{"0": ["a", "b", "c"], "1": []}', "fold 1 has no test subject"),
        ('{"0": ["a", "b", "c"]}', "at least two"),
        ('{"0": ["a", "b"], "2": ["c"]}', "without a gap"),
        ('{"0": ["a"], "1": ["b", "A", "c"]}', "two spellings: A and a"),
        ('{"0": {"test": ["a"], "dev": ["a"]}, "1": ["b", "c"]}', "subject a of fold 0 is tested in the same fold"),
        ('{"0": {"test": ["a"], "dev": ["d"]}, "1": ["b", "c"]}', "subject d of fold 0 is not in the database"),
        ('{"0": {"test": ["a"], "dev": ["b"]}, "1": ["b", "c"]}', "fold 1 has no development subject"),
        (
            '{"0": {"test": ["a"], "train": ["a", "b", "c"]}, "1": ["b", "c"]}',
            "training subject a of fold 0 is in anot",
        ),
        ('{"0": {"test": ["a"], "train": ["b", "c", "d"]}, "1": ["b", "c"]}', "training subject d of fold 0 is not in"),
        ('{"0": {"test": ["a"], "train": ["b"]}, "1": ["b", "c"]}', "subject c is in no list of fold 0"),
        ('{"0": {"test": ["a"], "dev": ["b"], "val": ["c"]}, "1": ["b", "c"]}', "fold 0 has two lists of dev subjects"),
        ('{"0": ["a"], "0": ["b"], "1": ["c"]}', "fold 0 is given twice"),
        ('{"0": {"test": ["a"], "test": ["b"]}, "1": ["c"]}', "fold 0 has two lists of test"),
        ('{"0": {"test": ["a", "b"], "probe": ["c"]}, "1": ["c"]}', "fold 0: 'probe' is not one of train, test, dev"),
        ('{"0": {"dev": ["a", "b"]}, "1": ["c"]}', "fold 0 has no test list"),
        *[(f'{{"{key}": ["a", "b"], "1": ["c"]}}', f"'{key}' is not the number") for key in ("00", "-1", "x", "1_0")],
        *[(f'{{"0": {own}, "1": ["c"]}}', "not names") for own in ('"ab"', '["a", null]', '["a", 1.5]', '[["a"]]')],
        ('["a", "b", "c"]', "not a fold file"),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_fold_file_is_refused_by_file_and_subject(tmp_path: Path, content: str, message: str) -> None:
    """Whatever is not understood, or would train or test on others than it says."""
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(GndlError, match=f"mine.json.*{message}"):
        read_folds(path, ["a", "b", "c"])


def test_names_in_a_fold_file_are_matched_in_their_normal_form(tmp_path: Path) -> None:
    """They become the database's own; a training list that is what is left changes nothing; numbers are names."""
    path = tmp_path / "mine.json"
    fold = '{"test": ["s1"], "val": ["P 2"], "train": ["zoe\u0308", 7]}'
    others = '"1": {"test": ["P 2"], "dev": ["s1"]}, "2": {"test": ["zoe\u0308", "7"], "dev": ["s1"]}'
    path.write_text(f'{{"0": {fold}, {others}}}', encoding="utf-8")
    folds = read_folds(path, ["S001", "P02", "Zoë", "007", "S001"])
    assert folds == Folds((("S001",), ("P02",), ("007", "Zoë")), (("P02",), ("S001",), ("S001",)))
    path.write_text('{"0": ["S1"], "1": ["S01"]}')
    with pytest.raises(GndlError, match="two spellings: S01 and S1; write them alike"):
        read_folds(path, ["S001", "S002"])


def test_subjects_are_one_whatever_their_spelling() -> None:
    """Case, blanks, Unicode's forms and leading zeros; a zero within a number or at its end counts."""
    for one, other in (("S021", "s21"), ("P1", "P01"), ("021", "21"), ("Zo\u00eb", "Zoe\u0308"), ("\uff33 1", "S001")):
        assert normal_form(one) == normal_form(other) and f"{min(one, other)}"[:1] in spelled_twice([one, other, one])
    assert len({*map(normal_form, ("S1", "S10", "S101", "S11", "P1", "1", "0", "S1_1", "S1_10"))}) == 9
    assert spelled_twice(["S10", "S1", "S1"]) == "" and spelled_twice(["b1", "B01", "c"]) == "B01 and b1"
    with pytest.raises(GndlError, match=r"two spellings .* training and in test at once: S01 and S1"):
        deal_folds(["S1", "S01", "S2"], [0, 0, 0], 2)


INDEPENDENT = "Subject-independent: no subject"
TRAIN_VAL_TEST = (
    '{"0": {"train": ["S1", "S2", "S3"], "val": ["S4"], "test": ["S1", "S5"]}, '
    '"1": {"train": ["S1", "S4", "S5"], "val": ["S2"], "test": ["S2", "S3", "S4"]}}'
)
GOOD_TRAIN_VAL_TEST = (
    '{"0": {"train": ["S1"], "val": ["S4"], "test": ["S2", "S3"]}, "1": {"train": ["S2", "S3"], "test": ["S1", "S4"]}}'
)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tvt.json", GOOD_TRAIN_VAL_TEST, [INDEPENDENT, "subject: S1, S4, S2, S3; 2 folds, 4 subjects"]),
        ("leak.json", TRAIN_VAL_TEST, ["2 of 5 subjects are in training and test", "(S1): 1 of 2", "(S4): 1 of 3"]),
        ("leak.json", TRAIN_VAL_TEST, ["fold 1 has S2 among its development and its test subjects"]),
        ("dev.json", TRAIN_VAL_TEST.replace("S4", "S3"), ["fold 0 has S3 among its development and its training"]),
        ("p.json", '{"0": ["S5_1_09.png"], "1": ["S5_1_10.png"]}', ["1 of 1 subjects", "subject: S5 (S5_1_10.png);"]),
        ("p.json", '{"0": ["S5_1_09.png", "S5_1_10.png", "P1"], "1": ["S5_2_1.png"]}', ["(S5): 2 of 3 tested, 0 seq"]),
        ("p.csv", "subject,fold\nS5_1_9.png,0\nP5_1_9.png,1\n", [INDEPENDENT, "P5 (P5_1_9.png), S5 (S5_1_9.png)"]),
        ("s.csv", "subject,fold\nS5/1,0\nS10/4,0\nS5/2,1\nS10/6,1\n", ["2 of 2 subjects are in training and test"]),
        ("s.csv", "subject,fold\nS5_1,0\nS5_2,1\n", ["1 of 1 subjects", "Taken for the subject: S5 (S5_2)"]),
        ("a.csv", "subject,fold\nann,0\nbob,1\n", [INDEPENDENT, "Taken for the subject: bob, ann; 2 folds"]),
        ("two.csv", "subject,fold\nS5,0\nS05,1\n", ["two spellings, each taken for one: S05 and S5", "1 of 1 subj"]),
        ("dup.json", '{"0": ["S1"], "0": ["S2"], "1": ["S3"]}', ["dup.json: fold 0 is given twice"]),
        ("r.csv", "subject,fold,role\nS1,0,test\n", ["r.csv: column role is not understood; keep subject,fold"]),
        ("e.csv", "subject,fold\n,0\n", ["e.csv, row 2: no subject"]),
        ("z.csv", "subject,fold\nS1,01\n", ["z.csv, row 2: '01' is not a valid fold number"]),
        ("x.txt", "1-fold 2 Happy 2\n/data/P2/CK+/S005/001 Happy\n", ["x.txt: not a fold file"]),
        ("w.csv", "subject,fold\n/P2/S5/1,0\n", ["w.csv, fold 0: '/P2/S5/1' names several subjects (P2, S5)"]),
        ("n.csv", "subject,fold\nann/joy.png,0\n", ["n.csv, fold 0: 'ann/joy.png' does not tell its subject"]),
    ],
)
def test_an_audit_understands_a_list_or_refuses_it_by_name(
    tmp_path: Path, name: str, content: str, said: list[str]
) -> None:
    """Pictures and sequences stand for their subject, which is shown; nothing that is listed is passed over."""
    (tmp_path / name).write_text(content)
    try:
        audit = audit_folds(tmp_path / name)
        assert audit.ok == (INDEPENDENT in str(audit)) == (INDEPENDENT in said)
        text = str(audit)
    except GndlError as error:
        text = str(error)
    assert all(words in text for words in said), text


def test_the_class_of_a_picture_is_its_innermost_folder(tmp_path: Path) -> None:
    """Folder "neutral" may be the name of a set; fold 0 trains on anger and tests happiness, fold 1 the reverse."""
    for fold, folders in enumerate((("Angry", "Happy"), ("Happy", "Angry"))):
        for side, folder in zip(("train", "test"), folders, strict=True):
            number = fold + 1 + 2 * (side == "test")
            (tmp_path / f"{side}_ids_{fold}.csv").write_text(f"neutral/{folder}/S{number}_1_1.png")
    assert audit_folds(tmp_path).folds["missing_in_train"].tolist() == ["happiness", "anger"]


def test_an_audit_reads_every_list_of_a_folder(tmp_path: Path) -> None:
    """A validation list counts, a second file of one fold is refused, and whatever else is there is named."""
    for side, subjects in (("train", "12"), ("valid", "34"), ("TEST", "3")):
        lines = [f"/data/CK+/S00{subject}/001/S00{subject}_001_00000010.png" for subject in subjects]
        (tmp_path / f"{side}_ids_0.csv").write_text("\n".join(lines))
    (tmp_path / "all_names.txt").write_text("S009_001_00000010.png")
    (tmp_path / "notes.md").write_text("whatever")
    text = str(audit_folds(tmp_path / "valid_ids_0.csv"))
    assert "fold 0 has S003 among its development and its test subjects" in text and INDEPENDENT not in text
    assert "all_names.txt: not read; call it train_ids_K.csv" in text and "notes.md" not in text
    (tmp_path / "dev_ids_00.csv").write_text("S005_001_00000010.png")
    with pytest.raises(GndlError, match=r"valid_ids_0\.csv: the same list of the same fold as dev_ids_00\.csv"):
        audit_folds(tmp_path)


def test_samples_that_no_fold_knows_and_folds_without_samples_are_refused() -> None:
    """By subject and by fold; a subject on both sides is refused by `gndl.train.fit`."""
    for tested, fold, subjects, said in (
        ((("a",), ("b",)), 0, ["a", "b", "z"], "Subject z is in no fold"),
        ((("a",), ("b",)), 2, ["a", "b"], "no fold 2"),
        ((("a",), ("b",)), 0, ["a"], "Fold 0 has nothing to train on"),
    ):
        with pytest.raises(GndlError, match=said):
            Folds(tested).train_test(fold, subjects)
