"""λ and epoch are chosen on people who neither train nor are tested; what the test fold would choose is told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted_pairs
from planted_study import planted_study, quick
from written_runs import CLASSES, predictions, write_run

from gndl.checking.folds import audit_folds
from gndl.checking.runs import check_epochs
from gndl.checking.samples import check_folds, check_training_set, read_folds_json
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.folds import Folds, deal_folds, read_folds, with_development, write_folds
from gndl.narrative.choosing import NONE_HELD, choosing
from gndl.profiles import PROFILES
from gndl.record import DEV_COLUMN, read_epochs
from gndl.request import StudyRequest, joined, save_request, with_overrides
from gndl.results import finished_runs
from gndl.runs import fit_run, plan_runs
from gndl.selection import choices, summarise_choices
from gndl.tables.choices import save_choices
from gndl.train import fit

METHOD = quick("quick-select")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=3, max_size=14), st.integers(0, 3), st.data())
def test_every_sample_trains_is_developed_on_or_is_tested_and_never_two_of_them(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    """Whatever the subjects; and everybody is a development subject in one fold."""
    subjects = [f"S{number:02}" for number, size in enumerate(sizes) for _ in range(size)]
    n_folds = data.draw(st.integers(3, len(sizes)))
    folds = with_development(deal_folds(subjects, [0] * len(subjects), n_folds, seed))
    for fold in range(n_folds):
        train, test = folds.train_test(fold, subjects)
        dev = folds.development(fold, subjects)
        assert sorted([*train, *test, *dev]) == list(range(len(subjects))) and len(dev)
        sides = [{subjects[int(i)] for i in side} for side in (train, test, dev)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert sorted(name for own in folds.dev_subjects for name in own) == sorted(set(subjects))


def test_two_folds_are_too_few_to_hold_anybody_out() -> None:
    """Nobody would be left to train on."""
    with pytest.raises(GndlError, match="at least three folds; there are 2"):
        with_development(Folds((("a",), ("b",))))


def test_a_fold_file_with_development_subjects_reads_back_and_is_audited(tmp_path: Path) -> None:
    """By the study and by the audit of folds alone, which trains on nobody who is held out."""
    names = [f"S{number}" for number in range(6)]
    folds = with_development(deal_folds(names, [0] * 6, 3))
    path = tmp_path / "folds.json"
    write_folds(path, folds)
    assert set(json.loads(path.read_text())["0"]) == {"test", "dev"}
    assert read_folds(path, names) == folds == read_folds_json(path)
    audit = audit_folds(path)
    assert audit.ok and audit.folds["train"].tolist() == [2, 2, 2] and audit.folds["test"].tolist() == [2, 2, 2]
    assert check_folds(path, folds, pd.DataFrame({"subject": names})) == []


@pytest.mark.parametrize(
    ("dev", "message"),
    [
        ({"0": ["a"], "1": ["c"], "2": ["b"]}, "fold 0 has a among its development and its test subjects"),
        ({"0": ["b"], "1": ["z"], "2": ["a"]}, "development subject z of fold 1 is not in the database"),
        ({"0": ["b"], "1": [], "2": ["a"]}, "fold 1 has no development subject"),
    ],
)
def test_wrong_development_subjects_are_refused_by_file_fold_and_subject(
    tmp_path: Path, dev: dict[str, list[str]], message: str
) -> None:
    """Tested themselves, unknown, or missing in some folds; the audit finds the first without a database."""
    path = tmp_path / "mine.json"
    write_json(path, {fold: {"test": [name], "dev": dev[fold]} for fold, name in zip("012", "abc", strict=True)})
    with pytest.raises(GndlError, match=f"mine.json.*{message}"):
        read_folds(path, ["a", "b", "c"])
    if "among" in message:
        assert any(message in problem for problem in audit_folds(path).problems)
        assert any("development subject" in line for line in check_folds(
            path, read_folds_json(path), pd.DataFrame({"subject": ["a", "b", "c"]})
        ))  # fmt: skip


def test_looking_at_development_subjects_changes_no_number_of_the_training(tmp_path: Path) -> None:
    """The same weights and predictions as without; epochs.csv has one more column, true of what was held out."""
    study = planted_study(tmp_path, METHOD, epochs=3, folds=3)
    pairs, folds = study.pairs, with_development(study.folds)
    train, test = folds.train_test(0, pairs.subject)
    dev = folds.development(0, pairs.subject)
    options = {"lam": 5.0, "show_progress": False}
    with_dev, without, on_dev = (
        fit(METHOD, pairs, train, tested, study.train, run_folder=tmp_path / name, dev_index=held, **options)
        for name, tested, held in (("with", test, dev), ("without", test, None), ("on-dev", dev, None))
    )
    for name in ("weights.safetensors", "predictions.csv"):
        assert (with_dev.folder / name).read_bytes() == (without.folder / name).read_bytes()
    rows = read_epochs(with_dev.folder)
    assert [{key: value for key, value in row.items() if key != DEV_COLUMN} for row in rows] == without.epochs
    assert [row[DEV_COLUMN] for row in rows] == [row["accuracy_test"] for row in on_dev.epochs]
    assert with_dev.record["n_dev"] == len(dev) and "n_dev" not in without.record


def test_a_development_subject_who_trains_stops_the_training(tmp_path: Path) -> None:
    """Whatever made the folds."""
    pairs = planted_pairs()
    train, test = deal_folds(pairs.subject, pairs.label, 3).train_test(0, pairs.subject)
    train_settings = planted_study(tmp_path, METHOD).train
    with pytest.raises(GndlError, match="is a development subject and in training or in test"):
        fit(
            METHOD, pairs, train, test, train_settings, run_folder=tmp_path / "run", lam=5.0, show_progress=False,
            dev_index=train[:2],
        )  # fmt: skip


def written_with_epochs(
    out: Path, method: str, lam: str, fold: int, dev: list[float], test: list[float], seed: int = 0
) -> None:
    """A finished run with these accuracies epoch by epoch; the last of ``test`` is that of its predictions."""
    right = round(20 * test[-1])
    frames = [
        (f"F{fold}", f"F{fold}_{k}", "anger", (0.8, 0.1, 0.1) if k < right else (0.1, 0.8, 0.1)) for k in range(20)
    ]
    folder = write_run(out, method, lam, fold, predictions(frames, CLASSES, 20 * fold), seed=seed)
    pd.DataFrame(
        {"epoch": range(1, len(test) + 1), "loss": 1.0, "accuracy_train": 1.0, "accuracy_test": test, DEV_COLUMN: dev}
    ).to_csv(folder / "epochs.csv", index=False)
    record = json.loads((folder / "run.json").read_text())
    record |= {"n_dev": 10, "epochs": len(test), "accuracy_best": max(test), "epoch_best": int(np.argmax(test)) + 1}
    write_json(folder / "run.json", record)


@pytest.fixture
def chosen_study(tmp_path: Path) -> Path:
    """Two folds by hand: GNDL at λ = 1 and 5, and the baseline; λ = 5 is the one fixed beforehand."""
    save_request(StudyRequest(out=tmp_path, settings=PROFILES["smoke"], data_roots={"ckplus": ""}))
    written_with_epochs(tmp_path, "gndl", "5", 0, dev=[0.3, 0.6, 0.6], test=[0.40, 0.50, 0.60])
    written_with_epochs(tmp_path, "gndl", "1", 0, dev=[0.2, 0.6, 0.5], test=[0.90, 0.55, 0.30])
    written_with_epochs(tmp_path, "gndl", "5", 1, dev=[0.3, 0.3, 0.4], test=[0.40, 0.75, 0.70])
    written_with_epochs(tmp_path, "gndl", "1", 1, dev=[0.2, 0.7, 0.5], test=[0.20, 0.65, 0.80])
    written_with_epochs(tmp_path, "baseline", "none", 0, dev=[0.9, 0.1], test=[0.35, 0.45])
    written_with_epochs(tmp_path, "baseline", "none", 1, dev=[0.1, 0.9], test=[0.55, 0.50])
    written_with_epochs(
        tmp_path, "gndl", "5", 2, dev=[0.9, 0.9, 0.9], test=[0.9, 0.9, 0.9]
    )  # λ = 1 was not run on this fold
    return tmp_path


def test_what_does_best_on_development_subjects_is_taken_and_of_equals_the_fixed_value(chosen_study: Path) -> None:
    """By hand: fold 0 ties at 0.6 between λ = 5, twice, and λ = 1; fold 1 goes to λ = 1; fold 2 is left out."""
    table = choices(chosen_study, "ckplus")
    assert table[["method", "fold"]].to_numpy().tolist() == [["baseline", 0], ["baseline", 1], ["gndl", 0], ["gndl", 1]]
    gndl = table[table["method"] == "gndl"]
    assert gndl["lam_dev"].tolist() == ["5", "1"] and gndl["epoch_dev"].tolist() == [2, 2]
    assert gndl["accuracy"].tolist() == [0.50, 0.65] and gndl["accuracy_dev"].tolist() == [0.6, 0.7]
    assert gndl["lam_test"].tolist() == ["1", "1"] and gndl["epoch_test"].tolist() == [1, 3]
    assert gndl["accuracy_chosen_on_test"].tolist() == [0.90, 0.80]
    assert gndl["accuracy_fixed"].tolist() == pytest.approx([0.60, 0.70])
    assert table["lams"].tolist() == ["λ none", "λ none", "λ 1 5", "λ 1 5"]


def test_the_gap_is_what_choosing_on_the_test_fold_promises(chosen_study: Path) -> None:
    """Means over two folds, by hand; with two folds no test is made."""
    summary = summarise_choices(choices(chosen_study, "ckplus")).set_index("method")
    gndl = summary.loc["gndl"]
    assert gndl["on_dev"] == pytest.approx(0.575) and gndl["on_test"] == pytest.approx(0.85)
    assert gndl["gap"] == pytest.approx(0.275) and gndl["to_fixed"] == pytest.approx(-0.075)
    assert gndl["to_baseline"] == pytest.approx(0.575 - (0.35 + 0.50) / 2)
    assert np.isnan(gndl["to_baseline_p"]) and gndl["gap_low"] < 0.275 < gndl["gap_high"]
    assert np.isnan(summary.loc["baseline", "to_baseline"])
    text = choosing(chosen_study, "ckplus")
    assert "**GNDL**: with λ and epoch chosen on development subjects" in text and "| GNDL | 1, 5 | 2 |" in text
    assert "57.5 %; chosen on the test folds it would read 85.0 %, 27.5 points more" in text
    assert "+15.0 points" in text and "With so few folds no test is made." in text


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=15)
def test_the_gap_is_never_negative(accuracies: list[tuple[float, float]]) -> None:
    """Whatever the accuracies are, the test fold's own choice reads at least as well on it."""
    table = pd.DataFrame(
        [
            {
                "database": "ckplus", "source": "rendered", "method": "gndl", "fold": fold, "seed": 0, "lams": "λ 5",
                "accuracy": min(pair), "accuracy_chosen_on_test": max(pair), "accuracy_fixed": 0.5,
                "n_train": 10, "n_test": 5,
            }
            for fold, pair in enumerate(accuracies)
        ]
    )  # fmt: skip
    assert (summarise_choices(table)["gap"] >= 0).all()


def test_a_study_trains_chooses_writes_and_audits_with_development_subjects(tmp_path: Path) -> None:
    """Real runs at two values of λ: tables follow from them, and a run that trained on those held out is found."""
    dealt = planted_study(tmp_path, METHOD, epochs=2, folds=3)
    study = dataclasses.replace(dealt, folds=with_development(dealt.folds))
    save_request(study.request)
    for run in plan_runs(study, lams=(1.0, 5.0), folds=(0, 1)):
        fit_run(study, run)
    summary = save_choices(tmp_path, "ckplus", tmp_path / "tables")
    assert summary["folds"].tolist() == [2] and summary["lams"].tolist() == ["λ 1 5"]
    written = pd.read_csv(tmp_path / "tables" / "choices.csv", dtype={"lam_dev": str})
    assert len(written) == 2 and "Chosen on development" in (tmp_path / "tables" / "choices_summary.md").read_text()
    pairs = study.pairs
    samples = pd.DataFrame({name: getattr(pairs, name) for name in ("subject", "sequence", "frame")})
    run = finished_runs(tmp_path)[0]
    tested = pd.read_csv(run.folder / "predictions.csv", dtype={name: str for name in samples})
    assert check_training_set(run, tested, study.folds, samples, tmp_path / "folds.json") == []
    assert check_epochs(run) == []
    found = check_training_set(run, tested, dealt.folds, samples, tmp_path / "folds.json")
    assert any("train_samples" in problem for problem in found)
    assert any("development subjects" in problem for problem in found)


def test_without_development_subjects_nothing_is_written_and_the_notebook_says_how(tmp_path: Path) -> None:
    """An ordinary study stays what it is."""
    frames = [("S1", "S1_0", "anger", (0.8, 0.1, 0.1))]
    write_run(tmp_path, "gndl", "5", 0, predictions(frames, CLASSES))
    assert save_choices(tmp_path, "ckplus", tmp_path / "tables").empty and not (tmp_path / "tables").exists()
    assert choosing(tmp_path, "ckplus") == NONE_HELD


def test_a_study_keeps_to_what_it_chooses_on_and_older_ones_chose_on_nothing(tmp_path: Path) -> None:
    """A study.json of before there was the choice is joined; asking it for development subjects is refused."""
    request = StudyRequest(out=tmp_path, settings=PROFILES["smoke"], data_roots={"ckplus": ""})
    save_request(request)
    kept = json.loads((tmp_path / "study.json").read_text())["asked"]
    del kept["settings"]["select_on"]
    assert joined(request, kept).settings.select_on == "nothing"
    select = dataclasses.replace(request, settings=with_overrides(PROFILES["smoke"], select_on="dev"))
    with pytest.raises(GndlError, match="select_on is 'nothing' there and 'dev' now"):
        joined(select, kept)


def test_a_seed_that_one_method_alone_has_is_in_no_difference(chosen_study: Path) -> None:
    """Differences are taken within fold and seed, then averaged; a second seed of GNDL alone changes none of them."""
    chosen = choices(chosen_study, "ckplus")
    before = summarise_choices(chosen).set_index("method").loc["gndl"]
    second = chosen[chosen["method"] == "gndl"].assign(seed=7, accuracy=0.0)
    after = summarise_choices(pd.concat([chosen, second], ignore_index=True)).set_index("method").loc["gndl"]
    assert after["to_baseline"] == before["to_baseline"] and after["on_dev"] < before["on_dev"]
