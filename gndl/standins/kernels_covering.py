"""Warp kernel that tells which points of a head the camera cannot see."""
# mypy: ignore-errors
# ruff: noqa: UP018

import warp as wp

from gndl.standins.head import HAIR, LASH, LENS
from gndl.standins.kernels_occluders import strand_cover

wp.set_module_options({"enable_backward": False})

_LASH = wp.constant(LASH)
_LENS = wp.constant(LENS)
_HAIR = wp.constant(HAIR)
_SKIN_DEEP = wp.constant(0.13)
"""Depth (dm) to which a point may lie below what covers it without being hidden: the thickness of a lid or a lip."""


@wp.kernel
def covered(
    mesh: wp.uint64,
    part: wp.array(dtype=wp.int32),
    rest: wp.array(dtype=wp.vec3),
    traits: wp.array(dtype=wp.vec3),
    points: wp.array(dtype=wp.vec3),
    hidden: wp.array(dtype=wp.int32),
) -> None:
    """Mark points of the skin of which less than half can be seen from the origin; lashes and lenses hide nothing."""
    n = wp.tid()
    distance = wp.length(points[n])
    direction = points[n] / distance
    corners = wp.mesh_get(mesh).indices
    passed = float(0.0)
    through = float(1.0)
    for _ in range(16):
        hit = wp.mesh_query_ray(mesh, direction * passed, direction, distance - passed - 0.01)
        if not hit.result:
            break
        kind = part[hit.face]
        passed = passed + hit.t + 0.001
        if kind == _HAIR:
            a = corners[hit.face * 3]
            b = corners[hit.face * 3 + 1]
            c = corners[hit.face * 3 + 2]
            place = rest[a] * hit.u + rest[b] * hit.v + rest[c] * (1.0 - hit.u - hit.v)
            through = through * (1.0 - strand_cover(place, traits[a][2]))
        elif (kind > _HAIR and kind != _LENS) or (kind != _LASH and kind != _LENS and passed < distance - _SKIN_DEEP):
            through = 0.0
    if through < 0.5:
        hidden[n] = 1
