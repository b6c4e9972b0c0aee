"""What notebooks 2 and 5 show: two methods whose answers are known, on a study of flat pictures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bright import ALWAYS_ANGER, BRIGHTNESS, open_bright_study

from gndl.analysis.hard_samples import pair_predictions
from gndl.analysis.sample_gallery import show_samples
from gndl.analysis.variants import Variant, variant_of
from gndl.errors import GndlError
from gndl.narrative import samples as report
from gndl.prepare import Prepared
from gndl.study import train_missing


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Both methods are run: on the apex frames the one always says happiness, the other anger."""
    opened = open_bright_study(tmp_path_factory.mktemp("report"))
    train_missing(opened, methods=(ALWAYS_ANGER, BRIGHTNESS), jobs=1)
    return opened


def files(study: Prepared, name: str) -> set[str]:
    """Endings of the files of one figure; those of this pair lie in the folder of its second method."""
    assert not list((study.folder / "figures").glob(f"{name}.*"))
    return {file.suffix for file in (study.folder / "brightness" / "figures").glob(f"{name}.*")}


def test_cells_are_counted_drawn_and_told(study: Prepared) -> None:
    """Anger by the one, happiness by the other, surprise by neither."""
    told = report.report_cells(study, ALWAYS_ANGER, BRIGHTNESS)
    assert told.table[["both right", "only brightness right", "only always-anger right", "both wrong"]].to_numpy(
    ).tolist() == [[0, 3, 3, 3], [0, 1, 1, 1]]  # fmt: skip
    assert "brightness alone is right on 1, always-anger alone on 1" in told.words
    assert files(study, "sample_cells") == {".pdf", ".svg", ".png", ".csv", ".tex"}
    assert set(pd.read_csv(study.folder / "brightness" / "figures" / "sample_cells.csv")["source"]) == {"licensed"}


def test_another_pair_leaves_the_studys_own_figures_as_they_are(study: Prepared) -> None:
    """`gndl check` derives the galleries of a study from the baseline and GNDL; those of other pairs lie apart."""
    baseline, own = (variant_of(study, name) for name in ("baseline", "gndl"))
    assert report._folder(study, baseline, own) == study.folder
    for pair in ((baseline, Variant("imported-x")), (own, baseline), (baseline, Variant("gndl", "50"))):
        assert report._folder(study, *pair) == study.folder / pair[1].method


def test_both_galleries_show_what_they_say(study: Prepared) -> None:
    """One sequence each; its three frames are right by one method, and the brightest gains most."""
    gained = report.report_gallery(study, ALWAYS_ANGER, BRIGHTNESS)
    lost = report.report_gallery(study, ALWAYS_ANGER, BRIGHTNESS, gained_by="a")
    assert list(gained.table["truth"]) == ["happiness"]
    assert list(lost.table["truth"]) == ["anger"]
    assert gained.table["frame"].iloc[0].endswith("_00000006.png")
    assert (
        "There are 3 frames that brightness gets right and always-anger wrong, of 1 sequence; 1 is shown"
        in gained.words
    )
    assert "left out" not in gained.words  # the weights are there
    for name, told in (("hard_samples", gained), ("hard_samples_reverse", lost)):
        assert told.figure is not None
        assert files(study, name) == {".pdf", ".svg", ".png", ".csv", ".tex"}
        assert list(pd.read_csv(study.folder / "brightness" / "tables" / f"{name}.csv")["truth"]) == list(
            told.table["truth"]
        )


def test_shown_faces_are_the_pairs_own(study: Prepared) -> None:
    """Neutral and examined face have the brightness of their frames; a method that never looks has an empty map."""
    a, b = (variant_of(study, method) for method in (ALWAYS_ANGER, BRIGHTNESS))
    chosen = pair_predictions(study.request.out, "ckplus", a, b).iloc[[2]]
    (one,) = show_samples(study, chosen, (ALWAYS_ANGER, None), (BRIGHTNESS, None))
    assert int(one.neutral.mean().round()) == 51
    assert int(one.examined.mean().round()) == 230
    assert one.a.saliency is not None
    assert not one.a.saliency.any()
    assert (one.a.predicted, one.b.predicted) == ("anger", "happiness")
    assert one.a.confidence == pytest.approx(np.e / (np.e + 6), abs=1e-6)


def test_samples_of_another_database_are_not_shown(study: Prepared) -> None:
    """Where the pairs have changed since the test, no wrong face is shown."""
    a, b = (variant_of(study, method) for method in (ALWAYS_ANGER, BRIGHTNESS))
    chosen = pair_predictions(study.request.out, "ckplus", a, b).head(1).assign(frame="another.png")
    with pytest.raises(GndlError, match=r"was another\.png of .* when it was tested"):
        show_samples(study, chosen, (ALWAYS_ANGER, None), (BRIGHTNESS, None))


def test_traits_of_a_licensed_copy_are_not_known(study: Prepared) -> None:
    """There is no table, and a sentence says why."""
    told = report.report_traits(study, ALWAYS_ANGER, BRIGHTNESS)
    assert told.table.empty
    assert "known of rendered stand-ins only" in told.words


def test_curves_come_with_false_alarms(study: Prepared) -> None:
    """Both call every neutral face anger; the one is sure of it, the other has 31 %."""
    told = report.report_intensity(study, [(ALWAYS_ANGER, None), (BRIGHTNESS, None)], sequences=3, positions=6)
    alarms = told.table.set_index("method")["false_alarms"]
    assert (alarms["always-anger"], alarms["brightness"]) == (0, 3)
    assert (
        "calls 3 of 3 neutral faces an expression with more than 50% confidence, most often anger (3 times)"
        in told.words
    )
    assert files(study, "intensity") == {".pdf", ".svg", ".png", ".csv", ".tex"}
    frames = pd.read_csv(study.folder / "brightness" / "tables" / "along_sequences.csv")
    assert len(frames) == 2 * 3 * 6
    assert set(frames["source"]) == {"licensed"}


def test_paired_differences_and_reliability_are_of_the_headlines_methods(study: Prepared) -> None:
    """Each method is right on one of three sequences; the reference has to be there."""
    told = report.report_paired(study, ALWAYS_ANGER)
    assert told.table.loc[told.table["per"] == "fold", "difference"].tolist() == pytest.approx([0.0])
    assert "**brightness** minus always-anger: +0.0 points on average over 1 fold" in told.words
    assert report.report_paired(study).figure is None
    assert "nothing is compared" in report.report_paired(study).words
    believed = report.report_reliability(study)
    assert set(believed.table["method"]) == {"always-anger", "brightness"}
    assert "**brightness** is too sure by" in believed.words
    assert report.headline_variants(study) == [Variant("always-anger"), Variant("brightness")]


def test_without_weights_the_gallery_says_what_is_left_out(study: Prepared, tmp_path: Path) -> None:
    """Nothing is trained for a picture; this test comes last, since it takes weights away."""
    for file in study.folder.rglob("weights.safetensors"):
        file.rename(tmp_path / f"{file.parents[3].name}.safetensors")
    told = report.report_gallery(study, ALWAYS_ANGER, BRIGHTNESS)
    assert "Where the weights of a run were not kept" in told.words
    assert not list(study.folder.rglob("weights.safetensors"))
    assert dataclasses.is_dataclass(told)
