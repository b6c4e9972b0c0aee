"""The folders of a copy of CK+ that hold frames, labels, landmarks and action units, told by the files in them."""

from __future__ import annotations

import filecmp
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from gndl.databases.folders import PICTURE_SUFFIXES, contents, walk
from gndl.databases.reading import Findings
from gndl.errors import GndlError
from gndl.frames_reading import picture_size, read_eyes

_SUBJECT = re.compile(r"S\d{3}", re.IGNORECASE)
_NUMBER = re.compile(r"\d{3}")
_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.png", re.IGNORECASE)
_TEXT = re.compile(r"(S\d{3})_(\d{3})_(\d{8})_(emotion|landmarks|facs)\.txt", re.IGNORECASE)
_ROLES = {"emotion": "labels", "landmarks": "landmarks", "facs": "facs"}
_CALLED = {"images": "cohn-kanade-images", "labels": "emotion", "landmarks": "landmarks", "facs": "facs"}
"""What the folder of a role, or one above it, is called in the distribution."""

Place = tuple[str, str]
"""Subject and sequence number, such as ``("S005", "001")``."""


@dataclass
class Tree:
    """One folder of subjects: frames, labels and landmarks by sequence and frame number."""

    root: Path
    places: dict[Place, Path] = field(default_factory=dict)
    files: dict[str, dict[Place, dict[int, Path]]] = field(
        default_factory=lambda: {role: defaultdict(dict) for role in ("images", "labels", "landmarks", "facs")}
    )
    strays: list[Path] = field(default_factory=list)
    """Pictures that are no frame of their folder."""
    misplaced: list[Path] = field(default_factory=list)
    """Labels, landmarks and FACS codes whose name is of another sequence than their folder."""

    def size(self, role: str) -> int:
        """Number of files of one role."""
        return sum(len(files) for files in self.files[role].values())


def _scan(root: Path) -> Tree:
    tree = Tree(root)
    for subject in contents(root)[0]:
        if not _SUBJECT.fullmatch(subject.name):
            continue
        sequences, beside = contents(subject)
        tree.strays += [file for file in beside if file.suffix.lower() in PICTURE_SUFFIXES]
        for folder in sequences:
            files = contents(folder)[1]
            if _NUMBER.fullmatch(folder.name):
                place = (subject.name.upper(), folder.name)
                tree.places[place] = folder
                for file in files:
                    _sort_in(tree, place, file)
            else:
                tree.strays += [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES]
    return tree


def _sort_in(tree: Tree, place: Place, file: Path) -> None:
    frame, text = _FRAME.fullmatch(file.name), _TEXT.fullmatch(file.name)
    match = frame or text
    own = match is not None and (match[1].upper(), match[2]) == place
    if match is None or not own:
        if file.suffix.lower() in PICTURE_SUFFIXES:
            tree.strays.append(file)
        elif file.name.lower().endswith(("_emotion.txt", "_landmarks.txt", "_facs.txt")):
            tree.misplaced.append(file)
        return
    role = "images" if frame else _ROLES[match[4].lower()]
    if tree.files[role][place].setdefault(int(match[3]), file) != file:
        tree.strays.append(file)


def find_trees(root: Path) -> list[Tree]:
    """Every folder of subjects below ``root``, or ``root`` itself."""
    trees = []
    for folder, subfolders, _ in walk(root):
        if any(_SUBJECT.fullmatch(subfolder.name) for subfolder in subfolders):
            trees.append(_scan(folder))
            subfolders[:] = [subfolder for subfolder in subfolders if not _SUBJECT.fullmatch(subfolder.name)]
    return trees


def resolve(trees: list[Tree], role: str, findings: Findings, landmarks: Tree | None = None) -> Tree | None:
    """Choose the tree that holds most files of a role; every other one that holds some is named as not used.

    Of several with equally many files, one that is called as in the distribution is chosen, then the one whose
    pictures ``landmarks`` fit best. Where others than copies of the same bytes are left, an error finding says so.
    """
    holding = [tree for tree in trees if tree.size(role)]

    def rank(tree: Tree) -> tuple[int, bool, int]:
        rivals = sum(other.size(role) == tree.size(role) for other in holding) > 1
        fitting = _fitting(tree, landmarks) if landmarks and rivals else 0
        return tree.size(role), _called_as_distributed(tree, role), fitting

    ranks = {id(tree): rank(tree) for tree in holding}
    holding.sort(key=lambda tree: tree.root)
    holding.sort(key=lambda tree: ranks[id(tree)], reverse=True)
    for other in holding[1:]:
        used, count = holding[0], other.size(role)
        if ranks[id(other)] == ranks[id(used)] and role != "facs" and not _identical(used, other, role):
            findings.error(
                other.root,
                f"as many {role} ({count} files) as in {used.root}, but with other content; which ones are meant "
                "cannot be told: move one of both folders away",
            )
        else:
            findings.problem(
                other.root, f"a second folder of {role} ({count} files); {used.root} is used, move away the wrong one"
            )
    return holding[0] if holding else None


def _called_as_distributed(tree: Tree, role: str) -> bool:
    return any(_CALLED[role] in part.lower() for part in tree.root.parts)


def _fitting(images: Tree, landmarks: Tree) -> int:
    """Number of sequences in whose first frame with landmarks these put two eyes."""
    fitting = 0
    for place, pictures in images.files["images"].items():
        points = landmarks.files["landmarks"].get(place, {})
        number = min(pictures.keys() & points.keys(), default=None)
        if number is not None:
            try:
                read_eyes(points[number], *picture_size(pictures[number]))
                fitting += 1
            except GndlError:
                pass
    return fitting


def _identical(one: Tree, other: Tree, role: str) -> bool:
    """Whether two trees hold the same files of a role, byte by byte."""
    files, others = (
        {(place, number): file for place, files in tree.files[role].items() for number, file in files.items()}
        for tree in (one, other)
    )
    try:
        return files.keys() == others.keys() and all(
            filecmp.cmp(file, others[key], shallow=False) for key, file in files.items()
        )
    except OSError:
        return False
