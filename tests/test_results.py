"""Tables of results are what one would compute by hand from the files, and a packed record loses nothing."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planted_runs import predictions, write_planted_study, write_run

from gndl import results
from gndl.files import GndlError, write_json, write_text
from gndl.record import fold_table

A, H = (0.9, 0.1), (0.2, 0.8)
CLASSES = ("anger", "happiness")
RUN = "ckplus/gndl/lam-5/fold-0/seed-0"


def one_fold(fold: int, truths: str, answers: str) -> pd.DataFrame:
    """Predictions of one subject; every three frames are one sequence. ``"AAH"`` are classes by their first letter."""
    names = {"A": "anger", "H": "happiness"}
    frames = [
        (f"S{fold:03}", f"S{fold:03}_{number // 3}", names[truth], A if answer == "A" else H)
        for number, (truth, answer) in enumerate(zip(truths, answers, strict=True))
    ]
    return predictions(frames, CLASSES, 10 * fold)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two methods on two folds of six and three samples, trained on 30 and 34; the best epoch was never the last."""
    for method, lam, first in (("baseline", "none", "AHHHHH"), ("gndl", "5", "AAHHHH")):
        for fold, truths, answers in ((0, "AAAHHH", first), (1, "HHH", "HHA")):
            folder = write_run(tmp_path, method, lam, fold, one_fold(fold, truths, answers), n_train=30 + 4 * fold)
            change_record(folder / "run.json", lambda record, fold=fold: record.update(accuracy_best=1 - fold / 10))
    return tmp_path


def change_record(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    write_json(path, record)


def change_cell(path: Path, row: int, column: str, value: str) -> None:
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[row][lines[0].index(column)] = value
    write_text(path, "".join(f"{','.join(line)}\n" for line in lines))


def test_a_summary_is_what_one_counts_on_paper(study: Path) -> None:
    """Folds of unequal size: mean of folds and pooled accuracy differ (L12, L17); the last epoch counts (L10)."""
    summary = results.summarise(results.read(study)).set_index("method")
    # baseline: 4 of 6 and 2 of 3; gndl: 5 of 6 and 2 of 3
    expected = {
        "baseline": {"accuracy": 2 / 3, "sd": 0.0, "pooled": 6 / 9, "per_sequence": 2 / 3, "images_per_epoch": 34},
        "gndl": {"accuracy": 3 / 4, "sd": np.sqrt(2) / 12, "pooled": 7 / 9, "per_sequence": 1, "images_per_epoch": 68},
    }
    for method, values in expected.items():
        values |= {"chance": 6 / 9, "optimistic": 0.95, "folds": 2, "seeds": 1, "n_test": 9, "parameters": 1000}
        assert summary.loc[method, list(values)].tolist() == pytest.approx(list(values.values())), method
    assert np.isnan(summary.loc["baseline", "lam"]) and summary.loc["gndl", "lam"] == 5
    assert summary["neutral_in_training"].tolist() == [False, True]


def test_seeds_of_a_fold_are_averaged_first(study: Path) -> None:
    """And a sample counts once, whatever the number of seeds; predictions of all seeds are pooled."""
    write_run(study, "gndl", "5", 0, one_fold(0, "AAAHHH", "AAAHHH"), seed=1)
    row = results.summarise(results.read(study).only(methods="gndl")).iloc[0]
    assert row["accuracy"] == pytest.approx(((5 / 6 + 1) / 2 + 2 / 3) / 2)
    assert row[["folds", "seeds", "n_test"]].tolist() == [2, 2, 9] and row["pooled"] == pytest.approx(13 / 15)
    write_run(study, "baseline", "none", 1, one_fold(1, "HHH", "HHH"), seed=1)
    both = results.read(study).only(folds=1)
    assert results.summarise(both)[["folds", "seeds"]].to_numpy().tolist() == [[1, 2], [1, 1]]
    assert results.summarise(both)["sd"].isna().all(), "one fold has no spread"


def test_a_sequence_has_one_vote_by_its_mean_probability(study: Path) -> None:
    """One "anger" at 0.9 and two "happiness" at 0.8: happiness has the larger mean. Each run votes by itself."""
    read = results.read(study)
    votes = results.sequence_votes(read.only(methods=["baseline"]).predictions)
    assert votes["sequence"].tolist() == ["S000_0", "S000_1", "S001_0"] and set(votes["predicted"]) == {"happiness"}
    assert votes["truth"].tolist() == ["anger", "happiness", "happiness"] and len(votes.columns) == 9
    both = results.sequence_votes(read.predictions).set_index(["method", "sequence"])["predicted"]
    assert len(both) == 6 and both["gndl", "S000_0"] == "anger"
    counts = results.confusion_counts(read.only(methods="baseline").predictions, (*CLASSES, "fear"))
    assert counts.to_numpy().tolist() == [[1, 2, 0], [1, 5, 0], [0, 0, 0]], "truth in rows, also classes never shown"


def test_runs_are_in_the_order_of_databases_and_numbers(tmp_path: Path) -> None:
    for database in ("mmi", "oulu_casia"):
        for method, lam, fold in (("gndl", "5", 10), ("gndl", "5", 2), ("gndl", "20", 2), ("baseline", "none", 2)):
            write_run(tmp_path, method, lam, fold, one_fold(0, "AAA", "AAA"), database=database)
    runs = results.read(tmp_path).runs
    assert runs["database"].tolist() == ["oulu_casia"] * 4 + ["mmi"] * 4
    one = runs[runs["database"] == "mmi"]
    assert one["lam"].tolist() == pytest.approx([np.nan, 5, 5, 20], nan_ok=True)
    assert one["fold"].tolist() == [2, 2, 10, 2]


def test_only_keeps_what_was_asked_for_and_methods_without_lam(study: Path) -> None:
    write_run(study, "gndl", "0.5", 0, one_fold(0, "AAA", "AAA"))
    read = results.read(study)
    assert read.runs["lam"].tolist() == pytest.approx([np.nan, np.nan, 0.5, 5, 5], nan_ok=True)
    assert read.headline.runs["lam"].dropna().tolist() == [5, 5], "λ fixed in advance (ledger L19)"
    settings = {"lam": 0.5, "train": {"epochs": 1}}
    write_json(study / "study.json", {"asked": {"settings": settings}, "source": "own"})
    fixed = results.read(study)
    assert fixed.headline.runs["lam"].dropna().tolist() == [0.5] and fixed.source == "own"
    assert len(read.only(lams=0.5).runs) == 3
    assert len(read.only(methods="gndl", lams=[0.5, 5], folds=0).predictions) == 9
    assert read.only(seeds=[7]).runs.empty and read.only(database="mmi").runs.empty
    with pytest.raises(GndlError, match="holds none of these runs"):
        _ = read.only(seeds=[7]).predictions


def test_a_record_says_what_was_measured(study: Path) -> None:
    read = results.read(study)
    assert (read.source, read.title("ckplus"), read.classes("ckplus")) == ("rendered", "CK+ stand-in", CLASSES)
    assert results.measured_on("ckplus-to-mmi", "licensed") == "CK+ to MMI"


def test_accuracy_csv_has_the_columns_that_others_read(study: Path) -> None:
    results.write_accuracy(study)
    first, *rows = (study / "accuracy.csv").read_text().splitlines()
    assert first == (
        "database,source,method,lam,fold,seed,needs_neutral_at_test,"
        "accuracy_last,accuracy_best,epoch_best,n_train,n_test"
    )
    assert rows[0] == "ckplus,rendered,baseline,none,0,0,False,0.6666666666666666,1.0,1,30,6"
    assert len(rows) == 4


def test_runs_trained_otherwise_are_never_averaged(study: Path) -> None:
    """Another learning rate, or more epochs, in one fold: the mean is refused and the field named."""

    def other_rate(record: dict[str, Any]) -> None:
        record["identity"]["train"]["learning_rate"] = 0.1

    path = study / "ckplus/gndl/lam-5/fold-1/seed-0/run.json"
    whole = path.read_text()
    change_record(path, other_rate)
    with pytest.raises(GndlError, match=r"train\.learning_rate: 0\.001, now 0\.1.*Train them alike"):
        results.summarise(results.read(study))
    path.write_text(whole)
    change_record(path, lambda record: record.update(epochs=3))
    with pytest.raises(GndlError, match="epochs: 1, now 3"):
        results.summarise(results.read(study))
    path.write_text(whole)
    # What belongs to one fold may differ, and so may the subjects that it tests.
    change_record(path, lambda record: record["identity"]["extra"].update(test_subjects="others", dev_subjects="more"))
    assert len(results.summarise(results.read(study))) == 2


def test_other_pairs_are_refused_unless_the_method_rearranges_them(study: Path) -> None:
    """Shuffled neutral faces differ from fold to fold by design; other pictures do not."""
    for fold in (0, 1):
        folder = write_run(study, "gndl-shuffled-neutral", "5", fold, one_fold(fold, "AAH", "AAH"))
        change_record(folder / "run.json", lambda record, fold=fold: record["identity"].update(pairs=f"fold {fold}"))
    assert len(results.summarise(results.read(study))) == 3
    change_record(study / RUN / "run.json", lambda record: record["identity"].update(pairs="others"))
    with pytest.raises(GndlError, match="pairs: others, now planted"):
        results.summarise(results.read(study))


def test_imported_runs_have_predictions_and_no_epochs(study: Path) -> None:
    """Their training is unknown: no curve, no best epoch, no size; they are averaged like any others."""
    folder = write_run(study, "imported-other", "none", 0, one_fold(0, "AAAHHH", "AAAHHH"))
    unknown = dict.fromkeys(("accuracy_best", "epoch_best", "images_per_epoch", "parameters"))
    change_record(folder / "run.json", lambda record: record.update(unknown, imported={"audited": False}, epochs=0))
    write_text(folder / "epochs.csv", "epoch,loss,loss_cls,loss_neu,accuracy_train,accuracy_test\n")
    read = results.read(study)
    row = results.summarise(read).set_index("method").loc["imported-other"]
    assert row["accuracy"] == 1 and row["imported"] and row[["optimistic", "parameters"]].isna().all()
    assert "imported-other" not in set(read.epochs["method"]) and "imported-other" in set(read.predictions["method"])
    results.write_accuracy(study)
    assert "imported-other,none,0,0,False,1.0,,,30,6" in (study / "accuracy.csv").read_text()


@pytest.mark.parametrize("classes", [("nan", "fear"), ("5", "05"), ("NA", "1e5"), ("中性", "True")])
def test_names_that_look_like_numbers_or_missing_values_stay_names(tmp_path: Path, classes: tuple[str, str]) -> None:
    """A class, subject or sequence called NA, None, nan or 5, in a study and packed."""
    frames = [("007", "None", classes[0], (0.9, 0.1)), ("NA", "12", classes[1], (0.1, 0.9))]
    write_run(tmp_path / "study", "gndl", "5", 0, predictions(frames, classes))
    write_json(tmp_path / "study/study.json", {"asked": {"settings": {"train": {"epochs": 1}}}})
    results.write_accuracy(tmp_path / "study")
    results.pack(tmp_path / "study", tmp_path / "record")
    for out in (tmp_path / "study", tmp_path / "record"):
        read = results.read(out)
        table, (one, other) = read.predictions, classes
        assert table[["subject", "sequence", "truth", "predicted"]].to_numpy().tolist() == [
            ["007", "None", one, one],
            ["NA", "12", other, other],
        ]
        assert results.confusion_counts(table, read.classes("ckplus")).to_numpy().tolist() == [[1, 0], [0, 1]]
        assert results.sequence_votes(table).set_index("sequence")["predicted"].to_dict() == {"None": one, "12": other}


def test_copies_and_unfinished_runs_do_not_count(study: Path) -> None:
    folder = study / RUN
    for name in ("fold-0/seed-0.bak", "fold-0 (copy)/seed-0", "fold-0/seed-00"):
        shutil.copytree(folder, folder.parents[1] / name)
    shutil.copytree(folder.parents[1], folder.parents[1].with_name("lam-5.0"))
    assert len(results.read(study).runs) == 4
    (folder / "predictions.csv").unlink()
    assert len(results.read(study).runs) == 3


@pytest.mark.parametrize(
    ("name", "column", "value", "said"),
    [
        ("predictions", "sample", "1.5", "'1.5'"),
        ("predictions", "sample", "1e999", "'inf'"),
        ("predictions", "truth", "", "blank"),
        ("predictions", "p_anger", "", "blank"),
        ("predictions", "p_anger", "many", "'many'"),
        ("epochs", "epoch", "", "blank"),
        ("epochs", "loss", "nan", "('nan'|blank)"),
        ("epochs", "accuracy_test", "many", "'many'"),
    ],
)
def test_a_cell_that_no_run_writes_is_named_by_row(study: Path, name: str, column: str, value: str, said: str) -> None:
    path = study / RUN / f"{name}.csv"
    change_cell(path, 1, column, value)
    with pytest.raises(GndlError, match=rf"{name}\.csv, row 2: {column} is {said}"):
        getattr(results.read(study), name)
    if name == "predictions":
        path.write_text(path.read_text().splitlines()[0])
        with pytest.raises(GndlError, match=rf"{RUN}/predictions\.csv has no row"):
            _ = results.read(study).predictions


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study of two databases with a run across them, folds, crops, analyses and odd names; and the same packed."""
    study = write_planted_study(tmp_path_factory.mktemp("runs") / "study")
    write_run(study / "across", "gndl", "5", 0, one_fold(0, "AAH", "AHH"), database="ckplus-to-mmi")
    odd = predictions([("1e5", 'a,"b"', "anger", A), ("NA", "ü", "happiness", H)], CLASSES)
    write_run(study, "imported-odd", "none", 0, odd)
    for database, subject in (("ckplus", "S000"), ("mmi", "007")):
        write_text(study / database / "crops.csv", f"database,subject,frame,crop\n{database},{subject},1.png,0\n")
        write_text(study / database / "analysis/agreement.csv", f"measure,value\ncosine,{len(database)}.50\n")
    write_json(study / "mmi/folds.json", {"0": {"test": ["S1"], "dev": ["S2"]}, "1": {"test": ["S2"], "dev": ["S1"]}})
    results.write_accuracy(study)
    results.pack(study, study.parent / "record")
    return study, study.parent / "record"


def test_a_packed_record_gives_the_same_tables(whole: tuple[Path, Path], tmp_path: Path) -> None:
    study, record = (results.read(out) for out in whole)
    assert results.is_packed(record.out) and not results.is_packed(study.out)
    assert record.records == study.records
    assert record.runs["folder"].isna().all() and study.runs["folder"].notna().all()
    pd.testing.assert_frame_equal(record.runs.drop(columns="folder"), study.runs.drop(columns="folder"))
    for name in ("epochs", "predictions", "folds", "crops"):
        pd.testing.assert_frame_equal(getattr(record, name), getattr(study, name))
    pd.testing.assert_frame_equal(record.analysis("agreement"), study.analysis("agreement"))
    assert record.analysis("agreement")["value"].tolist() == [6.5, 3.5]
    few = [out.only(database="ckplus", methods="imported-odd").predictions for out in (record, study)]
    pd.testing.assert_frame_equal(*few)
    assert "p_surprise" not in few[0], "a run has the classes of its own file"
    assert results.read(whole[1], "mmi").runs["database"].unique().tolist() == ["mmi"]
    across = results.read(whole[1], across=True)
    assert across.runs["database"].tolist() == ["ckplus-to-mmi"] and len(across.predictions) == 3
    results.pack(study.out, tmp_path / "record")
    for path in sorted(record.out.rglob("*.*")):
        assert (tmp_path / "record" / path.relative_to(record.out)).read_bytes() == path.read_bytes(), (
            "the same bytes every time"
        )


def test_a_table_of_folds_says_who_is_what(tmp_path: Path) -> None:
    """Whoever is neither tested nor held out trains; without development subjects, whoever is not tested."""
    path = tmp_path / "folds.json"
    write_json(path, {"0": {"test": ["A"], "dev": ["B"]}, "1": {"test": ["B", "C"], "dev": ["A"]}})
    first = [(0, "A", "test"), (0, "B", "dev"), (0, "C", "train")]
    second = [(1, "B", "test"), (1, "C", "test"), (1, "A", "dev")]
    assert list(fold_table(path).itertuples(index=False, name=None)) == first + second
    write_json(path, {"0": ["A"], "1": ["B"]})
    roles = [(0, "A", "test"), (0, "B", "train"), (1, "B", "test"), (1, "A", "train")]
    assert list(fold_table(path).itertuples(index=False, name=None)) == roles


def test_a_packed_record_keeps_the_text_of_every_cell(whole: tuple[Path, Path]) -> None:
    """With the header that runs.csv keeps, a run's own file can be written again, byte for byte."""
    study, record = whole
    texts: dict[str, Any] = {"dtype": str, "keep_default_na": False}
    runs = pd.read_csv(record / "runs.csv", **texts)
    for name in ("epochs.csv", "predictions.csv"):
        whole_table = pd.read_csv(record / f"{name}.gz", **texts)
        for row in runs.to_dict("records"):
            database, method, lam, fold, seed = row["folder"].removeprefix("across/").split("/")
            key = {"database": database, "method": method, "lam": lam[4:], "fold": fold[5:], "seed": seed[5:]}
            own = whole_table[(whole_table[list(key)] == list(key.values())).all(axis=1)]
            text = own[row[name].split(",")].to_csv(index=False, lineterminator="\n")
            assert text == (study / row["folder"] / name).read_text()


def test_values_of_run_json_survive_packing_whatever_they_look_like(whole: tuple[Path, Path], tmp_path: Path) -> None:
    study = Path(shutil.copytree(whole[0], tmp_path / "study"))
    odd = {"text": "5", "null": "null", "blank": "", "float": 0.1 + 0.2, "none": None, "list": ["a", 1], "empty": {}}
    odd |= {"dotted": {"a.b": 1}, "quoted": '"x"', "lines": "a\nb", "deep": {"er": {"text": "1e5"}}}
    change_record(study / RUN / "run.json", lambda record: record.update(odd=odd))
    results.pack(study, tmp_path / "record")
    records = results.read(tmp_path / "record").records
    assert records["ckplus", "gndl", "5", 0, 0]["odd"] == odd


def test_a_damaged_record_is_named(whole: tuple[Path, Path], tmp_path: Path) -> None:
    for name, damage in (
        ("predictions.csv.gz", lambda content: content[:-20]),
        ("epochs.csv.gz", lambda content: gzip.compress(gzip.decompress(content).replace(b",0.5,", b",many,", 1))),
        ("runs.csv", lambda content: content[:-300]),
        ("runs.csv", lambda content: content.replace(b"identity.extra.source", b"identity.extra.sauce")),
    ):
        record = Path(shutil.copytree(whole[1], tmp_path / "record", dirs_exist_ok=True))
        (record / name).write_bytes(damage((record / name).read_bytes()))
        with pytest.raises(GndlError, match=name.replace(".", r"\.")):
            _ = [getattr(results.read(record), table) for table in ("predictions", "epochs")]


def test_a_folder_that_is_not_a_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(GndlError, match=r"nowhere is not a study"):
        results.read(tmp_path / "nowhere")
    write_text(tmp_path / "ckplus" / "folds.json", "[")
    with pytest.raises(GndlError, match=r"folds\.json: not a fold file"):
        _ = results.read(tmp_path).folds
