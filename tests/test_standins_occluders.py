"""Hair, glasses and beards: they cover what they should cover, go along with the head, and disturb nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gndl.standins.appearance import Appearance
from gndl.standins.beard import BEARDS, Beard
from gndl.standins.faces import Face, Pose, View, draw_light
from gndl.standins.glasses import FRAMES, Glasses, fit_glasses
from gndl.standins.hair import HairStyle
from gndl.standins.head import EYE, LENS, load_head
from gndl.standins.identity import Identity, draw_identity
from gndl.standins.surface import Surface

VIEW = View((160, 160), 60.0, (80.0, 85.0))


@pytest.fixture(scope="module")
def bare() -> Identity:
    """A man with short hair and nothing on his face."""
    for seed in range(20):
        identity = draw_identity(load_head(), np.random.default_rng(seed))
        if identity.femininity < 0.5:
            return replace(identity, hair=HairStyle("crop"), glasses=None, beard=None)
    raise AssertionError("twenty subjects without a man")


@pytest.fixture(scope="module")
def without(bare):
    return _seen(bare)


def _seen(identity: Identity, **amounts: float):
    actions = np.array([amounts.get(name, 0.0) for name in load_head().action_names], np.float32)
    return Face(identity).show(actions, Pose(), draw_light(np.random.default_rng(1), spread=0.3), VIEW)


def _changed(shot, other, points, margin: int = 2) -> float:
    """Share of the pixels within the outline of some landmarks that differ visibly."""
    low = shot.landmarks[points].min(axis=0).astype(int) - margin
    high = shot.landmarks[points].max(axis=0).astype(int) + margin + 1
    box = slice(low[1], high[1]), slice(low[0], high[0])
    return float((np.abs(shot.picture[box] - other.picture[box]).max(axis=2) > 0.02).mean())


@pytest.mark.parametrize("frame", FRAMES)
def test_glasses_show_round_the_eyes_and_nowhere_on_the_mouth(bare, without, frame):
    """Frames and lenses change the picture round both eyes; mouth, chin and all landmarks stay as they are."""
    worn = _seen(replace(bare, glasses=Glasses(frame, thickness=0.02)))
    assert _changed(worn, without, slice(36, 42), 6) > 0.1 and _changed(worn, without, slice(42, 48), 6) > 0.1
    assert _changed(worn, without, slice(48, 68)) == 0
    assert np.array_equal(worn.landmarks, without.landmarks)


def test_a_fringe_covers_the_forehead_and_the_landmarks_know_it(bare, without):
    """A long fringe darkens the forehead above the brows and hides brow landmarks that are in sight without it."""
    fringed = _seen(replace(bare, hair=replace(bare.hair, style="short", fringe=1.2)))
    brows = without.landmarks[17:27]
    left, right = brows[:, 0].min().astype(int), brows[:, 0].max().astype(int)
    bottom = brows[:, 1].min().astype(int)
    forehead = np.s_[bottom - 8 : bottom - 1, left + 6 : right - 6]
    darker = fringed.picture[forehead].mean(axis=2) < 0.6 * without.picture[forehead].mean(axis=2)
    assert darker.mean() > 0.5
    assert fringed.hidden[17:27].sum() >= 4 > without.hidden[17:27].sum()


def test_a_beard_goes_along_with_the_jaw(bare):
    """Where the jaw opens, the chin's beard moves down with the chin, while hair and glasses stay."""
    face = Face(replace(bare, beard=Beard("full"), glasses=Glasses()))
    names = load_head().action_names
    opened = np.array([0.8 * (name == "jawOpen") for name in names], np.float32)
    n = len(load_head().rest)
    moved = (face.vertices(opened, Pose()) - face.vertices(np.zeros(52, np.float32), Pose()))[n:, 1]
    assert moved.min() < -0.1 and (moved == 0).mean() > 0.3


def test_only_men_grow_beards_and_not_all_of_them():
    """Over a hundred subjects no woman has a beard, and men have every kind, some of them none."""
    drawn = [draw_identity(load_head(), np.random.default_rng(seed)) for seed in range(100)]
    assert all(identity.beard is None for identity in drawn if identity.femininity >= 0.5)
    worn = [identity.beard.style if identity.beard else None for identity in drawn if identity.femininity < 0.5]
    assert None in worn and set(worn) >= set(BEARDS)


def test_no_one_wears_what_the_appearance_forbids():
    """With probabilities of 0 nobody wears glasses, a beard, a fringe or long hair."""
    nothing = Appearance(glasses=0.0, beard=0.0, fringe=0.0, long_hair=0.0)
    for seed in range(30):
        identity = draw_identity(load_head(), np.random.default_rng(seed), appearance=nothing)
        assert identity.glasses is None and identity.beard is None and identity.hair.fringe == 0
        assert identity.hair.style not in ("behind-ears", "shoulders")


def test_glasses_on_or_off_leave_the_rest_of_the_subject_alone():
    """Shape, colours and hair of a subject are the same whether the database has glasses and beards or not."""
    plain, dressed = (
        draw_identity(load_head(), np.random.default_rng(3), appearance=Appearance(glasses=share, beard=share))
        for share in (0.0, 1.0)
    )
    assert dressed.glasses is not None and plain.glasses is None
    assert np.array_equal(plain.local, dressed.local) and plain.hair == dressed.hair
    assert plain.complexion == dressed.complexion and plain.pattern == dressed.pattern


def test_lenses_stand_before_the_eyes():
    """For 20 subjects and every frame, the lenses lie before eyeballs and skin, and at most 4 cm before the eyes."""
    head = load_head()
    eyeballs = np.unique(head.triangles[head.part == EYE])
    for seed in range(20):
        identity = draw_identity(head, np.random.default_rng(seed))
        points = head.rest + np.tensordot(identity.macro, head.macro, 1) + np.tensordot(identity.local, head.local, 2)
        surface = Surface(head, points)
        for frame in FRAMES:
            worn = fit_glasses(head, surface, points, Glasses(frame))
            lens = worn.points[np.unique(worn.triangles[worn.part == LENS])]
            assert lens[:, 2].min() - np.median(points[eyeballs][:, 2]) > 0
            for eye in points[eyeballs]:
                near = lens[np.argsort(np.linalg.norm(lens[:, :2] - eye[:2], axis=1))[:4]]
                assert 0.02 < near[:, 2].min() - eye[2] < 0.6
            closest, outwards = surface.nearest(lens)
            assert np.sum((lens - closest) * outwards, axis=1).min() > -0.01


def test_the_same_subject_is_dressed_the_same_way_twice(bare):
    """Hair, beard and glasses are the same bytes for the same identity, whoever was dressed in between."""
    worn = replace(bare, beard=Beard("goatee"), glasses=Glasses("round"), hair=HairStyle("shoulders", fringe=0.8))
    first = _seen(worn).picture
    _seen(replace(bare, hair=HairStyle("curly")))
    assert np.array_equal(first, _seen(worn).picture)
