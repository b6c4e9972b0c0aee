"""How much disk ``gndl doctor`` asks for, by profile: as many runs as a study plans, with what each leaves."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from planted import planted_pairs
from planted_study import planted_study

from gndl.folds import deal_folds
from gndl.machine import facts
from gndl.machine.doctor import GIGABYTE, Facts, examine
from gndl.machine.room import WITHOUT_LAM, bytes_of_study, count_runs
from gndl.methods import method_settings
from gndl.paper import DATABASES
from gndl.profiles import PROFILES
from gndl.runs import runs_of_study


def test_a_disk_that_holds_a_quick_study_need_not_hold_one_of_profile_paper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: 270 runs of 47 MB with 90 MB each to go on from; faces and runs on one disk are added up."""
    sizes = {name: bytes_of_study(profile, DATABASES) / GIGABYTE for name, profile in PROFILES.items()}
    assert sizes == pytest.approx({"smoke": 0.38, "quick": 1.79, "standard": 6.87, "paper": 37.09}, abs=0.01)
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(90 * GIGABYTE, 60 * GIGABYTE, 30 * GIGABYTE))
    found = {}
    for name in ("quick", "paper"):
        (found[name],) = facts.disks(tmp_path / "data", tmp_path / "runs", PROFILES[name], DATABASES)
    assert found["quick"].needed == pytest.approx(1.79e9 + 0.09e9, abs=0.01e9)
    says = {name: examine(Facts((3, 11), "", disks=(disk,)))[-1] for name, disk in found.items()}
    assert says["quick"].kind == "fine" and says["paper"].kind == "problem"
    assert says["paper"].found.startswith("30.0 GB free") and "270 runs" in says["paper"].found


def test_faces_and_runs_on_disks_of_their_own_need_room_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder's disk needs none for weights."""
    monkeypatch.setattr(facts, "_disk_of", lambda folder: folder.name)
    data, out = facts.disks(tmp_path / "data", tmp_path / "runs", PROFILES["paper"], DATABASES)
    assert data.needed == pytest.approx(2.08e9, abs=0.01e9) and out.needed == pytest.approx(37.09e9, abs=0.01e9)


@pytest.mark.parametrize("name", PROFILES)
def test_the_doctor_counts_the_runs_that_a_study_plans(name: str, tmp_path: Path) -> None:
    """Without torch it counts what the plan lists: folds, methods, and the sweep over λ of those that have it."""
    profile = PROFILES[name]
    assert [method for method in profile.methods if not method_settings(method).uses_lam] == list(WITHOUT_LAM)
    study, pairs = planted_study(tmp_path, "gndl"), planted_pairs(n_subjects=10)
    dealt = deal_folds(pairs.subject, pairs.label.tolist(), n_folds=10)
    folds = tuple(range(10)) if profile.only_folds is None else profile.only_folds
    asked = replace(study.request, settings=profile)
    planned = runs_of_study(replace(study, request=asked, pairs=pairs, folds=dealt, run_folds=folds))
    assert count_runs(profile, ("ckplus",)) == len(planned)
