"""Filming of one sequence: a subject's expression over time, before one wall, under one light, by one camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gndl.standins.expressions import Performance, Timing
from gndl.standins.faces import Face, Light, Pose, View, backdrop, draw_light, finish
from gndl.standins.head import Floats


@dataclass(frozen=True)
class Studio:
    """How one database is filmed; lengths in pixels, angles in degrees.

    Parameters
    ----------
    size : (int, int)
        Width and height of a frame.
    eye_distance : (float, float)
        Least and largest distance between the eyes.
    pose : (float, float, float)
        Largest yaw, pitch and roll of the head at the start of a sequence.
    drift : float
        How far the head moves in the course of a sequence.
    noise : float
        Deviation of the sensor's noise, as a fraction of white.
    """

    size: tuple[int, int]
    eye_distance: tuple[float, float]
    pose: tuple[float, float, float] = (6.0, 5.0, 3.0)
    drift: float = 1.0
    noise: float = 0.004


@dataclass(frozen=True)
class Subject:
    """A face and the circumstances that all of a subject's sequences share."""

    face: Face
    light: Light
    eye_distance: float
    wall_seed: int


@dataclass(frozen=True)
class Frame:
    """One filmed frame: picture (height, width, 3) uint8 and its 68 landmarks in pixels."""

    picture: NDArray[np.uint8]
    landmarks: Floats


def invite(face: Face, studio: Studio, rng: np.random.Generator) -> Subject:
    """Set the studio up for a subject."""
    return Subject(face, draw_light(rng), float(rng.uniform(*studio.eye_distance)), int(rng.integers(2**31)))


def film(
    subject: Subject,
    studio: Studio,
    performance: Performance,
    timing: Timing,
    rng: np.random.Generator,
    *,
    body: float = 0.0,
) -> Iterator[Frame]:
    """Yield the frames of one sequence.

    Parameters
    ----------
    body : float
        Turn of the whole figure in degrees: 0 faces the camera, 90 shows the profile.
    """
    n_frames = len(timing.curves)
    light = _moved(subject.light, rng)
    wall = backdrop(studio.size, np.random.default_rng(subject.wall_seed))
    poses = [replace(pose, body=body) for pose in _head_motion(studio, n_frames, rng)]
    view = _framing(subject, studio, rng)
    exposure = _exposure(subject, light) * float(np.exp(rng.normal(0, 0.10)))
    rest = np.zeros(performance.actions.shape[1], np.float32)
    middle = poses[n_frames // 2]
    at_rest = subject.face.shading(rest, middle, light)
    at_apex = subject.face.shading(performance.apex, middle, light)
    for pose, shares in zip(poses, timing.curves, strict=True):
        shading = at_rest.towards(at_apex, float(shares.mean()))
        shot = subject.face.show(shares @ performance.actions, pose, light, view, shading)
        yield Frame(finish(shot, wall, rng, exposure, studio.noise), shot.landmarks)


def _exposure(subject: Subject, light: Light) -> float:
    """Half of what would bring every skin in every light to the same brightness, as a camera's automatic does."""
    luminance = np.array([0.21, 0.72, 0.07])
    arriving = 0.8 * np.array(light.key) + 0.4 * np.array(light.fill) + np.array(light.ambient)
    return float((0.34 / (luminance @ (np.array(subject.face.identity.complexion.skin) * arriving))) ** 0.5)


def _framing(subject: Subject, studio: Studio, rng: np.random.Generator) -> View:
    width, height = studio.size
    scale = subject.eye_distance / 0.62 * float(rng.uniform(0.96, 1.04))
    x = width * (0.5 + float(np.clip(rng.normal(0, 0.02), -0.05, 0.05)))
    y = height * (0.54 + float(np.clip(rng.normal(0, 0.015), -0.04, 0.04)))
    return View(studio.size, scale, (x, y))


def _head_motion(studio: Studio, n_frames: int, rng: np.random.Generator) -> list[Pose]:
    """Poses that wander slowly from a drawn start."""
    start = rng.uniform(-1, 1, 3) * np.array(studio.pose) * 0.8
    phase, speed = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.5, 1.3, 3)
    size = rng.uniform(0.2, 1.0, 3) * studio.drift
    time = np.linspace(0, 1, n_frames)[:, None]
    angles = start + size * (np.sin(phase + 2 * np.pi * speed * time) - np.sin(phase))
    angles = np.clip(angles, -np.array(studio.pose), studio.pose)
    return [Pose(float(yaw), float(pitch), float(roll)) for yaw, pitch, roll in angles]


def _moved(light: Light, rng: np.random.Generator) -> Light:
    """The subject's light, a little stronger or weaker and from slightly elsewhere."""
    direction = np.array(light.key_direction) + rng.normal(0, 0.06, 3)
    x, y, z = (float(value) for value in direction / np.linalg.norm(direction))
    brighter = float(np.exp(rng.normal(0, 0.06)))
    red, green, blue = (value * brighter for value in light.key)
    return replace(light, key_direction=(x, y, z), key=(red, green, blue))
