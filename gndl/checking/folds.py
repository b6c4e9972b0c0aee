"""Audit folds on their own: who is on both sides of one fold, how large folds are, which classes are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from gndl.errors import GndlError
from gndl.fold_lists import FoldLists, Listed, cut_by_order, has_list_form, letter_and_number, read_lists
from gndl.folds import listed_development, listed_subjects

SHOWN = 5
"""Subjects named in a line of the report at most."""

NONE, UNTOLD = "–", "not told by this form"
"""In place of classes that are missing: none is, and names do not tell classes."""


@dataclass(frozen=True, eq=False)
class FoldAudit:
    """What an audit of folds found.

    Parameters
    ----------
    lists : FoldLists
    folds : DataFrame
        One row per fold: ``fold``, ``train``, ``test`` (entries of the list, see its ``unit``), ``test_subjects``,
        ``shared_subjects`` (in training and test of this fold), ``shared_sequences`` and ``shared_samples`` (the same),
        ``tested_of_shared`` (entries tested whose subject is trained on), ``missing_in_train`` and ``missing_in_test``
        (classes, in words; a dash for none, and `UNTOLD` where names tell no class).
    shared : tuple of str
        Subjects that are on both sides of at least one fold.
    subjects : int
        Of all folds.
    problems : tuple of str
        Each with the file's name first; none where nobody is on both sides and every sample is tested once.
    """

    lists: FoldLists
    folds: pd.DataFrame
    shared: tuple[str, ...]
    subjects: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the folds can be used."""
        return not self.problems

    def report(self) -> str:
        """The whole audit as plain text, the verdict last."""
        unit = self.lists.unit
        sides = {"train": f"train {unit}", "test": f"test {unit}"}
        table = self.folds.rename(columns=lambda name: sides.get(name, name.replace("_", " ")))
        sizes = self.folds["test"]
        text = [
            f"{self.lists.path}: {self.lists.form}; {len(self.folds)} folds, {self.subjects} subjects",
            table.to_string(index=False),
            f"Fold sizes: {sizes.min()} to {sizes.max()} {unit} tested, mean {sizes.mean():.1f}.",
            *self.problems,
        ]
        text.append(
            f"{len(self.shared)} of {self.subjects} subjects are trained on and tested in the same fold: an accuracy "
            "on these folds says little about people who were not seen."
            if self.shared
            else "Subject-independent: nobody is trained on and tested in the same fold."
        )
        return "\n".join(text)


def audit_folds(path: Path, cut: int = 0) -> FoldAudit:
    """Audit a fold file in any form: ours (JSON, CSV), id files, a headed list, or names that are cut by order.

    Parameters
    ----------
    path : Path
    cut : int
        Into how many folds plain names are cut by their order in each class; 0 for a file that lists folds.

    Raises
    ------
    GndlError
        Where the file has none of these forms.
    """
    if not path.exists():
        raise GndlError(f"{path}: there is no such file (--folds).")
    if cut:
        return audit_lists(cut_by_order(path, cut))
    return audit_lists(read_lists(path) if has_list_form(path) else _of_subjects(path))


def audit_lists(lists: FoldLists) -> FoldAudit:
    """Audit folds that have been read; one person who is spelled in two ways is one."""
    lists = _one_spelling(lists)
    everything = {one for side in (lists.train, lists.test) for own in side for one in own}
    classes = sorted({one.expression for one in everything if one.expression})
    rows, on_both_sides = [], set()
    for number, train, test in zip(lists.numbers, lists.train, lists.test, strict=True):
        subjects = {one.subject for one in train} & {one.subject for one in test}
        on_both_sides |= subjects
        rows.append(
            {
                "fold": number,
                "train": len(train),
                "test": len(test),
                "test_subjects": len({one.subject for one in test}),
                "shared_subjects": len(subjects),
                "shared_sequences": len({one.sequence for one in train} & {one.sequence for one in test}),
                "shared_samples": len({one.name for one in train} & {one.name for one in test}),
                "tested_of_shared": sum(one.subject in subjects for one in test),
                "missing_in_train": _missing(classes, train),
                "missing_in_test": _missing(classes, test),
            }
        )
    table = pd.DataFrame(rows)
    subjects = {one.subject for one in everything}
    return FoldAudit(lists, table, tuple(sorted(on_both_sides)), len(subjects), _problems(lists, table, everything))


def _spelled(subjects: Iterable[str]) -> dict[str, str]:
    """One name for every subject, the longest spelling of the same letter and number; other names are what they are."""
    names = sorted(set(subjects), key=lambda one: (-len(one), one))
    first: dict[tuple[str, int] | str, str] = {}
    for name in names:
        first.setdefault(letter_and_number(name) or name, name)
    return {name: first[letter_and_number(name) or name] for name in names}


def _one_spelling(lists: FoldLists) -> FoldLists:
    """Let ``S52`` and ``S052`` be one person, as they are where the list is used, and say so in the list's form."""
    alike = _spelled(one.subject for side in (lists.train, lists.test) for own in side for one in own)
    others = sorted(name for name, chosen in alike.items() if name != chosen)
    if not others:
        return lists

    def renamed(one: Listed) -> Listed:
        subject = alike[one.subject]
        return replace(one, subject=subject, sequence=subject + one.sequence.removeprefix(one.subject))

    train, test = (tuple(tuple(map(renamed, own)) for own in side) for side in (lists.train, lists.test))
    named = ", ".join(f"{name} is {alike[name]}" for name in others[:SHOWN]) + (" …" if len(others) > SHOWN else "")
    return replace(lists, train=train, test=test, form=f"{lists.form}; spelled in two ways, taken as one: {named}")


def _missing(classes: list[str], own: tuple[Listed, ...]) -> str:
    shown = {one.expression for one in own}
    missing = [name for name in classes if name not in shown]
    # A name that tells no class may show any of them.
    if not classes or (missing and "" in shown):
        return UNTOLD
    return " ".join(missing) or NONE


def _problems(lists: FoldLists, table: pd.DataFrame, everything: set[Listed]) -> tuple[str, ...]:
    path = lists.path
    problems = [f"{path}: {remark}" for remark in lists.remarks]
    for row, train, test in zip(table.to_dict("records"), lists.train, lists.test, strict=True):
        if row["shared_subjects"]:
            shared = sorted({one.subject for one in train} & {one.subject for one in test})
            named = ", ".join(shared[:SHOWN]) + (" …" if len(shared) > SHOWN else "")
            problems.append(
                f"{path}: fold {row['fold']} trains on {len(shared)} of the {row['test_subjects']} subjects that it "
                f"tests ({named}): {row['tested_of_shared']} of {row['test']} tested, {row['shared_sequences']} "
                "sequences on both sides"
            )
        if not row["train"] or not row["test"]:
            problems.append(f"{path}: fold {row['fold']} has nothing to {'test' if row['train'] else 'train on'}")
        if row["missing_in_train"] not in (NONE, UNTOLD):
            problems.append(f"{path}: fold {row['fold']} trains on no {row['missing_in_train'].replace(' ', ', ')}")
    times = Counter(one.name for own in lists.test for one in own)
    twice = sorted(name for name, count in times.items() if count > 1)
    never = sorted({one.name for one in everything} - set(times))
    for names, what in ((twice, "tested more than once"), (never, "trained on and never tested")):
        if names:
            problems.append(f"{path}: {names[0]} is {what} ({len(names)} such)")
    return tuple(problems)


def _of_subjects(path: Path) -> FoldLists:
    """Our own forms, which list subjects: each stands for all its samples; development subjects do not train."""
    tested, held = listed_subjects(path), listed_development(path)
    alike = _spelled(name for sides in (tested, held) for own in sides.values() for name in own)
    dev = {fold: {alike[name] for name in own} for fold, own in held.items()}
    numbers = tuple(sorted(tested))
    test = tuple(tuple(Listed(name, name, name) for name in tested[fold]) for fold in numbers)
    train = tuple(
        tuple(
            one for other in numbers if other != fold for one in test[numbers.index(other)]
            if alike[one.name] not in dev.get(fold, ())
        )
        for fold in numbers
    )  # fmt: skip
    both = [(fold, name) for fold in numbers for name in tested[fold] if alike[name] in dev.get(fold, ())]
    remarks = tuple(f"fold {fold} has {name} among its development and its test subjects" for fold, name in both)
    form = "subjects of each fold, development subjects apart" if held else "subjects of each fold"
    return FoldLists(path, form, numbers, train, test, remarks, unit="subjects")
