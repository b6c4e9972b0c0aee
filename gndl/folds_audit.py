"""Audit of a fold list, yours or published: who is on both sides of a fold, and what is tested twice or never.

Three forms are read, with whatever is wrong in them: JSON and CSV as `gndl.folds` has them, of subjects, sequences or
pictures, and the files ``train_ids_K.csv``, ``test_ids_K.csv`` and ``valid_ids_K.csv`` of public code, one picture name
a line. Whatever is not understood is refused by name, and what was taken for the subject is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.files import GndlError
from gndl.folds import SIDES, read_sides
from gndl.paper import EXPRESSIONS
from gndl.sequences import normal_form, spelled_twice

NOT_KNOWN = "not stated in this format"

_IDS = re.compile(rf"({'|'.join(SIDES)})_ids_(\d{{1,5}})\.csv", re.IGNORECASE)
_OF_A_SUBJECT = re.compile(
    r".*[\\/].*|.*\.(png|jpe?g|bmp|tiff?|pgm|ppm|gif|webp|avi|mpe?g|mp4|m4v|mov|mkv|wmv)(#\d+)?|[SP]\d{1,4}[_-]\d+.*",
    re.IGNORECASE,
)
"""A path, a picture, a clip or a sequence, where a subject is expected."""
_SUBJECT = re.compile(r"(?<![A-Za-z0-9])([SP])([0-9]{1,4})(?![A-Za-z0-9])", re.IGNORECASE)
_CLASSES = {name: name for name in (*EXPRESSIONS["ckplus"], "neutral")} | {
    **{"angry": "anger", "contemptuous": "contempt", "disgusted": "disgust", "fearful": "fear", "afraid": "fear"},
    **{"happy": "happiness", "joy": "happiness", "sad": "sadness", "surprised": "surprise"},
}
COLUMNS = ["fold", "side", "name", "subject", "sequence", "expression"]
"""One row an entry of a list: a picture or a subject, in "train", "dev" or "test", with what its name tells."""


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
        verdict = "No subject is in training and test of the same fold, but these folds have the problems above."
        if self.ok:
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
        table, problems = _read_ids(path)
        form, taken = "train_ids_K.csv and test_ids_K.csv", "samples"
    else:
        table, problems = _read_lists(path), []
        form = "lists of each fold" + (", development subjects held out" if "dev" in set(table["side"]) else "")
        taken = "subjects" if (table["name"] == table["subject"]).all() else "samples"
    if table.empty:
        raise GndlError(f"{path}: holds no fold")
    shown = table.drop_duplicates("subject").head(5)
    named = shown["subject"] + ("" if taken == "subjects" else " (" + shown["name"] + ")")
    form += f"\nTaken for the subject: {', '.join(named)}" + (" …" if table["subject"].nunique() > 5 else "")
    if same := spelled_twice(table["subject"]):
        problems.append(f"{path}: subjects in two spellings, each taken for one: {same}")
    longest = sorted(set(table["subject"]), key=lambda name: (len(name), name))
    spelling = {normal_form(name): name for name in longest}
    table["subject"] = table["subject"].map(normal_form).map(spelling)
    table["sequence"] = table["subject"] + "_" + table["sequence"]
    classes = sorted(set(table["expression"]) - {""})
    folds, shared = [], set[str]()
    for fold, own in table.groupby("fold"):
        train, dev, test = (own[own["side"] == side] for side in ("train", "dev", "test"))
        for other, side in ((test, "test"), (train, "training")):
            if held := sorted(set(dev["subject"]) & set(other["subject"])):
                problems.append(f"{path}: fold {fold} has {_some(held)} among its development and its {side} subjects")
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
    return FoldAudit(f"{path}: {form}", taken, pd.DataFrame(folds), tuple(sorted(shared)), subjects, tuple(problems))


def _missing(classes: list[str], shown: Iterable[str]) -> str:
    shown = set(shown)
    missing = [name for name in classes if name not in shown]
    if not classes or (missing and "" in shown):  # a name that tells no class may show any
        return NOT_KNOWN
    return " ".join(missing) or "–"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def _read_lists(path: Path) -> pd.DataFrame:
    sides = read_sides(path)
    rows = []
    for fold, lists in sides.items():
        dev = {normal_form(name) for name in lists.get("dev", ())}
        tested = [name for other in sides if other != fold for name in sides[other]["test"]]
        rest = [name for name in tested if normal_form(name) not in dev]  # also who is tested in both folds
        for side, names in {"train": rest, **lists}.items():
            rows += [(fold, side, *_entry(name, f"{path}, fold {fold}")) for name in names]
    return pd.DataFrame(rows, columns=COLUMNS)


def _read_ids(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    files: dict[int, dict[str, Path]] = {}
    problems = []
    for file in sorted(folder.iterdir()):
        if match := _IDS.fullmatch(file.name):
            first = files.setdefault(int(match[2]), {}).setdefault(SIDES[match[1].lower()], file)
            if first != file:
                raise GndlError(f"{file}: the same list of the same fold as {first.name}; keep one")
        elif file.suffix.lower() in (".csv", ".tsv", ".txt", ".json"):
            problems.append(f"{file}: not read; call it train_ids_K.csv, valid_ids_K.csv or test_ids_K.csv, or move it")
    if not files:
        raise GndlError(f"{folder}: no fold list in it; expected test_ids_0.csv, train_ids_0.csv and so on")
    if half := [fold for fold, lists in files.items() if not {"train", "test"} <= set(lists)]:
        raise GndlError(f"{folder}: fold {half[0]} has only one of train_ids_{half[0]}.csv and test_ids_{half[0]}.csv")
    rows = []
    for fold, lists in sorted(files.items()):
        for side, file in lists.items():
            try:
                lines = file.read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise GndlError(f"{file}: cannot be read as UTF-8 ({error})") from error
            entries = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
            rows += [(fold, side, *_entry(line, f"{file}, line {number}", True)) for number, line in entries]
    return pd.DataFrame(rows, columns=COLUMNS), problems


def _entry(name: str, where: str, is_picture: bool = False) -> tuple[str, str, str, str]:
    if not is_picture and not _OF_A_SUBJECT.fullmatch(name):
        return name, name, "", ""
    found = list(_SUBJECT.finditer(name.replace("_", " ").replace("-", " ")))
    if len({normal_form(match[0]) for match in found}) != 1:
        several = ", ".join(dict.fromkeys(match[0] for match in found))
        what = f"names several subjects ({several})" if found else "does not tell its subject"
        expected = "expected names such as S130_007_00000019.png or S130/007, or the subject by itself in a list"
        raise GndlError(f"{where}: {name[:80]!r} {what}; {expected}")
    words = [_CLASSES[word] for word in re.split(r"[\\/]", name.lower()) if word in _CLASSES]
    second = re.match(r"[^A-Za-z0-9]*([A-Za-z0-9]+)", re.sub(r"\.\w{2,4}(#\d+)?$", "", name)[found[-1].end() :])
    return name, f"{found[0][1].upper()}{found[0][2]}", second[1] if second else "", words[-1] if words else ""
