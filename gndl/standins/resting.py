"""Faces at rest: what a relaxed face always carries, which strangers take for a mood."""

from __future__ import annotations

import numpy as np

from gndl.standins.head import Floats
from gndl.standins.recipes import TWO_SIDED

RESTING: dict[str, dict[str, float]] = {
    "cross": {"browDown": 1.0, "noseSneer": 0.15, "mouthFrown": 0.4, "mouthRollUpper": 0.5, "eyeSquint": 0.5},
    "sad": {"browInnerUp": 1.0, "mouthFrown": 0.9, "eyeBlink": 0.45, "mouthShrugLower": 0.3},
    "sceptical": {"eyeSquint": 0.9, "mouthDimple": 0.6, "mouthRollLower": 0.5, "browOuterUp": 0.4},
    "friendly": {"mouthSmile": 0.8, "cheekSquint": 0.4, "browOuterUp": 0.4},
    "tired": {"eyeBlink": 0.9, "browInnerUp": 0.5, "mouthFrown": 0.3},
    "startled": {"eyeWide": 1.0, "browOuterUp": 0.5, "browInnerUp": 0.4},
    "sour": {"noseSneer": 0.8, "mouthUpperUp": 0.25, "mouthFrown": 0.5, "mouthShrugLower": 0.4},
}
"""Moods that a face may seem to have at rest, as the share of each facial action in them."""

LARGEST = 0.4
"""No action of a relaxed face goes beyond this."""


def draw_resting(action_names: tuple[str, ...], rng: np.random.Generator, sigma: float) -> Floats:
    """Draw the amounts (52,) of the facial actions that one relaxed face always carries.

    Half of all faces lean to one seeming mood, by twice ``sigma`` at the typical strength; everybody has a little
    of their own in each of its actions besides, on the two sides not quite the same.

    Parameters
    ----------
    action_names : tuple of str
        Names of the facial actions, in the head's order.
    rng : numpy.random.Generator
    sigma : float
        Spread of the amounts; 0 gives the mesh's own neutral face to everybody.
    """
    amounts = dict.fromkeys(action_names, 0.0)
    mood = RESTING[str(rng.choice(list(RESTING)))]
    depth = 2 * sigma * float(rng.beta(4.0, 2.0)) * 1.5 * (rng.random() < 0.5)
    for action in sorted({action for moods in RESTING.values() for action in moods}):
        own = max(float(rng.normal(0, 0.35 * sigma)), 0.0)
        left, right = 1 + rng.normal(0, 0.2, 2)
        amount = depth * mood.get(action, 0.0) + own
        if action in TWO_SIDED:
            amounts[f"{action}Left"], amounts[f"{action}Right"] = amount * left, amount * right
        else:
            amounts[action] = amount
    return np.clip(np.array(list(amounts.values()), np.float32), 0, LARGEST)
