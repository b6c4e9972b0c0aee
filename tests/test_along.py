"""Along whole sequences: which frames are taken, what a planted network makes of them, and what is averaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import BRIGHTNESS, SHADES, bright_study

import gndl
from gndl.analysis.along import along_sequences, choose_sequences, crop_along, curves, frames_along, true_intensity
from gndl.analysis.features import run_of
from gndl.databases import read_database
from gndl.files import GndlError
from gndl.sequences import FrameRef, Sequence


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> gndl.Study:
    """Flat pictures whose brightness grows from frame to frame; the planted network is trained on fold 0."""
    study = bright_study(tmp_path_factory.mktemp("bright"))
    study.fit(run_of(study, BRIGHTNESS, 0))
    return study


def sequence(frames: int, neutral: int = 0, apex: int | None = None) -> Sequence:
    """An image sequence whose last frame is examined."""
    refs = tuple(FrameRef(Path(f"{number}.png")) for number in range(frames))
    last = frames - 1 if apex is None else apex
    return Sequence("S1", "S1_1", "anger", refs[neutral], (refs[last],), refs)


def taken(one: Sequence, positions: int) -> list[tuple[float, str]]:
    """Positions and names of the frames chosen."""
    return [(position, frame.path.stem) for position, _, frame in frames_along(one, positions)]


def test_frames_are_evenly_spaced_from_neutral_to_apex() -> None:
    """Nine frames at five moments: every second one; between others than the ends, and backwards, the same."""
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


def test_sequences_are_chosen_by_the_stated_rule(study: gndl.Study) -> None:
    """Four subjects in four folds: the classes in turn, nobody twice before everybody once, nobody of another fold."""
    names = [one.sequence for own in choose_sequences(study, range(4), 4).values() for one in own]
    assert sorted(name.split("_")[0] for name in names) == ["S052", "S055", "S074", "S106"]
    # happiness (002) is first in Fig. 6's order, then surprise (003) and anger (001), then happiness again
    assert sorted(name.split("_")[1] for name in names) == ["001", "002", "002", "003"]
    everything = choose_sequences(study, range(4), 99)
    assert sum(map(len, everything.values())) == 12 and set(choose_sequences(study, [2], 99)) == {2}
    for fold, own in everything.items():
        assert {one.subject for one in own} == set(study.folds.test_subjects[fold])


def test_further_frames_are_cropped_like_the_studys_own(study: gndl.Study) -> None:
    """Frames that the study takes are its own crops; the others show their own brightness."""
    (own,) = choose_sequences(study, [0], 1).values()
    images, table = crop_along(study, own, 6)
    assert [int(image.mean().round()) for image in images] == list(SHADES)
    apex = study.crops.images[study.crops.key(own[0].examined[-1])]
    np.testing.assert_array_equal(images[-1], apex)
    assert table["intensity"].isna().all()  # it is not known of a licensed copy


@pytest.fixture(scope="module")
def along(study: gndl.Study) -> pd.DataFrame:
    """What the planted network makes of the three sequences of fold 0."""
    return along_sequences(study, [BRIGHTNESS], sequences=3, positions=6)


def test_a_planted_network_is_measured_at_every_frame(along: pd.DataFrame) -> None:
    """Brightness s/255, deviation s/255 − 0.1, and the softmax of ±30 (s/255 − 0.5) with five zeros."""
    own = along[along["truth"] == "happiness"]
    brightness = np.array(SHADES) / 255
    np.testing.assert_allclose(own["deviation"], brightness - 0.1, atol=1e-4)
    np.testing.assert_allclose(own["from_neutral"], brightness - brightness[0], atol=1e-4)
    assert list(own["predicted"]) == ["anger"] * 3 + ["happiness"] * 3
    strength = np.exp(30 * (brightness - 0.5))
    np.testing.assert_allclose(own["truth_p"], strength / (strength + 1 / strength + 5), atol=1e-3)
    assert set(along["method"]) == {"brightness"} and set(along["fold"]) == {0}


def test_curves_are_means_over_sequences_and_kept_for_a_record(along: pd.DataFrame, study: gndl.Study) -> None:
    """One of three classes is happiness and one anger: a third is right throughout, each on its side of one half."""
    found = curves(along)
    assert list(found["position"]) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert list(found["accuracy"]) == pytest.approx([1 / 3] * 6) and list(found["sequences"]) == [3] * 6
    expected = (np.array(SHADES) / 255 - 0.1) / (SHADES[-1] / 255 - 0.1)
    np.testing.assert_allclose(found["deviation"], expected, atol=1e-4)
    assert found["accuracy_low"].isna().all()  # one subject
    kept = pd.read_csv(study.analysis / "intensity.csv")
    assert set(kept["lam"]) == {"none"} and set(kept["database"]) == {"ckplus"}
    np.testing.assert_allclose(kept["deviation"], found["deviation"])


def test_without_weights_the_command_is_named(study: gndl.Study) -> None:
    """Both methods need the weights of a fold; the one that is missing is named."""
    with pytest.raises(GndlError, match="gndl λ=5 fold 0 is not trained yet"):
        along_sequences(study, [BRIGHTNESS, "gndl"])


def test_the_rendered_intensity_grows_from_neutral_to_apex(rendered_trees: dict[str, Path]) -> None:
    """On stand-ins the truth says 0 for the neutral frame and about 1 for the apex, in pictures and in clips."""
    for name in ("ckplus", "mmi"):
        database = read_database(name, rendered_trees[name])
        known = true_intensity(database)
        along = frames_along(database.sequences[0], 4)
        values = [known[str(frame.path.relative_to(database.root)), frame.index] for _, _, frame in along]
        assert values[0] == pytest.approx(0, abs=0.05) and values[-1] == pytest.approx(1, abs=0.25)
        assert values[1] < values[-1]
