"""What lies in a folder that does not hold the database asked for, and why GNDL cannot learn from it.

GNDL learns from pairs of an expressive and a neutral face of one subject. The copies that circulate most often
(cropped peak frames in one folder per class, tables of pixels) have no neutral face, and perhaps no subject.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

from gndl.databases.folders import PICTURE_SUFFIXES, archives_in, contents, how_to_unpack, relative, walk
from gndl.errors import GndlError
from gndl.paper import DATABASE_TITLES

EXPECTED = {
    "ckplus": "cohn-kanade-images/S005/001/S005_001_00000011.png and so on, with Emotion/S005/001/… beside it",
    "oulu_casia": "OriginalImg/VL/Strong/P001/Anger/000.jpeg and so on",
    "mmi": "Sessions/1/session.xml with a clip such as S001-001.avi, and so on",
    "manifest": "a file manifest.csv with the columns subject,sequence,expression,neutral,examined",
}

_CLASS_WORDS = {
    *("anger", "angry", "contempt", "disgust", "disgusted", "fear", "fearful", "happiness", "happy"),
    *("sadness", "sad", "surprise", "surprised", "neutral", "neutrality"),
}
_SUBJECT_IN_NAME = re.compile(r"S\d{3}_\d{3}_\d{8}", re.IGNORECASE)
_OTHERS = {
    "ckplus": re.compile(r"S\d{3}", re.IGNORECASE),
    "oulu_casia": re.compile(r"P\d{3}", re.IGNORECASE),
    "mmi": re.compile(r"Sessions", re.IGNORECASE),
}


def explain(root: Path, name: str) -> str:
    """Say what was expected, what was found instead, and what to do.

    Parameters
    ----------
    root : Path
        Folder, or file, in which nothing of the database was recognised.
    name : str
        The database that was asked for.

    Returns
    -------
    str
        One message, without the root's name in front.
    """
    expected = f"this is not {DATABASE_TITLES[name]} as it is distributed; expected {EXPECTED[name]}"
    try:
        if root.is_file():
            reason = _pixel_table(root) or _packed(root) or "found a file; give the folder that holds the database"
        else:
            reason = (
                _pixel_table(root) or _class_folders(root) or _packed(root) or _another(root, name) or _listing(root)
            )
    except GndlError as error:
        reason = str(error)
    return f"{expected}; {reason}"


def _pixel_table(root: Path) -> str | None:
    """A CSV with one face per row, as FER2013 and the CK+ tables made after it."""
    files = [root] if root.is_file() else [file for _, _, files in walk(root, 2) for file in files]
    for file in files:
        if is_pixel_table(file):
            return (
                f"found {relative(file, root)}, a table of pixels as in FER2013: one small face per row, with "
                "neither its subject nor that subject's neutral face. GNDL learns from pairs of an expressive "
                "and a neutral face of one subject and is tested on other subjects, so it cannot use this table. "
                "Ask for the original database"
            )
    return None


def is_pixel_table(file: Path) -> bool:
    """Whether a file is a CSV with a column of pixels."""
    return file.suffix.lower() == ".csv" and "pixels" in _header(file)


def _header(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            first = lines.readline(10_000)
    except OSError:
        return []
    return [name.strip().lower() for name in next(csv.reader([first.replace("\0", "")]), [])]


def _class_folders(root: Path) -> str | None:
    """Pictures in one folder per class, as CK+48."""
    names: list[str] = []
    folders: list[Path] = []
    for folder, subfolders, files in walk(root, 3):
        pictures = [file.name for file in files if file.suffix.lower() in PICTURE_SUFFIXES]
        if folder.name.lower() in _CLASS_WORDS and pictures:
            folders.append(folder)
            names += pictures
            subfolders.clear()
    if len(folders) < 2:
        return None
    neutral = [folder for folder in folders if folder.name.lower().startswith("neutral")]
    subject = all(_SUBJECT_IN_NAME.match(name) for name in names)
    lacks = "without the neutral face of the same sequence" if neutral else "without any neutral face"
    who = "although the names still tell the subject" if subject else "and perhaps without the subject"
    return (
        f"found {len(names)} pictures in one folder per class ({', '.join(folder.name for folder in folders)}), as in "
        f"CK+48: cut-out peak frames {lacks}, {who}. GNDL learns from pairs of an expressive and a neutral face of "
        "one subject, so it cannot use these. Ask for the original database, or describe pairs of your own in a "
        "manifest.csv (--database manifest)"
    )


def _packed(root: Path) -> str | None:
    archives = archives_in(root)
    if not archives:
        return None
    return f"found archives that are not yet unpacked ({len(archives)}); unpack them:\n{how_to_unpack(archives)}"


def _another(root: Path, name: str) -> str | None:
    for folder, subfolders, _ in walk(root, 4):
        for other, pattern in _OTHERS.items():
            if other != name and any(pattern.fullmatch(path.name) for path in (folder, *subfolders)):
                return f"found what looks like {DATABASE_TITLES[other]}; if it is, ask for the database {other}"
    return None


def _listing(root: Path) -> str:
    folders, files = contents(root)
    if not folders and not files:
        return "found an empty folder"
    first = [f"{folder.name}/" for folder in folders[:6]] + [file.name for file in files[:6]]
    kinds = Counter(file.suffix.lower() or "no suffix" for _, _, below in walk(root, 4) for file in below)
    counted = ", ".join(f"{count} {suffix}" for suffix, count in kinds.most_common(5)) or "no files"
    more = len(folders) + len(files) - len(first)
    names = ", ".join(first) + (f" and {more} more" if more > 0 else "")
    return f"found {names} ({counted}); give the folder into which the downloads were unpacked"
