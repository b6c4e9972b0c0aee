"""Look at random frames of the stand-ins by numbers: lit, whole, landmarks inside, and with a face that dlib finds.

``python tools/soundness.py --frames 200`` writes a line per frame to ``record/soundness.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gndl.eyes import find_faces
from gndl.files import repository_root, write_csv
from gndl.profiles import PROFILES
from standins.camera import draw_light
from standins.faces import Face, Pose, Shading, View
from standins.files import progress
from standins.filming import film, stage
from standins.layouts import LAYOUTS
from standins.performance import performed
from standins.plan import DATABASES, plan
from standins.render import invited, stream
from standins.timing import rise, rise_and_fall

DARK, BRIGHT = 25.0, 235.0
"""Mean brightness of a face, of 255, outside which it cannot be made out."""
OUTLINE = [*range(17), *range(26, 16, -1)]
"""Landmarks round the face: along the jaw from ear to ear, and back along the brows."""


def random_frames(name: str, count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Film ``count`` frames of frontal sequences drawn at random from the full-size plan, and look at each."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, DATABASES.index(name), 200)))
    film_set = LAYOUTS[name].film_set
    subjects = plan(name, PROFILES["paper"].standins[name], seed)
    showing = [(subject, sequence) for subject in subjects for sequence in subject.sequences if sequence.view == 0]
    for k in rng.integers(len(showing), size=count):
        planned, sequence = showing[int(k)]
        own = stream(name, seed, planned.index, sequence.number)
        with threadpool_limits(1):
            visitor = invited(name, planned, seed, film_set)
            style = visitor.face.identity.style
            performance, _ = performed(sequence.emotion, style, film_set.difficulty, own)
            moves = rise_and_fall if name == "mmi" else rise
            take = stage(visitor, film_set, performance, moves(sequence.n_frames, len(performance.units), own), own)
            moment = int(rng.integers(sequence.n_frames))
            (frame,) = film(visitor, film_set, take, own, frames=[moment])
            holes = open_pixels(visitor.face, take.actions[moment])
        grey = np.asarray(LAYOUTS[name].as_stored(frame.picture).convert("L"))
        about = {"database": name, "subject": planned.name, "emotion": sequence.emotion or ""}
        intensity = float(frame.facts["intensity"])
        yield about | {"intensity": intensity} | looked_at(grey, frame.landmarks, holes)


def open_pixels(face: Face, actions: NDArray) -> int:
    """Count the pixels inside the outline of a frontal face that its mesh leaves open."""
    everywhere = np.ones(len(face.vertices(actions, Pose())), np.float32)
    light = draw_light(np.random.default_rng(0))  # any will do
    shot = face.show(actions, Pose(), light, View((160, 160), 130.0, (80.0, 86.0)), Shading(everywhere, everywhere))
    return int((within(shot.landmarks[OUTLINE], shot.coverage.shape) & (shot.coverage < 0.5)).sum())


def looked_at(grey: NDArray[np.uint8], points: NDArray, holes: int) -> dict[str, Any]:
    """What is found in a frame; it is sound unless something is wrong with it, be the face found or not."""
    height, width = grey.shape
    inside = bool((points >= 0).all() and (points[:, 0] < width).all() and (points[:, 1] < height).all())
    face = grey[within(points[OUTLINE], grey.shape)].astype(float)
    middle = points[27:36].mean(axis=0)
    boxes = find_faces(grey) or find_faces(grey, second_attempt=True)
    found = any(np.abs(middle - (box.x, box.y)).max() < box.side / 2 for box in boxes)
    brightness, contrast = (float(face.mean()), float(face.std())) if len(face) else (0.0, 0.0)
    return {
        "brightness": brightness,
        "contrast": contrast,
        "open_pixels": holes,
        "landmarks_inside": inside,
        "found": found,
        "sound": DARK < brightness < BRIGHT and contrast > 8 and holes == 0 and inside,
    }


def within(outline: NDArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark the pixels (height, width) whose centres lie well within an outline (K, 2)."""
    rows, columns = np.indices(shape)
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
    middle = outline.mean(axis=0)
    shrunk = middle + 0.9 * (outline - middle)  # the landmarks of the jaw lie on the very edge of the head
    return np.asarray(Outline(shrunk).contains_points(centres)).reshape(shape)


def main() -> None:
    """Look at random frames of each stand-in, write a line for each, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200, help="of all three stand-ins together")
    parser.add_argument("--seed", type=int, default=0, help="of the people; 0 is the record's")
    parser.add_argument("--table", type=Path, default=repository_root() / "record" / "soundness.csv")
    asked = parser.parse_args()
    tables = []
    for name in DATABASES:
        count = -(-asked.frames // len(DATABASES))
        frames = progress(random_frames(name, count, asked.seed), f"Looking at {name}", total=count, unit="frame")
        table = pd.DataFrame(list(frames))
        print(f"{name}: {table['sound'].sum()} of {count} frames sound, a face found in {table['found'].sum()}")
        tables.append(table)
    write_csv(pd.concat(tables).round(3), asked.table)
    print(f"written: {asked.table}")


if __name__ == "__main__":
    main()
