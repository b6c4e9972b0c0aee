"""When the expression of a clip is at its apex, from the action units that were coded by hand (MMI)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gndl.databases.reading import EXAMINED_FRAMES

ONSET, APEX, OFFSET = 1, 2, 3
"""Marker types; 0 is neutral and may stand at both ends."""

Marker = tuple[int, int]
"""Type and frame; frames count from 1, as in MMI's own files."""


@dataclass(frozen=True)
class Choice:
    """The examined frames of a clip, counted from 0, and how they were chosen, in words."""

    frames: tuple[int, ...]
    chosen_by: str


def apex_intervals(markers: Iterable[Marker]) -> list[tuple[int, int]] | None:
    """Intervals in which one action unit is at its apex: from a marker of type 2 up to the next one of type 3.

    Parameters
    ----------
    markers : iterable of (type, frame)
        In any order; frames from 1.

    Returns
    -------
    list of (first, last) or None
        Both ends included; the offset's own frame is not part of the apex. None for an action unit with incomplete
        markers: one that lacks an onset, an apex or an offset, or has an apex that no offset follows.
    """
    ordered = sorted(markers, key=lambda marker: (marker[1], marker[0]))
    if not {ONSET, APEX, OFFSET} <= {kind for kind, _ in ordered}:
        return None
    intervals = []
    begun: int | None = None
    for kind, frame in ordered:
        if kind == APEX and begun is None:
            begun = frame
        elif kind == OFFSET and begun is not None:
            if frame > begun:
                intervals.append((begun, frame - 1))
            begun = None
    return intervals if intervals and begun is None else None


def most_at_apex(units: Iterable[list[tuple[int, int]]], length: int) -> tuple[int, int] | None:
    """The longest run of frames in which most action units are at their apex; the earliest of equally long ones.

    Parameters
    ----------
    units : iterable of list of (first, last)
        Apex intervals of each complete action unit, frames from 1.
    length : int
        Frames of the clip; what lies beyond is not counted.

    Returns
    -------
    (first, last) or None
        Frames from 1, both included; None where no unit is at its apex within the clip.
    """
    active = [0] * (length + 2)
    for intervals in units:
        for frame in {frame for first, last in intervals for frame in range(max(first, 1), min(last, length) + 1)}:
            active[frame] += 1
    most = max(active)
    if most == 0:
        return None
    best, begun = (0, -1), None
    for frame in range(1, length + 2):
        if active[frame] == most:
            begun = frame if begun is None else begun
        elif begun is not None:
            if frame - 1 - begun > best[1] - best[0]:
                best = (begun, frame - 1)
            begun = None
    return best


def spread(first: int, last: int) -> tuple[int, ...]:
    """Three frames spread over an interval of at least three: the middle one of each third.

    >>> spread(30, 38)
    (31, 34, 37)
    """
    length = last - first + 1
    return tuple(first + (2 * part + 1) * length // (2 * EXAMINED_FRAMES) for part in range(EXAMINED_FRAMES))


def choose_examined(units: dict[str, list[Marker]] | None, length: int) -> Choice:
    """Choose three examined frames of a clip that runs neutral, onset, apex, offset, neutral.

    The apex are the frames where most action units lie between their markers of type 2 and type 3; the three frames
    are spread over it (the middle of each third). A shorter apex than three frames is widened evenly. Without
    any complete action unit they are the three frames around the middle of the clip. Frame 0, the neutral face, is
    never among them.

    Parameters
    ----------
    units : dict of str to list of (type, frame), or None
        Markers by action unit; None for a clip that is not AU-coded.
    length : int
        Frames of the clip, at least 4.
    """
    complete = [intervals for markers in (units or {}).values() if (intervals := apex_intervals(markers))]
    apex = most_at_apex(complete, length)
    if apex is None:
        reason = "not AU-coded" if units is None else "no action unit with onset, apex and offset in the clip"
        middle = max(length // 2, 2)
        return Choice((middle - 1, middle, middle + 1), f"first, and middle of the clip ({reason})")
    first, last = max(apex[0] - 1, 1), apex[1] - 1
    short = EXAMINED_FRAMES - (last - first + 1)
    if short > 0:
        first = min(max(first - short // 2, 1), length - EXAMINED_FRAMES)
        last = first + EXAMINED_FRAMES - 1
    units_text = "1 action unit" if len(complete) == 1 else f"{len(complete)} action units"
    return Choice(spread(first, last), f"first, and AU apex (frames {apex[0]}–{apex[1]}, {units_text} complete)")
