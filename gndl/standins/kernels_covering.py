"""Warp kernel that tells which points of a head the camera cannot see."""
# mypy: ignore-errors
# ruff: noqa: UP018

import warp as wp

from gndl.standins.head import LASH, LENS

wp.set_module_options({"enable_backward": False})

_LASH = wp.constant(LASH)
_LENS = wp.constant(LENS)
_SKIN_DEEP = wp.constant(0.13)
"""Depth (dm) to which a point may lie below what covers it without being hidden: the thickness of a lid or a lip."""


@wp.kernel
def covered(
    mesh: wp.uint64, part: wp.array(dtype=wp.int32), points: wp.array(dtype=wp.vec3), hidden: wp.array(dtype=wp.int32)
) -> None:
    """Mark points that something other than a lash or a lens covers, seen from the origin."""
    n = wp.tid()
    distance = wp.length(points[n])
    direction = points[n] / distance
    passed = float(0.0)
    for _ in range(8):
        hit = wp.mesh_query_ray(mesh, direction * passed, direction, distance - passed - _SKIN_DEEP)
        if not hit.result:
            break
        if part[hit.face] != _LASH and part[hit.face] != _LENS:
            hidden[n] = 1
            break
        passed = passed + hit.t + 0.001
