"""How far each facial action moves the head: MakeHuman's shapes, mended where they are weaker than a muscle.

Several of the shapes stop well short of the maximum that FACS describes, and two of the brow's move the wrong part of
it. Here every action at 1 is the most that the mesh bears without folding, which is near FACS intensity E.
"""

from __future__ import annotations

import functools

import numpy as np

from standins.head import Floats, Head, load_head
from standins.performance import LIMIT

GAIN = {
    "noseSneer": 2.1,
    "cheekSquint": 1.15,
    "eyeSquint": 1.1,
    "eyeWide": 1.15,
    "mouthFrown": 1.6,
    "mouthShrugLower": 1.35,
    "mouthStretch": 1.5,
    "mouthUpperUp": 1.35,
    "mouthLowerDown": 1.35,
    "mouthDimple": 1.3,
}
"""By how much a shape is enlarged, by the name of its action without the side."""

BROW_ROOM = 1.2
"""How far brow and nose together may push the skin down on the upper lid."""

CHEEK_ROOM = 1.45
"""How far cheek, squint and nose together may push the skin up on the lower lid."""


@functools.cache
def muscle_shapes() -> Floats:
    """Displacements (52, N * 3) in dm of all vertices for each facial action at 1, in the head's order."""
    head = load_head()
    shapes = head.actions.astype(np.float32).copy()
    for k, name in enumerate(head.action_names):
        shapes[k] *= GAIN.get(bare(name), 1.0)
    _mend_brows(head, shapes)
    _spare_lids(head, shapes)
    shapes = shapes.reshape(len(shapes), -1)
    shapes.setflags(write=False)
    return shapes


def bare(action: str) -> str:
    """Name of an action without its side."""
    return action.removesuffix("Left").removesuffix("Right")


def settle(actions: Floats) -> Floats:
    """What a face does when it is asked for ``actions`` (52,): amounts in [0, 1] that do not work against each other.

    A closing lid takes the squint and the widening of the eye with it, lips close over an open jaw no further than it
    is open, and the skin above and below the eye gives way no further than it can: cheek, lid and nose share it.
    """
    names = load_head().action_names
    settled = np.clip(actions, 0.0, LIMIT).astype(np.float32)
    for side in ("Left", "Right"):
        blink, squint, wide, cheek, brow, nose = (
            names.index(f"{action}{side}")
            for action in ("eyeBlink", "eyeSquint", "eyeWide", "cheekSquint", "browDown", "noseSneer")
        )
        settled[[squint, wide]] *= 1 - settled[blink]
        settled[brow] = min(settled[brow], BROW_ROOM - 0.7 * settled[nose])
        pushed = settled[cheek] + settled[squint] + 0.3 * settled[nose]
        settled[[cheek, squint]] *= min(1.0, CHEEK_ROOM / max(pushed, CHEEK_ROOM))
    closing = names.index("mouthClose")
    settled[closing] = min(settled[closing], settled[names.index("jawOpen")])
    return settled


def _mend_brows(head: Head, shapes: Floats) -> None:
    """Let the frontalis lift the inner and the outer brow apart, and the corrugator draw the brows together."""
    across = np.abs(head.rest[:, 0])[:, None]
    inner = 1 - _ramp((across - 0.14) / 0.30)
    names = head.action_names
    lift = shapes[names.index("browInnerUp")].copy()
    shapes[names.index("browInnerUp")] = lift * (0.25 + 1.95 * inner)
    middle = np.exp(-0.5 * ((across - 0.33) / 0.10) ** 2)
    for side, sign in (("Left", 1), ("Right", -1)):
        down = names.index(f"browDown{side}")
        shapes[down] *= 1.15 + 0.75 * inner
        # Skin that is drawn to the middle must not pass it, or it would fold through itself between the brows.
        for action in (down, names.index(f"noseSneer{side}")):
            shapes[action][:, 0] *= np.minimum(across[:, 0] / 0.2, 1)
        own = head.rest[:, :1] * sign > 0
        shapes[names.index(f"browOuterUp{side}")] += 1.6 * lift * middle * own


def _spare_lids(head: Head, shapes: Floats) -> None:
    """Weaken what pushes the cheek up right below the eye, where it would be pushed through the lower lid."""
    x, y = np.abs(head.rest[:, 0]), head.rest[:, 1]
    below_eye = np.exp(-(((x - 0.34) / 0.17) ** 4) - ((y - 7.13) / 0.15) ** 4)[:, None]
    for side in ("Left", "Right"):
        for action, left in (("noseSneer", 0.3), ("cheekSquint", 0.6)):
            shapes[head.action_names.index(f"{action}{side}")] *= 1 - below_eye * (1 - left)


def _ramp(share: Floats) -> Floats:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)
