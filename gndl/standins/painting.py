"""The canvas on which a face is painted: skin unrolled round a vertical axis through the head.

A point of the canvas is a height (dm) and an angle (radians, 0 at the middle of the face, positive on the subject's
left) of the head at rest, so that whatever is painted moves with the skin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from gndl.standins.head import Floats
from gndl.standins.kernels import MAP_AXIS, MAP_HEIGHTS

ROWS, COLUMNS = 576, 1024
"""Size of the canvas: about half a millimetre of the face to a point."""

RADIUS = 0.92
"""Distance (dm) of the face from the axis: what an angle is worth in length."""


def grid() -> tuple[Floats, Floats]:
    """Height (rows, 1) and angle (1, columns) of every point of the canvas."""
    high, low = MAP_HEIGHTS[1], MAP_HEIGHTS[0]
    height = high - (np.arange(ROWS, dtype=np.float32) + 0.5) / ROWS * (high - low)
    angle = ((np.arange(COLUMNS, dtype=np.float32) + 0.5) / COLUMNS - 0.5) * 2 * np.pi
    return height[:, None], angle[None, :].astype(np.float32)


def place_on_canvas(height: NDArray, angle: NDArray) -> tuple[NDArray, NDArray]:
    """Rows and columns, with fractions, of points of the head."""
    high, low = MAP_HEIGHTS[1], MAP_HEIGHTS[0]
    return (high - height) / (high - low) * ROWS - 0.5, (angle / (2 * np.pi) + 0.5) * COLUMNS - 0.5


def around_head(points: Floats) -> tuple[Floats, Floats]:
    """Height and angle of points (N, 3) of the head at rest, as the painting is laid out."""
    return points[:, 1], np.arctan2(points[:, 0], points[:, 2] - MAP_AXIS)


def noise(
    rng: np.random.Generator, scale: float | tuple[float, float], shape: tuple[int, int] = (ROWS, COLUMNS)
) -> Floats:
    """Smooth noise of mean 0 and deviation 1; ``scale`` (points) down and across.

    What is much smoother than the canvas is drawn coarsely and enlarged, which is several times faster.
    """
    down, across = scale if isinstance(scale, tuple) else (scale, scale)
    coarser = int(np.clip(min(down, across) // 2, 1, 4))
    small = tuple(-(-n // coarser) for n in shape)
    drawn = rng.standard_normal(small, np.float32)
    drawn = gaussian_filter(drawn, (down / coarser, across / coarser), mode=("nearest", "wrap"), truncate=3.0)
    if coarser > 1:
        drawn = zoom(drawn, coarser, order=1, grid_mode=True, mode="nearest")[: shape[0], : shape[1]]
    return drawn / drawn.std()


def over(colour: Floats, paint: Floats, density: Floats) -> Floats:
    """``colour`` with ``paint`` over it, ``density`` (in [0, 1]) of it."""
    return colour + (paint - colour) * density[..., None]


def bump(x: NDArray, centre: float, width: float) -> NDArray:
    """Bell of height 1 round ``centre``."""
    return np.exp(-0.5 * ((x - centre) / width) ** 2)


def step(x: NDArray, low: NDArray | float, high: NDArray | float) -> NDArray:
    """Smooth step from 0 at ``low`` to 1 at ``high``, which may be the smaller of the two."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
