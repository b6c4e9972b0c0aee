"""Glasses: which frame a subject wears, and its geometry, fitted to nose, eyes and ears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from standins.difficulty import FRAMES
from standins.head import FRAME, LASH, LENS, Floats, Head
from standins.strands import Surface, Worn, joined


@dataclass(frozen=True)
class Glasses:
    """One pair of glasses."""

    frame: str = "rectangular"  # one of FRAMES
    size: float = 1.0  # width and height of the lenses; 1 is usual
    thickness: float = 0.03  # of the rim, in dm
    colour: tuple[float, float, float] = (0.02, 0.02, 0.02)  # linear RGB
    tint: float = 0.06  # share of the light that the lenses keep back


def draw_glasses(probability: float, rng: np.random.Generator) -> Glasses | None:
    """Draw a pair of glasses, or none."""
    worn = rng.random() < probability
    frame = str(rng.choice(FRAMES))
    metal = frame != "rectangular"
    dark, light = (0.015, 0.25) if metal else (0.008, 0.05)
    grey = float(np.exp(rng.uniform(np.log(dark), np.log(light))))
    red, blue = (float(x) for x in np.exp(rng.normal(0, 0.25, 2)))
    thickness = float(rng.uniform(0.012, 0.018) if metal else rng.uniform(0.026, 0.045))
    glasses = Glasses(
        frame=frame,
        size=float(rng.uniform(0.92, 1.10)),
        thickness=thickness,
        colour=(grey * max(red, 1.0), grey, grey * min(blue, 1.0)),
        tint=float(rng.uniform(0.03, 0.12)),
    )
    return glasses if worn else None


OUTLINE = 36
"""Corners of a lens."""
VERTEX_DISTANCE = 0.13
"""From the front of the eyeball to the lens, in dm."""


def fit_glasses(head: Head, surface: Surface, points: Floats, glasses: Glasses) -> Worn:
    """Put glasses on a subject whose relaxed head has the vertices ``points`` (N, 3)."""
    pieces = []
    eyes = [points[: len(head.rest)][head.eye_side == side] for side in (1, -1)]
    pupils = [eye.mean(axis=0) for eye in eyes]
    lashes = points[np.unique(head.triangles[head.part == LASH])]
    front = max(float(eye[:, 2].max()) for eye in eyes) + VERTEX_DISTANCE
    front = max(front, float(lashes[:, 2].max()) + 0.035)
    rims, hinges = [], []
    for side, pupil in zip((1.0, -1.0), pupils, strict=True):
        middle = np.array([pupil[0] + 0.018 * side, pupil[1] - 0.035, 0.0])
        outline = _outline(glasses, side)
        rim = _set_before_the_face(surface, outline, middle, front, side)
        rims.append(rim)
        pieces.append(_lens(rim, side))
        # The ground edge of a rimless lens is seen as a thin line.
        pieces.append(_tube(rim, 0.007 if glasses.frame == "rimless" else glasses.thickness, 1.3, closed=True))
        outer = rim[np.argmax(rim[:, 0] * side + 0.6 * rim[:, 1])]
        hinges.append(outer)
        pieces.append(_tube(_arm(head, surface, points, outer, side), max(glasses.thickness, 0.02), 0.8))
    inner = [
        rim[np.argmin(rim[:, 0] * side + np.abs(rim[:, 1] - pupil[1] - 0.06))]
        for rim, side, pupil in zip(rims, (1.0, -1.0), pupils, strict=True)
    ]
    pieces.append(_tube(_bridge(surface, *inner), max(glasses.thickness, 0.016), 1.0))
    return joined(pieces)


def _outline(glasses: Glasses, side: float) -> Floats:
    """Outline of a lens about its middle, in its own plane (OUTLINE, 2); the nose's side is the steeper one."""
    turn = np.arange(OUTLINE) / OUTLINE * 2 * np.pi
    half_width, half_height, roundness = {
        "round": (0.225, 0.215, 2.0),
        "rectangular": (0.245, 0.170, 3.4),
        "rimless": (0.245, 0.170, 2.7),
    }[glasses.frame]
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / roundness) * half_width
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / roundness) * half_height
    # Below, a lens makes room for the nose.
    x = np.where(y < 0, x - 0.05 * np.clip(-x / half_width, 0, 1) * y / half_height, x)
    return np.stack([x * side, y], axis=1) * glasses.size


def _set_before_the_face(surface: Surface, outline: Floats, middle: Floats, front: float, side: float) -> Floats:
    """Points of the rim (OUTLINE, 3): wrapped to the temple, leaning to the cheek, and nowhere in the skin."""
    away = outline[:, 0] * side
    rim = np.zeros((len(outline), 3))
    rim[:, :2] = outline + middle[:2]
    rim[:, 2] = front - 0.10 * away - 0.25 * away**2 + 0.12 * outline[:, 1]
    closest, outwards = surface.nearest(rim)
    inside = 0.03 - np.sum((rim - closest) * outwards, axis=1)
    forwards = np.where(outwards[:, 2] > 0.3, inside / np.maximum(outwards[:, 2], 0.3), 0)
    rim[:, 2] += float(np.clip(forwards.max(), 0, 0.12))
    return rim


def _lens(rim: Floats, side: float) -> Worn:
    """A lens within its rim, bulging a little, so that it mirrors as a lens does."""
    middle = rim.mean(axis=0)
    rings = []
    for share in (0.0, 0.5, 0.98):
        ring = middle + (rim - middle) * share
        ring[:, 2] += 0.03 * (1 - share**2)
        rings.append(ring)
    n = len(rim)
    points = np.concatenate(rings)
    k = np.arange(n)
    following = (k + 1) % n
    quads = [(ring * n + k, (ring + 1) * n + k, (ring + 1) * n + following, ring * n + following) for ring in (0, 1)]
    triangles = np.concatenate(
        [np.stack(corners, axis=1) for a, b, c, d in quads for corners in ((a, b, c), (a, c, d))]
    )
    return _plain(points, triangles if side > 0 else triangles[:, ::-1], LENS)


def _arm(head: Head, surface: Surface, points: Floats, hinge: Floats, side: float) -> Floats:
    """The arm from the hinge along the temple to the top of the ear, and down behind it."""
    on_ear = points[: len(head.rest)][(head.ear > 0.6) & (points[: len(head.rest), 0] * side > 0)]
    top = on_ear[np.argmax(on_ear[:, 1])]
    rest = np.array([top[0] - 0.02 * side, top[1] + 0.01, top[2] - 0.02])
    way = np.linspace(0, 1, 9)[:, None]
    path = hinge + (rest - hinge) * way
    # The frame turns the corner before the arm runs back.
    path[1:3, 0] = np.maximum(path[1:3, 0] * side, hinge[0] * side + np.array([0.035, 0.05])) * side
    path[0, 0] += 0.01 * side
    path = np.concatenate([path, [rest - np.array([0.0, 0.06, 0.12]), rest - np.array([0.01 * side, 0.2, 0.2])]])
    pushed, _ = surface.kept_off(path[1:], 0.02)
    path[1:] = pushed
    return path


def _bridge(surface: Surface, left: Floats, right: Floats) -> Floats:
    """An arch over the nose."""
    way = np.linspace(0, 1, 7)[:, None]
    path = left + (right - left) * way
    arch = 4 * way[:, 0] * (1 - way[:, 0])
    path[:, 1] += 0.045 * arch
    path[:, 2] += 0.02 * arch
    closest, outwards = surface.nearest(path)
    inside = 0.02 - np.sum((path - closest) * outwards, axis=1)
    path[:, 2] += float(np.clip(np.max(inside), 0, 0.15)) * arch
    return path


def _tube(path: Floats, thickness: float, deep: float, *, closed: bool = False) -> Worn:
    """A bar along ``path`` (P, 3), ``deep`` times as deep as it is thick, with six edges."""
    n, edges = len(path), 6
    along = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0) if closed else np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    deepest = np.where(np.abs(along[:, 2:]) > 0.8, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    first = np.cross(along, deepest)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    second = np.cross(first, along)
    turn = (np.arange(edges) + 0.5) / edges * 2 * np.pi
    ring = first[:, None] * np.cos(turn)[:, None] + second[:, None] * (deep * np.sin(turn))[:, None]
    points = (path[:, None] + 0.5 * thickness * ring).reshape(-1, 3)
    k = np.arange(n if closed else n - 1)[:, None]
    e = np.arange(edges)[None, :]
    a, b = k * edges + e, k * edges + (e + 1) % edges
    c, d = (k + 1) % n * edges + (e + 1) % edges, (k + 1) % n * edges + e
    triangles = np.concatenate([np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, b, c), (a, c, d))])
    return _plain(points, triangles, FRAME)


def _plain(points: Floats, triangles: NDArray, part: int) -> Worn:
    """Rigid geometry that catches all the light."""
    n = len(points)
    number = np.arange(n, dtype=np.int32)
    return Worn(
        points=points.astype(np.float32),
        triangles=triangles.astype(np.int32),
        part=np.full(len(triangles), part, np.int32),
        place=np.zeros((n, 3), np.float32),
        tone=np.ones((n, 3), np.float32),
        outwards=np.tile(np.array([0, 0, 1], np.float32), (n, 1)),
        before=number,
        after=number,
        anchors=np.zeros((n, 3), np.int32),
        shares=np.zeros((n, 3), np.float32),
    )
