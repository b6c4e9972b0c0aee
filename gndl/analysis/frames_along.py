"""Further frames of sequences, from neutral to apex: chosen by a stated rule, and cropped as all others."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gndl.crop_records import relative_to_root
from gndl.crop_sequence import crop_subject, frame_name, taken_frames
from gndl.errors import GndlError
from gndl.frames_reading import as_colour, as_grey
from gndl.paper import figure_order
from gndl.prepare import Prepared
from gndl.progress import progress
from gndl.sequences import Database, FrameRef, Sequence
from gndl.standins.truth import read_truth

SEQUENCES = 18
POSITIONS = 5

RULE = (
    "the classes in turn; of each the sequence whose subject, then whose fold, was taken least often so far, "
    "the first of these by name"
)
"""Which validation sequences are measured, in words; :func:`choose_sequences` does just this."""


@dataclass(frozen=True, eq=False)
class FramesAlong:
    """Frames of several sequences from neutral to apex, cropped.

    Parameters
    ----------
    images : uint8 array (N, S, S) or (N, S, S, 3)
    table : DataFrame
        One row per image: ``subject``, ``sequence``, ``truth``, ``position`` (0 for neutral to 1 for the apex, as asked
        for), ``relative`` (where the frame lies), ``frame`` (its name) and ``intensity`` (what was rendered, NaN where
        that is not known).
    """

    images: np.ndarray
    table: pd.DataFrame


def choose_sequences(study: Prepared, folds: Iterable[int], count: int = SEQUENCES) -> dict[int, list[Sequence]]:
    """Choose at most ``count`` validation sequences of some folds by :data:`RULE`; return them by fold."""
    fold_of = {subject: fold for fold in folds for subject in study.folds.test_subjects[fold]}
    left: dict[str, list[Sequence]] = {name: [] for name in figure_order(study.database.expressions)}
    for sequence in sorted(study.database.sequences, key=lambda one: one.sequence):
        if sequence.subject in fold_of and sequence.sequence not in study.crops.faceless:
            left[sequence.expression].append(sequence)
    taken: Counter[str | int] = Counter()
    chosen: dict[int, list[Sequence]] = {}
    while count and any(left.values()):
        for own in left.values():
            if own and count:
                following = min(own, key=lambda one: (taken[one.subject], taken[fold_of[one.subject]]))
                own.remove(following)
                taken.update((following.subject, fold_of[following.subject]))
                chosen.setdefault(fold_of[following.subject], []).append(following)
                count -= 1
    return dict(sorted(chosen.items()))


def frames_along(sequence: Sequence, positions: int) -> list[tuple[float, float, FrameRef]]:
    """Choose the frames nearest to evenly spaced moments from the neutral face to the apex, each once.

    Returns
    -------
    list of (position, relative, frame)
        The moment asked for, where the frame really lies, both from 0 to 1, and the frame. A frame that is nearest to
        two moments stands for the nearer one.
    """
    first, last = sequence.neutral, sequence.examined[-1]
    if first.is_video:
        order = [FrameRef(first.path, index) for index in _range(first.index, last.index)]
    else:
        every = sequence.frames or (first, *sequence.examined)
        order = [every[place] for place in _range(every.index(first), every.index(last))]
    nearest: dict[int, tuple[float, float]] = {}
    steps = max(len(order) - 1, 1)
    for position in np.linspace(0, 1, positions).round(6).tolist():
        place = round(position * (len(order) - 1))
        relative = place / steps
        if place not in nearest or abs(position - relative) < abs(nearest[place][0] - relative):
            nearest[place] = (position, relative)
    return [(position, relative, order[place]) for place, (position, relative) in sorted(nearest.items())]


def _range(first: int, last: int) -> range:
    """From first to last, both included; backwards where somebody has chosen a neutral frame after the apex."""
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)


def crop_along(study: Prepared, sequences: list[Sequence], positions: int) -> FramesAlong:
    """Crop the frames of :func:`frames_along` of several sequences; frames that the study takes are not cropped anew.

    A sequence in which a frame shows no face, and can borrow from none, is left out.
    """
    known = all(frame.landmarks is not None for one in study.database.sequences for frame in taken_frames(one))
    intensity = true_intensity(study.database)
    images, rows = [], []
    title = f"cropping frames from neutral to apex, {study.database.title}"
    for sequence in progress(sequences, title, unit="sequence"):
        along = frames_along(sequence, positions)
        faces = _faces(study, sequence, [frame for _, _, frame in along], by_landmarks=known)
        if faces is None:
            continue
        for position, relative, frame in along:
            images.append(as_grey(faces[frame]) if study.crops.images.ndim == 3 else as_colour(faces[frame]))
            place = (relative_to_root(frame.path, study.crops.root), frame.index)
            rows.append(
                {
                    "subject": sequence.subject,
                    "sequence": sequence.sequence,
                    "truth": sequence.expression,
                    "position": position,
                    "relative": relative,
                    "frame": frame_name(frame),
                    "intensity": intensity.get(place, np.nan),
                }
            )
    if not images:
        raise GndlError(f"{study.database.root}: no frame of {len(sequences)} validation sequences could be cropped.")
    return FramesAlong(np.stack(images), pd.DataFrame(rows))


def true_intensity(database: Database) -> dict[tuple[str, int], float]:
    """What was rendered into every frame of a stand-in, by file and frame (-1 for a picture); empty where not known."""
    if database.source != "rendered":
        return {}
    try:
        frames = read_truth(database.root).frames
    except GndlError:  # a tree from before the ground truth was kept
        return {}
    known = {}
    for file, index, value in zip(frames["file"], frames["index"], frames["intensity"], strict=True):
        known[str(file), int(index)] = float(value)
        known.setdefault((str(file), -1), float(value))
    return known


def _faces(
    study: Prepared, sequence: Sequence, frames: list[FrameRef], *, by_landmarks: bool
) -> dict[FrameRef, np.ndarray] | None:
    """The crops of some frames of one sequence; None where a frame has none."""
    taken = taken_frames(sequence)
    faces = {frame: np.asarray(study.crops.images[study.crops.key(frame)]) for frame in taken}
    rows = study.crops.table[study.crops.table["sequence"] == sequence.sequence]
    if (rows["turned"] == 0).all() and (rows["half"] == "").all():
        sequence = dataclasses.replace(sequence, view="frontal", may_lie_on_its_side=False)
        shown = [frame for frame in frames if frame not in faces]
    else:
        shown = frames  # the view is voted on again, and the frames taken vote as they did
    if shown:
        crops, _ = crop_subject(
            [dataclasses.replace(sequence, neutral=shown[0], examined=tuple(shown[1:]) or (shown[0],))],
            study.request.settings.crop,
            by_landmarks=by_landmarks and all(frame.landmarks is not None for frame in shown),
            may_borrow=study.database.name != "manifest",
        )
        faces = {crop.frame: crop.image for crop in crops} | faces
    return faces if all(frame in faces for frame in frames) else None
