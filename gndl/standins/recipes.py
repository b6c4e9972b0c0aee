"""What a face does for each emotion: combinations of action units, and the facial actions that make each unit.

Sources, by which each variant is described:

* FACS: Ekman, Friesen and Hager, *Facial Action Coding System*, 2002; the manual's units, and the investigator's guide
  with the combinations that stand for an emotion and their major variants.
* EMFACS: Friesen and Ekman, *EMFACS-7: Emotional Facial Action Coding System*, 1983; the units that decide an emotion.
* CK+: Lucey et al., *The Extended Cohn-Kanade Dataset*, 2010, Table 1; the criteria by which its sequences were
  labelled: anger 23 and 24, disgust 9 or 10, fear 1 + 2 + 4 (without 5 at least with a strong 4), happiness 12,
  sadness 1 + 4 + 15 or 11 (6 + 15 too), surprise 1 + 2 or a strong 5, contempt 14, on one side or both.

Amounts are those of :func:`gndl.standins.muscles.muscle_shapes` at full strength: 1 is the most that a face can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TWO_SIDED = (
    *("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeSquint", "eyeWide", "noseSneer"),
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
    actions : mapping of str to float
        Facial actions that make it, with their amounts at full strength; two-sided ones without their side.
    probability : float
        Share of the sequences in which it takes part.
    one_sided : bool
        Done on one side only, drawn for each sequence.
    """

    unit: int
    actions: Mapping[str, float]
    probability: float = 1.0
    one_sided: bool = False


@dataclass(frozen=True)
class Variant:
    """One way in which people show an emotion.

    Parameters
    ----------
    name : str
    movements : tuple of Movement
    weight : float
        How common it is among the variants of its emotion.
    """

    name: str
    movements: tuple[Movement, ...]
    weight: float = 1.0


RECIPES: dict[str, tuple[Variant, ...]] = {
    # FACS lists 4 + 5 + 7 with 10, 22, 23 or 25/26, or with 17 and 23 or 24; CK+ asks for 23 and 24.
    "anger": (
        # 4 + 5 + 7 + 23 + 24 (+ 17): the held-back anger that posers show most.
        Variant(
            "pressed",
            (
                Movement(4, {"browDown": 1.0, "noseSneer": 0.12}),
                Movement(5, {"eyeWide": 0.4}),
                Movement(7, {"eyeSquint": 0.45}),
                Movement(23, {"mouthRollUpper": 0.55, "mouthRollLower": 0.55}),
                Movement(24, {"mouthFrown": 0.22, "mouthPucker": 0.12}),
                Movement(17, {"mouthShrugLower": 0.4}, 0.6),
            ),
            2.0,
        ),
        # 4 + 5 + 7 + 10 + 23 + 25 (+ 26): teeth bared, the lips squared and tight.
        Variant(
            "bared",
            (
                Movement(4, {"browDown": 1.0, "noseSneer": 0.15}),
                Movement(5, {"eyeWide": 0.5}),
                Movement(7, {"eyeSquint": 0.4}),
                Movement(10, {"mouthUpperUp": 0.32}),
                Movement(23, {"mouthRollUpper": 0.2, "mouthFrown": 0.15}),
                Movement(25, {"mouthLowerDown": 0.8}),
                Movement(26, {"jawOpen": 0.08}, 0.5),
            ),
        ),
        # 4 + 7 + 17 + 24: the glare from under the brows.
        Variant(
            "glare",
            (
                Movement(4, {"browDown": 1.0, "noseSneer": 0.1}),
                Movement(7, {"eyeSquint": 0.6}),
                Movement(17, {"mouthShrugLower": 0.55}),
                Movement(24, {"mouthRollLower": 0.4, "mouthRollUpper": 0.5, "mouthPucker": 0.15}),
            ),
        ),
    ),
    # EMFACS and CK+: 14, on one side; FACS adds 12, and 10 on the same side.
    "contempt": (
        # One-sided 14 + 12.
        Variant(
            "smirk",
            (
                Movement(14, {"mouthDimple": 1.0}, one_sided=True),
                Movement(12, {"mouthSmile": 0.5, "cheekSquint": 0.25}, one_sided=True),
                Movement(7, {"eyeSquint": 0.35}),
            ),
            2.0,
        ),
        # One-sided 10 + 14: the lifted lip, the nose drawn to it.
        Variant(
            "lifted lip",
            (
                Movement(14, {"mouthDimple": 0.9, "mouthSmile": 0.28}, one_sided=True),
                Movement(10, {"mouthUpperUp": 0.55, "noseSneer": 0.3}, one_sided=True),
                Movement(7, {"eyeSquint": 0.35}),
            ),
        ),
        # One-sided 14 with 2 on the same side: the doubting brow (FACS, unilateral 2).
        Variant(
            "raised brow",
            (
                Movement(14, {"mouthDimple": 1.0, "mouthSmile": 0.4}, one_sided=True),
                Movement(2, {"browOuterUp": 0.8}, one_sided=True),
                Movement(7, {"eyeSquint": 0.3}),
            ),
        ),
    ),
    # FACS and CK+: 9 or 10, with 15, 16, 17, 25 or 26; 4 and 6 or 7 are drawn in by the nose.
    "disgust": (
        # 9 + 4 + 6 + 7 + 10 + 17: the wrinkled nose, lips closed.
        Variant(
            "nose",
            (
                Movement(9, {"noseSneer": 1.0}),
                Movement(4, {"browDown": 0.4}),
                Movement(6, {"cheekSquint": 0.7}),
                Movement(7, {"eyeSquint": 0.6}),
                Movement(10, {"mouthUpperUp": 0.32}),
                Movement(17, {"mouthShrugLower": 0.6}),
                Movement(15, {"mouthFrown": 0.3}, 0.7),
            ),
            1.5,
        ),
        # 9 + 10 + 25: the lip raised off the teeth.
        Variant(
            "raised lip",
            (
                Movement(9, {"noseSneer": 0.95}),
                Movement(4, {"browDown": 0.35}),
                Movement(6, {"cheekSquint": 0.65}),
                Movement(7, {"eyeSquint": 0.55}),
                Movement(10, {"mouthUpperUp": 0.85}),
                Movement(15, {"mouthFrown": 0.35}, 0.7),
            ),
            1.5,
        ),
        # 9 + 10 + 16 + 26: mouth open as if to spit something out.
        Variant(
            "gape",
            (
                Movement(9, {"noseSneer": 0.95}),
                Movement(4, {"browDown": 0.3}),
                Movement(7, {"eyeSquint": 0.7}),
                Movement(6, {"cheekSquint": 0.6}, 0.8),
                Movement(10, {"mouthUpperUp": 0.65}),
                Movement(16, {"mouthLowerDown": 0.5, "mouthFrown": 0.3}),
                Movement(26, {"jawOpen": 0.15}),
                Movement(19, {"tongueOut": 0.5}, 0.3),
            ),
        ),
    ),
    # FACS: 1 + 2 + 4 + 5 + 20 + 25, 26 or 27, with variants that lack 2 or 20; CK+ asks for 1 + 2 + 4.
    "fear": (
        # 1 + 2 + 4 + 5 + 20 + 25.
        Variant(
            "stretched",
            (
                Movement(1, {"browInnerUp": 0.95}),
                Movement(2, {"browOuterUp": 0.2}),
                Movement(4, {"browDown": 0.45}),
                Movement(5, {"eyeWide": 1.0}),
                Movement(20, {"mouthStretch": 1.0}),
                Movement(25, {"mouthLowerDown": 0.75, "mouthUpperUp": 0.1}),
            ),
            2.0,
        ),
        # 1 + 2 + 4 + 5 + 20 + 26: as the first, the jaw dropped a little.
        Variant(
            "gasp",
            (
                Movement(1, {"browInnerUp": 1.0}),
                Movement(2, {"browOuterUp": 0.25}),
                Movement(4, {"browDown": 0.45}),
                Movement(5, {"eyeWide": 1.0}),
                Movement(20, {"mouthStretch": 0.95, "mouthFrown": 0.15}),
                Movement(25, {"mouthLowerDown": 0.6}),
                Movement(26, {"jawOpen": 0.22}),
            ),
        ),
    ),
    # FACS: 6 + 12 (the smile of enjoyment, after Duchenne), mostly with 25 or 26; CK+ asks for 12.
    "happiness": (
        # 6 + 12 + 25: teeth show.
        Variant(
            "smile with teeth",
            (
                Movement(12, {"mouthSmile": 1.0, "mouthStretch": 0.25}),
                Movement(6, {"cheekSquint": 0.8, "eyeSquint": 0.3}),
                Movement(25, {"mouthUpperUp": 0.5, "mouthLowerDown": 0.5}),
            ),
            3.0,
        ),
        # 6 + 12 + 25 + 26: laughter.
        Variant(
            "laugh",
            (
                Movement(12, {"mouthSmile": 1.0, "mouthStretch": 0.2}),
                Movement(6, {"cheekSquint": 0.9, "eyeSquint": 0.45}),
                Movement(25, {"mouthUpperUp": 0.5, "mouthLowerDown": 0.4}),
                Movement(26, {"jawOpen": 0.28}),
            ),
        ),
        # 6 + 12: the lips stay closed.
        Variant(
            "closed smile",
            (
                Movement(12, {"mouthSmile": 0.95, "mouthDimple": 0.2}),
                Movement(6, {"cheekSquint": 0.85, "eyeSquint": 0.35}),
            ),
        ),
    ),
    # FACS: 1 + 4 + 15 (+ 17), 1 + 4 + 11, 6 + 15; CK+ the same.
    "sadness": (
        # 1 + 4 + 15 + 17, lids drooping (43) and the eyes cast down a little (64).
        Variant(
            "drooping",
            (
                Movement(1, {"browInnerUp": 1.0}),
                Movement(4, {"browDown": 0.3}),
                Movement(15, {"mouthFrown": 0.9}),
                Movement(17, {"mouthShrugLower": 0.55}),
                Movement(43, {"eyeBlink": 0.1, "eyeLookDown": 0.22}),
            ),
            2.0,
        ),
        # 1 + 4 + 7 + 15 + 17: close to tears, the chin pushed up and the lower lip out.
        Variant(
            "pout",
            (
                Movement(1, {"browInnerUp": 1.0}),
                Movement(4, {"browDown": 0.35}),
                Movement(7, {"eyeSquint": 0.3}),
                Movement(15, {"mouthFrown": 0.75}),
                Movement(17, {"mouthShrugLower": 0.95}),
            ),
        ),
        # 1 + 4 + 6 + 15 (+ 20): weeping, cheeks raised.
        Variant(
            "weeping",
            (
                Movement(1, {"browInnerUp": 0.95}),
                Movement(4, {"browDown": 0.45}),
                Movement(6, {"cheekSquint": 0.45, "eyeSquint": 0.4}),
                Movement(15, {"mouthFrown": 1.0}),
                Movement(20, {"mouthStretch": 0.25}, 0.6),
                Movement(17, {"mouthShrugLower": 0.4}),
            ),
        ),
    ),
    # FACS: 1 + 2 + 5 with 26 or 27; CK+ asks for 1 + 2 or a strong 5.
    "surprise": (
        # 1 + 2 + 5 + 26.
        Variant(
            "dropped jaw",
            (
                Movement(1, {"browInnerUp": 0.75}),
                Movement(2, {"browOuterUp": 1.0}),
                Movement(5, {"eyeWide": 0.75}),
                Movement(26, {"jawOpen": 0.65}),
            ),
            2.0,
        ),
        # 1 + 2 + 5 + 27: the mouth stretched open, most common among the posed surprises of CK+.
        Variant(
            "mouth stretch",
            (
                Movement(1, {"browInnerUp": 0.85}),
                Movement(2, {"browOuterUp": 1.0}),
                Movement(5, {"eyeWide": 0.9}),
                Movement(27, {"jawOpen": 0.95}),
            ),
            2.0,
        ),
        # 1 + 2 + 5 + 18 + 25 + 26: a rounded mouth, as for an "oh".
        Variant(
            "oh",
            (
                Movement(1, {"browInnerUp": 0.75}),
                Movement(2, {"browOuterUp": 1.0}),
                Movement(5, {"eyeWide": 0.7}),
                Movement(18, {"mouthFunnel": 0.45}),
                Movement(26, {"jawOpen": 0.4}),
            ),
        ),
    ),
}

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "anger": ("disgust", "sadness"),
    "contempt": ("happiness",),
    "disgust": ("anger",),
    "fear": ("surprise",),
    "happiness": ("contempt",),
    "sadness": ("anger",),
    "surprise": ("fear",),
}
"""Emotions for which people take each one most often, the near-misses: fear for surprise and the reverse, anger and
disgust, sadness and anger share the lowered brow, contempt and happiness the raised corner of the mouth."""

UNPOSED: tuple[Movement, ...] = tuple(
    Movement(unit, actions, one_sided=one_sided)
    for unit, actions, one_sided in [
        (1, {"browInnerUp": 0.8}, False),
        (2, {"browOuterUp": 0.9}, False),
        (4, {"browDown": 0.8}, False),
        (5, {"eyeWide": 0.8}, False),
        (6, {"cheekSquint": 0.8}, False),
        (12, {"mouthSmile": 0.8}, True),
        (15, {"mouthFrown": 0.6}, False),
        (17, {"mouthShrugLower": 0.7}, False),
        (18, {"mouthPucker": 0.8}, False),
        (20, {"mouthStretch": 0.6}, False),
        (24, {"mouthRollUpper": 0.5, "mouthRollLower": 0.5}, False),
        (25, {"mouthLowerDown": 0.5}, False),
        (26, {"jawOpen": 0.5}, False),
        (34, {"cheekPuff": 0.7}, False),
    ]
)
"""Single movements of which the sequences without an emotion label are mixed, as FACS tasks in CK+ were."""
