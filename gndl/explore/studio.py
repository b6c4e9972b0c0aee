"""From what is set in the studio to a picture of the face and the crop that a network sees; no widgets here."""

from __future__ import annotations

import functools
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from gndl.align import Eyes, cut, geometry_from_eyes
from gndl.explore.state import AS_DRAWN, FRINGE, NONE, Expression, Person, State
from gndl.frames_reading import as_grey
from gndl.profiles import CropSettings
from gndl.standins.beard import Beard
from gndl.standins.faces import Face, Pose, Shading, View, backdrop
from gndl.standins.glasses import Glasses
from gndl.standins.head import Floats, load_head
from gndl.standins.identity import Identity, Phenotype, draw_identity
from gndl.standins.performance import Style, perform
from gndl.standins.sensor import record

Picture = NDArray[np.uint8]

LABEL = "rendered: nobody"
"""Stands under every picture that leaves the studio."""

_ONE_AT_A_TIME = threading.Lock()
"""All studios of a process cast rays at one mesh."""

FACES_KEPT = 6
EYES_OF_WIDTH = 0.235
"""Distance between the eyes as a share of the picture's width."""
NOISE = 0.004


@dataclass(frozen=True, eq=False)
class Photograph:
    """What the studio's camera took.

    Parameters
    ----------
    picture : array (size, size, 3), uint8
    landmarks : array (68, 2)
        Exact points of the iBUG scheme, in pixels.
    """

    picture: Picture
    landmarks: Floats

    def crop(self, settings: CropSettings, *, in_colour: bool = True) -> Picture:
        """Cut the face as the study cuts its faces, by the two eye centres alone (ledger L15)."""
        picture = self.picture if in_colour else as_grey(self.picture)
        return cut(picture, geometry_from_eyes(Eyes.from_landmarks(self.landmarks), settings))

    def encoded(self, kind: Literal["jpeg", "png"] = "jpeg") -> bytes:
        """The picture as a browser takes it."""
        file = io.BytesIO()
        Image.fromarray(self.picture).save(file, kind, **({"quality": 90} if kind == "jpeg" else {}))
        return file.getvalue()

    def labelled_png(self) -> bytes:
        """The picture as a PNG that says, in a strip below the face and in its metadata, that it shows nobody."""
        size = len(self.picture)
        strip = max(18, size // 16)
        labelled = Image.new("RGB", (size, size + strip), "white")
        labelled.paste(Image.fromarray(self.picture))
        draw, font = ImageDraw.Draw(labelled), ImageFont.load_default(strip * 0.7)
        draw.text((size / 2, size + strip / 2), LABEL, "black", font, anchor="mm")
        note = PngInfo()
        note.add_text("Description", f"{LABEL} (gndl)")
        file = io.BytesIO()
        labelled.save(file, "png", pnginfo=note)
        return file.getvalue()


class FaceStudio:
    """Renders states; remembers faces and shading, so that the next picture comes fast.

    Notes
    -----
    Most of a picture's time goes into how the head shades itself, and most of a person's into the painting of the
    skin. While a slider is dragged both are taken over from the picture before; once it rests they are made anew.
    """

    def __init__(self) -> None:
        self._faces: OrderedDict[Person, Face] = OrderedDict()
        self._last: Face | None = None
        self._shading: Shading | None = None
        self._shaded: tuple[object, ...] = ()

    def show(self, state: State, size: int = 224, *, actions: Floats | None = None, hurry: bool = False) -> Photograph:
        """Take a picture.

        Parameters
        ----------
        state : State
        size : int
            Side of the picture in pixels.
        actions : array (52,), optional
            In place of the amounts that ``state.expression`` asks for.
        hurry : bool
            Take over the shading of the last picture, and the painting of the last face where the person is another.
        """
        with _ONE_AT_A_TIME:
            return self._show(state, size, actions_of(state) if actions is None else actions, hurry)

    def _show(self, state: State, size: int, wanted: Floats, hurry: bool) -> Photograph:
        face = self.face(state.person, hurry=hurry)
        scene = state.scene
        pose, light = Pose(scene.yaw, scene.pitch, scene.roll), scene.light
        worn = _worn(face.identity)
        key = (face, wanted.tobytes(), pose, light, worn)
        # What is worn is part of the mesh: another frame or beard has other vertices to be shaded.
        if self._shading is None or worn != self._shaded[-1] or (not hurry and key != self._shaded):
            self._shading, self._shaded = face.shading(wanted, pose, light), key
        view = View((size, size), size * EYES_OF_WIDTH / 0.62, (size / 2, size * 0.53))
        shot = face.show(wanted, pose, light, view, self._shading)
        linear = shot.picture + _wall(size, state.person.seed) * (1 - shot.coverage[..., None])
        rng = np.random.default_rng(state.person.seed)
        picture = record(linear, rng, exposure=_exposure(face.identity), noise=NOISE, blur=size / 1000)
        return Photograph(picture, shot.landmarks)

    def knows(self, person: Person) -> bool:
        """Whether the person's face is ready to be shown without a wait."""
        return person in self._faces

    def face(self, person: Person, *, hurry: bool = False) -> Face:
        """The person's face; in a hurry with the last face's painting, unless it is known already."""
        if person in self._faces:
            self._faces.move_to_end(person)
            self._last = self._faces[person]
        elif hurry and self._last is not None:
            return Face(identity_of(person), painted_as=self._last)
        else:
            self._last = self._faces[person] = Face(identity_of(person))
            while len(self._faces) > FACES_KEPT:
                self._faces.popitem(last=False)
        return self._last


@functools.lru_cache(maxsize=32)
def identity_of(person: Person) -> Identity:
    """Draw the person, with everything that was settled in place of what was drawn."""
    known = Phenotype(person.age, person.femininity, person.ancestry)
    identity = draw_identity(load_head(), np.random.default_rng(person.seed), phenotype=known)
    hair = identity.hair
    if person.hair != AS_DRAWN:
        hair = replace(hair, style=person.hair)
    fringe = FRINGE[person.fringe]
    if fringe is not None:
        hair = replace(hair, fringe=fringe)
    glasses, beard = identity.glasses, identity.beard
    if person.glasses != AS_DRAWN:
        glasses = None if person.glasses == NONE else replace(glasses or Glasses(), frame=person.glasses)
    if person.beard != AS_DRAWN:
        beard = None if person.beard == NONE else _beard(person.beard, beard)
    return _toned(replace(identity, hair=hair, glasses=glasses, beard=beard), person.tone)


def _beard(style: str, drawn: Beard | None) -> Beard:
    if drawn is not None and drawn.style == style:
        return drawn
    return Beard("stubble", 0.004, 0.6) if style == "stubble" else Beard(style)


def _toned(identity: Identity, tone: float) -> Identity:
    """The same person with skin, lips and ears darker or lighter."""
    if tone == 0:
        return identity
    # A third of the way from the palest to the darkest skin of gndl.standins.identity, in the logarithm.
    factor = np.exp(-tone * np.array([0.52, 0.61, 0.67]))

    def toned(colour: tuple[float, float, float]) -> tuple[float, float, float]:
        red, green, blue = (float(value) for value in np.clip(np.array(colour) * factor, 0.01, 0.8))
        return red, green, blue

    colours, complexion = identity.colours, identity.complexion
    return replace(
        identity,
        complexion=replace(complexion, skin=toned(complexion.skin)),
        colours=replace(colours, lip=toned(colours.lip), ear=toned(colours.ear)),
    )


def _worn(identity: Identity) -> tuple[object, ...]:
    return identity.hair, identity.glasses, identity.beard


def actions_of(state: State) -> Floats:
    """Amounts (52,) of the facial actions that this person shows for what is set, in this person's manner."""
    return expression_actions(state.expression, getattr(identity_of(state.person), "style", None))


def expression_actions(expression: Expression, style: Style | None = None) -> Floats:
    """Amounts (52,) of the facial actions: the blend of the emotions at their strength, and what was added by hand."""
    first, second = (apex(emotion, expression.variant, style) for emotion in (expression.emotion, expression.second))
    total = expression.strength * ((1 - expression.share) * first + expression.share * second)
    names = load_head().action_names
    for name, amount in expression.by_hand.items():
        total[names.index(name)] += amount
    return np.clip(total, 0.0, 1.0).astype(np.float32)


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


def _exposure(identity: Identity) -> float:
    """Half of what would bring every skin to the same brightness in the usual light, as the films are exposed."""
    luminance = np.array([0.21, 0.72, 0.07]) @ np.array(identity.complexion.skin)
    return float((0.34 / (1.09 * luminance)) ** 0.5)
