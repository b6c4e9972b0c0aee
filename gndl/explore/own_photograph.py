"""A photograph of one's own, kept in memory alone: find the face, cut it, and let the networks look at it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gndl.align import eyes_in_crop, geometry_from_eyes
from gndl.errors import GndlError
from gndl.explore.drawing import probability_bars, side_by_side, titled_face
from gndl.explore.live import LiveReader, Reading
from gndl.explore.state import Expression, Person, State
from gndl.explore.studio import LABEL, FaceStudio
from gndl.figures import TWO_COLUMNS, add_note, new_figure, style
from gndl.frames_reading import as_colour, as_grey
from gndl.opening import PHOTOGRAPH_FORMATS, UnreadablePicture, opened_picture
from gndl.photograph import FaceCrop, crop_photograph

SHOWN = 480
"""Longer side in pixels at which the photograph is drawn."""
LARGEST = 9_000_000
"""Bytes of a file at most: a larger one does not come through the notebook's connection."""
EXAMPLE = State(Person(12), Expression("happiness"))
MARK = "#F0E442"

SEEN_RENDERED_ONLY = (
    "These networks have seen **rendered faces only**, the faces of nobody. What they say of a photograph of a person "
    "means little: take it as a look at how the parts work, never as a statement about the person."
)
SEEN_ACTED = (
    "These networks have seen the posed expressions of one laboratory's subjects. What they say of another "
    "photograph is a guess about its pixels, never a statement about what the person feels."
)


@dataclass(frozen=True, eq=False)
class PhotographReading:
    """What the networks make of a photograph.

    Parameters
    ----------
    name : str
    picture : uint8 array (H, W) or (H, W, 3)
        The photograph, upright.
    face : FaceCrop
        The face that was found and cut.
    reading : Reading
        The probabilities that each method gives.
    """

    name: str
    picture: NDArray[np.uint8]
    face: FaceCrop
    reading: Reading


def decode_photograph(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a picture file's bytes, turned upright as its EXIF orientation says: uint8 (H, W, 3).

    Raises
    ------
    GndlError
        Where it is no picture that can be read.
    """
    try:
        with opened_picture(io.BytesIO(content), PHOTOGRAPH_FORMATS) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except UnreadablePicture as error:
        raise GndlError(
            f"{name}: this is no picture that can be read ({error}). Take a JPEG, PNG or WebP (a telephone's HEIC must "
            "be exported as JPEG first)."
        ) from error


def look_at_photograph(content: bytes, name: str, reader: LiveReader) -> PhotographReading:
    """Find the face in a picture file's bytes, cut it as the study cuts its faces, and let the networks look at it.

    Raises
    ------
    GndlError
        Where the file is no picture, or no face is found.
    """
    picture = decode_photograph(content, name)
    try:
        face = crop_photograph(picture, reader.crop)
    except GndlError as error:
        raise GndlError(str(error).replace("the picture given", name)) from error
    crop = as_colour(face.image) if reader.in_colour else as_grey(face.image)
    return PhotographReading(name, picture, face, reader.read_crop(crop))


def example_photograph() -> tuple[bytes, str]:
    """A rendered face of nobody as a PNG file's bytes, in place of a photograph until there is one."""
    return FaceStudio().show(EXAMPLE, 448).encoded("png"), f"example, {LABEL}"


def photograph_figure(looked: PhotographReading, reader: LiveReader) -> Figure:
    """Draw the photograph with the crop's outline and the eyes found, the crop as the networks see it, and the bars."""
    with style():
        figure = new_figure(TWO_COLUMNS, 2.6)
        faces, bars = side_by_side(figure, 1.6, 1)
        whole, crop = faces.subplots(1, 2)
        _draw_photograph(whole, looked, reader)
        shown = looked.face.image if reader.in_colour else as_grey(looked.face.image)
        titled_face(crop, shown, "as the networks see it, eyes at their places")
        eyes = eyes_in_crop(reader.crop)
        for x, y in (eyes.left, eyes.right):
            crop.plot(x, y, "+", color=MARK, markersize=9, markeredgewidth=1.2)
        probability_bars(bars.subplots(), looked.reading.probabilities, reader.expressions)
        trained = f"Networks trained on: {reader.title}{', rendered faces' if reader.source == 'rendered' else ''}"
        add_note(figure, "", ". ".join(part for part in (trained, looked.face.note) if part))
    return figure


def _draw_photograph(axes: Axes, looked: PhotographReading, reader: LiveReader) -> None:
    height, width = looked.picture.shape[:2]
    scale = min(1.0, SHOWN / max(height, width))
    small = Image.fromarray(looked.picture).resize((max(1, round(width * scale)), max(1, round(height * scale))))
    titled_face(axes, np.asarray(small), looked.name if len(looked.name) < 40 else f"{looked.name[:37]}…")
    side = reader.crop.size
    corners = np.array([(0, 0), (side - 1, 0), (side - 1, side - 1), (0, side - 1)], dtype=float)
    outline = geometry_from_eyes(looked.face.eyes, reader.crop).to_source(corners)
    axes.add_patch(Polygon((outline + 0.5) * scale - 0.5, fill=False, edgecolor=MARK, linewidth=1.2))
    for x, y in (looked.face.eyes.left, looked.face.eyes.right):
        axes.plot((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, "+", color=MARK, markersize=7, markeredgewidth=1.2)
    axes.set_xlim(-0.5, small.width - 0.5)
    axes.set_ylim(small.height - 0.5, -0.5)


def photograph_in_words(looked: PhotographReading, reader: LiveReader) -> str:
    """What each method says, and what to think of it, in Markdown."""
    said = []
    for method, values in looked.reading.probabilities.items():
        best = int(values.argmax())
        title = {"baseline": "the baseline", "gndl": "GNDL"}.get(method, method)
        said.append(f"{title} says {reader.expressions[best]} ({100 * values[best]:.0f} %)")
    return f"{looked.name}: {' and '.join(said)}."


def caution(reader: LiveReader) -> str:
    """The sentence that stands beside every prediction of a photograph, in Markdown."""
    return SEEN_RENDERED_ONLY if reader.source == "rendered" else SEEN_ACTED
