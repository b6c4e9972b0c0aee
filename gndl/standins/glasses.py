"""Glasses: which frame a subject wears, and its geometry, fitted to nose, eyes and ears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FRAMES = ("round", "rectangular", "rimless")


@dataclass(frozen=True)
class Glasses:
    """One pair of glasses.

    Parameters
    ----------
    frame : str
        One of :data:`FRAMES`.
    size : float
        Width and height of the lenses; 1 is the usual size.
    thickness : float
        Thickness of the rim in dm.
    colour : (float, float, float)
        Linear RGB of the frame.
    tint : float
        Share of the light that the lenses keep back, in [0, 1].
    """

    frame: str = "rectangular"
    size: float = 1.0
    thickness: float = 0.03
    colour: tuple[float, float, float] = (0.02, 0.02, 0.02)
    tint: float = 0.06


def draw_glasses(probability: float, rng: np.random.Generator) -> Glasses | None:
    """Draw a pair of glasses, or none."""
    worn = rng.random() < probability
    frame = str(rng.choice(FRAMES))
    metal = frame != "rectangular"
    dark, light = (0.015, 0.25) if metal else (0.008, 0.05)
    grey = float(np.exp(rng.uniform(np.log(dark), np.log(light))))
    red, blue = (float(x) for x in np.exp(rng.normal(0, 0.25, 2)))
    thickness = float(rng.uniform(0.012, 0.018) if metal else rng.uniform(0.026, 0.045))
    glasses = Glasses(
        frame=frame,
        size=float(rng.uniform(0.92, 1.10)),
        thickness=thickness,
        colour=(grey * max(red, 1.0), grey, grey * min(blue, 1.0)),
        tint=float(rng.uniform(0.03, 0.12)),
    )
    return glasses if worn else None
