"""Warp kernels that cast rays at a painted head and shade what they meet.

Warp compiles these functions, so they are written in its part of Python: every local variable that changes needs a
type of its own, hence the ``float(…)`` round constants.
"""
# mypy: ignore-errors
# ruff: noqa: UP018

import numpy as np
import warp as wp

from gndl.standins.head import EYE, LASH, SKIN, TEETH, TONGUE

wp.config.log_level = wp.LOG_ERROR
wp.set_module_options({"enable_backward": False})

MAP_AXIS = 0.55
"""Depth (dm) of the vertical axis round which skin is unrolled."""
MAP_HEIGHTS = (5.75, 8.65)
"""Heights (dm) of the lower and upper edge of the unrolled skin."""

_SKIN = wp.constant(SKIN)
_EYE = wp.constant(EYE)
_LASH = wp.constant(LASH)
_TEETH = wp.constant(TEETH)
_TONGUE = wp.constant(TONGUE)
_AXIS = wp.constant(MAP_AXIS)
_LOW = wp.constant(MAP_HEIGHTS[0])
_HIGH = wp.constant(MAP_HEIGHTS[1])
_PI = wp.constant(float(np.pi))


@wp.struct
class Scene:
    """What the kernels need to shade one frame; colours are linear RGB."""

    mesh: wp.uint64
    normals: wp.array(dtype=wp.vec3)
    rest: wp.array(dtype=wp.vec3)
    traits: wp.array(dtype=wp.vec3)
    lighting: wp.array(dtype=wp.vec2)
    part: wp.array(dtype=wp.int32)
    skin: wp.array2d(dtype=wp.vec4)
    eye_left: wp.vec3
    eye_right: wp.vec3
    iris: wp.vec3
    lip: wp.vec3
    ear: wp.vec3
    lash: wp.vec3
    oiliness: wp.float32
    pupil: wp.float32
    key_direction: wp.vec3
    key: wp.vec3
    fill_direction: wp.vec3
    fill: wp.vec3
    ambient: wp.vec3
    focal: wp.float32
    centre_x: wp.float32
    centre_y: wp.float32


@wp.func
def skin_at(scene: Scene, rest: wp.vec3) -> wp.vec4:
    """Bilinear look-up of the unrolled skin: linear RGB and how much of it is hair."""
    rows = float(scene.skin.shape[0])
    columns = float(scene.skin.shape[1])
    angle = wp.atan2(rest[0], rest[2] - _AXIS)
    x = wp.clamp((angle / (2.0 * _PI) + 0.5) * columns - 0.5, 0.0, columns - 1.001)
    y = wp.clamp((_HIGH - rest[1]) / (_HIGH - _LOW) * rows - 0.5, 0.0, rows - 1.001)
    i = int(y)
    j = int(x)
    v = y - float(i)
    u = x - float(j)
    above = scene.skin[i, j] * (1.0 - u) + scene.skin[i, j + 1] * u
    below = scene.skin[i + 1, j] * (1.0 - u) + scene.skin[i + 1, j + 1] * u
    return above * (1.0 - v) + below * v


@wp.func
def smooth(low: float, high: float, x: float) -> float:
    t = wp.clamp((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def gloss(normal: wp.vec3, view: wp.vec3, light: wp.vec3, sharpness: float) -> float:
    """Blinn–Phong highlight, normalised so that a sharper one is brighter."""
    half = wp.normalize(light + view)
    return wp.pow(wp.max(wp.dot(normal, half), 0.0), sharpness) * (sharpness + 8.0) / 25.0


@wp.func
def eye_colour(scene: Scene, rest: wp.vec3) -> wp.vec4:
    """Sclera, limbal ring, iris and pupil by the angle from the eye's axis; the last number is the gloss."""
    centre = scene.eye_left
    if rest[0] < 0.0:
        centre = scene.eye_right
    towards = wp.normalize(rest - centre)
    off = wp.acos(wp.clamp(towards[2], -1.0, 1.0))
    around = wp.atan2(towards[1], towards[0])
    fibres = 0.86 + 0.10 * wp.sin(around * 23.0) + 0.07 * wp.sin(around * 41.0 + 1.3)
    sclera = wp.vec3(0.68, 0.64, 0.60)
    redness = smooth(0.55, 1.15, off)
    sclera = wp.cw_mul(sclera, wp.vec3(1.0, 1.0 - 0.30 * redness, 1.0 - 0.34 * redness))
    iris = scene.iris * fibres * (0.75 + 0.6 * smooth(0.40, 0.18, off))
    iris = iris * (1.0 - 0.75 * smooth(0.36, 0.46, off))
    colour = iris * (1.0 - smooth(0.43, 0.50, off)) + sclera * smooth(0.43, 0.50, off)
    colour = colour * smooth(scene.pupil - 0.025, scene.pupil + 0.025, off) + wp.vec3(0.006, 0.006, 0.007) * (
        1.0 - smooth(scene.pupil - 0.025, scene.pupil + 0.025, off)
    )
    # The upper lid and its lashes shade the eyeball beneath them.
    return wp.vec4(colour[0], colour[1], colour[2], 1.0 - 0.55 * smooth(0.10, 0.52, towards[1]))


@wp.func
def shade(scene: Scene, face: int, u: float, v: float, direction: wp.vec3) -> wp.vec3:
    """Light that the point (u, v) of a triangle sends back along a ray; for a lash, what it lets through."""
    mesh = wp.mesh_get(scene.mesh)
    a = mesh.indices[face * 3]
    b = mesh.indices[face * 3 + 1]
    c = mesh.indices[face * 3 + 2]
    w = 1.0 - u - v
    normal = wp.normalize(scene.normals[a] * u + scene.normals[b] * v + scene.normals[c] * w)
    rest = scene.rest[a] * u + scene.rest[b] * v + scene.rest[c] * w
    traits = scene.traits[a] * u + scene.traits[b] * v + scene.traits[c] * w
    lighting = scene.lighting[a] * u + scene.lighting[b] * v + scene.lighting[c] * w
    view = -direction
    if wp.dot(normal, view) < 0.0:
        normal = wp.normalize(normal - 1.02 * wp.dot(normal, view) * view)
    part = scene.part[face]
    lit = lighting[0]
    open_sky = lighting[1]

    albedo = wp.vec3(0.5, 0.5, 0.5)
    wrap = wp.vec3(0.0, 0.0, 0.0)
    shine = float(0.0)
    sharpness = float(20.0)
    polished = normal
    if part == _SKIN:
        skin = skin_at(scene, rest)
        albedo = wp.vec3(skin[0], skin[1], skin[2])
        # Hair and beard of the unrolled skin lie behind the ears, not on them.
        ear = smooth(0.3, 0.7, traits[2])
        albedo = albedo * (1.0 - ear) + scene.ear * ear
        hair = skin[3] * (1.0 - ear)
        lip = smooth(0.25, 0.75, traits[0])
        albedo = albedo * (1.0 - lip) + scene.lip * lip
        cavity = smooth(0.2, 0.6, traits[1])
        albedo = albedo * (1.0 - cavity) + wp.vec3(0.055, 0.014, 0.012) * cavity
        wrap = wp.vec3(0.34, 0.20, 0.14) * (1.0 - hair)
        shine = (0.045 + 0.10 * lip) * scene.oiliness * (1.0 - hair) * (1.0 - cavity) + 0.03 * hair
        sharpness = 14.0 + 20.0 * lip
    if part == _EYE:
        eye = eye_colour(scene, rest)
        albedo = wp.vec3(eye[0], eye[1], eye[2]) * eye[3]
        wrap = wp.vec3(0.25, 0.25, 0.25)
        shine = 0.06 * eye[3]
        sharpness = 700.0
        # The eyeball's few triangles would smear the highlight, so it falls on a sphere.
        centre = scene.eye_left
        if rest[0] < 0.0:
            centre = scene.eye_right
        polished = wp.normalize(rest - centre)
        open_sky = 0.35 + 0.65 * open_sky
    if part == _TEETH:
        albedo = wp.vec3(0.72, 0.66, 0.56) * smooth(0.75, 1.40, rest[2])
        open_sky = 0.25 + 0.75 * open_sky
        lit = 0.2 + 0.8 * lit
        shine = 0.05
        sharpness = 60.0
    if part == _TONGUE:
        albedo = wp.vec3(0.36, 0.11, 0.10) * smooth(0.7, 1.35, rest[2])
        shine = 0.03
        sharpness = 30.0

    facing = wp.dot(normal, scene.key_direction)
    key = wp.vec3(
        wp.max((facing + wrap[0]) / (1.0 + wrap[0]), 0.0),
        wp.max((facing + wrap[1]) / (1.0 + wrap[1]), 0.0),
        wp.max((facing + wrap[2]) / (1.0 + wrap[2]), 0.0),
    )
    # Light that has wandered under the skin reddens the edge of a shadow.
    reached = wp.vec3(wp.pow(lit, 0.75), lit, wp.pow(lit, 1.15))
    fill = wp.max((wp.dot(normal, scene.fill_direction) + 0.3) / 1.3, 0.0)
    sky = 0.72 + 0.28 * normal[1]
    light = wp.cw_mul(wp.cw_mul(scene.key, key), reached) + (scene.fill * fill + scene.ambient * sky) * open_sky
    colour = wp.cw_mul(albedo, light)
    highlight = scene.key * (gloss(polished, view, scene.key_direction, sharpness) * lit)
    highlight = highlight + scene.fill * (gloss(polished, view, scene.fill_direction, sharpness) * open_sky)
    rim = 1.0 + 2.0 * wp.pow(1.0 - wp.clamp(wp.dot(normal, view), 0.0, 1.0), 4.0)
    return colour + highlight * (shine * rim)


@wp.func
def look(scene: Scene, x: float, y: float) -> wp.vec4:
    """Colour along the ray through picture point (x, y), and whether it met the head."""
    direction = wp.normalize(wp.vec3((x - scene.centre_x) / scene.focal, (scene.centre_y - y) / scene.focal, -1.0))
    origin = wp.vec3(0.0, 0.0, 0.0)
    through = float(1.0)
    colour = wp.vec3(0.0, 0.0, 0.0)
    # At most two lashes lie before whatever is behind them.
    for _ in range(4):
        hit = wp.mesh_query_ray(scene.mesh, origin, direction, 1000.0)
        if not hit.result:
            return wp.vec4(colour[0], colour[1], colour[2], 1.0 - through)
        if scene.part[hit.face] == _LASH:
            colour = colour + scene.lash * (0.22 * through)
            through = through * 0.78
            origin = origin + direction * (hit.t + 1.0e-3)
        else:
            colour = colour + shade(scene, hit.face, hit.u, hit.v, direction) * through
            return wp.vec4(colour[0], colour[1], colour[2], 1.0)
    return wp.vec4(colour[0], colour[1], colour[2], 1.0 - through)


@wp.kernel
def look_through_pixels(scene: Scene, left: int, top: int, picture: wp.array2d(dtype=wp.vec4)) -> None:
    i, j = wp.tid()
    picture[i, j] = look(scene, float(left + j) + 0.5, float(top + i) + 0.5)


@wp.kernel
def look_closely(
    scene: Scene, left: int, top: int, pixels: wp.array(dtype=wp.vec2i), seen: wp.array(dtype=wp.vec4)
) -> None:
    """Average of four rays in a rotated square, for pixels in which one ray is not enough."""
    n = wp.tid()
    x = float(left + pixels[n][1])
    y = float(top + pixels[n][0])
    total = look(scene, x + 0.375, y + 0.125) + look(scene, x + 0.875, y + 0.375)
    total = total + look(scene, x + 0.125, y + 0.625) + look(scene, x + 0.625, y + 0.875)
    seen[n] = total * 0.25


@wp.kernel
def openness(
    mesh: wp.uint64,
    part: wp.array(dtype=wp.int32),
    points: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    reach: float,
    by_cosine: int,
    share: wp.array(dtype=wp.float32),
) -> None:
    """Share of ``directions`` in which a vertex sees nothing of the head nearer than ``reach``."""
    n = wp.tid()
    normal = normals[n]
    start = points[n] + normal * 0.012
    total = float(0.0)
    free = float(0.0)
    for k in range(directions.shape[0]):
        direction = directions[k]
        weight = float(1.0)
        if by_cosine == 1:
            weight = wp.max(wp.dot(normal, direction), 0.0)
        if weight > 0.0:
            total = total + weight
            hit = wp.mesh_query_ray(mesh, start, direction, reach)
            if not hit.result or part[hit.face] == _LASH:
                free = free + weight
    share[n] = free / wp.max(total, 1.0e-6)
