"""Two methods sample by sample: a gallery of faces (Fig. 9), and how many samples the methods share."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gndl.analysis.sample_gallery import Answer, ShownSample
from gndl.analysis.variants import Variant
from gndl.figures.faces import show_face
from gndl.figures.looks import measured_on
from gndl.figures.style import ONE_COLUMN, TWO_COLUMNS, add_note, new_figure, style

CELLS_DESCRIPTION = "Two square tables of counts, right or wrong by the one method against right or wrong by the other."
GALLERY_DESCRIPTION = (
    "Rows of faces: neutral, examined, and twice the examined face faded but for the part that an answer rests on; "
    "beside each row the true class and both answers."
)
FACE = 0.93
"""Side of a face in a gallery of two columns' width, in inches."""
LETTERS = 43
"""Letters in a line beside the faces, at two columns' width."""
ACCENT = "#D55E00"


def hard_sample_gallery(
    samples: Sequence[ShownSample], a: str, b: str, *, source: str, width: float = TWO_COLUMNS, note: str = ""
) -> Figure:
    """Draw one row per sample: neutral and examined face, what each answer rests on, and the answers in words.

    Parameters
    ----------
    samples : sequence of ShownSample
        At least one.
    a, b : str
        Names of the two methods.
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    """
    with_saliency = any(answer.saliency is not None for one in samples for answer in (one.a, one.b))
    titles = ["neutral", "examined", *([f"{a}\nrests on", f"{b}\nrests on"] if with_saliency else [])]
    face = FACE * width / TWO_COLUMNS
    text_width = width - len(titles) * (face + 0.05) - 0.1
    with style():
        figure = new_figure(width, len(samples) * (face + 0.05) + 0.62)
        grid = figure.subplots(
            len(samples), len(titles) + 1, squeeze=False, width_ratios=[face] * len(titles) + [text_width]
        )
        engine = figure.get_layout_engine()
        engine.set(w_pad=0.015, h_pad=0.02, wspace=0.0, hspace=0.0)  # type: ignore[union-attr,call-arg]
        for axes, title in zip(grid[0], titles, strict=False):
            axes.set_title(textwrap.fill(title, 16, break_long_words=False) if "\n" not in title else title, fontsize=7)
        for line, sample in zip(grid, samples, strict=True):
            show_face(line[0], sample.neutral)
            show_face(line[1], sample.examined)
            if with_saliency:
                for axes, answer in ((line[2], sample.a), (line[3], sample.b)):
                    _show_saliency(axes, sample.examined, answer)
            _write(line[-1], sample, a, b, int(LETTERS * text_width / (TWO_COLUMNS - 4 * (FACE + 0.05) - 0.1)))
        faded = "Rests on: hiding the faded parts changes the answer least, hiding the outlined ones most"
        add_note(figure, source, ". ".join(part for part in (faded if with_saliency else "", note) if part))
    return figure


def cells_figure(table: pd.DataFrame, *, source: str, width: float = ONE_COLUMN) -> Figure:
    """Draw the four cells of right and wrong, once for frames and once for sequences.

    Parameters
    ----------
    table : DataFrame
        Of `gndl.analysis.hard_samples.SampleComparison.cells`.
    source : ``"rendered"``, ``"licensed"`` or ``"own"``
    """
    first = table.iloc[0]
    a, b = (Variant(str(first[f"{one}_method"]), str(first[f"{one}_lam"])).title for one in ("a", "b"))
    with style():
        figure = new_figure(width, 0.47 * width + 0.85)
        grid = figure.subplots(1, len(table), squeeze=False)[0]
        for number, (axes, row) in enumerate(zip(grid, table.to_dict("records"), strict=True)):
            counts = np.array([[row["both"], row["only_a"]], [row["only_b"], row["neither"]]])
            _matrix(axes, counts)
            axes.set_title(f"{counts.sum()} {row['of']}")
            axes.set_xlabel(b)
            axes.set_xticks([0, 1], ["right", "wrong"])
            axes.set_yticks([0, 1], ["right", "wrong"] if number == 0 else ["", ""], rotation=90, va="center")
        grid[0].set_ylabel(a)
        folds = int(first["folds"])
        add_note(figure, source, f"{folds} fold{'' if folds == 1 else 's'}. A sequence has one vote")
    return figure


def cells_caption(table: pd.DataFrame) -> str:
    """Caption of :func:`cells_figure`, which can be read alone; the table with ``database`` and ``source``."""
    first = table.iloc[0]
    a, b = (Variant(str(first[f"{one}_method"]), str(first[f"{one}_lam"])).in_a_sentence for one in ("a", "b"))
    text = (
        f"{measured_on(table)}: samples that {a} and {b} get right and wrong on the same test folds: examined "
        "frames, and sequences with one vote each, since three frames of a sequence are near copies."
    )
    if pd.notna(first["p_mcnemar"]):
        text += (
            f" Sequences: exact McNemar test p = {first['p_mcnemar']:.2g}, exact sign-flip test by subject "
            f"p = {first['p_subjects']:.2g}."
        )
    return text


def _matrix(axes: Axes, counts: np.ndarray) -> None:
    share = counts / max(counts.sum(), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if share[row, column] > 0.55 else "#222222"
        bold = "bold" if row != column else "normal"
        axes.text(
            column, row, f"{count}\n{share[row, column]:.1%}", ha="center", va="center", color=colour, weight=bold
        )
    axes.set_xticks([0.5], minor=True)
    axes.set_yticks([0.5], minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(True)


def _show_saliency(axes: Axes, face: np.ndarray, answer: Answer) -> None:
    """Show the face faded where the answer does not rest on it, with a line around where it most does."""
    if answer.saliency is None or not answer.saliency.any():
        text = "weights\nnot kept" if answer.saliency is None else "no part\nalone"
        axes.axis("off")
        axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=6.5, color="#777777", transform=axes.transAxes)
        return
    side = face.shape[0]
    weight = np.asarray(Image.fromarray(answer.saliency).resize((side, side), Image.Resampling.BICUBIC)).clip(0, 1)
    kept = 0.15 + 0.85 * weight
    kept = kept if face.ndim == 2 else kept[..., None]
    show_face(axes, (face * kept + 245 * (1 - kept)).astype(np.uint8))
    axes.contour(weight, levels=[0.5], colors=ACCENT, linewidths=0.8)


def _write(axes: Axes, sample: ShownSample, a: str, b: str, letters: int) -> None:
    lines = []
    for name, answer in ((a, sample.a), (b, sample.b)):
        right = answer.predicted == sample.truth
        line = f"{'✓' if right else '✗'} {name}: {answer.predicted}, {answer.confidence:.0%}"
        if not right:
            line += f" ({sample.truth} {answer.truth_p:.0%})"
        lines += textwrap.wrap(line, letters, subsequent_indent="    ")
    frame = sample.frame if sample.frame.startswith(sample.sequence) else f"{sample.sequence}, {sample.frame}"
    where = textwrap.wrap(f"subject {sample.subject}, {frame}", letters, subsequent_indent="    ")
    axes.axis("off")
    options: dict[str, Any] = {"ha": "left", "va": "top", "transform": axes.transAxes, "linespacing": 1.35}
    axes.text(0.03, 0.94, f"truth: {sample.truth}", fontsize=7.5, weight="bold", **options)
    axes.text(0.03, 0.76, "\n".join(lines), fontsize=7, **options)
    axes.text(0.03, 0.05, "\n".join(where), fontsize=6, color="#777777", **{**options, "va": "bottom"})
