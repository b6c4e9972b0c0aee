"""A rendered face: identity, expression, pose, light and camera in; picture and exact landmarks out."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from standins.beard import bristle_shade
from standins.camera import Camera, Light, backdrop, draw_light, record
from standins.hair import trimmed
from standins.head import SKIN, Floats, Head, load_head
from standins.identity import Identity, colours_of, draw_identity, dress
from standins.muscles import muscle_shapes, settle
from standins.painting import around_head, from_afar, hair_mask, paint
from standins.performance import RECIPES, perform, perform_unlabelled
from standins.raycast import Raycaster
from standins.wrinkles import carve, strengths

# fmt: off
LANDMARKS = (
    5745, 5235, 270, 912, 5240, 741, 891, 5167, 5171, 11780, 7593, 7461, 11849, 7614, 7039, 11844, 12342,
    207, 231, 229, 223, 228, 7001, 6997, 7002, 7004, 6982,
    133, 5063, 291, 297, 360, 314, 343, 7077, 7121,
    1087, 1081, 1073, 1103, 1070, 1068, 7795, 7765, 7773, 7779, 7760, 7762,
    424, 5351, 450, 455, 7210, 11953, 7184, 11939, 7241, 492, 486, 5335, 434, 470, 474, 7226, 7194, 7265, 540, 518,
)
# fmt: on
"""Vertices of MakeHuman's base mesh at the 68 points of the iBUG scheme, in its order: jaw from the left of the
picture, brows, nose, eyes, outer and inner lips."""

NECK = np.array([0.0, 6.45, 0.35], np.float32)
"""Where the head turns on the neck (dm)."""
FACE_CENTRE = np.array([0.0, 7.10, 1.0], np.float32)
"""Point of the head that the camera is aimed at (dm)."""
DISTANCE = 14.0
"""From the camera to the face (dm)."""


FAR = 110.0
"""Pixels per dm below which skin is seen without its finest detail."""


@dataclass(frozen=True)
class Pose:
    """Turn of the head on its neck, in degrees; positive yaw turns to the subject's left, positive pitch looks down,
    positive roll leans to the subject's left shoulder. ``body`` turns the whole figure."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    body: float = 0.0


@dataclass(frozen=True)
class View:
    """Where the face stands in the picture."""

    size: tuple[int, int]  # width and height of the picture in pixels
    scale: float  # pixels per dm at the face; the eyes are about 0.62 dm apart
    centre: tuple[float, float]  # of the face, in pixels

    @property
    def camera(self) -> Camera:
        """The camera that sees the face in this way."""
        return Camera(self.size, self.scale * DISTANCE, self.centre)


@dataclass(frozen=True)
class Shading:
    """Share (N,) of the lamp and of the light from all round that reaches each vertex."""

    lit: Floats
    open_sky: Floats

    def towards(self, other: Shading, share: float) -> Shading:
        """What lies between this shading and ``other``."""
        return Shading(self.lit * (1 - share) + other.lit * share, self.open_sky * (1 - share) + other.open_sky * share)


@dataclass(frozen=True)
class Shot:
    """One rendered face."""

    picture: Floats  # (height, width, 3) linear RGB, black outside the head
    coverage: Floats  # (height, width) share of each pixel that the head covers
    landmarks: Floats  # (68, 2) points of the iBUG scheme, in pixels (x, y) from the upper left corner
    hidden: NDArray[np.bool_]  # (68,) landmarks that the head itself, hair, a beard or the frame of glasses covers


class Face:
    """One identity, ready to be rendered with any expression.

    A subject's vertices and painting are made once; a frame then costs one matrix product and the casting of rays.
    """

    def __init__(self, identity: Identity) -> None:
        head = load_head()
        self.identity = identity
        self._head = head
        shape = head.rest + np.tensordot(identity.macro, head.macro, 1) + np.tensordot(identity.local, head.local, 2)
        shape = _with_lips_closed(head, shape)
        bare = (shape + self._hair(shape)).astype(np.float32)
        self._worn = dress(head, identity, bare)
        self._caster = Raycaster(head, self._worn)
        self._colours = colours_of(identity)
        self._neutral = np.concatenate([bare, self._worn.points])
        on_canvas, engraved = np.random.default_rng(identity.pattern).spawn(2)
        bristles = partial(bristle_shade, identity.beard) if identity.beard else None
        self.skin = paint(trimmed(identity.complexion, identity.hair), on_canvas, bristles)
        self._skin_from_afar, self._relief = from_afar(self.skin), carve(engraved)
        self._shapes = muscle_shapes()
        follows = np.clip((self._neutral[:, 1] - 5.75) / 0.75, 0, 1)[:, None]
        self._follows_head = (follows * follows * (3 - 2 * follows)).astype(np.float32)
        self._landmarks = np.searchsorted(head.base_index, LANDMARKS)
        # Every subject's eyes look at the camera from the same height in the picture.
        self._aim = FACE_CENTRE + (shape[head.eye_side != 0].mean(axis=0) - head.rest[head.eye_side != 0].mean(axis=0))

    def total(self, actions: Floats) -> Floats:
        """Amounts (52,) of all that the face does: ``actions`` on top of what it carries at rest, within its limits."""
        return settle(actions + self.identity.resting)

    def vertices(self, actions: Floats, pose: Pose) -> Floats:
        """Vertices (N, 3) in camera space for amounts (52,) of the facial actions, beyond the resting face.

        The head's own come first, then those of hair, beard and glasses.
        """
        moved = (self.total(actions) @ self._shapes).reshape(-1, 3)
        shape = self._neutral + np.concatenate([moved, self._worn.moved_by(moved)])
        turned = (shape - NECK) @ _rotation(pose.yaw, pose.pitch, pose.roll).T + NECK
        shape = shape + (turned - shape) * self._follows_head
        if pose.body:
            shape = (shape - NECK) @ _rotation(pose.body, 0, 0).T + NECK
        return (shape - self._aim - np.array([0, 0, DISTANCE], np.float32)).astype(np.float32)

    def shading(self, actions: Floats, pose: Pose, light: Light) -> Shading:
        """How the head shades itself; the dear part of a picture, and nearly the same from frame to frame."""
        caster = self._caster
        caster.place(self.vertices(actions, pose))
        lamp = np.array(light.key_direction) + 0.16 * _spread(10)
        lamp /= np.linalg.norm(lamp, axis=1, keepdims=True)
        lit = caster.visibility(lamp, 10.0, by_cosine=False)
        open_sky = caster.visibility(_spread(28), 1.3, by_cosine=True)
        towards = _rotation(pose.yaw + pose.body, pose.pitch, pose.roll).T @ np.array(light.key_direction, np.float32)
        worn_lit, worn_sky = self._worn.lighting(towards)
        return Shading(np.concatenate([lit, worn_lit]), np.concatenate([open_sky, worn_sky]))

    def show(self, actions: Floats, pose: Pose, light: Light, view: View, shading: Shading | None = None) -> Shot:
        """Render one picture; ``shading`` is computed where it is not given."""
        shading = shading or self.shading(actions, pose, light)
        caster, camera = self._caster, view.camera
        vertices = self.vertices(actions, pose)
        caster.place(vertices)
        identity = self.identity
        names = self._head.action_names
        wrinkles = strengths(identity.wrinkles, identity.wrinkle_depth, self.total(actions), names)
        picture, coverage = caster.render(
            self.skin if view.scale > FAR else self._skin_from_afar,
            self._relief.at(wrinkles, float(np.clip((view.scale - 60) / 90, 0.0, 1.0))),
            _rotation(pose.body, 0, 0) @ _rotation(pose.yaw, pose.pitch, pose.roll),
            self._colours,
            light,
            camera,
            shading.lit,
            shading.open_sky,
        )
        points = vertices[self._landmarks]
        return Shot(picture, coverage, camera.project(points), caster.covered(points))

    def _hair(self, shape: Floats) -> Floats:
        """Offsets (N, 3) that lift the hair off the scalp, away from the middle of the head."""
        head = self._head
        height, angle = around_head(head.rest)
        identity = self.identity
        mask = hair_mask(trimmed(identity.complexion, identity.hair), height, angle)
        mask = mask * (1 - np.clip(head.ear * 2, 0, 1))
        outwards = shape - np.array([0.0, 7.45, 0.45], np.float32)
        outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
        on_skin = np.zeros(len(head.rest), bool)
        on_skin[head.triangles[head.part == SKIN].ravel()] = True
        # Beside the ears hair lies flat, or it would swallow them.
        beside_ears = np.exp(-0.5 * (((np.abs(angle) - 1.6) / 0.45) ** 2 + ((height - 7.15) / 0.33) ** 2))
        fullness = 0.01 if identity.hair.style in ("bald", "crop") else 0.3 * identity.hair_volume
        volume = fullness * (1 - 0.85 * beside_ears)
        return outwards * (mask * on_skin * volume)[:, None]


def render_training_face(
    rng: np.random.Generator, size: int, face: Face | None = None
) -> tuple[NDArray[np.uint8], Floats]:
    """Render one face for the training of the landmark predictor (``tools/train_eyes.py``), drawn from ``rng``.

    Returns the picture (size, size, 3), in which the face fills 40 to 75 % of the height, yaw within 25°, pitch within
    15°, roll within 20°, and its 68 landmarks.
    """
    shot, wall = training_shot(rng, size, face)
    linear = shot.picture + wall * (1 - shot.coverage[..., None])
    picture = record(linear, rng, exposure=float(rng.uniform(0.8, 1.3)), noise=float(rng.uniform(0.005, 0.03)))
    return picture, shot.landmarks


def training_shot(rng: np.random.Generator, size: int, face: Face | None = None) -> tuple[Shot, Floats]:
    """The face of :func:`render_training_face` and the wall behind it; a new person where no ``face`` is given."""
    face = face or Face(draw_identity(load_head(), rng))
    names = load_head().action_names
    emotion = rng.choice([*RECIPES, "unlabelled", "neutral"])
    actions = np.zeros(len(names), np.float32)
    if emotion == "unlabelled":
        actions = perform_unlabelled(names, rng).apex
    elif emotion != "neutral":
        actions = perform(emotion, names, rng).apex * float(rng.uniform(0.2, 1.0))
    pose = Pose(float(rng.uniform(-25, 25)), float(rng.uniform(-15, 15)), float(rng.uniform(-20, 20)))
    scale = size * rng.uniform(0.18, 0.32)
    centre = size * (0.5 + rng.uniform(-0.08, 0.08, 2))
    view = View((size, size), float(scale), (float(centre[0]), float(centre[1])))
    shot = face.show(actions, pose, draw_light(rng, spread=1.4), view)
    return shot, backdrop((size, size), rng)


def _with_lips_closed(head: Head, shape: Floats) -> Floats:
    """Bring the lips together where thin ones would leave a slit at rest; ``shape`` (N, 3) as it came from the draw."""
    landmarks = shape[np.searchsorted(head.base_index, LANDMARKS)]
    upper, lower = landmarks[[61, 62, 63]].mean(axis=0), landmarks[[67, 66, 65]].mean(axis=0)
    slit = max(float(upper[1] - lower[1]), 0.0)
    off = shape - (upper + lower) / 2
    corner = np.abs(landmarks[[60, 64], 0] - upper[0]).mean()
    across = np.clip(1 - (off[:, 0] / corner) ** 2, 0, 1)
    moved = np.exp(-((off[:, 1] / 0.10) ** 2) - (np.minimum(off[:, 2], 0) / 0.15) ** 2) * across
    moved[np.isin(np.arange(len(shape)), head.triangles[head.part != SKIN])] = 0
    closed = shape.copy()
    closed[:, 1] -= np.clip(off[:, 1] / max(slit / 2, 1e-6), -1, 1) * moved * slit / 2
    return closed


@functools.cache
def _spread(count: int) -> Floats:
    """Directions (count, 3) spread evenly over the sphere (golden spiral)."""
    k = np.arange(count) + 0.5
    height, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(turn), height, across * np.sin(turn)], axis=1).astype(np.float32)


def _rotation(yaw: float, pitch: float, roll: float) -> Floats:
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (about_z @ about_y @ about_x).astype(np.float32)
