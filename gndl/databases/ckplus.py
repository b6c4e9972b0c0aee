"""CK+, the extended Cohn-Kanade database (Lucey et al. 2010), as it is distributed.

::

    cohn-kanade-images/S005/001/S005_001_00000011.png       neutral in the first frame, peak in the last
    Emotion/S005/001/S005_001_00000011_emotion.txt          one number, for 327 of the 593 sequences
    Landmarks/S005/001/S005_001_00000011_landmarks.txt      68 lines of x y, one file per frame; optional

Taken (section 4.1): the first frame as the neutral face and the last three as examined: 981 pairs.
The trees are recognised by the files in them, so wrappers such as ``Emotion_labels/Emotion`` do not matter; FACS is
not used.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from gndl.databases.common import (
    PICTURES,
    Findings,
    contents,
    explain,
    first_and_last_three,
    is_too_short,
    licensed,
    require_one_spelling,
    walk,
)
from gndl.files import GndlError
from gndl.frames import picture_size, read_eyes
from gndl.sequences import Database, FrameRef, ReadOptions, Sequence

LABELS = {1: "anger", 2: "contempt", 3: "disgust", 4: "fear", 5: "happiness", 6: "sadness", 7: "surprise"}
"""Numbers in the emotion files (the database's own notes); 0 is neutral."""

ROLES = {".png": "images", "_emotion.txt": "labels", "_landmarks.txt": "landmarks"}

_SUBJECT = re.compile(r"S\d{3}", re.IGNORECASE)
_FILE = re.compile(rf"(S\d{{3}})_(\d{{3}})_(\d{{8}})({'|'.join(map(re.escape, ROLES))})", re.IGNORECASE)

Place = tuple[str, str]
"""Subject and sequence number, such as ``("S005", "001")``."""


class _Tree:
    def __init__(self, root: Path, subjects: list[Path]) -> None:
        self.root = root
        self.places: dict[Place, Path] = {}
        self.strays: list[Path] = []
        """Files whose name does not belong to their folder."""
        self.files: dict[str, dict[Place, dict[int, Path]]] = {role: defaultdict(dict) for role in ROLES.values()}
        for subject in subjects:
            folders, files = contents(subject)
            self.strays += files
            for folder in folders:
                files = contents(folder)[1]
                if re.fullmatch(r"\d{3}", folder.name):
                    place = (subject.name.upper(), folder.name)
                    self.places[place] = folder
                    self.strays += [file for file in files if not self._is_sorted_in(file, place)]
                else:
                    self.strays += files

    def _is_sorted_in(self, file: Path, place: Place) -> bool:
        match = _FILE.fullmatch(file.name)
        if match is None or (match[1].upper(), match[2]) != place:
            return False
        return self.files[ROLES[match[4].lower()]][place].setdefault(int(match[3]), file) == file

    def size(self, role: str) -> int:
        return sum(map(len, self.files[role].values()))


def read(root: Path, options: ReadOptions) -> Database:
    """Read a copy of CK+; error findings say why the study cannot run."""
    findings = Findings()
    trees = []
    for folder, subfolders, _ in walk(root):
        if subjects := [subfolder for subfolder in subfolders if _SUBJECT.fullmatch(subfolder.name)]:
            require_one_spelling(folder, "subjects' folders", [subject.name for subject in subjects], findings)
            trees.append(_Tree(folder, subjects))
            subfolders[:] = [subfolder for subfolder in subfolders if subfolder not in subjects]
    named = {role: tree for role in ROLES.values() if (tree := _only_tree(trees, role, findings))}
    images, labels, landmarks = map(named.get, ("images", "labels", "landmarks"))
    sequences: list[Sequence] = []
    found: dict[str, int] = {}
    if images is None:
        findings.error(root, explain(root, "ckplus"))
    else:
        for file in sorted({file for tree in named.values() for file in tree.strays}):
            if file.suffix.lower() in PICTURES or file.name.lower().endswith(tuple(ROLES)):
                message = "not a file of its folder (Sxxx_yyy_dddddddd.png); ignored, rename or move it if it is one"
                findings.skip(file, message)
        frames = _frames(images, landmarks, findings)
        subjects_seen = {subject for subject, _ in frames}
        found = {"sequences": len(frames), "subjects": len(subjects_seen), "frames": images.size("images")}
        if labels is None:
            expected = "expected Emotion/S005/001/S005_001_00000011_emotion.txt and the like"
            separate = "they are a separate download (Emotion_labels.zip); unpack it next to the frames"
            findings.error(root, f"frames, but no emotion labels: {expected}; {separate}")
        else:
            sequences = _labelled(frames, images, labels, findings)
    return licensed("ckplus", root, sequences, findings, {role: tree.root for role, tree in named.items()}, found)


def _only_tree(trees: list[_Tree], role: str, findings: Findings) -> _Tree | None:
    holding = [tree for tree in trees if tree.size(role)]
    for other in holding[1:]:
        message = f"a second folder of {role}, after {holding[0].root}: move the one that is not meant out of this copy"
        findings.error(other.root, message)
    return holding[0] if holding else None


def _frames(images: _Tree, landmarks: _Tree | None, findings: Findings) -> dict[Place, list[FrameRef]]:
    frames = {}
    for place, folder in sorted(images.places.items()):
        points = landmarks.files["landmarks"].get(place, {}) if landmarks else {}
        numbered = sorted(images.files["images"].get(place, {}).items())
        if numbered:
            frames[place] = [FrameRef(file, landmarks=points.get(number)) for number, file in numbered]
        else:
            findings.skip(folder, "a folder without frames; if there should be some, unpack it again")
    return frames


def _labelled(frames: dict[Place, list[FrameRef]], images: _Tree, labels: _Tree, findings: Findings) -> list[Sequence]:
    by_place = {place: files for place, files in sorted(labels.files["labels"].items()) if files}
    sequences = []
    for place, files in by_place.items():
        labelled = files[max(files)]
        if place not in frames:
            findings.problem(labelled, "a label without frames: the pictures are missing; left out, unpack them again")
            continue
        expression = _expression([file for _, file in sorted(files.items())], findings)
        if expression is None or is_too_short(images.places[place], len(frames[place]), findings):
            continue
        last = max(images.files["images"][place])
        if max(files) > last:
            missing = f"the label names frame {max(files):08d}, but {last:08d} is the last one here"
            findings.problem(labelled, f"peak frames missing: {missing}; unpack the sequence again")
        sequences.append(first_and_last_three(place[0], "_".join(place), expression, frames[place]))
    if unlabelled := len(frames.keys() - by_place.keys()):
        findings.note(labels.root, f"sequences without an emotion label, which take no part: {unlabelled}")
    return sequences


def _expression(files: list[Path], findings: Findings) -> str | None:
    values = []
    for file in files:
        try:
            with file.open("rb") as content:
                text = content.read(1000).decode("utf-8-sig", "replace").strip().strip("\0")
            if (value := float(text)) not in range(8):
                raise ValueError
        except (OSError, ValueError) as error:
            found = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else f"found {text[:40]!r}"
            findings.problem(file, f"one number from 0 to 7 expected ({found}); sequence left out, unpack it again")
            return None
        values.append(int(value))
    if len(set(values)) > 1:
        findings.problem(files[0], "label files of one sequence that disagree; left out, keep the distributed one")
        return None
    if values[0] == 0:
        findings.skip(files[0], "label 0 (neutral) is not an expression; sequence left out")
    return LABELS.get(values[0])


def with_landmarks_for_all_or_none(database: Database) -> Database:
    """Keep the landmark files only if every frame taken has a usable one, so that all crops are made the same way.

    Otherwise no frame keeps its landmarks, the crop stage finds all faces by detection, and findings say so.
    """
    findings = Findings(database.findings)
    taken = [frame for sequence in database.sequences for frame in sequence.taken]
    usable = [frame for frame in taken if frame.landmarks and _are_usable(frame.landmarks, frame.path, findings)]
    if len(usable) < len(taken):
        lacking = f"{len(taken) - len(usable)} of the {len(taken)}" if usable else "the"
        findings.problem(
            database.folders.get("landmarks", database.root),
            f"{lacking} frames taken have no usable landmarks, so no landmark file is used: all faces are found by "
            "detection, never a mixture; to use them, unpack them again",
        )
        for frame in taken if usable else []:
            if frame.landmarks is None:
                findings.problem(frame.path, "no landmark file; to use the others, unpack it again")
        without = [
            sequence.with_frames(lambda frame: replace(frame, landmarks=None)) for sequence in database.sequences
        ]
        database = replace(database, sequences=tuple(without))
    return replace(database, findings=tuple(findings))


def _are_usable(landmarks: Path, picture: Path, findings: Findings) -> bool:
    try:
        size = picture_size(picture)
    except GndlError:  # then the picture is wrong, and is named where it is read
        return True
    try:
        read_eyes(landmarks, *size)
    except GndlError as error:
        findings.problem(landmarks, f"not usable: {str(error).removeprefix(f'{landmarks}: ')}; unpack it again")
        return False
    return True
