"""Galleries show whom they may, chosen by rule, and say of everybody else why they are left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import open_trained
from layouts import write_ckplus
from matplotlib.figure import Figure
from matplotlib.text import Text
from planted import SHADES, bright_study

import gndl
from gndl import gallery
from gndl.crops import doubtful
from gndl.files import GndlError


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> gndl.Study:
    """A licensed CK+ of four subjects who may be printed, in flat pictures."""
    return bright_study(tmp_path_factory.mktemp("bright"))


@pytest.fixture(scope="module")
def licensed(tmp_path_factory: pytest.TempPathFactory) -> gndl.Study:
    """A licensed CK+ of two subjects, one of whom may be printed."""
    folder = tmp_path_factory.mktemp("licensed")
    root = write_ckplus(folder / "ckplus", ("S052", "S777"))
    return gndl.open_study("ckplus", data_root=root, profile="smoke", out=folder / "study", device="cpu", jobs=1)


def texts(figure: Figure) -> str:
    """Every text that a figure shows."""
    return " | ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def faces_in(figure: Figure) -> list[Any]:
    """Every picture that a figure shows."""
    return [np.asarray(image.get_array()) for ax in figure.axes for image in ax.images]


def test_a_grid_leaves_missing_faces_empty() -> None:
    """Three faces in two rows of two: three pictures, all labels, the title and the note."""
    grey, colour = np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)
    figure = gallery.grid([[grey, None], [colour, grey]], ["S1", "S2"], ["neutral", "apex"], "faces", "one left out")
    assert [face.shape for face in faces_in(figure)] == [(4, 4), (4, 4, 3), (4, 4)]
    assert all(word in texts(figure) for word in ("S1", "S2", "neutral", "apex", "faces", "one left out"))
    assert figure.get_figwidth() == pytest.approx(7.0)


def test_without_a_face_that_may_be_shown_the_figure_says_so() -> None:
    """No row: no picture and the reason."""
    figure = gallery.grid([], [], ["neutral"], "faces", "2 of 2 subjects left out")
    assert not faces_in(figure) and "no face may be shown" in texts(figure) and "2 of 2" in texts(figure)


def test_a_contact_sheet_shows_the_apex_of_every_class(bright: gndl.Study) -> None:
    """Two of four subjects with three classes each, spread over the names: a dark neutral face and the brightest."""
    figure, table = gallery.contact_sheet(bright, subjects=2)
    assert table.groupby("subject", sort=False)["shown"].apply(list).to_dict() == {
        "S052": ["neutral", "happiness", "surprise", "anger"],
        "S106": ["neutral", "happiness", "surprise", "anger"],
    }
    brightness = [round(face.mean()) for face in faces_in(figure)]
    assert brightness == 2 * [SHADES[0], SHADES[-1], SHADES[-1], SHADES[-1]]


def test_a_contact_sheet_of_doubtful_crops_shows_just_these(bright: gndl.Study) -> None:
    """Ten of the 48 crops of one grey, in two lines and in the order of the table; more than 48 are cut."""
    doubted = doubtful(bright.crops.table)
    assert len(doubted) == 48 and doubted["why"].str.contains("nearly one grey").all()
    figure, table = gallery.doubtful_sheet(bright, doubted.iloc[20:30])
    assert [round(face.mean()) for face in faces_in(figure)] == 2 * [SHADES[0], *SHADES[-3:]] + [SHADES[0], SHADES[3]]
    assert [ax.get_ylabel().replace("\n", " ") for ax in figure.axes if ax.get_ylabel()] == [
        "20, 21, 22, 23, 24, 25, 26, 27",
        "28, 29",
    ]
    assert "10 of 10 doubtful crops" in texts(figure)
    assert table.to_numpy().tolist() == doubted.iloc[20:30][[*table]].to_numpy().tolist()
    assert len(faces_in(gallery.doubtful_sheet(bright, pd.concat([doubted, doubted]))[0])) == 48
    assert not len(gallery.doubtful_sheet(bright, doubted[:0])[1])


def test_subjects_with_most_classes_come_first() -> None:
    """Of equals those spread evenly over the names; too few equals are filled up."""
    from gndl.sequences import FrameRef, Sequence

    face = FrameRef(Path("0.png"))
    shows = {"a": 1, "b": 2, "c": 3, "d": 3, "e": 3}
    sequences = [
        Sequence(who, f"{who}{n}", f"class {n}", face, (face,)) for who, most in shows.items() for n in range(most)
    ]
    assert gallery._subjects_with_most_classes(sequences, 2) == ["c", "e"]
    assert gallery._subjects_with_most_classes(sequences, 4) == ["c", "d", "e", "b"]


def test_strips_go_from_neutral_to_apex(bright: gndl.Study) -> None:
    """Three classes; of six frames at four moments 0, 2, 3 and 5 (those between are cropped here)."""
    figure, table = gallery.strips(bright, frames=4)
    assert table["class"].unique().tolist() == ["happiness", "surprise", "anger"]
    assert table["sequence"].iloc[0] == "S074_002"  # the median by name
    expected = [SHADES[place] for place in np.linspace(0, 5, 4).round().astype(int)]
    assert [round(face.mean()) for face in faces_in(figure)] == 3 * expected


@pytest.mark.parametrize(
    "draw",
    [
        gallery.contact_sheet,
        gallery.strips,
        lambda study: gallery.doubtful_sheet(study, doubtful(study.crops.table)),
    ],
)
def test_galleries_draw_from_publishable_subjects_alone(licensed: gndl.Study, draw: Any) -> None:
    """S777 is nowhere; the figure counts who is left out and names the credit that the agreement asks for."""
    figure, table = draw(licensed)
    shown = table.astype(str).to_numpy().ravel().tolist()
    assert shown and not any("S777" in cell for cell in shown) and "S777" not in texts(figure)
    words = texts(figure).replace("\n", " ")
    assert "1 of 2 subjects left out" in words and "©Jeffrey Cohn" in words


def answered(study: gndl.Study, count: int = 2) -> pd.DataFrame:
    """Rows as `samples.hard_samples` gives them: wrong by a and right by b."""
    pairs, rows = study.pairs, []
    for sample in range(count):
        truth = pairs.expressions[int(pairs.label[sample])]
        row = {"sample": sample, "fold": 0, "seed": 0, "subject": pairs.subject[sample], "truth": truth}
        row |= {"sequence": pairs.sequence[sample], "frame": pairs.frame[sample], "predicted_a": "fear"}
        row |= {"confidence_a": 0.71, "truth_p_a": 0.12, "predicted_b": truth, "confidence_b": 0.93, "truth_p_b": 0.93}
        rows.append(row)
    return pd.DataFrame(rows)


def test_answers_stand_next_to_faces_and_to_what_they_rest_on(trained_study: Path) -> None:
    """Four pictures a row with both maps, three with one; truth, answers, probabilities; an empty map says so."""
    study, spot = open_trained(trained_study), np.zeros((2, 16, 16), np.float32)
    spot[0, 4:8, 4:8] = 1
    rows = answered(study)
    figure = gallery.answers(study, rows, {"baseline": spot, "gndl": spot}, "baseline", "gndl")
    assert len(faces_in(figure)) == 4 + 2
    words = texts(figure)
    truth = rows["truth"].iloc[0]
    assert f"truth: {truth}" in words and f"✗ baseline: fear, 71% ({truth} 12%)" in words
    assert f"✓ gndl: {truth}, 93%" in words and "baseline\nocclusion map" in words and "no part\nalone" in words
    pairs = study.pairs
    np.testing.assert_array_equal(faces_in(figure)[0], pairs.images[pairs.neutral_index[0]])
    np.testing.assert_array_equal(faces_in(figure)[1], pairs.images[pairs.examined_index[0]])
    assert "occlusion map" not in texts(gallery.answers(study, rows, {}, "baseline", "gndl"))


def test_answers_of_other_samples_or_hidden_subjects_are_refused(trained_study: Path, licensed: gndl.Study) -> None:
    """A sample that is another frame by now is named; a subject who may not be printed is never drawn."""
    study = open_trained(trained_study)
    with pytest.raises(GndlError, match=r"sample 0 was elsewhere\.png"):
        gallery.answers(study, answered(study).assign(frame="elsewhere.png"), {}, "baseline", "gndl")
    hidden = answered(licensed, count=len(licensed.pairs))
    with pytest.raises(GndlError, match="must not be shown"):
        gallery.answers(licensed, hidden[hidden["subject"] == "S777"], {}, "baseline", "gndl")
