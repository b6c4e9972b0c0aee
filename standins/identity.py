"""Who is rendered: shape of the head, complexion, colours and what is worn, drawn so that they go together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from standins.beard import Beard, draw_beard, grow_beard
from standins.difficulty import Appearance
from standins.glasses import Glasses, draw_glasses, fit_glasses
from standins.hair import HairStyle, draw_hair, grow_hair, trimmed
from standins.head import ADULT_AGES, AMOUNTS, ANCESTRIES, GENDERS, Floats, Head
from standins.painting import Complexion
from standins.performance import Style, draw_resting, draw_style
from standins.raycast import Colours
from standins.strands import Surface, Worn, joined, nothing_worn
from standins.wrinkles import WRINKLES, draw_wrinkles

CALMER = {
    "head-scale": 0.5,
    "head-fat": 0.6,
    "head-back": 0.5,
    "neck": 0.5,
    "ear": 0.7,
    "eye-trans": 0.5,
    "eye-push": 0.4,
    "mouth-trans": 0.4,
    "eyebrows": 0.5,
}
"""Local changes that are drawn with a smaller deviation, by the beginning of their name without the side."""

LEFT_OUT = ("head-trans", "neck-trans", "measure", "mouth-trans-out", "nose-trans-out")
"""Local changes that move the whole head, or make it crooked."""


@dataclass(frozen=True)
class Identity:
    """One person who does not exist. ``truth.csv`` names its columns by these fields."""

    age: float  # 0 for a young adult, 1 for an old one
    femininity: float
    ancestry: Floats  # (3,) shares of African, Asian and European ancestry, of sum 1
    macro: Floats  # (48,) amounts of the head's whole-face shapes
    local: Floats  # (L, 2) amounts of its local changes
    complexion: Complexion
    colours: Colours
    pattern: int  # seed of pores, hairs and strands
    hair_volume: float  # how far the hair stands off the scalp, in dm
    hair: HairStyle = field(default_factory=HairStyle)
    glasses: Glasses | None = None
    beard: Beard | None = None
    wrinkles: Floats = field(default_factory=lambda: np.zeros(len(WRINKLES), np.float32))  # strength of each at rest
    wrinkle_depth: float = 0.6  # factor on what the facial actions add to them
    resting: Floats = field(default_factory=lambda: np.zeros(52, np.float32))  # actions that it always carries
    style: Style = field(default_factory=Style)  # how this person shows emotions


@dataclass(frozen=True)
class Phenotype:
    """What is settled about a person before the rest is drawn, in the units of :class:`Identity`; None is drawn."""

    age: float | None = None
    femininity: float | None = None
    ancestry: tuple[float, float, float] | None = None


def draw_identity(
    head: Head,
    rng: np.random.Generator,
    *,
    appearance: Appearance = Appearance(),  # noqa: B008 (frozen)
    phenotype: Phenotype = Phenotype(),
) -> Identity:
    """Draw one identity: phenotype, local face changes, colours, and what is worn on the face.

    Every part draws from a stream of its own, so that a change of one leaves the others as they are; a new part is
    added at the end of the line below.
    """
    whole, shape, surface, relief, strands, frames, bristles, mood, manner, lines = rng.spawn(10)
    age = float(whole.beta(1.1, 2.2))
    femininity = float(np.clip(whole.choice([0.12, 0.88]) + whole.normal(0, 0.08), 0, 1))
    ancestry = whole.dirichlet([0.45, 0.45, 0.55])
    muscle, weight = np.clip(whole.normal(0.5, 0.17, 2), 0, 1)
    age = age if phenotype.age is None else phenotype.age
    femininity = femininity if phenotype.femininity is None else phenotype.femininity
    ancestry = ancestry if phenotype.ancestry is None else np.array(phenotype.ancestry)
    wrinkles, depth = draw_wrinkles(age, appearance.age_wrinkles, lines)
    complexion, colours = _appearance(age, femininity, ancestry, surface)
    return Identity(
        age=age,
        femininity=femininity,
        ancestry=ancestry.astype(np.float32),
        macro=_macro(head, age, femininity, muscle, weight, ancestry),
        local=_local(head, appearance.shape_sigma, shape),
        complexion=complexion,
        colours=colours,
        pattern=int(relief.integers(2**31)),
        hair_volume=float(strands.uniform(0.06, 0.16)),
        hair=draw_hair(femininity, age, float(ancestry[0]), appearance.long_hair, appearance.fringe, strands),
        glasses=draw_glasses(appearance.glasses, frames),
        beard=draw_beard(femininity, appearance.beard, bristles),
        wrinkles=wrinkles,
        wrinkle_depth=depth,
        resting=draw_resting(head.action_names, mood, appearance.resting_sigma),
        style=draw_style(manner),
    )


def _macro(head: Head, age: float, femininity: float, muscle: float, weight: float, ancestry: Floats) -> Floats:
    """Multilinear weights of the whole-face shapes, as MakeHuman blends them."""
    ages = dict(zip(ADULT_AGES, (1 - age, age), strict=True))
    genders = dict(zip(GENDERS, (1 - femininity, femininity), strict=True))
    muscles = {f"{name}muscle": share for name, share in zip(AMOUNTS, _between_three(muscle), strict=True)}
    weights = {f"{name}weight": share for name, share in zip(AMOUNTS, _between_three(weight), strict=True)}
    shares = {"universal": 1.0} | ages | genders | muscles | weights | dict(zip(ANCESTRIES, ancestry, strict=True))
    return np.array([np.prod([shares[word] for word in name.split("-")]) for name in head.macro_names], np.float32)


def _between_three(amount: float) -> tuple[float, float, float]:
    return max(1 - 2 * amount, 0.0), 1 - abs(2 * amount - 1), max(2 * amount - 1, 0.0)


def _local(head: Head, sigma: float, rng: np.random.Generator) -> Floats:
    """Local changes, nearly the same on both sides of the face."""
    drawn: dict[str, float] = {}
    local = np.zeros((len(head.local_names), 2), np.float32)
    for k, name in enumerate(head.local_names):
        bare = name[2:] if name[:2] in ("l-", "r-") else name
        own = rng.normal(0, 0.15)
        amount = drawn.setdefault(bare, rng.normal()) + (own if bare != name else 0.0)
        if bare.startswith(LEFT_OUT):
            continue
        calm = next((share for start, share in CALMER.items() if bare.startswith(start)), 1.0)
        amount = float(np.clip(amount * sigma * calm, -0.5, 0.5))
        local[k] = max(amount, 0.0), max(-amount, 0.0)
    return local


PALE, TAN, DARK = (0.60, 0.385, 0.30), (0.40, 0.235, 0.16), (0.125, 0.062, 0.040)
HAIR = {
    "black": (0.012, 0.010, 0.009),
    "brown": (0.050, 0.028, 0.016),
    "fair": (0.24, 0.15, 0.075),
    "red": (0.15, 0.050, 0.018),
}
EYES = {
    "dark": (0.035, 0.018, 0.010),
    "brown": (0.10, 0.050, 0.022),
    "hazel": (0.13, 0.09, 0.035),
    "green": (0.10, 0.14, 0.07),
    "blue": (0.10, 0.17, 0.26),
    "grey": (0.16, 0.18, 0.20),
}


def _appearance(
    age: float, femininity: float, ancestry: Floats, rng: np.random.Generator
) -> tuple[Complexion, Colours]:
    african, asian, european = (float(share) for share in ancestry)
    darkness = float(np.clip(0.86 * african + 0.30 * asian + 0.12 * european + rng.normal(0, 0.07), 0.0, 1.0))
    skin = np.array([np.interp(darkness, [0, 0.45, 1], tones) for tones in zip(PALE, TAN, DARK, strict=True)])
    skin = skin * np.exp(rng.normal(0, 0.04, 3))
    shares = np.array([0.25 + 3 * (african + asian), 1.2 * european, 0.7 * european, 0.12 * european])
    hair = np.array(HAIR[rng.choice(list(HAIR), p=shares / shares.sum())])
    grey = np.clip((age - 0.45) * 2.2 + rng.normal(0, 0.12), 0, 1) if age > 0.3 else 0.0
    brow = hair * 0.9 * (1 - 0.4 * grey) + np.full(3, 0.22) * 0.4 * grey
    hair = hair * (1 - grey) + np.full(3, 0.34) * grey
    iris_shares = np.array(
        [1.0 + 4 * (african + asian), 1.0, 0.5 * european, 0.4 * european, 1.1 * european, 0.5 * european]
    )
    iris = np.array(EYES[rng.choice(list(EYES), p=iris_shares / iris_shares.sum())]) * rng.uniform(0.85, 1.2)
    man = femininity < 0.5
    lip = skin * np.array([0.80, 0.50, 0.52]) * rng.uniform(0.85, 1.08) + np.array([0.05, 0.0, 0.005]) * (not man)
    complexion = Complexion(
        skin=_colour(skin),
        hair=_colour(hair),
        brow=_colour(np.minimum(brow, skin * 0.38)),
        cloth=_colour(np.array(rng.choice([0.03, 0.12, 0.4, 0.65])) * np.exp(rng.normal(0, 0.35, 3))),
        brow_thickness=float(rng.uniform(0.040, 0.060) if man else rng.uniform(0.028, 0.042)),
        brow_density=float(rng.uniform(0.70, 1.0)),
        brow_arch=float(rng.uniform(0.012, 0.045) if man else rng.uniform(0.025, 0.060)),
        brow_tilt=float(rng.normal(-0.012, 0.016)),
        stubble=float(max(rng.normal(0.15, 0.22), 0)) if man else 0.0,
        freckles=float(rng.uniform(0.1, 0.35)) if european > 0.6 and rng.random() < 0.3 else 0.0,
        hairline=float(rng.normal(7.98, 0.05) + (0.08 * age if man else 0.0)),
        parting=float(abs(rng.normal(0, 0.10)) if man else abs(rng.normal(0, 0.04))),
        nape=float(rng.uniform(6.7, 7.0)),
    )
    colours = Colours(
        iris=_colour(iris),
        lip=_colour(lip),
        ear=_colour(skin * np.array([1.0, 0.88, 0.86])),
        lash=(0.012, 0.009, 0.008),
        oiliness=float(rng.uniform(0.5, 1.3)),
        pupil=float(rng.uniform(0.15, 0.22)),
    )
    return complexion, colours


def _colour(values: Floats) -> tuple[float, float, float]:
    red, green, blue = (float(np.clip(value, 0.004, 0.9)) for value in values)
    return red, green, blue


def dress(head: Head, identity: Identity, points: Floats) -> Worn:
    """Hair, beard and glasses of a subject whose relaxed head has the vertices ``points`` (N, 3)."""
    surface = Surface(head, points)
    # Each kind has a stream of its own, so that glasses put on do not make the hair grow otherwise.
    strands, bristles = np.random.default_rng(identity.pattern).spawn(2)
    pieces = [
        nothing_worn(),
        grow_hair(head, surface, points, identity.hair, trimmed(identity.complexion, identity.hair), strands),
    ]
    if identity.beard is not None:
        pieces.append(grow_beard(head, surface, points, identity.beard, bristles))
    if identity.glasses is not None:
        pieces.append(fit_glasses(head, surface, points, identity.glasses))
    return joined(pieces)


def colours_of(identity: Identity) -> Colours:
    """The subject's colours with those of hair and glasses."""
    colours = replace(identity.colours, hair=identity.complexion.hair)
    if identity.glasses is not None:
        colours = replace(colours, frame=identity.glasses.colour, tint=identity.glasses.tint)
    return colours
