"""What happens over time: onset, apex and offset of each movement, blinks, glances, and a head that goes along."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from standins.head import Floats

APEX_FRAMES = 3
"""Frames at the end of a rising sequence in which every movement stands at its apex; the paper examines as many."""

LARGEST = 1.06
"""A curve may overshoot its apex by this much before it settles."""

LEAST_AT_APEX = 0.96
"""No movement lies below this share of its apex while the apex lasts."""


@dataclass(frozen=True)
class Timing:
    """When each movement of a sequence happens."""

    curves: Floats  # (T, M) share of the apex that each movement has reached, in [0, 1.06]; the first row is zero
    markers: NDArray[np.int64]  # (M, 4) frames, from 0, at which onset begins, apex begins, offset begins and all ends

    @property
    def undisturbed(self) -> tuple[int, ...]:
        """Frames without a blink: the first, and the last three of a sequence that ends at its apex."""
        return (0, -3, -2, -1) if self.curves[-1].any() else (0,)


def rise(n_frames: int, n_movements: int, rng: np.random.Generator) -> Timing:
    """From a neutral first frame to an apex that the last three frames hold, or the last where there are under six.

    Movements start within the first seventh of the sequence and reach their apex at different moments; some overshoot
    it by a few hundredths, and held muscles tremble by about one.
    """
    last = n_frames - 1
    held = APEX_FRAMES - 1 if n_frames >= 6 else 0
    start = rng.uniform(0.0, 0.15, n_movements) * last
    top = np.maximum(rng.uniform(0.68, 1.0, n_movements) * (last - held), start + 1)
    top = np.minimum(top, last - held)
    frames = np.arange(n_frames)[:, None]
    curves = _ease((frames - start) / (top - start), rng.uniform(0.8, 1.25, n_movements))
    curves = _unsteady(curves, frames - top, n_frames, rng)
    ends = np.full(n_movements, last)
    return Timing(curves, np.round(np.stack([start, top, ends, ends], axis=1)).astype(np.int64))


def rise_and_fall(n_frames: int, n_movements: int, rng: np.random.Generator) -> Timing:
    """Neutral, onset, an apex round the middle of the clip, offset and neutral again (MMI).

    The offset takes longer than the onset for most people, and the movements part a little more in it.
    """
    shared = np.array(
        [rng.uniform(0.10, 0.20), rng.uniform(0.32, 0.42), rng.uniform(0.58, 0.66), rng.uniform(0.84, 0.94)]
    )
    moments = shared + rng.uniform(-0.02, 0.02, (n_movements, 4)) * np.array([1.0, 1.0, 1.3, 1.5])
    time = np.linspace(0, 1, n_frames)[:, None]
    up = _ease((time - moments[:, 0]) / (moments[:, 1] - moments[:, 0]), rng.uniform(0.8, 1.25, n_movements))
    down = _ease((time - moments[:, 2]) / (moments[:, 3] - moments[:, 2]), rng.uniform(0.8, 1.25, n_movements))
    curves = _unsteady(up * (1 - down), (time - moments[:, 1]) * (n_frames - 1), n_frames, rng)
    return Timing(curves, np.round(moments * (n_frames - 1)).astype(np.int64))


def _ease(time: NDArray, speed: NDArray) -> NDArray:
    """From 0 at ``time`` 0 to 1 at 1; ``speed`` above 1 starts late and hurries, below 1 does the reverse."""
    time = np.clip(time, 0, 1) ** speed
    return time * time * (3 - 2 * time)


def _unsteady(curves: NDArray, frames_past_top: NDArray, n_frames: int, rng: np.random.Generator) -> Floats:
    """Add an overshoot that dies away after the apex is reached, and the slow tremor of held muscles."""
    n_movements = curves.shape[1]
    overshoot = rng.uniform(0, 0.05, n_movements) * (rng.random(n_movements) < 0.4)
    bump = np.exp(-0.5 * (frames_past_top / 1.5) ** 2)
    period, phase = rng.uniform(6, 14, n_movements), rng.uniform(0, 2 * np.pi, n_movements)
    tremor = 0.012 * np.sin(2 * np.pi * np.arange(n_frames)[:, None] / period + phase)
    return (curves * (1 + overshoot * bump + tremor)).astype(np.float32)


# --- what a living face does besides its expression

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
head sinks, a surprised one draws back and lifts."""


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

    In the ``protected`` frames (negative ones count from the end) no lid moves; ``glance`` is the typical amount of an
    eye's turn away from the camera, where 1 is as far as it goes.
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
    """Turns (T, 3) of the head in degrees (yaw, pitch, roll) that go with an emotion, or lean nowhere for None.

    ``shares`` (T,) is how much of the expression each frame shows, strength included; the head follows a little later.
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
