"""What the readers share: options, findings, the rule of the frames taken, and the walk through unpacked folders."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, partialmethod
from pathlib import Path

from gndl.files import GndlError, counted, hash_file
from gndl.paper import DATABASE_TITLES, EXPRESSIONS
from gndl.sequences import STAND_IN_LABEL, Database, Finding, FrameRef, Kind, Sequence, spelled_twice

LAST = 3
"""The examined frames of a sequence: its last three (section 4.1)."""

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".gif"})
CLIPS = frozenset({".avi", ".mpg", ".mpeg", ".mp4", ".m4v", ".mov", ".mkv", ".wmv"})
EXPECTED = {
    "ckplus": "cohn-kanade-images/S005/001/S005_001_00000011.png and so on, with Emotion/S005/001/… next to it",
    "oulu_casia": "OriginalImg/VL/Strong/P001/Anger/000.jpeg and so on",
    "mmi": "Sessions/1/session.xml with a clip such as S001-001.avi, and so on",
    "manifest": "a file manifest.csv with the columns subject,sequence,expression,neutral,examined",
}
_CLASSES = re.compile(r"ang(er|ry)|contempt|disgust(ed)?|fear(ful)?|happ(y|iness)|sad(ness)?|surprised?|neutral", re.I)
_ARCHIVE = re.compile(r"\.(zip|7z|rar|tgz|tar(\.gz|\.bz2|\.xz)?)$", re.I)
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"})


class Findings(list[Finding]):
    """A growing list of findings, with a method for each kind of `gndl.sequences.Finding`."""

    def _add(self, kind: Kind, path: Path, message: str) -> None:
        self.append(Finding(kind, path, message))

    error = partialmethod(_add, "error")
    problem = partialmethod(_add, "problem")
    skip = partialmethod(_add, "skip")
    note = partialmethod(_add, "note")


# Sequences and databases


def first_and_last_three(subject: str, sequence: str, expression: str, frames: list[FrameRef]) -> Sequence:
    """Take the first frame as neutral and the last three as examined (section 4.1)."""
    return Sequence(
        subject=subject,
        sequence=sequence,
        expression=expression,
        neutral=frames[0],
        examined=tuple(frames[-LAST:]),
        frames=tuple(frames),
        frames_chosen_by="first and last three",
    )


def is_too_short(place: Path, count: int, findings: Findings) -> bool:
    """Whether a sequence has too few frames to be taken; a finding says so."""
    if count > LAST:
        return False
    needed = f"a neutral and {LAST} examined ones are needed"
    findings.skip(place, f"too short: {counted(count, 'frame')}, but {needed}; left out, unpack it again")
    return True


def licensed(
    name: str,
    root: Path,
    sequences: list[Sequence],
    findings: Findings,
    folders: dict[str, Path],
    found: dict[str, int],
) -> Database:
    """One of the three databases, with the paper's classes; rendered where a stand-in's label lies above it."""
    frames = {frame.path for sequence in sequences for frame in sequence.taken}
    return Database(
        name=name,
        root=root,
        source="rendered" if rendered_among((root, *folders.values(), *frames)) else "licensed",
        expressions=EXPRESSIONS[name],
        sequences=tuple(sequences),
        findings=tuple(findings),
        folders=folders,
        found=found,
    )


def require_one_spelling(place: Path, what: str, names: Iterable[str], findings: Findings) -> None:
    """An error where two names stand for one person or class (`gndl.sequences.normal_form`)."""
    if same := spelled_twice(names):
        findings.error(place, f"{what} that look like one in two spellings: {same}; write them alike")


def rendered_among(paths: Iterable[Path]) -> list[Path]:
    """The paths that lie in a stand-in's tree, as given or where links lead to."""
    labelled = cache(lambda folder: (folder / STAND_IN_LABEL).is_file())
    rendered = []
    for path in paths:
        given, real = path.absolute(), Path(os.path.realpath(path))
        if any(map(labelled, (given, *given.parents, real, *real.parents))):
            rendered.append(path)
    return rendered


# Folders and files


def contents(folder: Path) -> tuple[list[Path], list[Path]]:
    """Subfolders and files of a folder, each sorted by name, without what file systems and archivers leave behind."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise GndlError(f"{folder}: this folder cannot be listed ({error.strerror}); make it readable") from error
    paths = [path for path in paths if not path.name.startswith(".") and path.name.lower() not in _CLUTTER]
    folders = [path for path in paths if os.path.isdir(path)]  # noqa: PTH112  (False for a link to itself)
    # No pipe, whose reading would never end; a broken link is named where it is read.
    files = [path for path in paths if path not in folders and (path.is_symlink() or path.is_file())]
    return folders, files


def walk(root: Path, depth: int = 5) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """Every folder from ``root`` down to ``depth`` levels below, with its subfolders and files, in sorted order.

    The caller may remove entries from the list of subfolders to keep the walk out of them. A folder that symbolic links
    lead back to is entered once.
    """
    seen: set[Path] = set()

    def visit(folder: Path, level: int) -> Iterator[tuple[Path, list[Path], list[Path]]]:
        real = folder.resolve()
        if real in seen:
            return
        seen.add(real)
        folders, files = contents(folder)
        yield folder, folders, files
        for subfolder in folders if level < depth else ():
            yield from visit(subfolder, level + 1)

    yield from visit(root, 0)


def relative(path: Path, root: Path) -> str:
    """``path`` below ``root`` as text, or ``path`` itself; bytes that are not UTF-8 are made printable."""
    below = path.relative_to(root) if path != root and path.is_relative_to(root) else path
    return os.fsencode(below.as_posix()).decode("utf-8", "backslashreplace")


def archives_in(root: Path) -> list[Path]:
    """Archives in a folder or in one of its subfolders, without those that have been unpacked next to themselves."""
    if not root.is_dir():
        return [root] if _ARCHIVE.search(root.name) else []
    files = [file for _, _, files in walk(root, 1) for file in files if _ARCHIVE.search(file.name)]
    return [file for file in files if not file.with_name(_ARCHIVE.sub("", file.name)).is_dir()]


def unpack(archives: Iterable[Path]) -> str:
    """What to do with archives."""
    return f"unpack {', '.join(map(str, archives))}, each into a folder of its own name next to it"


def explain(root: Path, name: str) -> str:
    """Say what was expected of a database, what was found instead, and what to do; without the root's name."""
    needs = (
        "GNDL learns from pairs of an expressive and a neutral face of one subject, so it cannot use this: request the "
        "original database, or describe your own pairs in a manifest.csv (--database manifest)"
    )
    tree = list(walk(root, 4)) if root.is_dir() else [(root.parent, [], [root])]
    tables = [file.name for _, _, files in tree for file in files if file.name.lower() == "fer2013.csv"]
    pictures = {folder: sum(file.suffix.lower() in PICTURES for file in files) for folder, _, files in tree}
    classes = [folder for folder, count in pictures.items() if count and _CLASSES.fullmatch(folder.name)]
    if tables:
        found = f"{tables[0]}, a table of pixels without subjects or neutral faces. {needs}"
    elif len(classes) > 1:
        count, listed = sum(pictures[folder] for folder in classes), ", ".join(folder.name for folder in classes)
        kind = "which do not tell the neutral face of the same sequence (copies such as CK+48 have none)"
        if any(folder.name.lower() == "neutral" for folder in classes):
            kind = "with neutral faces, but nothing tells which of them belongs to which expressive face"
        found = f"{count} pictures in one folder per class ({listed}), {kind}. {needs}"
    elif archives := archives_in(root):
        found = f"archives: {unpack(archives)}"
    else:
        names = [*(f"{folder.name}/" for folder in tree[0][1]), *(file.name for file in tree[0][2])]
        listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        found = f"{listed or 'an empty folder'}; give the folder into which the downloads were unpacked"
    return f"this is not {DATABASE_TITLES[name]} as distributed; expected {EXPECTED[name]}; found {found}"


def same_bytes(paths: Iterable[Path]) -> list[list[Path]]:
    """The files grouped by their bytes; only files of equal size are read."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        by_size[path.stat().st_size].append(path)
    groups: dict[tuple[int, str], list[Path]] = defaultdict(list)
    for size, alike in by_size.items():
        for path in alike:
            groups[size, hash_file(path) if len(alike) > 1 else ""].append(path)
    return list(groups.values())
