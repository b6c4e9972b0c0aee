"""The explorers without a browser: what can be chosen, what is shown of it, and what is said where something lacks."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from IPython.display import Markdown
from matplotlib.figure import Figure
from PIL import Image

from gndl.align import Eyes
from gndl.errors import GndlError
from gndl.explore import exploration, explorers, own_photograph, photograph_explorer
from gndl.explore.drawing import as_png
from gndl.explore.exploration import Exploration, open_exploration
from gndl.explore.feature_map import POINTS_SHOWN, T_SNE, card_figure, feature_map, last_frames, places_shown
from gndl.explore.lam_explorer import LamExplorer
from gndl.explore.lam_runs import lam_runs
from gndl.explore.live import LiveReader, live_reader
from gndl.explore.map_explorer import HEIGHT, WIDTH, MapExplorer
from gndl.explore.markup import as_html
from gndl.explore.opened_fold import OpenedFold, folds_to_open, nearest_neutrals, open_fold
from gndl.explore.own_photograph import SEEN_ACTED, SEEN_RENDERED_ONLY, caution, look_at_photograph
from gndl.explore.photograph_explorer import PhotographExplorer
from gndl.explore.samples import SampleExplorer, first_sample
from gndl.eyes import FIRST_ATTEMPT, FoundEyes
from gndl.folds import Folds
from gndl.pairs import FacePairs
from gndl.prepare import Prepared
from gndl.profiles import SMOKE, CropSettings, TrainSettings
from gndl.request import StudyRequest, save_request
from gndl.runs import fit_run, plan_runs
from gndl.sequences import Database

EXPRESSIONS = ("anger", "fear", "happiness")
SIDE = 32
SUBJECTS = ("ann", "bob", "cleo", "dan")
FOLDS = Folds((("ann", "bob"), ("cleo", "dan")))
EYES = Eyes((40.0, 50.0), (70.0, 52.0))


def noisy_study(out: Path) -> Prepared:
    """Four subjects who show every class in two frames, of noise; two folds, both of which are run."""
    train = TrainSettings(image_size=SIDE, epochs=1, batch_size=4, min_steps=0)
    crop = CropSettings(size=SIDE, eye_distance=0.3)
    settings = dataclasses.replace(SMOKE, train=train, crop=crop, lams=(0.5, 5.0), lam=5.0, only_folds=(0, 1))
    request = save_request(StudyRequest(out, settings, {"ckplus": "trees"}, device="cpu"))
    named = [(subject, label, frame) for subject in SUBJECTS for label in range(3) for frame in (1, 2)]
    sequences = [f"{subject}-{EXPRESSIONS[label]}" for subject, label, _ in named]
    neutral = len(named) + np.array([list(dict.fromkeys(sequences)).index(name) for name in sequences])
    pairs = FacePairs(
        images=np.random.default_rng(0).integers(0, 256, (neutral.max() + 1, SIDE, SIDE), dtype=np.uint8),
        examined_index=np.arange(len(named)),
        neutral_index=neutral,
        label=np.array([label for _, label, _ in named]),
        subject=[subject for subject, _, _ in named],
        sequence=sequences,
        frame=[f"{name}-{frame}.png" for name, (_, _, frame) in zip(sequences, named, strict=True)],
        expressions=EXPRESSIONS,
    )
    database = Database("ckplus", out / "trees", "rendered", EXPRESSIONS, ())
    (out / "ckplus").mkdir()
    crops = SimpleNamespace(notes=())  # the explorers read the pairs alone
    return Prepared(request, database, crops, pairs, FOLDS, (0, 1), train)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The noisy study with both methods trained for one epoch on both folds, and GNDL with another λ on fold 0."""
    made = noisy_study(tmp_path_factory.mktemp("study"))
    for run in [*plan_runs(made), *plan_runs(made, ["gndl"], [0.5], [0])]:
        fit_run(made, run)
    return made


@pytest.fixture(scope="module")
def opened(study: Prepared) -> OpenedFold:
    return open_fold(study, 0)


@pytest.fixture
def explored(study: Prepared) -> Exploration:
    """An exploration of the noisy study, which no reader of databases could open."""
    made = Exploration({"ckplus": "trees"}, "smoke", study.request.out, "cpu", 0, "ckplus", "A study of noise.")
    made._studies["ckplus"] = study
    return made


@pytest.fixture
def reader(study: Prepared) -> LiveReader:
    found = live_reader(study)
    assert found is not None
    return found


def size_of(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


def test_a_fold_holds_the_people_left_out_with_what_the_runs_said(study: Prepared, opened: OpenedFold) -> None:
    """Its samples are the fold's own; probabilities are those of predictions.csv; features belong to the samples."""
    assert folds_to_open(study) == (0, 1)
    assert {opened.subject(place) for place in range(len(opened.tested))} == {"ann", "bob"}
    assert list(opened.probabilities) == ["baseline", "gndl"]
    assert opened.features is not None
    assert np.array_equal(opened.features.pairs, opened.tested)
    assert np.allclose(opened.probabilities["gndl"], opened.features.probabilities, atol=1e-5)
    assert np.array_equal(opened.examined_face(3), study.pairs.images[3])
    assert np.array_equal(opened.neutral_face(3), study.pairs.images[study.pairs.neutral_index[3]])


def test_what_can_be_chosen_leads_to_every_sample_once(opened: OpenedFold) -> None:
    """Class, then subject, then frame: together they name each sample, and classes come in Fig. 6's order."""
    assert opened.expressions_shown() == ("happiness", "fear", "anger")
    named = [
        place
        for expression in opened.expressions_shown()
        for subject in opened.subjects_showing(expression)
        for place in opened.samples(expression, subject)
    ]
    assert sorted(named) == list(range(len(opened.tested)))
    assert opened.name(5) == "ann-happiness-2.png"  # which holds the subject's and the sequence's names already
    assert opened.same_sequence(4) == (4, 5)
    assert first_sample(opened) == 5


def test_nearest_neutrals_are_ranked_by_direction_from_the_mean_and_know_whose_they_are(opened: OpenedFold) -> None:
    """The nearest of a gallery worked out by hand; the own neutral face comes last where it is not near."""
    assert opened.features is not None
    gallery = np.zeros((12, 3), np.float32)
    gallery[:6, 2] = 1  # at right angles to what is asked for
    gallery[0] = (-1, 0, 0)  # of ann's anger: the own one, the farthest
    gallery[2] = (1, 1, 0)  # of ann's happiness, at 45°
    gallery[7] = (5, 0, 0)  # of cleo, who trains: the same direction, however long
    gallery[6], gallery[8] = (0, 0, 1), (0, 0, -1)
    gallery[9], gallery[10], gallery[11] = (0, 1, 0), (-4, 2, 0), (-1, -3, 0)  # of dan: cleo and he have mean zero
    mean = np.array([8, 16, 4], np.float32)
    generated = np.zeros((len(opened.tested), 3), np.float32)
    generated[0] = (2, 0, 0)
    features = dataclasses.replace(opened.features, gallery=gallery + mean, f_gen=generated + mean)
    near = nearest_neutrals(dataclasses.replace(opened, features=features), 0, count=2)
    assert [(face.rank, face.place) for face in near] == [(1, 7), (2, 2), (12, 0)]
    assert [face.similarity for face in near] == pytest.approx([1, np.sqrt(0.5), -1])
    assert [(face.own, face.same_subject) for face in near] == [(False, False), (False, True), (True, True)]


def test_without_weights_the_faces_and_answers_are_still_there(study: Prepared, tmp_path: Path) -> None:
    """Weights are not committed: nothing is trained, no features are shown, and it is said how to get them."""
    out = shutil.copytree(study.request.out, tmp_path / "copy", ignore=shutil.ignore_patterns("*.safetensors"))
    without = dataclasses.replace(study, request=dataclasses.replace(study.request, out=Path(out)))
    opened = open_fold(without, 0)
    assert opened.features is None
    assert "weights" in opened.lacking
    assert nearest_neutrals(opened, 0) == []
    with pytest.raises(GndlError, match="weights"):
        feature_map(opened)
    assert not list(Path(out).rglob("*.safetensors"))


def test_predictions_of_other_faces_are_refused(study: Prepared, tmp_path: Path) -> None:
    """A database that has changed since the training would put the wrong face beside an answer."""
    renamed = dataclasses.replace(study.pairs, frame=[f"x{frame}" for frame in study.pairs.frame])
    with pytest.raises(GndlError, match=r"predictions\.csv speaks of other faces"):
        open_fold(dataclasses.replace(study, pairs=renamed), 0)
    with pytest.raises(GndlError, match="no finished run of fold 7"):
        open_fold(study, 7)


def test_the_sample_explorer_shows_what_is_chosen(explored: Exploration) -> None:
    """Every choice changes the picture; what is further right follows, and stays where it still can."""
    shown = SampleExplorer(explored)
    shown.draw()
    assert (shown.fold.value, shown.expression.value, shown.subject.value) == (0, "happiness", "ann")
    seen = [shown.image.value]
    for choice, value in ((shown.subject, "bob"), (shown.expression, "anger"), (shown.frame, None), (shown.fold, 1)):
        choice.value = choice.options[0][1] if value is None else value
        assert shown.image.value not in seen
        seen.append(shown.image.value)
        assert shown.opened.subject(shown.frame.value) == shown.subject.value
    assert (shown.expression.value, shown.subject.value) == ("anger", "cleo")  # bob is not in that fold
    width, height = size_of(seen[0])
    assert width == 1260 and height < width


def test_the_map_keeps_distances_and_says_how_much_it_leaves_out(opened: OpenedFold) -> None:
    """Features in a plane are laid out without loss; nearest samples are of other sequences, by all channels."""
    assert opened.features is not None
    rng = np.random.default_rng(3)
    plane, _ = np.linalg.qr(rng.normal(size=(512, 2)))
    places = rng.normal(size=(len(opened.tested), 2))
    features = dataclasses.replace(opened.features, deviation=(places @ plane.T).astype(np.float32))
    laid_out = feature_map(dataclasses.replace(opened, features=features))

    def distances(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, None] - points[None], axis=2)

    assert np.allclose(distances(laid_out.points), distances(places), atol=1e-4)
    assert "keeps 100 % of the variance" in laid_out.in_words()
    expected = sorted((k for k in range(1, len(places), 2) if k != 1), key=lambda k: distances(places)[0, k])
    assert laid_out.nearest(0) == tuple(expected[:5])
    assert laid_out.shown == tuple(range(len(places)))


def test_a_crowded_map_shows_one_frame_of_each_sequence(opened: OpenedFold) -> None:
    """Near copies are the first to go."""
    assert last_frames(opened) == tuple(range(1, len(opened.tested), 2))
    many = dataclasses.replace(opened, tested=np.tile(opened.tested, POINTS_SHOWN))
    assert len(places_shown(many)) == len(last_frames(opened))


def test_pressing_a_point_shows_its_face(explored: Exploration) -> None:
    """Each point is a button at its place; pressing it moves the ring, the card and the choice of faces alike."""
    shown = MapExplorer(explored, 0)
    assert len(shown.points) == len(shown.face.options) == 12
    for point in shown.points:
        x, y = (float(getattr(point.layout, name).removesuffix("px")) for name in ("left", "top"))
        assert 0 <= x < WIDTH and 0 <= y < HEIGHT
    before = shown.card.value, shown.ring.value, shown.face.value
    shown.points[2].click()
    after = shown.card.value, shown.ring.value, shown.face.value
    assert after[2] == 2
    assert all(new != old for new, old in zip(after, before, strict=True))
    assert shown.points[2].tooltip == "fear – ann-fear-1.png"
    places = [point.layout.left for point in shown.points]
    shown.layout.value = T_SNE
    assert [point.layout.left for point in shown.points] != places
    assert shown.face.value == 2 and "t-SNE keeps neighbours" in shown.words.value
    shown.fold.value = 1
    assert shown.points[0].tooltip.startswith("anger – cleo")
    assert isinstance(shown.figure(), Figure)


def test_lams_are_compared_on_the_folds_that_all_have(study: Prepared) -> None:
    """λ = 0.5 has fold 0 alone, so λ = 5 is read on that fold too; numbers are those of the files."""
    runs = lam_runs(study)
    assert (runs.lams, runs.folds, runs.left_out) == ((0.5, 5.0), (0,), ())
    record = json.loads((study.folder / "gndl/lam-5/fold-0/seed-0/run.json").read_text())
    assert runs.accuracy(5.0).tolist() == pytest.approx([record["accuracy_last"]])
    baseline = json.loads((study.folder / "baseline/lam-none/fold-0/seed-0/run.json").read_text())
    assert runs.baseline == pytest.approx(baseline["accuracy_last"])
    assert np.allclose(runs.probabilities(4)[1], open_fold(study, 0).probabilities["gndl"][4])
    assert "on fold 0 alone" in runs.in_words(0.5)
    assert runs.how_to_train_others() == ""


def test_with_one_lam_it_is_said_how_to_train_others(study: Prepared, tmp_path: Path) -> None:
    """The command names the study; mean and spread are said of the folds that are there."""
    out = Path(shutil.copytree(study.request.out, tmp_path / "copy"))
    shutil.rmtree(out / "ckplus" / "gndl" / "lam-0.5")
    alone = dataclasses.replace(study, request=dataclasses.replace(study.request, out=out))
    runs = lam_runs(alone)
    assert "`gndl train --sweep --profile smoke --databases ckplus --ckplus trees --out" in runs.how_to_train_others()
    values = runs.accuracy(5.0)
    expected = f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f} % (mean and sd of 2 folds"
    assert expected in runs.in_words(5.0)
    shown = LamExplorer(runs)
    shown.draw()
    assert "gndl train --sweep" in shown.words.value
    shutil.rmtree(out / "ckplus" / "gndl")
    with pytest.raises(GndlError, match="no finished run of GNDL"):
        lam_runs(alone)


def test_a_lam_of_other_folds_is_left_out_and_named(study: Prepared, tmp_path: Path) -> None:
    """It could be compared with nothing."""
    out = Path(shutil.copytree(study.request.out, tmp_path / "copy"))
    shutil.rmtree(out / "ckplus" / "gndl" / "lam-5" / "fold-0")
    runs = lam_runs(dataclasses.replace(study, request=dataclasses.replace(study.request, out=out)))
    assert (runs.lams, runs.folds, runs.left_out) == ((5.0,), (1,), (0.5,))


def test_the_lam_explorer_follows_slider_and_sample(study: Prepared) -> None:
    """Another λ, class or sample gives another picture, in the same widget."""
    shown = LamExplorer(lam_runs(study))
    shown.draw()
    seen = {shown.image.value}
    for choice, value in ((shown.lam, 0.5), (shown.expression, "fear"), (shown.sample, 3)):
        choice.value = value
        assert shown.image.value not in seen
        seen.add(shown.image.value)
    assert "λ = 0.5" in shown.words.value


@pytest.fixture
def a_face_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the detector: a face at `EYES` in every picture that is not black."""
    found = FoundEyes(EYES, 1.5, FIRST_ATTEMPT, 1)
    monkeypatch.setattr("gndl.photograph.find_eyes", lambda grey: found if grey.any() else None)


def picture_file(kind: str = "png", *, black: bool = False) -> bytes:
    """A picture file's bytes, 120 × 100, of noise or black."""
    pixels = np.random.default_rng(1).integers(0, 1 if black else 255, (100, 120, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_a_photograph_is_cut_and_read_like_the_studys_faces(reader: LiveReader, a_face_at_its_place: None) -> None:
    """The probabilities are those of the crop; figure and words show them."""
    looked = look_at_photograph(picture_file(), "me.png", reader)
    assert looked.face.image.shape == (SIDE, SIDE, 3)
    grey = np.rint(looked.face.image @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    expected = reader.read_crop(grey).probabilities
    for method, values in looked.reading.probabilities.items():
        assert np.allclose(values, expected[method], atol=1e-2)
    assert own_photograph.photograph_in_words(looked, reader).startswith("me.png: the baseline says ")
    assert size_of(as_png(own_photograph.photograph_figure(looked, reader)))[0] == 1260


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no picture"), (b"a letter", "no picture"), (picture_file(black=True), "no face was found")],
    ids=["empty", "text", "no face"],
)
def test_a_file_that_shows_no_face_is_answered_in_words(
    reader: LiveReader, a_face_at_its_place: None, content: bytes, message: str
) -> None:
    """The file is named, the old picture goes, and the next photograph is shown again."""
    shown = PhotographExplorer(reader)
    shown.look_at(picture_file(), "me.png")
    assert shown.image.layout.visibility == "visible"
    shown.look_at(content, "letter.jpg")
    assert message in shown.words.value and "letter.jpg" in shown.words.value
    assert shown.image.layout.visibility == "hidden"
    shown.look_at(picture_file("jpeg"), "me.jpg")
    assert shown.image.layout.visibility == "visible"


def test_an_uploaded_photograph_is_not_kept(
    reader: LiveReader, a_face_at_its_place: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown, and the upload is empty again; the caution stands beside it whatever happens."""
    shown = PhotographExplorer(reader)
    texts = [part.value for part in shown.widget.children if hasattr(part, "value") and isinstance(part.value, str)]
    assert any("rendered faces only" in text for text in texts)
    shown._uploaded({"new": ({"name": "me.png", "content": memoryview(picture_file())},)})
    assert "me.png" in shown.words.value
    assert shown.upload.value == ()


def test_who_was_trained_on_renders_says_so() -> None:
    """Networks of a licensed copy have another caution."""
    assert caution(SimpleNamespace(source="rendered")) == SEEN_RENDERED_ONLY  # type: ignore[arg-type]
    assert caution(SimpleNamespace(source="licensed")) == SEEN_ACTED  # type: ignore[arg-type]
    assert as_html("**a** and `b`") == "<b>a</b> and <code>b</code>"


def displayed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Everything that the explorers display from now on."""
    shown: list[object] = []
    monkeypatch.setattr(explorers, "display", lambda *things: shown.extend(things))
    return shown


def test_in_batch_each_explorer_leaves_one_figure_and_no_widget(
    explored: Exploration, a_face_at_its_place: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """papermill's notebooks read without a kernel."""
    monkeypatch.setattr(explorers, "example_photograph", lambda: (picture_file(), "example"))
    for show in (
        explorers.show_samples,
        explorers.show_feature_map,
        explorers.show_lams,
        explorers.show_own_photograph,
    ):
        shown = displayed(monkeypatch)
        assert show(explored) is None
        assert sum(isinstance(thing, Figure) for thing in shown) == 1
        assert all(isinstance(thing, Figure | Markdown) for thing in shown)


def test_for_a_reader_each_explorer_is_a_widget(
    explored: Exploration, a_face_at_its_place: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins with what the figure in batch shows."""
    monkeypatch.setattr(explorers, "someone_is_there", lambda: True)
    monkeypatch.setattr(photograph_explorer, "example_photograph", lambda: (picture_file(), "example"))
    shown = displayed(monkeypatch)
    samples, points = explorers.show_samples(explored), explorers.show_feature_map(explored)
    lams, photograph = explorers.show_lams(explored), explorers.show_own_photograph(explored)
    assert samples is not None and points is not None and lams is not None and photograph is not None
    assert shown == [samples.widget, points.widget, lams.widget, photograph.widget]
    assert samples.frame.value == points.face.value == 5
    assert all(image.value for image in (samples.image, points.card, lams.image, photograph.image))


def test_without_a_study_it_is_said_what_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notebook, command and button are named; each explorer points there; nothing is begun."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    nothing = open_exploration("mmi", profile="smoke", out=tmp_path / "out", small=tmp_path / "small")
    assert not nothing
    assert all(words in nothing.note for words in ("`2_training`", "make study", "Train a small model", "mmi"))
    for show in (
        explorers.show_samples,
        explorers.show_feature_map,
        explorers.show_lams,
        explorers.show_own_photograph,
    ):
        shown = displayed(monkeypatch)
        assert show(nothing) is None
        assert shown == [explorers.NOTHING]
    assert not list(tmp_path.iterdir())


def test_the_studios_small_training_serves_where_there_is_no_study(
    study: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is said that its numbers prove nothing."""
    monkeypatch.setattr(exploration, "trained_small", lambda small: study)
    found = open_exploration("mmi", profile="smoke", out=tmp_path / "out")
    assert found.chosen == "ckplus"
    assert "small training" in found.note
    assert found.fold(1).subject(0) == "cleo"


def test_a_study_opens_with_the_databases_that_it_has_trained(
    study: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for a database without runs it shows another and says so; faces that are not here are named."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(exploration, "open_study", lambda name, **_: study)
    (tmp_path / "trees").mkdir()
    kept = study.request.out / "study.json"
    content = json.loads(kept.read_text())
    content["asked"]["data_roots"]["ckplus"] = str(tmp_path / "trees")
    out = Path(shutil.copytree(study.request.out, tmp_path / "copy"))
    (out / "study.json").write_text(json.dumps(content))
    found = open_exploration("mmi", profile="smoke", out=out)
    assert found.databases == {"ckplus": str(tmp_path / "trees")}
    assert "no finished run of MMI" in found.note and "folds 0, 1" in found.note
    (tmp_path / "trees").rmdir()
    absent = open_exploration("mmi", profile="smoke", out=out, small=tmp_path / "small")
    assert not absent
    assert "are not here" in absent.note and "CK+" in absent.note


def test_the_card_is_the_same_for_the_same_sample(opened: OpenedFold) -> None:
    """Same input, same bytes."""
    laid_out = feature_map(opened)
    assert as_png(card_figure(laid_out, 2)) == as_png(card_figure(feature_map(opened), 2))
