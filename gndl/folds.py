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
from gndl.sequences import normal_form, spelled_twice

SIDES = {"train": "train", "test": "test", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev"}
"""The lists of a fold, by the names that fold files give them."""

_NUMBER = re.compile("0|[1-9][0-9]{0,4}")
_EXPECTED = (
    'expected JSON {"0": ["subject", …], …}, or with development subjects {"0": {"test": […], "dev": […]}, …}, or CSV '
    "with the columns subject,fold in a file called .csv"
)

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
    if same := spelled_twice(names):
        raise GndlError(f"One subject in two spellings would be in training and in test at once: {same}.")
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

    ``subjects`` are the database's (each once, or one a sample); each must be tested in exactly one fold. A name is
    matched in its `normal_form` and becomes the database's own. Training lists must be what is left in each fold.
    """
    own_name = {normal_form(str(subject)): str(subject) for subject in subjects}
    known, sides = set(own_name.values()), read_sides(path)
    if same := spelled_twice(name for lists in sides.values() for names in lists.values() for name in names):
        raise GndlError(f"{path}: subjects in two spellings: {same}; write them alike.")
    listed = {
        fold: {side: [own_name.get(normal_form(name), name) for name in names] for side, names in lists.items()}
        for fold, lists in sides.items()
    }
    if sorted(listed) != list(range(len(listed))) or len(listed) < 2:
        raise GndlError(f"{path}: folds must be numbered 0, 1, … without a gap, at least two; found {sorted(listed)}.")
    count = Counter(subject for lists in listed.values() for subject in lists["test"])
    foreign = f"is not in the database, whose subjects are called {min(known)} and so on"
    for wrong, what in (
        ([subject for subject in count if count[subject] > 1], "is listed more than once; keep it in one fold"),
        (set(count) - known, foreign),
        (known - set(count), "is in no fold"),
    ):
        if wrong:
            raise GndlError(f"{path}: subject {min(wrong)} {what} ({counted(len(wrong), 'such subject')}).")
    has_dev = any(lists.get("dev") for lists in listed.values())
    for fold, lists in listed.items():
        test, dev = set(lists["test"]), set(lists.get("dev", ()))
        if not test:
            raise GndlError(f"{path}: fold {fold} has no test subject.")
        if has_dev and not dev:
            raise GndlError(f"{path}: fold {fold} has no development subject, but other folds have some.")
        if wrong := dev - (known - test):
            why = "is tested in the same fold" if min(wrong) in known else foreign
            raise GndlError(f"{path}: development subject {min(wrong)} of fold {fold} {why}.")
        rest = known - test - dev
        train = set(lists.get("train", rest))
        if wrong := train - rest:
            why = "is in another list of that fold" if min(wrong) in known else foreign
            raise GndlError(f"{path}: training subject {min(wrong)} of fold {fold} {why}.")
        if left := rest - train:
            raise GndlError(f"{path}: subject {min(left)} is in no list of fold {fold}; add it to the training list.")
    dev_subjects = tuple(tuple(sorted(set(listed[fold]["dev"]))) for fold in range(len(listed))) if has_dev else ()
    return Folds(tuple(tuple(sorted(listed[fold]["test"])) for fold in range(len(listed))), dev_subjects)


def listed_sides(path: Path) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Test and development subjects of each fold as a file lists them (`read_sides`)."""
    sides = read_sides(path)
    return {fold: own["test"] for fold, own in sides.items()}, {fold: own.get("dev", []) for fold, own in sides.items()}


def read_sides(path: Path) -> dict[int, dict[str, list[str]]]:
    """Read the lists of each fold, right or wrong: "test", and "dev" and "train" where JSON has them (CSV by suffix).

    Raises GndlError for a key, a column or a name that is not understood, and for a fold or a list given twice.
    """
    if path.suffix.lower() == ".csv":
        table = read_table(path, ("subject", "fold"), others=False)
        for line, (subject, fold) in zip(table.index, table.to_numpy(), strict=True):
            if not _NUMBER.fullmatch(fold) or not subject:
                what = f"{fold!r} is not a valid fold number (folds start at 0)" if subject else "no subject"
                raise GndlError(f"{path}, row {line}: {what}.")
        groups = table.groupby(table["fold"].astype(int))["subject"]
        return {int(str(fold)): {"test": list(names)} for fold, names in groups}
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_Pairs)
    except OSError as error:
        raise GndlError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise GndlError(f"{path}: not a fold file (not JSON); {_EXPECTED}.") from error
    folds: dict[int, dict[str, list[str]]] = {}
    for key, lists in content if isinstance(content, _Pairs) else [("", content)]:
        if not _NUMBER.fullmatch(key):
            raise GndlError(f"{path}: not a fold file ({key[:40]!r} is not the number of a fold); {_EXPECTED}.")
        own: dict[str, list[str]] = {}
        for name, names in lists if isinstance(lists, _Pairs) else [("test", lists)]:
            side = SIDES.get(name)
            if side is None or not _are_names(names):
                what = "are not names" if side else f"is not one of {', '.join(SIDES)}"
                raise GndlError(f"{path}: not a fold file (fold {key}: {name[:40]!r} {what}); {_EXPECTED}.")
            if side in own:
                raise GndlError(f"{path}: fold {key} has two lists of {side} subjects; keep one.")
            own[side] = [str(one).strip() for one in names]
        if "test" not in own:
            raise GndlError(f"{path}: not a fold file (fold {key} has no test list); {_EXPECTED}.")
        if int(key) in folds:
            raise GndlError(f"{path}: fold {key} is given twice; keep one, or number them 0, 1, ….")
        folds[int(key)] = own
    return folds


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all of its keys, also those that it has twice."""


def _are_names(names: Any) -> bool:
    return type(names) is list and all(type(one) in (str, int) and str(one).strip() for one in names)
