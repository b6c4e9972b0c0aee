"""Pictures for a test of naming: apex faces without their labels, for somebody who has not seen them to name.

``python -m gndl.standins.naming OUT --seed 7`` renders 20 faces of each stand-in, at its standard difficulty, as
numbered sheets ``OUT/DATABASE.png``, and writes what each one shows to ``OUT/key.csv``, which the reader must not open.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import tyro
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from threadpoolctl import threadpool_limits

from gndl.files import written_aside
from gndl.paper import DATABASE_TITLES, DATABASES, EXPRESSIONS
from gndl.profiles import FULL_SIZE
from gndl.progress import progress
from gndl.standins import ckplus, mmi, oulu_casia
from gndl.standins.filming import film, stage
from gndl.standins.performing import performed
from gndl.standins.plan import plan
from gndl.standins.render import _stream, invited, studio_of
from gndl.standins.timing import rise

TILE = 200
"""Side of one face in pixels."""
ACROSS = 5
STORED = {"ckplus": ckplus.as_stored, "oulu_casia": oulu_casia.as_stored, "mmi": mmi.as_stored}
"""How each database keeps a frame."""


@dataclass(frozen=True)
class Sheet:
    """What to render.

    Parameters
    ----------
    out : Path
    seed : int
        Of the people; another one than the record's gives other people.
    faces : int
        Faces of each database.
    """

    out: Annotated[Path, tyro.conf.Positional]
    seed: int = 7
    faces: int = 20


def apex_faces(name: str, seed: int, count: int) -> list[tuple[str, NDArray[np.uint8]]]:
    """Draw labelled sequences of different subjects and film the last frame of each at its apex.

    Returns
    -------
    list of (emotion, tile)
        Tiles are uint8 (TILE, TILE, 3), cut round the face by its exact landmarks. Emotions are drawn evenly.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, DATABASES.index(name), 60)))
    studio = studio_of(name)
    subjects = plan(name, FULL_SIZE[name], seed)
    wanted = [EXPRESSIONS[name][k % len(EXPRESSIONS[name])] for k in range(count)]
    faces = []
    for emotion in progress(rng.permutation(wanted).tolist(), f"Rendering {DATABASE_TITLES[name]} faces", unit="face"):
        showing = [
            (subject, sequence)
            for subject in subjects
            for sequence in subject.sequences
            if sequence.emotion == emotion and sequence.view == 0
        ]
        planned, sequence = showing[int(rng.integers(len(showing)))]
        stream = _stream(name, seed, planned.index, sequence.number)
        with threadpool_limits(1):
            subject = invited(name, planned, seed, studio)
            performance, _ = performed(subject, emotion, studio, stream)
            timing = rise(6, len(performance.units), stream)
            take = stage(subject, studio, performance, timing, stream)
            (frame,) = film(subject, studio, take, stream, frames=[5])
        faces.append((emotion, _tile(STORED[name](frame.picture), frame.landmarks)))
    return faces


def write_sheets(sheet: Sheet) -> None:
    """Write one numbered sheet per database, and the key."""
    rows: list[dict[str, int | str]] = []
    for name in DATABASES:
        faces = apex_faces(name, sheet.seed, sheet.faces)
        first = len(rows) + 1
        _write_sheet(sheet.out / f"{name}.png", [tile for _, tile in faces], first)
        rows += [{"number": first + k, "database": name, "emotion": emotion} for k, (emotion, _) in enumerate(faces)]
    with written_aside(sheet.out / "key.csv") as aside:
        pd.DataFrame(rows).to_csv(aside, index=False)


def _tile(picture: Image.Image, landmarks: NDArray) -> NDArray[np.uint8]:
    """The face with some hair, as a square."""
    left, right = landmarks[:, 0].min(), landmarks[:, 0].max()
    middle, half = landmarks.mean(axis=0), 0.85 * (right - left)
    box = (middle[0] - half, middle[1] - 1.2 * half, middle[0] + half, middle[1] + 0.8 * half)
    square = picture.convert("RGB").transform((TILE, TILE), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
    return np.asarray(square)


def _write_sheet(path: Path, tiles: list[NDArray[np.uint8]], first: int) -> None:
    lines = -(-len(tiles) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * TILE, lines * TILE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for k, tile in enumerate(tiles):
        x, y = TILE * (k % ACROSS), TILE * (k // ACROSS)
        sheet.paste(Image.fromarray(tile), (x, y))
        draw.text((x + 6, y + 4), str(first + k), "yellow", font, stroke_width=2, stroke_fill="black")
    with written_aside(path) as aside:
        sheet.save(aside)


if __name__ == "__main__":
    write_sheets(tyro.cli(Sheet, prog="python -m gndl.standins.naming", description=__doc__))
