"""Data out to another code base and predictions back in: what is written, what is checked, and how it is marked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from layouts import write_ckplus
from PIL import Image
from written_runs import write_run

from gndl import comparison, results
from gndl.checking.study import audit_study
from gndl.errors import GndlError
from gndl.imported import MARK
from gndl.licence import LICENSED_FACES
from gndl.narrative import samples as report_samples
from gndl.prepare import Prepared
from gndl.runs import plan_runs
from gndl.sharing.export_data import export_data, pair_table
from gndl.sharing.import_predictions import import_predictions
from gndl.study import open_study
from gndl.tables import results_table as tables

SUBJECTS = ("S052", "S055", "S074", "S106")


def make_study(folder: Path) -> Prepared:
    """Four subjects in CK+'s layout, each with anger, happiness and surprise: four folds of nine samples."""
    root = write_ckplus(folder / "CK+", SUBJECTS)
    return open_study("ckplus", data_root=str(root), profile="smoke", out=folder / "study", jobs=1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_study(tmp_path_factory.mktemp("exchange"))


def filled(study: Prepared, wrong: str = "", folds: tuple[int, ...] = (0, 1, 2, 3)) -> pd.DataFrame:
    """The form filled in: right with 70 %, but for one class that is called sadness."""
    form = pair_table(study)[["sample", "fold", "truth"]]
    form = form[form["fold"].isin(folds)].assign(predicted=form["truth"].replace({wrong: "sadness"} if wrong else {}))
    for name in study.pairs.expressions:
        form[f"p_{name}"] = np.where(form["predicted"] == name, 0.7, 0.05)
    return form


def written(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def test_an_export_holds_the_studys_own_pixels_pairs_and_folds(study: Prepared, tmp_path: Path) -> None:
    """Pictures byte for byte, samples in order, folds as dealt, the licence's label; and twice the same bytes."""
    folder = export_data([study], tmp_path / "data")
    own = folder / "ckplus"
    pairs = pd.read_csv(own / "pairs.csv")
    assert list(pairs["sample"]) == list(range(36))
    for which, index in (("examined", study.pairs.examined_index), ("neutral", study.pairs.neutral_index)):
        for name, crop in zip(pairs[which], index, strict=True):
            with Image.open(own / name) as picture:
                assert np.array_equal(np.asarray(picture), study.crops.images[int(crop)])
    folds = pd.read_csv(own / "folds.csv")
    assert sorted(folds["subject"]) == list(SUBJECTS)
    for fold in range(4):
        _, tested = study.folds.train_test(fold, study.pairs.subject)
        assert list(pairs.loc[pairs["fold"] == fold, "sample"]) == tested.tolist()
        assert set(folds.loc[folds["fold"] == fold, "subject"]) == set(study.folds.test_subjects[fold])
    assert "licensed copy of CK+" in (folder / LICENSED_FACES).read_text()
    assert "gndl import-predictions" in (folder / "README.txt").read_text()
    again = export_data([study], tmp_path / "again")
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in files)
    with pytest.raises(GndlError, match="is there already"):
        export_data([study], folder)


def test_imported_predictions_stand_in_tables_and_tests_with_their_mark(tmp_path: Path) -> None:
    """Accuracy 2/3 by hand in every fold; marked in Table 1, in words, and in the audit, which finds no problem."""
    study = make_study(tmp_path)
    out = study.request.out
    file = written(filled(study, wrong="anger"), tmp_path / "svm.csv")
    folders = import_predictions(study, file, "svm", subject_disjoint=True)
    assert [folder.relative_to(out).as_posix() for folder in folders] == [
        f"ckplus/imported-svm/lam-none/fold-{fold}/seed-0" for fold in range(4)
    ]
    accuracy = pd.read_csv(out / "accuracy.csv")
    assert accuracy["accuracy_last"].tolist() == pytest.approx([2 / 3] * 4)
    assert accuracy["accuracy_best"].isna().all()
    assert set(accuracy["source"]) == {"licensed"}
    audit = audit_study(out)
    assert [line for line in audit.problems if "imported" in line] == []
    assert any("imported-svm: predictions were imported, so its training cannot be audited" in one
               for one in audit.unverified)  # fmt: skip

    kept = (folders[0] / "predictions.csv").read_text()
    (folders[0] / "predictions.csv").write_text(kept.replace("0.6", "0.7", 1) + "\n")
    assert any("is not what was imported" in one for one in audit_study(out).problems)
    (folders[0] / "predictions.csv").write_text(kept)

    for fold in range(4):
        own = pair_table(study).query("fold == @fold")
        right = own.assign(predicted=own["truth"], **{f"p_{name}": 1.0 * (own["truth"] == name)
                                                      for name in study.pairs.expressions})  # fmt: skip
        write_run(out, "baseline", "none", fold, right)
    summary = results.summarise(out, "ckplus")
    table = tables.measured_rows(summary).set_index("method")
    assert table.loc["imported-svm", "setting"] == MARK
    assert table.loc["baseline", "setting"] == "image-based"
    assert tables.readable(tables.measured_rows(summary))["Parameters"].tolist() == ["1,000", "–"]
    compared = comparison.compare_with_baseline(summary, results.accuracy_table(out, "ckplus"))
    assert compared["difference"].tolist() == pytest.approx([-1 / 3])
    assert MARK in comparison.in_plain_words(compared)
    assert set(results.read_epochs(out, "ckplus")["method"]) == {"baseline"}


def test_imported_methods_are_compared_sample_by_sample_and_never_trained(study: Prepared, tmp_path: Path) -> None:
    """A gallery of both, its caption with the mark and no saliency; nothing is planned for them."""
    for name, wrong in (("left", "anger"), ("right", "surprise")):
        import_predictions(
            study, written(filled(study, wrong=wrong), tmp_path / f"{name}.csv"), name, subject_disjoint=True
        )
    told = report_samples.report_gallery(study, "imported-left", "imported-right")
    assert set(told.table["truth"]) == {"anger"}
    assert len(told.table) == 4
    assert f"imported-left and imported-right: {MARK}" in told.words
    assert MARK in (study.folder / "imported-right" / "figures" / "hard_samples.tex").read_text().replace("\n", " ")
    paired = report_samples.report_paired(study, "imported-left")
    assert paired.figure is not None
    assert MARK in paired.words
    assert plan_runs(study, ["imported-left"]) == []
    assert {run.method.name for run in plan_runs(study, ["baseline", "imported-left"])} == {"baseline"}
    record = json.loads((study.folder / "imported-left/lam-none/fold-0/seed-0/run.json").read_text())
    assert record["imported"]["subject_disjoint"] is True
    assert record["imported"]["audited"] is False


def test_the_same_file_can_be_imported_twice_and_another_not(study: Prepared, tmp_path: Path) -> None:
    """Nothing is overwritten; part of the folds is enough, as long as each is whole."""
    file = written(filled(study, folds=(1, 3)), tmp_path / "once.csv")
    first = import_predictions(study, file, "once", subject_disjoint=True)
    before = [(folder / "predictions.csv").read_bytes() for folder in first]
    assert import_predictions(study, file, "once", subject_disjoint=True) == first
    other = written(filled(study, wrong="anger", folds=(1, 3)), tmp_path / "other.csv")
    with pytest.raises(GndlError, match="holds other predictions"):
        import_predictions(study, other, "once", subject_disjoint=True)
    assert [(folder / "predictions.csv").read_bytes() for folder in first] == before


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.drop(index=t.index[4]), r"lacks 1 of the 9 samples that fold \d tests"),
        (lambda t: pd.concat([t, t.iloc[[4]]]), r"row 38: sample 4 is there twice"),
        (lambda t: t.assign(truth=["fear", *t["truth"][1:]]), r"row 2: truth of sample 0 is 'fear' there and"),
        (lambda t: t.assign(fold=[(f + 1) % 4 for f in t["fold"]]), r"row 2: fold of sample 0"),
        (lambda t: t.assign(sample=[99, *t["sample"][1:]]), r"row 2: '99' is no sample; .* 0 to 35"),
        (lambda t: t.assign(sample=["9" * 5000, *t["sample"][1:]]), r"row 2: '9{40}' is no sample"),
        (lambda t: t.assign(p_fear=0.2), r"row 2: the probabilities sum to 1\.15"),
        (lambda t: t.assign(p_fear="x"), r"row 2: p_fear is 'x'"),
        (lambda t: t.assign(p_fear=-0.1), r"row 2: p_fear is -0\.1"),
        (lambda t: t.assign(predicted="joy"), r"row 2: 'joy' is no class"),
        (lambda t: t.assign(predicted="fear"), r"row 2: fear is predicted, but its probability is not the largest"),
        (lambda t: t.drop(columns="p_fear"), r"no column p_fear"),
        (lambda t: t.head(0), r"holds no prediction"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_compared_is_refused_by_row(study: Prepared, tmp_path: Path, spoil, words) -> None:  # type: ignore[no-untyped-def]
    """And leaves nothing behind."""
    file = written(spoil(filled(study)), tmp_path / "bad.csv")
    with pytest.raises(GndlError, match=words):
        import_predictions(study, file, "bad", subject_disjoint=True)
    assert not (study.folder / "imported-bad").exists()


def test_disjointness_has_to_be_declared_and_the_name_to_be_free(study: Prepared, tmp_path: Path) -> None:
    """Without the declaration nothing is read."""
    file = written(filled(study), tmp_path / "fine.csv")
    with pytest.raises(GndlError, match="--subject-disjoint"):
        import_predictions(study, file, "fine", subject_disjoint=False)
    for name in ("imported-x", "A B", "../x"):
        with pytest.raises(GndlError, match="cannot name a method"):
            import_predictions(study, file, name, subject_disjoint=True)
