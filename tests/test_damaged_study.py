"""A study with damaged files is refused by the file's name and in words, whatever reads it; never by a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from audited_study import write_audited_study

from gndl import results
from gndl.checking.crops import Looked
from gndl.checking.study import audit_study
from gndl.checking.two_studies import compare_studies
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.report import settings_of

RUN = "ckplus/gndl/lam-5/fold-0/seed-0"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest study; not to be written to."""
    base = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNDL_DATA", str(base / "data"))
        return write_audited_study(base)


@pytest.fixture
def study(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which a test may damage; figures, whose derivation takes long, are left out of its audit."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("gndl.checking.study.check_figures", lambda out, database: Looked())
    monkeypatch.setattr("gndl.checking.study.check_study_tables", lambda out: Looked())
    return Path(shutil.copytree(honest, tmp_path / "study"))


def said_by_audit(out: Path) -> str:
    """Problems of the audit, or the words in which it refuses."""
    try:
        return "\n".join(audit_study(out).problems)
    except GndlError as error:
        return str(error)


def rewritten(path: Path, change: Callable[[str], str | bytes]) -> None:
    content = change(path.read_text())
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def cell(row: int, column: str, value: str) -> Callable[[str], str]:
    """Put a value into one cell of a CSV text."""

    def change(text: str) -> str:
        lines = [line.split(",") for line in text.splitlines()]
        lines[row][lines[0].index(column)] = value
        return "".join(f"{','.join(line)}\n" for line in lines)

    return change


DAMAGES: dict[str, Callable[[str], str | bytes]] = {
    "empty": lambda text: "",
    "not UTF-8": lambda text: text.encode() + b"\xff\xfe,\n",
    "ragged": lambda text: text + "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n",
    "more cells than the header in every row": lambda text: (
        text.splitlines()[0] + "\n" + "".join(f"x,{line}\n" for line in text.splitlines()[1:])
    ),
}
TEXT_IN_NUMBERS = {
    "predictions.csv": ("sample", "p_anger"),
    "epochs.csv": ("epoch", "loss", "accuracy_train", "accuracy_test"),
}


CSV_FILES = (f"{RUN}/predictions.csv", f"{RUN}/epochs.csv", "accuracy.csv", "ckplus/crops.csv")


@pytest.mark.parametrize(
    ("name", "damage"),
    # Names of files, which crops.csv holds, need not be in UTF-8.
    [(name, damage) for name in CSV_FILES for damage in DAMAGES if (name, damage) != (CSV_FILES[-1], "not UTF-8")],
)
def test_a_csv_file_that_is_none_is_named_by_the_audit(study: Path, name: str, damage: str) -> None:
    """Empty, in another encoding, or with rows of other lengths."""
    rewritten(study / name, DAMAGES[damage])
    assert str(study / name) in said_by_audit(study)


@pytest.mark.parametrize("damage", [*DAMAGES, "header alone", "a probability is blank"])
def test_what_reports_and_comparisons_read_is_refused_by_name(study: Path, damage: str) -> None:
    """`gndl report` and `gndl compare` read predictions and epochs by these two functions."""
    damages = DAMAGES | {
        "header alone": lambda text: text.splitlines()[0] + "\n",
        "a probability is blank": cell(2, "p_anger", ""),
    }
    rewritten(study / RUN / "predictions.csv", damages[damage])
    with pytest.raises(GndlError, match=r"seed-0/predictions\.csv.*(fetch|not what a run writes)"):
        results.summarise(study, "ckplus")
    if damage in DAMAGES:
        rewritten(study / RUN / "epochs.csv", DAMAGES[damage])
        with pytest.raises(GndlError, match=r"seed-0/epochs\.csv"):
            results.read_epochs(study, "ckplus")


@pytest.mark.parametrize(("name", "column"), [(n, column) for n, own in TEXT_IN_NUMBERS.items() for column in own])
def test_text_in_a_column_of_numbers_is_named_by_row(study: Path, name: str, column: str) -> None:
    """The row and the cell are said."""
    rewritten(study / RUN / name, cell(2, column, "many"))
    read = results.summarise if name == "predictions.csv" else results.read_epochs
    with pytest.raises(GndlError, match=rf"{name}, row 3: {column} is 'many'"):
        read(study, "ckplus")
    if column not in ("loss", "accuracy_train"):  # which the audit does not read
        assert f"{name}, row 3: {column} is 'many'" in said_by_audit(study)


@pytest.mark.parametrize("value", ["1.5", "", "nan", "1e999"])
def test_a_sample_is_a_whole_number(study: Path, value: str) -> None:
    """Neither a fraction, nor blank, nor without end."""
    rewritten(study / RUN / "predictions.csv", cell(2, "sample", value))
    assert "predictions.csv, row 3: sample is" in said_by_audit(study)


def test_text_in_accuracy_csv_is_named_by_row(study: Path) -> None:
    """Accuracies and folds alike."""
    for column in ("accuracy_last", "fold"):
        rewritten(study / "accuracy.csv", cell(1, column, "high"))
        assert f"accuracy.csv, row 2: {column} is 'high'" in said_by_audit(study)


def without(*names: str) -> Callable[[dict], None]:
    def change(record: dict) -> None:
        for name in names[:-1]:
            record = record[name]
        del record[names[-1]]

    return change


@pytest.mark.parametrize(
    "names",
    [
        *(("identity",), ("identity_hash",), ("accuracy_last",), ("accuracy_best",), ("epoch_best",), ("n_test",)),
        *(("identity", name) for name in ("extra", "train", "fold", "weights", "train_samples")),
        *(("method",), ("method", "name"), ("epochs",), ("identity", "extra", "source"), ("parameters",)),
    ],
)
def test_a_record_that_lacks_a_key_is_refused_by_key(study: Path, names: tuple[str, ...]) -> None:
    """By the audit, the comparison and everything else that lists finished runs."""
    record = json.loads((study / RUN / "run.json").read_text())
    without(*names)(record)
    write_json(study / RUN / "run.json", record)
    message = rf"{RUN}/run\.json: lacks {'.'.join(names)}; .*Fetch the file again"
    for read in (audit_study, lambda out: compare_studies(out, out), results.accuracy_table):
        with pytest.raises(GndlError, match=message):
            read(study)


@pytest.mark.parametrize(
    "names", [("expressions",), ("identity", "pairs"), ("identity", "train", "batch_size"), ("identity", "method")]
)
def test_a_record_that_cannot_be_audited_is_named_by_key(study: Path, names: tuple[str, ...]) -> None:
    """Keys that the audit alone reads."""
    record = json.loads((study / RUN / "run.json").read_text())
    without(*names)(record)
    write_json(study / RUN / "run.json", record)
    problem, *_ = audit_study(study).problems
    assert problem.startswith(f"{study / RUN}/run.json: lacks {'.'.join(names)}; ")


@pytest.mark.parametrize("names", [("profile",), ("asked", "data_roots"), ("asked", "read_options"), ("asked",)])
def test_a_study_json_that_lacks_a_key_is_named(study: Path, names: tuple[str, ...]) -> None:
    """The audit goes on with what does not need it."""
    content = json.loads((study / "study.json").read_text())
    without(*names)(content)
    write_json(study / "study.json", content)
    (problem,) = audit_study(study).problems
    assert problem.startswith(f"{study}/study.json") and names[-1] in problem


def test_settings_that_are_none_are_refused_by_what_reports_read(study: Path) -> None:
    """`gndl report` begins with these."""
    content = json.loads((study / "study.json").read_text())
    del content["asked"]["settings"]["crop"]
    write_json(study / "study.json", content)
    with pytest.raises(GndlError, match=r"study\.json: its settings are not .*'crop'"):
        settings_of(study)


@pytest.mark.parametrize(("name", "value"), [("seeds", 0), ("seeds", [[0]]), ("git", "none"), ("source", None)])
def test_a_study_json_with_another_kind_of_value_is_named(study: Path, name: str, value: object) -> None:
    """A number in place of a list, a list in place of a number, a text in place of an object."""
    content = json.loads((study / "study.json").read_text())
    write_json(study / "study.json", content | {name: value})
    assert any(f"{study}/study.json" in line and name[:4] in line for line in audit_study(study).problems)


@pytest.mark.parametrize("value", ["0.9", True, None, [0.9]])
def test_a_record_with_a_number_that_is_none_is_refused(study: Path, value: object) -> None:
    """Text, a truth value, nothing or a list in place of the last accuracy."""
    record = json.loads((study / RUN / "run.json").read_text())
    write_json(study / RUN / "run.json", record | {"accuracy_last": value})
    with pytest.raises(GndlError, match=r"run\.json: accuracy_last is "):
        results.finished_runs(study)


def test_folds_nested_without_end_are_refused(study: Path) -> None:
    """A file that overflows the reader's stack is named like any other."""
    (study / "ckplus/folds.json").write_text("[" * 200_000)
    assert "folds.json: cannot be read as folds" in said_by_audit(study)


@pytest.mark.parametrize("backup", ["seed-0.bak", "seed-00", "seed-"])
def test_a_folder_that_no_run_is_called_by_is_no_run(study: Path, backup: str) -> None:
    """Such as a copy that somebody keeps beside a run, its fold or its λ."""
    before = len(results.finished_runs(study))
    shutil.copytree(study / RUN, (study / RUN).with_name(backup))
    fold = (study / RUN).parent
    shutil.copytree(fold, fold.with_name("fold-0 (copy)"))
    shutil.copytree(fold.parent, fold.parent.with_name("lam-5.bak"))
    assert len(results.finished_runs(study)) == before
    assert audit_study(study).problems == ()


def test_a_sequence_with_two_neutral_faces_is_named(study: Path) -> None:
    """Which of the two was subtracted nobody can tell."""
    rewritten(study / "ckplus/crops.csv", cell(2, "role", "neutral"))
    assert "crops.csv: sequence S001_000 has two neutral faces" in said_by_audit(study)
