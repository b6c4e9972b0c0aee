"""What a living face does besides its expression: blinks, glances, and a head that goes with the feeling."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from gndl.standins.head import Floats

BLINKS_PER_SECOND = 0.28
"""A person at rest blinks about seventeen times a minute (Bentivoglio et al., 1997)."""

BLINK_SECONDS = 0.28
"""From the first movement of the lid to the last."""

HEAD_TURNS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "anger": ((0.0, 1.5), (2.5, 1.5), (0.0, 1.0)),
    "contempt": ((0.0, 2.0), (-2.5, 1.5), (0.0, 2.5)),
    "disgust": ((0.0, 3.0), (1.0, 2.0), (0.0, 1.5)),
    "fear": ((0.0, 2.0), (-1.5, 1.5), (0.0, 1.0)),
    "happiness": ((0.0, 1.5), (-0.5, 1.5), (0.0, 2.0)),
    "sadness": ((0.0, 1.5), (3.5, 1.5), (0.0, 2.5)),
    "surprise": ((0.0, 1.0), (-3.0, 1.5), (0.0, 1.0)),
}
"""Mean and deviation of the turn (yaw, pitch, roll) that comes with each emotion at full strength, in degrees: a sad
head sinks, a surprised one draws back and lifts. The means are small beside how far people's heads turn anyway."""


def live(
    n_frames: int,
    action_names: tuple[str, ...],
    rng: np.random.Generator,
    *,
    protected: Collection[int] = (0,),
    frames_per_second: float = 25.0,
    blinks_per_second: float = BLINKS_PER_SECOND,
    glance: float = 0.12,
) -> Floats:
    """Amounts (T, 52) that blinks and gaze add to a sequence's facial actions.

    Parameters
    ----------
    n_frames : int
    action_names : tuple of str
        Names of the facial actions, in the head's order.
    rng : numpy.random.Generator
    protected : collection of int
        Frames, from 0 (or from the end where negative), in which no lid moves: the neutral one and those at the apex.
    frames_per_second, blinks_per_second : float
    glance : float
        Typical amount of an eye's turn away from the camera, where 1 is as far as it goes.
    """
    actions = np.zeros((n_frames, len(action_names)), np.float32)
    closed = _blinks(n_frames, rng, {frame % n_frames for frame in protected}, frames_per_second, blinks_per_second)
    across, up = _gaze(n_frames, rng, frames_per_second, glance)
    column = {name: k for k, name in enumerate(action_names)}
    for side, outwards in (("Left", across), ("Right", -across)):
        actions[:, column[f"eyeBlink{side}"]] = closed
        actions[:, column[f"eyeLookOut{side}"]] = np.maximum(outwards, 0)
        actions[:, column[f"eyeLookIn{side}"]] = np.maximum(-outwards, 0)
        actions[:, column[f"eyeLookUp{side}"]] = np.maximum(up, 0)
        actions[:, column[f"eyeLookDown{side}"]] = np.maximum(-up, 0)
    return actions


def head_turns(emotion: str | None, shares: Floats, rng: np.random.Generator) -> Floats:
    """Turns (T, 3) of the head in degrees (yaw, pitch, roll) that go with an emotion.

    Parameters
    ----------
    emotion : str or None
        None for a mixture that is no emotion: its turns lean nowhere.
    shares : array (T,)
        How much of the expression each frame shows, strength included; the head follows a little later.
    rng : numpy.random.Generator
    """
    leaning = np.array(HEAD_TURNS.get(emotion or "", ((0.0, 1.5),) * 3))
    turn = leaning[:, 0] + leaning[:, 1] * np.clip(rng.normal(0, 1, 3), -2, 2)
    lag = rng.uniform(0.4, 0.8)
    followed, reached = np.zeros(len(shares)), 0.0
    for frame, share in enumerate(shares):
        reached += (float(share) - reached) * lag
        followed[frame] = reached
    return (followed[:, None] * turn).astype(np.float32)


def _blinks(
    n_frames: int, rng: np.random.Generator, protected: set[int], frames_per_second: float, blinks_per_second: float
) -> NDArray:
    """How far the lids are closed in each frame, in [0, 1]: they fall fast and rise slowly."""
    closed = np.zeros(n_frames)
    length = max(3, round(BLINK_SECONDS * frames_per_second))
    phase = (np.arange(length) + 1) / (length + 1)
    shape = np.clip(np.where(phase < 0.4, phase / 0.35, (1 - phase) / 0.5), 0, 1)
    for _ in range(rng.poisson(blinks_per_second * n_frames / frames_per_second)):
        start = int(rng.integers(n_frames))
        frames = range(start, start + length)
        # A blink that would touch a protected frame, or not fit, does not happen: sequences were chosen so.
        if frames[-1] < n_frames and not protected.intersection(frames):
            closed[start : start + length] = np.maximum(closed[start : start + length], shape)
    return closed


def _gaze(n_frames: int, rng: np.random.Generator, frames_per_second: float, glance: float) -> tuple[NDArray, NDArray]:
    """Where the eyes look, to the subject's left and up: steady for a while, then elsewhere at once."""
    across, up = np.zeros(n_frames), np.zeros(n_frames)
    frame = 0
    while frame < n_frames:
        stays = max(2, round(frames_per_second * float(rng.exponential(0.5) + 0.15)))
        # The first look is at the camera, as the database's people were asked to.
        away = 0.2 if frame == 0 or rng.random() < 0.7 else 1.0
        across[frame : frame + stays] = away * glance * rng.normal()
        up[frame : frame + stays] = 0.6 * away * glance * rng.normal()
        frame += stays
    return np.clip(across, -0.6, 0.6), np.clip(up, -0.4, 0.4)
