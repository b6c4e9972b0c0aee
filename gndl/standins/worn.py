"""What a subject wears on the head, as geometry: the form in which hair, beard and glasses join the mesh."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from gndl.standins.head import Floats, Integers


@dataclass(frozen=True)
class Worn:
    """Geometry that is added to a head.

    Parameters
    ----------
    points : array (M, 3)
        Where the vertices lie on the relaxed face, in dm.
    triangles : array (K, 3)
    part : array (K,)
        What a triangle belongs to: ``HAIR``, ``FRAME`` or ``LENS``.
    place : array (M, 3)
        Where a vertex lies on its strand or lens, for the shader: across in [0, 1], along in [0, 1], a random number.
    tone : array (M, 3)
        For strands: how much light gets down to them in [0, 1], brightness of their colour, strands in a ribbon.
    outwards : array (M, 3)
        Unit vectors away from the skin.
    before, after : array (M,)
        Neighbours along the strand; a strand's direction runs from one to the other. The vertex itself elsewhere.
    anchors, shares : array (M, 3)
        Vertices of the head whose movement a vertex follows, and how much of each; shares of 0 do not move.
    """

    points: Floats
    triangles: Integers
    part: Integers
    place: Floats
    tone: Floats
    outwards: Floats
    before: Integers
    after: Integers
    anchors: Integers
    shares: Floats

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
