"""What is worn on the head as geometry: the form of hair, beard and glasses, the skin they fit, and how hair grows."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from standins.head import HAIR, SKIN, Floats, Head, Integers
from standins.kernels import nearest_on_surface, wp


@functools.cache
def start_warp() -> None:
    """Start Warp without the warning that its library writes to standard error where there is no GPU.

    Nothing here uses one, and every worker process would say it again.
    """
    standard_error = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            wp.init()
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


def on_cpu(values: NDArray, kind: Any) -> Any:
    """A Warp array of ``values``."""
    return wp.array(values, dtype=kind, device="cpu")


@dataclass(frozen=True)
class Worn:
    """Geometry that is added to a head; nothing where the arrays are empty."""

    points: Floats  # (M, 3) vertices on the relaxed face, in dm
    triangles: Integers  # (K, 3)
    part: Integers  # (K,) HAIR, FRAME or LENS
    place: Floats  # (M, 3) on its strand or lens, for the shader: across and along in [0, 1], a random number
    tone: Floats  # (M, 3) of strands: light that gets down to them in [0, 1], brightness, strands in a ribbon
    outwards: Floats  # (M, 3) unit vectors away from the skin
    before: Integers  # (M,) neighbour along the strand, whose direction runs from before to after; itself elsewhere
    after: Integers
    anchors: Integers  # (M, 3) vertices of the head whose movement a vertex follows
    shares: Floats  # (M, 3) how much of each; shares of 0 do not move

    def moved_by(self, offsets: Floats) -> Floats:
        """Movement (M, 3) that follows from the movement (N, 3) of the head's vertices."""
        moved = np.zeros_like(self.points)
        if len(moved):
            fixed = np.flatnonzero(self.shares.any(axis=1))
            moved[fixed] = np.einsum("mkx,mk->mx", offsets[self.anchors[fixed]], self.shares[fixed])
        return moved

    def lighting(self, towards_lamp: Floats) -> tuple[Floats, Floats]:
        """Share (M,) of the lamp, in the direction (3,) from the head, and of the light from all round.

        No rays are cast here: strands shade each other by their depth, and the head shades its far side.
        """
        facing = np.clip((self.outwards @ towards_lamp + 0.35) / 0.85, 0, 1)
        depth = self.tone[:, 0]
        above = 0.80 + 0.20 * self.outwards[:, 1]
        lit = facing * facing * (3 - 2 * facing) * (0.30 + 0.70 * depth)
        return lit.astype(np.float32), (above * (0.20 + 0.80 * depth)).astype(np.float32)


def nothing_worn() -> Worn:
    """A bare head."""
    number, corner = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    one = np.zeros(0, np.int32)
    return Worn(number, corner, one, number, number, number, one, one, corner, number)


def joined(pieces: list[Worn]) -> Worn:
    """All pieces as one."""
    starts = np.cumsum([0] + [len(piece.points) for piece in pieces])
    moved = [
        replace(piece, triangles=piece.triangles + start, before=piece.before + start, after=piece.after + start)
        for piece, start in zip(pieces, starts[:-1].astype(np.int32), strict=True)
    ]
    return Worn(**{f.name: np.concatenate([getattr(piece, f.name) for piece in moved]) for f in fields(Worn)})


class Surface:
    """A subject's skin at rest, with the head's vertices at ``points`` (N, 3), to which hair and glasses are fitted."""

    def __init__(self, head: Head, points: Floats) -> None:
        start_warp()
        triangles = head.triangles[head.part == SKIN]
        edges = points[triangles]
        across = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        normals = np.zeros_like(points)
        for corner in range(3):
            np.add.at(normals, triangles[:, corner], across)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        self._points = on_cpu(points.astype(np.float32), wp.vec3)
        self._normals = on_cpu(normals.astype(np.float32), wp.vec3)
        self._corners = on_cpu(triangles.ravel().astype(np.int32), wp.int32)
        self._mesh = wp.Mesh(self._points, self._corners)

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        """Nearest points of the skin and the skin's outward unit vectors there, (P, 3) each."""
        n = len(points)
        asked = on_cpu(np.ascontiguousarray(points, np.float32), wp.vec3)
        closest, outwards = (wp.zeros(n, dtype=wp.vec3, device="cpu") for _ in range(2))
        inputs = [self._mesh.id, self._normals, asked, closest, outwards]
        wp.launch(nearest_on_surface, dim=n, inputs=inputs, device="cpu")
        return closest.numpy(), outwards.numpy()

    def kept_off(self, points: Floats, clearance: Floats | float, hold: Floats | float = 0.0) -> tuple[Floats, Floats]:
        """Points (P, 3) moved out of the skin to at least ``clearance`` (dm), and the outward vectors there.

        Points that are farther off go back by the share ``hold``.
        """
        closest, outwards = self.nearest(points)
        height = np.sum((points - closest) * outwards, axis=1)
        near = np.linalg.norm(points - closest, axis=1) < 0.6
        short = clearance - height
        lift = np.where(near, np.maximum(short, 0) + hold * np.minimum(short, 0), 0)[:, None]
        return points + lift * outwards, outwards


STRAND = 0.011
"""Width (dm) of what is drawn as one strand: some ten hairs."""

Comb = Callable[[Floats, Floats, float], Floats]
"""From points (P, 3), the skin's outward vectors there (P, 3) and the way along the strand in [0, 1] to the directions
(P, 3) in which the strands go on."""


def scatter(head: Head, density: Floats, count: int, rng: np.random.Generator) -> tuple[Integers, Floats]:
    """Scatter ``count`` roots over the skin; ``density`` (N,) is their relative number per area at each vertex.

    Returns the vertices of each root's triangle, and how much each of them counts, (count, 3) both.
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
    """Let strands of ``lengths`` (P,) grow from ``roots`` (P, 3) and lie at ``heights`` (P,) above the skin (dm).

    ``hold`` in [0, 1] is how far a strand that stands off more than its height is laid back on the head. Returns points
    along each strand, and the skin's outward vectors there, (P, n_segments + 1, 3) both.
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
    """Give each strand's path (P, K + 1, 3) a width (P,) in dm and make it part of what is worn.

    ``tone`` (P, 2) is the light that gets down to each ribbon and the brightness of its colour; ``anchors`` and
    ``shares`` (P, 3) are what each strand moves with.
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
