"""Hair: which style a subject wears, and how its strands grow and are combed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from standins.head import SKIN, Floats, Head
from standins.painting import Complexion, around_head, hair_mask
from standins.strands import Comb, Surface, Worn, grow, joined, nothing_worn, ribbons, scatter

SKULL = np.array([0.0, 7.45, 0.45], np.float32)
"""Middle of the head at rest (dm)."""


@dataclass(frozen=True)
class HairStyle:
    """How a subject wears the hair."""

    style: str = "short"  # one of HAIR_STYLES
    fringe: float = 0.0  # 0 for none, 1 for a fringe down to the brows; more covers them
    side: float = 1.0  # parting: -1 or +1 for one side, 0 for the middle
    curl: float = 0.2  # waviness of the strands, in [0, 1]
    length: float = 1.0  # of the strands; 1 is usual for the style


def draw_hair(
    femininity: float, age: float, african: float, long_hair: float, fringe: float, rng: np.random.Generator
) -> HairStyle:
    """Draw a style that goes with sex, age and ancestry; ``long_hair`` and ``fringe`` are probabilities."""
    man = femininity < 0.5
    long = rng.random() < (0.15 * long_hair if man else long_hair)
    receding = man and rng.random() < 0.05 + 0.35 * age
    curly = rng.random() < 0.08 + 0.75 * african
    short = ("short", "short", "crop", "parted") if man else ("parted", "parted", "tied", "tied", "short")
    style = str(rng.choice(("behind-ears", "shoulders") if long else short))
    hanging = float(rng.uniform(0.55, 1.3)) if rng.random() < fringe else 0.0
    side = float(rng.choice([-1.0, -1.0, 0.0, 1.0, 1.0]))
    curl, length = float(rng.beta(1.2, 3.0)), float(rng.uniform(0.8, 1.25))
    if curly:
        curl = 0.6 + 0.4 * curl
        style = "curly" if style in ("short", "parted", "shoulders") else style
    if receding and not long:
        style, hanging = ("bald" if rng.random() < 0.5 else "crop"), 0.0
    return HairStyle(style, 0.0 if style in ("bald", "crop", "tied") else hanging, side, curl, length)


@dataclass(frozen=True)
class _Cut:
    """How a style is made: number of ribbons, their length and width, how far they stand off, and their segments."""

    count: int
    length: float
    width: float
    volume: float
    lift: float
    segments: int
    hold: float = 0.0


_CUTS = {
    "bald": _Cut(420, 0.12, 0.024, 0.03, 0.30, 3),
    "crop": _Cut(1000, 0.17, 0.026, 0.04, 0.40, 3),
    "short": _Cut(560, 0.50, 0.070, 0.12, 0.38, 4, 0.25),
    "curly": _Cut(950, 0.34, 0.055, 0.26, 0.0, 5, 0.9),
    "parted": _Cut(380, 0.95, 0.110, 0.13, 0.25, 7, 0.5),
    "tied": _Cut(440, 1.50, 0.085, 0.03, 0.02, 8, 0.7),
    "behind-ears": _Cut(320, 2.20, 0.140, 0.13, 0.12, 12, 0.5),
    "shoulders": _Cut(320, 2.50, 0.150, 0.16, 0.12, 13, 0.5),
}


def trimmed(complexion: Complexion, hair: HairStyle) -> Complexion:
    """The complexion with the hairline that the style has."""
    if hair.style != "bald":
        return complexion
    return replace(complexion, hairline=complexion.hairline + 0.5, crown=-99.0 if _shaven(hair) else 7.95)


def _shaven(hair: HairStyle) -> bool:
    return hair.style == "bald" and hair.length < 1


def grow_hair(
    head: Head, surface: Surface, points: Floats, hair: HairStyle, complexion: Complexion, rng: np.random.Generator
) -> Worn:
    """Hair of a subject whose relaxed head has the vertices ``points`` (N, 3)."""
    if _shaven(hair):
        return nothing_worn()
    cut = _CUTS[hair.style]
    height, angle = around_head(head.rest)
    density = (hair_mask(complexion, height, angle) > 0.6) * (1 - np.clip(head.ear * 2, 0, 1)) * _on_skin(head)
    # More of the strands grow where they can be seen: at the front and on the top.
    density = density * (1.0 + 1.2 * np.clip((head.rest[:, 2] - 0.2) / 0.8, 0, 1))
    pieces = [_tuft(head, surface, points, hair, cut, density, _comb(hair, _offset(head, points)), rng)]
    if hair.fringe > 0:
        pieces.append(_fringe(head, surface, points, hair, complexion, rng))
    return joined(pieces)


def _tuft(
    head: Head,
    surface: Surface,
    points: Floats,
    hair: HairStyle,
    cut: _Cut,
    density: Floats,
    comb: Comb,
    rng: np.random.Generator,
) -> Worn:
    corners, shares = scatter(head, density, cut.count, rng)
    roots = np.einsum("pkx,pk->px", points[corners], shares)
    at_rest = np.einsum("pkx,pk->px", head.rest[corners], shares)
    depth = rng.permutation((np.arange(len(roots)) + 0.5) / len(roots)).astype(np.float32)
    # At the sides and in the neck hair is cut shorter and lies closer than on the top.
    top = np.clip((at_rest[:, 1] - 7.45) / 0.6, 0, 1)
    short = hair.style in ("bald", "crop", "short", "parted")
    lengths = cut.length * hair.length * rng.uniform(0.8, 1.1, len(roots)) * (0.35 + 0.65 * top if short else 1.0)
    heights = 0.012 + cut.volume * depth * ((0.25 + 0.75 * top) if short else 1.0)
    swing = 1.6 if hair.style == "curly" else 0.5 if cut.length > 0.9 else 0.8
    if cut.length > 2:
        # Long hair is cut at one height, whether it starts at the crown or at the ears.
        end = 7.05 - 0.75 * hair.length
        lengths = np.maximum(1.15 * (at_rest[:, 1] - end) + 0.35 * top, 0.5) * rng.uniform(0.92, 1.06, len(roots))
    if hair.style == "curly":
        heights = 0.012 + cut.volume * hair.length * np.sqrt(depth)
    wave = _waves(hair.curl * swing, at_rest, rng, 2.5 if hair.style == "curly" else 0.5)
    still = 0.15 if hair.style == "tied" else 1.0

    def combed(points: Floats, outwards: Floats, way: float) -> Floats:
        direction = comb(points, outwards, way)
        flat = direction - np.sum(direction * outwards, axis=1, keepdims=True) * outwards
        flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 0.15)
        lift = cut.lift * (1 - way) * (0.3 + 0.7 * depth[:, None])
        # What hangs below the head's widest part falls freely, no longer along the skin.
        falls = (np.clip((7.3 - points[:, 1]) / 0.4, 0, 1) * (cut.length > 1.5))[:, None]
        if hair.style == "curly":
            # Coils turn round within the height at which they lie, which makes a round head of hair.
            around = wave(way)
            return around - np.sum(around * outwards, axis=1, keepdims=True) * outwards + 0.15 * flat
        return flat * (1 - falls) + direction * falls + lift * outwards + still * wave(way)

    paths, out = grow(surface, roots, lengths, heights, combed, cut.segments, cut.hold)
    tone = np.stack([0.25 + 0.75 * depth, rng.normal(1.0, 0.10, len(roots)).clip(0.7, 1.4)], axis=1)
    # Single locks at the front would look like tape if they were wide.
    front = np.clip((at_rest[:, 2] - 0.75) / 0.3, 0, 1) * (cut.width > 0.1)
    widths = cut.width * (1 - 0.45 * front) * rng.uniform(0.7, 1.3, len(roots))
    return ribbons(paths, out, widths, tone, rng)


def _fringe(
    head: Head, surface: Surface, points: Floats, hair: HairStyle, complexion: Complexion, rng: np.random.Generator
) -> Worn:
    """Strands that hang from the front of the hair over the forehead; they do not move with the brows."""
    height, angle = around_head(head.rest)
    turn = np.abs(angle)
    edge = complexion.hairline - 0.10 * (turn / 0.5) ** 2
    band = np.exp(-0.5 * ((height - edge - 0.14) / 0.10) ** 2) * (turn < 0.75) * _on_skin(head)
    corners, shares = scatter(head, band * (head.rest[:, 2] > 0.4), 170, rng)
    roots = np.einsum("pkx,pk->px", points[corners], shares)
    at_rest = np.einsum("pkx,pk->px", head.rest[corners], shares)
    depth = rng.random(len(roots)).astype(np.float32)
    # 7.46 is the height of the brows at rest; ends are ragged, and longer to one side.
    down_to = complexion.hairline - hair.fringe * (complexion.hairline - 7.46) + rng.normal(0, 0.035, len(roots))
    down_to -= 0.12 * hair.side * at_rest[:, 0]
    lengths = np.maximum(at_rest[:, 1] - down_to, 0.15) * rng.uniform(0.9, 1.1, len(roots)) + 0.10
    sweep = 0.35 * hair.side + 0.25 * np.sign(at_rest[:, 0]) * (hair.side == 0)
    wave = _waves(0.3 * hair.curl, at_rest, rng)

    def combed(points: Floats, outwards: Floats, way: float) -> Floats:
        down = np.stack([np.full(len(points), 1.0) * sweep, np.full(len(points), -1.0), np.full(len(points), 0.5)], 1)
        flat = down - np.sum(down * outwards, axis=1, keepdims=True) * outwards
        flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 0.15)
        return flat + 0.5 * (1 - way) ** 2 * outwards + wave(way)

    paths, out = grow(surface, roots, lengths, 0.045 + 0.07 * depth, combed, 6, 0.5)
    tone = np.stack([0.45 + 0.55 * depth, rng.normal(1.0, 0.10, len(roots)).clip(0.7, 1.4)], axis=1)
    return ribbons(paths, out, 0.075 * rng.uniform(0.7, 1.3, len(roots)), tone, rng)


def _waves(curl: float, roots: Floats, rng: np.random.Generator, apart: float = 0.5) -> Callable[[float], Floats]:
    """Sideways swing of each strand along its way: a lasting stray of its own, and its curl.

    Neighbours curl together, so that locks form, the less the farther ``apart`` (radians) they begin.
    """
    count = len(roots)
    stray = rng.normal(0, 0.05 + 0.04 * curl, (count, 3))
    phase = 5.0 * roots[:, :1] + 3.0 * roots[:, 1:2] + 7.0 * roots[:, 2:] + rng.normal(0, apart, (count, 1))
    one, other = np.array([[1.0, 0.2, 0.0]]), np.array([[0.0, 0.2, 1.0]])
    turns = 2 * np.pi * (0.8 + 1.2 * curl)

    def wave(way: float) -> Floats:
        return stray + 1.1 * curl * (np.cos(turns * way + phase) * one + np.sin(turns * way + phase) * other)

    return wave


def _comb(hair: HairStyle, offset: Floats) -> Comb:
    """Direction of the strands anywhere on a head whose skull is ``offset`` (3,) from where it is at rest."""
    crown = SKULL + offset + np.array([0.10 * hair.side, 0.98, -0.50])
    tie = SKULL + offset + np.array([0.0, 0.35, -1.25])
    parting = 0.30 * hair.side

    def from_crown(points: Floats, outwards: Floats, way: float) -> Floats:
        direction = points - crown
        direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
        swept = np.clip((points[:, 2] - offset[2] - 0.5) / 0.5, 0, 1)
        direction[:, 0] += 0.9 * hair.side * swept
        direction[:, 1] -= 0.5 * (1 - swept)
        return direction

    def to_the_tie(points: Floats, outwards: Floats, way: float) -> Floats:
        rest_of_way = tie - points
        there = np.clip(1 - np.linalg.norm(rest_of_way, axis=1, keepdims=True) / 0.35, 0, 1)
        return rest_of_way * (1 - there) + np.array([0.0, -0.5, 0.0]) * there

    def from_parting(points: Floats, outwards: Floats, way: float) -> Floats:
        x, y, z = (points - SKULL - offset).T
        beside = x - parting * np.clip((z + 0.5) / 0.6, 0, 1)
        away = np.tanh(beside / 0.10)
        low = np.clip((0.75 - y) / 0.5, 0, 1)
        if hair.style == "behind-ears":
            # Towards a place behind the ear, then down.
            side = np.sign(beside)
            to_there = np.stack([0.70 * side - x, -0.02 - y, -0.42 - z], axis=1)
            to_there /= np.maximum(np.linalg.norm(to_there, axis=1, keepdims=True), 1e-6)
            before_ear = np.clip((z + 0.40) / 0.15, 0, 1)[:, None]
            down = np.stack([0.06 * np.sign(x), np.full_like(x, -1.0), np.full_like(x, -0.12)], axis=1)
            return to_there * before_ear + down * (1 - before_ear)
        # Hair that would fall over the face is laid aside.
        before_face = np.clip((z - 0.25) / 0.2, 0, 1) * np.clip((0.60 - y) / 0.2, 0, 1)
        back, out = -0.45 + 0.35 * low - 0.7 * before_face, 0.10 * low * (y > -0.7) + 0.9 * before_face
        # At the front it is brushed up and back, or it would cross the forehead like a ribbon.
        front = np.clip((z - 0.25) / 0.3, 0, 1) * np.clip((y - 0.2) / 0.2, 0, 1)
        down = -0.15 - 1.1 * low * (1 - 0.8 * front) + 0.25 * front
        return np.stack([away * (1 - 0.85 * low) + np.sign(x) * out, down, back - 0.5 * front], axis=1)

    def all_round(points: Floats, outwards: Floats, way: float) -> Floats:
        return outwards * 0.5 + np.array([0.0, -0.2, 0.0])

    if hair.style == "tied":
        return to_the_tie
    if hair.style == "curly":
        return all_round
    return from_parting if hair.style in ("parted", "behind-ears", "shoulders") else from_crown


def _offset(head: Head, points: Floats) -> Floats:
    """How far the scalp lies from where it is at rest."""
    scalp = (head.rest[:, 1] > 7.9) & (_on_skin(head) > 0)
    return (points[scalp].mean(axis=0) - head.rest[scalp].mean(axis=0)).astype(np.float32)


def _on_skin(head: Head) -> Floats:
    on_skin = np.zeros(len(head.rest), np.float32)
    on_skin[head.triangles[head.part == SKIN].ravel()] = 1.0
    return on_skin
