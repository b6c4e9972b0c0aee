"""Whether the landmark files of CK+ can be used: for every frame taken, or for none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gndl.databases.folders import archives_in, how_to_unpack
from gndl.databases.reading import Findings
from gndl.errors import GndlError
from gndl.frames_reading import picture_size, read_eyes, read_landmarks
from gndl.sequences import Database


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
            _check(frame.landmarks, frame.path)
            usable += 1
        except GndlError as error:
            reason = str(error).removeprefix(f"{frame.landmarks}: ")
            findings.problem(frame.landmarks, f"not usable: {reason}; to use the others, unpack it again")
    if not taken or usable == len(taken):
        return replace(database, findings=tuple(findings.items))
    missing = [frame.path for frame in taken if frame.landmarks is None]
    place = database.folders.get("landmarks", database.root)
    lack = f"{len(taken) - usable} of the {len(taken)} frames taken" if usable else "the frames taken"
    packed = [file for file in archives_in(database.root) if "landmark" in file.name.lower()]
    findings.problem(
        place,
        f"{lack} have no usable landmarks, so no landmark file is used: all faces are found by detection, "
        "never a mixture; to use them, unpack" + (f":\n{how_to_unpack(packed)}" if packed else " them again"),
    )
    if usable:
        for path in missing:
            findings.problem(path, "no landmark file; to use the others, unpack it again")
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


def _check(landmarks: Path, picture: Path) -> None:
    """Raise GndlError where the file gives no two eyes in its picture; the crop stage makes the same check."""
    try:
        size = picture_size(picture)
    except GndlError:  # The picture is what is wrong then, and is named where it is read.
        read_landmarks(landmarks)
        return
    read_eyes(landmarks, *size)
