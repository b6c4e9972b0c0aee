"""All figures of a study, shown from disk with their captions, small enough for a notebook that holds all of them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from IPython.display import Image, Markdown, display
from PIL import Image as Picture

from gndl.figures.captions import read_caption
from gndl.figures.redraw import in_order
from gndl.figures.shown import declared_like
from gndl.figures.style import TWO_COLUMNS
from gndl.files import whole
from gndl.notebook_size import smaller
from gndl.tables.results_table import measured_on

ALBUM = 5_000_000
"""Bytes that all pictures of one report share."""

LARGEST, SMALLEST = 250_000, 20_000

WIDEST = 760
"""Pixels across of a figure of two columns, as a notebook shows it."""

DOTS_PER_INCH = 300


@dataclass(frozen=True)
class Shown:
    """One figure as the report shows it.

    Parameters
    ----------
    path : Path
        The PNG of the study, which is left as it is.
    database : str
        ``""`` for a figure that spans the databases.
    picture : bytes
        A smaller copy.
    kind : str
        ``"png"`` or ``"jpeg"``.
    caption, description : str
    source : str
        Of the study.
    width : int
        Pixels that it is shown at: one column of print is half as wide as two.
    """

    path: Path
    database: str
    picture: bytes
    kind: str
    caption: str
    description: str
    source: str
    width: int


def album(out: Path, databases: Iterable[str], source: str) -> list[Shown]:
    """Read every figure of a study that lies on disk, what spans the databases first.

    Parameters
    ----------
    out : Path
        The study's directory.
    databases : iterable of str
        Whose figures are read.
    source : str
        Of the study; a figure without a caption of its own is called a rendered stand-in by it.
    """
    files: list[tuple[str, Path]] = []
    for name in ("", *databases):
        pictures = {png.stem: png for png in whole((out / name / "figures").glob("*.png"))}
        files += [(name, pictures[stem]) for stem in in_order(pictures)]
    share = max(SMALLEST, min(LARGEST, ALBUM // max(1, len(files))))
    shown = []
    for name, path in files:
        picture, kind = small_copy(path, share)
        picture = declared_like(path.read_bytes(), picture)
        with Picture.open(path) as opened:
            inches = opened.width / DOTS_PER_INCH
        width = round(WIDEST * min(1.0, max(0.45, inches / TWO_COLUMNS)))
        shown.append(Shown(path, name, picture, kind, *read_caption(path, source), source, width))
    return shown


def small_copy(path: Path, largest: int) -> tuple[bytes, str]:
    """Return a picture of at most ``largest`` bytes with its kind: PNG of few colours for lines, else JPEG."""
    with Picture.open(path) as opened:
        image = opened.convert("RGB")
    if image.width > 1100:
        image = image.resize((1100, round(image.height * 1100 / image.width)), Picture.Resampling.LANCZOS)
    written = io.BytesIO()
    image.quantize(96, dither=Picture.Dither.NONE).save(written, "PNG", optimize=True)
    if len(written.getvalue()) <= largest and _few_colours(image):
        return written.getvalue(), "png"
    whole = io.BytesIO()
    image.save(whole, "PNG")
    for width, quality in ((1100, 85), (1100, 70), (800, 70), (600, 60), (400, 50), (250, 40)):
        picture = smaller(whole.getvalue(), width, quality)
        if len(picture) <= largest:
            break
    return picture, "jpeg"


def _few_colours(image: Picture.Image) -> bool:
    """Whether a picture is a drawing: most of its pixels are of a handful of colours, as a photograph's never are."""
    small = image.resize((256, 256), Picture.Resampling.NEAREST)
    counts = sorted((count for count, _ in small.getcolors(256 * 256) or []), reverse=True)
    return sum(counts[:16]) > 0.7 * 256 * 256


def show_album(shown: list[Shown]) -> None:
    """Display figures below a notebook's cell, each with its caption, under a heading for each database."""
    if not shown:
        display(Markdown("No figure lies on disk yet; `gndl study` makes them."))
    before: str | None = None
    for one in shown:
        if one.database != before:
            title = measured_on(one.database, one.source) if one.database else "What spans the databases"
            display(Markdown(f"### {title}"))
            before = one.database
        display(Markdown(f"**{one.path.stem.replace('_', ' ')}**"))
        display(Image(one.picture, format=one.kind, width=one.width, alt=one.description))
        display(
            Markdown(f"*{' '.join(one.caption.split())}* (`{one.path.parent.parent.name}/figures/{one.path.name}`)")
        )
