"""Ray casting of a painted head with Warp: smooth normals, soft skin, glossy eyes, lashes that let light through.

The mesh arrives in camera space (x right, y up, z towards the camera, which sits at the origin). Colours are linear
light; :func:`standins.camera.record` makes them fit for display.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

from standins.camera import Camera, Light, Triple
from standins.head import HAIR, Floats, Head
from standins.kernels import Scene, covered, look_closely, openness, wp
from standins.strands import Worn, on_cpu, start_warp

NOTICEABLE = 0.09
"""Difference of neighbouring pixels, in display brightness, from which on one ray a pixel is not enough."""

SMOOTHING = 2
"""How often light and shadow are spread to neighbouring vertices."""


ONE_RAY = np.array([[0.5, 0.5]], np.float32)
FOUR_RAYS = np.array([[0.375, 0.125], [0.875, 0.375], [0.125, 0.625], [0.625, 0.875]], np.float32)
"""Places within a pixel: its middle, or a rotated square where one ray is not enough."""


@dataclass(frozen=True)
class Colours:
    """Colours of a subject in linear RGB, but for the skin, which is painted (:mod:`standins.painting`)."""

    iris: Triple
    lip: Triple
    ear: Triple
    lash: Triple
    oiliness: float = 1.0  # strength of the skin's gloss
    pupil: float = 0.2  # angle of the pupil's edge from the eye's axis, in radians
    hair: Triple = (0.03, 0.02, 0.015)
    frame: Triple = (0.02, 0.02, 0.02)
    tint: float = 0.06  # share of the light that the lenses of glasses keep back


class Raycaster:
    """Casts rays at one head, and what it wears, whose vertices move; not to be shared between threads."""

    def __init__(self, head: Head, worn: Worn) -> None:
        start_warp()
        self._n_head = len(head.rest)
        triangles = np.concatenate([head.triangles, worn.triangles + self._n_head]).astype(np.int32)
        part = np.concatenate([head.part, worn.part]).astype(np.int32)
        # Strands need a direction in the place of a normal, so their triangles are left out here.
        self._corners = triangles[part != HAIR]
        self._part = on_cpu(part, wp.int32)
        self._rest = on_cpu(np.concatenate([head.rest, worn.place]).astype(np.float32), wp.vec3)
        strand = np.flatnonzero(worn.before != worn.after)
        self._strand = strand + self._n_head
        self._before, self._after = worn.before[strand] + self._n_head, worn.after[strand] + self._n_head
        traits = np.concatenate([np.stack([head.lip, head.cavity, head.ear], axis=1), worn.tone]).astype(np.float32)
        self._traits = on_cpu(traits, wp.vec3)
        points = np.concatenate([head.rest, worn.points]).astype(np.float32)
        self._points = on_cpu(points, wp.vec3)
        self._normals = wp.zeros(len(points), dtype=wp.vec3, device="cpu")
        self._mesh = wp.Mesh(self._points, on_cpu(triangles.ravel(), wp.int32))
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
        inputs = [self._mesh.id, self._part, self._rest, self._traits, on_cpu(points, wp.vec3), hidden]
        wp.launch(covered, dim=len(points), inputs=inputs, device="cpu")
        return hidden.numpy() > 0

    def visibility(self, directions: Floats, reach: float, *, by_cosine: bool) -> Floats:
        """Share (N,) of unit ``directions`` (K, 3) that each vertex of the head sees free within ``reach`` dm."""
        share = wp.zeros(self._n_head, dtype=wp.float32, device="cpu")
        rays = on_cpu(directions.astype(np.float32), wp.vec3)
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
        """Return the picture (height, width, 3) in linear RGB, and the share of each pixel that the head covers.

        ``skin`` is a painting, ``relief`` its wrinkles and pores, ``axes`` (3, 3) has in its columns where the head's
        own x, y and z point in camera space; ``lit`` and ``open_sky`` (N,) are the shares of the lamp, and of the light
        from all round, that reach each vertex.
        """
        width, height = camera.size
        scene = self._scene(skin, colours, light, camera)
        scene.relief = wp.array(relief, dtype=wp.vec4, device="cpu", copy=False)
        scene.leftwards, scene.forwards = (wp.vec3(*map(float, axes[:, k])) for k in (0, 2))
        scene.lighting = on_cpu(np.stack([lit, open_sky], axis=1), wp.vec2)
        picture = np.zeros((height, width, 4), np.float32)
        seen = camera.project(self._points.numpy())
        left, top = np.clip(np.floor(seen.min(axis=0)).astype(int), 0, (width, height))
        right, bottom = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 1, 0, (width, height))
        if right <= left or bottom <= top:
            return picture[..., :3], picture[..., 3]
        corner, shape = (int(left), int(top)), (int(bottom - top), int(right - left))
        everywhere = np.moveaxis(np.indices(shape, np.int32), 0, -1).reshape(-1, 2)
        rough = self._looked_at(scene, corner, everywhere, ONE_RAY).reshape(*shape, 4)
        pixels = np.argwhere(_needs_a_closer_look(rough)).astype(np.int32)
        if len(pixels):
            rough[pixels[:, 0], pixels[:, 1]] = self._looked_at(scene, corner, pixels, FOUR_RAYS)
        picture[top:bottom, left:right] = rough
        picture[..., 3] = np.where(picture[..., 3] > 0.998, 1.0, picture[..., 3])
        return picture[..., :3], picture[..., 3]

    def _looked_at(self, scene: Any, corner: tuple[int, int], pixels: NDArray, rays: Floats) -> Floats:
        """Colour and coverage (P, 4) of pixels (row, column), counted from ``corner`` (left, top) of the picture."""
        seen = wp.zeros(len(pixels), dtype=wp.vec4, device="cpu")
        inputs = [scene, *corner, on_cpu(pixels, wp.vec2i), on_cpu(rays, wp.vec2), 1.0 / len(rays), seen]
        wp.launch(look_closely, dim=len(pixels), inputs=inputs, device="cpu")
        return seen.numpy()

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
