"""Light and camera: lamps, Oulu-CASIA's six lights, the wall behind a face, and the picture that a sensor stores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.special import ndtri

from standins.head import Floats

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """One large lamp, a weaker light from the other side and light from all round; directions in camera space."""

    key_direction: Triple
    key: Triple
    fill_direction: Triple
    fill: Triple
    ambient: Triple


@dataclass(frozen=True)
class Camera:
    """Pinhole camera at the origin that looks along -z; ``focal`` and the principal point ``centre`` in pixels."""

    size: tuple[int, int]
    focal: float
    centre: tuple[float, float]

    def project(self, points: Floats) -> Floats:
        """Picture coordinates (…, 2), in pixels from the upper left corner, of points (…, 3) in camera space."""
        depth = -points[..., 2]
        x = points[..., 0] / depth * self.focal + self.centre[0]
        y = self.centre[1] - points[..., 1] / depth * self.focal
        return np.stack([x, y], axis=-1).astype(np.float32)


def draw_light(rng: np.random.Generator, *, spread: float = 1.0) -> Light:
    """Draw a lamp somewhere in front of the face, with ``spread`` times the usual variation of direction."""
    azimuth = np.radians(rng.normal(0, 28) * spread)
    height = np.radians(np.clip(28 + rng.normal(0, 14) * spread, -5, 65))
    key = np.array([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)])
    fill = np.array([-np.sign(azimuth) * rng.uniform(0.4, 0.9), rng.uniform(-0.2, 0.3), 0.7])
    warmth = np.exp(rng.normal(0, 0.05)) ** np.array([1.0, 0.0, -1.0])
    key_amount, fill_amount, ambient = rng.uniform(0.75, 1.15), rng.uniform(0.10, 0.30), rng.uniform(0.16, 0.34)
    return Light(
        key_direction=triple(key / np.linalg.norm(key)),
        key=triple(key_amount * warmth),
        fill_direction=triple(fill / np.linalg.norm(fill)),
        fill=triple(np.full(3, fill_amount)),
        ambient=triple(np.full(3, ambient)),
    )


def backdrop(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A plain wall with an uneven light on it: linear RGB (height, width, 3)."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = rng.normal(0, 0.25, 2)
    level = rng.uniform(0.03, 0.45) * np.exp(slope[0] * (x / width - 0.5) + slope[1] * (y / height - 0.5))
    bump = np.exp(
        -((x / width - rng.uniform(0, 1)) ** 2 + (y / height - rng.uniform(0, 1)) ** 2) / rng.uniform(0.1, 0.5)
    )
    return (level * (1 + rng.uniform(-0.3, 0.3) * bump))[..., None] * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)


# --- Oulu-CASIA's cameras and illuminations


@dataclass(frozen=True)
class Lighting:
    """One camera in one illumination.

    Visible light (VL) is strong, weak (the computer's display only) or dark. The near-infrared camera (NI) has its own
    lamp next to the lens: grey pictures with bright skin, pale lips, dark pupils and hardly any shadow.
    """

    camera: str  # VL or NI
    name: str  # Strong, Weak or Dark
    share: float  # light that reaches the sensor after its gain, as a share of what strong light gives
    noise: float  # how many times the noise of strong light the gain makes visible

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
        key=triple(0.80 * level * cool),
        fill=triple(np.array(light.fill) * 0.35 * lighting.share),
        ambient=triple(np.array(light.ambient) * 0.75 * lighting.share),
    )


def near_infrared(picture: Floats) -> Floats:
    """What a near-infrared camera sees where an ordinary one sees ``picture`` (…, 3), both in linear light.

    Melanin and blood absorb little there: skin of every tone, lips and hair come nearer to each other and brighter.
    The red channel, the nearest in wavelength, stands for the missing one, with its contrast compressed.
    """
    red = 0.85 * picture[..., 0] + 0.15 * picture[..., 1]
    grey = 0.78 * np.maximum(red, 0.0) ** 0.62
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.float32)


def _grey(colour: Triple, share: float) -> Triple:
    level = float(np.mean(colour)) * share
    return level, level, level


def _towards(direction: Triple) -> Triple:
    return triple(np.array(direction) / np.linalg.norm(direction))


def triple(values: NDArray) -> Triple:
    """Three Python floats."""
    x, y, z = (float(value) for value in values)
    return x, y, z


# --- the sensor


def encode(linear: Floats) -> Floats:
    """Linear light to display values in [0, 1]: the sRGB power law with a shoulder, so that nothing burns out."""
    bent = np.where(linear < 0.55, linear, 0.55 + 0.45 * (1 - np.exp(-(linear - 0.55) / 0.45)))
    return (np.clip(bent, 0, 1) ** (1 / 2.2)).astype(np.float32)


ENCODED = encode(np.arange(4096, dtype=np.float32) / 1024)
"""Display values of linear light from 0 to 4, in steps of 1/1024: a look-up is ten times faster than the power."""

SENSOR_NOISE = ndtri((np.arange(256) + 0.5) / 256).astype(np.float32)
"""Normal deviates by a random byte, which is drawn much faster than a normal deviate."""

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
    """Return the stored picture (height, width, 3) of linear light.

    ``noise`` is its standard deviation as a fraction of white (drawn from ``rng``), ``blur`` the standard deviation of
    the lens's blur in pixels, ``motion`` the movement (x, y) of the face in pixels while the shutter is open.
    """
    display = ENCODED[np.clip(linear * (1024 * exposure), 0, 4095).astype(np.int16)] * np.float32(255)
    smear = _smear(motion)
    if blur > 0 or smear is not None:
        # The noise comes after the lens, so eight bits are enough in between.
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
