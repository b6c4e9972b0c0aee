"""The audit of a study passes an honest one, and finds every kind of tampering by the file's name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from audited_study import write_audited_study

from gndl import cli, results
from gndl.checking.crops import Looked
from gndl.checking.study import audit_study, check_study
from gndl.errors import GndlError
from gndl.files import hash_json, write_json

RUN = "study/ckplus/gndl/lam-5/fold-0/seed-0"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an honest study, its crops and its source files; not to be written to."""
    base = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNDL_DATA", str(base / "data"))
        write_audited_study(base)
    return base


@pytest.fixture
def base(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which a test may tamper with."""
    shutil.copytree(honest, tmp_path / "base")
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "base" / "data"))
    content = json.loads((tmp_path / "base/study/study.json").read_text())
    content["asked"]["data_roots"] = {"ckplus": str(tmp_path / "base" / "copy")}
    write_json(tmp_path / "base/study/study.json", content)
    return tmp_path / "base"


def test_an_honest_study_passes_and_says_what_was_verified(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs, source files, crops' pixels and figures; what needs pictures to be derived is named too."""
    audit = audit_study(base / "study")
    assert audit.problems == ()
    said = "\n".join(audit.verified)
    assert "6 runs" in said
    assert "source files of the crops by hash: 48 of 48" in said
    assert "pixels of the cached crops, labels and names" in said
    for name in (
        "comparison",
        "confusion_matrices",
        "learning_curves",
        "paired_differences",
        "sample_cells",
        "scores",
        "table1",
    ):
        assert name in said
    spanning = "tables and figures that span the databases: tables/table1, tables/comparisons, tables/numbers, tables/n"
    assert f"{spanning}umbers.tex" in said
    assert any("mean_faces" in line for line in audit.unverified)
    for never in ("losses, training accuracies", "weights, parameters", ".tex but for numbers.tex, .md"):
        assert any(never in line for line in audit.unverified)
    assert cli.run(cli.Check(path=str(base / "study"))) == 0
    assert capsys.readouterr().out.strip().endswith("everything agrees")


def change_csv(base: Path, name: str, change: Callable[[pd.DataFrame], object]) -> None:
    """Change one CSV file in place; ``change`` may return another table."""
    table = pd.read_csv(base / name, keep_default_na=False, na_values=[""], dtype={"lam": str})
    changed = change(table)
    results.write_csv(changed if isinstance(changed, pd.DataFrame) else table, base / name)


def put(row: int, column: str, value: object) -> Callable[[pd.DataFrame], None]:
    """Put a value into one cell."""

    def change(table: pd.DataFrame) -> None:
        table.iloc[row, table.columns.get_loc(column)] = value

    return change


def change_record(base: Path, *, identity: dict[str, object] | None = None, **changes: object) -> None:
    """Change run.json, with a new hash beside a changed identity, as somebody would who knows how."""
    record = json.loads((base / RUN / "run.json").read_text()) | changes
    if identity:
        record["identity"] |= identity
        record["identity_hash"] = hash_json(record["identity"])
    write_json(base / RUN / "run.json", record)


def polish_predictions(base: Path) -> None:
    """Make every answer right, and every number that is printed follow."""
    change_csv(base, f"{RUN}/predictions.csv", lambda table: table.assign(predicted=table["truth"]))


def polish_truth(base: Path) -> None:
    """Call what was predicted the truth, in all runs and all records: only the pixels' hash knows better."""
    for folder in (base / "study/ckplus").glob("*/lam-*/fold-0/seed-0"):
        table = pd.read_csv(folder / "predictions.csv")
        other = table["sequence"] == "S001_000"
        table["truth"] = np.where(other, "happiness", table["truth"])
        results.write_csv(table, folder / "predictions.csv")
        accuracy = float((table["truth"] == table["predicted"]).mean())
        epochs = pd.read_csv(folder / "epochs.csv")
        epochs["accuracy_test"] = [0.0, 1.0, accuracy]
        results.write_csv(epochs, folder / "epochs.csv")
        record = json.loads((folder / "run.json").read_text())
        write_json(folder / "run.json", record | {"accuracy_last": accuracy, "accuracy_best": 1.0, "epoch_best": 2})
    results.write_accuracy(base / "study")


def leak(base: Path) -> None:
    """Train on a tested subject: the set trained on has another hash."""
    change_record(base, identity={"train_samples": hash_json(list(range(36)))}, n_train=36)


def pixels(base: Path) -> None:
    """Change one pixel of one cached crop."""
    path = base / "data/crops/0123456789abcdef/images.npy"
    images = np.load(path)
    images[3, 2, 2] ^= 1
    np.save(path, images)


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a prediction": (polish_predictions, "gndl/lam-5/fold-0/seed-0/predictions.csv", "gives an accuracy of"),
    "a probability": (
        lambda base: change_csv(base, f"{RUN}/predictions.csv", put(0, "p_anger", 0.5)),
        "gndl/lam-5/fold-0/seed-0/predictions.csv",
        "sum to",
    ),
    "a prediction against its probabilities": (
        lambda base: change_csv(base, f"{RUN}/predictions.csv", lambda t: t.assign(p_anger=0.0, p_happiness=1.0)),
        "predictions.csv",
        "has the largest probability",
    ),
    "a truth in one run": (
        lambda base: change_csv(base, f"{RUN}/predictions.csv", put(0, "truth", "happiness")),
        "predictions.csv",
        "another run says",
    ),
    "a truth in all runs": (polish_truth, "0123456789abcdef", "the labels tested"),
    "a row of predictions": (
        lambda base: change_csv(base, f"{RUN}/predictions.csv", lambda table: table.iloc[1:]),
        "predictions.csv",
        "were tested",
    ),
    "a subject's name in predictions": (
        lambda base: change_csv(base, f"{RUN}/predictions.csv", put(0, "subject", "S005")),
        "predictions.csv",
        "who is not in fold 0",
    ),
    "the best epoch": (
        lambda base: change_csv(base, f"{RUN}/epochs.csv", put(0, "accuracy_test", 1.0)),
        "epochs.csv",
        "best",
    ),
    "an epoch": (
        lambda base: change_csv(base, f"{RUN}/epochs.csv", lambda table: table.iloc[:-1]),
        "epochs.csv",
        "does not hold the epochs",
    ),
    "an accuracy in run.json": (lambda base: change_record(base, accuracy_last=0.99), "epochs.csv", "run.json says"),
    "NaN as the last accuracy": (
        lambda base: change_record(base, accuracy_last=float("nan")),
        "predictions.csv",
        "run.json says nan",
    ),
    "NaN as the best accuracy": (
        lambda base: change_record(base, accuracy_best=float("nan")),
        "epochs.csv",
        "run.json says nan",
    ),
    "NaN as the best accuracy, an epoch's blank too": (
        lambda base: (
            change_record(base, accuracy_best=float("nan")),
            change_csv(base, f"{RUN}/epochs.csv", put(0, "accuracy_test", np.nan)),
        ),
        "epochs.csv",
        "epoch 1 has no accuracy",
    ),
    "a blank accuracy in accuracy.csv": (
        lambda base: change_csv(base, "study/accuracy.csv", put(0, "accuracy_last", np.nan)),
        "accuracy.csv",
        "accuracy_last of ckplus, baseline, none, 0, 0 is nan",
    ),
    "a blank best epoch in accuracy.csv": (
        lambda base: change_csv(base, "study/accuracy.csv", put(0, "epoch_best", np.nan)),
        "accuracy.csv",
        "epoch_best of",
    ),
    "the identity": (
        lambda base: write_json(
            base / RUN / "run.json",
            (record := json.loads((base / RUN / "run.json").read_text()))
            | {"identity": record["identity"] | {"device": "cuda"}},
        ),
        "run.json",
        "does not have the hash beside it",
    ),
    "the fold": (lambda base: change_record(base, identity={"fold": 2}, fold=2), "run.json", "lies in the folder of"),
    "λ": (lambda base: change_record(base, identity={"lam": 7.0}, lam=7.0), "run.json", "is of λ = 7"),
    "the training settings": (
        lambda base: change_record(base, identity={"train": {"batch_size": 8, "precision": "bf16"}}),
        "study.json",
        "was trained in bf16",
    ),
    "the images per epoch": (
        lambda base: change_record(base, images_per_epoch=24),
        "run.json",
        "images_per_epoch is 24",
    ),
    "the training set": (leak, "run.json", "was not trained on exactly the samples"),
    "a subject in two folds": (
        lambda base: write_json(
            base / "study/ckplus/folds.json",
            {"0": ["S001", "S002"], "1": ["S003", "S004", "S001"], "2": ["S005", "S006"]},
        ),
        "folds.json",
        "S001 is tested in fold 0 and in fold 1",
    ),
    "subjects that changed folds": (
        lambda base: write_json(
            base / "study/ckplus/folds.json",
            {"0": ["S001", "S003"], "1": ["S002", "S004"], "2": ["S005", "S006"]},
        ),
        "run.json",
        "the hash of its test subjects",
    ),
    "no folds": (lambda base: (base / "study/ckplus/folds.json").unlink(), "folds.json", "cannot be read"),
    "crops.csv": (
        lambda base: change_csv(base, "study/ckplus/crops.csv", put(5, "source_sha256", "0" * 64)),
        "study/ckplus/crops.csv",
        "source_sha256",
    ),
    "no crops.csv": (lambda base: (base / "study/ckplus/crops.csv").unlink(), "crops.csv", "missing"),
    "a cached crop": (pixels, "0123456789abcdef", "pixels"),
    "a source file": (
        lambda base: (base / "copy/images/S003_000_00000002.png").write_bytes(b"another face"),
        "S003_000_00000002.png",
        "is not the file that was cropped",
    ),
    "accuracy.csv": (
        lambda base: change_csv(base, "study/accuracy.csv", put(0, "accuracy_last", 0.999)),
        "accuracy.csv",
        "accuracy_last",
    ),
    "a row of accuracy.csv": (
        lambda base: change_csv(base, "study/accuracy.csv", lambda table: table.iloc[1:]),
        "accuracy.csv",
        "lacks the run",
    ),
    "the source in accuracy.csv": (
        lambda base: change_csv(base, "study/accuracy.csv", put(0, "source", "licensed")),
        "accuracy.csv",
        "source",
    ),
    **{
        f"the CSV behind {name}": (
            lambda base, name=name, row=row, column=column, value=value: change_csv(
                base, f"study/ckplus/{name}.csv", put(row, column, value)
            ),
            f"{Path(name).name}.csv, row {row + 2}",
            column,
        )
        for name, row, column, value in (
            ("figures/confusion_matrices", 1, "count", 77),
            ("figures/learning_curves", 2, "loss", 0.001),
            ("figures/paired_differences", 0, "difference", 0.5),
            ("figures/sample_cells", 0, "only_b", 77),
            ("tables/table1", 13, "accuracy", 0.999),
            ("tables/comparison", 0, "subjects_better", 7),
            ("tables/scores", 0, "value", 0.999),
        )
    },
    **{
        f"the CSV behind {name} of the whole study": (
            lambda base, name=name, row=row, column=column, value=value: change_csv(
                base, f"study/tables/{name}.csv", put(row, column, value)
            ),
            f"study/tables/{name}.csv, row",
            column,
        )
        for name, row, column, value in (
            ("table1", -1, "accuracy_ckplus", 0.999),
            ("comparisons", 0, "difference", 0.5),
            ("numbers", 3, "text", "99.9"),
        )
    },
    "a number that a manuscript quotes": (
        lambda base: (base / "study/tables/numbers.tex").write_text(
            (base / "study/tables/numbers.tex").read_text().replace("Lam}{5}", "Lam}{7}")
        ),
        "study/tables/numbers.tex",
        "does not say what numbers.csv",
    ),
    "a number of the paper in Table 1": (
        lambda base: change_csv(base, "study/ckplus/tables/table1.csv", put(0, "accuracy", 0.5)),
        "table1.csv, row 2",
        "accuracy",
    ),
    "study.json without versions": (
        lambda base: write_json(
            base / "study/study.json", json.loads((base / "study/study.json").read_text()) | {"versions": {}}
        ),
        "study.json",
        "does not say versions",
    ),
    "a precision that was not used": (
        lambda base: write_json(
            base / "study/study.json", json.loads((base / "study/study.json").read_text()) | {"precision": "tf32"}
        ),
        "study.json",
        "was trained in fp32",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_file_is_found_by_name(base: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line at least names the file and says what is wrong with it."""
    tamper, file, words = TAMPERINGS[name]
    # Deriving figures and tables takes most of an audit's time and has no say elsewhere.
    if ".csv, row" not in file or "study/tables" in file:
        monkeypatch.setattr("gndl.checking.study.check_figures", lambda out, database: Looked())
    if "study/tables" not in file:
        monkeypatch.setattr("gndl.checking.study.check_study_tables", lambda out: Looked())
    tamper(base)
    problems = check_study(base / "study")
    assert [line for line in problems if file in line and words in line], problems


def test_what_is_not_at_hand_is_not_called_verified(base: Path) -> None:
    """Without cache and copy the audit still passes, and says what it has not seen."""
    shutil.rmtree(base / "data")
    shutil.rmtree(base / "copy")
    content = json.loads((base / "study/study.json").read_text())
    write_json(base / "study/study.json", content | {"git": {"commit": None, "changed": None}})
    audit = audit_study(base / "study")
    assert audit.problems == ()
    assert any("no commit is known" in line for line in audit.unverified)
    assert any("not cached here" in line for line in audit.unverified)
    assert any("48 of 48 are not here" in line for line in audit.unverified)
    assert not any("source files" in line or "pixels" in line for line in audit.verified)


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    """In words that say what else may have been meant."""
    with pytest.raises(GndlError, match=r"holds no finished run.*--database"):
        check_study(tmp_path)
