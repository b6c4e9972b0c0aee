"""Hair: which style a subject wears, and the shells that stand for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STYLES = ("bald", "short", "crop", "parted", "tied", "behind-ears", "shoulders")
"""Styles by length, from none at all to the shoulders."""


@dataclass(frozen=True)
class HairStyle:
    """How a subject wears the hair.

    Parameters
    ----------
    style : str
        One of :data:`STYLES`.
    fringe : float
        How far a fringe hangs over the forehead: 0 for none, 1 for down to the brows; more covers them.
    side : float
        Where the parting lies: -1 or +1 for one side, 0 for the middle.
    curl : float
        Waviness of the strands, in [0, 1].
    """

    style: str = "short"
    fringe: float = 0.0
    side: float = 1.0
    curl: float = 0.2


def draw_hair(femininity: float, age: float, long_hair: float, fringe: float, rng: np.random.Generator) -> HairStyle:
    """Draw a style that goes with sex and age; ``long_hair`` and ``fringe`` are probabilities."""
    man = femininity < 0.5
    long = rng.random() < (0.15 * long_hair if man else long_hair)
    receding = man and rng.random() < 0.05 + 0.35 * age
    styles = (
        ("behind-ears", "shoulders") if long else ("short", "crop", "parted") if man else ("parted", "tied", "crop")
    )
    style = str(rng.choice(styles))
    hanging = float(rng.uniform(0.55, 1.25)) if rng.random() < fringe else 0.0
    if receding and not long:
        style, hanging = ("bald" if rng.random() < 0.5 else "short"), 0.0
    return HairStyle(style, hanging, float(rng.choice([-1.0, 1.0])), float(rng.beta(1.2, 3.0)))
