"""Which faces are shown, chosen by a stated rule and never by hand, with the table of what is shown behind each.

Of a licensed copy only publishable subjects are chosen from (`gndl.licence`), and each gallery says who is left out.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from gndl import figures
from gndl.crop_sequence import crop_subject, frame_name
from gndl.figures.captions import caption_of
from gndl.figures.shown import declare_faces
from gndl.licence import Publishable, publishable
from gndl.paper import figure_order
from gndl.prepare import Prepared
from gndl.sequences import FrameRef, Sequence


@dataclass(frozen=True)
class Gallery:
    """A table of faces for `gndl.figures.face_grid`, and the data frame behind it.

    Parameters
    ----------
    faces : rows of uint8 arrays or None
        No row where nobody may be shown.
    row_labels, column_labels : list of str
    table : DataFrame
        What is shown.
    subjects : tuple of str
        Whose faces these are.
    note : str
        Who is left out of a licensed copy and why, for the caption; "" where nobody is.
    """

    faces: list[list[np.ndarray | None]]
    row_labels: list[str]
    column_labels: list[str]
    table: pd.DataFrame
    subjects: tuple[str, ...] = ()
    note: str = ""


def who_may_be_shown(prepared: Prepared) -> Publishable:
    """Whose faces of a study's database may be printed."""
    return publishable(prepared.request.out, prepared.database.name, prepared.database.source)


def draw(prepared: Prepared, gallery: Gallery, title: str) -> Figure:
    """Draw a gallery, with who is left out below it."""
    figure = figures.face_grid(
        gallery.faces,
        row_labels=gallery.row_labels,
        column_labels=gallery.column_labels,
        source=prepared.database.source,
        title=title,
        note=gallery.note,
    )
    declare_faces(figure, prepared.database.name, gallery.subjects)
    return figure


def save(prepared: Prepared, gallery: Gallery, figure: Figure, name: str) -> Path:
    """Write a gallery's figure into the study, its caption with who is left out; return the PNG."""
    folder, source = prepared.folder / "figures", prepared.database.source
    caption, description = caption_of(name, folder, source)
    caption = f"{caption} {gallery.note}." if gallery.note else caption
    return figures.save_figure(figure, folder, name, gallery.table, source, caption=caption, description=description)


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
    rule = who_may_be_shown(prepared)
    allowed = tuple(sequence for sequence in database.sequences if rule.may_show(sequence.subject))
    chosen = _subjects_with_most_classes(allowed, subjects) if allowed else []
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
    table = pd.DataFrame(rows, columns=["subject", "shown", "frame"])
    return Gallery(faces, chosen, ["neutral", *order], table, tuple(chosen), rule.note(database.subjects))


def strips(prepared: Prepared, frames: int = 7) -> Gallery:
    """Show one sequence of every class from neutral to apex, the median one by name, in evenly spaced frames.

    Frames that the study does not take are read and cropped here, each by itself as the others are.
    """
    database = prepared.database
    rule = who_may_be_shown(prepared)
    faces: list[list[np.ndarray | None]] = []
    labels, rows, subjects = [], [], []
    for name in figure_order(database.expressions):
        own = [seq for seq in database.sequences if seq.expression == name and rule.may_show(seq.subject)]
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
        subjects.append(sequence.subject)
        rows += [{"class": name, "sequence": sequence.sequence, "frame": frame_name(frame)} for frame in shown]
    longest = max((len(line) for line in faces), default=2)
    for line in faces:  # a shorter strip keeps its apex under the others' apex
        line[-1:-1] = [None] * (longest - len(line))
    columns = ["neutral", *[""] * (longest - 2), "apex"]
    table = pd.DataFrame(rows, columns=["class", "sequence", "frame"])
    return Gallery(faces, labels, columns, table, tuple(dict.fromkeys(subjects)), rule.note(database.subjects))


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
    pairs, rule = prepared.pairs, who_may_be_shown(prepared)
    shown = np.flatnonzero([rule.may_show(subject) for subject in pairs.subject])
    note = rule.note(pairs.subject)
    if len(shown) < 2:  # a batch of one is none (ledger L20)
        return Gallery([], [], [], pd.DataFrame(columns=["column", "class"]), (), note)
    on_device = pairs.on("cpu", prepared.train.image_size)
    generator = torch.Generator().manual_seed(seed)
    batch = next(
        iter(on_device.training_batches(shown, columns, generator, prepared.train.augmentation, with_neutral=True))
    )
    assert batch.neutral is not None
    scale, shift = on_device.scale.view(3, 1, 1), on_device.shift.view(3, 1, 1)

    def as_bytes(images: torch.Tensor) -> list[np.ndarray | None]:
        pixels = ((images - shift) / scale).clamp(0, 255).round().to(torch.uint8)
        return [image.permute(1, 2, 0).numpy() for image in pixels]

    names = [pairs.expressions[int(label)] for label in batch.label]
    table = pd.DataFrame({"column": range(len(names)), "class": names})
    faces = [as_bytes(batch.examined), as_bytes(batch.neutral)]
    subjects = tuple(dict.fromkeys(pairs.subject[int(pair)] for pair in shown))
    return Gallery(faces, ["examined", "neutral"], names, table, subjects, note)


def mean_faces(prepared: Prepared) -> Gallery:
    """Average all neutral crops, and all examined crops of each class: sharp eyes show that they lie in one place."""
    pairs, images, rule = prepared.pairs, prepared.crops.images, who_may_be_shown(prepared)
    allowed = np.array([rule.may_show(subject) for subject in pairs.subject])
    note = rule.note(pairs.subject)
    order = figure_order(pairs.expressions)
    if not allowed.any():
        return Gallery([], [], ["neutral", *order], pd.DataFrame(columns=["shown", "crops"]), (), note)
    label = np.asarray(pairs.label)
    chosen = [("neutral", np.asarray(pairs.neutral_index)[allowed])]
    for name in order:
        of_class = allowed & (label == pairs.expressions.index(name))
        chosen.append((name, np.asarray(pairs.examined_index)[of_class]))
    faces = [_mean(images, np.unique(index)) if len(index) else None for _, index in chosen]
    rows = [{"shown": name, "crops": len(np.unique(index))} for name, index in chosen]
    subjects = tuple(dict.fromkeys(np.asarray(pairs.subject)[allowed].tolist()))
    return Gallery([faces], ["mean"], ["neutral", *order], pd.DataFrame(rows), subjects, note)


def _mean(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    total = np.zeros(images.shape[1:], dtype=np.float64)
    for number in index:
        total += images[number]
    return np.round(total / len(index)).astype(np.uint8)
