"""How hard the expressions of a stand-in are to tell apart: every number that calibration turns, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from gndl.files import hash_json
from gndl.standins.appearance import Appearance


@dataclass(frozen=True)
class Difficulty:
    """What varies in a stand-in database, and how far.

    Parameters
    ----------
    strength : (float, float)
        Least and largest overall strength of an expression at its apex; 1 is a recipe's full strength.
    blend : float
        Largest share, in [0, 1], by which a sequence may drift to the class that people confuse with its own.
    variety : float
        Share of the sequences, in [0, 1], in which people may show an emotion otherwise than most do.
    light_spread : float
        Variation of the lamp's direction from subject to subject; 1 is 28° to the sides and 14° in height.
    pose : (float, float, float)
        Largest yaw, pitch and roll of the head, in degrees.
    drift : float
        How far the head moves in the course of a sequence, in degrees.
    exposure : float
        Standard deviation of the exposure from sequence to sequence, in the logarithm.
    noise : float
        Standard deviation of the sensor's noise, as a fraction of white.
    blur : float
        Largest standard deviation of the lens's blur, in pixels of the frame.
    appearance : Appearance
        Glasses, beards and hair over the face, and how far subjects differ in shape, resting face and wrinkles.
    """

    strength: tuple[float, float] = (0.6, 1.0)
    blend: float = 0.0
    variety: float = 1.0
    light_spread: float = 1.0
    pose: tuple[float, float, float] = (6.0, 5.0, 3.0)
    drift: float = 1.0
    exposure: float = 0.10
    noise: float = 0.004
    blur: float = 0.9
    appearance: Appearance = field(default_factory=Appearance)

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ where any number differs; STAND-IN.txt states them."""
        return hash_json(asdict(self))[:12]


DIFFICULTY: dict[str, Difficulty] = {
    "ckplus": Difficulty(
        strength=(0.85, 1.0),
        variety=0.3,
        light_spread=0.8,
        appearance=Appearance(glasses=0.0, beard=0.2, fringe=0.1, resting_sigma=0.05),
    ),
    "oulu_casia": Difficulty(
        strength=(0.35, 0.9),
        blend=0.5,
        noise=0.007,
        blur=0.8,
        appearance=Appearance(glasses=0.25, fringe=0.15),
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
"""The standard difficulty of each database, which calibration has set on the baseline alone."""
