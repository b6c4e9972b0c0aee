"""The audit passes an honest study, finds every kind of tampering by the file's name, and audits any fold list."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import open_trained

from gndl import cli, shipped
from gndl.check import audit_study
from gndl.files import GndlError, hash_file, hash_json, repository_root, write_csv, write_json
from gndl.folds import Folds, write_folds
from gndl.folds_audit import audit_folds
from gndl.record import pack
from gndl.results import write_accuracy

RUN = "study/ckplus/gndl/lam-5/fold-0/seed-0"


@pytest.fixture(scope="module")
def honest(trained_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest study with its source files and its cached crops; not to be written to."""
    base = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNDL_CROPS", str(base / "crops"))
        assert len(open_trained(trained_study).pairs)
    for name in ("study", "ckplus"):
        shutil.copytree(trained_study / name, base / name, ignore=shutil.ignore_patterns("weights.safetensors"))
    return base


@pytest.fixture
def base(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to tamper with."""
    base = shutil.copytree(honest, tmp_path / "base")
    monkeypatch.setenv("GNDL_CROPS", str(base / "crops"))
    content = json.loads((base / STUDY).read_text())
    content["asked"]["data_roots"] = {"ckplus": str(base / "ckplus")}
    write_json(base / STUDY, content)
    return base


def test_an_honest_study_passes_and_says_what_was_verified(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs, source files and pixels of crops; what cannot be derived is named too."""
    audit = audit_study(base / "study")
    assert audit.problems == []
    said = "\n".join(audit.verified)
    for words in ("training sets of 4 runs", "72 of 72 source files", "pixels of the cached crops"):
        assert words in said
    assert any("losses, training accuracies" in line for line in audit.unverified)
    assert cli.check(str(base / "study")) == 0
    assert capsys.readouterr().out.strip().endswith("everything agrees")


def put(row: int, column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Put a value into one cell."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        cells = table[column].astype(object)
        cells.iloc[row] = value
        return table.assign(**{column: cells})

    return change


def csv(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], object]:
    return lambda base: write_csv(change(pd.read_csv(base / name, dtype={"lam": str, "subject": str})), base / name)


def record(identity: dict[str, object] | None = None, **changes: object) -> Callable[[Path], object]:
    """Change run.json, with a new hash of a changed identity, as somebody would who knows how."""

    def change(base: Path) -> None:
        content = json.loads((base / RUN / "run.json").read_text()) | changes
        if identity:
            content["identity"] |= identity
            content["identity_hash"] = hash_json(content["identity"])
        write_json(base / RUN / "run.json", content)

    return change


def swap_truth(base: Path) -> None:
    """Exchange two classes in truth and prediction of all runs: accuracies stay, only the pixels' hash knows better."""
    other = {"anger": "happiness", "happiness": "anger"}
    for path in (base / "study/ckplus").glob("*/lam-*/fold-*/seed-0/predictions.csv"):
        table = pd.read_csv(path)
        table["truth"], table["predicted"] = (table[name].replace(other) for name in ("truth", "predicted"))
        table["p_anger"], table["p_happiness"] = table["p_happiness"].copy(), table["p_anger"].copy()
        write_csv(table, path)


def cached(*, renewed: bool) -> Callable[[Path], object]:
    """Change one pixel of the cached crops; ``renewed`` with their hash, as somebody would who knows how."""

    def tamper(base: Path) -> None:
        (path,) = (base / "crops").glob("*/images.npy")
        images = np.load(path)
        images[3, 2, 2] ^= 1
        np.save(path, images)
        if renewed:
            kept = json.loads((path.parent / "crops.json").read_text())
            kept["sha256"]["images.npy"] = hash_file(path)
            write_json(path.parent / "crops.json", kept)

    return tamper


def source_file(base: Path) -> None:
    next((base / "ckplus").glob("**/S003_001_00000006.png")).write_bytes(b"another face")


def update(name: str, **changes: object) -> Callable[[Path], object]:
    """Change a JSON file; the names of folds begin with "_"."""
    new = {key.removeprefix("_"): value for key, value in changes.items()}
    return lambda base: write_json(base / name, json.loads((base / name).read_text()) | new)


def without(name: str) -> Callable[[Path], object]:
    return lambda base: (base / name).unlink()


EVERYBODY = hash_json(list(range(54)))
OTHER_FOLDS = {"_0": ["S000", "S001"], "_1": ["S002", "S003"], "_2": ["S004", "S005"]}
STUDY, FOLDS = "study/study.json", "study/ckplus/folds.json"
PREDICTIONS, EPOCHS = f"{RUN}/predictions.csv", f"{RUN}/epochs.csv"
CROPS, ACCURACY = "study/ckplus/crops.csv", "study/accuracy.csv"
DEVELOPED = {"extra": {"database": "ckplus", "source": "rendered", "dev_subjects": "0" * 64, "test_subjects": "0" * 64}}
TAMPERINGS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "all answers right": (csv(PREDICTIONS, lambda t: t.assign(predicted=t["truth"])), PREDICTIONS, "gives an accuracy"),
    "a probability": (csv(PREDICTIONS, put(0, "p_fear", 0.9)), PREDICTIONS, "sum to 1 (1 such rows)"),
    "a negative one": (
        csv(PREDICTIONS, lambda t: t.assign(p_anger=t["p_anger"] + t["p_fear"] + 0.1, p_fear=-0.1)),
        PREDICTIONS, "sum to 1 (18",
    ),
    "an answer": (csv(PREDICTIONS, lambda t: t.assign(p_fear=t["p_anger"] + 1)), PREDICTIONS, "most probable class"),
    "an answer that is no class": (csv(PREDICTIONS, put(2, "predicted", "joy")), PREDICTIONS, "most probable class"),
    "a truth in one run": (csv(PREDICTIONS, lambda t: t.assign(truth="fear")), PREDICTIONS, "another run says"),
    "a truth in all runs": (swap_truth, "crops/", "the labels tested"),
    "a row of predictions": (csv(PREDICTIONS, lambda t: t.iloc[1:]), PREDICTIONS, "does not hold the 18 samples"),
    "a row given twice": (csv(PREDICTIONS, lambda t: pd.concat([t, t.tail(1)])), PREDICTIONS, "does not hold the 18"),
    "a subject in predictions": (csv(PREDICTIONS, put(0, "subject", "S777")), PREDICTIONS, "is S777, S003_001,"),
    "a frame in predictions": (csv(PREDICTIONS, put(3, "frame", "x.png")), PREDICTIONS, "(1 such rows)"),
    "other classes": (record(expressions=["anger", "fear"]), PREDICTIONS, "run.json names other classes"),
    "the best epoch": (csv(EPOCHS, put(0, "accuracy_test", 1.0)), EPOCHS, "gives accuracy_best 1,"),
    "the number of the best epoch": (record(epoch_best=7), EPOCHS, "gives epoch_best 1, run.json says 7"),
    "an epoch": (csv(EPOCHS, lambda t: pd.concat([t, t])), EPOCHS, "does not hold the epochs"),
    "an accuracy": (record(accuracy_last=0.99), EPOCHS, "gives accuracy_last"),
    "NaN as the last accuracy": (record(accuracy_last=float("nan")), PREDICTIONS, "run.json says nan"),
    "the identity": (record(identity_hash="0" * 64), "run.json", "does not have the hash"),
    "the fold": (record({"fold": 1}, fold=1), "run.json", "is of fold 1, but lies in the folder of fold 0"),
    "the seed": (record({"seed": 3}), "run.json", "is of seed 3, but"),
    "the method": (record(variant="baseline"), "run.json", "is of method baseline, but"),
    "λ": (record({"lam": 7.0}, lam=7.0), "run.json", "is of lam 7"),
    "the images per epoch": (record(images_per_epoch=24), "run.json", "images_per_epoch is 24; folds"),
    "the number tested": (record(n_test=17), "run.json", "n_test is 17; folds and crops give 18"),
    "a test subject in training": (record({"train_samples": EVERYBODY}, n_train=54), "run.json", "was not trained on"),
    "no hash of the training samples": (record({"train_samples": ""}), "run.json", "was not trained on exactly"),
    "the test samples": (record({"test_samples": EVERYBODY}), "run.json", "was not tested on exactly"),
    "development subjects": (record(DEVELOPED), "run.json", "the hash of its dev subjects is not that of fold 0"),
    "a missing run": (lambda base: shutil.rmtree(base / RUN), ACCURACY, "no run gives the line"),
    "a fold that is not there": (update(FOLDS, _0=["S999"]), "run.json", "is of fold 0, which folds.json"),
    "a subject in two folds": (update(FOLDS, _2=["S000", "S001", "S002"]), "folds.json", "is tested in fold"),
    "a subject in no fold": (update(FOLDS, _2=[]), "folds.json", "S001 is in no fold (2 subjects)"),
    "a development subject who is tested": (
        update(FOLDS, _0={"test": ["S000", "S001"], "dev": ["S001"]}),
        "folds.json", "S001 is a development subject of fold 0 and tested in it",
    ),
    "subjects who changed folds": (update(FOLDS, **OTHER_FOLDS), "run.json", "the hash of its test subjects"),
    "no folds": (without(FOLDS), "folds.json", "is missing"),
    "no crops.csv": (without(CROPS), "crops.csv", "missing"),
    "crops.csv without a column": (csv(CROPS, lambda t: t.drop(columns="role")), "crops.csv", "lacks the column role"),
    "other crops": (csv(CROPS, put(1, "crop", 0)), "crops/", "do not have the hash"),
    "another neutral face": (csv(CROPS, put(0, "crop", 4)), "crops/", "do not have the hash"),
    "a cached crop": (cached(renewed=False), "images.npy", "its pixels are not those that were cut"),
    "a cached crop with its hash": (cached(renewed=True), "crops/", "its pixels"),
    "a source file": (source_file, "S003_001_00000006.png", "is not the file that was cropped"),
    "accuracy.csv": (csv(ACCURACY, put(0, "accuracy_last", 0.999)), "accuracy.csv", "no run gives"),
    "a row of accuracy.csv": (csv(ACCURACY, lambda t: t.iloc[1:]), "accuracy.csv", "lacks the line"),
    "study.json without versions": (update(STUDY, versions={}), "study.json", "does not say versions"),
    "a seed that study.json lacks": (update(STUDY, seeds=[1]), "study.json", "does not name seed 0"),
    "a precision that was not used": (update(STUDY, precision="tf32"), "study.json", "was trained in fp32"),
    "the source of the faces": (update(STUDY, source="licensed"), "study.json", "says licensed faces"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_file_is_found_by_name(base: Path, name: str) -> None:
    """At least one line names the file and says what is wrong with it."""
    tamper, file, words = TAMPERINGS[name]
    tamper(base)
    problems = audit_study(base / "study").problems
    assert [line for line in problems if file in line and words in line], problems


def test_what_is_not_here_is_not_called_verified(base: Path) -> None:
    """Without cache and copy the audit still passes, and says what it has not seen; so it does of a packed record."""
    pack(base / "study", base / "record")
    shutil.rmtree(base / "crops")
    shutil.rmtree(base / "ckplus")
    for out in ("study", "record"):
        audit = audit_study(base / out)
        assert audit.problems == []
        assert any("training sets of 4 runs" in line for line in audit.verified)
        assert any("not cached here" in line for line in audit.unverified)
        assert any("72 of 72 source files are not here" in line for line in audit.unverified)
        assert not any("source files" in line or "pixels" in line for line in audit.verified)


@pytest.fixture
def shipped_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of a record of MMI, with a copy of the shipped crops that it was cut from, to tamper with."""
    shutil.copytree(shipped.FOLDER / "mmi", tmp_path / "mmi")
    shutil.copytree(repository_root() / "record" / "ablations", tmp_path / "record")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    runs = pd.read_csv(tmp_path / "record/runs.csv", dtype=str, keep_default_na=False)
    kept = runs["folder"].str.match("mmi/gndl-(lam-0|shuffled-neutral)/lam-[^/]+/fold-0/")
    write_csv(runs[kept], tmp_path / "record/runs.csv")
    write_accuracy(tmp_path / "record")
    return tmp_path / "record"


def test_the_shipped_crops_of_a_study_are_verified_by_their_hash(shipped_record: Path) -> None:
    """Those that the runs were trained on, or were made from; labels are those of the shipped sequences."""
    audit = audit_study(shipped_record)
    assert audit.problems == []
    title = "mmi: pixels of the shipped crops"
    assert any(line.startswith(f"{title}, labels and names") for line in audit.verified)
    assert f"{title}: gndl-shuffled-neutral was trained on larger ones, rearranged" in audit.unverified
    predictions = pd.read_csv(shipped_record / "predictions.csv.gz", dtype=str)
    swapped = {"anger": "fear", "fear": "anger"}
    changed = predictions.assign(**{name: predictions[name].replace(swapped) for name in ("truth", "predicted")})
    changed = changed.rename(columns={f"p_{one}": f"p_{other}" for one, other in swapped.items()})
    write_csv(changed[predictions.columns], shipped_record / "predictions.csv.gz")
    assert any("mmi: its pixels, or the labels tested, do not" in line for line in audit_study(shipped_record).problems)
    about = shipped_record.parent / "mmi/about.json"
    write_json(about, json.loads(about.read_text()) | {"pictures": "0" * 64})
    assert any("pictures.xz: not the crops that were" in line for line in audit_study(shipped_record).problems)


def shifted(table: pd.DataFrame) -> pd.DataFrame:
    """The predictions as of a run across: samples after the 36 trained on, subjects with their database."""
    return table.assign(sample=range(36, 54), subject="mmi/" + table["subject"])


HASHES = {"train_samples": hash_json(list(range(36))), "test_samples": hash_json(list(range(36, 54)))}
ACROSS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, str], str]] = {
    "honest": (shifted, HASHES, ""),
    "subjects of a database trained on": (lambda t: shifted(t).assign(subject="ckplus/S1"), HASHES, "not of mmi alone"),
    "other samples": (lambda t: shifted(t)[::-1], HASHES, "does not hold the 18 test samples in order"),
    "trained on more": (shifted, HASHES | {"train_samples": EVERYBODY}, "train_samples is not the hash of its 36"),
    "tested on others": (shifted, HASHES | {"test_samples": EVERYBODY}, "test_samples is not the hash of its 18"),
}


@pytest.mark.parametrize("name", ACROSS)
def test_runs_across_databases_are_audited(base: Path, name: str) -> None:
    """They test one database alone, which was not trained on, on the samples that follow the trained ones."""
    change, identity, words = ACROSS[name]
    record(identity)(base)
    csv(PREDICTIONS, change)(base)
    folder = base / "study/across/ckplus-to-mmi/gndl/lam-5/fold-0/seed-0"
    folder.parent.mkdir(parents=True)
    (base / RUN).rename(folder)
    audit = audit_study(base / "study")
    problems = [line for line in audit.problems if "ckplus-to-mmi" in line]
    assert all(words in line for line in problems) and bool(problems) is bool(words), problems
    verified = "across databases: accuracies and test subjects of 1 run"
    assert (verified in audit.verified) is not bool(words)


def test_code_that_is_not_committed_is_not_called_verified(base: Path) -> None:
    for git, words in (({"commit": "1" * 40, "changed": True}, "uncommitted changes"), ({}, "an unknown commit")):
        update(STUDY, git=git)(base)
        assert any(words in line for line in audit_study(base / "study").unverified)
    update(STUDY, git={"commit": "1" * 40, "changed": False})(base)
    assert not any("study.json" in line for line in audit_study(base / "study").unverified)


# Fold lists


def write_ids(folder: Path, test: list[list[str]], train: list[list[str]] | None = None) -> Path:
    """Id files of picture names; by default each fold trains on what the others test."""
    folder.mkdir()
    for fold, names in enumerate(test):
        others = [name for other, own in enumerate(test) if other != fold for name in own]
        (folder / f"test_ids_{fold}.csv").write_text("\n".join(names))
        (folder / f"train_ids_{fold}.csv").write_text("\n".join(others if train is None else train[fold]))
    return folder


def test_shared_subjects_are_counted_fold_by_fold(tmp_path: Path) -> None:
    """S001 is on both sides of both folds, once by the same sequence; S002 and S003 are not."""
    test = [["S001_001_00000001.png", "S002_001_00000001.png"], ["S001_001_00000002.png", "S003_001_00000001.png"]]
    folder = write_ids(tmp_path / "ids", test)
    for path in (folder, folder / "train_ids_1.csv"):
        audit = audit_folds(path)
        assert (audit.shared, audit.subjects) == (("S001",), 3)
        for column in ("shared_subjects", "shared_sequences", "tested_of_shared"):
            assert audit.folds[column].tolist() == [1, 1]
        assert audit.folds["shared_samples"].tolist() == [0, 0]
        assert "1 of 3 subjects are in training and test of the same fold" in str(audit)


@pytest.mark.parametrize("other", ["S52", "S0052", "s052"])
def test_a_leak_spelled_in_two_ways_is_found(tmp_path: Path, other: str) -> None:
    """Letter and number make a person, in id files and in lists of subjects."""
    ids = write_ids(tmp_path / "ids", [["S052_001_01.png", "S001_001_01.png"], [f"{other}_001_02.png"]])
    write_json(tmp_path / "folds.json", {"0": ["S052"], "1": [other]})
    (tmp_path / "folds.csv").write_text(f"subject,fold\nS052,0\n{other},1\n")
    for path in (ids, tmp_path / "folds.json", tmp_path / "folds.csv"):
        audit = audit_folds(path)
        assert [name.upper() for name in audit.shared] == ["S0052" if other == "S0052" else "S052"]
        assert audit.folds["shared_sequences"].tolist() == [1, 1]
        assert not audit.ok and "Subject-independent" not in str(audit)


def test_development_subjects_do_not_train(tmp_path: Path) -> None:
    """However they are spelled; nor may they be tested in the same fold."""
    sides = {"0": {"test": ["S1"], "dev": ["S02"]}, "1": {"test": ["S2", "S3"], "dev": ["S01"]}}
    write_json(tmp_path / "folds.json", sides)
    assert audit_folds(tmp_path / "folds.json").folds["train"].tolist() == [1, 0]
    sides["0"]["dev"] = ["S001"]
    write_json(tmp_path / "folds.json", sides)
    assert any("fold 0 has S001 among its development" in one for one in audit_folds(tmp_path / "folds.json").problems)


def test_classes_missing_and_samples_tested_twice_or_never_are_problems(tmp_path: Path) -> None:
    """Fear is shown in fold 1 only, which therefore trains on none; one frame is tested twice and one never."""
    test = [["Anger/S1_1.png", "Anger/S2_1.png"], ["Anger/S3_1.png", "Fear/S4_1.png"]]
    audit = audit_folds(write_ids(tmp_path / "classes", test))
    assert audit.folds["missing_in_train"].tolist() == ["–", "fear"]
    assert audit.folds["missing_in_test"].tolist() == ["fear", "–"]
    assert any("fold 1 has no training samples of fear" in line for line in audit.problems)
    train = [["S003_001_00000001.png"], ["S003_001_00000001.png"]]
    test = [["S001_001_00000001.png"], ["S001_001_00000001.png", "S002_001_00000001.png"]]
    problems = audit_folds(write_ids(tmp_path / "ids", test, train)).problems
    assert any("S001_001_00000001.png is tested more than once" in line for line in problems)
    assert any("S003_001_00000001.png is never tested" in line for line in problems)


def test_our_own_folds_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists of subjects do not tell classes, which is no problem; the command exits with 0, and with 1 for a leak."""
    write_folds(tmp_path / "folds.json", Folds((("a", "b"), ("c",))))
    assert cli.check(folds=str(tmp_path / "folds.json")) == 0
    said = capsys.readouterr().out
    assert "Subject-independent" in said and "not stated in this format" in said and "subjects tested, mean" in said
    (tmp_path / "folds.csv").write_text("subject,fold\na,0\nb,0\nb,1\nc,1\n")
    assert audit_folds(tmp_path / "folds.csv").shared == ("b",)
    assert cli.check(folds=str(tmp_path / "folds.csv")) == 1


def test_a_file_that_is_not_a_fold_list_is_named(tmp_path: Path) -> None:
    """Missing, half of the id files, and a picture name without a subject, by line."""
    folder = write_ids(tmp_path / "ids", [["S001_1.png"], ["S002_1.png"]])
    with pytest.raises(GndlError, match=r"nowhere.json: no such file"):
        audit_folds(tmp_path / "nowhere.json")
    (folder / "test_ids_0.csv").write_text("S001_1.png\nface17\n")
    with pytest.raises(GndlError, match=r"test_ids_0.csv, line 2: 'face17' does not tell its subject"):
        audit_folds(folder)
    (folder / "train_ids_1.csv").unlink()
    with pytest.raises(GndlError, match="fold 1 has only one of"):
        audit_folds(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(GndlError, match="no fold list"):
        audit_folds(tmp_path / "empty")
