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
from pathlib import Path

from gndl.databases.ckplus_trees import Place, Tree, find_trees, resolve
from gndl.databases.folders import archives_in, how_to_unpack
from gndl.databases.found_instead import explain
from gndl.databases.reading import FEWEST_FRAMES, Findings, ReadOptions, first_and_last_three, source_of, too_few
from gndl.paper import EXPRESSIONS
from gndl.sequences import Database, FrameRef, Sequence

NEUTRAL_LABEL = 0
LABELS = {1: "anger", 2: "contempt", 3: "disgust", 4: "fear", 5: "happiness", 6: "sadness", 7: "surprise"}
"""Numbers in the emotion files (the database's own notes)."""

_LEFT_OUT = "sequence left out"


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
    trees = find_trees(root)
    labels, landmarks, facs = (resolve(trees, role, findings) for role in ("labels", "landmarks", "facs"))
    images = resolve(trees, "images", findings, landmarks)
    named = {"images": images, "labels": labels, "landmarks": landmarks, "facs": facs}
    folders = {role: tree.root for role, tree in named.items() if tree}
    sequences: list[Sequence] = []
    found: dict[str, int] = {}
    if images is None:
        findings.error(root, explain(root, "ckplus"))
    else:
        for stray in images.strays:
            findings.skip(
                stray,
                "not a frame of its folder (named Sxxx_yyy_dddddddd.png after it); ignored, rename it if it is one",
            )
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
                findings.problem(
                    file,
                    "its name is of another subject or sequence than its folder; ignored, move it where it belongs",
                )
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


def _frames(images: Tree, landmarks: Tree | None, findings: Findings) -> dict[Place, list[FrameRef]]:
    """Frames of every sequence in the order of their numbers, each with its landmark file where there is one."""
    frames = {}
    for place, folder in sorted(images.places.items()):
        numbered = images.files["images"].get(place, {})
        points = landmarks.files["landmarks"].get(place, {}) if landmarks else {}
        if numbered:
            frames[place] = [FrameRef(numbered[number], landmarks=points.get(number)) for number in sorted(numbered)]
        elif folder.is_relative_to(images.root):
            findings.skip(folder, "a folder without frames; if there are some, unpack them again")
    return frames


def _labelled(frames: dict[Place, list[FrameRef]], images: Tree, labels: Tree, findings: Findings) -> list[Sequence]:
    sequences = []
    unlabelled = 0
    for place in sorted({*frames, *(place for place, files in labels.files["labels"].items() if files)}):
        files = labels.files["labels"].get(place, {})
        if not files:
            unlabelled += 1
            continue
        if place not in frames:
            findings.problem(
                next(iter(files.values())),
                "a label without frames: the sequence's pictures are missing; left out, unpack them again",
            )
            continue
        expression = _expression(files, findings)
        if expression is None:
            continue
        if len(frames[place]) < FEWEST_FRAMES:
            findings.skip(images.places[place], too_few(len(frames[place])))
            continue
        last = max(images.files["images"][place])
        labelled = max(files)
        if labelled > last:
            findings.problem(
                files[labelled],
                f"peak frames missing: the label names frame {labelled:08d}, but {last:08d} is the last one here; "
                "unpack the sequence again",
            )
        elif last not in files:
            findings.note(files[labelled], f"named after another frame than the last one ({last:08d})")
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
        findings.problem(
            file, f"the sequence has several label files that disagree; {_LEFT_OUT}, keep the distributed one"
        )
        return None
    for other in list(values)[1:]:
        findings.note(other, f"a second label of its sequence, which says the same as {file.name}")
    value = values[file]
    if value == NEUTRAL_LABEL:
        findings.skip(file, f"label 0 (neutral) is no expression; {_LEFT_OUT}, unpack it again if it is another")
        return None
    return LABELS[value] if value is not None else None


def _label(file: Path, findings: Findings) -> int | None:
    try:
        with file.open("rb") as content:
            text = content.read(1000).decode("utf-8-sig", "replace").strip().strip("\0")
    except OSError as error:
        findings.problem(file, f"the label cannot be read ({error.strerror}); {_LEFT_OUT}, make it readable")
        return None
    try:
        value = float(text)
    except ValueError:
        findings.problem(file, f"one number from 0 to 7 expected, found {text[:40]!r}; {_LEFT_OUT}, unpack it again")
        return None
    if not (math.isfinite(value) and value == int(value) and 0 <= value <= 7):
        findings.problem(file, f"label out of range: {text[:40]} (0 to 7 expected); {_LEFT_OUT}, unpack it again")
        return None
    return int(value)
