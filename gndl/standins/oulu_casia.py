"""Writes a subject of the Oulu-CASIA stand-in as the database is distributed (Zhao et al. 2011).

Colour JPEGs in visible light and strong illumination: ``OriginalImg/VL/Strong/P001/Anger/000.jpeg``. Some subjects are
filmed in the other five combinations of camera (VL, NI) and illumination (Strong, Weak, Dark) as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gndl.files import written_aside
from gndl.standins.difficulty import DIFFICULTY
from gndl.standins.filming import Studio, Subject, film, stage
from gndl.standins.lighting import FURTHER, STRONG
from gndl.standins.performing import performed
from gndl.standins.plan import PlannedSequence
from gndl.standins.timing import rise
from gndl.standins.truth import SequenceTruth

STUDIO = Studio(size=(320, 240), eye_distance=(42.0, 56.0), difficulty=DIFFICULTY["oulu_casia"])
QUALITY = 88
"""Quality of the JPEGs."""


def write_sequence(
    root: Path, name: str, subject: Subject, sequence: PlannedSequence, studio: Studio, rng: np.random.Generator
) -> SequenceTruth:
    """Film one sequence, in every light that is planned, and write its frames below ``root``."""
    emotion = str(sequence.emotion)
    performance, drifting = performed(subject, emotion, studio, rng)
    take = stage(subject, studio, performance, rise(sequence.n_frames, len(performance.units), rng), rng)
    truth = SequenceTruth()
    for lighting in (STRONG, *FURTHER) if sequence.in_all_lights else (STRONG,):
        folder = Path("OriginalImg") / lighting.camera / lighting.name / name / emotion.capitalize()
        for frame, filmed in enumerate(film(subject, studio, take, rng, lighting=lighting)):
            file = folder / f"{frame:03d}.jpeg"
            with written_aside(root / file) as aside:
                as_stored(filmed.picture).save(aside, quality=QUALITY)
            truth.add(
                filmed,
                {
                    "database": "oulu_casia",
                    "subject": name,
                    "sequence": f"{name}_{emotion.capitalize()}",
                    "file": file.as_posix(),
                    "index": frame,
                    "emotion": emotion,
                }
                | drifting,
            )
    return truth


def as_stored(picture: NDArray[np.uint8]) -> Image.Image:
    """A frame as the database keeps it: in colour."""
    return Image.fromarray(picture)
