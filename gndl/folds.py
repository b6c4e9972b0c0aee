"""Subject-independent folds: nobody is ever in training and in test at once (section 4.1, ledger L13)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gndl.files import GndlError, counted, read_table, write_json

PAPER_FOLDS = 10
"""Folds of the paper's cross-validation (section 4.1); fewer where there are fewer subjects."""


@dataclass(frozen=True)
class Folds:
    """Who is tested in which fold, and who is held out to choose λ and the epoch on."""

    test_subjects: tuple[tuple[str, ...], ...]
    """For each fold its test subjects, sorted; every other subject trains, except those in ``dev_subjects``."""
    dev_subjects: tuple[tuple[str, ...], ...] = ()
    """For each fold its development subjects, neither trained on nor tested; empty where no fold has any."""

    def __len__(self) -> int:
        return len(self.test_subjects)

    def train_test(self, fold: int, subjects: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions, ascending, of the training and of the test samples of ``fold`` in ``subjects`` (one a sample).

        Together with `development` they are every sample once.
        """
        if not 0 <= fold < len(self):
            raise GndlError(f"There is no fold {fold}: folds are numbered 0 to {len(self) - 1}.")
        unknown = {str(subject) for subject in subjects}.difference(*self.test_subjects)
        if unknown:
            raise GndlError(f"Subject {min(unknown)} is in no fold; deal the folds again for these samples.")
        test_index = _positions(self.test_subjects[fold], subjects)
        train_index = np.setdiff1d(np.arange(len(subjects)), [*test_index, *self.development(fold, subjects)])
        if not len(train_index) or not len(test_index):
            raise GndlError(f"Fold {fold} has nothing to {'test' if len(train_index) else 'train on'}.")
        return train_index, test_index

    def development(self, fold: int, subjects: Sequence[str]) -> NDArray[np.int64]:
        """Positions of the development samples of ``fold``, ascending; none where no subject is held out for it."""
        return _positions(self.dev_subjects[fold] if self.dev_subjects else (), subjects)


def _positions(chosen: Sequence[str], subjects: Sequence[str]) -> NDArray[np.int64]:
    return np.flatnonzero([str(subject) in chosen for subject in subjects])


def with_development(folds: Folds) -> Folds:
    """Hold out development subjects in every fold: the test subjects of the next one, so that everybody is one once."""
    if len(folds) < 3:
        raise GndlError(f"Development subjects need at least three folds; there are {len(folds)}.")
    return Folds(folds.test_subjects, (*folds.test_subjects[1:], folds.test_subjects[0]))


def deal_folds(subjects: Sequence[str], labels: Sequence[Hashable], n_folds: int | None = None, seed: int = 0) -> Folds:
    """Deal subjects to folds so that each has a similar share of every class and of all samples (ledger L13).

    ``subjects`` and ``labels`` are those of each sample; without ``n_folds`` there are ten folds, or one a subject if
    fewer. Subjects are sorted, shuffled by ``seed`` and dealt one by one, those with most samples first, each to the
    fold that so far has least of what this subject shows.
    """
    names = sorted({str(subject) for subject in subjects})
    if len(names) < 2:
        raise GndlError(f"Cross-validation over subjects needs at least two subjects; found {len(names)}.")
    n_folds = min(PAPER_FOLDS, len(names)) if n_folds is None else n_folds
    if not 2 <= n_folds <= len(names):
        raise GndlError(f"The number of folds must be from 2 to {len(names)}, the number of subjects; got {n_folds}.")

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
    """The classes that a fold tests and cannot train on, because only its test subjects show them: fold → classes."""
    missing = {}
    for fold in range(len(folds)):
        trained, tested = ({labels[int(i)] for i in index} for index in folds.train_test(fold, subjects))
        if tested - trained:
            missing[fold] = sorted(map(str, tested - trained))
    return missing


def write_folds(path: Path, folds: Folds) -> None:
    """Write ``{"0": [test subjects], …}``; with development subjects ``{"0": {"test": […], "dev": […]}, …}``."""
    content: dict[str, Any] = {str(fold): own for fold, own in enumerate(folds.test_subjects)}
    for fold, held in enumerate(folds.dev_subjects):
        content[str(fold)] = {"test": content[str(fold)], "dev": held}
    write_json(path, content)


def read_folds(path: Path, subjects: Sequence[str]) -> Folds:
    """Read JSON as `write_folds` writes it, or CSV with the columns ``subject,fold``, and check it against a database.

    ``subjects`` are the database's (each once, or one a sample); each must be tested in exactly one fold.
    """
    known = {str(subject) for subject in subjects}
    tested, dev = listed_sides(path)
    numbers = list(range(len(tested)))
    if sorted(tested) != numbers or len(numbers) < 2:
        raise GndlError(f"{path}: folds must be numbered 0, 1, … without a gap, at least two; found {sorted(tested)}.")
    count = Counter(subject for own in tested.values() for subject in own)
    for wrong, what in (
        ([subject for subject in count if count[subject] > 1], "is listed more than once; keep it in one fold"),
        (set(count) - known, "is not in the database"),
        (known - set(count), "is in no fold"),
    ):
        if wrong:
            raise GndlError(f"{path}: subject {min(wrong)} {what} ({counted(len(wrong), 'such subject')}).")
    for fold in numbers:
        if not tested[fold]:
            raise GndlError(f"{path}: fold {fold} has no test subject.")
        if any(dev.values()) and not dev[fold]:
            raise GndlError(f"{path}: fold {fold} has no development subject, but other folds have some.")
        if wrong := set(dev[fold]) - (known - set(tested[fold])):
            why = "is tested in the same fold" if min(wrong) in known else "is not in the database"
            raise GndlError(f"{path}: development subject {min(wrong)} of fold {fold} {why}.")
    sides = [tuple(tuple(sorted(set(own[fold]))) for fold in numbers) for own in (tested, dev)]
    return Folds(sides[0], sides[1] if any(dev.values()) else ())


def listed_sides(path: Path) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Test and development subjects of each fold as a file lists them (JSON, or CSV by its suffix), right or wrong."""
    if path.suffix.lower() == ".csv":
        table = read_table(path, ("subject", "fold"))
        for line, fold in table["fold"].items():
            if not re.fullmatch("[0-9]{1,5}", fold):
                raise GndlError(f"{path}, row {line}: {fold!r} is not a valid fold number (folds start at 0).")
        tested: dict[Any, list[str]] = table.groupby(table["fold"].astype(int))["subject"].apply(list).to_dict()
        return tested, {fold: [] for fold in tested}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        sides = {int(fold): own if isinstance(own, dict) else {"test": own} for fold, own in content.items()}
        lists = [own for side in sides.values() for own in side.values()]
        # Other lists, such as "train" or "val", would be ignored.
        if any(set(side) - {"test", "dev"} for side in sides.values()) or not all(
            isinstance(own, list) for own in lists
        ):
            raise TypeError
        test = {fold: [str(name) for name in side["test"]] for fold, side in sides.items()}
        return test, {fold: [str(name) for name in side.get("dev", [])] for fold, side in sides.items()}
    except OSError as error:
        raise GndlError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise GndlError(
            f'{path}: not a fold file; expected JSON {{"0": ["subject", …], …}}, or with development subjects '
            '{"0": {"test": […], "dev": […]}, …}.'
        ) from error
