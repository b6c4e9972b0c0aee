"""The tour shows what the method computes: its steps are the equations, and its answer is the network's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from planted import EXPRESSIONS, planted_pairs

from gndl.analysis import tour
from gndl.errors import GndlError
from gndl.figures.tour import STRIP, tour_faces, tour_features, tour_probabilities
from gndl.folds import deal_folds
from gndl.methods import build_method
from gndl.model import GNDL
from gndl.narrative import tour_words
from gndl.prepare import Prepared
from gndl.trainer import evaluate

SETTINGS = {
    "image_size": 32,
    "input_mean": (0.485, 0.456, 0.406),
    "input_std": (0.229, 0.224, 0.225),
    "precision": "fp32",
}


def untrained_guide(colour: bool = False, weakness: str = "", source: str = "rendered") -> tour.Guide:
    """A network that nobody trained, and planted faces: enough to check every equation."""
    pairs = planted_pairs(colour=colour)
    study = SimpleNamespace(
        pairs=pairs,
        folds=deal_folds(pairs.subject, pairs.label.tolist(), n_folds=3, seed=0),
        database=SimpleNamespace(title="CK+ stand-in", source=source, name="ckplus"),
        request=SimpleNamespace(out=Path("nowhere")),
    )
    record = {"fold": 0, "settings": SETTINGS, "epochs": 3, "n_train": 16, "n_test": 8, "accuracy_last": 0.5}
    method = cast(GNDL, build_method("gndl", len(EXPRESSIONS), 5.0, seed=0).eval())
    return tour.Guide(cast(Prepared, study), method, record, weakness)


@pytest.fixture(scope="module")
def guide() -> tour.Guide:
    """See :func:`untrained_guide`."""
    return untrained_guide()


@pytest.fixture(scope="module")
def steps(guide: tour.Guide) -> tour.Steps:
    """One face through it."""
    return tour.walk(guide)


def texts(figure: Any) -> str:
    """Every text that a figure shows."""
    return " | ".join(text.get_text() for text in figure.findobj(Text))


def test_the_steps_are_the_equations(steps: tour.Steps) -> None:
    """Eq. 7, the softmax of Eq. 10, and the losses of Eq. 8, 9 and 11 follow from the numbers shown."""
    np.testing.assert_allclose(steps.deviation, steps.f_exam - steps.f_gen, atol=1e-6)
    odds = np.exp(steps.logits - steps.logits.max())
    np.testing.assert_allclose(steps.probabilities, odds / odds.sum(), rtol=1e-5)
    assert steps.loss_neu == pytest.approx(float(np.abs(steps.f_neu - steps.f_gen).mean()), rel=1e-5)
    truth = steps.expressions.index(steps.truth)
    assert steps.loss_cls == pytest.approx(-float(np.log(steps.probabilities[truth])), rel=1e-4)
    assert steps.loss == pytest.approx(steps.loss_cls + 5.0 * steps.loss_neu, rel=1e-5)


def test_the_answer_is_the_one_of_the_evaluation(guide: tour.Guide, steps: tour.Steps) -> None:
    """The logits are those that evaluation gives for the same pair, and the crops are that pair's."""
    pairs = guide.study.pairs
    (pair,) = [k for k in range(len(pairs)) if np.array_equal(pairs.images[pairs.examined_index[k]], steps.examined)]
    np.testing.assert_array_equal(pairs.images[pairs.neutral_index[pair]], steps.neutral)
    data = pairs.on("cpu", 32)
    logits = evaluate(guide.method, data, np.array([pair]))[0].numpy()
    np.testing.assert_allclose(steps.logits, logits, atol=1e-5)
    assert steps.subject in guide.study.folds.test_subjects[0]


def test_the_first_person_with_the_class_is_shown_at_the_apex(guide: tour.Guide) -> None:
    """Happiness where the fold tests it, else what is asked for; a face that is not there is an error with names."""
    tested = sorted(guide.study.folds.test_subjects[0])
    assert tour.walk(guide).truth == "happiness"
    assert tour.walk(guide).subject == tested[0]
    assert tour.walk(guide, "anger", tested[-1]).subject == tested[-1]
    with pytest.raises(GndlError, match=rf"no surprise of nobody; it has {tested[0]} anger"):
        tour.walk(guide, "surprise", "nobody")


def test_every_shape_is_listed_and_the_backbone_narrows_to_512(steps: tour.Steps) -> None:
    """224 would end in 7 × 7; 32 pixels end in one place of 512 channels. No hook stays behind."""
    table = tour_words.shapes_table(steps).set_index("symbol")
    assert table.loc["F_exam", "shape"] == "512"
    assert table.loc["p", "shape"] == "3"
    stages = tour_words.stages_table(steps)
    assert stages["channels × height × width"].tolist()[0] == "64 × 8 × 8"
    assert stages["channels × height × width"].tolist()[-1] == "512 × 1 × 1"


def test_walking_changes_nothing_in_the_network(guide: tour.Guide) -> None:
    """Weights, statistics, hooks and the random state are as before."""
    before = {name: value.clone() for name, value in guide.method.state_dict().items()}
    random = torch.get_rng_state()
    tour.walk(guide)
    assert all(torch.equal(before[name], value) for name, value in guide.method.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert not any(part._forward_hooks for part in guide.method.modules())


@pytest.mark.parametrize("colour", [False, True])
def test_the_figures_show_shapes_and_say_that_nobody_is_seen(colour: bool) -> None:
    """Grey and colour faces; strips of 16 × 32 on one scale; the note on rendered faces."""
    steps = tour.walk(untrained_guide(colour))
    faces, features, bars = tour_faces(steps), tour_features(steps), tour_probabilities(steps)
    assert "3 × 32 × 32" in texts(faces)
    images = [axes.images[0] for axes in features.axes if axes.images]
    assert {image.get_array().shape for image in images} >= {STRIP}  # type: ignore[union-attr]
    assert len({image.get_clim() for image in images}) == 1
    assert f"{steps.truth} (truth)" in texts(bars)
    assert all("rendered stand-in" in texts(figure) for figure in (faces, features, bars))


def test_the_words_say_how_good_and_how_weak_the_network_is() -> None:
    """The answer, the distance of the generated neutral, the fold's accuracy, and the weakness of a small training."""
    weak = untrained_guide(weakness="**A weak model.**")
    steps = tour.walk(weak)
    words = tour_words.in_words(weak, steps)
    assert f"**{steps.answer}**" in words
    assert "50 % of 8 faces" in words
    assert words.endswith("**A weak model.**")
    assert "nan" not in words


def test_without_a_study_a_small_network_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lies in ``out``: the small training is asked for, its weakness is told, and ``out`` stays empty."""
    asked: list[str] = []
    small = SimpleNamespace(
        request=SimpleNamespace(out=tmp_path / "small", seeds=(0,)), database=SimpleNamespace(name="ckplus")
    )
    run = SimpleNamespace(folder=tmp_path / "run")
    monkeypatch.setattr(tour, "trained_small", lambda out: asked.append("is it there?"))
    monkeypatch.setattr(tour, "train_small", lambda out: asked.append("train it") or small)
    monkeypatch.setattr(tour, "_run_of_study", lambda out, *_: run if out.name == "small" else None)
    monkeypatch.setattr(tour, "load_method", lambda folder: ("method", {"run": folder.name}))
    guide = tour.open_guide("ckplus", out=tmp_path / "out", small=tmp_path / "small")
    assert asked == ["is it there?", "train it"]
    assert guide.record == {"run": "run"}
    assert "weak model" in guide.weakness
    assert not (tmp_path / "out").exists()


def test_a_study_with_weights_is_its_own_guide(tiny_study: Path, rendered_trees: dict[str, Path]) -> None:
    """The first fold's GNDL of the tiny study is loaded, and no word about a weak model is said."""
    guide = tour.open_guide("mmi", data_root=str(rendered_trees["mmi"]), profile="smoke", out=tiny_study, device="cpu")
    assert (guide.record["fold"], guide.record["lam"], guide.weakness) == (0, 5.0, "")
    steps = tour.walk(guide)
    assert steps.answer in steps.expressions


def test_a_person_who_may_not_be_printed_is_told_of_and_not_drawn() -> None:
    """Of a licensed copy the tour shows grey squares in place of such a face, and says why."""
    steps = tour.walk(untrained_guide(source="licensed"))
    assert not steps.may_be_shown
    figure = tour_faces(steps)
    assert {image.get_array().shape for axes in figure.axes for image in axes.images} == {(8, 8)}
    assert "(not shown)" in texts(figure)
    assert "CK+'s agreement names 11 subjects" in texts(figure).replace("\n", " ")
    assert tour.walk(untrained_guide()).may_be_shown
