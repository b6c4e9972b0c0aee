"""How the frames taken from one sequence are cut: each by its own eyes, upright, in the view that shows the face."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace

import numpy as np

from gndl.eyes import Eyes, FoundEyes, cut, find_eyes, geometry_from_eyes
from gndl.frames import as_grey, iterate_clip, read_eyes, read_frames, read_image
from gndl.profiles import CropSettings
from gndl.sequences import FrameRef, Sequence


def frame_name(frame: FrameRef) -> str:
    """The file's name; in a clip with the frame's number counted from 1, as in ``S001-001.avi#31``."""
    return f"{frame.path.name}#{frame.index + 1}" if frame.is_video else frame.path.name


def taken_frames(sequence: Sequence) -> tuple[FrameRef, ...]:
    """The frames that the study takes from a sequence, neutral first, each once."""
    return tuple(dict.fromkeys(sequence.taken))


@dataclass(frozen=True)
class View:
    """How a clip is looked at to see the frontal face: turned clockwise first, then a half of it ("" for all of it)."""

    turned: int = 0
    half: str = ""

    def of(self, picture: np.ndarray) -> np.ndarray:
        if self.turned:
            picture = np.rot90(picture, -1)
        middle = picture.shape[1] // 2
        columns = {"": slice(None), "left": slice(0, middle), "right": slice(middle, None)}[self.half]
        return np.ascontiguousarray(picture[:, columns])

    def to_stored(self, eyes: Eyes, picture: np.ndarray) -> Eyes:
        """Map eyes found in ``self.of(picture)`` to the picture as stored."""
        height, width = picture.shape[:2]
        offset = (height if self.turned else width) // 2 if self.half == "right" else 0
        points = [(x + offset, y) for x, y in (eyes.left, eyes.right)]
        return Eyes(*((y, height - 1 - x) if self.turned else (x, y) for x, y in points))


@dataclass(frozen=True)
class Located:
    """Where the eyes of a frame are, and how they were found; columns of the same names: `Crops`."""

    eyes: Eyes
    how: str
    view: View = View()
    score: float = math.nan
    faces: int = 0
    spread: float = math.nan
    apart: float = math.nan


@dataclass(frozen=True, kw_only=True)
class CroppedFrame(Located):
    """One crop, uint8 (S, S) or (S, S, 3), and how it was made."""

    frame: FrameRef
    image: np.ndarray


Seen = dict[View, dict[FrameRef, tuple[FoundEyes, tuple[int, ...]]]]  # with the height and width of each frame


def crop_sequence(
    sequence: Sequence, settings: CropSettings, by_landmarks: bool, may_borrow: bool
) -> tuple[list[CroppedFrame], list[str]]:
    """Crop the frames taken from a sequence, each once; also return the names of those without a face.

    A crop depends on its own frame alone. Only a frame in which no face is found borrows the eyes of the nearest frame
    of its sequence that has a face and the same size, where the frames are moments of one recording (``may_borrow``).
    There are no crops where a frame is left without eyes, and no names where all of them are.
    """
    pictures = read_frames(taken_frames(sequence))
    if by_landmarks:
        marked = [(f, Eyes(*read_eyes(f.landmarks, *pictures[f].shape[1::-1]))) for f in pictures if f.landmarks]
        located = {frame: Located(eyes, "landmarks") for frame, eyes in marked}
    else:
        located = _eyes_by_detector(sequence, pictures, may_borrow)
    if len(located) < len(pictures):
        return [], [frame_name(frame) for frame in pictures if frame not in located] if located else []
    return [
        CroppedFrame(**vars(one), frame=frame, image=cut(pictures[frame], geometry_from_eyes(one.eyes, settings)))
        for frame, one in located.items()
    ], []


def crop_and_compare(
    sequence: Sequence, settings: CropSettings, by_landmarks: bool, may_borrow: bool
) -> tuple[list[CroppedFrame], list[str]]:
    """As `crop_sequence`; where landmarks give the eyes, the detector is asked what it makes of each frame."""
    crops, missing = crop_sequence(sequence, settings, by_landmarks, may_borrow)
    for number, crop in enumerate(crops if by_landmarks else ()):
        found = find_eyes(as_grey(read_image(crop.frame.path)), second_attempt=False)
        if found is not None:
            ends = ((crop.eyes.left, found.eyes.left), (crop.eyes.right, found.eyes.right))
            apart = max(math.dist(*end) for end in ends) / crop.eyes.distance
            crops[number] = replace(crop, faces=found.faces, spread=found.spread, apart=apart)
    return crops, missing


def _eyes_by_detector(
    sequence: Sequence, pictures: Mapping[FrameRef, np.ndarray], may_borrow: bool
) -> dict[FrameRef, Located]:
    turns = (0, 90) if sequence.may_lie_on_its_side else (0,)
    halves = ("left", "right") if sequence.view == "dual" else ("",)
    views = [View(turned, half) for turned in turns for half in halves]
    voters = dict(pictures)
    if len(views) > 1 and sequence.neutral.is_video:  # one more frame votes on the view of the clip
        halfway = (sequence.neutral.index + sequence.examined[0].index) // 2
        voters |= read_frames([FrameRef(sequence.neutral.path, halfway)])
    seen: Seen = {}
    for view in views:
        seen |= _look(voters.items(), [view], second_attempt=False)
        if sequence.view == "frontal" and len(seen[view]) == len(voters):
            break  # every frame shows a face as it stands: turned, it cannot be more
    views = [_best_view(seen)] if any(seen.values()) else views
    for again in (pictures.items(), _other_frames(sequence, pictures) if may_borrow else ()):
        if not all(frame in seen[view] for frame in pictures for view in views):
            more = _look(again, views, second_attempt=True)
            seen = {view: seen[view] | more[view] for view in views}
    view = _best_view({view: seen[view] for view in views})
    faces = seen[view]
    order = {one: place for place, one in enumerate(sequence.frames or taken_frames(sequence))}
    time = {one: one.index if one.is_video else order.get(one, 0) for one in (*pictures, *faces)}
    located: dict[FrameRef, Located] = {}
    for frame, picture in pictures.items():
        # Only from a picture of the same size: in another one the same place is not that of a face.
        lenders = [other for other, (_, size) in faces.items() if may_borrow and size == picture.shape[:2]]
        if frame in faces:
            found, _ = faces[frame]
            eyes = view.to_stored(found.eyes, picture)
            located[frame] = Located(eyes, found.how, view, found.score, found.faces, found.spread)
        elif lenders:
            nearest = min(lenders, key=lambda other: (abs(time[other] - time[frame]), time[other]))
            eyes = view.to_stored(faces[nearest][0].eyes, picture)
            located[frame] = Located(eyes, f"nearest frame {frame_name(nearest)}", view)
    return located


def _look(pictures: Iterable[tuple[FrameRef, np.ndarray]], views: Many[View], *, second_attempt: bool) -> Seen:
    seen: Seen = {view: {} for view in views}
    for frame, picture in pictures:
        grey = as_grey(picture)
        for view in views:
            found = find_eyes(view.of(grey), second_attempt=second_attempt)
            if found is not None:
                seen[view][frame] = found, picture.shape[:2]
    return seen


def _best_view(seen: Seen) -> View:
    """The view in which most frames show a face; of equals, the one with the higher scores."""
    return max(seen, key=lambda view: (len(seen[view]), sum(found.score for found, _ in seen[view].values())))


def _other_frames(sequence: Sequence, taken: Mapping[FrameRef, np.ndarray]) -> Iterator[tuple[FrameRef, np.ndarray]]:
    if sequence.neutral.is_video:
        frames = ((FrameRef(sequence.neutral.path, i), picture) for i, picture in iterate_clip(sequence.neutral.path))
        yield from (pair for pair in frames if pair[0] not in taken)
    else:
        yield from ((frame, read_image(frame.path, frame.white)) for frame in sequence.frames if frame not in taken)
