"""Recordings of MMI that were downloaded more than once: each is joined from all of its copies."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gndl.databases.clip import UnreadableClip, count_frames
from gndl.databases.mmi_sessions import Recording
from gndl.databases.reading import Findings


def joined_copies(recordings: Iterable[Recording], findings: Findings) -> list[Recording]:
    """Take every recording once.

    Of several of one name the readable, best described, longest one counts, else the first met. What describes it
    (session, emotion, action units) is taken from the first copy that has it, among those whose clip is the same byte
    for byte or cannot be read. Every other copy is named, and so is every file that is taken from one.
    """
    by_name: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        by_name[recording.name].append(recording)
    return [_joined(copies, findings) if len(copies) > 1 else copies[0] for copies in by_name.values()]


def _joined(copies: list[Recording], findings: Findings) -> Recording:
    frames = [_frames(copy) for copy in copies]

    def worth(place: int) -> tuple[bool, int, int, bool]:
        copy = copies[place]
        needed = sum(file is not None for file in (copy.session, copy.metadata))
        return frames[place] > 0, needed, frames[place], copy.action_units is not None

    used = copies[max(range(len(copies)), key=worth)]
    same = [used]
    for copy, length in zip(copies, frames, strict=True):
        if copy is used:
            continue
        if _identical(used, copy):
            findings.skip(copy.place, f"met a second time, identical to {used.place}, which counts; it may stay")
        elif length == 0:
            findings.problem(copy.place, f"this copy cannot be read; left out for {used.place}, remove it")
        else:
            findings.problem(
                copy.place,
                f"another recording of the same name as {used.place}, which counts; left out, remove the wrong one",
            )
            continue
        same.append(copy)
    joined = replace(
        used,
        session=_first(copy.session for copy in same),
        metadata=_first(copy.metadata for copy in same),
        action_units=_first(copy.action_units for copy in same),
    )
    for file in (joined.session, joined.metadata, joined.action_units):
        if file is not None and file not in (used.session, used.metadata, used.action_units):
            findings.note(file, f"taken for {used.place}, which has none beside it")
    return joined


def _frames(recording: Recording) -> int:
    """Frames of a recording; 0 where its clip cannot be read."""
    if recording.clip is None:
        return len(recording.pictures)
    try:
        return count_frames(recording.clip)
    except UnreadableClip:
        return 0


def _first(files: Iterable[Path | None]) -> Path | None:
    return next((file for file in files if file is not None), None)


def _identical(one: Recording, other: Recording) -> bool:
    if len(one.files) != len(other.files):
        return False
    try:
        return all(filecmp.cmp(a, b, shallow=False) for a, b in zip(one.files, other.files, strict=True))
    except OSError:
        return False
