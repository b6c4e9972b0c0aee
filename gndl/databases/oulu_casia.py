"""Oulu-CASIA NIR&VIS (Zhao et al. 2011) as it is distributed.

::

    OriginalImg/VL/Strong/P001/Anger/000.jpeg                   whole frames, 320×240; also NI in place of VL
    PreProcess Img/VL_Acropped/Strong/P001/Anger/000.jpeg       cropped faces; also Weak and Dark in place of Strong

Taken (section 4.1): visible light, strong illumination, first frame neutral and last three examined: 1440 pairs.
The trees are recognised by their folders of camera, light and subjects, through any wrapper. Whether one holds whole
or cropped pictures is read from the names above it, or else from the size of its pictures, and then a finding says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gndl.databases.common import (
    Findings,
    contents,
    explain,
    first_and_last_three,
    is_too_short,
    licensed,
    relative,
    require_one_spelling,
    walk,
)
from gndl.files import GndlError
from gndl.frames import picture_size
from gndl.paper import EXPRESSIONS
from gndl.sequences import Database, FrameRef, ReadOptions, Sequence

ORIGINAL_SIZE = (320, 240)
"""Width and height of a whole frame in pixels."""

_CAMERA = re.compile(r"(VL|NI)(_\w*cropped)?", re.IGNORECASE)
_SUBJECT = re.compile(r"P\d{3}", re.IGNORECASE)
_FRAME = re.compile(r"(\d+)\.(jpeg|jpg|png|bmp)", re.IGNORECASE)


@dataclass(frozen=True)
class _Tree:
    root: Path
    camera: str
    light: str
    pictures: str
    size: tuple[int, int] | None


def read(root: Path, options: ReadOptions) -> Database:
    """Read a copy of Oulu-CASIA, or any of its folders down to that of the light; error findings say why not."""
    findings = Findings()
    tree = _tree_asked_for(root, _find_trees(root, findings), options, findings)
    if tree is None:
        return licensed("oulu_casia", root, [], findings, {}, {})
    if tree.size:
        size = f"{tree.size[0]}×{tree.size[1]}"
        message = f"taken as {tree.pictures} pictures by their size ({size}): no folder's name tells"
        findings.note(tree.root, message)
    sequences, found = _sequences(tree.root, findings)
    return licensed("oulu_casia", root, sequences, findings, {"images": tree.root}, found)


def _find_trees(root: Path, findings: Findings) -> list[_Tree]:
    trees, strays = [], []
    for folder, subfolders, _ in walk(root, 7):
        if any(_SUBJECT.fullmatch(subfolder.name) for subfolder in subfolders):
            subfolders[:] = [subfolder for subfolder in subfolders if not _SUBJECT.fullmatch(subfolder.name)]
            camera = _CAMERA.fullmatch(folder.parent.name)
            if camera and folder.name.lower() in ("strong", "weak", "dark"):
                pictures, size = _original_or_cropped(folder, root)
                trees.append(_Tree(folder, camera[1].upper(), folder.name.capitalize(), pictures, size))
            else:
                strays.append(folder)
    for stray in strays:
        place = "not in a folder of the light (Strong, Weak, Dark) below one of the camera (VL, NI)"
        message = f"subjects' folders, but {place}; move them, such as to OriginalImg/VL/Strong/P001"
        (findings.problem if trees else findings.error)(stray, message)
    if not trees and not strays:
        findings.error(root, explain(root, "oulu_casia"))
    return trees


def _original_or_cropped(folder: Path, root: Path) -> tuple[str, tuple[int, int] | None]:
    above = [place.name.lower() for place in folder.parents if place == folder.parent or place.is_relative_to(root)]
    for name in (*above, root.name.lower()):
        if "crop" in name or "preprocess" in name:
            return "cropped", None
        if "original" in name:
            return "original", None
    for picture in (file for _, _, files in walk(folder, 2) for file in files if _FRAME.fullmatch(file.name)):
        try:
            size = picture_size(picture)
        except GndlError:
            continue
        return ("original" if size == ORIGINAL_SIZE else "cropped"), size
    return "cropped", None


def _tree_asked_for(root: Path, trees: list[_Tree], options: ReadOptions, findings: Findings) -> _Tree | None:
    if not trees:
        return None
    wanted = (options.oulu_camera, options.oulu_light, options.oulu_pictures)
    fitting = [tree for tree in trees if (tree.camera, tree.light, tree.pictures) == wanted]
    if not fitting:
        here = "; ".join(f"{tree.pictures} {tree.camera} {tree.light} in {relative(tree.root, root)}" for tree in trees)
        missing = f"no {wanted[2]} pictures of camera {wanted[0]} in {wanted[1]} light; found {here}"
        findings.error(root, f"{missing}; to take these, use --oulu-camera, --oulu-light, --oulu-pictures")
        return None
    for second in fitting[1:]:
        message = f"a second folder of the same pictures as {fitting[0].root}"
        findings.error(second.root, f"{message}: move the one that is not meant out of this copy")
    for other in trees:
        if other not in fitting:
            findings.note(other.root, f"not asked for: {other.pictures} pictures, {other.camera}, {other.light}")
    return fitting[0]


def _sequences(root: Path, findings: Findings) -> tuple[list[Sequence], dict[str, int]]:
    sequences = []
    subjects, counts = set(), []
    folders, files = contents(root)
    names = [folder.name for folder in folders if _SUBJECT.fullmatch(folder.name)]
    require_one_spelling(root, "subjects' folders", names, findings)
    for subject in (*folders, *files):
        if subject in files or not _SUBJECT.fullmatch(subject.name):
            findings.skip(subject, "not a subject's folder (P001 and so on); ignored, rename it if it is one")
            continue
        name = subject.name.upper()
        expressions, others = contents(subject)
        for folder in (*expressions, *others):
            expression = folder.name.lower()
            if folder in others or expression not in EXPRESSIONS["oulu_casia"]:
                findings.skip(folder, "not a folder of one of the six expressions; ignored, rename it if it is one")
                continue
            frames = _frames(folder, findings)
            if not frames:
                findings.skip(folder, "a folder without pictures; if there should be some, unpack them again")
                continue
            subjects.add(name)
            counts.append(len(frames))
            if not is_too_short(folder, len(frames), findings):
                sequence = f"{name}_{expression.capitalize()}"
                sequences.append(first_and_last_three(name, sequence, expression, frames))
    return sequences, {"sequences": len(counts), "subjects": len(subjects), "frames": sum(counts)}


def _frames(folder: Path, findings: Findings) -> list[FrameRef]:
    numbered: dict[int, Path] = {}
    for file in contents(folder)[1]:
        match = _FRAME.fullmatch(file.name)
        if match is None:
            findings.skip(file, "not a frame (000.jpeg and so on); ignored, rename it if it is one")
        elif (first := numbered.setdefault(int(match[1]), file)) != file:
            findings.problem(file, f"a second frame {int(match[1]):03d}; {first.name} is used, remove the wrong one")
    return [FrameRef(numbered[number]) for number in sorted(numbered)]
