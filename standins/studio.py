"""One face to play with: whose it is, what it does, pose and light in; a picture and its landmarks out."""

from __future__ import annotations

import functools
import io
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from standins import difficulty
from standins.camera import Light, Triple, backdrop, record, triple
from standins.head import Floats, load_head
from standins.performance import NEIGHBOURS, RECIPES, Style, perform

if TYPE_CHECKING:  # what renders loads Warp, which takes a second
    from standins.faces import Face, Shading
    from standins.identity import Identity

AS_DRAWN, NONE = "as drawn", "none"
EMOTIONS = ("neutral", *sorted(NEIGHBOURS))
GLASSES = (AS_DRAWN, NONE, *difficulty.FRAMES)
BEARDS = (AS_DRAWN, NONE, *difficulty.BEARDS)
HAIR = (AS_DRAWN, *difficulty.HAIR_STYLES)
FRINGES = {AS_DRAWN: None, NONE: 0.0, "short": 0.6, "to the brows": 1.0, "over the brows": 1.25}
"""How far the fringe hangs by the name of the choice; None leaves it as the person was drawn."""

GROUPS = {
    "brows": ("brow",),
    "eyes": ("eye",),
    "nose and cheeks": ("nose", "cheek"),
    "mouth": ("mouth", "tongue"),
    "jaw": ("jaw",),
}
"""Groups of facial actions by the beginnings of their names."""

LABEL = "synthetic face (no real person)"
"""Stands under every picture that leaves the studio."""
FACES_KEPT = 6
EYES_OF_WIDTH = 0.235
"""Distance between the eyes as a share of the picture's width."""
NOISE = 0.004

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Portrait:
    """Everything that can be set."""

    seed: int = 0  # draws a person who does not exist; the same number gives the same person
    age: float | None = None  # 0 for a young adult, 1 for an old one; None for as drawn
    femininity: float | None = None  # in [0, 1]
    ancestry: Triple | None = None  # shares of African, Asian and European ancestry
    tone: float = 0.0  # how much darker (positive) than drawn; 1 is a third of the way from palest to darkest
    glasses: str = AS_DRAWN
    beard: str = AS_DRAWN
    hair: str = AS_DRAWN
    fringe: str = AS_DRAWN

    emotion: str = "neutral"
    second: str = "neutral"  # an emotion to be blended in
    share: float = 0.0  # of the second emotion, in [0, 1]
    strength: float = 1.0  # 1 is a full expression
    variant: int = 0  # draws which optional movements take part, and how strongly
    by_hand: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))  # added amounts of actions

    yaw: float = 0.0  # of the head, in degrees (:class:`standins.faces.Pose`)
    pitch: float = 0.0
    roll: float = 0.0
    azimuth: float = 25.0  # of the lamp, in degrees: 0 is at the camera, positive the picture's right
    height: float = 28.0
    lamp: float = 1.0  # strength; 1 is usual
    room: float = 1.0  # light from all round; 1 is usual, 0 leaves the lamp alone

    @property
    def person(self) -> tuple:
        """What settles whose face it is."""
        own = (self.seed, self.age, self.femininity, self.ancestry, self.tone)
        return (*own, self.glasses, self.beard, self.hair, self.fringe)

    @property
    def light(self) -> Light:
        """The lamp, a fill light from the other side, and light from all round."""
        azimuth, height = np.radians([self.azimuth, self.height])
        key = np.array([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)])
        side = -1.0 if self.azimuth >= 0 else 1.0
        fill = np.array([0.65 * side, 0.05, 0.7]) / np.linalg.norm([0.65, 0.05, 0.7])
        return Light(
            key_direction=triple(key),
            key=triple(0.95 * self.lamp * np.array([1.03, 1.0, 0.97])),
            fill_direction=triple(fill),
            fill=triple(np.full(3, 0.20 * self.room)),
            ambient=triple(np.full(3, 0.25 * self.room)),
        )


class Studio:
    """Renders portraits; remembers faces and shading, so that the next picture comes fast.

    Most of a picture's time goes into how the head shades itself, and most of a person's into the painting of the skin.
    """

    def __init__(self, seed: int = 0, *, portrait: Portrait | None = None) -> None:
        self.portrait = portrait or Portrait(seed)
        self.landmarks: Floats = np.zeros((68, 2), np.float32)
        """Points of the iBUG scheme in the last picture, in pixels (x, y)."""
        self._faces: OrderedDict[tuple, Face] = OrderedDict()
        self._shading: Shading | None = None
        self._shaded: tuple = ()

    def set(self, **changes: Any) -> Studio:
        """Change fields of the portrait; returns the studio."""
        self.portrait = replace(self.portrait, **changes)
        return self

    def render(self, size: int = 224) -> NDArray[np.uint8]:
        """Take a picture (size, size, 3)."""
        from standins.faces import Pose, View

        asked = self.portrait
        with _ONE_AT_A_TIME:
            face, actions = self._face(), self.actions
            pose, light = Pose(asked.yaw, asked.pitch, asked.roll), asked.light
            key = (face, actions.tobytes(), pose, light)
            if self._shading is None or key != self._shaded:
                self._shading, self._shaded = face.shading(actions, pose, light), key
            view = View((size, size), size * EYES_OF_WIDTH / 0.62, (size / 2, size * 0.53))
            shot = face.show(actions, pose, light, view, self._shading)
        linear = shot.picture + _wall(size, asked.seed) * (1 - shot.coverage[..., None])
        self.landmarks = shot.landmarks
        # Half of what would bring every skin to the same brightness in the usual light, as the films are exposed.
        luminance = np.array([0.21, 0.72, 0.07]) @ np.array(face.identity.complexion.skin)
        exposure = float((0.34 / (1.09 * luminance)) ** 0.5)
        return record(linear, np.random.default_rng(asked.seed), exposure=exposure, noise=NOISE, blur=size / 1000)

    def labelled_png(self, size: int = 224) -> bytes:
        """The picture as a PNG that says, in a strip below the face and in its metadata, that it is not a person."""
        strip = max(18, size // 16)
        labelled = Image.new("RGB", (size, size + strip), "white")
        labelled.paste(Image.fromarray(self.render(size)))
        draw, font = ImageDraw.Draw(labelled), ImageFont.load_default(strip * 0.7)
        draw.text((size / 2, size + strip / 2), LABEL, "black", font, anchor="mm")
        note = PngInfo()
        note.add_text("Description", f"{LABEL} (gndl)")
        file = io.BytesIO()
        labelled.save(file, "png", pnginfo=note)
        return file.getvalue()

    @property
    def actions(self) -> Floats:
        """Amounts (52,) of the facial actions: the blend of the emotions in this person's manner, and what is added."""
        asked, names = self.portrait, self.action_names
        style = identity_of(asked).style
        first, second = (apex(emotion, asked.variant, style) for emotion in (asked.emotion, asked.second))
        total = asked.strength * ((1 - asked.share) * first + asked.share * second)
        for name, amount in asked.by_hand.items():
            total[names.index(name)] += amount
        return np.clip(total, 0.0, 1.0).astype(np.float32)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the 52 facial actions."""
        return load_head().action_names

    @property
    def recipes(self) -> dict[str, dict[str, dict[int, dict[str, float]]]]:
        """Facial actions by emotion, variant and action unit."""
        return {
            emotion: {v.name: {m.unit: dict(m.actions) for m in v.movements} for v in variants}
            for emotion, variants in RECIPES.items()
        }

    @property
    def drawn(self) -> dict[str, Any]:
        """What the seed drew, before anything was changed."""
        identity = identity_of(Portrait(self.portrait.seed))
        return {
            "age": identity.age,
            "femininity": identity.femininity,
            "ancestry": triple(identity.ancestry),
            "glasses": identity.glasses.frame if identity.glasses else NONE,
            "beard": identity.beard.style if identity.beard else NONE,
            "hair": identity.hair.style,
            "fringe": identity.hair.fringe,
        }

    def _face(self) -> Face:
        from standins.faces import Face

        person = self.portrait.person
        if person not in self._faces:
            self._faces[person] = Face(identity_of(self.portrait))
        self._faces.move_to_end(person)
        while len(self._faces) > FACES_KEPT:
            self._faces.popitem(last=False)
        return self._faces[person]


def identity_of(portrait: Portrait) -> Identity:
    """Draw the person, with everything that was settled in place of what was drawn."""
    from standins.beard import Beard
    from standins.glasses import Glasses
    from standins.identity import Phenotype, draw_identity

    known = Phenotype(portrait.age, portrait.femininity, portrait.ancestry)
    identity = draw_identity(load_head(), np.random.default_rng(portrait.seed), phenotype=known)
    hair, glasses, beard = identity.hair, identity.glasses, identity.beard
    if portrait.hair != AS_DRAWN:
        hair = replace(hair, style=portrait.hair)
    fringe = FRINGES[portrait.fringe]
    if fringe is not None:
        hair = replace(hair, fringe=fringe)
    if portrait.glasses != AS_DRAWN:
        glasses = None if portrait.glasses == NONE else replace(glasses or Glasses(), frame=portrait.glasses)
    if portrait.beard == NONE:
        beard = None
    elif portrait.beard != AS_DRAWN and (beard is None or beard.style != portrait.beard):
        beard = Beard("stubble", 0.004, 0.6) if portrait.beard == "stubble" else Beard(portrait.beard)
    return _toned(replace(identity, hair=hair, glasses=glasses, beard=beard), portrait.tone)


def _toned(identity: Identity, tone: float) -> Identity:
    """The same person with skin, lips and ears darker or lighter."""
    if tone == 0:
        return identity
    factor = np.exp(-tone * np.array([0.52, 0.61, 0.67]))

    def toned(colour: Triple) -> Triple:
        return triple(np.clip(np.array(colour) * factor, 0.01, 0.8))

    colours, complexion = identity.colours, identity.complexion
    return replace(
        identity,
        complexion=replace(complexion, skin=toned(complexion.skin)),
        colours=replace(colours, lip=toned(colours.lip), ear=toned(colours.ear)),
    )


def apex(emotion: str, variant: int = 0, style: Style | None = None) -> Floats:
    """Amounts (52,) of the facial actions at the apex of an emotion, at full strength; zeros for ``"neutral"``."""
    names = load_head().action_names
    if emotion == "neutral":
        return np.zeros(len(names), np.float32)
    rng = np.random.default_rng((variant, *emotion.encode()))
    return perform(emotion, names, rng, style=style, strength=(1.0, 1.0)).apex


@functools.lru_cache(maxsize=8)
def _wall(size: int, seed: int) -> Floats:
    return backdrop((size, size), np.random.default_rng((seed, 1)))


def action_groups(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Sort facial actions into groups; the two sides of one action are one entry, named without its side."""
    return {
        group: tuple(dict.fromkeys(_without_side(name, names) for name in names if name.startswith(beginnings)))
        for group, beginnings in GROUPS.items()
    }


def _without_side(name: str, names: tuple[str, ...]) -> str:
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
