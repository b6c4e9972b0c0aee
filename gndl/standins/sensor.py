"""From linear light to the picture that a camera stores: lens, motion, exposure and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from gndl.standins.faces import ENCODED, SENSOR_NOISE
from gndl.standins.head import Floats

STILL = 0.35
"""Movement in pixels during one exposure below which a picture is not smeared."""


def record(
    linear: Floats,
    rng: np.random.Generator,
    *,
    exposure: float,
    noise: float,
    blur: float = 0.0,
    motion: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.uint8]:
    """Return the stored picture (height, width, 3).

    Parameters
    ----------
    linear : array (height, width, 3)
        Linear light.
    rng : numpy.random.Generator
        Gives the noise.
    exposure : float
        Factor on the light.
    noise : float
        Standard deviation of the noise, as a fraction of white.
    blur : float
        Standard deviation of the lens's blur in pixels.
    motion : (float, float)
        Movement (x, y) of the face in pixels while the shutter is open.
    """
    display = ENCODED[np.clip(linear * (1024 * exposure), 0, 4095).astype(np.int16)] * np.float32(255)
    smear = _smear(motion)
    if blur > 0 or smear is not None:
        # The noise comes after the lens, so that eight bits are enough in between.
        image = Image.fromarray((display + 0.5).astype(np.uint8))
        if smear is not None:
            image = image.filter(smear)
        if blur > 0:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        display = np.asarray(image, np.float32)
    if noise == 0:
        return (display + 0.5).astype(np.uint8)
    grain = np.frombuffer(rng.bytes(display.size), np.uint8).reshape(display.shape)
    return np.clip(display + SENSOR_NOISE[grain] * np.float32(255 * noise) + 0.5, 0, 255).astype(np.uint8)


def _smear(motion: tuple[float, float]) -> ImageFilter.Kernel | None:
    """Five by five weights along a movement of at most four pixels; None where nothing moves visibly."""
    length = float(np.hypot(*motion))
    if length < STILL:
        return None
    x, y = np.array(motion) / length * min(length, 4.0)
    weights = np.zeros((5, 5))
    for share in np.linspace(-0.5, 0.5, 17):
        column, row = 2 + share * x, 2 + share * y
        j, i = min(int(column), 3), min(int(row), 3)
        u, v = column - j, row - i
        weights[i : i + 2, j : j + 2] += np.outer([1 - v, v], [1 - u, u])
    return ImageFilter.Kernel((5, 5), weights.ravel().tolist(), float(weights.sum()))
