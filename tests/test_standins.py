"""The rendered stand-ins: faces that look like faces, in the databases' own layouts, the same bytes every time."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import TREE_SIZES
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gndl.errors import GndlError
from gndl.files import hash_file
from gndl.frames_reading import iterate_clip
from gndl.paper import COUNTS, EXPRESSIONS
from gndl.profiles import FULL_SIZE, QUICK_SIZE, StandInSize
from gndl.sequences import STAND_IN_LABEL
from gndl.standins import contact_sheet, is_standin_of, planned_frames, preview_sheet, render, render_database
from gndl.standins.expressions import RECIPES, perform, rise, rise_and_fall
from gndl.standins.faces import Face, Pose, View, draw_light, finish, render_training_face
from gndl.standins.head import load_head
from gndl.standins.identity import draw_identity
from gndl.standins.plan import class_counts, plan

NAMES = tuple(EXPRESSIONS)
MINIATURE = StandInSize(subjects=2, sequences=2, labelled=2, frames=(4, 4))


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


def files_below(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): hash_file(path) for path in sorted(root.rglob("*")) if path.is_file()}


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


# --- what a face does


@pytest.mark.parametrize("emotion", RECIPES)
def test_a_recipe_moves_the_face_between_06_and_full_strength(emotion):
    """Every movement of a performance is drawn at 0.5 to 1.0, and named by its action unit."""
    for seed in range(20):
        performance = perform(emotion, load_head().action_names, np.random.default_rng(seed))
        assert performance.amounts.min() >= 0.5 and performance.amounts.max() <= 1.0
        assert set(performance.units) <= {movement.unit for movement in RECIPES[emotion]}
        assert all(1 <= intensity <= 5 for intensity in performance.intensities().values())


def test_contempt_takes_one_side_drawn_at_random():
    """Of each contempt, one corner of the mouth alone tightens; over sequences both sides occur."""
    names = load_head().action_names
    left, right = names.index("mouthDimpleLeft"), names.index("mouthDimpleRight")
    sides = Counter()
    for seed in range(40):
        apex = perform("contempt", names, np.random.default_rng(seed)).apex
        assert (apex[left] > 0) != (apex[right] > 0)
        sides["left" if apex[left] > 0 else "right"] += 1
    assert min(sides["left"], sides["right"]) >= 10


@given(st.integers(4, 30), st.integers(1, 8), st.integers(0, 2**20))
def test_an_expression_rises_from_nothing_to_its_apex(n_frames, n_movements, seed):
    """CK+ and Oulu-CASIA: the first frame has no expression at all, no movement ever falls, the last is the apex."""
    curves = rise(n_frames, n_movements, np.random.default_rng(seed)).curves
    assert not curves[0].any() and (curves[-1] == 1).all() and (np.diff(curves, axis=0) >= 0).all()


@given(st.integers(40, 60), st.integers(1, 8), st.integers(0, 2**20))
def test_an_mmi_clip_is_neutral_at_both_ends_and_at_its_apex_in_the_middle(n_frames, n_movements, seed):
    """MMI: neutral, onset, apex round the middle, offset, neutral; the markers name these moments in order."""
    timing = rise_and_fall(n_frames, n_movements, np.random.default_rng(seed))
    assert not timing.curves[0].any() and not timing.curves[-1].any()
    assert (timing.curves[n_frames // 2 - 1 : n_frames // 2 + 2] == 1).all()
    assert (np.diff(timing.markers, axis=1) > 0).all()


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
    left, right = shot.five_points[:2]
    assert np.linalg.norm(left - points[36:42].mean(axis=0)) < 4
    assert np.linalg.norm(right - points[42:48].mean(axis=0)) < 4


def test_a_surprised_mouth_opens_in_picture_and_landmarks(face):
    """The jaw opens the inner lips and shows the dark cavity between them; the eyes stay where they are."""
    neutral, surprised = seen(face), seen(face, jawOpen=0.7)
    assert jaw_open(surprised.landmarks) > jaw_open(neutral.landmarks) + 0.15
    x, y = surprised.landmarks[[62, 66]].mean(axis=0)
    forehead = surprised.landmarks[27] - (0, 12)
    inside, skin = (surprised.picture[int(v), int(u)].mean() for u, v in ((x, y), forehead))
    assert inside < 0.5 * skin
    assert np.abs(surprised.eyes - neutral.eyes).max() < 0.01


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


# --- what is written


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(tmp_path):
    """One process and two write identical trees: frames, landmarks, labels, and the label of the stand-in."""
    for jobs in (1, 2):
        render_database("ckplus", tmp_path / str(jobs), size=MINIATURE, seed=3, jobs=jobs)
    assert files_below(tmp_path / "1") == files_below(tmp_path / "2")


def test_a_clip_is_the_same_bytes_when_rendered_again(tmp_path, monkeypatch):
    """Neither time nor machine leaks into MMI's videos or Oulu-CASIA's JPEGs."""
    size = StandInSize(subjects=1, sequences=1, labelled=1, frames=(5, 5))
    for place in ("a", "b"):
        render_database("mmi", tmp_path / place, size=size)
    assert files_below(tmp_path / "a") == files_below(tmp_path / "b")


@pytest.mark.parametrize("name", NAMES)
def test_a_tree_says_what_it_is(rendered_trees, name):
    """STAND-IN.txt states in plain words that these are rendered faces, with seed and size."""
    text = (rendered_trees[name] / STAND_IN_LABEL).read_text()
    assert "rendered faces of nobody" in text and re.search(r"^seed: 0$", text, re.M)
    assert is_standin_of(rendered_trees[name], name, size=TREE_SIZES[name])
    assert not is_standin_of(rendered_trees[name], name, size=TREE_SIZES[name], seed=1)


def test_ckplus_has_its_official_layout(rendered_trees):
    """640×490 grey frames numbered from 1, landmarks for each, FACS for each sequence, Emotion for labelled ones."""
    root, size = rendered_trees["ckplus"], TREE_SIZES["ckplus"]
    frames = sorted((root / "cohn-kanade-images").glob("S???/???/S???_???_????????.png"))
    with Image.open(frames[0]) as picture:
        assert (picture.size, picture.mode) == ((640, 490), "L")
    assert frames[0].name.endswith("_00000001.png")
    landmarks = sorted((root / "Landmarks").glob("S???/???/*_landmarks.txt"))
    assert [path.name[:-14] for path in landmarks] == [path.stem for path in frames]
    assert re.fullmatch(r"(   \d\.\d{7}e[+-]\d\d){2} \n", landmarks[0].read_text().splitlines(keepends=True)[0])
    sequences = {path.parent.relative_to(root / "cohn-kanade-images") for path in frames}
    assert len(sequences) == size.sequences
    assert len(list((root / "FACS").rglob("*_facs.txt"))) == size.sequences
    labels = list((root / "Emotion").rglob("*_emotion.txt"))
    assert len(labels) == size.labelled
    assert all(re.fullmatch(r"   [1-7]\.0000000e\+00\n", path.read_text()) for path in labels)
    assert {path.relative_to(root / "Emotion") for path in (root / "Emotion").glob("*/*")} == sequences


def test_ckplus_landmarks_follow_the_mouth(rendered_trees):
    """In each surprise, the inner lips of the last frame stand further apart than those of the first."""
    root = rendered_trees["ckplus"]
    surprises = [path for path in (root / "Emotion").rglob("*.txt") if path.read_text().strip().startswith("7")]
    assert surprises
    for label in surprises:
        files = sorted((root / "Landmarks" / label.parent.relative_to(root / "Emotion")).glob("*.txt"))
        first, last = np.loadtxt(files[0]), np.loadtxt(files[-1])
        assert jaw_open(last) > jaw_open(first) + 0.1


def test_oulu_casia_has_its_official_layout(rendered_trees):
    """Colour JPEGs of 320×240, numbered from 0, all six expressions for every subject."""
    root = rendered_trees["oulu_casia"] / "OriginalImg" / "VL" / "Strong"
    for subject in ("P001", "P002", "P003"):
        folders = sorted(path.name for path in (root / subject).iterdir())
        assert folders == ["Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise"]
    frames = sorted((root / "P001" / "Fear").iterdir())
    assert [path.name for path in frames] == [f"{k:03d}.jpeg" for k in range(8)]
    with Image.open(frames[0]) as picture:
        assert (picture.size, picture.mode) == ((320, 240), "RGB")


def test_an_mmi_clip_moves_and_comes_to_rest_again(rendered_trees):
    """The middle of a clip differs from its first frame by more than its last frame does."""
    clip = sorted((rendered_trees["mmi"] / "Sessions").glob("*/*.avi"))[0]
    frames = {index: frame.astype(float) for index, frame in iterate_clip(clip)}
    assert len(frames) == 20 and frames[0].shape == (576, 720, 3)
    consecutive = [np.abs(frames[b] - frames[a]).mean() for a, b in pairwise(sorted(frames))]
    assert max(consecutive) > 1.2 * np.median(consecutive) and all(np.isfinite(consecutive))


def test_the_label_is_written_last(tmp_path, monkeypatch):
    """A rendering that is killed leaves nothing that looks complete, and is taken up where it stopped."""
    finished = []

    def die_at_the_second(name, root, subject, seed, original=render._render_subject):
        if finished and len(finished) == 1:
            finished.append("died")
            raise KeyboardInterrupt
        finished.append(subject.name)
        return original(name, root, subject, seed)

    monkeypatch.setattr(render, "_render_subject", die_at_the_second)
    root = tmp_path / "ckplus"
    with pytest.raises(KeyboardInterrupt):
        render_database("ckplus", root, size=MINIATURE)
    assert not root.exists() and not list(tmp_path.glob(f"*/{STAND_IN_LABEL}"))
    render_database("ckplus", root, size=MINIATURE)
    assert finished[0] != finished[2] and len(finished) == 3
    monkeypatch.undo()
    assert files_below(root) == files_below(render_database("ckplus", tmp_path / "whole", size=MINIATURE))


def test_a_complete_tree_is_returned_at_once_and_another_is_refused(rendered_trees, tmp_path, monkeypatch):
    """The same size and seed render nothing; another size or seed is an error that names the difference."""
    monkeypatch.setattr(render, "_render_subject", lambda *_: pytest.fail("rendered again"))
    root, size = rendered_trees["oulu_casia"], TREE_SIZES["oulu_casia"]
    assert render_database("oulu_casia", root, size=size) == root
    with pytest.raises(GndlError, match="seed 0 instead of 1"):
        render_database("oulu_casia", root, size=size, seed=1)
    with pytest.raises(GndlError, match="subjects 3 instead of 7"):
        render_database("oulu_casia", root, size=QUICK_SIZE["oulu_casia"])
    (tmp_path / "mine").mkdir()
    with pytest.raises(GndlError, match="something else"):
        render_database("oulu_casia", tmp_path / "mine", size=size)


def test_contact_sheets_show_every_class(rendered_trees, tmp_path):
    """A sheet of a rendered tree, and one made before anything is rendered, hold as many columns as classes."""
    sheet = contact_sheet(rendered_trees["oulu_casia"], tmp_path / "sheet.png", subjects=2)
    preview = preview_sheet("mmi", tmp_path / "preview.png", size=TREE_SIZES["mmi"], subjects=1)
    with Image.open(sheet) as one, Image.open(preview) as other:
        assert one.width * 7 == other.width * 6
        assert np.asarray(one).std() > 20 and np.asarray(other).std() > 20


def test_nearly_every_frame_has_a_face_that_the_detector_finds(rendered_trees):
    """dlib's detector, which knows real faces only, finds one in at least 98 of 100 frames."""
    import dlib

    detector = dlib.get_frontal_face_detector()
    frames = sorted((rendered_trees["ckplus"] / "cohn-kanade-images").rglob("*.png"))[::5]
    frames += sorted(rendered_trees["oulu_casia"].rglob("*.jpeg"))[::4]
    found = []
    for path in frames:
        with Image.open(path) as picture:
            found.append(len(detector(np.asarray(picture.convert("L")), 1)) > 0)
    assert np.mean(found) >= 0.98, f"{len(found) - sum(found)} of {len(found)} missed"
