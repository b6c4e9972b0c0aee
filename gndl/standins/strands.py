"""Growth of hair: ribbons of strands that start in the skin, are combed, and lie on the head without entering it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gndl.standins.head import HAIR, Floats, Head, Integers
from gndl.standins.surface import Surface
from gndl.standins.worn import Worn

STRAND = 0.011
"""Width (dm) of what is drawn as one strand: some ten hairs."""

Comb = Callable[[Floats, Floats, float], Floats]
"""From points (P, 3), the skin's outward vectors there (P, 3) and the way along the strand in [0, 1] to the directions
(P, 3) in which the strands go on."""


def scatter(head: Head, density: Floats, count: int, rng: np.random.Generator) -> tuple[Integers, Floats]:
    """Scatter ``count`` roots over the skin.

    Parameters
    ----------
    density : array (N,)
        Relative number of roots per area at each vertex of the head.

    Returns
    -------
    corners, shares : array (count, 3)
        Vertices of each root's triangle, and how much each of them counts.
    """
    shares_of_area = density[head.triangles].mean(axis=1) * (density[head.triangles].min(axis=1) >= 0)
    edges = head.rest[head.triangles]
    area = np.linalg.norm(np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0]), axis=1)
    upto = np.cumsum(np.maximum(shares_of_area, 0) * area)
    if upto[-1] <= 0:
        return np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32)
    # Evenly spaced numbers leave fewer bald patches than random ones.
    picks = (np.arange(count) + rng.random(count)) / count * upto[-1]
    chosen = np.minimum(np.searchsorted(upto, picks), len(upto) - 1)
    a, b = np.sqrt(rng.random(count)), rng.random(count)
    shares = np.stack([1 - a, a * (1 - b), a * b], axis=1).astype(np.float32)
    return head.triangles[chosen], shares


def grow(
    surface: Surface, roots: Floats, lengths: Floats, heights: Floats, comb: Comb, n_segments: int, hold: float = 0.0
) -> tuple[Floats, Floats]:
    """Let strands grow from ``roots`` (P, 3).

    Parameters
    ----------
    lengths, heights : array (P,)
        Length of each strand, and how far above the skin it comes to lie (dm).
    comb : callable
        Gives the direction of growth.
    hold : float
        How far, in [0, 1], a strand that stands off more than its height is laid back on the head.

    Returns
    -------
    paths, outwards : array (P, n_segments + 1, 3)
        Points along each strand, and the skin's outward vectors there.
    """
    points, outwards = surface.kept_off(roots, 0.004)
    path, out, before = [points], [outwards], np.zeros_like(points)
    for k in range(1, n_segments + 1):
        way = k / n_segments
        direction = comb(points, outwards, way)
        direction = direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
        # Hair is stiff: it bends, but has no corners.
        direction = direction + 0.5 * before
        direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
        before = direction
        points = points + direction * (lengths / n_segments)[:, None]
        points, outwards = surface.kept_off(points, heights * min(1.0, 1.6 * way), hold)
        path.append(points)
        out.append(outwards)
    return np.stack(path, axis=1).astype(np.float32), np.stack(out, axis=1).astype(np.float32)


def ribbons(
    paths: Floats,
    outwards: Floats,
    widths: Floats,
    tone: Floats,
    rng: np.random.Generator,
    anchors: Integers | None = None,
    shares: Floats | None = None,
) -> Worn:
    """Give each strand's path (P, K + 1, 3) a width and make it part of what is worn.

    Parameters
    ----------
    widths : array (P,)
        In dm.
    tone : array (P, 2)
        Light that gets down to each ribbon and brightness of its colour (P, 2).
    anchors, shares : array (P, 3), optional
        What each strand moves with; nothing where they are not given.
    """
    n, k = paths.shape[:2]
    along = np.gradient(paths, axis=1)
    across = np.cross(along, outwards)
    across /= np.maximum(np.linalg.norm(across, axis=2, keepdims=True), 1e-6)
    turn = rng.normal(0, 0.25, (n, 1, 1)).astype(np.float32)
    across = across + turn * outwards
    half = (0.5 * widths[:, None] * np.interp(np.linspace(0, 1, k), [0.0, 0.22, 1.0], [0.35, 1.0, 0.45]))[..., None]
    points = np.stack([paths - half * across, paths + half * across], axis=2).reshape(-1, 3)

    number = np.arange(n * k * 2, dtype=np.int32).reshape(n, k, 2)
    left, right = number[:, :-1, 0], number[:, :-1, 1]
    next_left, next_right = number[:, 1:, 0], number[:, 1:, 1]
    triangles = np.concatenate(
        [
            np.stack([left, next_left, right], axis=-1).reshape(-1, 3),
            np.stack([right, next_right, next_left], axis=-1).reshape(-1, 3),
        ]
    )
    steps = np.arange(k)
    place = np.zeros((n, k, 2, 3), np.float32)
    place[..., 1, 0] = 1.0
    place[..., 1] = np.linspace(0, 1, k)[None, :, None]
    place[..., 2] = rng.random((n, 1, 1))
    anchors = np.zeros((n, 3), np.int32) if anchors is None else anchors
    shares = np.zeros((n, 3), np.float32) if shares is None else shares
    each = 2 * k
    tone = np.column_stack([tone, np.maximum(np.round(widths / STRAND), 2)])
    return Worn(
        points=points.astype(np.float32),
        triangles=triangles.astype(np.int32),
        part=np.full(len(triangles), HAIR, np.int32),
        place=place.reshape(-1, 3),
        tone=np.repeat(tone.astype(np.float32), each, axis=0),
        outwards=np.repeat(outwards[:, :, None], 2, axis=2).reshape(-1, 3).astype(np.float32),
        before=number[:, np.maximum(steps - 1, 0)].reshape(-1),
        after=number[:, np.minimum(steps + 1, k - 1)].reshape(-1),
        anchors=np.repeat(anchors.astype(np.int32), each, axis=0),
        shares=np.repeat(shares.astype(np.float32), each, axis=0),
    )
