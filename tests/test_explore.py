"""The explorers of notebook 6: what can be chosen, what is shown of it, and what is said where something is missing."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.display import Image as Shown
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image
from scipy.spatial.distance import pdist

import gndl
from gndl import explore, gallery, predict
from gndl.analysis.features import of_fold
from gndl.explore import studio, widgets
from gndl.explore.studio import DeviationMap, FaceStudio, Networks, OwnPhotograph
from gndl.explore.tested import Samples
from gndl.eyes import FIRST_ATTEMPT, Eyes, FoundEyes
from gndl.files import GndlError
from gndl.licence import Publishable
from gndl.results import read
from gndl.study import Study
from standins.studio import Portrait

ALL = (explore.face_studio, explore.samples, explore.photograph)


@pytest.fixture(scope="module")
def trained(trained_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A copy of the trained study: six subjects of noise, folds 0 and 1."""
    out = Path(shutil.copytree(trained_study / "study", tmp_path_factory.mktemp("explored") / "study"))
    return gndl.open_study("ckplus", data_root=trained_study / "ckplus", profile="smoke", out=out, device="cpu", jobs=1)


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Everything that the explorers display."""
    shown: list[Any] = []
    monkeypatch.setattr(widgets, "display", lambda *things: shown.extend(things))
    return shown


def texts(figure: Figure | str | None) -> str:
    """All words of a figure."""
    assert isinstance(figure, Figure)
    parts = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(part.get_text() for part in parts)  # type: ignore[attr-defined]


def pixels(figure: Figure | str | None) -> np.ndarray:
    """The first face of a figure."""
    assert isinstance(figure, Figure)
    return np.asarray(next(ax for ax in figure.axes if ax.images).images[0].get_array())


def test_the_networks_answer_as_in_the_study(trained: Study) -> None:
    """A tested crop gets the probabilities of predictions.csv, by both methods."""
    networks = Networks(trained)
    assert (networks.fold, list(networks.methods)) == (0, ["baseline", "gndl"])
    tested = read(trained.out, "ckplus").only(folds=0).predictions
    row = tested[tested["method"] == "gndl"].iloc[4]
    crop = trained.pairs.images[trained.pairs.examined_index[row["sample"]]]
    table, deviation = networks.read(crop)
    assert deviation is not None and deviation.shape == (512,)
    for method in networks.methods:
        own = tested[(tested["method"] == method) & (tested["sample"] == row["sample"])].iloc[0]
        assert np.allclose(table[method], [own[f"p_{name}"] for name in networks.classes], atol=1e-4)


def test_a_method_that_needs_the_neutral_face_is_not_asked(trained: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the studio nor a photo has one; the accuracies named are those of the networks that answer."""
    found = widgets.answered(trained)
    runs = found.runs.assign(needs_neutral_at_test=found.runs["method"] == "gndl")
    monkeypatch.setattr(studio, "answered", lambda study: replace(found, runs=runs))
    networks = Networks(trained)
    own = runs[(runs["method"] == "baseline") & (runs["fold"] == 0)].iloc[0]
    assert list(networks.methods) == ["baseline"]
    assert networks.in_words() == (
        f"Networks trained on CK+ stand-in: 1 epoch, {own['n_train']} pairs. Accuracy on the {own['n_test']} faces of "
        f"people left out (fold 0): {own['accuracy_last']:.0%} (baseline)."
    )


def test_the_faces_of_a_sample_are_its_neutral_and_examined_ones(trained: Study) -> None:
    """In their order, the chosen one in a frame."""
    rows = Samples(trained).rows
    numbers = sorted(sample for fold, sample in rows[rows["sequence"] == rows["sequence"].iloc[-1]].index)
    figure = Samples(trained).figure((1, numbers[1]))
    pairs, pictures = trained.pairs, [np.asarray(image.get_array()) for image in figure.findobj(AxesImage)]
    shown = [pairs.neutral_index[numbers[0]], *pairs.examined_index[numbers]]
    assert len(pictures) == 4 and all(map(np.array_equal, pictures, pairs.images[shown]))
    framed = [ax.get_title() for ax in figure.axes if ax.images and ax.spines["left"].get_visible()]
    assert framed == ["examined 2"]


def test_the_map_keeps_distances_in_its_plane(trained: Study) -> None:
    """One point a tested sequence, its last frame; features in a plane are laid out without loss."""
    features, rng = of_fold(trained, "gndl", 1), np.random.default_rng(3)
    places = rng.normal(size=(len(features), 2))
    plane = np.linalg.qr(rng.normal(size=(512, 2)))[0]
    known = DeviationMap(replace(features, deviation=(places @ plane.T).astype(np.float32)))
    last = features.samples.drop_duplicates("sequence", keep="last").index
    assert len(last) == 6 and known.truth.tolist() == features.truth[last].tolist()
    places = places[last]
    assert np.allclose(pdist(known.points), pdist(places), atol=1e-4)
    assert np.allclose(known.place(known.values[2:3])[0], known.points[2], atol=1e-5)
    order = np.argsort(np.linalg.norm(places - places[2], axis=1)).tolist()
    assert known.nearest(known.values[2]).tolist() == order[:5] and order[0] == 2


def test_every_choice_of_the_sample_explorer_is_followed(trained: Study) -> None:
    """Another class, subject or fold shows its own sample; what is chosen stays where it still can."""
    shown = Samples(trained).widget()
    fold, expression, subject, frame = shown.children[0].children
    assert shown.controls == {"sample": frame}
    seen = [shown.drawn]
    for choice, value in ((expression, "anger"), (subject, subject.options[-1]), (frame, None), (fold, 1)):
        choice.value = choice.options[-1][1] if value is None else value
        assert shown.drawn not in seen
        seen.append(shown.drawn)
        assert f"{subject.value} · " in texts(shown.drawn) and f"shows {expression.value}" in texts(shown.drawn)
    assert expression.value == "anger" and subject.value in trained.folds.test_subjects[1]
    assert texts(shown.drawn).count("baseline: ") == 3


def test_a_face_that_may_not_be_shown_is_an_empty_cell(trained: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers stay; a note says how many are left out."""
    rule = Publishable("ckplus", frozenset(), "nobody may be printed")
    monkeypatch.setattr(gallery, "may_be_shown", lambda study: rule)
    figure = Samples(trained).figure()
    assert texts(figure).count("not shown") == 4 and "6 of 6 subjects left out: nobody may be printed" in texts(figure)
    assert not figure.findobj(AxesImage)


def test_predictions_of_other_faces_are_refused(trained: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong face would stand next to an answer."""
    renamed = replace(trained.pairs, frame=[f"x{name}" for name in trained.pairs.frame])
    monkeypatch.setitem(trained.__dict__, "pairs", renamed)
    with pytest.raises(GndlError, match="of other faces"):
        Samples(trained)


def test_the_right_answer_stands_next_to_the_right_sample(planted_study: Path) -> None:
    """`planted_runs`: of fold 1, the first subject's surprise is taken for anger, in one frame or in three."""
    explorer = Samples(gndl.open_study("ckplus", profile="smoke", out=planted_study, device="cpu"))
    for sample, gndl_says, mark in (((1, 24), "anger", "✗"), ((1, 25), "surprise", "✓")):
        table = explorer.probabilities(sample)
        assert list(table) == ["baseline", "gndl"] and table.idxmax().tolist() == ["anger", gndl_says]
        assert table["gndl"].tolist() == [0.8 if name == gndl_says else 0.1 for name in table.index]
        assert explorer.answers(sample) == f"baseline: anger ✗\ngndl: {gndl_says} {mark}"
        figure = explorer.figure(sample)
        words = texts(figure)
        assert f"fold 1: S002 · {sample[1]}.png shows surprise" in words and words.count(f"gndl: {gndl_says}") >= 1
        (bars,) = [ax for ax in figure.findobj(Axes) if ax.containers]
        names = [label.get_text() for label in bars.get_yticklabels()]
        for method, drawn in zip(table, bars.containers, strict=True):
            assert [bar.get_width() for bar in drawn] == table.loc[names, method].tolist()
        bold = [label.get_text() for label in bars.get_yticklabels() if label.get_fontweight() == "bold"]
        assert names == ["happiness", "surprise", "anger"] and bold == ["surprise"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Portrait]:
    """The portraits that the renderer is asked for; the pictures are black."""
    portraits: list[Portrait] = []

    def render(self: studio.Studio, size: int) -> np.ndarray:
        portraits.append(self.portrait)
        return np.zeros((size, size, 3), np.uint8)

    monkeypatch.setattr(studio.Studio, "render", render)
    return portraits


CONTROLS = {
    "seed": 7, "emotion": "fear", "strength": 0.4, "variant": 3, "second": "anger", "share": 0.3, "tone": 0.5,
    "age": 0.9, "femininity": 0.1, "glasses": "none", "beard": "none", "hair": studio.HAIR[-1], "fringe": "short",
    "yaw": 10.0, "pitch": -5.0, "roll": 4.0, "azimuth": -20.0, "height": 50.0, "lamp": 1.5, "room": 0.5,
}  # fmt: skip


def test_every_slider_and_button_reaches_the_renderer(
    tmp_path: Path, asked: list[Portrait], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One picture a slider, in which its field is as set, and stays so; ancestries are shares of the whole."""
    panel = FaceStudio(gndl.open_study("mmi", profile="smoke", out=tmp_path, device="cpu")).widget()
    for number, (name, value) in enumerate(CONTROLS.items(), start=len(asked) + 1):
        panel.controls[name].value = value
        assert len(asked) == number and getattr(asked[-1], name) == value
    assert {name: getattr(asked[-1], name) for name in CONTROLS} == CONTROLS
    for name, share in zip(studio.ANCESTRIES, (0.2, 0.4, 1.0), strict=True):
        panel.controls[name].value = share
    assert asked[-1].ancestry == pytest.approx((0.125, 0.25, 0.625), abs=1e-3)
    panel.controls["mouthSmile"].value = 0.6
    for side, moved in ((studio.LEFT, ["Left"]), (studio.RIGHT, ["Right"]), (studio.BOTH, ["Left", "Right"])):
        panel.controls["side"].value = side
        own = {name: amount for name, amount in asked[-1].by_hand.items() if amount}
        assert own == {f"mouthSmile{one}": 0.6 for one in moved}
    person, _, save, saved = panel.children[2].children
    save.click()
    assert "download='person-7-fear.png'" in saved.value and "data:image/png;base64," in saved.value
    monkeypatch.setattr("random.randrange", lambda most: most - 995)
    person.click()
    assert asked[-1].seed == 5


@pytest.fixture(scope="module")
def panel(trained: Study) -> Any:
    """The face studio's widget."""
    return FaceStudio(trained).widget()


def test_a_control_changes_the_face_and_what_is_said_about_it(panel: Any) -> None:
    """Face, probabilities and the place of the deviation feature."""
    before = panel.drawn
    panel.controls["emotion"].value = "surprise"
    assert not np.array_equal(pixels(panel.drawn), pixels(before))
    assert panel.drawn.axes[1].patches and "this face" in texts(panel.drawn)


def test_another_person_brings_their_own_age(panel: Any) -> None:
    """The sliders of the person move to where the seed has them."""
    panel.controls["age"].value = 1.0
    panel.controls["seed"].value = 4
    assert panel.controls["age"].value == pytest.approx(studio.Studio(4).drawn["age"])


def test_one_side_of_the_face_moves_alone_and_reset_takes_all_back(panel: Any) -> None:
    """The movements say so; the person stays."""
    panel.move({"emotion": "neutral", "side": studio.LEFT, "mouthSmile": 0.8, "seed": 3, "yaw": 10.0})
    words = texts(panel.drawn)
    assert "mouth smile left 0.8" in words and "mouth smile right" not in words
    next(button for button in panel.children[2].children if button.description.startswith("Reset")).click()
    assert "Facial actions: none" in texts(panel.drawn) and "synthetic identity 3" in texts(panel.drawn)
    assert panel.controls["yaw"].value == 0


def test_without_weights_the_face_is_shown_all_the_same(trained: Study, displayed: list[Any], tmp_path: Path) -> None:
    """As in a study that was shared: the command that trains again is named."""
    ignored = shutil.ignore_patterns("*.safetensors")
    out = Path(shutil.copytree(trained.out, tmp_path / "study", ignore=ignored))
    study = gndl.open_study("ckplus", data_root=trained.database.root, profile="smoke", out=out, device="cpu")
    explore.face_studio(study)
    words, picture = displayed
    assert "no weights here" in words.data and "gndl study --profile smoke --databases ckplus --ckplus" in words.data
    assert isinstance(picture, Shown)
    explore.photograph(study)
    assert all(isinstance(one, Markdown) and "gndl " in one.data for one in displayed[2:])


def test_without_a_run_every_explorer_says_what_to_do(displayed: list[Any], tmp_path: Path) -> None:
    """Nothing is rendered, cropped or trained; the studio shows its face."""
    study = gndl.open_study("mmi", profile="smoke", out=tmp_path / "new", device="cpu")
    for show in ALL:
        assert show(study) is None
    words = [one.data for one in displayed if isinstance(one, Markdown)]
    assert len(words) == 3 and len(displayed) == 4
    assert all("`gndl study --profile smoke --databases mmi --out" in one for one in words)
    assert [path.name for path in (tmp_path / "new").iterdir() if not path.name.startswith(".")] == ["study.json"]


def photo(kind: str = "png", shade: int = 120) -> bytes:
    """A picture file's bytes, 120 × 100."""
    file = io.BytesIO()
    Image.new("RGB", (120, 100), (shade, shade, shade)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def a_face_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the detector: a face in every picture that is not black."""
    found = FoundEyes(Eyes((40.0, 50.0), (70.0, 52.0)), 1.5, FIRST_ATTEMPT, 1)
    monkeypatch.setattr(predict, "find_eyes", lambda grey: found if grey.any() else None)


def test_a_photo_is_answered_and_not_kept(trained: Study, a_face_at_its_place: None) -> None:
    """A file without a face or without a picture gets a sentence with its name; the next photo is shown again."""
    shown = OwnPhotograph(trained).widget()
    about = {"name": "me.jpg", "type": "", "size": 1, "last_modified": pd.Timestamp(0, tz="UTC")}
    for content in (photo(), photo("webp")):
        shown.controls["upload"].value = (about | {"content": memoryview(content)},)
        assert "me.jpg" in texts(shown.drawn) and shown.controls["upload"].value == ()
    for content, words in ((photo(shade=0), "me.jpg: no face found"), (b"letter", "me.jpg: cannot be read")):
        shown.controls["upload"].value = (about | {"content": memoryview(content)},)
        assert words in shown.drawn and shown.controls["upload"].value == ()
    assert "rendered faces only" in OwnPhotograph(trained).note


def test_in_a_batch_there_are_pictures_and_for_a_reader_widgets(
    trained: Study, displayed: list[Any], a_face_at_its_place: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """papermill's notebooks are read without a kernel."""
    assert [show(trained) for show in ALL] == [None] * 3
    assert sum(isinstance(one, Shown) for one in displayed) == 3
    monkeypatch.setattr(widgets, "is_interactive", lambda: True)
    assert all(isinstance(show(trained), widgets.Explorer) for show in ALL)


@pytest.mark.parametrize(
    ("shell", "answer"),
    [
        (None, False),
        (SimpleNamespace(), False),
        (SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=False)), False),
        (SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=True)), True),
    ],
)
def test_papermill_and_scripts_are_not_readers(monkeypatch: pytest.MonkeyPatch, shell: Any, answer: bool) -> None:
    """A kernel that may ask for input has somebody in front of it."""
    monkeypatch.setattr(widgets, "get_ipython", lambda: shell)
    assert widgets.is_interactive() is answer
