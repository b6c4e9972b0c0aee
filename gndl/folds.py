"""Subject-independent folds: nobody is ever in training and in test at once (section 4.1, ledger L13)."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gndl.csv_rows import read_table
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.fold_lists import has_list_form, match_subjects, read_lists

PAPER_FOLDS = 10
"""Folds of the paper's cross-validation (section 4.1); fewer where there are fewer subjects."""


@dataclass(frozen=True)
class Folds:
    """Who is tested in which fold.

    Parameters
    ----------
    test_subjects : tuple of tuple of str
        For each fold its test subjects, sorted; every other subject trains, but for those of ``dev_subjects``.
    dev_subjects : tuple of tuple of str
        For each fold its development subjects, sorted: they neither train nor are tested, and what is chosen is chosen
        on them. Empty where no fold holds any.
    """

    test_subjects: tuple[tuple[str, ...], ...]
    dev_subjects: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.test_subjects)

    def train_test(self, fold: int, subjects: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the samples that train and the samples that are tested in ``fold``.

        Parameters
        ----------
        fold : int
            Counted from 0.
        subjects : sequence of P str
            The subject of each sample.

        Returns
        -------
        train_index, test_index : int arrays
            Positions in ``subjects``, ascending; together with :meth:`development` every sample once.

        Raises
        ------
        GndlError
            Where there is no such fold, a side is empty, a sample's subject is in no fold, or a subject is found on
            both sides; the last is checked on every call, whatever made the folds.
        """
        if not 0 <= fold < len(self):
            raise GndlError(f"There is no fold {fold}: folds are numbered 0 to {len(self) - 1}.")
        known = {subject for tested in self.test_subjects for subject in tested}
        unknown = sorted({str(subject) for subject in subjects} - known)
        if unknown:
            raise GndlError(f"Subject {unknown[0]} is in no fold; deal the folds again for these samples.")
        test_index, dev_index = _positions(self.test_subjects[fold], subjects), self.development(fold, subjects)
        is_train = np.ones(len(subjects), dtype=bool)
        is_train[test_index] = is_train[dev_index] = False
        train_index = np.flatnonzero(is_train)
        train_subjects, test_subjects = ({str(subjects[int(i)]) for i in index} for index in (train_index, test_index))
        _require_disjoint(fold, train_subjects, test_subjects)
        if not len(train_index) or not len(test_index):
            side = "test" if len(train_index) else "train on"
            raise GndlError(f"Fold {fold} has nothing to {side}.")
        return train_index, test_index

    def development(self, fold: int, subjects: Sequence[str]) -> NDArray[np.int64]:
        """Return the samples of ``fold`` that choices are made on, ascending; none where no subject is held out so.

        Raises
        ------
        GndlError
            Where a development subject is tested in the same fold.
        """
        if not self.dev_subjects:
            return np.zeros(0, dtype=np.int64)
        held = set(self.dev_subjects[fold])
        both = sorted(held & set(self.test_subjects[fold]))
        if both:
            raise GndlError(f"Fold {fold} has {both[0]} among its development and its test subjects.")
        return _positions(tuple(held), subjects)


def _positions(chosen: Sequence[str], subjects: Sequence[str]) -> NDArray[np.int64]:
    wanted = set(chosen)
    return np.flatnonzero(np.array([str(subject) in wanted for subject in subjects], dtype=bool))


def with_development(folds: Folds) -> Folds:
    """Hold development subjects out of every fold: those who are tested in the next one.

    Every subject is one once, so that choices rest on everybody alike, and nobody is one in the fold that tests them.

    Raises
    ------
    GndlError
        Where there are fewer than three folds, so that nobody would be left to train on.
    """
    if len(folds) < 3:
        raise GndlError(f"Development subjects take at least three folds; there are {len(folds)}.")
    return Folds(folds.test_subjects, (*folds.test_subjects[1:], folds.test_subjects[0]))


def _require_disjoint(fold: int, train_subjects: set[str], test_subjects: set[str]) -> None:
    """Raise where a subject is on both sides; no assert statement, so that ``python -O`` checks it too."""
    shared = sorted(train_subjects & test_subjects)
    if shared:
        raise GndlError(
            f"Fold {fold} has subject {shared[0]} in training and in test: its accuracy would mean nothing."
        )


def deal_folds(subjects: Sequence[str], labels: Sequence[Hashable], n_folds: int | None = None, seed: int = 0) -> Folds:
    """Deal subjects to folds, each fold with a like share of every class and of all samples (ledger L13).

    Subjects are sorted, shuffled by ``seed`` and dealt one by one, those with most samples first, each to the fold
    that so far has least of what this subject shows.

    Parameters
    ----------
    subjects : sequence of P str
        The subject of each sample.
    labels : sequence of P
        The class of each sample.
    n_folds : int, optional
        None: 10, or the number of subjects where that is smaller.
    seed : int
        Other seeds deal other folds.

    Raises
    ------
    GndlError
        Where fewer than two folds, or more folds than there are subjects, are asked for.
    """
    names = sorted({str(subject) for subject in subjects})
    if len(names) < 2:
        raise GndlError(f"Cross-validation over subjects needs at least two of them; found {len(names)}.")
    n_folds = min(PAPER_FOLDS, len(names)) if n_folds is None else n_folds
    if n_folds < 2:
        raise GndlError(f"{n_folds} folds were asked for; at least 2 are needed.")
    if n_folds > len(names):
        raise GndlError(f"{n_folds} folds were asked for, but there are only {len(names)} subjects: ask for fewer.")

    classes = {label: column for column, label in enumerate(sorted(set(labels), key=str))}
    row = {name: index for index, name in enumerate(names)}
    shown = np.zeros((len(names), len(classes)))  # samples of each subject and class
    for subject, label in zip(subjects, labels, strict=True):
        shown[row[str(subject)], classes[label]] += 1

    # A class counts by its share, so that rare ones are spread as carefully as frequent ones; the last column, all
    # samples together, weighs as much as the classes do.
    share = np.column_stack([shown / shown.sum(0), np.sqrt(len(classes)) * shown.sum(1) / shown.sum()])
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = sorted(shuffled, key=lambda subject: -shown[subject].sum())  # a stable sort: ties stay shuffled
    held = np.zeros((n_folds, share.shape[1]))
    dealt: list[list[str]] = [[] for _ in range(n_folds)]
    for subject in order:
        overlap = held @ share[subject]
        # Rounded, so that equal overlaps tie on every machine; ties go to the fold with fewest samples.
        fold = min(range(n_folds), key=lambda k: (round(overlap[k], 12), round(held[k, -1], 12), k))
        held[fold] += share[subject]
        dealt[fold].append(names[subject])
    return Folds(tuple(tuple(sorted(tested)) for tested in dealt))


def classes_without_training(folds: Folds, subjects: Sequence[str], labels: Sequence[Hashable]) -> dict[int, list[str]]:
    """Classes that a fold tests and does not train on, because only its test subjects show them: fold → classes."""
    missing = {}
    for fold in range(len(folds)):
        train_index, test_index = folds.train_test(fold, subjects)
        trained, tested = ({labels[int(i)] for i in index} for index in (train_index, test_index))
        if tested - trained:
            missing[fold] = sorted(map(str, tested - trained))
    return missing


def write_folds(path: Path, folds: Folds) -> None:
    """Write ``folds`` to ``path`` as JSON, for :func:`read_folds` and for others.

    ``{"0": [test subjects], …}``; with development subjects ``{"0": {"test": […], "dev": […]}, …}``.
    """
    if folds.dev_subjects:
        sides = zip(folds.test_subjects, folds.dev_subjects, strict=True)
        write_json(path, {str(fold): {"test": list(test), "dev": list(dev)} for fold, (test, dev) in enumerate(sides)})
    else:
        write_json(path, {str(fold): list(tested) for fold, tested in enumerate(folds.test_subjects)})


def read_folds(path: Path, subjects: Sequence[str]) -> Folds:
    """Read a fold file and check it against the subjects of a database.

    Parameters
    ----------
    path : Path
        JSON as :func:`write_folds` writes it, CSV with the columns ``subject,fold``, or a list of sequences or pictures
        in a form of `gndl.fold_lists`, of which the subjects tested count.
    subjects : sequence of str
        The database's subjects, or the subject of each sample.

    Raises
    ------
    GndlError
        Naming the file and the subject, where one is in two folds, in none, or unknown to the database.
    """
    tested = _folds_of_lists(path, subjects) if has_list_form(path) else listed_subjects(path)
    if sorted(tested) != list(range(len(tested))) or len(tested) < 2:
        raise GndlError(f"{path}: folds are numbered {sorted(tested)}; expected 0, 1, … without a gap, at least two.")
    seen: dict[str, int] = {}
    for fold in sorted(tested):
        if not tested[fold]:
            raise GndlError(f"{path}: fold {fold} has no test subject.")
        for subject in tested[fold]:
            if subject in seen:
                raise GndlError(
                    f"{path}: subject {subject} is in fold {seen[subject]} and in fold {fold}; keep it in one."
                )
            seen[subject] = fold
    expected = {str(subject) for subject in subjects}
    unknown, missing = sorted(set(seen) - expected), sorted(expected - set(seen))
    if unknown:
        raise GndlError(f"{path}: subject {unknown[0]} is not in the database ({len(unknown)} such in the file).")
    if missing:
        raise GndlError(f"{path}: subject {missing[0]} is in no fold ({len(missing)} such in the database).")
    return Folds(
        tuple(tuple(sorted(tested[fold])) for fold in range(len(tested))), _development(path, tested, expected)
    )


def _development(path: Path, tested: dict[int, list[str]], known: set[str]) -> tuple[tuple[str, ...], ...]:
    """Development subjects of each fold of a file, checked; empty where it lists none."""
    listed = listed_development(path)
    if not listed:
        return ()
    for fold, own in sorted(listed.items()):
        unknown, both = sorted(set(own) - known), sorted(set(own) & set(tested[fold]))
        if unknown:
            raise GndlError(f"{path}: development subject {unknown[0]} of fold {fold} is not in the database.")
        if both:
            raise GndlError(f"{path}: fold {fold} has {both[0]} among its development and its test subjects.")
        if not own:
            raise GndlError(f"{path}: fold {fold} has no development subject, and other folds have some.")
    return tuple(tuple(sorted(set(listed[fold]))) for fold in range(len(tested)))


def listed_development(path: Path) -> dict[int, list[str]]:
    """Development subjects of each fold as a JSON file lists them; no entry at all where it lists none."""
    if path.suffix.lower() != ".json":
        return {}
    dev = {fold: own for fold, (_, own) in _sides_of_json(path).items()}
    return dev if any(dev.values()) else {}


def listed_subjects(path: Path) -> dict[int, list[str]]:
    """Test subjects of each fold as a JSON or CSV file lists them, with whatever is wrong in it."""
    return _folds_of_csv(path) if path.suffix.lower() == ".csv" else _folds_of_json(path)


def _folds_of_lists(path: Path, subjects: Sequence[str]) -> dict[int, list[str]]:
    """Test subjects of each fold of a list; the database's own spelling, and folds counted from 0."""
    lists = read_lists(path)
    listed = [sorted({one.subject for one in own}) for own in lists.test]
    named = match_subjects((subject for own in listed for subject in own), subjects)
    tested = {fold: [named.get(subject, subject) for subject in own] for fold, own in enumerate(listed)}
    shared = sorted(
        {one for own in tested.values() for one in own if sum(one in other for other in tested.values()) > 1}
    )
    if shared:
        raise GndlError(
            f"{path}: subject {shared[0]} is tested in more than one fold ({len(shared)} such subjects), so these "
            "folds are not subject-independent and are not used; `gndl check --folds` audits them."
        )
    return tested


def _folds_of_json(path: Path) -> dict[int, list[str]]:
    return {fold: test for fold, (test, _) in _sides_of_json(path).items()}


def _sides_of_json(path: Path) -> dict[int, tuple[list[str], list[str]]]:
    """Test and development subjects of each fold."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {int(fold): fold_sides(own) for fold, own in content.items()}
    except OSError as error:
        raise GndlError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise GndlError(
            f'{path}: is no fold file; expected JSON {{"0": ["subject", …], …}}, or with development subjects '
            '{"0": {"test": […], "dev": […]}, …}.'
        ) from error


def fold_sides(value: object) -> tuple[list[str], list[str]]:
    """Test and development subjects of one fold, as JSON holds them: a list, or an object of two lists.

    Raises
    ------
    TypeError, KeyError
        Where it is neither.
    """
    if isinstance(value, dict):
        return _names(value["test"]), _names(value.get("dev", []))
    return _names(value), []


def _names(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError
    return [str(name) for name in value]


def _folds_of_csv(path: Path) -> dict[int, list[str]]:
    tested: dict[int, list[str]] = {}
    for row in read_table(path, ("subject", "fold")):
        if not (row["fold"].isdecimal() and len(row["fold"]) < 6):
            raise GndlError(f"{path}, row {row.line}: {row['fold']!r} is no fold; folds are numbered from 0.")
        tested.setdefault(int(row["fold"]), []).append(row["subject"])
    return tested
