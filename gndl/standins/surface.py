"""A subject's skin as a surface that hair, beard and glasses are fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from gndl.standins.head import SKIN, Floats, Head
from gndl.standins.kernels_occluders import nearest_on_surface
from gndl.standins.raycast import start_warp


class Surface:
    """A subject's skin at rest, which can be asked for its nearest point.

    Parameters
    ----------
    head : Head
    points : array (N, 3)
        The head's vertices.
    """

    def __init__(self, head: Head, points: Floats) -> None:
        start_warp()
        triangles = head.triangles[head.part == SKIN]
        edges = points[triangles]
        across = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        normals = np.zeros_like(points)
        for corner in range(3):
            np.add.at(normals, triangles[:, corner], across)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        self._points: Any = wp.array(points.astype(np.float32), dtype=wp.vec3, device="cpu")
        self._normals: Any = wp.array(normals.astype(np.float32), dtype=wp.vec3, device="cpu")
        self._corners: Any = wp.array(triangles.ravel().astype(np.int32), dtype=wp.int32, device="cpu")
        self._mesh = wp.Mesh(self._points, self._corners)

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        """Nearest points of the skin and the skin's outward unit vectors there, (P, 3) each."""
        n = len(points)
        asked: Any = wp.array(np.ascontiguousarray(points, np.float32), dtype=wp.vec3, device="cpu")
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
