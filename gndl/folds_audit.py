"""Audit of a fold list, yours or published: who is on both sides of a fold, and what is tested twice or never.

Three forms are read, with whatever is wrong in them: JSON and CSV of subjects as `gndl.folds` has them, and the files
``train_ids_K.csv`` and ``test_ids_K.csv`` of public code, one picture name a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.files import GndlError
from gndl.folds import listed_sides
from gndl.paper import EXPRESSIONS

NOT_KNOWN = "not stated in this format"

_IDS = re.compile(r"(train|test)_ids_(\d+)\.csv", re.IGNORECASE)
_SUBJECT = re.compile(r"(?<![A-Za-z0-9])([SP])([0-9]{1,4})(?![A-Za-z0-9])", re.IGNORECASE)
_CLASSES = {name: name for name in (*EXPRESSIONS["ckplus"], "neutral")} | {
    **{"angry": "anger", "contemptuous": "contempt", "disgusted": "disgust", "fearful": "fear", "afraid": "fear"},
    **{"happy": "happiness", "joy": "happiness", "sad": "sadness", "surprised": "surprise"},
}
COLUMNS = ["fold", "side", "name", "subject", "sequence", "expression"]
"""One row an entry of a list: a picture or a subject, on the side "train" or "test", with what its name tells."""


@dataclass(frozen=True, eq=False)
class FoldAudit:
    """What an audit of folds found.

    ``folds`` has one row a fold: train and test (entries), test_subjects, shared_subjects (in training and test of this
    fold), shared_sequences, shared_samples, tested_of_shared, missing_in_train and missing_in_test (classes).
    ``shared`` are the subjects on both sides of at least one fold, ``problems`` one line each.
    """

    title: str
    unit: str
    folds: pd.DataFrame
    shared: tuple[str, ...]
    subjects: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the folds can be used."""
        return not self.problems

    def __str__(self) -> str:
        sides = {"train": f"train {self.unit}", "test": f"test {self.unit}"}
        table, sizes = (
            self.folds.rename(columns=lambda name: sides.get(name, name.replace("_", " "))),
            self.folds["test"],
        )
        verdict = "Subject-independent: no subject is in training and test of the same fold."
        if self.shared:
            verdict = (
                f"{len(self.shared)} of {self.subjects} subjects are in training and test of the same fold: accuracy "
                "on these folds says little about new people."
            )
        heads = [f"{self.title}; {len(self.folds)} folds, {self.subjects} subjects", table.to_string(index=False)]
        spread = f"Fold sizes: {sizes.min()} to {sizes.max()} {self.unit} tested, mean {sizes.mean():.1f}."
        return "\n".join([*heads, spread, *self.problems, verdict])


def audit_folds(path: Path) -> FoldAudit:
    """Audit a fold file (JSON, CSV), or a folder of id files; a subject spelled in two ways (S52, S052) is one."""
    if not path.exists():
        raise GndlError(f"{path}: no such file (--folds)")
    if path.is_dir() or _IDS.fullmatch(path.name):
        path = path if path.is_dir() else path.parent
        table, form, unit = _read_ids(path), "train_ids_K.csv and test_ids_K.csv", "samples"
        remarks: list[str] = []
    else:
        table, form, remarks = _read_subjects(path)
        unit = "subjects"
    if table.empty:
        raise GndlError(f"{path}: holds no fold")
    alike = _spelled(table["subject"])
    others = [f"{name} is {chosen}" for name, chosen in sorted(alike.items()) if name != chosen]
    form += f"; spelled in two ways, taken as one: {_some(others)}" if others else ""
    table["subject"] = table["subject"].map(alike)
    table["sequence"] = table["subject"] + "_" + table["sequence"]
    classes = sorted(set(table["expression"]) - {""})
    folds, shared, problems = [], set[str](), [f"{path}: {remark}" for remark in remarks]
    for fold, own in table.groupby("fold"):
        train, test = own[own["side"] == "train"], own[own["side"] == "test"]
        both = {name: sorted(set(train[name]) & set(test[name])) for name in ("subject", "sequence", "name")}
        row: dict[str, Any] = {
            "fold": fold,
            "train": len(train),
            "test": len(test),
            "test_subjects": test["subject"].nunique(),
            "shared_subjects": len(both["subject"]),
            "shared_sequences": len(both["sequence"]),
            "shared_samples": len(both["name"]),
            "tested_of_shared": int(test["subject"].isin(both["subject"]).sum()),
            "missing_in_train": _missing(classes, train["expression"]),
            "missing_in_test": _missing(classes, test["expression"]),
        }
        folds.append(row)
        shared |= set(both["subject"])
        if both["subject"]:
            problems.append(
                f"{path}: fold {fold} trains on {len(both['subject'])} of the {row['test_subjects']} subjects it tests "
                f"({_some(both['subject'])}): {row['tested_of_shared']} of {len(test)} tested, {len(both['sequence'])} "
                "sequences on both sides"
            )
        if train.empty or test.empty:
            problems.append(f"{path}: fold {fold} has nothing to {'train on' if train.empty else 'test'}")
        if (missing := str(row["missing_in_train"])) not in ("–", NOT_KNOWN):
            problems.append(f"{path}: fold {fold} has no training samples of {missing.replace(' ', ', ')}")
    tested, trained = table[table["side"] == "test"]["name"], table[table["side"] == "train"]["name"]
    twice, never = sorted(set(tested[tested.duplicated()])), sorted(set(trained) - set(tested))
    for names, what in ((twice, "tested more than once"), (never, "never tested")):
        if names:
            problems.append(f"{path}: {names[0]} is {what} ({len(names)} in all)")
    subjects = table["subject"].nunique()
    return FoldAudit(f"{path}: {form}", unit, pd.DataFrame(folds), tuple(sorted(shared)), subjects, tuple(problems))


def _missing(classes: list[str], shown: Iterable[str]) -> str:
    shown = set(shown)
    missing = [name for name in classes if name not in shown]
    if not classes or (missing and "" in shown):  # a name that tells no class may show any
        return NOT_KNOWN
    return " ".join(missing) or "–"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def _spelled(subjects: Iterable[str]) -> dict[str, str]:
    """The longest spelling of every subject: ``S52``, ``s052`` and ``S052`` are one person."""
    chosen: dict[object, str] = {}
    keys = {}
    for name in sorted(set(subjects), key=lambda one: (-len(one), one)):
        found = _SUBJECT.fullmatch(name)
        keys[name] = (found[1].upper(), int(found[2])) if found else name
        chosen.setdefault(keys[name], name)
    return {name: chosen[key] for name, key in keys.items()}


def _read_subjects(path: Path) -> tuple[pd.DataFrame, str, list[str]]:
    """JSON or CSV of test subjects: each stands for all its samples, and development subjects do not train."""
    tested, held = listed_sides(path)
    alike = _spelled(name for sides in (tested, held) for own in sides.values() for name in own)
    rows, remarks = [], []
    for fold in sorted(tested):
        dev = {alike[name] for name in held.get(fold, ())}
        remarks += [
            f"fold {fold} has {name} among its development and its test subjects"
            for name in tested[fold]
            if alike[name] in dev
        ]
        rows += [(fold, "test", name) for name in tested[fold]]
        others = [name for other in sorted(tested) if other != fold for name in tested[other]]
        rows += [(fold, "train", name) for name in others if alike[name] not in dev]
    form = "subjects of each fold" + (", development subjects held out" if any(held.values()) else "")
    return pd.DataFrame([(*row, row[-1], "", "") for row in rows], columns=COLUMNS), form, remarks


def _read_ids(folder: Path) -> pd.DataFrame:
    found = [(match, file) for file in sorted(folder.iterdir()) if (match := _IDS.fullmatch(file.name))]
    files = {(match[1].lower(), int(match[2])): file for match, file in found}
    if not files:
        raise GndlError(f"{folder}: no fold list in it; expected test_ids_0.csv, train_ids_0.csv and so on")
    for _, fold in files:
        if ("train", fold) not in files or ("test", fold) not in files:
            raise GndlError(f"{folder}: fold {fold} has only one of train_ids_{fold}.csv and test_ids_{fold}.csv")
    rows = [(fold, side, *entry) for (side, fold), file in sorted(files.items()) for entry in _entries_of(file)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _entries_of(file: Path) -> Iterator[tuple[str, str, str, str]]:
    """Name, subject, second word (the sequence) and class of every picture."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GndlError(f"{file}: cannot be read as UTF-8 ({error})") from error
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line:
            continue
        found = _SUBJECT.search(line.replace("_", " ").replace("-", " "))
        if found is None:
            raise GndlError(
                f"{file}, line {number}: {line[:80]!r} does not tell its subject; expected names such as "
                "S130_007_00000019.png or S130/007"
            )
        named = [_CLASSES[word] for word in re.split(r"[\\/]", line.lower()) if word in _CLASSES]
        second = re.match(r"[^A-Za-z0-9]*([A-Za-z0-9]+)", re.sub(r"\.\w{2,4}(#\d+)?$", "", line)[found.end() :])
        yield line, f"{found[1].upper()}{found[2]}", second[1] if second else "", named[-1] if named else ""
