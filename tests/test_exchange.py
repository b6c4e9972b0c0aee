"""What leaves a study (bundles, crops and folds, exported runs), and predictions that come back in."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import open_trained
from layouts import write_ckplus
from PIL import Image
from planted import SequenceMean, planted_pairs
from planted_runs import write_planted_study

from gndl import Study, cli, open_study, results
from gndl.check import audit_study
from gndl.exchange import NUMBER_FIGURES, export_data, import_predictions, pair_table, read_predictions, share
from gndl.files import GndlError, hash_file, repository_root, write_json
from gndl.licence import LICENSED_FACES
from gndl.methods import METHOD_GROUPS
from gndl.tables import IMPORTED
from gndl.train import load_method

SUBJECTS = ("S052", "S055", "S074", "S106")


def make_study(folder: Path) -> Study:
    """A licensed copy of four subjects, each with anger, happiness and surprise: four folds of nine samples."""
    root = write_ckplus(folder / "CK+", SUBJECTS)
    return open_study("ckplus", data_root=root, profile="smoke", out=folder / "study", device="cpu", jobs=1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("exchange"))


# Bundles


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A study with a figure of numbers, a gallery, a notebook, a page with a table, weights and a note."""
    out = write_planted_study(tmp_path / "study", ["mmi"])
    for name in ("figures/sensitivity.png", "figures/hard_samples.png", "figures/hard_samples.csv",
                 "notebooks/2_training.ipynb", "tables/table1.md", "tables/table1.tex", "gndl/weights.safetensors",
                 "notes.md", "log.txt", "figures/folds.pdf", "figures/faces.PDF", "elsewhere/folds.png", "a.jpeg",
                 LICENSED_FACES, ".resume/faces.csv"):  # fmt: skip
        (out / "mmi" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / "mmi" / name).write_bytes(b"content")
    (out / "mmi" / "figures" / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    (tmp_path / "elsewhere.csv").write_text("private")
    return out


def bundled(out: Path, source: str, **entered: list[str]) -> set[str]:
    """Names in the bundle of the study below ``mmi``, but those of its runs, after saying whose faces it holds."""
    content = json.loads((out / "study.json").read_text())
    write_json(out / "study.json", content | {"source": source, "publishable": entered})
    bundle = share(out)
    with zipfile.ZipFile(bundle.path) as archive:
        names = {name.removeprefix("study/") for name in archive.namelist()}
        assert "SHARE.md" in names and source in archive.read("study/SHARE.md").decode()
        about = archive.read("study/SHARE.md").decode()
        assert all(line in about for line in bundle.left_out_in_words())
        everybody = "synthetic identities" if source == "rendered" else "everybody, by consent"
        shown = source == "rendered" or entered == {"mmi": ["*"]}
        assert f"- MMI: {everybody if shown else 'none: numbers, tables and plots without faces only'}" in about
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.read("study/study.json") == (out / "study.json").read_bytes()
    assert names == {*bundle.taken, "SHARE.md"} and not names & set(bundle.left_out)
    everything = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    hidden = {"mmi/.resume/faces.csv", f"mmi/{LICENSED_FACES}"}
    assert everything == {*bundle.taken, *bundle.left_out} | hidden and not hidden & names
    assert bundle.left_out["mmi/figures/link.csv"] == "a link"
    return {name.removeprefix("mmi/") for name in names if name.startswith("mmi/") and "/seed-" not in name}


NUMBERS = {
    *("crops.csv", "folds.json", "figures/hard_samples.csv", "figures/sensitivity.png", "figures/folds.pdf"),
    *("tables/table1.md", "tables/table1.tex"),
}
PICTURES = {"figures/hard_samples.png", "figures/faces.PDF", "elsewhere/folds.png", "a.jpeg"}


def test_a_bundle_of_people_holds_numbers_tables_and_number_figures_only(shared: Path) -> None:
    """Neither notebook nor gallery, even where some subjects may be printed; weights and links never."""
    assert bundled(shared, "licensed", mmi=["S001"]) == NUMBERS
    assert bundled(shared, "own") == NUMBERS


def test_people_of_one_database_agreed_and_of_another_did_not(shared: Path) -> None:
    """The bundle is of both, so no picture is in it."""
    content = json.loads((shared / "study.json").read_text())
    content["asked"]["data_roots"]["oulu_casia"] = "/other"
    write_json(shared / "study.json", content)
    assert bundled(shared, "own", mmi=["*"]) == NUMBERS


def test_a_bundle_of_synthetic_faces_holds_pictures_and_notebooks(shared: Path) -> None:
    """And one of people who agreed to be shown; twice the same bytes."""
    everything = NUMBERS | PICTURES | {"notebooks/2_training.ipynb", "notes.md", "log.txt"}
    assert bundled(shared, "rendered") == everything
    first = (shared.parent / "study-share.zip").read_bytes()
    assert bundled(shared, "rendered") == everything
    assert (shared.parent / "study-share.zip").read_bytes() == first
    assert bundled(shared, "own", mmi=["*"]) == everything


def test_the_command_says_what_it_left_out(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.share(str(shared), str(shared.parent / "out.zip")) == 0
    said = capsys.readouterr().out
    assert "not numbers, a figure or a notebook (such as `mmi/gndl/weights.safetensors`)" in said and "out.zip" in said


def test_every_figure_of_the_notebooks_is_known_to_show_faces_or_numbers() -> None:
    """A figure that `gndl share` does not know stays out of the bundle of a licensed study."""
    faces = {
        "neutral_to_apex",
        "contact_sheet",
        "doubtful_crops",
        "mean_faces",
        "augmented_batch",
        "hard_samples",
        "hard_samples_reverse",
    }
    notebooks = [
        path.read_text(encoding="utf-8") for path in sorted((repository_root() / "notebooks").glob("[1-57]_*.ipynb"))
    ]
    saved = {name for text in notebooks for name in re.findall(r'plots\.save\([^,]+, \w+, \\"(\w+)\\"', text)}
    named = {name for text in notebooks for name in re.findall(r'show\(\w+, \\"(\w+)\\"', text)}
    assert (saved | named | set(METHOD_GROUPS)) - faces == set(NUMBER_FIGURES)


# Data out, predictions in


def filled(study: Study, wrong: str = "", folds: tuple[int, ...] = (0, 1, 2, 3)) -> pd.DataFrame:
    """The form, filled in: right with 70 %, except for one class that is called sadness."""
    form = pair_table(study)[["sample", "fold", "truth"]]
    form = form[form["fold"].isin(folds)].assign(predicted=form["truth"].replace({wrong: "sadness"} if wrong else {}))
    for name in study.pairs.expressions:
        form[f"p_{name}"] = np.where(form["predicted"] == name, 0.7, 0.05)
    return form


def written(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def test_an_export_holds_the_studys_own_pixels_pairs_and_folds(study: Study, tmp_path: Path) -> None:
    """Pictures byte for byte, samples in order, folds as dealt, the licence's label; twice the same bytes."""
    folder = export_data([study], tmp_path / "data")
    own = folder / "ckplus"
    pairs = pd.read_csv(own / "pairs.csv")
    assert list(pairs["sample"]) == list(range(36))
    for which, index in (("examined", study.pairs.examined_index), ("neutral", study.pairs.neutral_index)):
        for name, crop in zip(pairs[which], index, strict=True):
            with Image.open(own / name) as picture:
                assert np.array_equal(np.asarray(picture), study.crops.images[int(crop)])
    for name in ("subject", "sequence", "frame", "label"):
        assert pairs[name].tolist() == list(getattr(study.pairs, name))
    assert pairs["truth"].tolist() == [study.classes[label] for label in pairs["label"]]
    form = pd.read_csv(own / "predictions.csv")
    assert form.columns.tolist() == ["sample", "fold", "truth", "predicted", *(f"p_{name}" for name in study.classes)]
    assert form["predicted"].isna().all() and form[["fold", "truth"]].equals(pairs[["fold", "truth"]])
    folds = pd.read_csv(own / "folds.csv")
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
    with pytest.raises(GndlError, match="already exists"):
        export_data([study], folder)


def test_imported_predictions_stand_among_the_results_with_their_mark(tmp_path: Path) -> None:
    """Accuracy 2/3 by hand in every fold; the audit finds no problem, then the file that was changed."""
    study = make_study(tmp_path)
    file = written(filled(study, wrong="anger"), tmp_path / "svm.csv")
    words = {"method": "svm", "run": str(study.out), "subject_disjoint": True}
    assert cli.import_predictions(str(file), **words) == 0  # type: ignore[arg-type]
    runs = results.read(study.out).runs
    assert runs["method"].tolist() == ["imported-svm"] * 4 and runs["imported"].all()
    assert runs["accuracy_last"].tolist() == pytest.approx([2 / 3] * 4)
    assert runs["source"].unique().tolist() == ["licensed"]
    audit = audit_study(study.out)
    assert audit.problems == []
    assert any("imported-svm: was imported, its training was not seen" in line for line in audit.unverified)
    folder = study.folder / "imported-svm/lam-none/fold-0/seed-0"
    kept = json.loads((folder / "run.json").read_text())
    assert kept["imported"]["note"] == IMPORTED and kept["imported"]["sha256"] == hash_file(file)
    assert (kept["n_train"], kept["n_test"], kept["needs_neutral_at_test"]) == (27, 9, False)
    (folder / "predictions.csv").write_text((folder / "predictions.csv").read_text() + "\n")
    kept["imported"]["subject_disjoint"] = False
    (folder / "run.json").write_text(json.dumps(kept))
    problems = "\n".join(audit_study(study.out).problems)
    assert "is not what was imported" in problems and "were not declared subject-disjoint" in problems


def test_the_same_file_can_be_imported_twice_and_another_not(study: Study, tmp_path: Path) -> None:
    """Nothing is overwritten; some of the folds are enough, if each is complete."""
    file = written(filled(study, folds=(1, 3)), tmp_path / "once.csv")
    first = import_predictions(study, file, "once", subject_disjoint=True)
    before = [(folder / "predictions.csv").read_bytes() for folder in first]
    assert [folder.parent.name for folder in first] == ["fold-1", "fold-3"]
    options = {"subject_disjoint": True, "seed": 2, "needs_neutral_at_test": True}
    nearly = filled(study, folds=(1,)).assign(p_fear=0.0509)  # sums to 1.0009, and is stored as probabilities
    (seen,) = import_predictions(study, written(nearly, tmp_path / "nearly.csv"), "once", **options)
    record = json.loads((seen / "run.json").read_text())
    assert (
        seen.name == "seed-2" and record["needs_neutral_at_test"] and record["seed"] == record["identity"]["seed"] == 2
    )
    stored = pd.read_csv(seen / "predictions.csv").filter(like="p_")
    np.testing.assert_allclose(stored.sum(axis=1), 1, atol=1e-6)
    assert import_predictions(study, file, "once", subject_disjoint=True) == first
    other = written(filled(study, wrong="anger", folds=(1, 3)), tmp_path / "other.csv")
    with pytest.raises(GndlError, match="holds other predictions"):
        import_predictions(study, other, "once", subject_disjoint=True)
    assert [(folder / "predictions.csv").read_bytes() for folder in first] == before


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.drop(index=t.index[4]), r"1 of the 9 samples of fold \d are missing"),
        (lambda t: pd.concat([t, t.iloc[[4]]]), r"row 38: sample is '4', which appears twice"),
        (lambda t: t.assign(truth=["fear", *t["truth"][1:]]), r"row 2: truth is 'fear', in the study"),
        (lambda t: t.assign(fold=[(f + 1) % 4 for f in t["fold"]]), r"row 2: fold is"),
        (lambda t: t.assign(sample=[99, *t["sample"][1:]]), r"row 2: sample is '99', but samples are 0 to 35"),
        (lambda t: t.assign(sample=["9" * 5000, *t["sample"][1:]]), r"row 2: sample is '9{40}', not a number"),
        (lambda t: t.assign(subject="s0522"), r"row 2: subject is 's0522', in the study 'S\d+'; correct the file"),
        (lambda t: t.assign(sequence="x"), r"row 2: sequence is 'x', in the study 'S\d+_001'"),
        (lambda t: t.assign(frame="x.png"), r"row 2: frame is 'x\.png', in the study 'S"),
        (lambda t: t.assign(p_fear=1.2), r"row 2: p_fear is '1\.2', not a probability"),
        (lambda t: t.assign(p_fear=0.0511), r"row 2: .* its probabilities sum to 1\.001"),
        (lambda t: t.assign(p_fear=0.2), r"row 2: .* its probabilities sum to 1\.15"),
        (lambda t: t.assign(**dict.fromkeys(t.filter(like="p_"), 1 / 7)), r"row 2: .* not the largest alone"),
        (lambda t: t.assign(p_fear="x"), r"row 2: p_fear is 'x', not a probability"),
        (lambda t: t.assign(p_fear=-0.1), r"row 2: p_fear is '-0\.1', not a probability"),
        (lambda t: t.assign(predicted="joy"), r"row 2: predicted is 'joy', not one of"),
        (lambda t: t.assign(predicted="fear"), r"row 2: predicted is 'fear', but its probability is not the largest"),
        (lambda t: t.drop(columns="p_fear"), r"no column p_fear"),
        (lambda t: t.head(0), r"holds no predictions"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_compared_is_refused_by_row(
    study: Study, tmp_path: Path, spoil: Callable[[pd.DataFrame], pd.DataFrame], words: str
) -> None:
    """And leaves nothing behind."""
    file = written(spoil(filled(study)), tmp_path / "bad.csv")
    with pytest.raises(GndlError, match=f"bad.csv.*{words}"):
        import_predictions(study, file, "bad", subject_disjoint=True)
    assert not (study.folder / "imported-bad").exists()


def test_subjects_of_predictions_are_compared_in_their_normal_form(study: Study, tmp_path: Path) -> None:
    """``s52`` is S052, and a file may have a byte order mark, blank lines and blanks."""
    table = filled(study).assign(subject=[f" s{int(name[1:])}" for name in study.pairs.subject])
    file = written(table, tmp_path / "spelled.csv")
    file.write_text("\ufeff" + file.read_text().replace("\n", "\n\n", 3), encoding="utf-8")
    assert read_predictions(study, file).index.tolist() == list(range(36))
    file.write_text(file.read_text(encoding="utf-8-sig").replace("s52", "s053", 1), encoding="utf-8")
    with pytest.raises(GndlError, match=r"row 3: subject is 's053', in the study 'S052'"):
        read_predictions(study, file)


def test_disjointness_has_to_be_declared_and_the_name_to_be_valid(study: Study, tmp_path: Path) -> None:
    """Without the declaration nothing is read."""
    file = written(filled(study), tmp_path / "fine.csv")
    with pytest.raises(GndlError, match="--subject-disjoint"):
        import_predictions(study, file, "fine", subject_disjoint=False)
    for name in ("imported-x", "A B", "../x"):
        with pytest.raises(GndlError, match="not a valid name"):
            import_predictions(study, file, name, subject_disjoint=True)


# Exported runs


@pytest.fixture
def run(trained_study: Path) -> Path:
    return trained_study / "study/ckplus/gndl/lam-5/fold-0/seed-0"


def test_onnx_runtime_gives_the_probabilities_of_the_study(
    trained_study: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From bytes to probabilities, for any number of faces, within 1e-4 of the run's own predictions."""
    ort = pytest.importorskip("onnxruntime", reason="the extra gndl[export]")
    assert cli.export(str(run), str(tmp_path)) == 0
    assert "synthetic stand-in faces only" in capsys.readouterr().out
    study = open_trained(trained_study)
    kept = pd.read_csv(run / "predictions.csv").head(5)
    data = study.pairs.on("cpu", 16)
    faces = np.asarray(data.images[data.examined_index[kept["sample"].to_numpy()]])
    session = ort.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for some in (faces, faces[:1]):
        found, logits = session.run(["probabilities", "logits"], {"faces": some})
        assert np.abs(found - kept.filter(like="p_").to_numpy()[: len(some)]).max() < 1e-4
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, found, atol=1e-6)
    assert (tmp_path / "weights.safetensors").read_bytes() == (run / "weights.safetensors").read_bytes()
    about, record = (json.loads(path.read_text("utf-8")) for path in (tmp_path / "model.json", run / "run.json"))
    assert about["classes"] == list(study.classes) and about["input"]["shape"] == ["batch", 16, 16]
    assert about["outputs"] == {name: ["batch", 7] for name in ("probabilities", "logits")}
    for name in ("lam", "fold", "seed", "accuracy_last", "n_train", "n_test", "epochs", "parameters", "identity_hash"):
        assert about[name] == record[name], name
    assert [about[name] for name in ("method", "database", "source", "labelled")] == ["gndl", "ckplus", "rendered", ""]
    assert about["versions"] == record["versions"] and 0 <= about["largest_difference_to_pytorch"] < 1e-4
    assert about["sha256"] == {name: hash_file(tmp_path / name) for name in ("model.onnx", "weights.safetensors")}
    card = (tmp_path / "MODEL-CARD.md").read_text(encoding="utf-8")
    for words in (
        *(
            "# gndl on the CK+ stand-in",
            "synthetic stand-in faces only",
            "anger, ",
            "batch × 16 × 16",
            "## Limitations",
        ),
        *("grey", "gndl, λ = 5; ResNet-18", f"{record['parameters']:,} parameters", f"`{record['identity_hash']}`"),
        "| 36 pairs of the CK+ stand-in (synthetic, no real people), fold 0, seed 0, 1 epochs in fp32 |",
        f"| {100 * record['accuracy_last']:.1f} % of 18 test samples of the fold, last epoch |",
        "| Starting weights | random |",
    ):
        assert words in card
    assert not (tmp_path / LICENSED_FACES).exists()


def test_weights_of_licensed_faces_carry_a_warning(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the head of the card, and as a file that model.json names."""
    pytest.importorskip("onnxruntime", reason="the extra gndl[export]")
    from gndl.export import card_text, export_run

    licensed, (method, _) = shutil.copytree(run, tmp_path / "run"), load_method(run)
    record = json.loads((licensed / "run.json").read_text())
    record["identity"]["extra"] |= {"source": "licensed", "database": "ckplus+mmi-to-oulu_casia"}
    write_json(licensed / "run.json", record)
    write_json(licensed / "run.json", record | {"lam": None, "weights": {"name": "vgg.pth"}, "variant": "other"})
    monkeypatch.setattr("gndl.export.load_method", lambda run: (method, json.loads((run / "run.json").read_text())))
    export_run(licensed, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "model.json").read_text(encoding="utf-8"))
    words = (tmp_path / "out" / about["labelled"]).read_text()
    assert about["labelled"] == LICENSED_FACES and "weights trained on faces of a licensed copy of CK+ and MMI" in words
    card = (tmp_path / "out" / "MODEL-CARD.md").read_text(encoding="utf-8")
    assert card.splitlines()[2].startswith("**WARNING: trained on a licensed copy of CK+ and MMI")
    assert "of Oulu-CASIA, which was not trained on" in card and "| other; ResNet-18" in card
    assert "| Method | other; 3 parameters |" in card_text(about | {"backbone": None, "parameters": 3, "lam": None})
    assert "| Starting weights | a weights file (vgg.pth) with its own terms |" in card


def test_a_run_that_cannot_be_exported_is_named_and_writes_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs the neutral face; ONNX Runtime disagrees; it is in no study and no folder was given."""
    from gndl import export

    copy = shutil.copytree(run, tmp_path / "run")
    monkeypatch.setattr(export, "write_onnx", lambda _network, _faces, path: path.write_bytes(b"graph"))
    for difference in (float("nan"), 1.1e-4):
        monkeypatch.setattr(export, "largest_difference", lambda *_, found=difference: found)
        with pytest.raises(GndlError, match="differ by"):
            export.export_run(copy, tmp_path / "out")
    write_json(copy / "run.json", json.loads((copy / "run.json").read_text()) | {"needs_neutral_at_test": True})
    with pytest.raises(GndlError, match="needs the person's neutral face"):
        export.export_run(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_lies_next_to_its_study_unless_told_otherwise(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no bundle of the study contains it; the worse of both batch sizes is what is said."""
    from gndl import export

    copy = shutil.copytree(run, tmp_path / "study" / Path(*run.parts[-5:]))
    shutil.copy(run.parents[4] / "study.json", tmp_path / "study")
    monkeypatch.setattr(export, "write_onnx", lambda _network, _faces, path: path.write_bytes(b"graph"))
    monkeypatch.setattr(export, "largest_difference", lambda _network, _graph, faces: 1e-5 / len(faces))
    done = export.export_run(copy)
    assert done.folder == tmp_path / "exports" / "study-ckplus-gndl-lam-5-fold-0-seed-0" and done.difference == 1e-5
    assert {path.name for path in done.folder.iterdir()} == {
        *("model.onnx", "model.json", "weights.safetensors", "MODEL-CARD.md"),
    }


@pytest.mark.parametrize("colour", [False, True])
def test_the_exported_network_normalises_as_training_does(colour: bool) -> None:
    """From bytes, each colour channel by its own mean and standard deviation."""
    from gndl.export import FromBytes, trial_faces

    pairs = planted_pairs(3, 3, 16, colour=colour)
    settings = {"input_mean": (0.1, 0.2, 0.3), "input_std": (0.5, 0.25, 0.2)}
    data = pairs.on("cpu", mean=settings["input_mean"], std=settings["input_std"])
    (batch,) = data.evaluation_batches(np.arange(3), 3)
    method = SequenceMean(3).eval()
    faces = data.images[data.examined_index]
    expected = method(batch.examined, None, torch.arange(3)).logits
    probabilities, logits = FromBytes(method, settings, colour)(faces)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(probabilities, expected.softmax(1))
    trial = trial_faces(4, 16, colour)
    assert trial.shape == (4, 16, 16, *[3] * colour) and trial.dtype == torch.uint8 and trial.float().std() > 10
