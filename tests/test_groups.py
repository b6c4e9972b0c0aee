"""Accuracy by group is counted right, a planted bias is found, and no bias is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted_runs import predictions

from gndl.analysis.groups import (
    accuracy_by_group,
    face_factors,
    groups_of,
    read_truth,
    require_same_people,
    right_by_trait,
    typology_angle,
)
from gndl.files import GndlError, hash_file
from gndl.sequences import STAND_IN_LABEL

PALE, TAN, DARK = (0.60, 0.40, 0.30), (0.34, 0.21, 0.13), (0.05, 0.025, 0.015)
RIGHT, WRONG = (0.1, 0.8, 0.1), (0.8, 0.1, 0.1)
VOTES = pd.DataFrame(
    {"subject": ["S1", "S1", "S2", "S3"], "right_a": [False, True, True, False], "right_b": [True, True, False, False]}
)


def people(count: int, skins: tuple[tuple[float, float, float], ...] = (PALE, DARK)) -> pd.DataFrame:
    """Rows of a subjects.csv: skins take turns, ages rise, the first half is masculine, the third wears glasses."""
    n = np.arange(count)
    table = pd.DataFrame({"name": [f"S{k:03}" for k in n], "age": n / count, "femininity": (n >= count / 2) * 1.0})
    skin = {f"complexion.skin.{channel}": [skins[k % len(skins)][channel] for k in n] for channel in range(3)}
    return table.assign(glasses=np.where(n == 2, "yes", "no"), **skin)


def frames(wrong: dict[str, int], count: int = 20) -> pd.DataFrame:
    """Four frames a subject, all of happiness; so many of the last ones are wrong of the subjects named."""
    rows = [
        (f"S{n:03}", f"S{n:03}_1", "happiness", WRONG if frame >= 4 - wrong.get(f"S{n:03}", 0) else RIGHT)
        for n in range(count)
        for frame in range(4)
    ]
    return predictions(rows).assign(database="ckplus", method="gndl", lam=5.0, fold=0, seed=0)


def test_the_typology_angle_is_that_of_known_colours() -> None:
    """White is at 90° (nothing yellow in it); of sRGB (201, 158, 124), L* 68.4 and b* 23.6, it is 38°."""
    linear = ((np.array([201, 158, 124]) / 255 + 0.055) / 1.055) ** 2.4
    angles = typology_angle([[1, 1, 1], linear, PALE, TAN, DARK])
    assert angles[0] == pytest.approx(90, abs=0.5)
    assert angles[1] == pytest.approx(38.0, abs=0.7)
    assert angles[2] > 41 > angles[3] > 10 > angles[4]
    # Red, green, yellow: L* 53.24, 87.73 and 97.14, b* 67.20, 83.18 and 94.48; then a red too dark for the cube root.
    angles = typology_angle([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0.002, 0, 0]])
    assert angles.tolist() == pytest.approx([2.76, 24.40, 26.52, -89.30], abs=0.02)


def test_a_planted_bias_is_found_with_its_size() -> None:
    """Dark skins (every second subject) are right in 1 of 4, one of them in 2; light ones always, but for one frame."""
    wrong = {f"S{n:03}": 3 for n in range(1, 20, 2)} | {"S001": 2, "S000": 1}
    table = accuracy_by_group(frames(wrong), groups_of(people(20))).set_index("group")
    row, light = table.loc["dark"], table.loc["light"]
    assert (row["subjects"], row["frames"], row["accuracy"], row["others"]) == (10, 40, 11 / 40, 39 / 40)
    assert row["difference"] == pytest.approx(-0.7) and row["difference_low"] < -0.7 < row["difference_high"] < -0.5
    assert light["difference"] == pytest.approx(0.7) and light["low"] < light["accuracy"] <= light["high"] == 1
    assert set(table["attribute"]) == {"skin tone", "age", "gender"} and "medium" not in table.index
    with pytest.raises(GndlError, match="nothing of subject S019"):
        accuracy_by_group(frames({}), groups_of(people(19)))


def test_where_drawing_anew_shows_no_doubt_there_is_no_interval() -> None:
    """Below five subjects, and where everybody of a group is always right."""
    few = accuracy_by_group(frames({"S001": 1, "S000": 2}, count=8), groups_of(people(8)))
    assert few["low"].isna().all() and few["difference_low"].isna().all()
    sure = accuracy_by_group(frames({"S001": 1}), groups_of(people(20))).set_index("group")
    assert np.isnan(sure.loc["light", "low"]) and np.isnan(sure.loc["dark", "difference_low"])
    assert sure.loc["dark", "low"] < 39 / 40 <= sure.loc["dark", "high"]


def test_the_people_of_another_rendering_are_refused_though_they_have_the_same_names(tmp_path: Path) -> None:
    """One picture a subject is compared with the study's crops.csv; one that is gone proves nothing."""
    names = [f"S{n}.png" for n in range(3)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    hashes = [hash_file(tmp_path / name) for name in names]
    crops = pd.DataFrame({"subject": ["S0", "S1", "S2"], "source_file": names, "source_sha256": hashes})
    require_same_people(crops, tmp_path)
    (tmp_path / "S1.png").write_bytes(b"somebody else")
    with pytest.raises(GndlError, match=r"S1\.png: is not the picture.*of other people"):
        require_same_people(crops, tmp_path)
    (tmp_path / "S1.png").unlink()
    with pytest.raises(GndlError, match=r"S1\.png"):
        require_same_people(crops, tmp_path)


def test_methods_are_compared_with_and_without_a_trait() -> None:
    """S1 wears glasses: 1 of 2 by a, 2 of 2 by b. Of the others' two sequences a has one right and b none."""
    traits = pd.DataFrame({"subject": ["S1", "S2", "S3"], "glasses": [True, False, False], "beard": [False] * 3})
    found = right_by_trait(VOTES, traits).set_index(["trait", "has"])
    assert found.loc[("glasses", True), ["subjects", "sequences", "right_a", "right_b"]].tolist() == [1, 2, 0.5, 1.0]
    assert found.loc[("glasses", False), ["subjects", "sequences", "right_a", "right_b"]].tolist() == [2, 2, 0.5, 0.0]
    assert found["difference"].tolist() == pytest.approx([0.5, -0.5, np.nan, 0.0], nan_ok=True)
    assert found.loc[("beard", True), "sequences"] == 0 and np.isnan(found.loc[("glasses", True), "low"])


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """A rendered database of three subjects with a picture each, and a clip of two frames of the third."""
    root, folder = tmp_path / "mmi", tmp_path / "mmi.truth"
    for place in (root, folder):
        place.mkdir()
        (place / STAND_IN_LABEL).write_text("seed 0\n")
    people(3).to_csv(folder / "subjects.csv", index=False)
    frames = pd.DataFrame({"file": ["a.png", "b.png", "c.avi", "c.avi"], "index": [0, 0, 0, 1]})
    frames["subject"] = ["S000", "S001", "S002", "S002"]
    drawn = {
        "light_azimuth": [-10, 20, 30, 40],
        "light_height": 5,
        "light_amount": 1,
        "yaw": [1, -2, 3, -4],
        "pitch": 0,
    }
    frames.assign(**drawn).to_csv(folder / "truth.csv", index=False)
    return root


def test_what_was_drawn_is_looked_up_by_the_frame_of_each_crop(truth: Path) -> None:
    """Crop 1 is the second frame of the clip, crop 0 a picture; sides are taken off, since training mirrors faces."""
    crops = pd.DataFrame({"crop": [0, 1], "frame": ["b.png", "c.avi#2"], "source_file": ["b.png", "c.avi"]})
    factors = face_factors(crops, [1, 0], truth)
    assert factors["light from the side"].tolist() == [40, 20] and factors["turned to the side"].tolist() == [4, 2]
    assert factors["glasses"].tolist() == [1, 0] and factors["age"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert factors["skin tone"].iloc[1] > factors["skin tone"].iloc[0], "subject 1 is dark"


def test_names_in_the_truth_stay_texts(truth: Path) -> None:
    """A subject called NA, a number with zeros, and a neutral clip of no emotion."""
    folder = truth.with_name("mmi.truth")
    people(2).assign(name=["NA", "021"]).to_csv(folder / "subjects.csv", index=False)
    (folder / "truth.csv").write_text("file,index,subject,emotion\na.png,0,NA,none\nb.png,0,021,\n")
    frames, subjects = read_truth(truth)
    assert frames["subject"].tolist() == subjects["name"].tolist() == ["NA", "021"]
    assert frames["emotion"].isna().tolist() == [False, True]


def test_the_truth_of_another_rendering_is_refused(truth: Path) -> None:
    """The labels of pictures and truth must agree; without a truth the error says where it would lie."""
    (truth / STAND_IN_LABEL).write_text("seed 1\n")
    with pytest.raises(GndlError, match="another rendering"):
        read_truth(truth)
    with pytest.raises(GndlError, match="no ground truth"):
        read_truth(truth.parent)
