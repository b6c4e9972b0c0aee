"""The face studio without a browser: what is set is what is seen, and what the networks are shown."""

from __future__ import annotations

import io
import shutil
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from gndl.align import Eyes, eyes_in_crop
from gndl.device import choose_device
from gndl.explore import small_training, svg
from gndl.explore.live import LiveReader, live_reader
from gndl.explore.opening import TrainingOffer, box, open_studio
from gndl.explore.painter import Painter, Share
from gndl.explore.panel import StudioPanel
from gndl.explore.state import (
    AS_DRAWN,
    BEARD,
    EMOTIONS,
    FRINGE,
    GLASSES,
    HAIR,
    Expression,
    Person,
    Scene,
    State,
    action_groups,
    in_words,
    sides_of,
)
from gndl.explore.studio import LABEL, FaceStudio, actions_of, apex, expression_actions, identity_of
from gndl.pairs import FacePairs
from gndl.profiles import CropSettings
from gndl.results import finished_runs, read_csv
from gndl.standins.box import what_a_render_can_tell
from gndl.standins.head import load_head
from gndl.study import open_study
from gndl.train import evaluate

SIZE = 96


@pytest.fixture(scope="module")
def studio() -> FaceStudio:
    return FaceStudio()


@pytest.fixture(scope="module")
def reader(tiny_study: Path, rendered_trees: dict[str, Path]) -> LiveReader:
    study = open_study("ckplus", data_root=str(rendered_trees["ckplus"]), profile="smoke", out=tiny_study, jobs=1)
    found = live_reader(study)
    assert found is not None
    return found


def difference(studio: FaceStudio, state: State, other: State) -> float:
    """Mean difference of two pictures in grey values."""
    first, second = (studio.show(shown, SIZE).picture.astype(float) for shown in (state, other))
    return float(np.abs(first - second).mean())


def test_every_facial_action_stands_in_exactly_one_group() -> None:
    """All 52 actions can be reached by name, each once, both sides of an action by one slider."""
    names = load_head().action_names
    reached = [name for group in action_groups(names).values() for action in group for name in sides_of(action, names)]
    assert sorted(reached) == sorted(names)
    assert in_words("browInnerUp") == "brow inner up"


def test_the_same_state_gives_the_same_picture(studio: FaceStudio) -> None:
    """Nothing of what was shown before is left in a picture that is not made in a hurry."""
    state = State(Person(3), Expression("fear"), Scene(yaw=10))
    first = studio.show(state, SIZE).picture
    studio.show(State(Person(4), Expression("anger"), Scene(roll=20, azimuth=-60)), SIZE, hurry=True)
    assert np.array_equal(studio.show(state, SIZE).picture, first)
    assert np.array_equal(FaceStudio().show(state, SIZE).picture, first)


@pytest.mark.parametrize(
    "changed",
    [
        State(Person(2)),
        State(Person(1, age=1.0)),
        State(Person(1, femininity=1.0)),
        State(Person(1, femininity=0.0)),
        State(Person(1, ancestry=(1.0, 0.0, 0.0))),
        State(Person(1, tone=1.0)),
        *(State(Person(1), Expression(emotion)) for emotion in EMOTIONS if emotion != "neutral"),
        State(Person(1), Expression(by_hand={"jawOpen": 1.0})),
        State(Person(1), scene=Scene(yaw=20)),
        State(Person(1), scene=Scene(pitch=15)),
        State(Person(1), scene=Scene(roll=15)),
        State(Person(1), scene=Scene(azimuth=-70)),
        State(Person(1), scene=Scene(height=70)),
        State(Person(1), scene=Scene(lamp=0.3)),
        State(Person(1), scene=Scene(room=0.0)),
    ],
    ids=repr,
)
def test_every_control_changes_the_face(studio: FaceStudio, changed: State) -> None:
    """Each thing that can be set is seen in the picture."""
    assert difference(studio, State(Person(1)), changed) > 0.3


def test_what_is_worn_can_be_chosen() -> None:
    """Glasses, beard, hair and fringe are put on, taken off, or left as the person was drawn."""
    drawn = identity_of(Person(7))
    assert identity_of(Person(7, glasses=AS_DRAWN, beard=AS_DRAWN, hair=AS_DRAWN, fringe=AS_DRAWN)) == drawn
    for frame in GLASSES[2:]:
        glasses = identity_of(Person(7, glasses=frame)).glasses
        assert glasses is not None
        assert glasses.frame == frame
    for style in BEARD[2:]:
        beard = identity_of(Person(7, beard=style)).beard
        assert beard is not None
        assert beard.style == style
    assert identity_of(Person(7, glasses="none", beard="none")).glasses is None
    assert identity_of(Person(7, beard="none")).beard is None
    assert all(identity_of(Person(7, hair=style)).hair.style == style for style in HAIR[1:])
    assert identity_of(Person(7, fringe="to the brows")).hair.fringe == FRINGE["to the brows"]


def test_expressions_scale_blend_and_take_what_is_added_by_hand() -> None:
    """Half the strength is half of every movement; a blend lies between; negative amounts take away, never below 0."""
    full = expression_actions(Expression("surprise"))
    assert np.allclose(expression_actions(Expression("surprise", strength=0.5)), np.clip(apex("surprise") / 2, 0, 1))
    blend = expression_actions(Expression("surprise", second="fear", share=0.25))
    assert np.allclose(blend, np.clip(0.75 * apex("surprise") + 0.25 * apex("fear"), 0, 1), atol=1e-6)
    jaw = load_head().action_names.index("jawOpen")
    assert full[jaw] > 0
    assert expression_actions(Expression("surprise", by_hand={"jawOpen": -1.0}))[jaw] == 0
    assert not expression_actions(Expression()).any()
    assert not np.array_equal(apex("happiness", 0), apex("happiness", 1))


def test_a_hurried_picture_shows_the_same_face(studio: FaceStudio) -> None:
    """Borrowed shading and painting change tones a little, and move nothing."""
    state = State(Person(1), Expression("happiness"))
    studio.show(state, SIZE)
    turned = replace(state, scene=Scene(yaw=6))
    quick, fine = studio.show(turned, SIZE, hurry=True), studio.show(turned, SIZE)
    assert np.array_equal(quick.landmarks, fine.landmarks)
    assert np.abs(quick.picture.astype(float) - fine.picture).mean() < 6


@pytest.mark.parametrize("scene", [Scene(), Scene(yaw=20, pitch=8), Scene(roll=-25)], ids=repr)
def test_the_networks_see_the_face_where_every_crop_has_it(studio: FaceStudio, scene: Scene) -> None:
    """Whatever the pose, both eyes of the crop lie where those of the training crops do."""
    photograph = studio.show(State(Person(1), Expression("surprise"), scene), 224)
    settings = CropSettings()
    assert photograph.crop(settings).shape == (224, 224, 3)
    # A picture of which each pixel holds its own place tells where a crop's pixel comes from.
    down, across = np.mgrid[0:224, 0:224].astype(np.uint8)
    places = replace(photograph, picture=np.dstack([across, down, down])).crop(settings)
    there, here = Eyes.from_landmarks(photograph.landmarks), eyes_in_crop(settings)
    for seen, wanted in ((there.left, here.left), (there.right, here.right)):
        x, y = (round(place) for place in wanted)
        assert places[y, x, :2] == pytest.approx(seen, abs=1.5)


def test_saved_pictures_say_that_they_show_nobody(studio: FaceStudio, tmp_path: Path) -> None:
    """The label is in the PNG's metadata and in a strip below the face, and no picture overwrites another."""
    panel = StudioPanel(FaceStudio(), tmp_path, alive=False)
    first, second = panel.save(), panel.save()
    assert first != second
    picture = Image.open(first)
    assert LABEL in picture.info["Description"]
    strip = np.asarray(picture.convert("L"))[picture.width :]
    assert strip.min() < 80 < 240 < strip.max()


def test_live_probabilities_are_those_of_the_study(tiny_study: Path, rendered_trees: dict[str, Path]) -> None:
    """The live face gets the very probabilities that evaluation gives its crop, at the size of the run."""
    root = str(rendered_trees["ckplus"])
    study = open_study("ckplus", data_root=root, profile="smoke", out=tiny_study, jobs=1)
    live = live_reader(study)
    assert live is not None
    assert list(live.methods) == ["baseline", "gndl"]
    photograph = FaceStudio().show(State(Person(1), Expression("anger")), 224)
    image = photograph.crop(study.request.settings.crop, in_colour=study.pairs.images.ndim == 4)
    first = np.zeros(1, np.int64)
    alone = FacePairs(image[None], first, first, first, ("",), ("",), ("",), study.pairs.expressions)
    data = alone.on(choose_device("cpu"), study.train.image_size)
    reading = live.read(photograph)
    for name, method in live.methods.items():
        expected = evaluate(method, data, first, study.train.precision).softmax(1)[0].numpy()
        assert np.allclose(reading.probabilities[name], expected, atol=1e-5)


def test_the_map_is_the_validation_set_and_nothing_else(reader: LiveReader, tiny_study: Path) -> None:
    """One point for every tested face; a feature of the set lies on its own point and has its own class nearest."""
    assert reader.map is not None
    run = next(run for run in finished_runs(tiny_study) if (run.database, run.method) == ("ckplus", "gndl"))
    tested = read_csv(run.folder / "predictions.csv", ("truth",))
    assert len(reader.map.points) == len(tested)
    assert [reader.expressions[k] for k in reader.map.labels] == tested["truth"].tolist()
    feature = reader.map.features[0]
    assert np.allclose(reader.map.place(feature), reader.map.points[0], atol=1e-3)
    nearest = dict(reader.map.nearest(feature, reader.expressions))
    assert reader.expressions[reader.map.labels[0]] in nearest
    assert 0 < reader.map.explained <= 1


def test_without_weights_there_is_no_reader(copy_without_weights: Path, rendered_trees: dict[str, Path]) -> None:
    """A study that was committed without its weights gives no networks, and no error."""
    root = str(rendered_trees["ckplus"])
    study = open_study("ckplus", data_root=root, profile="smoke", out=copy_without_weights, jobs=1)
    assert live_reader(study) is None


@pytest.fixture
def copy_without_weights(tiny_study: Path, tmp_path: Path) -> Path:
    copy = shutil.copytree(tiny_study, tmp_path / "study", ignore=shutil.ignore_patterns("weights.safetensors"))
    return Path(copy)


def test_the_panel_moves_face_bars_and_map_together(reader: LiveReader, tmp_path: Path) -> None:
    """Pressing an emotion, dragging a slider and another person each give another picture and another reading."""
    panel = StudioPanel(FaceStudio(), tmp_path, reader, alive=False)
    seen = [(panel.image.value, panel.reading.map.value)]

    def another() -> None:
        now = (panel.image.value, panel.reading.map.value)
        assert now[0] != seen[-1][0]
        assert now[1] != seen[-1][1]
        seen.append(now)

    panel.press("happiness")
    another()
    panel.controls.strength.value = 0.4
    another()
    panel.controls.scene["yaw"].value = 15
    another()
    panel.controls.movements["jawOpen"].value = 0.8
    another()
    panel.new_person(5)
    another()
    assert LABEL in panel.caption.value
    assert Image.open(io.BytesIO(panel.image.value)).size == (448, 448)
    for name in reader.expressions:
        assert name in panel.reading.bars.value


def test_another_person_brings_its_own_age_and_keeps_the_expression(tmp_path: Path) -> None:
    """The person slider draws a new person whole; the age slider changes that person alone."""
    panel = StudioPanel(FaceStudio(), tmp_path, alive=False)
    panel.press("anger")
    panel.controls.age.value = 0.9
    assert panel.controls.state().person.age == pytest.approx(0.9)
    panel.controls.seed.value = 12
    state = panel.controls.state()
    assert state.person == Person(12)
    assert panel.controls.age.value == pytest.approx(identity_of(Person(12)).age, abs=0.01)
    assert state.expression.emotion == "anger"


def test_one_side_of_the_face_moves_alone(tmp_path: Path) -> None:
    """With the subject's left chosen, a slider moves that side only, and neutral takes everything back."""
    panel = StudioPanel(FaceStudio(), tmp_path, alive=False)
    panel.controls.sides.value = "the subject's left"
    panel.controls.movements["mouthSmile"].value = 0.7
    names = load_head().action_names
    amounts = dict(zip(names, actions_of(panel.controls.state()), strict=True))
    assert amounts["mouthSmileLeft"] == pytest.approx(0.7)
    assert amounts["mouthSmileRight"] == 0
    panel.press("neutral")
    assert not actions_of(panel.controls.state()).any()
    assert panel.controls.movements["mouthSmile"].value == 0


def test_the_painter_skips_what_is_out_of_date() -> None:
    """Many wishes during one picture make one more picture, and the fine one comes once all is still."""
    drawn: list[str] = []

    def quick() -> None:
        drawn.append("quick")
        time.sleep(0.05)

    painter = Painter(quick, lambda: drawn.append("fine"), lambda error: drawn.append(str(error)))
    for _ in range(20):
        painter.ask()
        time.sleep(0.005)
    time.sleep(0.8)
    painter.close()
    assert drawn[-1] == "fine"
    assert drawn.count("fine") == 1
    assert 1 <= drawn.count("quick") <= 6


def test_the_painter_goes_on_after_an_error() -> None:
    """A picture that fails is reported and does not end the studio."""
    said: list[str] = []

    def quick() -> None:
        if not said:
            raise ValueError("no such face")

    painter = Painter(quick, lambda: said.append("fine"), lambda error: said.append(str(error)))
    for _ in range(2):
        painter.ask()
        time.sleep(0.6)
    painter.close()
    assert said[0] == "no such face"
    assert said[-1] == "fine"


def test_what_is_dear_takes_its_share_of_the_time_only() -> None:
    """After something that took a while, it is due again only when it makes up its share."""
    share = Share(0.25)
    started = time.monotonic()
    assert share.is_due(started)
    time.sleep(0.05)
    share.took(started)
    assert not share.is_due(time.monotonic())
    assert share.is_due(time.monotonic() + 0.2)


def test_bars_and_map_show_every_class_and_stay_inside(reader: LiveReader) -> None:
    """Each class is named; a face far outside the map is drawn at its edge."""
    probabilities = {"baseline": np.full(7, 1 / 7), "gndl": np.eye(7)[2]}
    drawing = svg.bars(probabilities, reader.expressions)
    assert all(name in drawing for name in reader.expressions)
    assert "100 %" in drawing
    assert reader.map is not None
    drawn = svg.MapDrawing(reader.map, reader.expressions).draw([(0.0, 0.0), (1e6, -1e6)])
    assert f"cx='{svg.MapDrawing.width - 11:.1f}'" in drawn
    assert drawn.startswith("<svg")


def test_training_progress_is_read_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing to all epochs the share only grows, and each stage is named."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    out = tmp_path / "run"
    stages = [small_training.progress_of(out)]
    partial = small_training.tree().with_name(".ckplus.partial")
    partial.mkdir(parents=True)
    for k in range(40):
        (partial / f"{k}.png").touch()
    stages.append(small_training.progress_of(out))
    partial.rename(small_training.tree())
    stages.append(small_training.progress_of(out))
    for method, lam in (("baseline", "lam-none"), ("gndl", "lam-5")):
        run = out / "ckplus" / method / lam / "fold-0" / "seed-0"
        run.mkdir(parents=True)
        (run / "epochs.csv").write_text("epoch\n" + "1\n" * small_training.small_request(out).settings.train.epochs)
        stages.append(small_training.progress_of(out))
    shares = [stage.share for stage in stages]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len({stage.stage for stage in stages}) == 3


def test_the_small_training_makes_a_real_study_and_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained once by the package's own functions, in a process of its own, watched to its end, then reused."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(small_training, "SIZE", replace(small_training.SIZE, subjects=8, sequences=16, labelled=15))
    tiny = replace(small_training.small_request().settings.train, epochs=1, image_size=32)
    request = small_training.small_request
    monkeypatch.setattr(
        small_training,
        "small_request",
        lambda out: replace(request(out), settings=replace(request(out).settings, train=tiny)),
    )
    out = tmp_path / "run"
    assert small_training.trained_small(out) is None
    small_training.train_small(out, jobs=2)
    study = small_training.trained_small(out)
    assert study is not None
    assert {run.method for run in finished_runs(out)} == {"baseline", "gndl"}
    assert study.database.source == "rendered"
    found = live_reader(study)
    assert found is not None
    assert "2-" not in found.in_words()


def test_a_training_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The offer shows the last line of the log and can be pressed again."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "a file"))
    (tmp_path / "a file").write_text("")
    panel = StudioPanel(FaceStudio(), tmp_path, alive=False)
    offer = TrainingOffer(panel, tmp_path / "run")
    offer.button.disabled = True
    offer.watch(small_training.Training(tmp_path / "run"))
    assert "failed" in offer.words.value
    assert not offer.button.disabled
    assert panel.reader is None


FIVE_QUESTIONS = {
    "what were the faces?": ("computed by `gndl render`", "nobody", "no photograph"),
    "may I quote this accuracy for CK+?": ("no number below may be quoted as a result on CK+",),
    "does a higher GNDL bar mean that GNDL is better on people?": (
        "a gap between GNDL and the baseline, either way, describes these renders at most",
        "no evidence about people",
    ),
    "who set the baseline's level, and how?": (
        "We chose it",
        "Only the baseline was looked at, never GNDL",
        "other rendered people",
    ),
    "what can I conclude?": ("that the code runs", "what a method does when one known cause is changed"),
}


@pytest.mark.parametrize("question", FIVE_QUESTIONS)
def test_the_box_answers_what_a_newcomer_asks(question: str) -> None:
    """Each of the five questions has its answer in the box's own words."""
    text = what_a_render_can_tell("ckplus")
    assert all(words in text for words in FIVE_QUESTIONS[question])
    assert len(text.split()) < 290


def test_every_notebook_on_rendered_faces_opens_with_the_box(tiny_study: Path) -> None:
    """In the executed notebooks the box is the first thing shown, before any number or face."""
    for name in ("1_databases", "2_training", "6_explore"):
        for database, title in (("ckplus", "CK+"), ("mmi", "MMI")):
            notebook = nbformat.read(tiny_study / database / "notebooks" / f"{name}.ipynb", as_version=4)
            outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
            shown = [output["data"] for output in outputs if "data" in output]
            assert shown[0]["text/markdown"].startswith(what_a_render_can_tell(database))
            assert f"{title}, rendered stand-in" in shown[0]["text/markdown"]


def test_the_box_is_for_rendered_faces_only(tmp_path: Path) -> None:
    """Networks of a licensed copy get no sentence about a stand-in of it."""
    assert "rendered stand-in" in box("ckplus", tmp_path)
    (tmp_path / "study.json").write_text('{"source": "licensed", "asked": {"settings": {"train": {"epochs": 1}}}}')
    assert "stand-in" not in box("ckplus", tmp_path)


def test_in_batch_the_notebook_is_a_picture_with_the_networks_view(tiny_study: Path) -> None:
    """papermill gets still pictures of studio and explorers, and no widget; the studio's numbers lie beside it."""
    notebook = nbformat.read(tiny_study / "ckplus" / "notebooks" / "6_explore.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1 + 4
    assert not any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)
    table = read_csv(tiny_study / "ckplus" / "figures" / "face_studio.csv", ("method", "class", "probability"))
    assert set(table["method"]) == {"baseline", "gndl"}
    assert table.groupby("method")["probability"].sum().round(4).eq(1).all()
    assert set(table["source"]) == {"rendered"}


def test_without_a_study_the_studio_opens_and_begins_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is there: the faces are shown all the same, and nothing is rendered, cropped or trained."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    assert open_studio("ckplus", out=tmp_path / "out", small=tmp_path / "small") is None  # nobody sits at a test
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "data").exists()


def test_the_studio_is_fast_enough_to_be_dragged() -> None:
    """From a slider's change to the encoded picture of 224 pixels, eight a second with room for a slow machine."""
    studio = FaceStudio()
    torch.set_num_threads(1)
    state = State(Person(1), Expression("happiness"))
    studio.show(state, 224)
    seconds = []
    for k in range(6):
        started = time.process_time()
        studio.show(replace(state, scene=Scene(yaw=float(k))), 224, hurry=True).encoded()
        seconds.append(time.process_time() - started)
    assert np.median(seconds) < 1 / 8


def test_pictures_shrink_while_they_are_too_slow_and_grow_again(tmp_path: Path) -> None:
    """On a slow machine the moving picture gets smaller, never the resting one."""
    panel = StudioPanel(FaceStudio(), tmp_path, alive=False)

    def moving() -> int:
        panel.draw(hurry=True)
        return Image.open(io.BytesIO(panel.image.value)).width

    panel._adapt(0.5)
    small = moving()
    for _ in range(3):
        panel._adapt(0.01)
    assert small < moving() == 224
    panel.draw()
    assert Image.open(io.BytesIO(panel.image.value)).width == 448
