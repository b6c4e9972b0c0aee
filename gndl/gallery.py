"""Grids of faces, chosen by a stated rule and never by hand, of subjects who may be shown (`gndl.licence`).

Every function returns the figure, which says who is left out of a licensed copy, and the table of what it shows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from gndl.alignment import frame_name
from gndl.analysis.along import faces_of, frames_along
from gndl.files import GndlError, counted
from gndl.licence import Publishable, publishable
from gndl.paper import figure_order
from gndl.plots import TWO_COLUMNS, WORSE, find_fonts
from gndl.sequences import FrameRef
from gndl.sequences import Sequence as Recording

if TYPE_CHECKING:
    from gndl.study import Study

Face = NDArray[np.uint8]
FACE = 0.93
"""Side of a face in `answers`, in inches."""
LETTERS = 43
"""Letters in a line next to the faces, where a row has four of them."""


def may_be_shown(study: Study) -> Publishable:
    """Whose faces of a study's database may be printed."""
    return publishable(study.out, study.name, study.source)


def show_face(ax: Axes, face: Face) -> None:
    """Draw one face, grey or colour, without ticks and frame."""
    ax.imshow(face, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def grid(
    faces: Sequence[Sequence[Face | None]], rows: Sequence[str], columns: Sequence[str], title: str = "", note: str = ""
) -> Figure:
    """Draw a table of faces, uint8 (S, S) or (S, S, 3), over two columns' width; ``None`` leaves a cell empty.

    ``note`` is printed below: who is left out. Without any face the figure says so.
    """
    find_fonts([title, *rows, *columns])
    width = TWO_COLUMNS[0]
    height = len(faces) * (width - 0.7) / len(columns) + 0.55 if faces else 0.8
    figure = Figure((width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)  # type: ignore[union-attr,call-arg]
    figure.suptitle(title, fontsize=8.5)
    figure.supxlabel(textwrap.fill(note, 150), fontsize=6, color="#555555")
    if not faces:
        figure.set_layout_engine("none")  # there is nothing to lay out, and it would warn
        figure.text(0.5, 0.5, "no face may be shown", ha="center", va="center", color="#777777")
        return figure
    axes = figure.subplots(len(faces), len(columns), squeeze=False)
    for ax, name in zip(axes[0], columns, strict=True):
        ax.set_title(name, fontsize=7, pad=2)
    for line, name, own in zip(axes, rows, faces, strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
        for ax, face in zip(line, own, strict=True):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if face is not None:
                show_face(ax, face)
    return figure


def contact_sheet(study: Study, subjects: int = 6) -> tuple[Figure, pd.DataFrame]:
    """Show the subjects with most classes: their neutral face, then the last examined frame of each class."""
    database, rule = study.database, may_be_shown(study)
    order = figure_order(database.expressions)
    sequences = [sequence for sequence in database.sequences if rule.may_show(sequence.subject)]
    chosen = _subjects_with_most_classes(sequences, subjects)
    faces, rows = [], []
    for subject in chosen:
        own = {sequence.expression: sequence for sequence in reversed(sequences) if sequence.subject == subject}
        shown = {"neutral": own[min(own)].neutral} | {name: own[name].examined[-1] for name in order if name in own}
        faces.append([_crop(study, shown.get(name)) for name in ("neutral", *order)])
        rows += [{"subject": subject, "shown": name, "frame": frame_name(frame)} for name, frame in shown.items()]
    title = f"{study.title}: neutral face and apex of each class"
    figure = grid(faces, chosen, ["neutral", *order], title, rule.note(database.subjects))
    return figure, pd.DataFrame(rows, columns=["subject", "shown", "frame"])


def doubtful_sheet(study: Study, doubtful: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Show the first 48 crops of `gndl.crops.doubtful`'s table, numbered by its index."""
    rule = may_be_shown(study)
    crops = doubtful[doubtful["subject"].map(rule.may_show).astype(bool)].head(48)
    lines = [crops.iloc[start : start + 8] for start in range(0, len(crops), 8)]
    images = [[np.asarray(study.crops.images[crop]) for crop in line["crop"]] for line in lines]
    numbers = [textwrap.fill(", ".join(map(str, line.index)), 10) for line in lines]
    title = f"{study.title}: {len(crops)} of {counted(len(doubtful), 'doubtful crop')}"
    padded = [line + [None] * (8 - len(line)) for line in images]
    figure = grid(padded, numbers, [""] * 8, title, rule.note(doubtful["subject"]))
    return figure, crops[["subject", "sequence", "frame", "why"]]


def _crop(study: Study, frame: FrameRef | None) -> Face | None:
    """A frame's crop; None for no frame, or one without a face."""
    try:
        return None if frame is None else np.asarray(study.crops.images[study.crops.key(frame)])
    except KeyError:
        return None


def _subjects_with_most_classes(sequences: Sequence[Recording], count: int) -> list[str]:
    """The ``count`` subjects who show most classes; of equals, spread evenly over the sorted names."""
    classes: dict[str, set[str]] = {}
    for sequence in sequences:
        classes.setdefault(sequence.subject, set()).add(sequence.expression)
    most = sorted(classes, key=lambda subject: (-len(classes[subject]), subject))
    best = [subject for subject in most if len(classes[subject]) == len(classes[most[0]])]
    pool = best if len(best) >= count else most[: max(count, len(best))]
    steps = np.linspace(0, len(pool) - 1, min(count, len(pool))).round().astype(int)
    return [pool[step] for step in dict.fromkeys(steps.tolist())]


def strips(study: Study, frames: int = 7) -> tuple[Figure, pd.DataFrame]:
    """Show one sequence of every class from neutral to apex, the median one by name, in evenly spaced frames.

    Frames that the study does not take are read and cropped here, each by itself as the others are.
    """
    database, rule = study.database, may_be_shown(study)
    faces: list[list[Face | None]] = []
    labels, rows = [], []
    for name in figure_order(database.expressions):
        own = [one for one in database.sequences if one.expression == name and rule.may_show(one.subject)]
        if not own:
            continue
        sequence = own[len(own) // 2]
        shown = tuple(frame for _, _, frame in frames_along(sequence, frames))
        images = faces_of(study, sequence, shown)
        faces.append([images.get(frame) for frame in shown])
        labels.append(name)
        rows += [{"class": name, "sequence": sequence.sequence, "frame": frame_name(frame)} for frame in shown]
    longest = max((len(line) for line in faces), default=2)
    for line in faces:  # a shorter strip keeps its apex under the others' apex
        line[-1:-1] = [None] * (longest - len(line))
    columns = ["neutral", *[""] * (longest - 2), "apex"]
    figure = grid(faces, labels, columns, f"{study.title}: from neutral to apex", rule.note(database.subjects))
    return figure, pd.DataFrame(rows, columns=["class", "sequence", "frame"])


def answers(study: Study, rows: pd.DataFrame, maps: Mapping[str, NDArray[np.float32]], a: str, b: str) -> Figure:
    """Draw Fig. 9, a row a sample: neutral and examined face, an occlusion map of each answer, both answers in words.

    Parameters
    ----------
    study : Study
    rows : DataFrame
        Of `gndl.analysis.samples.hard_samples`, of subjects who may be shown; at least one.
    maps : mapping of str to float32 array (n, S, S)
        Of `gndl.analysis.saliency.of_samples`; a method without maps has no faces.
    a, b : str
        Names of the two methods.

    Raises
    ------
    GndlError
        Where a subject may not be shown, or the predictions were made of other pairs than the study has now.
    """
    pairs, rule, width = study.pairs, may_be_shown(study), TWO_COLUMNS[0]
    if not rows["subject"].map(rule.may_show).all():
        raise GndlError(f"{study.title}: some of these subjects must not be shown; filter by gallery.may_be_shown.")
    find_fonts([study.title, *map(str, rows.to_numpy().ravel())])
    titles = ["neutral", "examined", *(f"{name}\nocclusion map" for name in (a, b) if name in maps)]
    text_width = width - len(titles) * (FACE + 0.05) - 0.1
    letters = int(LETTERS * text_width / (width - 4 * (FACE + 0.05) - 0.1))
    figure = Figure((width, len(rows) * (FACE + 0.05) + 0.62), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.02, wspace=0, hspace=0)  # type: ignore[union-attr,call-arg]
    figure.supxlabel(textwrap.fill(rule.note(pairs.subject), 150), fontsize=6, color="#555555")
    axes = figure.subplots(len(rows), len(titles) + 1, squeeze=False, width_ratios=[FACE] * len(titles) + [text_width])
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title, fontsize=7)
    for number, (line, row) in enumerate(zip(axes, rows.to_dict("records"), strict=True)):
        sample = int(row["sample"])
        if sample >= len(pairs) or (pairs.sequence[sample], pairs.frame[sample]) != (row["sequence"], row["frame"]):
            raise GndlError(
                f"{study.folder}: sample {sample} was {row['frame']} of {row['sequence']} when it was tested, and is "
                "another one now. Train again, or bring back the database as it was."
            )
        neutral, examined = (pairs.images[of[sample]] for of in (pairs.neutral_index, pairs.examined_index))
        show_face(line[0], np.asarray(neutral))
        show_face(line[1], np.asarray(examined))
        for ax, name in zip(line[2:], (name for name in (a, b) if name in maps), strict=False):
            _show_map(ax, np.asarray(examined), maps[name][number])
        _write(line[-1], row, a, b, letters)
    return figure


def _show_map(ax: Axes, face: Face, saliency: NDArray[np.float32]) -> None:
    """Show the face faded where the answer does not rest on it, with a line around where it most does."""
    if not saliency.any():
        ax.axis("off")
        ax.text(0.5, 0.5, "no part\nalone", ha="center", va="center", fontsize=6.5, color="#777777")
        return
    weight = np.asarray(Image.fromarray(saliency).resize(face.shape[:2], Image.Resampling.BICUBIC)).clip(0, 1)
    kept = 0.15 + 0.85 * weight.reshape(*weight.shape, *[1] * (face.ndim - 2))
    show_face(ax, (face * kept + 245 * (1 - kept)).astype(np.uint8))
    ax.contour(weight, levels=[0.5], colors=WORSE, linewidths=0.8)


def _write(ax: Axes, row: dict[Any, Any], a: str, b: str, letters: int) -> None:
    lines = []
    for name, which in ((a, "a"), (b, "b")):
        right = row[f"predicted_{which}"] == row["truth"]
        text = f"{'✓' if right else '✗'} {name}: {row[f'predicted_{which}']}, {row[f'confidence_{which}']:.0%}"
        text += "" if right else f" ({row['truth']} {row[f'truth_p_{which}']:.0%})"
        lines += textwrap.wrap(text, letters, subsequent_indent="    ")
    frame = row["frame"] if row["frame"].startswith(row["sequence"]) else f"{row['sequence']}, {row['frame']}"
    where = textwrap.wrap(f"subject {row['subject']}, {frame}", letters, subsequent_indent="    ")
    look: dict[str, Any] = {"ha": "left", "va": "top", "transform": ax.transAxes, "linespacing": 1.35}
    ax.axis("off")
    ax.text(0.03, 0.94, f"truth: {row['truth']}", fontsize=7.5, weight="bold", **look)
    ax.text(0.03, 0.76, "\n".join(lines), fontsize=7, **look)
    ax.text(0.03, 0.05, "\n".join(where), fontsize=6, color="#777777", **look | {"va": "bottom"})
