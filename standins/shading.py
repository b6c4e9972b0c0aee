"""Shading in Warp: what skin, eyes, teeth, hair, frames and lenses send back along a ray.

Warp compiles these functions, so they are written in its part of Python: every local variable that changes needs a
type of its own, hence the ``float(…)`` round constants. Arithmetic is left exactly as it was: it makes the pixels.
"""
# mypy: ignore-errors
# ruff: noqa: UP018

import numpy as np
import warp as wp

from standins.head import EYE, FRAME, HAIR, LASH, LENS, SKIN, TEETH, TONGUE
from standins.painting import COLUMNS, MAP_AXIS, MAP_HEIGHTS, RELIEF_LEFT, RELIEF_TOP, ROWS

_SKIN = wp.constant(SKIN)
_EYE = wp.constant(EYE)
_LASH = wp.constant(LASH)
_TEETH = wp.constant(TEETH)
_TONGUE = wp.constant(TONGUE)
_HAIR = wp.constant(HAIR)
_FRAME = wp.constant(FRAME)
_LENS = wp.constant(LENS)
_AXIS = wp.constant(MAP_AXIS)
_LOW = wp.constant(MAP_HEIGHTS[0])
_HIGH = wp.constant(MAP_HEIGHTS[1])
_PI = wp.constant(float(np.pi))
_VERGENCE = wp.constant(0.022)
_TOOTH = wp.constant(0.075)
"""Width (dm) of a front tooth."""
_CANVAS_ROWS = wp.constant(float(ROWS))
_CANVAS_COLUMNS = wp.constant(float(COLUMNS))
_RELIEF_TOP = wp.constant(float(RELIEF_TOP))
_RELIEF_LEFT = wp.constant(float(RELIEF_LEFT))


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
    relief: wp.array2d(dtype=wp.vec4)
    leftwards: wp.vec3
    forwards: wp.vec3
    eye_left: wp.vec3
    eye_right: wp.vec3
    iris: wp.vec3
    lip: wp.vec3
    ear: wp.vec3
    lash: wp.vec3
    hair: wp.vec3
    frame: wp.vec3
    tint: wp.float32
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
def smooth(low: float, high: float, x: float) -> float:
    t = wp.clamp((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


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
def relief_at(scene: Scene, rest: wp.vec3) -> wp.vec4:
    """Bilinear look-up of the relief: slopes to the left and up, depth of a fold and gloss; outside it, bare skin."""
    angle = wp.atan2(rest[0], rest[2] - _AXIS)
    x = (angle / (2.0 * _PI) + 0.5) * _CANVAS_COLUMNS - 0.5 - _RELIEF_LEFT
    y = (_HIGH - rest[1]) / (_HIGH - _LOW) * _CANVAS_ROWS - 0.5 - _RELIEF_TOP
    rows = float(scene.relief.shape[0])
    columns = float(scene.relief.shape[1])
    if x < 0.0 or y < 0.0 or x > columns - 1.001 or y > rows - 1.001:
        return wp.vec4(0.0, 0.0, 0.0, 0.75)
    i = int(y)
    j = int(x)
    v = y - float(i)
    u = x - float(j)
    above = scene.relief[i, j] * (1.0 - u) + scene.relief[i, j + 1] * u
    below = scene.relief[i + 1, j] * (1.0 - u) + scene.relief[i + 1, j + 1] * u
    # Folds run out at the edge of the relief.
    inside = smooth(0.0, 12.0, wp.min(wp.min(x, columns - 1.0 - x), wp.min(y, rows - 1.0 - y)))
    found = above * (1.0 - v) + below * v
    return wp.vec4(found[0] * inside, found[1] * inside, found[2] * inside, 0.75 + (found[3] - 0.75) * inside)


@wp.func
def engraved(scene: Scene, normal: wp.vec3, rest: wp.vec3, relief: wp.vec4) -> wp.vec3:
    """The normal of skin that slopes as the relief says, on a head that looks along ``scene.forwards``."""
    out = wp.vec3(rest[0], 0.0, rest[2] - _AXIS)
    out = out / wp.max(wp.length(out), 1.0e-3)
    across = scene.leftwards * out[2] - scene.forwards * out[0]
    across = wp.normalize(across - normal * wp.dot(across, normal))
    up = wp.cross(normal, across)
    return wp.normalize(normal - across * relief[0] - up * relief[1])


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
    # Both eyes look at the camera, not past it: each is turned inwards a little.
    towards = wp.normalize(towards + wp.vec3(wp.sign(rest[0]) * _VERGENCE * towards[2], 0.0, 0.0))
    off = wp.acos(wp.clamp(towards[2], -1.0, 1.0))
    around = wp.atan2(towards[1], towards[0])
    fibres = 0.86 + 0.10 * wp.sin(around * 23.0) + 0.07 * wp.sin(around * 41.0 + 1.3)
    sclera = wp.vec3(0.60, 0.555, 0.525)
    redness = smooth(0.55, 1.10, off)
    veins = 0.10 * wp.sin(around * 31.0 + 6.0 * off) * wp.sin(off * 19.0 + around * 3.0)
    inner = smooth(0.45, 1.0, -towards[0] * wp.sign(rest[0]))
    redness = wp.clamp(redness * (0.8 + veins) + 0.45 * inner, 0.0, 1.2)
    sclera = wp.cw_mul(sclera, wp.vec3(1.0 - 0.05 * redness, 1.0 - 0.32 * redness, 1.0 - 0.36 * redness))
    iris = scene.iris * fibres * (0.80 + 0.75 * smooth(0.42, 0.20, off))
    # Light that enters above gathers in the lower half of the iris.
    iris = iris * (1.0 + 0.35 * smooth(0.05, -0.35, towards[1]))
    iris = iris * (1.0 - 0.78 * smooth(0.37, 0.47, off))
    colour = iris * (1.0 - smooth(0.43, 0.50, off)) + sclera * smooth(0.43, 0.50, off)
    colour = colour * smooth(scene.pupil - 0.03, scene.pupil + 0.02, off) + wp.vec3(0.005, 0.005, 0.006) * (
        1.0 - smooth(scene.pupil - 0.03, scene.pupil + 0.02, off)
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
    # On the edge of a triangle its corners may be mixed by a little less than nothing.
    lit = wp.max(lighting[0], 0.0)
    open_sky = wp.max(lighting[1], 0.0)

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
        lip = smooth(0.25, 0.92, traits[0])
        cavity = smooth(0.2, 0.6, traits[1])
        bare = (1.0 - hair) * (1.0 - ear) * (1.0 - cavity)
        relief = relief_at(scene, rest)
        relief = wp.vec4(relief[0] * bare, relief[1] * bare, relief[2] * bare * (1.0 - 0.7 * lip), relief[3])
        normal = engraved(scene, normal, rest, relief)
        polished = normal
        albedo = albedo * (1.0 - lip) + scene.lip * lip
        fold = wp.clamp(relief[2], 0.0, 0.75)
        albedo = wp.cw_mul(albedo, wp.vec3(1.0 - 0.78 * fold, 1.0 - fold, 1.0 - fold))
        albedo = albedo * (1.0 - cavity) + wp.vec3(0.22, 0.040, 0.036) * cavity
        wrap = wp.vec3(0.32, 0.17, 0.11) * (1.0 - hair)
        shine = (0.042 * relief[3] + 0.055 * lip) * scene.oiliness * (1.0 - hair) * (1.0 - fold) + 0.03 * hair
        shine = shine * (1.0 - 0.4 * cavity)
        sharpness = 14.0 + 22.0 * lip
        # The inside of the mouth is lit through its own flesh.
        open_sky = wp.max(open_sky, 0.22 * cavity)
        lit = wp.max(lit, 0.07 * cavity)
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
        # A dark line between one tooth and the next, and less light further back and towards the corners of the mouth.
        gap = wp.pow(wp.abs(wp.cos(rest[0] * (_PI / _TOOTH))), 14.0)
        reached_by_light = (0.10 + 0.90 * smooth(0.80, 1.38, rest[2])) * (
            1.0 - 0.92 * smooth(0.13, 0.25, wp.abs(rest[0]))
        )
        albedo = wp.vec3(0.80, 0.745, 0.65) * ((1.0 - 0.45 * gap) * reached_by_light)
        open_sky = 0.46 + 0.54 * open_sky
        lit = 0.38 + 0.62 * lit
        wrap = wp.vec3(0.5, 0.45, 0.4)
        shine = 0.05 * reached_by_light
        sharpness = 60.0
    if part == _TONGUE:
        albedo = wp.vec3(0.50, 0.16, 0.15) * (0.20 + 0.80 * smooth(0.7, 1.30, rest[2]))
        open_sky = 0.20 + 0.80 * open_sky
        lit = 0.14 + 0.86 * lit
        wrap = wp.vec3(0.35, 0.2, 0.2)
        shine = 0.04
        sharpness = 30.0
    if part == _FRAME:
        albedo = scene.frame
        shine = 0.10
        sharpness = 50.0

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
    # Skin lights its own hollows, and reddens them.
    around = wp.vec3(wp.pow(open_sky, 0.85), open_sky, wp.pow(open_sky, 1.05))
    light = wp.cw_mul(wp.cw_mul(scene.key, key), reached) + wp.cw_mul(scene.fill * fill + scene.ambient * sky, around)
    colour = wp.cw_mul(albedo, light)
    highlight = scene.key * (gloss(polished, view, scene.key_direction, sharpness) * lit)
    highlight = highlight + scene.fill * (gloss(polished, view, scene.fill_direction, sharpness) * open_sky)
    rim = 1.0 + 2.0 * wp.pow(1.0 - wp.clamp(wp.dot(normal, view), 0.0, 1.0), 4.0)
    return colour + highlight * (shine * rim)
