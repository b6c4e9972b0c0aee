"""Wrinkles: furrows of the skin that belong to a face, and those that come and go with what it does.

Both are the same furrows. A wrinkle's strength is what age and habit have left of it for good plus what the facial
actions add, so an old face at rest can carry the very lines that a younger one shows only in anger or grief: the
confusion of the paper's section 4.5 and Fig. 9. Which action folds the skin where follows FACS; the action unit is
given above each group.

A relief is an array (rows, columns, 4) over the window of the canvas that the face fills: slope of the surface across
and upwards, how much darker it is in the depth of a fold, and how much it shines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from standins.head import Floats
from standins.painting import RADIUS, RELIEF_LEFT, RELIEF_SHAPE, RELIEF_TOP, bump, grid, noise, step

DEEPEST = 1.5
"""Largest strength of a wrinkle."""


@dataclass(frozen=True)
class Furrow:
    """One fold of the skin, through ``points`` of (angle, height) on the subject's left side.

    ``depth`` and ``width`` (its standard deviation) in dm; ``ridge`` is the share of the depth by which skin rises
    next to it, on the side of greater height (or greater angle, where the furrow runs down the face).
    """

    points: tuple[tuple[float, float], ...]
    depth: float
    width: float
    ridge: float = 0.0


@dataclass(frozen=True)
class Group:
    """Wrinkles that come together."""

    drivers: dict[str, float]  # facial actions that fold the skin, without their side, and how far at full amount
    old: float  # mean strength that stays at rest in an old face
    furrows: tuple[Furrow, ...]
    two_sided: bool = True  # left and right are strengths of their own


GROUPS: dict[str, Group] = {
    # 1: the inner brow goes up and folds the middle of the forehead
    "forehead_middle": Group({"browInnerUp": 0.85}, 0.75, (), two_sided=False),
    # 2: the outer brow goes up
    "forehead_side": Group({"browOuterUp": 0.85, "browInnerUp": 0.1}, 0.7, ()),
    # 4: the brows draw together and down
    "glabella": Group(
        {"browDown": 0.95},
        0.8,
        (
            Furrow(((0.052, 7.39), (0.070, 7.47), (0.064, 7.56), (0.048, 7.63)), 0.0105, 0.0125, 0.55),
            Furrow(((0.115, 7.46), (0.128, 7.53), (0.125, 7.59)), 0.0045, 0.013, 0.3),
            Furrow(((0.02, 7.345), (0.10, 7.33)), 0.0035, 0.012, 0.3),
        ),
    ),
    # 6: the cheek rises towards the eye
    "crows_feet": Group(
        {"cheekSquint": 0.75, "mouthSmile": 0.15, "eyeSquint": 0.2},
        0.85,
        (
            Furrow(((0.60, 7.305), (0.70, 7.345), (0.80, 7.40)), 0.0050, 0.0085, 0.25),
            Furrow(((0.59, 7.280), (0.70, 7.285), (0.83, 7.310)), 0.0060, 0.0090, 0.25),
            Furrow(((0.58, 7.250), (0.70, 7.215), (0.81, 7.200)), 0.0055, 0.0090, 0.25),
            Furrow(((0.57, 7.215), (0.66, 7.150), (0.75, 7.090)), 0.0042, 0.0090, 0.2),
        ),
    ),
    # 6 and 7: folds and bag below the lower lid
    "under_eye": Group(
        {"cheekSquint": 0.5, "eyeSquint": 0.4, "mouthSmile": 0.1},
        0.85,
        (
            Furrow(((0.17, 7.235), (0.27, 7.170), (0.40, 7.150), (0.52, 7.195)), 0.0065, 0.014, 0.6),
            Furrow(((0.22, 7.215), (0.34, 7.195), (0.47, 7.215)), 0.0028, 0.008, 0.2),
            Furrow(((0.16, 7.21), (0.24, 7.115), (0.36, 7.045), (0.47, 7.03)), 0.0050, 0.021, 0.3),
        ),
    ),
    # 9, 10 and 12: from the wing of the nose past the corner of the mouth
    "nasolabial": Group(
        {"mouthSmile": 0.85, "mouthUpperUp": 0.5, "noseSneer": 0.3, "mouthStretch": 0.25, "mouthDimple": 0.25},
        0.95,
        (Furrow(((0.150, 6.905), (0.205, 6.835), (0.275, 6.74), (0.345, 6.64), (0.365, 6.55)), 0.0150, 0.017, 0.75),),
    ),
    # 9: the upper part of the same fold, deep next to the wing
    "wing": Group(
        {"noseSneer": 0.95, "mouthUpperUp": 0.35},
        0.35,
        (
            Furrow(((0.095, 7.02), (0.140, 6.93), (0.190, 6.845), (0.250, 6.76)), 0.0130, 0.016, 0.7),
            Furrow(((0.11, 7.13), (0.155, 7.03)), 0.0050, 0.013, 0.2),
        ),
    ),
    # 9: the skin of the bridge is drawn together
    "bridge": Group(
        {"noseSneer": 0.9, "browDown": 0.1},
        0.25,
        (
            Furrow(((0.025, 7.255), (0.085, 7.285), (0.135, 7.265)), 0.0048, 0.0090, 0.3),
            Furrow(((0.045, 7.205), (0.095, 7.235), (0.150, 7.215)), 0.0055, 0.0090, 0.3),
            Furrow(((0.055, 7.155), (0.100, 7.185), (0.155, 7.155)), 0.0050, 0.0090, 0.3),
            Furrow(((0.060, 7.105), (0.105, 7.130), (0.145, 7.105)), 0.0036, 0.0090, 0.2),
        ),
    ),
    # 9 and 4: across the root of the nose
    "root": Group(
        {"noseSneer": 0.7, "browDown": 0.25},
        0.45,
        (
            Furrow(((-0.09, 7.318), (0.0, 7.335), (0.09, 7.318)), 0.0065, 0.0100, 0.4),
            Furrow(((-0.07, 7.375), (0.0, 7.385), (0.07, 7.372)), 0.0035, 0.0090, 0.3),
        ),
        two_sided=False,
    ),
    # 17: the boss of the chin is pushed up
    "chin": Group(
        {"mouthShrugLower": 0.95, "mouthPress": 0.15},
        0.25,
        (Furrow(((-0.17, 6.405), (-0.07, 6.428), (0.07, 6.428), (0.17, 6.405)), 0.0095, 0.017, -0.5),),
        two_sided=False,
    ),
    # 15: from the corner of the mouth downwards
    "marionette": Group(
        {"mouthFrown": 0.9, "mouthStretch": 0.3, "mouthPress": 0.1},
        0.8,
        (Furrow(((0.295, 6.605), (0.335, 6.535), (0.350, 6.45), (0.335, 6.37)), 0.0085, 0.0135, 0.6),),
    ),
    # 14: the corner of the mouth tightens
    "corner": Group(
        {"mouthDimple": 0.9, "mouthSmile": 0.25, "mouthPress": 0.35},
        0.2,
        (Furrow(((0.315, 6.685), (0.335, 6.63), (0.325, 6.565)), 0.0110, 0.0135, 0.6),),
    ),
    # 12 with age: brackets round the smile
    "cheek": Group(
        {"mouthSmile": 0.4, "mouthStretch": 0.2},
        0.6,
        (
            Furrow(((0.36, 6.86), (0.45, 6.74), (0.48, 6.62), (0.45, 6.50)), 0.0065, 0.014, 0.4),
            Furrow(((0.50, 6.84), (0.58, 6.70), (0.59, 6.56)), 0.0045, 0.015, 0.3),
        ),
    ),
    # 5: the fold of the upper lid
    "lid": Group(
        {"eyeWide": 0.6, "browInnerUp": 0.15, "browOuterUp": 0.15, "browDown": 0.15},
        0.6,
        (
            Furrow(((0.19, 7.325), (0.28, 7.378), (0.38, 7.385), (0.47, 7.355), (0.54, 7.30)), 0.0080, 0.0095, 0.35),
            Furrow(((0.30, 7.425), (0.40, 7.425), (0.50, 7.375), (0.57, 7.30)), 0.0040, 0.014, 0.3),
        ),
    ),
    # 18 and 24: upright lines of the upper lip
    "lip": Group(
        {"mouthPucker": 0.8, "mouthPress": 0.2},
        0.55,
        tuple(
            Furrow(((angle, 6.795), (angle * 0.93, 6.725)), 0.0022, 0.0062)
            for angle in (-0.17, -0.125, -0.075, 0.08, 0.12, 0.165)
        ),
        two_sided=False,
    ),
}

WRINKLES: tuple[str, ...] = tuple(
    name
    for group, kind in GROUPS.items()
    for name in ((f"{group}_left", f"{group}_right") if kind.two_sided else (group,))
)
"""Names of the strengths of a face, in their order."""


def draw_wrinkles(age: float, amount: float, rng: np.random.Generator) -> tuple[Floats, float]:
    """Draw what a face of ``age`` in [0, 1] carries at rest, ``amount`` times the usual, and how deep actions fold it.

    Returns the strength (W,) of each of ``WRINKLES`` at rest, in [0, 1.5], and the factor on what facial actions add:
    0.35 in the smoothest young skin, about 1.1 in old skin.
    """
    prone = float(np.exp(rng.normal(0, 0.28)))
    aged = float(np.clip((age - 0.06) / 0.75, 0, 1.15))
    habit, early, permanent = 1.0, 0.0, []
    for name in WRINKLES:
        group = GROUPS[_group_of(name)]
        if not name.endswith("_right"):
            habit = float(np.exp(rng.normal(0, 0.35)))
            # Some frown lines and folds come long before age does.
            early = float(rng.uniform(0.15, 0.65)) if rng.random() < 0.16 else float(rng.uniform(0, 0.10))
        side = float(np.exp(rng.normal(0, 0.10)))
        permanent.append(np.clip(amount * (group.old * aged * prone * habit + early * group.old) * side, 0, DEEPEST))
    depth = float(np.clip((0.45 + 0.55 * age) * prone, 0.35, 1.1))
    return np.array(permanent, np.float32), depth


def strengths(permanent: Floats, depth: float, actions: Floats, action_names: tuple[str, ...]) -> Floats:
    """Strength (W,) of each of ``WRINKLES`` while a face does ``actions`` (52,)."""
    drivers = _drivers(action_names)
    return np.clip(permanent + depth * (drivers @ np.clip(actions, 0, None)), 0, DEEPEST).astype(np.float32)


@dataclass(frozen=True)
class Relief:
    """A subject's furrows, ready to be put together at any strengths."""

    pieces: tuple[tuple[slice, slice, Floats], ...]  # of WRINKLES: the window it fills, slopes and darkness at 1
    pores: Floats  # (rows, columns, 4) pores, and how much each place shines

    def at(self, amounts: Floats, fineness: float) -> Floats:
        """Relief (rows, columns, 4) at ``amounts`` (W,), with ``fineness`` (in [0, 1]) of the pores."""
        relief = self.pores.copy()
        relief[..., :2] *= fineness
        for amount, (rows, columns, piece) in zip(amounts, self.pieces, strict=True):
            if amount > 0.01:
                relief[rows, columns, :3] += piece * amount
        return relief


def carve(rng: np.random.Generator) -> Relief:
    """Lay out one subject's furrows; ``rng`` draws where exactly each runs."""
    height, angle = _window()
    pieces = []
    forehead = _forehead(height, angle, rng)
    for name in WRINKLES:
        group = _group_of(name)
        if group.startswith("forehead"):
            surface = forehead * _share_of_forehead(name, angle)
        else:
            surface = np.zeros(RELIEF_SHAPE, np.float32)
            mirrored = -1.0 if name.endswith("_right") else 1.0
            for furrow in GROUPS[group].furrows:
                _cut(surface, furrow, height, angle * mirrored, rng)
            if group == "chin":
                dents = noise(rng, 5.5, RELIEF_SHAPE)
                surface += 0.0052 * dents * bump(angle, 0, 0.085) * bump(height, 6.345, 0.05)
        pieces.append(_piece(surface))
    return Relief(tuple(pieces), _pores(height, angle, rng))


def _group_of(name: str) -> str:
    return name.removesuffix("_left").removesuffix("_right")


def _drivers(action_names: tuple[str, ...]) -> Floats:
    """Matrix (W, 52) of what each action adds to each wrinkle."""
    drivers = np.zeros((len(WRINKLES), len(action_names)), np.float32)
    for row, name in enumerate(WRINKLES):
        side = "Left" if name.endswith("_left") else "Right" if name.endswith("_right") else ""
        for action, share in GROUPS[_group_of(name)].drivers.items():
            if action in action_names:
                drivers[row, action_names.index(action)] = share
            elif side:
                drivers[row, action_names.index(action + side)] = share
            else:
                for either in ("Left", "Right"):
                    drivers[row, action_names.index(action + either)] = share / 2
    return drivers


def _window() -> tuple[Floats, Floats]:
    height, angle = grid()
    rows, columns = RELIEF_SHAPE
    return height[RELIEF_TOP : RELIEF_TOP + rows], angle[:, RELIEF_LEFT : RELIEF_LEFT + columns]


def _cut(surface: Floats, furrow: Furrow, height: Floats, angle: Floats, rng: np.random.Generator) -> None:
    """Cut a furrow into ``surface``, in place; every one runs a little otherwise than it is laid out."""
    points = np.array(furrow.points) + rng.normal(0, 0.006, 2)
    depth = furrow.depth * float(np.exp(rng.normal(0, 0.2)))
    x, y = points[:, 0] * RADIUS, points[:, 1]
    down = np.ptp(y) > np.ptp(x)
    margin = 5 * furrow.width
    inside_rows = np.flatnonzero((height[:, 0] > y.min() - margin) & (height[:, 0] < y.max() + margin))
    inside_columns = np.flatnonzero((angle[0] * RADIUS > x.min() - margin) & (angle[0] * RADIUS < x.max() + margin))
    if not len(inside_rows) or not len(inside_columns):
        return
    rows, columns = (slice(k.min(), k.max() + 1) for k in (inside_rows, inside_columns))
    along, across = (height[rows], angle[:, columns] * RADIUS) if down else (angle[:, columns] * RADIUS, height[rows])
    knots, values = (y, x) if down else (x, y)
    curve = np.polynomial.Polynomial.fit(knots, values, min(3, len(knots) - 1))
    clipped = np.clip(along, knots.min(), knots.max())
    waver = 0.12 * furrow.width * np.sin(along * rng.uniform(35, 60) + rng.uniform(0, 6.3))
    distance = (across - curve(clipped) - waver) / np.sqrt(1 + curve.deriv()(clipped) ** 2)
    ends = (along - knots.min()) / np.ptp(knots)
    taper = step(ends, -0.15, 0.25) * step(ends, 1.15, 0.7)
    beside = np.sign(furrow.ridge) * 2.3 * furrow.width
    profile = -bump(distance, 0, furrow.width) + abs(furrow.ridge) * bump(distance, beside, 1.5 * furrow.width)
    surface[rows, columns] += depth * taper * profile


def _forehead(height: Floats, angle: Floats, rng: np.random.Generator) -> Floats:
    """Three to five lines across the forehead, which waver and break off."""
    surface = np.zeros(RELIEF_SHAPE, np.float32)
    count = int(rng.integers(3, 6))
    for level in np.linspace(7.625, 7.88, count) + rng.normal(0, 0.008, count):
        sag = rng.normal(0.018, 0.012)
        run = level + 0.03 * (angle / 0.45) ** 2 * np.sign(sag) - sag * np.cos(angle / 0.17 + rng.normal(0, 0.4))
        run = run + 0.006 * np.sin(angle * rng.uniform(14, 26) + rng.uniform(0, 6.3))
        width = float(rng.uniform(0.0095, 0.0130))
        broken = 0.75 + 0.35 * np.sin(angle * rng.uniform(5, 11) + rng.uniform(0, 6.3))
        reach = step(np.abs(angle - rng.normal(0, 0.03)), rng.uniform(0.50, 0.62), 0.38)
        distance = height - run
        profile = -bump(distance, 0, width) + 0.35 * bump(distance, 2.4 * width, 1.6 * width)
        surface += (0.0075 * rng.uniform(0.7, 1.15) * broken * reach * profile).astype(np.float32)
    return surface


def _share_of_forehead(name: str, angle: Floats) -> Floats:
    middle = step(np.abs(angle), 0.30, 0.12)
    if name == "forehead_middle":
        return middle
    side = angle if name.endswith("_left") else -angle
    return (1 - middle) * (side > 0)


def _piece(surface: Floats) -> tuple[slice, slice, Floats]:
    """Slopes and darkness of a surface, cut out where there is any."""
    filled = np.abs(surface) > 2e-5
    rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    top, bottom = max(rows.min() - 1, 0), rows.max() + 2
    left, right = max(columns.min() - 1, 0), columns.max() + 2
    part = surface[top:bottom, left:right]
    height, angle = grid()
    across = np.gradient(part, float(angle[0, 1] - angle[0, 0]) * RADIUS, axis=1)
    up = np.gradient(part, float(height[1, 0] - height[0, 0]), axis=0)
    dark = np.clip(-part, 0, None) * 26.0
    return slice(top, bottom), slice(left, right), np.stack([across, up, dark], axis=-1).astype(np.float32)


def _pores(height: Floats, angle: Floats, rng: np.random.Generator) -> Floats:
    """Slopes of pores and the grain of the skin, and gloss: forehead, nose and chin are oilier than the cheeks."""
    turn = np.abs(angle)
    where = (
        0.6
        + 0.7 * bump(turn, 0.30, 0.18) * bump(height, 6.95, 0.16)
        + 0.5 * bump(turn, 0, 0.14) * bump(height, 6.92, 0.10)
    )
    grain = 0.00040 * noise(rng, 1.1, RELIEF_SHAPE) + 0.00055 * noise(rng, 2.4, RELIEF_SHAPE)
    # The vermilion of the lips is creased upwards.
    lips = bump(angle, 0, 0.16) * bump(height, 6.60, 0.07)
    surface = grain * where * (1 - lips) + 0.0009 * noise(rng, (9.0, 1.5), RELIEF_SHAPE) * lips
    rows, columns = grid()
    across = np.gradient(surface, float(columns[0, 1] - columns[0, 0]) * RADIUS, axis=1)
    up = np.gradient(surface, float(rows[1, 0] - rows[0, 0]), axis=0)
    shine = (
        0.75
        + 0.55 * bump(turn, 0, 0.28) * bump(height, 7.70, 0.14)
        + 0.75 * bump(turn, 0, 0.10) * step(height, 6.80, 6.88) * step(height, 7.45, 7.30)
        + 0.2 * bump(turn, 0, 0.15) * bump(height, 6.33, 0.06)
    )
    shine = shine + 0.30 * bump(turn, 0.52, 0.12) * bump(height, 7.06, 0.07)
    return np.stack([across, up, np.zeros(RELIEF_SHAPE), shine], axis=-1).astype(np.float32)
