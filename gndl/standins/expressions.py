"""What a face does for each emotion: the EMFACS recipe as ARKit facial actions, drawn anew for every sequence.

Action units (Ekman, Friesen and Hager, FACS, 2002) and the combinations that stand for an emotion (EMFACS; the same
list guided the labelling of CK+, Lucey et al. 2010, Table 1) are given beside each recipe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gndl.standins.head import Floats

TWO_SIDED = (
    *("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeSquint", "eyeWide", "noseSneer"),
    *("mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp"),
)
"""Facial actions that a face may do on either side alone."""


@dataclass(frozen=True)
class Movement:
    """One action unit of a recipe.

    Parameters
    ----------
    unit : int
        Number of the action unit in FACS.
    actions : dict of str to float
        Facial actions that make it, with their amounts at full strength; two-sided ones without their side.
    probability : float
        Share of the sequences in which it takes part.
    one_sided : bool
        Done on one side only, drawn for each sequence.
    """

    unit: int
    actions: dict[str, float]
    probability: float = 1.0
    one_sided: bool = False


RECIPES: dict[str, tuple[Movement, ...]] = {
    # 4 + 5 + 7 + 23, often 24 and 17
    "anger": (
        Movement(4, {"browDown": 1.2}),
        Movement(5, {"eyeWide": 0.45}),
        Movement(7, {"eyeSquint": 0.55}),
        Movement(23, {"mouthRollUpper": 0.35, "mouthRollLower": 0.35}),
        Movement(24, {"mouthPress": 0.5, "mouthFrown": 0.35}, 0.8),
        Movement(17, {"mouthShrugLower": 0.5}, 0.6),
        Movement(10, {"noseSneer": 0.3}, 0.5),
    ),
    # 14 (+ 12) on one side
    "contempt": (
        Movement(14, {"mouthDimple": 1.0}, one_sided=True),
        Movement(12, {"mouthSmile": 0.55, "cheekSquint": 0.2}, one_sided=True),
        Movement(10, {"mouthUpperUp": 0.2}, 0.4, one_sided=True),
        Movement(7, {"eyeSquint": 0.3}, 0.5),
    ),
    # 9 + 10 + 15 or 16 + 17, with 4 and 6 drawn in by the nose
    "disgust": (
        Movement(9, {"noseSneer": 1.0}),
        Movement(10, {"mouthUpperUp": 0.6}, 0.9),
        Movement(4, {"browDown": 0.65}),
        Movement(6, {"cheekSquint": 0.6}, 0.8),
        Movement(7, {"eyeSquint": 0.5}, 0.8),
        Movement(15, {"mouthFrown": 0.4}, 0.7),
        Movement(16, {"mouthLowerDown": 0.35}, 0.5),
        Movement(17, {"mouthShrugLower": 0.45}, 0.5),
    ),
    # 1 + 2 + 4 + 5 + 20 + 25 or 26
    "fear": (
        Movement(1, {"browInnerUp": 1.3}),
        Movement(2, {"browOuterUp": 0.3}),
        Movement(4, {"browDown": 0.3}, 0.9),
        Movement(5, {"eyeWide": 0.9}),
        Movement(20, {"mouthStretch": 0.95}),
        Movement(25, {"mouthLowerDown": 0.5, "mouthUpperUp": 0.15}),
        Movement(26, {"jawOpen": 0.2}, 0.6),
    ),
    # 6 + 12, mostly 25
    "happiness": (
        Movement(12, {"mouthSmile": 1.0}),
        Movement(6, {"cheekSquint": 0.8, "eyeSquint": 0.35}),
        Movement(25, {"mouthUpperUp": 0.45, "mouthLowerDown": 0.45}, 0.75),
        Movement(26, {"jawOpen": 0.18}, 0.35),
    ),
    # 1 + 4 + 15, mostly 17
    "sadness": (
        Movement(1, {"browInnerUp": 1.3}),
        Movement(4, {"browDown": 0.35}),
        Movement(15, {"mouthFrown": 1.0}),
        Movement(17, {"mouthShrugLower": 0.65}, 0.8),
        Movement(7, {"eyeSquint": 0.25}, 0.4),
    ),
    # 1 + 2 + 5 + 26 or 27
    "surprise": (
        Movement(1, {"browInnerUp": 1.3}),
        Movement(2, {"browOuterUp": 1.3}),
        Movement(5, {"eyeWide": 0.9}),
        Movement(26, {"jawOpen": 0.75}),
        Movement(25, {"mouthFunnel": 0.2}, 0.5),
    ),
}

UNPOSED: tuple[Movement, ...] = tuple(
    Movement(unit, actions, one_sided=one_sided)
    for unit, actions, one_sided in [
        (1, {"browInnerUp": 0.9}, False),
        (2, {"browOuterUp": 0.9}, False),
        (4, {"browDown": 0.9}, False),
        (5, {"eyeWide": 0.8}, False),
        (6, {"cheekSquint": 0.8}, False),
        (12, {"mouthSmile": 0.8}, True),
        (15, {"mouthFrown": 0.8}, False),
        (17, {"mouthShrugLower": 0.8}, False),
        (18, {"mouthPucker": 0.8}, False),
        (20, {"mouthStretch": 0.8}, False),
        (24, {"mouthPress": 0.8}, False),
        (25, {"mouthLowerDown": 0.6}, False),
        (26, {"jawOpen": 0.5}, False),
        (34, {"cheekPuff": 0.7}, False),
    ]
)
"""Single movements of which the sequences without an emotion label are mixed, as FACS tasks in CK+ were."""


@dataclass(frozen=True)
class Performance:
    """One draw of an expression: what the face does at its apex, movement by movement.

    Parameters
    ----------
    units : tuple of int
        Action unit of each movement.
    amounts : array (M,)
        Strength of each movement in [0, 1], for the FACS intensity.
    actions : array (M, 52)
        Amounts of the facial actions that each movement adds, in the head's order.
    """

    units: tuple[int, ...]
    amounts: Floats
    actions: Floats

    @property
    def apex(self) -> Floats:
        """Amounts (52,) of all facial actions at the apex."""
        return self.actions.sum(axis=0)

    def intensities(self) -> dict[int, int]:
        """FACS intensity of each action unit, from 1 (A, a trace) to 5 (E, maximum)."""
        return {
            unit: int(np.clip(np.ceil(amount * 5), 1, 5)) for unit, amount in zip(self.units, self.amounts, strict=True)
        }


def perform(emotion: str, action_names: tuple[str, ...], rng: np.random.Generator) -> Performance:
    """Draw one performance of ``emotion``, between 0.6 and 1.0 of full strength.

    Every movement has its own variation, and its two sides differ by up to a fifth.
    """
    chosen = [movement for movement in RECIPES[emotion] if rng.random() < movement.probability]
    return _draw(chosen, action_names, rng)


def perform_unlabelled(action_names: tuple[str, ...], rng: np.random.Generator) -> Performance:
    """Draw a mixture of one to three single movements, which is no emotion's recipe."""
    chosen = rng.choice(len(UNPOSED), size=rng.integers(1, 4), replace=False)
    return _draw([UNPOSED[k] for k in sorted(chosen)], action_names, rng)


def _draw(movements: list[Movement], action_names: tuple[str, ...], rng: np.random.Generator) -> Performance:
    strength = rng.uniform(0.6, 1.0)
    stronger_side = rng.choice([-1.0, 1.0])
    asymmetry = rng.uniform(0.0, 0.12)
    amounts, rows = [], []
    for movement in movements:
        amount = float(np.clip(strength * rng.uniform(0.85, 1.12), 0.0, 1.0))
        left = amount * (1 + stronger_side * asymmetry)
        right = amount * (1 - stronger_side * asymmetry)
        if movement.one_sided:
            left, right = (amount, 0.0) if stronger_side > 0 else (0.0, amount)
        row = dict.fromkeys(action_names, 0.0)
        for action, share in movement.actions.items():
            if action in TWO_SIDED:
                row[f"{action}Left"], row[f"{action}Right"] = left * share, right * share
            else:
                row[action] = amount * share
        amounts.append(amount)
        rows.append(list(row.values()))
    return Performance(
        tuple(movement.unit for movement in movements), np.array(amounts, np.float32), np.array(rows, np.float32)
    )


@dataclass(frozen=True)
class Timing:
    """When each movement of a sequence happens.

    Parameters
    ----------
    curves : array (T, M)
        Share of the apex that each movement has reached in each frame, in [0, 1]; the first row is zero.
    markers : array (M, 4)
        Frames, from 0, at which onset begins, the apex is reached, offset begins and the face is neutral again.
    """

    curves: Floats
    markers: NDArray[np.int64]


def rise(n_frames: int, n_movements: int, rng: np.random.Generator) -> Timing:
    """From a neutral first frame to the apex in the last two frames."""
    start = rng.uniform(0.0, 0.15, n_movements)
    top = rng.uniform(0.72, 1.0, n_movements) * (n_frames - 3) / (n_frames - 1)
    time = np.linspace(0, 1, n_frames)[:, None]
    curves = _smooth((time - start) / (top - start)).astype(np.float32)
    markers = np.stack([start, top, np.ones(n_movements), np.ones(n_movements)], axis=1) * (n_frames - 1)
    return Timing(curves, np.round(markers).astype(np.int64))


def rise_and_fall(n_frames: int, n_movements: int, rng: np.random.Generator) -> Timing:
    """Neutral, onset, an apex round the middle of the clip, offset and neutral again (MMI)."""
    shared = np.array(
        [rng.uniform(0.10, 0.20), rng.uniform(0.34, 0.42), rng.uniform(0.60, 0.68), rng.uniform(0.82, 0.92)]
    )
    moments = shared + rng.uniform(-0.02, 0.02, (n_movements, 4))
    time = np.linspace(0, 1, n_frames)[:, None]
    up = _smooth((time - moments[:, 0]) / (moments[:, 1] - moments[:, 0]))
    down = _smooth((time - moments[:, 2]) / (moments[:, 3] - moments[:, 2]))
    return Timing((up * (1 - down)).astype(np.float32), np.round(moments * (n_frames - 1)).astype(np.int64))


def _smooth(time: NDArray) -> NDArray:
    time = np.clip(time, 0, 1)
    return time * time * (3 - 2 * time)
