"""The people of the stand-ins: what is planned, what their faces do, and that they look like faces."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from standins import Size, StandInError
from standins.camera import draw_light, record
from standins.difficulty import BEARDS, FRAMES, Appearance
from standins.faces import Face, Pose, Shading, Shot, View, render_training_face
from standins.glasses import Glasses
from standins.hair import HairStyle
from standins.head import load_head
from standins.identity import Identity, draw_identity
from standins.muscles import settle
from standins.performance import LARGEST_AT_REST, LIMIT, NEIGHBOURS, RECIPES, TWO_SIDED, Style, draw_resting, perform
from standins.plan import EXPRESSIONS, plan
from standins.timing import LARGEST, LEAST_AT_APEX, live, rise, rise_and_fall

NAMES = load_head().action_names
LIGHT, VIEW = draw_light(np.random.default_rng(1), spread=0.3), View((160, 160), 60.0, (80.0, 85.0))
FULL = {
    "ckplus": Size(123, 593, 327, (10, 14)),
    "oulu_casia": Size(80, 480, 480, (8, 10), 8),
    "mmi": Size(32, 213, 205, (28, 36)),
}
emotions, seeds = st.sampled_from(sorted(RECIPES)), st.integers(0, 2**20)


def stream(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def doing(**amounts: float) -> np.ndarray:
    return np.array([amounts.get(name, 0.0) for name in NAMES], np.float32)


def seen(identity: Identity, actions: np.ndarray | None = None) -> Shot:
    return Face(identity).show(doing() if actions is None else actions, Pose(), LIGHT, VIEW)


@pytest.fixture(scope="module")
def bare() -> Identity:
    """A man with cropped hair and nothing on his face."""
    drawn = (draw_identity(load_head(), stream(seed)) for seed in range(20))
    man = next(identity for identity in drawn if identity.femininity < 0.5)
    return replace(man, hair=HairStyle("crop"), glasses=None, beard=None)


@pytest.fixture(scope="module")
def face(bare: Identity) -> Face:
    return Face(bare)


# --- what is planned


def test_importing_the_package_loads_neither_warp_nor_torch() -> None:
    script = "import sys, standins; standins.is_standin_of, standins.Studio; print({'warp', 'torch'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_full_size_has_the_papers_numbers() -> None:
    frontal = {}
    for name, size in FULL.items():
        subjects = plan(name, size, 0)
        sequences = [sequence for subject in subjects for sequence in subject.sequences]
        assert (len(subjects), len(sequences)) == (size.subjects, size.sequences)
        frontal[name] = [s.emotion for s in sequences if s.emotion is not None and s.view == 0]
        assert len(frontal[name]) == size.labelled
    assert Counter(frontal["ckplus"]) == {
        "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83,
    }  # fmt: skip
    frames = sum(subject.n_frames for subject in plan("oulu_casia", FULL["oulu_casia"], 0))
    assert 480 * 8 < frames < (480 + 8 * 6 * 5) * 10


@settings(max_examples=20)
@given(st.integers(2, 40), st.integers(0, 5), seeds)
def test_no_class_depends_on_one_subject_alone(subjects: int, spare: int, seed: int) -> None:
    size = Size(subjects, 3 * subjects + 14 + spare, max(14, 2 * subjects), (10, 14))
    shown: dict[str | None, set[str]] = {}
    for subject in plan("ckplus", size, seed):
        for sequence in subject.sequences:
            shown.setdefault(sequence.emotion, set()).add(subject.name)
    assert all(len(shown[emotion]) >= 2 for emotion in EXPRESSIONS["ckplus"])


def test_an_impossible_size_or_name_is_refused() -> None:
    with pytest.raises(StandInError, match="at least one sequence"):
        plan("ckplus", Size(5, 4, 4, (10, 14)), 0)
    with pytest.raises(StandInError, match="all six"):
        plan("oulu_casia", Size(2, 11, 11, (8, 10)), 0)
    with pytest.raises(StandInError, match="choose from ckplus"):
        plan("affectnet", Size(2, 2, 2, (8, 10)), 0)


# --- what a face does


def test_a_recipe_names_actions_that_the_head_has() -> None:
    assert set(RECIPES) == set(NEIGHBOURS) == set(EXPRESSIONS["ckplus"])
    for variants in RECIPES.values():
        assert 2 <= len(variants) <= 4
        for movement in (movement for variant in variants for movement in variant.movements):
            for action, full in movement.actions.items():
                assert (f"{action}Left" if action in TWO_SIDED else action) in NAMES and 0 < full <= LIMIT


@given(emotions, seeds)
def test_a_performance_follows_one_variant_within_its_range_of_strength(emotion: str, seed: int) -> None:
    performance = perform(emotion, NAMES, stream(seed), strength=(0.6, 0.8))
    (variant,) = (variant for variant in RECIPES[emotion] if variant.name == performance.variant)
    assert set(performance.units) <= {movement.unit for movement in variant.movements}
    assert 0.6 <= performance.strength <= 0.8 and performance.neighbour is None
    assert performance.amounts.min() >= 0.5 and performance.amounts.max() <= 0.8 * 1.13


def test_contempt_takes_one_side_and_over_sequences_both() -> None:
    """Mostly the side that a person moves more: at a habit of ±0.06 that side in 80 % of the sequences."""
    for habit, fewest, most in ((0.0, 10, 30), (0.06, 25, 39), (-0.06, 1, 15)):
        shown = [perform("contempt", NAMES, stream(s), style=Style(side=habit)).apex for s in range(40)]
        left, right = ([apex[NAMES.index(f"mouthDimple{side}")] > 0 for apex in shown] for side in ("Left", "Right"))
        assert all(a != b for a, b in zip(left, right, strict=True)) and fewest <= sum(left) <= most


@given(st.integers(6, 40), st.integers(1, 8), seeds)
def test_an_expression_rises_to_an_apex_that_three_frames_hold(n_frames: int, n_movements: int, seed: int) -> None:
    timing = rise(n_frames, n_movements, stream(seed))
    assert not timing.curves[0].any() and timing.curves[-3:].min() >= LEAST_AT_APEX
    assert timing.curves.max() <= LARGEST + 0.01 and (np.diff(timing.markers, axis=1) >= 0).all()


@given(st.integers(28, 60), st.integers(1, 8), seeds)
def test_an_mmi_clip_is_neutral_at_both_ends_and_at_its_apex_in_the_middle(
    n_frames: int, n_movements: int, seed: int
) -> None:
    timing = rise_and_fall(n_frames, n_movements, stream(seed))
    assert not timing.curves[[0, -1]].any() and (np.diff(timing.markers, axis=1) > 0).all()
    assert timing.curves[n_frames // 2 - 1 : n_frames // 2 + 2].min() >= LEAST_AT_APEX


@given(st.integers(5, 60), seeds)
def test_blinks_spare_the_neutral_and_the_examined_frames_and_eyes_move_together(n_frames: int, seed: int) -> None:
    actions = live(n_frames, NAMES, stream(seed), protected=(0, -3, -2, -1), blinks_per_second=5.0)
    amount = {name: actions[:, k] for k, name in enumerate(NAMES)}
    assert not amount["eyeBlinkLeft"][[0, -3, -2, -1]].any() and amount["eyeBlinkLeft"].max() <= 1
    assert np.array_equal(amount["eyeLookOutLeft"], amount["eyeLookInRight"])


@given(seeds, st.floats(0, 0.3))
def test_a_face_at_rest_carries_little_and_settles_within_its_limits(seed: int, sigma: float) -> None:
    resting = draw_resting(NAMES, stream(seed), sigma)
    assert resting.min() >= 0 and resting.max() <= LARGEST_AT_REST
    shut = stream(seed).uniform(-0.5, 2.0, 52).astype(np.float32)
    shut[NAMES.index("eyeBlinkLeft")] = 1
    settled = settle(shut)
    assert settled.min() >= 0 and settled.max() <= 1 and settled[NAMES.index("eyeSquintLeft")] == 0


# --- what a face looks like


def test_landmarks_lie_on_a_lit_face_in_the_order_of_the_scheme(face: Face) -> None:
    shot = face.show(doing(), Pose(), LIGHT, VIEW)
    points = shot.landmarks
    assert points.shape == (68, 2) and (points > 0).all() and (points < 160).all()
    assert points[36:42, 0].max() < points[27, 0] < points[42:48, 0].min()
    assert points[19, 1] < points[37, 1] < points[30, 1] < points[51, 1] < points[57, 1] < points[8, 1]
    wall = np.full((160, 160, 3), 0.2, np.float32) * (1 - shot.coverage[..., None])
    grey = record(shot.picture + wall, stream(0), exposure=1.0, noise=0.0).mean(axis=2)
    x, y = points.min(axis=0).astype(int)
    right, bottom = points.max(axis=0).astype(int)
    assert 60 < grey[y:bottom, x:right].mean() < 210 and grey[y:bottom, x:right].std() > 12


def test_an_open_jaw_shows_in_picture_and_landmarks(face: Face) -> None:
    neutral, opened = (face.show(doing(jawOpen=amount), Pose(), LIGHT, VIEW) for amount in (0.0, 0.7))
    gap = [float(shot.landmarks[66, 1] - shot.landmarks[62, 1]) for shot in (neutral, opened)]
    assert gap[1] > gap[0] + 3
    x, y = opened.landmarks[[62, 66]].mean(axis=0).astype(int)
    forehead = (opened.landmarks[27] - (0, 12)).astype(int)
    assert opened.picture[y, x].mean() < 0.5 * opened.picture[forehead[1], forehead[0]].mean()
    assert np.abs(opened.landmarks[36:48] - neutral.landmarks[36:48]).max() < 0.5


def test_no_point_of_a_face_is_undefined(face: Face) -> None:
    """On the edge of a triangle the light may be a little less than nothing, of which no power 0.75 exists."""
    at_rest = face.shading(doing(), Pose(), LIGHT)
    below = Shading(at_rest.lit - np.float32(0.02), at_rest.open_sky - np.float32(0.02))
    assert np.isfinite(face.show(doing(), Pose(), LIGHT, View((200, 200), 160.0, (100.0, 100.0)), below).picture).all()


@pytest.mark.parametrize("frame", FRAMES)
def test_glasses_show_round_the_eyes_and_change_no_landmark(bare: Identity, face: Face, frame: str) -> None:
    without, worn = face.show(doing(), Pose(), LIGHT, VIEW), seen(replace(bare, glasses=Glasses(frame, thickness=0.02)))
    changed = np.abs(worn.picture - without.picture).max(axis=2) > 0.02
    for points, margin, shows in ((slice(36, 42), 6, True), (slice(42, 48), 6, True), (slice(48, 68), 2, False)):
        low = without.landmarks[points].min(axis=0).astype(int) - margin
        high = without.landmarks[points].max(axis=0).astype(int) + margin + 1
        share = changed[low[1] : high[1], low[0] : high[0]].mean()
        assert share > 0.1 if shows else share == 0
    assert np.array_equal(worn.landmarks, without.landmarks)


def test_what_is_drawn_is_what_the_appearance_allows() -> None:
    """Women have no beard, men every kind; with probabilities of 0 nobody wears anything; all else stays the same."""
    drawn = [draw_identity(load_head(), stream(seed)) for seed in range(100)]
    assert all(identity.beard is None for identity in drawn if identity.femininity >= 0.5)
    assert {identity.beard.style for identity in drawn if identity.beard} == set(BEARDS)
    nothing = Appearance(glasses=0.0, beard=0.0, fringe=0.0, long_hair=0.0)
    for seed in range(20):
        plain = draw_identity(load_head(), stream(seed), appearance=nothing)
        assert plain.glasses is None and plain.beard is None and plain.hair.fringe == 0
        assert plain.hair.style not in ("behind-ears", "shoulders") and plain.complexion == drawn[seed].complexion


def test_training_faces_know_their_landmarks_and_come_again_for_the_same_seed() -> None:
    (one, at), (again, at_again) = (render_training_face(stream(1), 96) for _ in range(2))
    assert one.shape == (96, 96, 3) and (at > -5).all() and (at < 101).all()
    assert np.array_equal(one, again) and np.array_equal(at, at_again)
