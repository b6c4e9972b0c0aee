"""When each movement of an expression happens: onset, apex and offset, none of them quite together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gndl.standins.head import Floats

APEX_FRAMES = 3
"""Frames at the end of a rising sequence in which every movement stands at its apex; the paper examines as many."""

LARGEST = 1.06
"""A curve may overshoot its apex by this much before it settles."""

LEAST_AT_APEX = 0.96
"""No movement lies below this share of its apex while the apex lasts."""


@dataclass(frozen=True)
class Timing:
    """When each movement of a sequence happens.

    Parameters
    ----------
    curves : array (T, M)
        Share of the apex that each movement has reached in each frame, in [0, 1.06]; the first row is zero.
    markers : array (M, 4)
        Frames, from 0, at which onset begins, the apex is reached, offset begins and the face is neutral again.
    """

    curves: Floats
    markers: NDArray[np.int64]

    @property
    def undisturbed(self) -> tuple[int, ...]:
        """Frames in which nobody blinks: the first, and the last three of a sequence that ends at its apex.

        Sequences with a blink there were not chosen for CK+ and Oulu-CASIA; in MMI's clips people blink at any time.
        """
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
