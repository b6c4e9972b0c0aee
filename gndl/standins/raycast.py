"""Ray casting of a painted head with Warp: smooth normals, soft skin, glossy eyes, lashes that let light through.

The mesh arrives in camera space (x right, y up, z towards the camera, which sits at the origin), so that head pose and
camera are the caller's concern. Colours are linear light; :func:`gndl.standins.faces.encode` makes them
fit for display.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

from gndl.standins.head import HAIR, Floats, Head
from gndl.standins.kernels import Scene, look_closely, look_through_pixels, openness
from gndl.standins.kernels_covering import covered
from gndl.standins.worn import Worn, nothing_worn

NOTICEABLE = 0.09
"""Difference of neighbouring pixels, in display brightness, from which on one ray a pixel is not enough."""

SMOOTHING = 2
"""How often light and shadow are spread to neighbouring vertices."""


@dataclass(frozen=True)
class Colours:
    """Colours of a subject in linear RGB, but for the skin, which is painted (:mod:`gndl.standins.skin`)."""

    iris: tuple[float, float, float]
    lip: tuple[float, float, float]
    ear: tuple[float, float, float]
    lash: tuple[float, float, float]
    oiliness: float = 1.0
    """Strength of the skin's gloss."""
    pupil: float = 0.2
    """Angle of the pupil's edge from the eye's axis, in radians."""
    hair: tuple[float, float, float] = (0.03, 0.02, 0.015)
    frame: tuple[float, float, float] = (0.02, 0.02, 0.02)
    tint: float = 0.06
    """Share of the light that the lenses of glasses keep back."""


@dataclass(frozen=True)
class Light:
    """One large lamp, a weaker light from the other side and light from all round; directions in camera space."""

    key_direction: tuple[float, float, float]
    key: tuple[float, float, float]
    fill_direction: tuple[float, float, float]
    fill: tuple[float, float, float]
    ambient: tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """Pinhole camera at the origin that looks along -z.

    ``focal`` and the principal point ``centre`` (x, y) are in pixels, ``size`` is width and height of the picture.
    """

    size: tuple[int, int]
    focal: float
    centre: tuple[float, float]

    def project(self, points: Floats) -> Floats:
        """Picture coordinates (…, 2), in pixels from the upper left corner, of points (…, 3) in camera space."""
        depth = -points[..., 2]
        x = points[..., 0] / depth * self.focal + self.centre[0]
        y = self.centre[1] - points[..., 1] / depth * self.focal
        return np.stack([x, y], axis=-1).astype(np.float32)


class Raycaster:
    """Casts rays at one head whose vertices move; not to be shared between threads.

    Parameters
    ----------
    head : Head
        Gives the triangles and what each of them is.
    worn : Worn, optional
        What is worn on the head; its vertices come behind the head's.
    """

    def __init__(self, head: Head, worn: Worn | None = None) -> None:
        start_warp()
        worn = worn or nothing_worn()
        self._n_head = len(head.rest)
        triangles = np.concatenate([head.triangles, worn.triangles + self._n_head]).astype(np.int32)
        part = np.concatenate([head.part, worn.part]).astype(np.int32)
        # Strands need a direction in the place of a normal, so their triangles are left out here.
        self._corners = triangles[part != HAIR]
        self._part = _on_cpu(part, wp.int32)
        self._rest = _on_cpu(np.concatenate([head.rest, worn.place]).astype(np.float32), wp.vec3)
        strand = np.flatnonzero(worn.before != worn.after)
        self._strand = strand + self._n_head
        self._before, self._after = worn.before[strand] + self._n_head, worn.after[strand] + self._n_head
        traits = np.concatenate([np.stack([head.lip, head.cavity, head.ear], axis=1), worn.tone]).astype(np.float32)
        self._traits = _on_cpu(traits, wp.vec3)
        points = np.concatenate([head.rest, worn.points]).astype(np.float32)
        self._points = _on_cpu(points, wp.vec3)
        self._normals = wp.zeros(len(points), dtype=wp.vec3, device="cpu")
        self._mesh = wp.Mesh(self._points, _on_cpu(triangles.ravel(), wp.int32))
        self._gather = _corners_of_each_vertex(self._corners, len(points))
        self._eyes = [head.rest[head.eye_side == side].mean(axis=0) for side in (1, -1)]
        self._neighbours = _mean_of_neighbours(head)

    def place(self, vertices: Floats) -> None:
        """Move the head's vertices to (N, 3) in camera space."""
        edges = vertices[self._corners]
        across = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        normals = self._gather @ across
        normals[self._strand] = vertices[self._after] - vertices[self._before]
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        self._points.numpy()[:] = vertices
        self._normals.numpy()[:] = normals
        self._mesh.refit()

    def covered(self, points: Floats) -> NDArray[np.bool_]:
        """Mark those of ``points`` (K, 3) on the head that something hides from the camera; lashes hide nothing."""
        hidden = wp.zeros(len(points), dtype=wp.int32, device="cpu")
        inputs = [self._mesh.id, self._part, self._rest, self._traits, _on_cpu(points, wp.vec3), hidden]
        wp.launch(covered, dim=len(points), inputs=inputs, device="cpu")
        return hidden.numpy() > 0

    def visibility(self, directions: Floats, reach: float, *, by_cosine: bool) -> Floats:
        """Share (N,) of unit ``directions`` (K, 3) that each vertex of the head sees free within ``reach`` dm."""
        share = wp.zeros(self._n_head, dtype=wp.float32, device="cpu")
        rays = _on_cpu(directions.astype(np.float32), wp.vec3)
        inputs = [self._mesh.id, self._part, self._points, self._normals, rays, reach, int(by_cosine), share]
        wp.launch(openness, dim=self._n_head, inputs=inputs, device="cpu")
        return self._evened(share.numpy())

    def _evened(self, found: Floats) -> Floats:
        """Light and shadow (N,) of the head's vertices, spread to their neighbours: single vertices would fleck."""
        for _ in range(SMOOTHING):
            found = self._neighbours @ found
        return found

    def render(
        self,
        skin: Floats,
        relief: Floats,
        axes: Floats,
        colours: Colours,
        light: Light,
        camera: Camera,
        lit: Floats,
        open_sky: Floats,
    ) -> tuple[Floats, Floats]:
        """Return the picture and its coverage.

        Parameters
        ----------
        skin : array (rows, columns, 4)
            Unrolled skin: linear RGB and hair.
        relief : array (r, c, 4)
            Wrinkles and pores (:mod:`gndl.standins.wrinkles`).
        axes : array (3, 3)
            Where the head's own x, y and z point in camera space, in its columns.
        lit, open_sky : array (N,)
            Share of the lamp, and of the light from all round, that reaches each vertex.

        Returns
        -------
        picture : array (height, width, 3)
            Linear RGB, black where the head is not.
        coverage : array (height, width)
            Share of each pixel that the head covers, in [0, 1].
        """
        width, height = camera.size
        scene = self._scene(skin, colours, light, camera)
        scene.relief = wp.array(relief, dtype=wp.vec4, device="cpu", copy=False)
        scene.leftwards, scene.forwards = (wp.vec3(*map(float, axes[:, k])) for k in (0, 2))
        scene.lighting = _on_cpu(np.stack([lit, open_sky], axis=1), wp.vec2)
        picture = np.zeros((height, width, 4), np.float32)
        seen = camera.project(self._points.numpy())
        left, top = np.clip(np.floor(seen.min(axis=0)).astype(int), 0, (width, height))
        right, bottom = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 1, 0, (width, height))
        if right <= left or bottom <= top:
            return picture[..., :3], picture[..., 3]
        window = wp.zeros((int(bottom - top), int(right - left)), dtype=wp.vec4, device="cpu")
        wp.launch(look_through_pixels, dim=window.shape, inputs=[scene, int(left), int(top), window], device="cpu")
        rough = window.numpy()
        pixels = np.argwhere(_needs_a_closer_look(rough)).astype(np.int32)
        if len(pixels):
            closer = wp.zeros(len(pixels), dtype=wp.vec4, device="cpu")
            places = _on_cpu(pixels, wp.vec2i)
            wp.launch(look_closely, dim=len(pixels), inputs=[scene, int(left), int(top), places, closer], device="cpu")
            rough[pixels[:, 0], pixels[:, 1]] = closer.numpy()
        picture[top:bottom, left:right] = rough
        picture[..., 3] = np.where(picture[..., 3] > 0.998, 1.0, picture[..., 3])
        return picture[..., :3], picture[..., 3]

    def _scene(self, skin: Floats, colours: Colours, light: Light, camera: Camera) -> Any:
        scene: Any = Scene()
        scene.mesh = self._mesh.id
        scene.normals, scene.rest, scene.part = self._normals, self._rest, self._part
        scene.traits = self._traits
        scene.skin = wp.array(skin, dtype=wp.vec4, device="cpu", copy=False)
        scene.eye_left, scene.eye_right = (wp.vec3(*map(float, eye)) for eye in self._eyes)
        scene.iris, scene.lip = wp.vec3(*colours.iris), wp.vec3(*colours.lip)
        scene.ear, scene.lash = wp.vec3(*colours.ear), wp.vec3(*colours.lash)
        scene.oiliness, scene.pupil = colours.oiliness, colours.pupil
        scene.hair, scene.frame, scene.tint = wp.vec3(*colours.hair), wp.vec3(*colours.frame), colours.tint
        scene.key_direction, scene.key = wp.vec3(*light.key_direction), wp.vec3(*light.key)
        scene.fill_direction, scene.fill = wp.vec3(*light.fill_direction), wp.vec3(*light.fill)
        scene.ambient = wp.vec3(*light.ambient)
        scene.focal, scene.centre_x, scene.centre_y = camera.focal, camera.centre[0], camera.centre[1]
        return scene


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


def _on_cpu(values: NDArray, kind: Any) -> Any:
    return wp.array(values, dtype=kind, device="cpu")


def _corners_of_each_vertex(triangles: NDArray, n_vertices: int) -> csr_matrix:
    """Sparse (N, F) matrix that adds up the triangles round each vertex."""
    rows = triangles.ravel()
    columns = np.repeat(np.arange(len(triangles)), 3)
    return coo_matrix((np.ones(len(rows), np.float32), (rows, columns)), (n_vertices, len(triangles))).tocsr()


def _mean_of_neighbours(head: Head) -> csr_matrix:
    """Sparse (N, N) matrix that takes half of a vertex and half of the mean of those next to it."""
    triangles, n_vertices = head.triangles, len(head.rest)
    one, other = (triangles[:, [0, 1, 2, 1, 2, 0]].ravel(), triangles[:, [1, 2, 0, 0, 1, 2]].ravel())
    joined = coo_matrix((np.ones(len(one), np.float32), (one, other)), (n_vertices, n_vertices)).tocsr()
    joined.data[:] = 1.0
    mean = diags(0.5 / np.maximum(np.asarray(joined.sum(axis=1)).ravel(), 1)) @ joined
    return (mean + diags(np.full(n_vertices, 0.5))).astype(np.float32).tocsr()


def _needs_a_closer_look(picture: Floats) -> NDArray[np.bool_]:
    """Mark pixels that differ visibly from the next one to the right or below: outlines, lids, brows, lips, teeth."""
    # What is nearly black is not worth it: strands of dark hair would all be looked at again.
    shown = np.sqrt(np.maximum(picture[..., :3].mean(axis=2), 0) + 0.03) + picture[..., 3]
    rough = np.zeros(shown.shape, bool)
    # Within the hair, strands may stay as crisp as one ray finds them.
    needed = np.where(np.abs(picture[..., 3] - 0.999) < 1e-4, 1.5 * NOTICEABLE, 0.5 * NOTICEABLE)
    across = np.abs(np.diff(shown, axis=1)) > needed[:, 1:] + needed[:, :-1]
    down = np.abs(np.diff(shown, axis=0)) > needed[1:] + needed[:-1]
    rough[:, 1:] |= across
    rough[:, :-1] |= across
    rough[1:] |= down
    rough[:-1] |= down
    return rough
