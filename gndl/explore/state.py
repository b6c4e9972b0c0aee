"""Everything that can be set in the face studio, as plain values that say what the picture is to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from gndl.paper import FIGURE_6_ORDER
from gndl.standins.beard import BEARDS
from gndl.standins.glasses import FRAMES
from gndl.standins.hair import STYLES
from gndl.standins.head import Floats
from gndl.standins.raycast import Light

AS_DRAWN = "as drawn"
NONE = "none"

GLASSES = (AS_DRAWN, NONE, *FRAMES)
BEARD = (AS_DRAWN, NONE, *BEARDS)
HAIR = (AS_DRAWN, *STYLES)
FRINGE = {AS_DRAWN: None, NONE: 0.0, "short": 0.6, "to the brows": 1.0, "over the brows": 1.25}
"""How far the fringe hangs by the name of the choice; None leaves it as the person was drawn."""

EMOTIONS = ("neutral", *FIGURE_6_ORDER)

GROUPS = {"brows": ("brow",), "eyes": ("eye",), "nose and cheeks": ("nose", "cheek"), "mouth": ("mouth", "tongue"),
          "jaw": ("jaw",)}  # fmt: skip
"""Groups of facial actions by the beginnings of their names."""


@dataclass(frozen=True)
class Person:
    """Whose face it is.

    Parameters
    ----------
    seed : int
        Draws a person who does not exist; the same number gives the same person.
    age, femininity, ancestry : optional
        In place of what was drawn; as in :class:`gndl.standins.identity.Identity`.
    tone : float
        How much darker (positive) or lighter the skin is than drawn; 1 is about a third of the way from the palest
        to the darkest.
    glasses, beard, hair, fringe : str
        One of ``GLASSES``, ``BEARD``, ``HAIR`` and ``FRINGE``.
    """

    seed: int = 0
    age: float | None = None
    femininity: float | None = None
    ancestry: tuple[float, float, float] | None = None
    tone: float = 0.0
    glasses: str = AS_DRAWN
    beard: str = AS_DRAWN
    hair: str = AS_DRAWN
    fringe: str = AS_DRAWN


@dataclass(frozen=True)
class Expression:
    """What the face does.

    Parameters
    ----------
    emotion, second : str
        ``"neutral"`` or an emotion, and a second one to be blended in.
    share : float
        Share of the second emotion, in [0, 1].
    strength : float
        1 is a full expression.
    variant : int
        Draws which of the optional movements take part, and how strongly.
    by_hand : mapping of str to float
        Amounts of facial actions, by their names, added to the emotion's; negative ones take away from it.
    """

    emotion: str = "neutral"
    second: str = "neutral"
    share: float = 0.0
    strength: float = 1.0
    variant: int = 0
    by_hand: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Scene:
    """Pose and light.

    Parameters
    ----------
    yaw, pitch, roll : float
        Turn of the head in degrees, as in :class:`gndl.standins.faces.Pose`.
    azimuth, height : float
        Direction of the lamp in degrees: 0, 0 is beside the camera; positive azimuth is the picture's right.
    lamp : float
        Strength of the lamp; 1 is usual.
    room : float
        Light from all round; 1 is usual, 0 leaves the lamp alone.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    azimuth: float = 25.0
    height: float = 28.0
    lamp: float = 1.0
    room: float = 1.0

    @property
    def light(self) -> Light:
        """The lamp, a fill light from the other side, and light from all round."""
        azimuth, height = np.radians([self.azimuth, self.height])
        key = (np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height))
        side = -1.0 if self.azimuth >= 0 else 1.0
        fill = np.array([0.65 * side, 0.05, 0.7]) / np.linalg.norm([0.65, 0.05, 0.7])
        return Light(
            key_direction=_triple(key),
            key=_triple(0.95 * self.lamp * np.array([1.03, 1.0, 0.97])),
            fill_direction=_triple(fill),
            fill=_triple(np.full(3, 0.20 * self.room)),
            ambient=_triple(np.full(3, 0.25 * self.room)),
        )


@dataclass(frozen=True)
class State:
    """All of it."""

    person: Person = Person()
    expression: Expression = field(default_factory=Expression)
    scene: Scene = Scene()


def action_groups(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Sort facial actions into groups; the two sides of one action are one entry, named without its side."""
    groups = {}
    for group, beginnings in GROUPS.items():
        own = [name for name in names if name.startswith(beginnings)]
        groups[group] = tuple(dict.fromkeys(bare(name, names) for name in own))
    return groups


def bare(name: str, names: tuple[str, ...]) -> str:
    """The action without its side, where it has two: ``mouthSmileLeft`` is ``mouthSmile``, ``jawLeft`` itself."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        stem = name.removesuffix(side)
        # jawLeft and jawRight are two movements of one jaw, not one movement of two sides.
        if stem != name and stem not in ("jaw", "mouth") and stem + other in names:
            return stem
    return name


def sides_of(action: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Full names that an entry of :func:`action_groups` stands for: the subject's left and right, or itself."""
    return (action,) if action in names else (f"{action}Left", f"{action}Right")


def in_words(action: str) -> str:
    """``browInnerUp`` as people read it: ``brow inner up``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in action)


def _triple(values: Floats | tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
