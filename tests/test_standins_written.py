"""The rendered trees: in the databases' own layouts, the same bytes every time, complete only when they say so."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import TREE_SIZES
from PIL import Image
from test_standins import NAMES, jaw_open

from gndl.errors import GndlError
from gndl.files import hash_file
from gndl.frames_reading import iterate_clip
from gndl.method_code import code_hash
from gndl.profiles import QUICK_SIZE, StandInSize
from gndl.sequences import STAND_IN_LABEL
from gndl.standins import ckplus, is_standin_of, preview_sheet, render, render_database, subjects_sheet
from gndl.standins.difficulty import Difficulty
from gndl.standins.faces import Face, Pose, Shading, View
from gndl.standins.filming import Studio, film, invite, stage
from gndl.standins.head import load_head
from gndl.standins.identity import draw_identity
from gndl.standins.performance import perform
from gndl.standins.sheet import TILE
from gndl.standins.timing import rise_and_fall

MINIATURE = {
    "ckplus": StandInSize(subjects=2, sequences=2, labelled=2, frames=(4, 4)),
    "oulu_casia": StandInSize(subjects=2, sequences=12, labelled=12, frames=(4, 4)),
    "mmi": StandInSize(subjects=2, sequences=2, labelled=2, frames=(5, 5)),
}
"""Two subjects of each database, so that two processes have work."""

NO_PIXELS = {
    "__init__",
    "box",
    "commands",
    "counterfactual",
    "label",
    "naming",
    "recipe_table",
    "render",
    "sheet",
    "soundness",
    "truth",
}
"""Modules of the stand-ins that have no say in the pixels of a database."""

PIXEL_CODE = {
    "appearance": "b1c7e65870d8",
    "beard": "6b53dc90a636",
    "ckplus": "43cbd7fc0813",
    "difficulty": "83b566b64ff0",
    "dressing": "d8be7f8878ff",
    "faces": "d005e1bf38e6",
    "filming": "e5005e7ac7ab",
    "glasses": "96ae7e0c0c4f",
    "hair": "4697d5e8e2d0",
    "head": "4131d4da7f4f",
    "identity": "1e57c1e50d06",
    "kernels": "163251d1c316",
    "kernels_covering": "a3139cfa57e4",
    "kernels_occluders": "1d7bbf3165a2",
    "lighting": "f8d161bb0c8e",
    "liveliness": "478ad1bfc564",
    "mmi": "b01d303c3c1b",
    "muscles": "4be624e3696a",
    "oulu_casia": "5a9194428336",
    "painting": "2a1350649a99",
    "performance": "7b5c71b0eedb",
    "performing": "9441a805837f",
    "plan": "8e11344458d4",
    "raycast": "7937f482e313",
    "recipes": "a29d09beaf7f",
    "render": "fa1d3466ed71",
    "resting": "af950946213b",
    "sensor": "5b1dca44e93a",
    "skin": "5df5b7f9134f",
    "strands": "9701bb772521",
    "surface": "a217efb0ecd6",
    "timing": "784362f25e3d",
    "worn": "d0852675ed39",
    "wrinkles": "10b6deea840f",
}
"""Hashes of all other modules, as they run: comments and docstrings do not count."""


def files_below(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): hash_file(path) for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(tmp_path, name):
    """One process and two write identical trees: frames, JPEGs, clips, landmarks, labels, the label of the stand-in."""
    for jobs in (1, 2):
        render_database(name, tmp_path / str(jobs), size=MINIATURE[name], seed=3, jobs=jobs)
    assert files_below(tmp_path / "1") == files_below(tmp_path / "2")


def test_a_change_of_the_code_that_renders_is_noticed():
    """Stand-ins of one generator version are the same pixels, so what makes them is pinned, new modules included."""
    modules = {
        path.stem: path.read_text(encoding="utf-8")
        for path in Path(render.__file__).parent.glob("*.py")
        if path.stem not in NO_PIXELS
    }
    parts = (render._stream, render.invited, render._render_subject)  # the rest of its module makes no pixel
    modules["render"] = "".join(inspect.getsource(part) for part in parts)
    code = {name: code_hash(source)[:12] for name, source in modules.items()}
    assert code == PIXEL_CODE, "raise GENERATOR_VERSION, or renew this pin if the same seed still gives the same bytes"


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
    assert [path.name for path in frames] == [f"{k:03d}.jpeg" for k in range(TREE_SIZES["oulu_casia"].frames[0])]
    with Image.open(frames[0]) as picture:
        assert (picture.size, picture.mode) == ((320, 240), "RGB")


def test_an_mmi_clip_has_its_format_and_moves(rendered_trees):
    """Every frame of a 720×576 clip is there and differs from the one before."""
    clip = sorted((rendered_trees["mmi"] / "Sessions").glob("*/*.avi"))[0]
    frames = {index: frame.astype(float) for index, frame in iterate_clip(clip)}
    assert len(frames) == TREE_SIZES["mmi"].frames[0] and frames[0].shape == (576, 720, 3)
    consecutive = [np.abs(frames[b] - frames[a]).mean() for a, b in pairwise(sorted(frames))]
    assert max(consecutive) > 1.2 * np.median(consecutive) and min(consecutive) > 0


def test_a_filmed_face_comes_to_rest_again():
    """The last frame of a clip shows the face of its first again, gaze aside; the middle one does not."""
    calm = Difficulty(drift=0.0, noise=0.0, blur=0.0)
    still = Studio(size=(90, 72), eye_distance=(14.0, 14.0), difficulty=calm)
    rng = np.random.default_rng(4)
    subject = invite(Face(draw_identity(load_head(), rng)), still, rng)
    performance = perform("surprise", load_head().action_names, rng)
    take = stage(subject, still, performance, rise_and_fall(40, len(performance.units), rng), rng)
    first, middle, last = (frame.picture.astype(int) for frame in film(subject, still, take, rng, frames=(0, 20, 39)))
    assert np.abs(last - first).mean() < 0.25 * np.abs(middle - first).mean()
    assert np.abs(middle - first).max() > 40


def test_no_point_of_a_face_is_undefined():
    """A triangle's corners may be mixed by a little less than nothing; light below nothing has no power 0.75."""
    subject = invite(
        Face(draw_identity(load_head(), np.random.default_rng(8))), ckplus.STUDIO, np.random.default_rng(8)
    )
    face, view = subject.face, View((200, 200), 160.0, (100.0, 100.0))
    at_rest = face.shading(np.zeros(52, np.float32), Pose(), subject.light)
    beyond = Shading(at_rest.lit - np.float32(0.02), at_rest.open_sky - np.float32(0.02))
    shot = face.show(np.zeros(52, np.float32), Pose(), subject.light, view, beyond)
    assert np.isfinite(shot.picture).all()


def test_the_label_is_written_last(tmp_path, monkeypatch):
    """A rendering that is killed leaves nothing that looks complete, and is taken up where it stopped."""
    finished = []

    def die_at_the_second(name, root, subject, seed, studio, original=render._render_subject):
        if finished and len(finished) == 1:
            finished.append("died")
            raise KeyboardInterrupt
        finished.append(subject.name)
        return original(name, root, subject, seed, studio)

    monkeypatch.setattr(render, "_render_subject", die_at_the_second)
    root = tmp_path / "ckplus"
    with pytest.raises(KeyboardInterrupt):
        render_database("ckplus", root, size=MINIATURE["ckplus"])
    assert not root.exists() and not list(tmp_path.glob(f"*/{STAND_IN_LABEL}"))
    render_database("ckplus", root, size=MINIATURE["ckplus"])
    assert finished[0] != finished[2] and len(finished) == 3
    monkeypatch.undo()
    assert files_below(root) == files_below(render_database("ckplus", tmp_path / "whole", size=MINIATURE["ckplus"]))


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


def test_contact_sheets_show_every_class(tmp_path):
    """Neutral and every class in a column of its own, a row for each of the subjects that are asked for."""
    preview = preview_sheet("mmi", tmp_path / "preview.png", size=TREE_SIZES["mmi"], subjects=1)
    sheet = subjects_sheet("ckplus", tmp_path / "sheet.png", size=TREE_SIZES["ckplus"], subjects=2)
    with Image.open(preview) as one, Image.open(sheet) as other:
        assert (one.width // TILE, one.height // TILE) == (7, 1)
        assert (other.width // TILE, other.height // TILE) == (8, 2)
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
