"""Which faces are shown, chosen by a stated rule and never by hand, with the table of what is shown behind each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from gndl.crop_sequence import crop_subject, frame_name
from gndl.paper import figure_order
from gndl.prepare import Prepared
from gndl.sequences import FrameRef, Sequence


@dataclass(frozen=True)
class Gallery:
    """A table of faces for `gndl.figures.face_grid`, and the data frame behind it."""

    faces: list[list[np.ndarray | None]]
    row_labels: list[str]
    column_labels: list[str]
    table: pd.DataFrame


def _subjects_with_most_classes(sequences: tuple[Sequence, ...], count: int) -> list[str]:
    """The ``count`` subjects who show most classes; of equals, spread evenly over the sorted names."""
    classes: dict[str, set[str]] = {}
    for sequence in sequences:
        classes.setdefault(sequence.subject, set()).add(sequence.expression)
    most = sorted(classes, key=lambda subject: (-len(classes[subject]), subject))
    best = [subject for subject in most if len(classes[subject]) == len(classes[most[0]])]
    pool = best if len(best) >= count else most[: max(count, len(best))]
    steps = np.linspace(0, len(pool) - 1, min(count, len(pool))).round().astype(int)
    return [pool[step] for step in dict.fromkeys(steps.tolist())]


def contact_sheet(prepared: Prepared, subjects: int = 6) -> Gallery:
    """Show the subjects with most classes: their neutral face, then the last examined frame of each class."""
    database = prepared.database
    order = figure_order(database.expressions)
    chosen = _subjects_with_most_classes(database.sequences, subjects)
    faces: list[list[np.ndarray | None]] = []
    rows = []
    for subject in chosen:
        own = {seq.expression: seq for seq in reversed(database.sequences) if seq.subject == subject}
        first = own[min(own)]
        line: list[np.ndarray | None] = []
        for column, frame in [("neutral", first.neutral)] + [
            (name, own[name].examined[-1] if name in own else None) for name in order
        ]:
            index = None if frame is None else prepared.crops.key(frame)
            line.append(None if index is None else np.asarray(prepared.crops.images[index]))
            if frame is not None:
                rows.append({"subject": subject, "shown": column, "frame": frame_name(frame)})
        faces.append(line)
    return Gallery(faces, chosen, ["neutral", *order], pd.DataFrame(rows))


def strips(prepared: Prepared, frames: int = 7) -> Gallery:
    """Show one sequence of every class from neutral to apex, the median one by name, in evenly spaced frames.

    Frames that the study does not take are read and cropped here, each by itself as the others are.
    """
    database = prepared.database
    faces: list[list[np.ndarray | None]] = []
    labels, rows = [], []
    for name in figure_order(database.expressions):
        own = [sequence for sequence in database.sequences if sequence.expression == name]
        if not own:
            continue
        sequence = own[len(own) // 2]
        shown = _evenly_spaced(sequence, frames)
        cropped, _ = crop_subject(
            [dataclasses.replace(sequence, neutral=shown[0], examined=shown[1:])],
            prepared.request.settings.crop,
            by_landmarks=all(frame.landmarks is not None for frame in shown),
            may_borrow=database.name != "manifest",
        )
        images = {crop.frame: crop.image for crop in cropped}
        faces.append([images.get(frame) for frame in shown])
        labels.append(name)
        rows += [{"class": name, "sequence": sequence.sequence, "frame": frame_name(frame)} for frame in shown]
    longest = max(len(line) for line in faces)
    for line in faces:  # a shorter strip keeps its apex under the others' apex
        line[-1:-1] = [None] * (longest - len(line))
    return Gallery(faces, labels, ["neutral", *[""] * (longest - 2), "apex"], pd.DataFrame(rows))


def _evenly_spaced(sequence: Sequence, count: int) -> tuple[FrameRef, ...]:
    """Frames from the neutral one to the last examined one, evenly spaced in time."""
    first, last = sequence.neutral, sequence.examined[-1]
    if first.is_video:
        indices = np.linspace(first.index, last.index, count).round().astype(int)
        return tuple(FrameRef(first.path, int(index)) for index in dict.fromkeys(indices.tolist()))
    order = sequence.frames or (first, *sequence.examined)
    start, stop = order.index(first), order.index(last)
    places = np.linspace(start, stop, count).round().astype(int)
    return tuple(order[place] for place in dict.fromkeys(places.tolist()))


def augmented_batch(prepared: Prepared, columns: int = 10, seed: int = 0) -> Gallery:
    """Show a training batch as the network sees it: both faces of a pair with the same flip and the same noise."""
    pairs = prepared.pairs
    on_device = pairs.on("cpu", prepared.train.image_size)
    generator = torch.Generator().manual_seed(seed)
    batch = next(
        iter(
            on_device.training_batches(
                np.arange(len(pairs)), columns, generator, prepared.train.augmentation, with_neutral=True
            )
        )
    )
    assert batch.neutral is not None
    scale, shift = on_device.scale.view(3, 1, 1), on_device.shift.view(3, 1, 1)

    def as_bytes(images: torch.Tensor) -> list[np.ndarray | None]:
        pixels = ((images - shift) / scale).clamp(0, 255).round().to(torch.uint8)
        return [image.permute(1, 2, 0).numpy() for image in pixels]

    names = [pairs.expressions[int(label)] for label in batch.label]
    table = pd.DataFrame({"column": range(len(names)), "class": names})
    return Gallery([as_bytes(batch.examined), as_bytes(batch.neutral)], ["examined", "neutral"], names, table)


def mean_faces(prepared: Prepared) -> Gallery:
    """Average all neutral crops, and all examined crops of each class: sharp eyes show that they lie in one place."""
    pairs, images = prepared.pairs, prepared.crops.images
    order = figure_order(pairs.expressions)
    faces: list[np.ndarray | None] = [_mean(images, np.unique(pairs.neutral_index))]
    rows = [{"shown": "neutral", "crops": len(np.unique(pairs.neutral_index))}]
    for name in order:
        index = np.asarray(pairs.examined_index)[np.asarray(pairs.label) == pairs.expressions.index(name)]
        faces.append(_mean(images, np.unique(index)) if len(index) else None)
        rows.append({"shown": name, "crops": len(np.unique(index))})
    return Gallery([faces], ["mean"], ["neutral", *order], pd.DataFrame(rows))


def _mean(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    total = np.zeros(images.shape[1:], dtype=np.float64)
    for number in index:
        total += images[number]
    return np.round(total / len(index)).astype(np.uint8)
