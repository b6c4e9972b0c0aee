"""Warp functions for what is worn on the face: strands of hair, frames and lenses of glasses."""
# mypy: ignore-errors

import warp as wp

wp.set_module_options({"enable_backward": False})


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
    colour: wp.vec3,
    place: wp.vec3,
    along: wp.vec3,
    tone: wp.vec3,
    lighting: wp.vec2,
    view: wp.vec3,
    key_direction: wp.vec3,
    key: wp.vec3,
    fill_direction: wp.vec3,
    fill: wp.vec3,
    ambient: wp.vec3,
) -> wp.vec3:
    """Light that a strand sends back."""
    strand = chance(wp.floor(place[0] * tone[2]) + 3.1, place[2] * 57.0)
    tilt = 0.05 + 0.10 * (strand - 0.5) + 0.10 * (place[2] - 0.5)
    own = colour * (tone[1] * (0.80 + 0.40 * strand))
    seen = wp.cw_mul(key, strand_light(along, view, key_direction, tilt, own)) * lighting[0]
    seen = seen + wp.cw_mul(fill, strand_light(along, view, fill_direction, tilt, own)) * lighting[1]
    return seen + wp.cw_mul(ambient, own) * (1.1 * lighting[1])


@wp.func
def lens_gleam(
    normal: wp.vec3,
    view: wp.vec3,
    key_direction: wp.vec3,
    key: wp.vec3,
    fill_direction: wp.vec3,
    fill: wp.vec3,
    ambient: wp.vec3,
) -> wp.vec3:
    """What a lens mirrors: the room, more of it at a slant (Schlick 1994), and the lamps as bright patches."""
    facing = wp.abs(wp.dot(normal, view))
    mirror = 0.04 + 0.96 * wp.pow(1.0 - facing, 5.0)
    back = 2.0 * wp.dot(normal, view) * normal - view
    lamp = wp.pow(wp.max(wp.dot(back, key_direction), 0.0), 420.0) * 7.0
    other = wp.pow(wp.max(wp.dot(back, fill_direction), 0.0), 200.0) * 3.0
    room = 0.5 + 0.5 * back[1]
    return (ambient * (0.5 + 1.5 * room) + key * lamp + fill * other) * mirror


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
