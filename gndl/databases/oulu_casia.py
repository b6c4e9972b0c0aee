"""Oulu-CASIA NIR&VIS (Zhao et al. 2011) as it is distributed.

::

    OriginalImg/VL/Strong/P001/Anger/000.jpeg                   whole frames, 320×240; NI beside VL
    PreProcess Img/VL_Acropped/Strong/P001/Anger/000.jpeg       faces cut out; Weak and Dark beside Strong

Taken (section 4.1): visible light, strong illumination, first frame neutral and last three examined: 1440 pairs.
Found through any wrapper: the tree is told by its folders of camera, light and subjects. Whether it holds whole or
cropped pictures is read from the names above it, or else from the size of its pictures, and then a finding says so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from gndl.databases.folders import PICTURE_SUFFIXES, contents, how_to_unpack, not_unpacked, relative, walk
from gndl.databases.found_instead import explain
from gndl.databases.reading import FEWEST_FRAMES, Findings, ReadOptions, first_and_last_three, source_of, too_few
from gndl.opening import UnreadablePicture, opened_picture
from gndl.paper import EXPRESSIONS
from gndl.sequences import Database, FrameRef, Sequence

ORIGINAL_SIZE = (320, 240)
"""Width and height of a whole frame in pixels."""

_ASK_OTHERWISE = "; unpack these, or ask for others (--oulu-camera, --oulu-light, --oulu-pictures)"

_CAMERA = re.compile(r"(VL|NI)(_\w*cropped)?", re.IGNORECASE)
_LIGHTS = ("strong", "weak", "dark")
_SUBJECT = re.compile(r"P\d{3}", re.IGNORECASE)
_FRAME = re.compile(r"(\d+)\.(jpeg|jpg|png|bmp)", re.IGNORECASE)


@dataclass(frozen=True)
class _Tree:
    """One folder of subjects."""

    root: Path
    camera: str
    light: str
    pictures: str
    """``"original"`` or ``"cropped"``."""
    size: tuple[int, int] | None
    """Width and height of its first picture, where the size had to tell which it is."""


def _trees(root: Path) -> list[_Tree]:
    trees = []
    for folder, subfolders, _ in walk(root, 7):
        if any(_SUBJECT.fullmatch(subfolder.name) for subfolder in subfolders):
            subfolders[:] = [subfolder for subfolder in subfolders if not _SUBJECT.fullmatch(subfolder.name)]
            camera = _CAMERA.fullmatch(folder.parent.name)
            if camera and folder.name.lower() in _LIGHTS:
                pictures, size = _original_or_cropped(folder, root)
                trees.append(_Tree(folder, camera[1].upper(), folder.name.capitalize(), pictures, size))
    return trees


def _original_or_cropped(folder: Path, root: Path) -> tuple[str, tuple[int, int] | None]:
    """Tell whole frames from cropped faces by the folders' names, or else by the size of the first picture."""
    above = [folder.parent.name, *(place.name for place in folder.parents[1:] if place.is_relative_to(root))]
    above.append(root.name)
    for name in map(str.lower, above):
        if "crop" in name or "preprocess" in name:
            return "cropped", None
        if "original" in name:
            return "original", None
    size = _first_size(folder)
    return ("original" if size == ORIGINAL_SIZE else "cropped"), size


def _first_size(folder: Path) -> tuple[int, int] | None:
    for _, _, files in walk(folder, 2):
        for file in files:
            if _FRAME.fullmatch(file.name):
                try:
                    with opened_picture(file) as image:
                        return image.size
                except (OSError, UnreadablePicture):
                    continue
    return None


def read(root: Path, options: ReadOptions) -> Database:
    """Read a copy of Oulu-CASIA.

    Parameters
    ----------
    root : Path
        The folder that holds the unpacked downloads, or any folder down to the one of the light.
    options : ReadOptions
        Camera, light, and whole or cropped pictures.

    Returns
    -------
    Database
        With a finding of kind ``"error"`` where the study could not run.
    """
    findings = Findings()
    trees = _trees(root)
    tree = _resolve(root, trees, options, findings)
    folders = {"images": tree.root} if tree else {}
    sequences: list[Sequence] = []
    found: dict[str, int] = {}
    if tree:
        if tree.size:
            found |= {"picture_width": tree.size[0], "picture_height": tree.size[1]}
            findings.note(
                tree.root,
                f"taken as {tree.pictures} pictures by their size ({tree.size[0]}×{tree.size[1]}), "
                "since no folder's name tells",
            )
        sequences, counted = _sequences(tree.root, findings)
        found |= counted
    return Database(
        name="oulu_casia",
        root=root,
        source=source_of(root, folders, sequences, "licensed"),
        expressions=EXPRESSIONS["oulu_casia"],
        sequences=tuple(sequences),
        findings=tuple(findings.items),
        folders=folders,
        found=found,
    )


def _resolve(root: Path, trees: list[_Tree], options: ReadOptions, findings: Findings) -> _Tree | None:
    """The tree that the options ask for; an error finding that names those that are here where it is not."""
    wanted = (options.oulu_camera, options.oulu_light, options.oulu_pictures)
    fitting = [tree for tree in trees if (tree.camera, tree.light, tree.pictures) == wanted]
    others = [tree for tree in trees if tree not in fitting]
    if fitting:
        for second in fitting[1:]:
            findings.problem(
                second.root, f"a second folder of the same pictures; {fitting[0].root} is used, move away the wrong one"
            )
        for other in others:
            findings.note(other.root, f"not asked for: {other.pictures} pictures, {other.camera}, {other.light}")
        return fitting[0]
    if trees:
        here = "; ".join(f"{tree.pictures} {tree.camera} {tree.light} in {relative(tree.root, root)}" for tree in trees)
        packed = not_unpacked(root)
        findings.error(
            root,
            f"no {wanted[2]} pictures of camera {wanted[0]} in {wanted[1]} light; found {here}"
            + (f"; unpack what is still packed:\n{how_to_unpack(packed)}" if packed else _ASK_OTHERWISE),
        )
    else:
        findings.error(root, explain(root, "oulu_casia"))
    return None


def _sequences(root: Path, findings: Findings) -> tuple[list[Sequence], dict[str, int]]:
    sequences, subjects, frames_in_all, sequences_in_all = [], set(), 0, 0
    folders, beside = contents(root)
    named = ", ".join(EXPRESSIONS["oulu_casia"])
    for file in beside:
        findings.skip(file, "a file among the subjects' folders; ignored, it may stay")
    for subject in folders:
        if not _SUBJECT.fullmatch(subject.name):
            findings.skip(subject, "not a subject's folder (P001 and so on); ignored, rename it if it is one")
            continue
        expressions, beside = contents(subject)
        for file in beside:
            findings.skip(file, "a file among the expressions' folders; ignored, it may stay")
        for folder in expressions:
            expression = folder.name.lower()
            if expression not in EXPRESSIONS["oulu_casia"]:
                findings.skip(folder, f"no folder of one of {named}; ignored, rename it if it is one")
                continue
            frames = _frames(folder, findings)
            if not frames:
                findings.skip(folder, "a folder without pictures; if there are some, unpack them again")
                continue
            subjects.add(subject.name)
            sequences_in_all += 1
            frames_in_all += len(frames)
            if len(frames) < FEWEST_FRAMES:
                findings.skip(folder, too_few(len(frames)))
                continue
            neutral, examined = first_and_last_three(frames)
            sequences.append(
                Sequence(
                    subject=subject.name.upper(),
                    sequence=f"{subject.name.upper()}_{expression.capitalize()}",
                    expression=expression,
                    neutral=neutral,
                    examined=examined,
                    frames=tuple(frames),
                    frames_chosen_by="first and last three",
                )
            )
    return sequences, {"sequences": sequences_in_all, "subjects": len(subjects), "frames": frames_in_all}


def _frames(folder: Path, findings: Findings) -> list[FrameRef]:
    """Frames of one sequence in the order of their numbers."""
    numbered: dict[int, list[Path]] = defaultdict(list)
    below, files = contents(folder)
    for file in files:
        match = _FRAME.fullmatch(file.name)
        if match:
            numbered[int(match[1])].append(file)
        else:
            what = "a picture" if file.suffix.lower() in PICTURE_SUFFIXES else "a file"
            findings.skip(file, f"{what} that is no frame (000.jpeg and so on); ignored, rename it if it is one")
    for subfolder in below:
        findings.skip(subfolder, "a folder inside a sequence; ignored, move its pictures up if they are frames")
    for number, same in numbered.items():
        for second in same[1:]:
            findings.problem(
                second, f"a second frame {number:03d} of its sequence; {same[0].name} is used, remove the wrong one"
            )
    return [FrameRef(numbered[number][0]) for number in sorted(numbered)]
