"""Filming of one sequence: a subject's expression over time, before one wall, under one light, by one camera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from standins.camera import STRONG, Light, Lighting, backdrop, draw_light, lit, near_infrared, record
from standins.difficulty import Difficulty
from standins.faces import Face, Pose, Shading, View
from standins.head import Floats, load_head
from standins.performance import Performance
from standins.timing import Timing, head_turns, live

SHUTTER = 0.5
"""Share of the time between two frames in which the shutter is open."""


@dataclass(frozen=True)
class FilmSet:
    """How one database is filmed."""

    size: tuple[int, int]  # width and height of a frame in pixels
    eye_distance: tuple[float, float]  # least and largest distance between the eyes, in pixels
    difficulty: Difficulty = field(default_factory=Difficulty)  # what varies from subject to subject


@dataclass(frozen=True)
class Subject:
    """A face and the circumstances that all of a subject's sequences share."""

    face: Face
    light: Light
    eye_distance: float
    wall_seed: int


@dataclass(frozen=True)
class Take:
    """One sequence as it happens, drawn in full: it can be filmed again by another camera or in another light."""

    performance: Performance
    timing: Timing
    actions: Floats  # (T, 52) amounts of the facial actions in every frame, beyond the resting face
    poses: tuple[Pose, ...]  # one for each frame
    light: Light  # strong visible light
    exposure: float  # factor on the light, as the camera's automatic and its whims set it
    blur: float  # standard deviation of the lens's blur in pixels
    nearer: float = 1.0  # factor on the subject's eye distance
    offset: tuple[float, float] = (0.0, 0.0)  # of the face from its usual film_set, as shares of the frame

    @property
    def intensity(self) -> Floats:
        """Share (T,) of the apex that each frame has reached, averaged over the movements."""
        return self.timing.curves.mean(axis=1)


@dataclass(frozen=True)
class Frame:
    """One filmed frame and what is known of it."""

    picture: NDArray[np.uint8]  # (height, width, 3)
    landmarks: Floats  # (68, 2) in pixels, (x, y) from the upper left corner
    hidden: NDArray[np.bool_]  # (68,) landmarks that cannot be seen
    actions: Floats  # (52,)
    facts: dict[str, float | str]  # columns of truth.csv that filming knows


def invite(face: Face, film_set: FilmSet, rng: np.random.Generator) -> Subject:
    """Draw the light, the distance and the wall that all of a subject's sequences share."""
    light = draw_light(rng, spread=film_set.difficulty.light_spread)
    return Subject(face, light, float(rng.uniform(*film_set.eye_distance)), int(rng.integers(2**31)))


def stage(
    subject: Subject, film_set: FilmSet, performance: Performance, timing: Timing, rng: np.random.Generator
) -> Take:
    """Draw what else happens in a sequence: movement of the head, light, exposure and framing."""
    difficulty = film_set.difficulty
    light = _moved(subject.light, rng)
    lids, turns = rng.spawn(2)
    besides = live(len(timing.curves), load_head().action_names, lids, protected=timing.undisturbed)
    leaning = head_turns(performance.emotion, timing.curves.mean(axis=1) * performance.strength, turns)
    poses = _head_motion(difficulty, leaning, rng)
    nearer = float(rng.uniform(0.96, 1.04))
    x, y = np.clip(rng.normal(0, (0.02, 0.015)), (-0.05, -0.04), (0.05, 0.04))
    exposure = automatic_exposure(subject, light) * float(np.exp(rng.normal(0, difficulty.exposure)))
    return Take(
        performance=performance,
        timing=timing,
        actions=timing.curves @ performance.actions + besides,
        poses=poses,
        light=light,
        exposure=exposure,
        blur=float(rng.uniform(0.25, 1.0)) * difficulty.blur,
        nearer=nearer,
        offset=(float(x), float(y)),
    )


def film(
    subject: Subject,
    film_set: FilmSet,
    take: Take,
    rng: np.random.Generator,
    *,
    body: float = 0.0,
    lighting: Lighting = STRONG,
    frames: Iterable[int] | None = None,
) -> Iterator[Frame]:
    """Yield the frames of one sequence, or those that ``frames`` names.

    ``rng`` gives the sensor's noise and nothing else; ``body`` turns the whole figure: 0 faces the camera, 90 shows the
    profile.
    """
    light = lit(take.light, lighting)
    infrared = lighting.camera == "NI"
    wall = backdrop(film_set.size, np.random.default_rng(subject.wall_seed)) * np.float32(lighting.share)
    if infrared:
        wall = near_infrared(wall)
    exposure = 1.0 if infrared else take.exposure
    exposure *= lighting.share if infrared else 1.0
    noise = film_set.difficulty.noise * lighting.noise
    view = _view(subject, film_set, take)
    poses = [replace(pose, body=body) for pose in take.poses]
    at_rest, at_apex = _shadings(subject.face, take, poses[len(poses) // 2], light)
    shares = take.intensity
    last: tuple[int, Floats] | None = None
    for k in range(len(poses)) if frames is None else frames:
        shading = at_rest.towards(at_apex, float(shares[k]))
        shot = subject.face.show(take.actions[k], poses[k], light, view, shading)
        motion = _motion(shot.landmarks, last[1] if last and last[0] == k - 1 else None)
        last = k, shot.landmarks
        linear = near_infrared(shot.picture) if infrared else shot.picture
        linear = linear + wall * (1 - shot.coverage[..., None])
        picture = record(linear, rng, exposure=exposure, noise=noise, blur=take.blur, motion=motion)
        seen = _facts(subject, take, k, poses[k], light, lighting)
        seen |= {"exposure": exposure, "noise": noise, "motion_x": motion[0], "motion_y": motion[1]}
        yield Frame(picture, shot.landmarks, shot.hidden, take.actions[k], seen)


def _shadings(face: Face, take: Take, pose: Pose, light: Light) -> tuple[Shading, Shading]:
    """How the head shades itself without and with the expression, from which every frame's shading is mixed."""
    rest = np.zeros(take.actions.shape[1], np.float32)
    return face.shading(rest, pose, light), face.shading(take.performance.apex, pose, light)


def _facts(
    subject: Subject, take: Take, frame: int, pose: Pose, light: Light, lighting: Lighting
) -> dict[str, float | str]:
    """What truth.csv tells of a frame besides where it is on disk."""
    x, y, z = light.key_direction
    red, green, blue = light.key
    return {
        "intensity": float(take.intensity[frame]),
        "strength": float(take.performance.amounts.mean()),
        "lighting": lighting.kind,
        "light_azimuth": float(np.degrees(np.arctan2(x, z))),
        "light_height": float(np.degrees(np.arcsin(y))),
        "light_amount": (red + green + blue) / 3,
        "light_warmth": float(np.log(red / blue) / 2),
        "fill_amount": float(np.mean(light.fill)),
        "ambient_amount": float(np.mean(light.ambient)),
        "yaw": pose.yaw,
        "pitch": pose.pitch,
        "roll": pose.roll,
        "body": pose.body,
        "eye_distance": subject.eye_distance * take.nearer,
        "blur": take.blur,
    }


def _motion(now: Floats, before: Floats | None) -> tuple[float, float]:
    """How far the face moves across the picture while the shutter is open."""
    if before is None:
        return 0.0, 0.0
    x, y = SHUTTER * (now - before).mean(axis=0)
    return float(x), float(y)


def automatic_exposure(subject: Subject, light: Light) -> float:
    """Half of what would bring every skin in every light to the same brightness, as a camera's automatic does."""
    luminance = np.array([0.21, 0.72, 0.07])
    arriving = 0.8 * np.array(light.key) + 0.4 * np.array(light.fill) + np.array(light.ambient)
    return float((0.34 / (luminance @ (np.array(subject.face.identity.complexion.skin) * arriving))) ** 0.5)


def _view(subject: Subject, film_set: FilmSet, take: Take) -> View:
    width, height = film_set.size
    scale = subject.eye_distance * take.nearer / 0.62
    return View(film_set.size, scale, (width * (0.5 + take.offset[0]), height * (0.54 + take.offset[1])))


def _head_motion(difficulty: Difficulty, leaning: Floats, rng: np.random.Generator) -> tuple[Pose, ...]:
    """Poses that wander slowly from a drawn start, and lean (T, 3) with what is felt."""
    limit = np.array(difficulty.pose)
    start = rng.uniform(-1, 1, 3) * limit * 0.8
    phase, speed = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.5, 1.3, 3)
    size = rng.uniform(0.2, 1.0, 3) * difficulty.drift
    time = np.linspace(0, 1, len(leaning))[:, None]
    wandering = start + size * (np.sin(phase + 2 * np.pi * speed * time) - np.sin(phase))
    angles = np.clip(wandering + leaning, -limit, limit)
    return tuple(Pose(float(yaw), float(pitch), float(roll)) for yaw, pitch, roll in angles)


def _moved(light: Light, rng: np.random.Generator) -> Light:
    """The subject's light, a little stronger or weaker and from slightly elsewhere."""
    direction = np.array(light.key_direction) + rng.normal(0, 0.06, 3)
    x, y, z = (float(value) for value in direction / np.linalg.norm(direction))
    brighter = float(np.exp(rng.normal(0, 0.06)))
    red, green, blue = (value * brighter for value in light.key)
    return replace(light, key_direction=(x, y, z), key=(red, green, blue))
