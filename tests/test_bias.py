"""Accuracy by group is counted right, a planted bias is found, and no bias is not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from written_runs import predictions, write_run

from gndl import cli
from gndl.analysis.bias import bias_table, groups_of, require_same_people, study_bias, typology_angle
from gndl.errors import GndlError
from gndl.files import hash_file, write_json
from gndl.profiles import PROFILES
from gndl.results import write_csv

PALE, TAN, DARK = (0.60, 0.40, 0.30), (0.34, 0.21, 0.13), (0.05, 0.025, 0.015)
RIGHT, WRONG = (0.1, 0.8, 0.1), (0.8, 0.1, 0.1)


def people(count: int, skins: tuple[tuple[float, float, float], ...] = (PALE, DARK)) -> pd.DataFrame:
    """Rows of a subjects.csv: skins take turns, ages rise, the first half is masculine."""
    rows = [
        {
            "name": f"S{n:03}",
            "age": n / count,
            "femininity": float(n >= count / 2),
            **{f"complexion.skin.{channel}": skins[n % len(skins)][channel] for channel in range(3)},
        }
        for n in range(count)
    ]
    return pd.DataFrame(rows)


def test_the_typology_angle_is_that_of_known_colours() -> None:
    """White is at 90° (nothing yellow in it); of sRGB (201, 158, 124), L* 68.4 and b* 23.6, it is 38°."""
    srgb = np.array([201, 158, 124]) / 255
    linear = ((srgb + 0.055) / 1.055) ** 2.4
    angles = typology_angle([[1, 1, 1], linear, PALE, TAN, DARK])
    assert angles[0] == pytest.approx(90, abs=0.5)
    assert angles[1] == pytest.approx(38.0, abs=0.7)
    assert angles[2] > 41 > angles[3] > 10 > angles[4]


def test_subjects_are_sorted_by_tone_age_and_gender() -> None:
    """Everybody is in one group of each attribute."""
    groups = groups_of(people(6, (PALE, TAN, DARK)))
    assert groups["skin tone"].tolist() == ["light", "medium", "dark"] * 2
    assert groups["age"].tolist() == ["young"] * 2 + ["middle"] * 2 + ["old"] * 2
    assert groups["gender"].tolist() == ["masculine"] * 3 + ["feminine"] * 3


def frames(wrong: dict[str, int], count: int = 20) -> pd.DataFrame:
    """Four frames a subject, all of happiness; so many of the last ones are wrong of the subjects named."""
    rows = [
        (f"S{n:03}", f"S{n:03}_1", "happiness", WRONG if frame >= 4 - wrong.get(f"S{n:03}", 0) else RIGHT)
        for n in range(count)
        for frame in range(4)
    ]
    return predictions(rows)


def test_a_planted_bias_is_found_with_its_size() -> None:
    """Dark skins (every second subject) are right in 1 of 4, one of them in 2; light ones always, but for one frame."""
    wrong = {f"S{n:03}": 3 for n in range(1, 20, 2)} | {"S001": 2, "S000": 1}
    table = bias_table(frames(wrong), groups_of(people(20))).set_index("group")
    row, light = table.loc["dark"], table.loc["light"]
    assert (row["subjects"], row["frames"], row["accuracy"], row["others"]) == (10, 40, 11 / 40, 39 / 40)
    assert row["difference"] == pytest.approx(-0.7) and row["difference_low"] < -0.7 < row["difference_high"] < -0.5
    assert light["difference"] == pytest.approx(0.7) and light["low"] < light["accuracy"] <= light["high"] == 1
    assert set(table["attribute"]) == {"skin tone", "age", "gender"} and "medium" not in table.index


def test_one_subject_that_is_hard_is_no_bias() -> None:
    """Frames of one subject are no independent draws: the interval, clustered by subject, holds 0."""
    row = bias_table(frames({"S001": 3, "S000": 1}), groups_of(people(20))).set_index("group").loc["dark"]
    assert row["difference_low"] < row["difference"] < 0 < row["difference_high"]


def test_where_drawing_anew_shows_no_doubt_there_is_no_interval() -> None:
    """Below five subjects, and where everybody of a group is always right."""
    few = bias_table(frames({"S001": 1, "S000": 2}, count=8), groups_of(people(8)))
    assert few["low"].isna().all() and few["difference_low"].isna().all()
    sure = bias_table(frames({"S001": 1}), groups_of(people(20))).set_index("group")
    assert np.isnan(sure.loc["light", "low"]) and np.isnan(sure.loc["dark", "difference_low"])
    assert sure.loc["dark", "low"] < 39 / 40 <= sure.loc["dark", "high"]


def test_the_people_of_another_tree_are_refused_though_they_have_the_same_names(tmp_path: Path) -> None:
    """One picture a subject is compared with the study's crops.csv; a tree that is gone proves nothing."""
    study, tree = tmp_path / "study", tmp_path / "mmi"
    tree.mkdir()
    names = [f"S{n}.png" for n in range(3)]
    for name in names:
        (tree / name).write_bytes(name.encode())
    rows = {"subject": ["S0", "S1", "S2"], "source_file": names, "source_sha256": [hash_file(tree / n) for n in names]}
    write_csv(pd.DataFrame(rows), study / "mmi/crops.csv")
    require_same_people(study, "mmi", tmp_path / "mmi.truth")
    (tree / "S1.png").write_bytes(b"somebody else")
    with pytest.raises(GndlError, match=r"S1\.png: is not the picture.*of other people"):
        require_same_people(study, "mmi", tmp_path / "mmi.truth")
    (tree / "S1.png").unlink()
    with pytest.raises(GndlError, match=r"S1\.png: is missing"):
        require_same_people(study, "mmi", tmp_path / "mmi.truth")


def test_the_command_finds_the_truth_beside_the_tree_that_the_study_has_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gndl bias STUDY` alone: other values of λ and methods that were not asked for stay out."""
    study, tree, truth = tmp_path / "study", tmp_path / "tree", tmp_path / "tree.truth"
    for folder in (tree, truth):
        folder.mkdir()
    (tree / "a.png").write_bytes(b"a")
    people(20).to_csv(truth / "subjects.csv", index=False)
    row = {"subject": "S000", "source_file": "a.png", "source_sha256": hash_file(tree / "a.png")}
    write_csv(pd.DataFrame([row]), study / "ckplus/crops.csv")
    settings = asdict(PROFILES["smoke"])
    asked = {"settings": settings, "data_roots": {"ckplus": str(tree)}}
    write_json(study / "study.json", {"profile": "smoke", "asked": asked})
    fixed = f"{settings['lam']:g}"
    for method, lam in (("baseline", "none"), ("gndl", fixed), ("gndl", "50"), ("gndl-channel-sum", fixed)):
        write_run(study, method, lam, 0, frames({"S001": 3}))
    assert cli.run(cli.Bias(study=str(study))) == 0
    printed = capsys.readouterr().out
    assert "Rendered stand-in of CK+" in printed
    written = pd.read_csv(study / "ckplus/tables/bias.csv", dtype={"lam": str})
    assert set(zip(written["method"], written["lam"], strict=True)) == {("baseline", "none"), ("gndl", fixed)}
    table = (study / "ckplus/tables/bias.md").read_text()
    assert f"| Group | People | Frames | baseline, % | baseline: difference | GNDL, λ = {fixed}, % |" in table
    assert "| dark skin | 10 | 40 | 92.5 | −7.5 (no interval) |" in table
    with pytest.raises(GndlError, match="no method 'nonsense'"):
        cli.run(cli.Bias(study=str(study), methods=("nonsense",)))


def test_a_study_is_measured_by_method_and_only_read(tmp_path: Path) -> None:
    """Two methods, two folds each; the truth must know everybody."""
    study, truth = tmp_path / "study", tmp_path / "ckplus.truth"
    truth.mkdir()
    people(20).to_csv(truth / "subjects.csv", index=False)
    for method, wrong in (("baseline", {"S001": 3}), ("gndl", {})):
        table = frames(wrong)
        for fold, half in enumerate((table.iloc[:40], table.iloc[40:])):
            write_run(study, method, "none" if method == "baseline" else "5", fold, half)
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
    found = study_bias(study, "ckplus", truth)
    assert found.groupby("method")["frames"].sum().to_dict() == {"baseline": 240, "gndl": 240}
    assert found.loc[found["method"] == "gndl", "accuracy"].eq(1).all() and found["source"].eq("rendered").all()
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*")} == before
    people(19).to_csv(truth / "subjects.csv", index=False)
    with pytest.raises(GndlError, match=r"subjects\.csv: the ground truth knows nothing of subject S019"):
        study_bias(study, "ckplus", truth)
    with pytest.raises(GndlError, match="holds no finished run"):
        study_bias(study, "mmi", truth)
    with pytest.raises(GndlError, match=r"nowhere.*no ground truth here"):
        study_bias(study, "ckplus", tmp_path / "nowhere")
