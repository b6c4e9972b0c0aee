"""Crop the frames that the study takes from one subject's sequences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gndl.align import Eyes, cut, geometry_from_eyes
from gndl.errors import GndlError
from gndl.eyes import FoundEyes, find_eyes
from gndl.frames_reading import as_colour, as_grey, iterate_clip, read_eyes, read_frames, read_image
from gndl.profiles import CropSettings
from gndl.sequences import FrameRef, Sequence


@dataclass(frozen=True)
class View:
    """How a clip has to be looked at to see the frontal face.

    Parameters
    ----------
    turned : {0, 90}
        Degrees by which the picture is turned clockwise first.
    half : {"", "left", "right"}
        The half of the (turned) picture that is searched; "" for the whole.
    """

    turned: Literal[0, 90] = 0
    half: Literal["", "left", "right"] = ""

    def of(self, picture: np.ndarray) -> np.ndarray:
        """The picture as looked at."""
        if self.turned:
            picture = np.rot90(picture, -1)
        middle = picture.shape[1] // 2
        columns = {"": slice(None), "left": slice(0, middle), "right": slice(middle, None)}[self.half]
        return np.ascontiguousarray(picture[:, columns])

    def to_stored(self, eyes: Eyes, picture: np.ndarray) -> Eyes:
        """Take eyes found in `of` (picture) to the picture as stored."""
        height, width = picture.shape[:2]
        offset = (height if self.turned else width) // 2 if self.half == "right" else 0

        def stored(point: tuple[float, float]) -> tuple[float, float]:
            x, y = point[0] + offset, point[1]
            return (y, height - 1 - x) if self.turned else (x, y)

        return Eyes(stored(eyes.left), stored(eyes.right))


@dataclass(frozen=True)
class CroppedFrame:
    """One crop and how it came about.

    Parameters
    ----------
    frame : FrameRef
    image : ndarray of uint8, shape (S, S) or (S, S, 3)
    eyes : Eyes
        Eye centres in the frame as stored.
    how : str
        ``"landmarks"``, ``"detector+predictor"`` (also ``…, second attempt …``) or ``"nearest frame FILE"``.
    view : View
    score : float
        The detector's score; NaN where it was not asked or found nothing.
    """

    frame: FrameRef
    image: np.ndarray
    eyes: Eyes
    how: str
    view: View
    score: float


def frame_name(frame: FrameRef) -> str:
    """Name a frame: its file's name, and in a clip the frame's number counted from 1, as in ``S001-001.avi#31``."""
    return f"{frame.path.name}#{frame.index + 1}" if frame.is_video else frame.path.name


def taken_frames(sequence: Sequence) -> tuple[FrameRef, ...]:
    """The frames that the study takes from a sequence, neutral first, each once."""
    return tuple(dict.fromkeys((sequence.neutral, *sequence.examined)))


def crop_subject(
    sequences: Many[Sequence], settings: CropSettings, by_landmarks: bool, may_borrow: bool
) -> tuple[list[CroppedFrame], dict[str, list[str]]]:
    """Crop the frames of one subject's sequences, each distinct frame once.

    A crop depends on its own frame alone. Only a frame in which no face is found borrows the eyes' places from the
    nearest frame of its sequence that has a face and the same size; the first such sequence in order counts.

    Parameters
    ----------
    sequences : sequence of Sequence
    settings : CropSettings
    by_landmarks : bool
        Whether every frame brings its landmark file; otherwise detector and predictor find the eyes.
    may_borrow : bool
        Whether the frames of a sequence are moments of one filming; of unrelated photographs none borrows.

    Returns
    -------
    crops : list of CroppedFrame
        None of a sequence in ``faceless``.
    faceless : dict of str to list of str
        The sequences that cannot be cropped: with an empty list where no frame shows a face, else with the names of
        the frames that show none and find none to borrow from.

    Raises
    ------
    GndlError
        Where a file cannot be read, or landmarks give no two eyes inside the picture.
    """
    crops: dict[FrameRef, CroppedFrame] = {}
    faceless: dict[str, list[str]] = {}
    for sequence in sequences:
        pictures = read_frames(taken_frames(sequence))
        if by_landmarks:
            located = {frame: _eyes_by_landmarks(frame, pictures[frame]) for frame in pictures}
        else:
            located = _eyes_by_detector(sequence, pictures, may_borrow)
        if len(located) < len(pictures):
            faceless[sequence.sequence] = [frame_name(f) for f in pictures if f not in located] if located else []
            continue
        for frame, (eyes, how, view, score) in located.items():
            if frame not in crops:
                image = cut(pictures[frame], geometry_from_eyes(eyes, settings))
                crops[frame] = CroppedFrame(frame, image, eyes, how, view, score)
    return list(crops.values()), faceless


Located = dict[FrameRef, tuple[Eyes, str, View, float]]
Seen = dict[View, dict[FrameRef, "SeenFace"]]


@dataclass(frozen=True)
class SeenFace:
    """The eyes found in a frame, and the frame's height and width in pixels."""

    found: FoundEyes
    size: tuple[int, ...]


def _eyes_by_landmarks(frame: FrameRef, picture: np.ndarray) -> tuple[Eyes, str, View, float]:
    if frame.landmarks is None:
        raise GndlError(f"{frame.path}: has no landmark file")
    height, width = picture.shape[:2]
    eyes = read_eyes(frame.landmarks, width, height)
    return eyes, "landmarks", View(), float("nan")


def _eyes_by_detector(sequence: Sequence, pictures: dict[FrameRef, np.ndarray], may_borrow: bool) -> Located:
    """Find the eyes in the frames taken, or borrow them from the nearest frame; frames without either are left out."""
    views = _possible_views(sequence)
    voters = pictures | _one_more_vote(sequence, views)
    seen: Seen = {}
    for view in views:
        seen |= _look(voters.items(), (view,), second_attempt=False)
        if sequence.view == "frontal" and len(seen[view]) == len(voters):
            break  # a face in every frame as it stands: turned, there cannot be more
    if any(seen.values()):
        views = (_best_view(seen),)
    for frames in (lambda: iter(pictures.items()), lambda: _other_frames(sequence, pictures) if may_borrow else ()):
        if not all(frame in seen[view] for frame in pictures for view in views):
            more = _look(frames(), views, second_attempt=True)
            seen = {view: seen[view] | more[view] for view in views}
    view = _best_view({view: seen[view] for view in views})
    faces = seen[view]
    located: Located = {}
    for frame, picture in pictures.items():
        if frame in faces:
            found = faces[frame].found
            located[frame] = (view.to_stored(found.eyes, picture), found.how, view, found.score)
            continue
        # In a picture of another size the same place is no place of a face.
        lenders = [other for other, face in faces.items() if may_borrow and face.size == picture.shape[:2]]
        if lenders:
            nearest = _nearest(sequence, frame, lenders)
            eyes = view.to_stored(faces[nearest].found.eyes, picture)
            located[frame] = (eyes, f"nearest frame {frame_name(nearest)}", view, float("nan"))
    return located


def _one_more_vote(sequence: Sequence, views: Many[View]) -> dict[FrameRef, np.ndarray]:
    """The frame halfway to the first examined one, which votes on the view of a clip that has several."""
    if len(views) == 1 or not sequence.neutral.is_video:
        return {}
    halfway = (sequence.neutral.index + sequence.examined[0].index) // 2
    return read_frames([FrameRef(sequence.neutral.path, halfway)])


def _possible_views(sequence: Sequence) -> tuple[View, ...]:
    turns: tuple[Literal[0, 90], ...] = (0, 90) if sequence.may_lie_on_its_side else (0,)
    halves: tuple[Literal["", "left", "right"], ...] = ("left", "right") if sequence.view == "dual" else ("",)
    return tuple(View(turned, half) for turned in turns for half in halves)


def _look(pictures: Iterable[tuple[FrameRef, np.ndarray]], views: Many[View], *, second_attempt: bool) -> Seen:
    """Look for eyes in every picture in every view."""
    seen: Seen = {view: {} for view in views}
    for frame, picture in pictures:
        grey = as_grey(picture)
        for view in views:
            found = find_eyes(view.of(grey), second_attempt=second_attempt)
            if found is not None:
                seen[view][frame] = SeenFace(found, picture.shape[:2])
    return seen


def _best_view(seen: Seen) -> View:
    """The view in which most frames show a face; where two have equally many, the one with the higher scores."""
    return max(seen, key=lambda view: (len(seen[view]), sum(face.found.score for face in seen[view].values())))


def _other_frames(sequence: Sequence, taken: dict[FrameRef, np.ndarray]) -> Iterator[tuple[FrameRef, np.ndarray]]:
    if sequence.neutral.is_video:
        for index, picture in iterate_clip(sequence.neutral.path):
            frame = FrameRef(sequence.neutral.path, index)
            if frame not in taken:
                yield frame, picture
    else:
        for frame in sequence.frames:
            if frame not in taken:
                yield frame, read_image(frame.path)


def _nearest(sequence: Sequence, frame: FrameRef, lenders: Many[FrameRef]) -> FrameRef:
    """The one of ``lenders`` that is nearest in time; the earlier of two."""
    order = sequence.frames or taken_frames(sequence)
    places = {other: other.index if other.is_video else place for place, other in enumerate(order)}

    def distance(other: FrameRef) -> tuple[int, int]:
        place = other.index if other.is_video else places.get(other, 0)
        return abs(place - (frame.index if frame.is_video else places.get(frame, 0))), place

    return min(lenders, key=distance)


def stack_images(images: list[np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Bring all crops of a database to grey where more than half of them are grey, else all to colour.

    Returns
    -------
    stack : ndarray of uint8, shape (N, S, S) or (N, S, S, 3)
    note : list of str
        What was done, where the crops were not all of one kind.
    """
    grey = sum(image.ndim == 2 for image in images)
    to_grey = grey > len(images) / 2
    note = []
    if 0 < grey < len(images):
        verdict = "all are taken as grey" if to_grey else "the grey ones are repeated in three channels"
        note.append(f"{grey} of {len(images)} frames are grey and the others in colour: {verdict}.")
    return np.stack([as_grey(image) if to_grey else as_colour(image) for image in images]), note
