"""Painting of a face: skin, brows, lids, hair and collar, unrolled round a vertical axis through the head.

A point of the canvas is a height (dm) and an angle (radians, 0 at the middle of the face, positive on the subject's
left) of the head at rest, so that whatever is painted moves with the skin. A painting is an array (rows, columns, 4):
linear RGB, and in the last channel how much of the surface is hair or cloth, which neither shines nor lets light in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from standins.head import Floats

MAP_AXIS = 0.55
"""Depth (dm) of the vertical axis round which skin is unrolled."""
MAP_HEIGHTS = (5.75, 8.65)
"""Heights (dm) of the lower and upper edge of the unrolled skin."""
RELIEF_TOP, RELIEF_LEFT = 116, 336
"""First row and column of the canvas that a relief (:mod:`standins.wrinkles`) covers."""
RELIEF_SHAPE = (412, 352)
"""Rows and columns of a relief: the face from the hairline to below the chin, and from temple to temple."""

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


# --- skin

Colour = tuple[float, float, float]

BLOOD = np.array([0.07, -0.30, -0.26], np.float32)
"""What more blood under the skin does to red, green and blue (logarithms)."""
PIGMENT = np.array([-0.55, -0.85, -1.00], np.float32)
"""What more pigment does to them."""


@dataclass(frozen=True)
class Complexion:
    """How a subject's skin and hair look; colours are linear RGB, lengths in dm."""

    skin: Colour
    hair: Colour
    brow: Colour
    cloth: Colour
    brow_thickness: float  # half height of the brow
    brow_density: float
    stubble: float  # darkness of a shaven beard, in [0, 1]
    freckles: float
    hairline: float  # height at the middle of the forehead
    parting: float  # how far the hairline recedes at the temples
    nape: float  # height of the hair's lower edge behind the ears: long hair hangs down
    brow_arch: float = 0.075
    brow_tilt: float = 0.0  # how far the brow rises towards the temple
    ruddiness: float = 1.0  # blood in cheeks, nose and round the mouth; 1 is usual
    rings: float = 1.0  # darkness round the eyes; 1 is usual
    age_spots: float = 0.0  # pigment spots and unevenness of old skin, in [0, 1]
    moles: int = 0
    lash_line: float = 0.7  # darkness of the lids' edge where the lashes grow, in [0, 1]
    crown: float = 99.0  # height above which a bald head has no hair


def paint(complexion: Complexion, rng: np.random.Generator, bristles: Callable[..., Floats] | None = None) -> Floats:
    """Paint one subject; ``rng`` draws the pattern of pores, freckles, moles, hairs and strands.

    ``bristles`` says how densely a beard covers the skin, from height, angle and a grain of noise.
    """
    height, angle = grid()
    skin_stream, spots_stream, brow_stream, hair_stream, bristle_stream = rng.spawn(5)
    blood, pigment = _blood_and_pigment(complexion, height, angle, skin_stream)
    pigment += _spots(complexion, height, angle, spots_stream)
    colour = np.array(complexion.skin, np.float32) * np.exp(blood[..., None] * BLOOD + pigment[..., None] * PIGMENT)
    shadow = complexion.stubble * _beard_region(height, angle) * (0.82 + 0.10 * noise(skin_stream, 1.4))
    # A shaven beard shows blue-grey through the skin.
    shaven = 0.55 * np.array(complexion.skin, np.float32).mean() * np.array([0.72, 0.76, 0.80], np.float32)
    colour = over(colour, shaven, np.clip(0.8 * shadow, 0, 0.75))
    if bristles is not None:
        grown = bristles(height, angle, noise(bristle_stream, (1.2, 0.7)))
        colour = over(colour, np.array(complexion.hair, np.float32) * 0.9, grown)
    colour = over(colour, np.array((0.03, 0.02, 0.017), np.float32), complexion.lash_line * _lid_edges(height, angle))
    hairs = _brows(complexion, height, angle, brow_stream)
    colour = over(colour, np.array(complexion.brow, np.float32), hairs)
    fringe = 0.030 * noise(hair_stream, (9, 1.2)) + 0.018 * noise(hair_stream, (30, 9))
    hair = hair_mask(complexion, height, angle, fringe)
    strands = 0.9 + 0.22 * noise(hair_stream, (22, 0.8)) + 0.16 * noise(hair_stream, (40, 2.2))
    colour = over(colour, np.array(complexion.hair, np.float32) * np.clip(strands, 0.15, 2.2)[..., None], hair)
    cloth = step(height + 0.05 * np.cos(angle), 5.90, 5.87) * np.ones_like(hair)
    colour = over(colour, np.array(complexion.cloth, np.float32), cloth)
    return np.dstack([colour, np.maximum(np.maximum(hair, cloth), 0.6 * hairs)]).astype(np.float32)


def from_afar(painting: Floats) -> Floats:
    """The painting at half its fineness, for pictures in which a pixel covers several of its points."""
    rows, columns = painting.shape[0] // 2, painting.shape[1] // 2
    return np.ascontiguousarray(painting.reshape(rows, 2, columns, 2, 4).mean(axis=(1, 3)))


def hair_mask(complexion: Complexion, height: Floats, angle: Floats, ragged: Floats | float = 0.0) -> Floats:
    """How much of the head at ``height`` (dm) and ``angle`` (radians) is covered by hair, in [0, 1]."""
    turn = np.abs(angle)
    receding = complexion.parting * bump(turn, 0.55, 0.22)
    forehead = complexion.hairline - 0.10 * (turn / 0.5) ** 2
    temple = np.maximum(complexion.hairline - 0.10 - (turn - 0.5) * 1.05, 7.22)
    behind_the_ear = 7.22 + (complexion.nape - 7.22) * np.clip((turn - 1.75) / 0.35, 0, 1)
    edge = np.where(turn < 0.5, forehead, np.where(turn < 1.6, temple, behind_the_ear)) + receding * (turn < 1.3)
    below_crown = step(height + 2 * ragged, complexion.crown + 0.10, complexion.crown - 0.15)
    return step(height + ragged, edge - 0.06, edge + 0.10) * below_crown


def _blood_and_pigment(
    complexion: Complexion, height: Floats, angle: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """How much more blood and pigment than on average there is at every point of the skin."""
    turn = np.abs(angle)
    blood = 0.42 * bump(turn, 0.50, 0.22) * bump(height, 6.97, 0.19)
    blood = blood + 0.45 * bump(turn, 0, 0.13) * bump(height, 6.90, 0.11)
    blood = blood + 0.30 * bump(turn, 0, 0.20) * bump(height, 6.33, 0.10)
    blood = blood + 0.30 * bump(turn, 0.33, 0.20) * bump(height, 7.25, 0.07)
    blood = blood + 0.22 * bump(turn, 0, 0.24) * bump(height, 6.60, 0.12)
    blood = blood - 0.20 * bump(turn, 0, 0.5) * bump(height, 7.72, 0.16)
    blood = complexion.ruddiness * blood + 0.07 * noise(rng, 20) + 0.045 * noise(rng, 5) + 0.04 * noise(rng, 2) - 0.08
    rings = bump(turn, 0.27, 0.13) * bump(height, 7.17, 0.050) + 0.8 * bump(turn, 0.17, 0.06) * bump(height, 7.27, 0.09)
    lids = bump(turn, 0.37, 0.15) * bump(height, 7.36, 0.05)
    pigment = 0.24 * complexion.rings * (rings + 0.55 * lids)
    pigment = pigment + 0.03 * noise(rng, 12) + 0.022 * noise(rng, 4) + 0.03 * noise(rng, 1.3)
    pigment = pigment * (1 + 0.7 * complexion.age_spots)
    return blood.astype(np.float32), pigment.astype(np.float32)


def _spots(complexion: Complexion, height: Floats, angle: Floats, rng: np.random.Generator) -> Floats:
    """Pigment of freckles, age spots and moles."""
    spots = np.zeros((ROWS, COLUMNS), np.float32)
    if complexion.freckles > 0:
        patches = bump(height, 7.05, 0.20) * bump(angle, 0, 0.60) * (0.8 + 0.35 * noise(rng, 14))
        spots += complexion.freckles * patches * np.clip(noise(rng, 1.5) * 1.4 - 1.2, 0, 1.3)
    if complexion.age_spots > 0:
        spots += 0.5 * complexion.age_spots * np.clip(noise(rng, 3.2) - 1.7, 0, 0.9) * step(height, 6.3, 6.6)
    for _ in range(complexion.moles):
        at_height, at_angle = rng.uniform(6.35, 7.75), rng.uniform(-0.85, 0.85)
        size, dark = rng.uniform(0.006, 0.013), rng.uniform(0.6, 1.5)
        off = np.hypot(height - at_height, (angle - at_angle) * RADIUS)
        spots += (dark * step(off, 1.5 * size, 0.5 * size)).astype(np.float32)
    return spots


def _lid_edges(height: Floats, angle: Floats) -> Floats:
    """Where the lashes grow: a line along the upper lid, and a fainter one along the outer half of the lower lid."""
    turn = np.abs(angle)
    knots = np.array([0.215, 0.26, 0.311, 0.36, 0.408, 0.46, 0.514, 0.545])
    upper = np.interp(turn, knots, [7.283, 7.307, 7.322, 7.329, 7.330, 7.318, 7.293, 7.278])
    lower = np.interp(turn, knots, [7.275, 7.258, 7.243, 7.239, 7.240, 7.253, 7.283, 7.29])
    outwards = step(turn, 0.20, 0.30) * step(turn, 0.56, 0.52)
    above = step(height, upper + 0.024, upper + 0.004) * step(height, upper - 0.03, upper - 0.01)
    below = 0.45 * step(height, lower - 0.018, lower - 0.004) * step(height, lower + 0.02, lower + 0.005)
    return np.clip(outwards * (above + below * step(turn, 0.30, 0.45)), 0, 1)


def _brows(complexion: Complexion, height: Floats, angle: Floats, rng: np.random.Generator) -> Floats:
    """Density of brow hairs: strokes that stand upright near the nose and lie down towards the temple."""
    strokes = np.zeros((ROWS, COLUMNS), np.float32)
    count = int(330 * complexion.brow_density * (0.5 + complexion.brow_thickness / 0.09))
    for side in (-1.0, 1.0):
        along = rng.beta(1.05, 1.25, count)
        across = np.clip(rng.normal(0, 0.55, count), -1.15, 1.15)
        along, across = along.astype(np.float32), across.astype(np.float32)
        # Upright at the head of the brow; further out, the upper hairs lean down and the lower ones up.
        upright = np.interp(along, [0, 0.12, 0.35, 1.0], [1.35, 1.0, 0.45, -0.30]) - 0.40 * across * along
        lean = upright + rng.normal(0, 0.16, count)
        length = rng.uniform(0.055, 0.095, count) * (1 - 0.35 * along)
        steps = np.linspace(-0.5, 0.5, 15)[:, None] * length
        turn = 0.125 + 0.50 * along + (steps * np.cos(lean)) / RADIUS
        rise = _brow_middle(complexion, along) + across * _brow_half(complexion, along) + steps * np.sin(lean)
        rows, columns = place_on_canvas(rise, side * turn)
        weight = 0.34 * np.sin(np.pi * np.linspace(0.1, 0.95, 15))[:, None] * rng.uniform(0.6, 1.2, count)
        _scatter(strokes, rows, columns, weight)
    turn = np.abs(angle)
    along = np.clip((turn - 0.125) / 0.50, 0, 1)
    off = np.abs(height - _brow_middle(complexion, along)) / _brow_half(complexion, along)
    shade = 0.30 * step(off, 1.3, 0.2) * step(turn, 0.10, 0.20) * step(turn, 0.65, 0.55)
    return np.clip(shade * complexion.brow_density + 1 - np.exp(-1.5 * strokes), 0, 0.97)


def _brow_middle(complexion: Complexion, along: Floats) -> Floats:
    arch = complexion.brow_arch * np.sin(np.pi * along**1.3)
    return 7.462 + arch + complexion.brow_tilt * along - 0.045 * along**2


def _brow_half(complexion: Complexion, along: Floats) -> Floats:
    return complexion.brow_thickness * (0.8 + 0.35 * bump(along, 0.15, 0.15)) * (1.0 - 0.66 * along**1.6)


def _scatter(canvas: Floats, rows: Floats, columns: Floats, weight: Floats) -> None:
    """Add ``weight`` to the four points of the canvas round each place."""
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, across = rows - top, columns - left
    for i, j, share in (
        (0, 0, (1 - down) * (1 - across)),
        (1, 0, down * (1 - across)),
        (0, 1, (1 - down) * across),
        (1, 1, down * across),
    ):
        np.add.at(canvas, (top + i, left + j), (share * weight).astype(np.float32))


def _beard_region(height: Floats, angle: Floats) -> Floats:
    turn = np.abs(angle)
    jaw = step(height, 6.98 - 0.10 * bump(turn, 0.35, 0.2), 6.62) * step(height, 6.00, 6.28)
    sideways = step(turn, 1.35, 0.95)
    cheek = 0.8 * bump(turn, 0.50, 0.20) * bump(height, 6.90, 0.16)
    nose = bump(turn, 0, 0.10) * step(height, 6.77, 6.83)
    return np.clip(jaw * sideways - cheek - nose, 0, 1)
