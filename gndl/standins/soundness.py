"""Random frames of the stand-ins, looked at by numbers: no holes, no black pictures, and faces that a detector finds.

``python -m gndl.standins.soundness --frames 200`` films frames drawn at random from the full-size plans, checks each
and writes a line per frame to ``record/soundness.csv``. The detector is dlib's, which has seen photographs alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from gndl.eyes import find_faces
from gndl.paper import DATABASES
from gndl.paths import repository_root
from gndl.profiles import FULL_SIZE
from gndl.progress import progress
from gndl.results import write_csv
from gndl.standins import ckplus, mmi, oulu_casia
from gndl.standins.faces import Face, Light, Pose, Shading, View
from gndl.standins.filming import Frame, film, stage
from gndl.standins.head import Floats
from gndl.standins.performing import performed
from gndl.standins.plan import plan
from gndl.standins.render import _stream, invited, studio_of
from gndl.standins.timing import rise, rise_and_fall

STORED = {"ckplus": ckplus.as_stored, "oulu_casia": oulu_casia.as_stored, "mmi": mmi.as_stored}
DARK, BRIGHT = 25.0, 235.0
"""Mean brightness of a face, of 255, outside which nobody could make it out."""


@dataclass(frozen=True)
class Soundness:
    """What was found in one frame.

    Parameters
    ----------
    database, subject : str
    emotion : str
        Empty for a sequence that no emotion fits.
    intensity : float
        Share of the apex.
    brightness, contrast : float
        Mean and standard deviation of the face's pixels, of 255.
    open_pixels : int
        Pixels inside the outline of the face through which the wall shows; 0 in a whole mesh.
    landmarks_inside : bool
        Whether all 68 landmarks lie in the frame.
    found : bool
        Whether the detector finds a face there.
    """

    database: str
    subject: str
    emotion: str
    intensity: float
    brightness: float
    contrast: float
    open_pixels: int
    landmarks_inside: bool
    found: bool

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with the frame itself; a face that is not found may still be one."""
        seen = DARK < self.brightness < BRIGHT and self.contrast > 8
        return seen and self.open_pixels == 0 and self.landmarks_inside


def random_frames(name: str, count: int, seed: int = 0) -> Iterator[Soundness]:
    """Film ``count`` frames of labelled, frontal, upright sequences drawn at random, and look at each."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, DATABASES.index(name), 200)))
    studio = studio_of(name)
    showing = [
        (subject, sequence)
        for subject in plan(name, FULL_SIZE[name], seed)
        for sequence in subject.sequences
        if sequence.view == 0
    ]
    for k in rng.integers(len(showing), size=count):
        planned, sequence = showing[int(k)]
        stream = _stream(name, seed, planned.index, sequence.number)
        with threadpool_limits(1):
            visitor = invited(name, planned, seed, studio)
            performance, _ = performed(visitor, sequence.emotion, studio, stream)
            moves = rise_and_fall if name == "mmi" else rise
            timing = moves(sequence.n_frames, len(performance.units), stream)
            take = stage(visitor, studio, performance, timing, stream)
            moment = int(rng.integers(sequence.n_frames))
            (frame,) = film(visitor, studio, take, stream, frames=[moment])
            holes = open_pixels(visitor.face, take.actions[moment], visitor.light)
        stored = STORED[name](frame.picture)
        yield _looked_at(name, planned.name, sequence.emotion or "", frame, stored, holes)


def open_pixels(face: Face, actions: Floats, light: Light) -> int:
    """Count the pixels inside the outline of a frontal face that its mesh leaves open."""
    n_vertices = len(face.vertices(actions, Pose()))
    unshaded = Shading(np.ones(n_vertices, np.float32), np.ones(n_vertices, np.float32))
    shot = face.show(actions, Pose(), light, View((160, 160), 130.0, (80.0, 86.0)), unshaded)
    return int((_within(shot.landmarks[OUTLINE], shot.coverage.shape) & (shot.coverage < 0.5)).sum())


def _looked_at(name: str, subject: str, emotion: str, frame: Frame, stored: Image.Image, holes: int) -> Soundness:
    grey = np.asarray(stored.convert("L"))
    points = frame.landmarks
    height, width = grey.shape
    inside = bool((points >= 0).all() and (points[:, 0] < width).all() and (points[:, 1] < height).all())
    face = grey[_within(points[OUTLINE], grey.shape)].astype(float)
    middle = points[27:36].mean(axis=0)
    boxes = find_faces(grey) or find_faces(grey, second_attempt=True)
    found = any(np.abs(middle - (box.x, box.y)).max() < box.side / 2 for box in boxes)
    brightness, contrast = (float(face.mean()), float(face.std())) if len(face) else (0.0, 0.0)
    intensity = float(frame.facts["intensity"])
    return Soundness(name, subject, emotion, intensity, brightness, contrast, holes, inside, found)


OUTLINE = [*range(17), *range(26, 16, -1)]
"""Landmarks round the face: along the jaw from ear to ear, and back along the brows."""


def _within(outline: Floats, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark the pixels (height, width) whose centres lie well within an outline (K, 2)."""
    rows, columns = np.indices(shape)
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
    middle = outline.mean(axis=0)
    shrunk = middle + 0.9 * (outline - middle)  # the landmarks of the jaw lie on the very edge of the head
    return np.asarray(Outline(shrunk).contains_points(centres)).reshape(shape)


@dataclass(frozen=True)
class Inspection:
    """How many frames to look at.

    Parameters
    ----------
    frames : int
        Of all three stand-ins together.
    seed : int
        Of the people; 0 is the record's.
    table : Path, optional
        Where the lines go; default ``record/soundness.csv`` in the repository.
    """

    frames: int = 200
    seed: int = 0
    table: Path | None = None


def main() -> None:
    """Look at random frames of each stand-in, write a line for each, and say what was found."""
    asked = tyro.cli(Inspection, prog="python -m gndl.standins.soundness", description=__doc__)
    rows = []
    for name in DATABASES:
        count = -(-asked.frames // len(DATABASES))
        frames = progress(random_frames(name, count, asked.seed), f"Looking at {name}", total=count, unit="frame")
        looked = list(frames)
        rows += [asdict(one) | {"sound": one.sound} for one in looked]
        print(
            f"{name}: {sum(one.sound for one in looked)} of {count} frames sound, "
            f"a face found in {sum(one.found for one in looked)}"
        )
    path = write_csv(pd.DataFrame(rows).round(3), asked.table or repository_root() / "record" / "soundness.csv")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
