"""The ground truth beside a rendered tree: complete, exact, and the same whatever made it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gndl.databases import read_database
from gndl.errors import GndlError
from gndl.frames_reading import read_frames
from gndl.paper import EXPRESSIONS
from gndl.profiles import StandInSize
from gndl.standins.counterfactual import EMOTIONS, Counterfactual, render_counterfactual
from gndl.standins.head import load_head
from gndl.standins.identity import draw_identity
from gndl.standins.plan import plan
from gndl.standins.recipe_table import recipe_table
from gndl.standins.truth import SequenceTruth, join_parts, read_truth, truth_folder, write_part

NAMES = ("ckplus", "oulu_casia", "mmi")


@pytest.fixture(scope="module")
def counterfactual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A counterfactual set of two people in small pictures."""
    root = tmp_path_factory.mktemp("counterfactual") / "set"
    return render_counterfactual(root, Counterfactual(subjects=2, size=96, seed=3))


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_on_disk_has_its_row(rendered_trees: dict[str, Path], name: str) -> None:
    """No frame without truth, no truth without a frame; a clip has as many rows as frames."""
    truth = read_truth(rendered_trees[name])
    pictures = {
        path.relative_to(rendered_trees[name]).as_posix()
        for kind in ("*.png", "*.jpeg", "*.avi")
        for path in rendered_trees[name].rglob(kind)
    }
    assert set(truth.frames["file"]) == pictures
    assert not truth.frames.duplicated(["file", "index"]).any()
    n_rows = len(truth.frames)
    assert [len(part) for part in (truth.subject, truth.actions, truth.landmarks, truth.hidden)] == [n_rows] * 4
    if name == "mmi":
        assert (truth.frames.groupby("file")["index"].max() == 15).all()


@pytest.mark.parametrize("name", NAMES)
def test_landmarks_lie_in_the_frame_and_say_who_is_seen(rendered_trees: dict[str, Path], name: str) -> None:
    """All 68 points lie in the stored picture; every subject has one identity vector, no two the same."""
    truth = read_truth(rendered_trees[name])
    width, height = {"ckplus": (640, 490), "oulu_casia": (320, 240), "mmi": (720, 576)}[name]
    assert truth.landmarks.min() >= 0
    assert truth.landmarks[..., 0].max() < max(width, height)
    assert len(np.unique(truth.identity, axis=0)) == len(truth.subjects)
    named = truth.subjects["name"].to_numpy()[truth.subject]
    assert (named == truth.frames["subject"].to_numpy()).all()


def test_the_truth_agrees_with_the_labels_and_landmarks_that_the_database_brings(
    rendered_trees: dict[str, Path],
) -> None:
    """The reader's expression and CK+'s own landmark files say what the truth says."""
    root = rendered_trees["ckplus"]
    truth = read_truth(root)
    row = truth.frames.set_index("file")["row"]
    for sequence in read_database("ckplus", root).sequences:
        file = sequence.examined[-1].path.relative_to(root).as_posix()
        assert truth.frames["emotion"][row[file]] == sequence.expression
        assert truth.frames["intensity"][row[file]] > 0.9
        stored = np.loadtxt(root / "Landmarks" / Path(*Path(file).parts[1:-1]) / f"{Path(file).stem}_landmarks.txt")
        np.testing.assert_allclose(stored, truth.landmarks[row[file]], atol=1e-3)


def test_the_first_frame_is_neutral(rendered_trees: dict[str, Path]) -> None:
    """At index 0 nothing of the expression is there yet: all actions are zero but for the gaze."""
    truth = read_truth(rendered_trees["oulu_casia"])
    first = (truth.frames["index"] == 0).to_numpy()
    assert (truth.frames["intensity"][first] == 0).all()
    others = [k for k, action in enumerate(truth.action_names) if not action.startswith("eyeLook")]
    assert np.abs(truth.actions[first][:, others]).max() == 0


def test_a_subject_without_a_sequence_has_its_place(tmp_path: Path) -> None:
    """CK+ with a label on every sequence leaves subjects without one: they are listed, with no frame."""
    size = StandInSize(subjects=25, sequences=25, labelled=25, frames=(1, 1))
    silent = [subject.name for subject in plan("ckplus", size, 0) if not subject.sequences]
    assert silent
    part = tmp_path / "part.npz"
    write_part(part, silent[0], draw_identity(load_head(), np.random.default_rng(0)), SequenceTruth())
    join_parts([part], tmp_path / "tree", "label")
    truth = read_truth(tmp_path / "tree")
    assert truth.subjects["name"].tolist() == silent[:1]
    assert truth.actions.shape == (0, 52)
    assert truth.landmarks.shape == (0, 68, 2)


def test_another_trees_truth_is_refused(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """A tree whose label differs from that of the truth beside it is named; so is one without any."""
    root = tmp_path / "ckplus"
    root.mkdir()
    with pytest.raises(GndlError, match="no ground truth"):
        read_truth(root)
    folder = truth_folder(root)
    folder.mkdir()
    for name in ("STAND-IN.txt", "truth.csv", "truth.npz", "subjects.csv"):
        (folder / name).write_bytes((truth_folder(rendered_trees["ckplus"]) / name).read_bytes())
    (root / "STAND-IN.txt").write_text("another\n")
    with pytest.raises(GndlError, match="another rendering"):
        read_truth(root)


def test_within_a_row_only_the_expression_differs(counterfactual: Path) -> None:
    """Light, pose and camera are the same in all pictures; a column has the same actions on everybody."""
    truth = read_truth(counterfactual)
    frames = truth.frames
    for column in ("light_azimuth", "light_height", "light_amount", "yaw", "pitch", "roll", "eye_distance", "noise"):
        assert frames[column].nunique() == 1, column
    for emotion in EMOTIONS:
        actions = truth.actions[(frames["emotion"] == emotion).to_numpy()]
        np.testing.assert_array_equal(actions[0], actions[1])
        assert actions[0].max() > 0.3
    neutral = (frames["emotion"] == "neutral").to_numpy()
    assert not truth.actions[neutral].any()
    # The same face, moved by the expression alone: the forehead's edge and the ears stay.
    for subject in (0, 1):
        jaw = truth.landmarks[truth.subject == subject][:, [0, 16]]
        assert np.ptp(jaw, axis=0).max() < 0.5


def test_a_counterfactual_set_is_read_as_faces_of_ones_own(counterfactual: Path) -> None:
    """Its manifest names every emotion of every person beside the neutral face."""
    database = read_database("manifest", counterfactual / "manifest.csv")
    assert len(database.sequences) == 2 * len(EMOTIONS)
    assert set(database.expressions) == set(EXPRESSIONS["ckplus"])
    picture = read_frames({database.sequences[0].neutral})[database.sequences[0].neutral]
    assert picture.shape[:2] == (96, 96)
    with Image.open(counterfactual / "sheet.png") as sheet:
        assert sheet.height > 2 * 96


def test_a_counterfactual_set_is_made_once_and_never_over_another(counterfactual: Path) -> None:
    """The same request returns what is there; another one is refused by the folder's name."""
    before = (counterfactual / "sheet.png").stat().st_mtime_ns
    render_counterfactual(counterfactual, Counterfactual(subjects=2, size=96, seed=3))
    assert (counterfactual / "sheet.png").stat().st_mtime_ns == before
    with pytest.raises(GndlError, match="something else lies here"):
        render_counterfactual(counterfactual, Counterfactual(subjects=3, size=96, seed=3))
    with pytest.raises(GndlError, match="at least 1 subject"):
        Counterfactual(subjects=0)


def test_the_data_card_explains_every_column_and_recipe(rendered_trees: dict[str, Path]) -> None:
    """Each column of truth.csv, each array of truth.npz and each recipe stands in docs/stand-ins.md as it is."""
    card = (Path(__file__).parents[1] / "docs" / "stand-ins.md").read_text(encoding="utf-8")
    for name in NAMES:
        truth = read_truth(rendered_trees[name])
        missing = [column for column in truth.frames.columns if f"`{column}`" not in card]
        assert not missing
        groups = {column.split(".")[0] for column in truth.subjects.columns}
        assert not [group for group in groups if f"`{group}`" not in card and f"`{group}.*`" not in card]
        with np.load(truth_folder(rendered_trees[name]) / "truth.npz") as stored:
            assert not [array for array in stored.files if f"`{array}`" not in card]
    assert recipe_table() in card
