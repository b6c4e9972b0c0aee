"""Beards and moustaches: which one a man wears, and where it grows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from standins.difficulty import BEARDS
from standins.head import SKIN, Floats, Head
from standins.painting import around_head, step
from standins.strands import Surface, Worn, grow, nothing_worn, ribbons, scatter


@dataclass(frozen=True)
class Beard:
    """One man's beard."""

    style: str = "full"  # one of BEARDS
    length: float = 0.05  # how far it stands off the skin, in dm
    density: float = 0.9  # share of the skin that it covers where it grows fully


def draw_beard(femininity: float, probability: float, rng: np.random.Generator) -> Beard | None:
    """Draw a beard; None for women, and for men but with ``probability``."""
    worn = rng.random() < probability
    style = str(rng.choice(BEARDS, p=(0.35, 0.15, 0.2, 0.3)))
    length = float(rng.uniform(0.03, 0.10)) if style != "stubble" else 0.004
    density = float(rng.uniform(0.45, 0.7) if style == "stubble" else rng.uniform(0.8, 1.0))
    return Beard(style, length, density) if worn and femininity < 0.5 else None


def beard_region(style: str, height: Floats, angle: Floats) -> Floats:
    """Where a beard grows on the head at rest, by ``height`` (dm) and ``angle`` (radians), in [0, 1].

    The mouth itself is left to the caller, who knows its lips.
    """
    turn = np.abs(angle)
    moustache = step(height, 6.68, 6.74) * step(height, 6.88, 6.83) * step(turn, 0.33, 0.24)
    chin = step(height, 6.62, 6.52) * step(height, 6.05, 6.20) * step(turn, 0.36, 0.22)
    round_mouth = step(turn, 0.25, 0.30) * step(turn, 0.42, 0.36) * step(height, 6.88, 6.80) * step(height, 6.4, 6.5)
    upper = 6.62 + 0.30 * np.clip((turn - 0.45) / 0.75, 0, 1) ** 1.5
    jaw = step(height, upper + 0.06, upper - 0.06) * step(height, 6.05, 6.22) * step(turn, 1.45, 1.30)
    whiskers = step(turn, 1.02, 1.15) * step(turn, 1.42, 1.32) * step(height, 7.30, 7.20) * step(height, 6.5, 6.7)
    full = np.maximum.reduce([jaw, moustache, chin, 0.9 * round_mouth, whiskers])
    goatee = np.maximum.reduce([moustache, chin, round_mouth])
    return {"stubble": full, "full": full, "goatee": goatee, "moustache": moustache}[style]


def bristle_shade(beard: Beard, height: Floats, angle: Floats, grain: Floats) -> Floats:
    """How densely the skin shows hairs, in [0, 1]; ``grain`` is noise of mean 0 and deviation 1, point by point."""
    share = beard.density if beard.style == "stubble" else 0.75 * beard.density
    return np.clip(beard_region(beard.style, height, angle) * share * (0.75 + 0.28 * grain), 0, 0.9)


def grow_beard(head: Head, surface: Surface, points: Floats, beard: Beard, rng: np.random.Generator) -> Worn:
    """Beard of a subject whose relaxed head has the vertices ``points`` (N, 3); it moves with the skin it grows on."""
    if beard.style == "stubble":
        return nothing_worn()
    height, angle = around_head(head.rest)
    on_skin = np.zeros(len(head.rest), np.float32)
    on_skin[head.triangles[head.part == SKIN].ravel()] = 1.0
    bare = np.maximum(head.lip * 2, np.maximum(head.cavity * 2, head.ear * 2)).clip(0, 1)
    density = beard_region(beard.style, height, angle) * on_skin * (1 - bare) * (head.rest[:, 2] > 0.2)
    count = {"moustache": 260, "goatee": 560, "full": 1450}[beard.style]
    corners, shares = scatter(head, density, count, rng)
    roots = np.einsum("pkx,pk->px", points[corners], shares)
    at_rest = np.einsum("pkx,pk->px", head.rest[corners], shares)
    depth = rng.random(len(roots)).astype(np.float32)
    sideways = np.where(at_rest[:, 1] > 6.66, 0.9 * np.clip(at_rest[:, 0] / 0.15, -1, 1), 0.25 * at_rest[:, 0])
    stray = rng.normal(0, 0.14, (len(roots), 3))

    def combed(points: Floats, outwards: Floats, way: float) -> Floats:
        down = np.stack([sideways, np.full(len(points), -1.0), np.zeros(len(points))], axis=1)
        flat = down - np.sum(down * outwards, axis=1, keepdims=True) * outwards
        flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 0.2)
        return flat + 0.25 * outwards + stray

    # The upper lip's hair is short, or it would hang into the mouth.
    upper_lip = (at_rest[:, 1] > 6.66) & (np.abs(at_rest[:, 0]) < 0.3)
    lengths = np.where(upper_lip, 0.085, 0.10 + beard.length) * rng.uniform(0.7, 1.2, len(roots))
    paths, out = grow(surface, roots, lengths, 0.008 + 0.35 * beard.length * depth, combed, 3, 0.5)
    tone = np.stack([0.35 + 0.65 * depth, rng.normal(0.95, 0.15, len(roots)).clip(0.6, 1.5)], axis=1)
    widths = 0.018 * rng.uniform(0.7, 1.3, len(roots))
    return ribbons(paths, out, widths, tone, rng, corners, shares)
