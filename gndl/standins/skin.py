"""Painting of a face: skin, brows, stubble, hair and collar, unrolled round a vertical axis through the head.

A painting is an array (rows, columns, 4) over the height and the angle round the head's axis: linear RGB, and in the
last channel how much of the surface is hair or cloth, which neither shines nor lets light in as skin does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from gndl.standins.head import Floats
from gndl.standins.kernels import MAP_AXIS, MAP_HEIGHTS

ROWS, COLUMNS = 576, 1024

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Complexion:
    """How a subject's skin and hair look; colours are linear RGB."""

    skin: Colour
    hair: Colour
    brow: Colour
    cloth: Colour
    brow_thickness: float
    """Half height of the brow in dm."""
    brow_density: float
    stubble: float
    """Darkness of a shaven beard, in [0, 1]."""
    freckles: float
    hairline: float
    """Height of the hairline at the middle of the forehead, in dm."""
    parting: float
    """How far the hairline recedes at the temples, in dm."""
    nape: float
    """Height of the hair's lower edge behind the ears, in dm: long hair hangs down."""


def _grid() -> tuple[Floats, Floats]:
    high, low = MAP_HEIGHTS[1], MAP_HEIGHTS[0]
    height = high - (np.arange(ROWS, dtype=np.float32) + 0.5) / ROWS * (high - low)
    angle = ((np.arange(COLUMNS, dtype=np.float32) + 0.5) / COLUMNS - 0.5) * 2 * np.pi
    return height[:, None], angle[None, :].astype(np.float32)


def paint(complexion: Complexion, rng: np.random.Generator) -> Floats:
    """Paint one subject; ``rng`` draws the pattern of pores, freckles, hairs and strands."""
    height, angle = _grid()
    colour = np.ones((ROWS, COLUMNS, 3), np.float32) * np.array(complexion.skin, np.float32)
    colour *= _mottled(rng)[..., None]
    colour *= _flush(height, angle)
    if complexion.freckles > 0:
        spots = _noise(rng, 1.6) * _bump(height, 7.05, 0.25) * _bump(angle, 0, 0.6)
        colour *= (1 - complexion.freckles * np.clip(spots * 4 - 1.3, 0, 1))[..., None] ** np.array([0.7, 1.0, 1.1])
    beard = complexion.stubble * _beard_region(height, angle) * (0.75 + 0.5 * _noise(rng, 0.7))
    colour = _over(colour, np.array(complexion.hair, np.float32) * 0.8, np.clip(beard, 0, 0.75))
    hairs = _brows(complexion, height, angle, rng)
    colour = _over(colour, np.array(complexion.brow, np.float32), hairs)
    fringe = 0.030 * _noise(rng, (9, 1.2)) + 0.018 * _noise(rng, (30, 9))
    hair = hair_mask(complexion, height, angle, fringe)
    strands = 0.9 + 0.22 * _noise(rng, (22, 0.8)) + 0.16 * _noise(rng, (40, 2.2))
    colour = _over(colour, np.array(complexion.hair, np.float32) * np.clip(strands, 0.15, 2.2)[..., None], hair)
    cloth = _step(height + 0.05 * np.cos(angle), 5.90, 5.87) * np.ones_like(hair)
    colour = _over(colour, np.array(complexion.cloth, np.float32), cloth)
    return np.dstack([colour, np.maximum(np.maximum(hair, cloth), 0.6 * hairs)]).astype(np.float32)


def hair_mask(complexion: Complexion, height: Floats, angle: Floats, ragged: Floats | float = 0.0) -> Floats:
    """How much of the head at ``height`` (dm) and ``angle`` (radians) is covered by hair, in [0, 1]."""
    turn = np.abs(angle)
    receding = complexion.parting * _bump(turn, 0.55, 0.22)
    forehead = complexion.hairline - 0.10 * (turn / 0.5) ** 2
    temple = np.maximum(complexion.hairline - 0.10 - (turn - 0.5) * 1.05, 7.22)
    behind_the_ear = 7.22 + (complexion.nape - 7.22) * np.clip((turn - 1.75) / 0.35, 0, 1)
    edge = np.where(turn < 0.5, forehead, np.where(turn < 1.6, temple, behind_the_ear)) + receding * (turn < 1.3)
    return _step(height + ragged, edge - 0.03, edge + 0.05)


def around_head(points: Floats) -> tuple[Floats, Floats]:
    """Height and angle of points (N, 3) of the head at rest, as the painting is laid out."""
    return points[:, 1], np.arctan2(points[:, 0], points[:, 2] - MAP_AXIS)


def _brows(complexion: Complexion, height: Floats, angle: Floats, rng: np.random.Generator) -> Floats:
    """Density of brow hairs: an arch that is full near the nose and thins out to the temple."""
    turn = np.abs(angle)
    along = np.clip((turn - 0.15) / (0.63 - 0.15), 0, 1)
    middle = 7.462 + 0.075 * np.sin(np.pi * np.clip(along, 0, 1) ** 1.3) - 0.045 * along**2
    half = complexion.brow_thickness * (1.0 - 0.60 * along**1.5)
    across = np.abs(height - middle) / half
    inside = _step(across, 1.25, 0.55) * _step(turn, 0.135, 0.20) * _step(turn, 0.65, 0.56)
    hairs = 0.86 + 0.22 * _noise(rng, (1.3, 0.8))
    return np.clip(inside * hairs * complexion.brow_density, 0, 1)


def _beard_region(height: Floats, angle: Floats) -> Floats:
    jaw = _step(height, 6.92, 6.70) * _step(height, 6.05, 6.25)
    sideways = _step(np.abs(angle), 1.35, 1.05)
    cheek = _bump(np.abs(angle), 0.50, 0.22) * _bump(height, 6.93, 0.18)
    return np.clip(jaw * sideways - cheek, 0, 1)


def _flush(height: Floats, angle: Floats) -> Floats:
    """Redder cheeks and nose, darker sockets and paler forehead."""
    turn = np.abs(angle)
    red = 0.16 * _bump(turn, 0.50, 0.24) * _bump(height, 6.98, 0.20) + 0.14 * _bump(angle, 0, 0.12) * _bump(
        height, 6.92, 0.12
    )
    socket = 0.15 * _bump(turn, 0.34, 0.22) * _bump(height, 7.30, 0.09)
    tint = np.stack([1 + 0.2 * red - socket, 1 - red - 1.2 * socket, 1 - 0.9 * red - socket], axis=-1)
    return tint.astype(np.float32)


def _mottled(rng: np.random.Generator) -> Floats:
    return 1 + 0.035 * _noise(rng, 18) + 0.030 * _noise(rng, 5) + 0.045 * _noise(rng, 1.0)


def _noise(rng: np.random.Generator, scale: float | tuple[float, float]) -> Floats:
    """Smooth noise of mean 0 and deviation about 1, the same at both ends of the unrolled angle."""
    noise = gaussian_filter(rng.standard_normal((ROWS, COLUMNS)).astype(np.float32), scale, mode=("nearest", "wrap"))
    return noise / noise.std()


def _over(colour: Floats, paint: Floats, density: Floats) -> Floats:
    return colour * (1 - density[..., None]) + paint * density[..., None]


def _bump(x: NDArray, centre: float, width: float) -> NDArray:
    return np.exp(-0.5 * ((x - centre) / width) ** 2)


def _step(x: NDArray, low: NDArray | float, high: NDArray | float) -> NDArray:
    """Smooth step from 0 at ``low`` to 1 at ``high``, which may be the smaller of the two."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
