"""The rendered stand-ins: faces that look like faces, in the databases' own layouts, the same bytes every time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gndl.errors import GndlError
from gndl.paper import COUNTS, EXPRESSIONS
from gndl.profiles import FULL_SIZE, QUICK_SIZE, StandInSize
from gndl.standins import planned_frames
from gndl.standins.faces import Face, Pose, View, draw_light, finish, render_training_face
from gndl.standins.head import load_head
from gndl.standins.identity import draw_identity
from gndl.standins.plan import class_counts, plan

NAMES = tuple(EXPRESSIONS)


@pytest.fixture(scope="module")
def face() -> Face:
    return Face(draw_identity(load_head(), np.random.default_rng(5)))


def seen(face: Face, **amounts: float):
    """The face from the front with some facial actions, at 160 pixels."""
    actions = np.array([amounts.get(name, 0.0) for name in load_head().action_names], np.float32)
    light = draw_light(np.random.default_rng(1), spread=0.3)
    return face.show(actions, Pose(), light, View((160, 160), 60.0, (80.0, 85.0)))


def jaw_open(landmarks: np.ndarray) -> float:
    """Gap between the inner lips in units of the mouth's width."""
    return float((landmarks[66, 1] - landmarks[62, 1]) / (landmarks[54, 0] - landmarks[48, 0]))


# --- what is planned


@pytest.mark.parametrize("name", NAMES)
def test_full_size_has_the_papers_numbers(name):
    """Subjects, sequences, labels and classes of the full-size stand-ins are the paper's counts."""
    subjects, paper = plan(name, FULL_SIZE[name], 0), COUNTS[name]
    sequences = [sequence for subject in subjects for sequence in subject.sequences]
    labelled = [s for s in sequences if s.emotion is not None and s.view == 0]
    assert (len(subjects), len(sequences), len(labelled)) == (paper.subjects, paper.sequences, paper.labelled)
    with_labels = [subject for subject in subjects if any(s.emotion is not None for s in subject.sequences)]
    assert len(with_labels) == paper.labelled_subjects
    if paper.per_class is not None:
        assert Counter(s.emotion for s in labelled) == paper.per_class


def test_full_size_mmi_has_eight_clips_in_other_views():
    """205 of MMI's 213 clips are frontal; profile and dual views are among the rest."""
    views = Counter(s.view for subject in plan("mmi", FULL_SIZE["mmi"], 0) for s in subject.sequences)
    assert views[0] == 205 and views[1] and views[2] and views[1] + views[2] == 8


def test_quick_stays_within_its_budget():
    """The quick profile renders at most 1,200 frames in all."""
    assert sum(planned_frames(name, size) for name, size in QUICK_SIZE.items()) <= 1200


@given(st.integers(14, 327))
def test_every_class_is_there_at_least_twice(labelled):
    """From 14 labelled sequences on, every class of CK+ occurs at least twice, and they add up."""
    counts = class_counts(labelled)
    assert sum(counts.values()) == labelled and min(counts.values()) >= 2


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(0, 5), st.integers(0, 2**20))
def test_a_class_that_occurs_twice_is_shown_by_different_subjects(subjects, spare, seed):
    """No class depends on one subject alone, or a subject-independent fold could not both train and test on it."""
    size = StandInSize(subjects, 3 * subjects + 14 + spare, max(14, 2 * subjects), (10, 14))
    shown = {}
    for subject in plan("ckplus", size, seed):
        for sequence in subject.sequences:
            shown.setdefault(sequence.emotion, set()).add(subject.name)
    assert all(len(shown[emotion]) >= 2 for emotion in EXPRESSIONS["ckplus"])


def test_an_impossible_size_is_refused():
    """Fewer sequences than subjects, or an Oulu-CASIA subject without all six expressions, cannot be planned."""
    with pytest.raises(GndlError, match="at least one sequence"):
        plan("ckplus", StandInSize(5, 4, 4, (10, 14)), 0)
    with pytest.raises(GndlError, match="all six"):
        plan("oulu_casia", StandInSize(2, 11, 11, (8, 10)), 0)


# --- what a face looks like


def test_a_face_is_neither_black_nor_flat(face):
    """Skin is lit, shading models it, and eyes, brows and lips stand out from it."""
    shot = seen(face)
    picture = finish(shot, np.full((160, 160, 3), 0.2, np.float32), np.random.default_rng(0), 1.0, 0.0)
    left, top = shot.landmarks.min(axis=0).astype(int)
    right, bottom = shot.landmarks.max(axis=0).astype(int)
    grey = np.asarray(Image.fromarray(picture[top:bottom, left:right]).convert("L"), float)
    assert 60 < grey.mean() < 210
    assert grey.std() > 12
    assert shot.coverage[int(shot.landmarks[30, 1]), int(shot.landmarks[30, 0])] == 1


def test_the_eyes_are_open_and_show_iris_and_white(face):
    """Within each eye's outline lie both dark pixels (pupil, iris) and much lighter ones (sclera)."""
    actions = np.zeros(52, np.float32)
    shot = face.show(actions, Pose(), draw_light(np.random.default_rng(1)), View((480, 480), 300.0, (240.0, 200.0)))
    for eye in (slice(36, 42), slice(42, 48)):
        low, high = shot.landmarks[eye].min(axis=0).astype(int), shot.landmarks[eye].max(axis=0).astype(int)
        inside = shot.picture[low[1] : high[1] + 1, low[0] : high[0] + 1].mean(axis=2)
        assert np.percentile(inside, 95) > 4 * np.percentile(inside, 5)


def test_landmarks_lie_in_the_picture_and_in_order(face):
    """All 68 points lie within the frame; eyes, nose and mouth are where the iBUG scheme has them."""
    shot = seen(face)
    points = shot.landmarks
    assert points.shape == (68, 2) and (points > 0).all() and (points < 160).all()
    assert points[36:42, 0].max() < points[27, 0] < points[42:48, 0].min()
    assert points[19, 1] < points[37, 1] < points[30, 1] < points[51, 1] < points[57, 1] < points[8, 1]
    assert (np.diff(points[:17, 0]) > 0).all()
    assert (np.ptp(points[36:48, 1]) < 12) and 30 < points[42:48, 0].mean() - points[36:42, 0].mean() < 45


def test_a_surprised_mouth_opens_in_picture_and_landmarks(face):
    """The jaw opens the inner lips and shows the dark cavity between them; the eyes stay where they are."""
    neutral, surprised = seen(face), seen(face, jawOpen=0.7)
    assert jaw_open(surprised.landmarks) > jaw_open(neutral.landmarks) + 0.15
    x, y = surprised.landmarks[[62, 66]].mean(axis=0)
    forehead = surprised.landmarks[27] - (0, 12)
    inside, skin = (surprised.picture[int(v), int(u)].mean() for u, v in ((x, y), forehead))
    assert inside < 0.5 * skin
    assert np.abs(surprised.landmarks[36:48] - neutral.landmarks[36:48]).max() < 0.5


def test_a_turned_head_takes_its_landmarks_along(face):
    """A positive yaw turns the face to its own left, which is the right of the picture."""
    light, view = draw_light(np.random.default_rng(1)), View((160, 160), 60.0, (80.0, 85.0))
    turned = face.show(np.zeros(52, np.float32), Pose(yaw=25.0), light, view)
    assert turned.landmarks[30, 0] > seen(face).landmarks[30, 0] + 10


def test_training_faces_vary_and_know_their_landmarks():
    """Faces for the eye predictor: other identities, poses and places each time, the same again for the same seed."""
    drawn = [render_training_face(np.random.default_rng(seed), 96) for seed in (1, 2, 1)]
    for picture, landmarks in drawn:
        assert picture.shape == (96, 96, 3) and picture.dtype == np.uint8 and landmarks.shape == (68, 2)
        assert (landmarks > -5).all() and (landmarks < 101).all()
    assert np.array_equal(drawn[0][0], drawn[2][0]) and np.array_equal(drawn[0][1], drawn[2][1])
    assert np.abs(drawn[0][1] - drawn[1][1]).max() > 3
