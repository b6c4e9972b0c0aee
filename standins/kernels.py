"""Warp kernels that cast rays at a painted head: the picture, its shading, what is covered, the nearest skin.

The first face waits until Warp has compiled all this, so it is kept quick to compile: one module, one kernel that
walks along rays, no unrolled loops, no precompiled header (it takes longer to write than the headers to read), and
inlining no further than a frame gains from it. None of this changes a bit of the pictures.
"""
# mypy: ignore-errors
# ruff: noqa: UP018

from standins.files import StandInError

try:
    import warp as wp
except ModuleNotFoundError as error:
    raise StandInError("Warp is not installed; rendering needs: pip install gndl[standins]") from error

from standins.shading import _FRAME, _HAIR, _LASH, _LENS, _SKIN, Scene, shade

wp.config.log_level = wp.LOG_ERROR
wp.config.use_precompiled_headers = False
wp.set_module_options(
    {"enable_backward": False, "max_unroll": 1, "cpu_compiler_flags": "-march=native -mllvm=-inline-threshold=1000"}
)

_SKIN_DEEP = wp.constant(0.13)
"""Depth (dm) to which a point may lie below what covers it without being hidden: the thickness of a lid or a lip."""


@wp.func
def chance(x: float, y: float) -> float:
    """A number in [0, 1) that looks random and belongs to (x, y)."""
    t = wp.sin(x * 12.9898 + y * 78.233) * 43758.5453
    return t - wp.floor(t)


@wp.func
def strand_cover(place: wp.vec3, count: float) -> float:
    """How much of a ribbon its ``count`` strands cover at ``place``: all of it at the root, single hairs at the tip."""
    x = place[0] * count
    cell = wp.floor(x)
    off = wp.abs(x - cell - 0.5)
    reach = 0.76 + 0.24 * chance(cell + 0.7, place[2] * 91.0)
    left = wp.clamp((reach - place[1]) / 0.25, 0.0, 1.0)
    # The ribbon's own edges break up first, or it would look like tape.
    middle = 1.0 - wp.abs(place[0] - 0.5) * 2.0
    half = 0.72 * wp.min(left, 0.45 + 3.0 * middle)
    rooted = wp.clamp(place[1] * 20.0 + 0.3, 0.0, 1.0)
    # Mostly all or nothing: every half covered spot costs another ray.
    return rooted * wp.clamp((half - off) * 5.0 + 1.8 * left - 0.3, 0.0, 1.0)


@wp.func
def strand_light(along: wp.vec3, view: wp.vec3, light: wp.vec3, tilt: float, colour: wp.vec3) -> wp.vec3:
    """What a strand sends back of a light, as Kajiya and Kay (1989) have it: brightest across the strand.

    The second highlight has passed through the strand, so it is coloured, wider, and further down.
    """
    facing = wp.dot(along, light)
    body = wp.sqrt(wp.max(1.0 - facing * facing, 0.0))
    half = wp.normalize(light + view)
    first = wp.dot(along, half) + tilt
    second = wp.dot(along, half) - tilt - 0.12
    sharp = wp.pow(wp.sqrt(wp.max(1.0 - first * first, 0.0)), 70.0)
    broad = wp.pow(wp.sqrt(wp.max(1.0 - second * second, 0.0)), 16.0)
    gleam = wp.vec3(0.040, 0.037, 0.034) + colour * 0.20
    return colour * (0.66 * body) + gleam * sharp + colour * (0.60 * broad)


@wp.func
def hair_colour(
    scene: Scene, place: wp.vec3, along: wp.vec3, tone: wp.vec3, lighting: wp.vec2, view: wp.vec3
) -> wp.vec3:
    """Light that a strand sends back."""
    strand = chance(wp.floor(place[0] * tone[2]) + 3.1, place[2] * 57.0)
    tilt = 0.05 + 0.10 * (strand - 0.5) + 0.10 * (place[2] - 0.5)
    own = scene.hair * (tone[1] * (0.80 + 0.40 * strand))
    seen = wp.cw_mul(scene.key, strand_light(along, view, scene.key_direction, tilt, own)) * lighting[0]
    seen = seen + wp.cw_mul(scene.fill, strand_light(along, view, scene.fill_direction, tilt, own)) * lighting[1]
    return seen + wp.cw_mul(scene.ambient, own) * (1.1 * lighting[1])


@wp.func
def lens_gleam(scene: Scene, normal: wp.vec3, view: wp.vec3) -> wp.vec3:
    """What a lens mirrors: the room, more of it at a slant (Schlick 1994), and the lamps as bright patches."""
    facing = wp.abs(wp.dot(normal, view))
    mirror = 0.04 + 0.96 * wp.pow(1.0 - facing, 5.0)
    back = 2.0 * wp.dot(normal, view) * normal - view
    lamp = wp.pow(wp.max(wp.dot(back, scene.key_direction), 0.0), 420.0) * 7.0
    other = wp.pow(wp.max(wp.dot(back, scene.fill_direction), 0.0), 200.0) * 3.0
    room = 0.5 + 0.5 * back[1]
    return (scene.ambient * (0.5 + 1.5 * room) + scene.key * lamp + scene.fill * other) * mirror


@wp.func
def worn(scene: Scene, face: int, u: float, v: float, direction: wp.vec3) -> wp.vec4:
    """Light that hair or a lens sends back along a ray, and how much of the ray it stops."""
    corners = wp.mesh_get(scene.mesh).indices
    a = corners[face * 3]
    b = corners[face * 3 + 1]
    c = corners[face * 3 + 2]
    w = 1.0 - u - v
    along = wp.normalize(scene.normals[a] * u + scene.normals[b] * v + scene.normals[c] * w)
    if scene.part[face] == _LENS:
        gleam = lens_gleam(scene, along, -direction)
        return wp.vec4(gleam[0], gleam[1], gleam[2], scene.tint)
    place = scene.rest[a] * u + scene.rest[b] * v + scene.rest[c] * w
    tone = scene.traits[a] * u + scene.traits[b] * v + scene.traits[c] * w
    cover = strand_cover(place, tone[2])
    if cover < 0.02:
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    lighting = scene.lighting[a] * u + scene.lighting[b] * v + scene.lighting[c] * w
    seen = hair_colour(scene, place, along, tone, lighting, -direction)
    return wp.vec4(seen[0] * cover, seen[1] * cover, seen[2] * cover, cover)


@wp.func
def in_mouth(scene: Scene, face: int) -> bool:
    """Whether a triangle lies inside the mouth."""
    first = wp.mesh_get(scene.mesh).indices[face * 3]
    return scene.part[face] == _SKIN and scene.traits[first][1] > 0.3


@wp.func
def look(scene: Scene, x: float, y: float) -> wp.vec4:
    """Colour along the ray through picture point (x, y), and whether it met the head."""
    direction = wp.normalize(wp.vec3((x - scene.centre_x) / scene.focal, (scene.centre_y - y) / scene.focal, -1.0))
    origin = wp.vec3(0.0, 0.0, 0.0)
    through = float(1.0)
    colour = wp.vec3(0.0, 0.0, 0.0)
    # At most two lashes lie before whatever is behind them; of hair there may be many layers.
    for _ in range(12):
        hit = wp.mesh_query_ray(scene.mesh, origin, direction, 1000.0)
        if not hit.result:
            return wp.vec4(colour[0], colour[1], colour[2], 1.0 - through)
        if hit.sign < 0.0 and in_mouth(scene, hit.face):
            # The back of the mouth's lining, where deep folds push it through the cheek, is skipped.
            origin = origin + direction * (hit.t + 5.0e-5)
        elif scene.part[hit.face] == _LASH:
            colour = colour + scene.lash * (0.22 * through)
            through = through * 0.78
            origin = origin + direction * (hit.t + 1.0e-3)
        elif scene.part[hit.face] == _HAIR or scene.part[hit.face] == _LENS:
            seen = worn(scene, hit.face, hit.u, hit.v, direction)
            colour = colour + wp.vec3(seen[0], seen[1], seen[2]) * through
            through = through * (1.0 - seen[3])
            origin = origin + direction * (hit.t + 1.0e-3)
            if through < 0.3:
                colour = colour / (1.0 - through)
                # A little less than all tells hair from skin; the raycaster makes it whole.
                return wp.vec4(colour[0], colour[1], colour[2], 0.999)
        else:
            colour = colour + shade(scene, hit.face, hit.u, hit.v, direction) * through
            return wp.vec4(colour[0], colour[1], colour[2], 1.0)
    return wp.vec4(colour[0], colour[1], colour[2], 1.0 - through)


@wp.kernel
def look_closely(
    scene: Scene,
    left: int,
    top: int,
    pixels: wp.array(dtype=wp.vec2i),
    rays: wp.array(dtype=wp.vec2),
    share: float,
    seen: wp.array(dtype=wp.vec4),
) -> None:
    """Average of a pixel's ``rays``, which are places within it; ``share`` is one over their number."""
    n = wp.tid()
    total = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for k in range(rays.shape[0]):
        x = float(left + pixels[n][1]) + rays[k][0]
        y = float(top + pixels[n][0]) + rays[k][1]
        total = total + look(scene, x, y)
    seen[n] = total * share


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
            if not hit.result or part[hit.face] == _LASH or part[hit.face] >= _FRAME:
                free = free + weight
            elif part[hit.face] == _HAIR:
                free = free + 0.25 * weight
    share[n] = free / wp.max(total, 1.0e-6)


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


@wp.kernel
def nearest_on_surface(
    mesh: wp.uint64,
    normals: wp.array(dtype=wp.vec3),
    asked: wp.array(dtype=wp.vec3),
    closest: wp.array(dtype=wp.vec3),
    outwards: wp.array(dtype=wp.vec3),
) -> None:
    """Nearest point of a mesh, and the mesh's smooth normal there."""
    n = wp.tid()
    hit = wp.mesh_query_point_no_sign(mesh, asked[n], 100.0)
    corners = wp.mesh_get(mesh).indices
    a = corners[hit.face * 3]
    b = corners[hit.face * 3 + 1]
    c = corners[hit.face * 3 + 2]
    closest[n] = wp.mesh_eval_position(mesh, hit.face, hit.u, hit.v)
    outwards[n] = wp.normalize(normals[a] * hit.u + normals[b] * hit.v + normals[c] * (1.0 - hit.u - hit.v))
