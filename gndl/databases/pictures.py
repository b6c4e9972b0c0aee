"""Whether the pictures and clips that a study takes can be opened, and whether two sequences show the same bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from gndl.databases.clip import UnreadableClip, decode_all
from gndl.databases.folders import relative
from gndl.databases.reading import Findings
from gndl.files import hash_file
from gndl.opening import UnreadablePicture, format_named, opened_picture
from gndl.progress import progress
from gndl.sequences import Database

USUAL_SIZES = {
    "ckplus": ((640, 490), (640, 480), (720, 480)),
    "oulu_casia": ((320, 240),),
}
"""Widths and heights in pixels that are known of whole frames."""

SMALLEST_SIDE = 64
"""A picture with a shorter side is a cut-out face too small for crops of 224 pixels to mean anything."""

SMALLEST_FACE = 16
"""A picture with a shorter side can show no face at all."""

_ONE_ALONE = "replace the wrong one, or leave one of them out"

Size = tuple[int, int]


def check_pictures(database: Database, findings: Findings) -> None:
    """Open every picture and decode every clip that the study takes frames from.

    An unreadable one is an error, since its crop cannot be made; a size unlike all others a problem; the same bytes in
    two places a problem, since a subject's face would then be counted twice.
    """
    pictures, clips = _taken(database)
    sizes: dict[Path, Size] = {}
    for path in progress(pictures, "opening pictures", unit="picture"):
        try:
            sizes[path] = open_whole(path)
        except ValueError as error:
            findings.error(path, f"{error}; unpack it again, or take other frames by a frames.csv")
            continue
        _check_one(path, sizes[path], findings)
    _check_sizes(database, sizes, findings)
    for path, last in progress(clips.items(), "decoding clips", unit="clip"):
        _check_clip(path, last, findings)
    for first, *others in same_bytes(path for path in (*sizes, *clips) if path.is_file()):
        for other in others:
            findings.problem(other, f"the same bytes as {relative(first, database.root)}; {_ONE_ALONE}")


def open_whole(path: Path) -> Size:
    """Decode a picture to its last byte and return its width and height.

    Raises
    ------
    ValueError
        With the reason why it cannot be decoded.
    """
    try:
        with opened_picture(path) as image:
            image.load()
            return image.size
    except (OSError, UnreadablePicture) as error:
        raise ValueError(f"not a readable picture: {error}") from error


def _check_one(path: Path, size: Size, findings: Findings) -> None:
    """Name a picture in which no face can be, and one that is of another format than its name says."""
    if min(size) < SMALLEST_FACE:
        findings.error(
            path, f"{size[0]}×{size[1]} pixels can show no face; replace it, or take other frames by a frames.csv"
        )
    promised = format_named(path)
    with opened_picture(path) as image:
        if promised and image.format != promised:
            findings.problem(
                path, f"it is a {image.format} picture whatever its name says, and is read as that; it may stay"
            )


def _taken(database: Database) -> tuple[list[Path], dict[Path, int]]:
    """The pictures that are taken, and the clips with the last frame taken of each."""
    pictures: set[Path] = set()
    clips: dict[Path, int] = {}
    for sequence in database.sequences:
        for frame in (sequence.neutral, *sequence.examined):
            if frame.is_video:
                clips[frame.path] = max(clips.get(frame.path, 0), frame.index)
            else:
                pictures.add(frame.path)
    return sorted(pictures), clips


def _check_clip(path: Path, last: int, findings: Findings) -> None:
    try:
        count, sizes = decode_all(path)
    except UnreadableClip as error:
        if error.decoded > last:
            findings.problem(path, f"{error}; the frames taken lie before it, so it may stay")
            return
        findings.error(path, f"{error}; download it again, or leave its sequence out by a frames.csv")
        return
    if last >= count:
        findings.error(
            path, f"frame {last + 1} is taken, but only {count} decode; the clip is cut short, download it again"
        )
    if len(sizes) > 1:
        listed = ", ".join(f"{width}×{height}" for width, height in sorted(sizes))
        findings.problem(path, f"its frames are of different sizes: {listed}; download it again")


def _check_sizes(database: Database, sizes: dict[Path, Size], findings: Findings) -> None:
    if not sizes or database.name == "manifest":
        return
    counts = Counter(sizes.values())
    usual = {size for size in USUAL_SIZES.get(database.name, ()) if size in counts}
    if not usual:
        usual = {counts.most_common(1)[0][0]}
        width, height = min(usual)
        if database.name in USUAL_SIZES:
            known = " or ".join(f"{w}×{h}" for w, h in USUAL_SIZES[database.name])
            findings.note(database.root, f"pictures are {width}×{height}; whole frames of a licensed copy are {known}")
        if min(width, height) < SMALLEST_SIDE:
            findings.problem(
                database.root,
                f"pictures of {width}×{height} are cut-out faces too small to be cropped; take whole frames instead",
            )
    expected = " or ".join(f"{width}×{height}" for width, height in sorted(usual))
    for path, (width, height) in sizes.items():
        if (width, height) not in usual:
            findings.problem(path, f"{width}×{height} pixels, where the others have {expected}; unpack it again")


def same_bytes(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of two or more files that hold the same bytes; only files of equal size are read."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        by_size[path.stat().st_size].append(path)
    by_hash: dict[str, list[Path]] = defaultdict(list)
    for group in by_size.values():
        if len(group) > 1:
            for path in group:
                by_hash[hash_file(path)].append(path)
    return [group for group in by_hash.values() if len(group) > 1]
