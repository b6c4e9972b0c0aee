"""How hard the expressions of a stand-in are to tell apart: every number that calibration sets, in one place."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

FRAMES = ("round", "rectangular", "rimless")
"""Frames of glasses."""
BEARDS = ("stubble", "moustache", "goatee", "full")
HAIR_STYLES = ("bald", "crop", "short", "curly", "parted", "tied", "behind-ears", "shoulders")
"""Styles by length, from none at all to the shoulders."""


@dataclass(frozen=True)
class Appearance:
    """What may be drawn for the subjects of a database, and how far they differ."""

    glasses: float = 0.2  # probability
    beard: float = 0.35  # probability, among men, of a beard, moustache or stubble
    fringe: float = 0.2  # probability of a fringe over the forehead
    long_hair: float = 0.5  # probability among women; men wear it a seventh as often
    shape_sigma: float = 0.2  # standard deviation of the local face changes; 1 is MakeHuman's full change
    resting_sigma: float = 0.1  # spread of the facial actions that a relaxed face always carries
    age_wrinkles: float = 1.0  # depth of the wrinkles of age; 1 is usual


@dataclass(frozen=True)
class Difficulty:
    """What varies in a stand-in database, and how far."""

    strength: tuple[float, float] = (0.6, 1.0)  # range of an expression's strength at its apex; 1 is a full recipe
    blend: float = 0.0  # largest drift, in [0, 1], to the class that people confuse with a sequence's own
    variety: float = 1.0  # share of the sequences in which people may show an emotion otherwise than most do
    light_spread: float = 1.0  # variation of the lamp's direction; 1 is 28° to the sides and 14° in height
    pose: tuple[float, float, float] = (6.0, 5.0, 3.0)  # largest yaw, pitch and roll in degrees
    drift: float = 1.0  # movement of the head in the course of a sequence, in degrees
    exposure: float = 0.10  # standard deviation of the log exposure from sequence to sequence
    noise: float = 0.004  # standard deviation of the sensor's noise, as a fraction of white
    blur: float = 0.9  # largest standard deviation of the lens's blur, in pixels
    appearance: Appearance = field(default_factory=Appearance)

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ where any number differs; STAND-IN.txt states them."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


DIFFICULTY: dict[str, Difficulty] = {
    "ckplus": Difficulty(
        strength=(0.85, 1.0),
        variety=0.3,
        light_spread=0.8,
        appearance=Appearance(glasses=0.0, beard=0.2, fringe=0.1, resting_sigma=0.05),
    ),
    "oulu_casia": Difficulty(
        strength=(0.35, 0.9), blend=0.5, noise=0.007, blur=0.8, appearance=Appearance(glasses=0.25, fringe=0.15)
    ),
    "mmi": Difficulty(
        strength=(0.75, 1.0),
        blend=0.1,
        variety=0.7,
        light_spread=1.2,
        pose=(12.0, 8.0, 6.0),
        drift=2.5,
        exposure=0.15,
        noise=0.006,
        blur=1.2,
        appearance=Appearance(glasses=0.35, beard=0.45, fringe=0.35, long_hair=0.6, resting_sigma=0.13),
    ),
}
"""The standard difficulty of each database, calibrated on the baseline alone."""
