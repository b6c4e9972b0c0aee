"""Fold lists as public code on these databases keeps them: read as they are, with whatever is wrong in them.

Three forms are met, all of names of pictures or sequences rather than of subjects:

- ``train_ids_K.csv`` and ``test_ids_K.csv`` for every fold K, one name of a picture a line and no header;
- one text file with a header line a fold, ``1-fold 33 Angry 2 Sad 4 …`` (number of sequences, then of each class),
  followed by the fold's sequences, ``S130/007 Angry``;
- no list at all: names in some order, of which every class is cut into folds by their order.

Whether such folds can be used is another question, which `gndl.checking.folds` answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gndl.errors import GndlError

IDS = re.compile(r"(train|test)_ids_(\d+)\.csv", re.IGNORECASE)
HEADER = re.compile(r"\s*([0-9]{1,9})\s*-\s*fold\s+([0-9]{1,9})((?:\s+[A-Za-z]+\s+[0-9]{1,9})*)\s*", re.IGNORECASE)
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")

_SUBJECT = re.compile(r"(?<![A-Za-z0-9])([SP])([0-9]{1,4})(?![A-Za-z0-9])", re.IGNORECASE)
_WORDS = {
    "anger": ("anger", "angry"),
    "contempt": ("contempt", "contemptuous"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "fearful", "afraid"),
    "happiness": ("happiness", "happy", "joy"),
    "sadness": ("sadness", "sad"),
    "surprise": ("surprise", "surprised"),
    "neutral": ("neutral",),
}
CLASS_OF_WORD = {word: name for name, words in _WORDS.items() for word in words}
"""Class in the paper's words (ledger L16) of every word that lists and folders use for it."""


@dataclass(frozen=True, order=True)
class Listed:
    """One line of a fold list.

    Parameters
    ----------
    name : str
        As written.
    subject : str
        Read from the name, such as ``"S130"``.
    sequence : str
        Subject and what follows it up to the frame, such as ``"S130_007"``.
    expression : str
        In the paper's words; ``""`` where the list does not say it.
    """

    name: str
    subject: str
    sequence: str
    expression: str = ""


@dataclass(frozen=True)
class FoldLists:
    """Folds as listed, each with the samples that it tests and those that it trains on.

    Parameters
    ----------
    path : Path
        File or folder.
    form : str
        Which form it has, in words.
    numbers : tuple of int
        What each fold is called.
    train, test : tuple of tuple of Listed
        One entry per fold. Where a form lists test samples only, all others are trained on.
    remarks : tuple of str
        What the file says of itself that is not so.
    unit : str
        What an entry is, in the plural.
    """

    path: Path
    form: str
    numbers: tuple[int, ...]
    train: tuple[tuple[Listed, ...], ...]
    test: tuple[tuple[Listed, ...], ...]
    remarks: tuple[str, ...] = ()
    unit: str = "samples"


def has_list_form(path: Path) -> bool:
    """Whether a path is one of the forms of this module, and not a file of subjects as `gndl.folds` writes it."""
    return path.is_dir() or IDS.fullmatch(path.name) is not None or path.suffix.lower() not in (".json", ".csv")


def read_lists(path: Path) -> FoldLists:
    """Read id files (given their folder, or any one of them) or a text file with a header a fold.

    Raises
    ------
    GndlError
        Naming the file and the line, where it has neither form or a name tells no subject.
    """
    if path.is_dir():
        return _read_ids(path)
    if IDS.fullmatch(path.name):
        return _read_ids(path.parent)
    return _read_headed(path)


def cut_by_order(path: Path, folds: int) -> FoldLists:
    """Cut every class into folds by the order of its pictures, as code without fold lists does.

    Parameters
    ----------
    path : Path
        A text file of names in their order, one a line, with the class as the folder before the name or as a second
        word; or a folder with one folder of pictures per class, whose names are sorted.
    folds : int
        Fold k of n tests the pictures from k/n to (k + 1)/n of each class.

    Raises
    ------
    GndlError
        Where a name tells no class or no subject, or there are fewer than two folds.
    """
    if folds < 2:
        raise GndlError(f"--cut takes a number of folds of at least 2; it was given {folds}.")
    by_class: dict[str, list[Listed]] = {}
    for line, name in _names_in_order(path):
        listed = _listed(name, f"{path}, line {line}" if line else str(path / name))
        if not listed.expression:
            raise GndlError(
                f"{path}{f', line {line}' if line else ''}: {name!r} tells no class; give it as the folder before the "
                "name, or as a second word."
            )
        by_class.setdefault(listed.expression, []).append(listed)
    if not by_class:
        raise GndlError(f"{path}: holds no name of a picture.")
    test = tuple(
        tuple(one for own in by_class.values() for one in own[k * len(own) // folds : (k + 1) * len(own) // folds])
        for k in range(folds)
    )
    return FoldLists(path, f"cut by picture order within each class, {folds} folds", *_others_train(range(folds), test))


def subject_of(name: str) -> str | None:
    """Read the subject from the name of a picture or sequence: ``S`` or ``P`` with a number; None where there is none.

    The first one counts, so that ``P001/Anger/000.jpeg`` and ``S156_002_00000019.png`` both tell it.
    """
    found = _SUBJECT.search(name.replace("_", " ").replace("-", " "))
    return f"{found[1].upper()}{found[2]}" if found else None


def match_subjects(listed: Iterable[str], subjects: Iterable[str]) -> dict[str, str]:
    """Match subjects as a list writes them to a database's: the same name, or the same letter and number.

    ``S52`` is ``S052`` where only one subject of the database has that number; what has no partner is left out.
    """
    known = {str(subject) for subject in subjects}
    by_number: dict[tuple[str, int], list[str]] = {}
    for subject in known:
        if key := letter_and_number(subject):
            by_number.setdefault(key, []).append(subject)
    matched = {}
    for name in set(listed):
        key = letter_and_number(name)
        same = by_number.get(key, []) if key else []
        if name in known:
            matched[name] = name
        elif len(same) == 1:
            matched[name] = same[0]
    return matched


def letter_and_number(subject: str) -> tuple[str, int] | None:
    """What tells a subject however it is spelled: ``S52``, ``s052`` and ``S052`` are one; None for another name."""
    found = _SUBJECT.fullmatch(subject)
    return (found[1].upper(), int(found[2])) if found else None


def _listed(name: str, where: str, expression: str = "") -> Listed:
    subject = subject_of(name)
    if subject is None:
        raise GndlError(
            f"{where}: {name[:80]!r} tells no subject; expected names such as S130_007_00000019.png or S130/007."
        )
    parts = name.replace("\\", "/").split("/")
    for part in parts[::-1]:
        expression = expression or CLASS_OF_WORD.get(part.lower(), "")
    stem = re.sub(r"\.\w{2,4}(#\d+)?$", "", "/".join(parts))
    tokens = re.findall(r"[A-Za-z0-9]+", stem)
    if subject not in (token.upper() for token in tokens):  # as of "a.S01", where it looks like a suffix
        tokens = re.findall(r"[A-Za-z0-9]+", name)
    start = [token.upper() for token in tokens].index(subject)
    # Subject and the token after it name the sequence; what follows is the frame.
    return Listed(name, subject, "_".join([subject, *tokens[start + 1 : start + 2]]), expression)


def _read_ids(folder: Path) -> FoldLists:
    files: dict[str, dict[int, Path]] = {"train": {}, "test": {}}
    for file in sorted(folder.iterdir()):
        if found := IDS.fullmatch(file.name):
            files[found[1].lower()][int(found[2])] = file
    numbers = sorted(files["test"])
    if not numbers:
        raise GndlError(f"{folder}: holds no fold list; expected test_ids_0.csv, train_ids_0.csv and so on.")
    if lone := sorted(set(files["train"]) ^ set(files["test"])):
        raise GndlError(f"{folder}: fold {lone[0]} has only one of train_ids_{lone[0]}.csv and test_ids_{lone[0]}.csv.")
    train, test = (
        tuple(
            tuple(_listed(name, f"{files[side][number]}, line {line}") for line, name in _lines(files[side][number]))
            for number in numbers
        )
        for side in ("train", "test")
    )
    return FoldLists(folder, "train_ids_K.csv and test_ids_K.csv", tuple(numbers), train, test)


def _read_headed(path: Path) -> FoldLists:
    numbers: list[int] = []
    test: list[list[Listed]] = []
    said: list[tuple[int, dict[str, int]]] = []
    for line, text in _lines(path):
        where = f"{path}, line {line}"
        if header := HEADER.fullmatch(text):
            words = header[3].split()
            numbers.append(int(header[1]))
            said.append(
                (int(header[2]), {_class(word, where): int(n) for word, n in zip(words[::2], words[1::2], strict=True)})
            )
            test.append([])
            continue
        if not test:
            raise GndlError(
                f"{where}: {text[:80]!r} comes before any header such as '1-fold 33 Angry 2 Sad 4'; for plain names, "
                "say with --cut into how many folds they are cut by their order."
            )
        name, *word = text.split()
        if len(word) > 1:
            raise GndlError(f"{where}: {text[:80]!r} has {len(word) + 1} words; expected a sequence and its class.")
        test[-1].append(_listed(name, where, _class(word[0], where) if word else ""))
    if len(numbers) < 2:
        raise GndlError(f"{path}: is no fold list; expected a header such as '1-fold 33 Angry 2 Sad 4' for every fold.")
    remarks = []
    for number, (count, classes), own in zip(numbers, said, test, strict=True):
        if count != len(own):
            remarks.append(f"the header of fold {number} says {count} sequences, {len(own)} follow")
        for name, expected in classes.items():
            found = sum(one.expression == name for one in own)
            if found != expected:
                remarks.append(f"the header of fold {number} says {expected} of {name}, {found} follow")
    tested = tuple(map(tuple, test))
    form = "one text file, a header a fold"
    return FoldLists(path, form, *_others_train(numbers, tested), tuple(remarks), unit="sequences")


def _others_train(
    numbers: Iterable[int], test: tuple[tuple[Listed, ...], ...]
) -> tuple[tuple[int, ...], tuple[tuple[Listed, ...], ...], tuple[tuple[Listed, ...], ...]]:
    train = tuple(
        tuple(one for other, tested in enumerate(test) if other != place for one in tested)
        for place in range(len(test))
    )
    return tuple(numbers), train, test


def _class(word: str, where: str) -> str:
    if word.lower() not in CLASS_OF_WORD:
        raise GndlError(f"{where}: {word[:80]!r} is no class; expected one of {', '.join(sorted(CLASS_OF_WORD))}.")
    return CLASS_OF_WORD[word.lower()]


def _names_in_order(path: Path) -> Sequence[tuple[int, str]]:
    if path.is_dir():
        files = [file for file in path.glob("*/*") if file.suffix.lower() in PICTURES]
        return [(0, file.relative_to(path).as_posix()) for file in sorted(files)]
    named = []
    for line, text in _lines(path):
        name, *word = text.split()
        named.append((line, f"{word[0]}/{name}" if word else name))
    return named


def _lines(path: Path) -> list[tuple[int, str]]:
    """Lines of a text file that are not blank, with their numbers from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GndlError(f"{path}: not in UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise GndlError(f"{path}: cannot be read ({error.strerror})") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
