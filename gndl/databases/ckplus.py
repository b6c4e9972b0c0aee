"""CK+, the extended Cohn-Kanade database (Lucey et al. 2010), as it is distributed.

::

    cohn-kanade-images/S005/001/S005_001_00000011.png       neutral in the first frame, peak in the last
    Emotion/S005/001/S005_001_00000011_emotion.txt          one number, for 327 of the 593 sequences
    Landmarks/S005/001/S005_001_00000011_landmarks.txt      68 lines of x y, one file per frame; may be missing
    FACS/S005/001/S005_001_00000011_facs.txt                not used

Taken (section 4.1): the first frame as the neutral face and the last three as examined: 981 pairs.
The four trees are told apart by the files in them, so wrappers such as ``Emotion_labels/Emotion`` do not matter.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from gndl.databases.folders import PICTURE_SUFFIXES, archives_in, contents, how_to_unpack, walk
from gndl.databases.found_instead import explain
from gndl.databases.reading import FEWEST_FRAMES, Findings, ReadOptions, first_and_last_three, source_of, too_few
from gndl.errors import GndlError
from gndl.frames_reading import read_landmarks
from gndl.paper import EXPRESSIONS
from gndl.sequences import Database, FrameRef, Sequence

NEUTRAL_LABEL = 0
LABELS = {1: "anger", 2: "contempt", 3: "disgust", 4: "fear", 5: "happiness", 6: "sadness", 7: "surprise"}
"""Numbers in the emotion files (the database's own notes)."""

_SUBJECT = re.compile(r"S\d{3}", re.IGNORECASE)
_NUMBER = re.compile(r"\d{3}")
_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.png", re.IGNORECASE)
_TEXT = re.compile(r"(S\d{3})_(\d{3})_(\d{8})_(emotion|landmarks|facs)\.txt", re.IGNORECASE)
_ROLES = {"emotion": "labels", "landmarks": "landmarks", "facs": "facs"}

Place = tuple[str, str]
"""Subject and sequence number, such as ``("S005", "001")``."""


@dataclass
class _Tree:
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


def _scan(root: Path) -> _Tree:
    tree = _Tree(root)
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


def _sort_in(tree: _Tree, place: Place, file: Path) -> None:
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


def _trees(root: Path) -> list[_Tree]:
    """Every folder of subjects below ``root``, or ``root`` itself."""
    trees = []
    for folder, subfolders, _ in walk(root):
        if any(_SUBJECT.fullmatch(subfolder.name) for subfolder in subfolders):
            trees.append(_scan(folder))
            subfolders[:] = [subfolder for subfolder in subfolders if not _SUBJECT.fullmatch(subfolder.name)]
    return trees


def _resolve(trees: list[_Tree], role: str, findings: Findings) -> _Tree | None:
    """The tree that holds most files of a role; others that hold some are named as not used."""
    holding = sorted((tree for tree in trees if tree.size(role)), key=lambda tree: (-tree.size(role), tree.root))
    for other in holding[1:]:
        findings.problem(other.root, f"a second folder of {role} ({other.size(role)} files); {holding[0].root} is used")
    return holding[0] if holding else None


def read(root: Path, options: ReadOptions) -> Database:
    """Read a copy of CK+.

    Parameters
    ----------
    root : Path
        The folder that holds the unpacked downloads, whatever wrappers are left around them.
    options : ReadOptions
        Nothing in it concerns CK+.

    Returns
    -------
    Database
        With a finding of kind ``"error"`` where the study could not run.
    """
    findings = Findings()
    trees = _trees(root)
    images, labels, landmarks, facs = (
        _resolve(trees, role, findings) for role in ("images", "labels", "landmarks", "facs")
    )
    named = {"images": images, "labels": labels, "landmarks": landmarks, "facs": facs}
    folders = {role: tree.root for role, tree in named.items() if tree}
    sequences: list[Sequence] = []
    found: dict[str, int] = {}
    if images is None:
        findings.error(root, explain(root, "ckplus"))
    else:
        for stray in images.strays:
            findings.skip(stray, "not a frame of its folder (named Sxxx_yyy_dddddddd.png after it); ignored")
        frames = _frames(images, landmarks, findings)
        found = {
            "sequences": len(frames),
            "subjects": len({subject for subject, _ in frames}),
            "frames": images.size("images"),
        }
        if labels is None:
            findings.error(root, _no_labels(root))
        else:
            sequences = _labelled(frames, images, labels, findings)
        for tree in {id(tree): tree for tree in (labels, landmarks) if tree}.values():
            for file in tree.misplaced:
                findings.problem(file, "its name is of another subject or sequence than its folder; ignored")
    return Database(
        name="ckplus",
        root=root,
        source=source_of(root, folders, sequences, "licensed"),
        expressions=EXPRESSIONS["ckplus"],
        sequences=tuple(sequences),
        findings=tuple(findings.items),
        folders=folders,
        found=found,
    )


def _no_labels(root: Path) -> str:
    message = (
        "frames are here, but no emotion label: expected Emotion/S005/001/S005_001_00000011_emotion.txt and the "
        "like; they come as a download of their own (Emotion_labels.zip)"
    )
    packed = [file for file in archives_in(root) if "emotion" in file.name.lower()]
    return f"{message}; unpack it:\n{how_to_unpack(packed)}" if packed else message


def _frames(images: _Tree, landmarks: _Tree | None, findings: Findings) -> dict[Place, list[FrameRef]]:
    """Frames of every sequence in the order of their numbers, each with its landmark file where there is one."""
    frames = {}
    for place, folder in sorted(images.places.items()):
        numbered = images.files["images"].get(place, {})
        points = landmarks.files["landmarks"].get(place, {}) if landmarks else {}
        if numbered:
            frames[place] = [FrameRef(numbered[number], landmarks=points.get(number)) for number in sorted(numbered)]
        elif folder.is_relative_to(images.root):
            findings.skip(folder, "a folder without frames")
    return frames


def _labelled(frames: dict[Place, list[FrameRef]], images: _Tree, labels: _Tree, findings: Findings) -> list[Sequence]:
    sequences = []
    unlabelled = 0
    for place in sorted({*frames, *(place for place, files in labels.files["labels"].items() if files)}):
        files = labels.files["labels"].get(place, {})
        if not files:
            unlabelled += 1
            continue
        if place not in frames:
            findings.problem(next(iter(files.values())), "a label without frames: the sequence's pictures are missing")
            continue
        expression = _expression(files, findings)
        if expression is None:
            continue
        if len(frames[place]) < FEWEST_FRAMES:
            findings.skip(images.places[place], too_few(len(frames[place])))
            continue
        last = max(images.files["images"][place])
        if last not in files:
            findings.note(next(iter(files.values())), f"named after another frame than the last one ({last:08d})")
        neutral, examined = first_and_last_three(frames[place])
        sequences.append(
            Sequence(
                subject=place[0],
                sequence="_".join(place),
                expression=expression,
                neutral=neutral,
                examined=examined,
                frames=tuple(frames[place]),
                frames_chosen_by="first and last three",
            )
        )
    if unlabelled:
        findings.note(labels.root, f"sequences without an emotion label, which take no part: {unlabelled}")
    return sequences


def _expression(files: dict[int, Path], findings: Findings) -> str | None:
    """The class that a sequence's label files agree on; None, with a finding, where there is no such class."""
    values = {file: _label(file, findings) for _, file in sorted(files.items())}
    if None in values.values():
        return None
    file = next(iter(values))
    if len(set(values.values())) > 1:
        findings.problem(file, "the sequence has several label files that disagree; sequence left out")
        return None
    value = values[file]
    if value == NEUTRAL_LABEL:
        findings.skip(file, "label 0 (neutral) is no expression; sequence left out")
        return None
    return LABELS[value] if value is not None else None


def _label(file: Path, findings: Findings) -> int | None:
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace").strip().strip("\0")
    except OSError as error:
        findings.problem(file, f"the label cannot be read ({error.strerror}); sequence left out")
        return None
    try:
        value = float(text)
    except ValueError:
        findings.problem(file, f"one number from 0 to 7 expected, found {text[:40]!r}; sequence left out")
        return None
    if not (math.isfinite(value) and value == int(value) and 0 <= value <= 7):
        findings.problem(file, f"label out of range: {text[:40]} (0 to 7 expected); sequence left out")
        return None
    return int(value)


def with_landmarks_for_all_or_none(database: Database) -> Database:
    """Keep the landmark files only if every frame taken has a valid one, so that all crops are made the same way.

    Otherwise every frame loses its landmarks, the crop stage finds all faces by detection, and findings say so.
    """
    findings = Findings(list(database.findings))
    taken = [frame for sequence in database.sequences for frame in (sequence.neutral, *sequence.examined)]
    usable = 0
    for frame in taken:
        if frame.landmarks is None:
            continue
        try:
            read_landmarks(frame.landmarks)
            usable += 1
        except GndlError as error:
            reason = str(error).removeprefix(f"{frame.landmarks}: ")
            findings.problem(frame.landmarks, f"not a landmark file: {reason}")
    if not taken or usable == len(taken):
        return replace(database, findings=tuple(findings.items))
    missing = [frame.path for frame in taken if frame.landmarks is None]
    place = database.folders.get("landmarks", database.root)
    lack = f"{len(taken) - usable} of the {len(taken)} frames taken" if usable else "the frames taken"
    packed = [file for file in archives_in(database.root) if "landmark" in file.name.lower()]
    findings.problem(
        place,
        f"{lack} have no usable landmarks, so no landmark file is used: all faces are found by detection, "
        "never a mixture" + (f"; to use them, unpack:\n{how_to_unpack(packed)}" if packed else ""),
    )
    if usable:
        for path in missing:
            findings.problem(path, "no landmark file")
    sequences = tuple(
        replace(
            sequence,
            neutral=replace(sequence.neutral, landmarks=None),
            examined=tuple(replace(frame, landmarks=None) for frame in sequence.examined),
            frames=tuple(replace(frame, landmarks=None) for frame in sequence.frames),
        )
        for sequence in database.sequences
    )
    return replace(database, sequences=sequences, findings=tuple(findings.items))
