"""The six ways in which Oulu-CASIA lights and films a sequence: two cameras, three illuminations.

Visible light (VL) is strong, weak (the computer's display only) or dark. The near-infrared camera (NI) has its own
lamp beside the lens, so that its pictures hardly depend on the room: grey, with bright skin, pale lips, greyish hair
and dark pupils, and hardly any shadow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gndl.standins.head import Floats
from gndl.standins.raycast import Light


@dataclass(frozen=True)
class Lighting:
    """One camera in one illumination.

    Parameters
    ----------
    camera : {"VL", "NI"}
    name : {"Strong", "Weak", "Dark"}
    share : float
        Light that reaches the sensor after its gain, as a share of what strong light gives.
    noise : float
        How many times the noise of strong light the gain makes visible.
    """

    camera: str
    name: str
    share: float
    noise: float

    @property
    def kind(self) -> str:
        """Camera and illumination in one word, as in ``VL-Strong``."""
        return f"{self.camera}-{self.name}"


STRONG = Lighting("VL", "Strong", 1.0, 1.0)
FURTHER = (
    Lighting("VL", "Weak", 0.34, 2.2),
    Lighting("VL", "Dark", 0.09, 3.0),
    Lighting("NI", "Strong", 1.0, 1.3),
    Lighting("NI", "Weak", 0.93, 1.4),
    Lighting("NI", "Dark", 0.88, 1.5),
)
"""What some of the subjects are filmed in as well."""

DISPLAY = (0.05, -0.22, 0.97)
"""Direction of the computer's display, in front of and a little below the face."""


def lit(light: Light, lighting: Lighting) -> Light:
    """The light on a face in another illumination than the strong visible one, for which ``light`` was drawn."""
    if lighting.camera == "NI":
        room = {"Strong": 0.12, "Weak": 0.04, "Dark": 0.0}[lighting.name]
        return replace(
            light,
            key_direction=_towards((0.06, 0.10, 1.0)),
            key=(0.85, 0.85, 0.85),
            fill=_grey(light.fill, room),
            ambient=_grey((0.16, 0.16, 0.16), 1.0 + room),
        )
    if lighting.name == "Strong":
        return light
    cool = np.array([0.86, 0.99, 1.18])
    level = float(np.mean(light.key)) * lighting.share
    return replace(
        light,
        key_direction=_towards(DISPLAY),
        key=_triple(0.80 * level * cool),
        fill=_triple(np.array(light.fill) * 0.35 * lighting.share),
        ambient=_triple(np.array(light.ambient) * 0.75 * lighting.share),
    )


def near_infrared(picture: Floats) -> Floats:
    """What a near-infrared camera sees where an ordinary one sees ``picture`` (…, 3), both in linear light.

    Melanin and blood absorb little there: skin of every tone, lips and hair come nearer to each other and brighter.
    The red channel, the nearest in wavelength, stands for the missing one, with its contrast compressed.
    """
    red = 0.85 * picture[..., 0] + 0.15 * picture[..., 1]
    grey = 0.78 * np.maximum(red, 0.0) ** 0.62
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.float32)


def _grey(colour: tuple[float, float, float], share: float) -> tuple[float, float, float]:
    level = float(np.mean(colour)) * share
    return level, level, level


def _towards(direction: tuple[float, float, float]) -> tuple[float, float, float]:
    return _triple(np.array(direction) / np.linalg.norm(direction))


def _triple(values: Floats) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
