"""Along whole sequences: which frames are taken, what a planted network makes of them, and what is averaged."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bright import BRIGHTNESS, SHADES, SUBJECTS, open_bright_study

from gndl.analysis import intensity
from gndl.analysis.frames_along import choose_sequences, crop_along, frames_along, true_intensity
from gndl.analysis.intensity import along_sequences
from gndl.analysis.intensity_curves import curves, false_alarms, first_right
from gndl.databases import read_database
from gndl.prepare import Prepared
from gndl.sequences import FrameRef, Sequence


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Flat pictures whose brightness grows from frame to frame."""
    return open_bright_study(tmp_path_factory.mktemp("bright"))


def sequence(frames: int, neutral: int = 0, apex: int | None = None) -> Sequence:
    """An image sequence whose last frame is examined."""
    refs = tuple(FrameRef(Path(f"{number}.png")) for number in range(frames))
    last = frames - 1 if apex is None else apex
    return Sequence("S1", "S1_1", "anger", refs[neutral], (refs[last],), refs)


def taken(one: Sequence, positions: int) -> list[tuple[float, str]]:
    """Positions and names of the frames chosen."""
    return [(position, frame.path.stem) for position, _, frame in frames_along(one, positions)]


def test_frames_are_evenly_spaced_from_neutral_to_apex() -> None:
    """Nine frames at five moments: every second one; between others than the ends, the same."""
    assert taken(sequence(9), 5) == [(0, "0"), (0.25, "2"), (0.5, "4"), (0.75, "6"), (1, "8")]
    assert taken(sequence(9, neutral=2, apex=6), 3) == [(0, "2"), (0.5, "4"), (1, "6")]
    assert taken(sequence(9, neutral=8, apex=4), 3) == [(0, "8"), (0.5, "6"), (1, "4")]


def test_a_frame_stands_for_one_moment_only() -> None:
    """Three frames at five moments: the middle one stands for the middle, the ends for the ends."""
    assert taken(sequence(3), 5) == [(0, "0"), (0.5, "1"), (1, "2")]
    assert taken(sequence(1), 5) == [(0, "0")]


def test_frames_of_a_clip_are_its_indices() -> None:
    """Neutral at index 10, apex at 30: 10, 20, 30."""
    clip = Path("S001-001.avi")
    one = Sequence("S1", "S1-1", "anger", FrameRef(clip, 10), (FrameRef(clip, 28), FrameRef(clip, 30)))
    assert [frame.index for _, _, frame in frames_along(one, 3)] == [10, 20, 30]


def test_sequences_are_chosen_by_the_stated_rule(study: Prepared) -> None:
    """Four subjects in four folds: the classes in turn, and nobody twice before everybody once."""
    chosen = choose_sequences(study, range(4), 4)
    names = [one.sequence for own in chosen.values() for one in own]
    assert sorted(name.split("_")[0] for name in names) == list(SUBJECTS)
    # happiness (002) is first in Fig. 6's order, then surprise (003) and anger (001), then happiness again
    assert sorted(name.split("_")[1] for name in names) == ["001", "002", "002", "003"]
    assert sorted(chosen) == [0, 1, 2, 3]
    assert sum(len(own) for own in choose_sequences(study, range(4), 99).values()) == 12
    assert set(choose_sequences(study, [2], 99)) == {2}


def test_only_validation_sequences_of_the_fold_are_taken(study: Prepared) -> None:
    """Nobody of another fold is shown to a network that was trained on them."""
    for fold, own in choose_sequences(study, range(4), 99).items():
        assert {one.subject for one in own} == set(study.folds.test_subjects[fold])


def test_further_frames_are_cropped_like_the_studys_own(study: Prepared) -> None:
    """Frames that the study takes are its own crops; the others show their own brightness."""
    (own,) = choose_sequences(study, [0], 1).values()
    frames = crop_along(study, own, 6)
    assert frames.images.shape == (6, 224, 224)
    assert [int(image.mean().round()) for image in frames.images] == list(SHADES)
    apex = study.crops.images[study.crops.key(own[0].examined[-1])]
    np.testing.assert_array_equal(frames.images[-1], apex)
    assert frames.table["intensity"].isna().all()  # nobody knows it of a licensed copy


@pytest.fixture(scope="module")
def along(study: Prepared) -> pd.DataFrame:
    """What the planted network makes of the three sequences of fold 0."""
    return along_sequences(study, [(BRIGHTNESS, None)], [0], sequences=3, positions=6)


def test_a_planted_network_is_measured_at_every_frame(along: pd.DataFrame) -> None:
    """Brightness s/255, deviation s/255 − 0.1, and the softmax of ±30 (s/255 − 0.5) with five zeros."""
    own = along[along["truth"] == "happiness"]
    brightness = np.array(SHADES) / 255
    np.testing.assert_allclose(own["deviation"], brightness - 0.1, atol=1e-4)
    np.testing.assert_allclose(own["from_neutral"], brightness - brightness[0], atol=1e-4)
    assert list(own["predicted"]) == ["anger"] * 3 + ["happiness"] * 3
    strength = np.exp(30 * (brightness - 0.5))
    np.testing.assert_allclose(own["truth_p"], strength / (strength + 1 / strength + 5), atol=1e-3)
    assert set(along["method"]) == {"brightness"}
    assert set(along["source"]) == {"licensed"}


def test_curves_are_means_over_sequences(along: pd.DataFrame) -> None:
    """One of three classes is happiness and one anger: a third is right throughout, each on its side of one half."""
    found = curves(along)
    assert list(found["position"]) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert list(found["accuracy"]) == pytest.approx([1 / 3] * 6)
    assert list(found["sequences"]) == [3] * 6
    expected = (np.array(SHADES) / 255 - 0.1) / (SHADES[-1] / 255 - 0.1)
    np.testing.assert_allclose(found["deviation"], expected, atol=1e-4)
    assert found["accuracy_low"].isna().all()  # one subject


def test_false_alarms_are_sure_answers_on_neutral_faces(along: pd.DataFrame, study: Prepared) -> None:
    """All three neutral frames are called anger, surely; none is where the confidence is at most one half."""
    found = false_alarms(along, study.pairs.expressions).iloc[0]
    assert (found["neutral_faces"], found["false_alarms"], found["share"], found["anger"]) == (3, 3, 1.0, 3)
    unsure = false_alarms(along.assign(confidence=0.5), study.pairs.expressions).iloc[0]
    assert (unsure["false_alarms"], unsure["anger"]) == (0, 0)


def test_the_first_right_moment_is_one_that_lasts(along: pd.DataFrame) -> None:
    """Happiness from 0.6 on; anger, which is lost on the way, never; a slip on the way does not count as early."""
    found = first_right(along).set_index("truth")["from_position"]
    assert found["happiness"] == pytest.approx(0.6)
    assert np.isnan(found["anger"])
    assert np.isnan(found["surprise"])
    always = first_right(along.assign(predicted=along["truth"]))["from_position"]
    assert list(always) == [0, 0, 0]


def test_a_second_call_reads_what_the_first_has_measured(
    along: pd.DataFrame, study: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows, without a frame cropped or a network loaded; other moments are measured anew."""

    def never(*_: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(intensity, "crop_along", never)
    again = along_sequences(study, iter([(BRIGHTNESS, None)]), [0], sequences=3, positions=6)
    pd.testing.assert_frame_equal(again, along)
    with pytest.raises(AssertionError, match="measured again"):
        along_sequences(study, [(BRIGHTNESS, None)], [0], sequences=3, positions=5)


def test_other_epochs_are_another_measurement(study: Prepared, along: pd.DataFrame) -> None:
    """A run that was trained further is not read as what it was before."""
    files = set((study.folder / "tables" / "intensity").iterdir())
    longer = dataclasses.replace(study, train=dataclasses.replace(study.train, epochs=study.train.epochs + 1))
    along_sequences(longer, [(BRIGHTNESS, None)], [0], sequences=3, positions=6)
    assert len(set((study.folder / "tables" / "intensity").iterdir()) - files) == 1


def test_the_rendered_intensity_grows_from_neutral_to_apex(rendered_trees: dict[str, Path]) -> None:
    """On stand-ins the truth says 0 for the neutral frame and about 1 for the apex, in pictures and in clips."""
    for name in ("ckplus", "mmi"):
        database = read_database(name, rendered_trees[name])
        known = true_intensity(database)
        one = database.sequences[0]
        values = [
            known[str(frame.path.relative_to(database.root)), frame.index] for _, _, frame in frames_along(one, 4)
        ]
        assert values[0] == pytest.approx(0, abs=0.05)
        assert values[-1] == pytest.approx(1, abs=0.25)
        assert values[1] < values[-1]
