"""From a database on disk to executed notebooks: one tiny study, made by the command line, looked at from all sides."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import TREE_SIZES

from gndl import cli, results
from gndl.asked import study_request
from gndl.batch import Batch
from gndl.checking.study import check_study
from gndl.errors import GndlError
from gndl.execute import FOR_EACH_DATABASE, notebook_sources
from gndl.prepare import database_root, prepare, write_frames_for_correction
from gndl.request import StudyRequest, joined, profile_named, read_study_json, request_for_notebook
from gndl.runs import find_finished, plan_runs
from gndl.sequences import STAND_IN_LABEL
from gndl.study import open_study, train_missing
from gndl.sweeping.sweep import Sweep

DATABASES = ("ckplus", "oulu_casia", "mmi")
EACH = notebook_sources(FOR_EACH_DATABASE)
"""The notebooks that are run for each of them."""


def options(study: Path, trees: Path, **changes: object) -> cli.Study:
    """The options with which the tiny study was made."""
    given: dict[str, object] = {"profile": "smoke", "data": str(trees), "out": str(study), "jobs": 2, "epochs": 1}
    return cli.Study(**{**given, **changes})  # type: ignore[arg-type]


def test_a_study_holds_every_file_of_its_contract(tiny_study: Path) -> None:
    """Folders, names and columns are what others read."""
    for name in ("study.json", "accuracy.csv", "notebooks/7_report.ipynb", "preview.tex", "tables/numbers.tex",
                 "tables/references.bib", "tables/table1.tex", "tables/comparisons.tex"):  # fmt: skip
        assert (tiny_study / name).is_file(), name
    assert not [path.name for path in tiny_study.rglob("*.ipynb") if path.name[0] in "08" or "failed" in path.name]
    for database in DATABASES:
        folder = tiny_study / database
        for name in ("folds.json", "crops.csv", *(f"notebooks/{source.name}" for source in EACH)):
            assert (folder / name).is_file(), (database, name)
        for method, lam in (("baseline", "lam-none"), ("gndl", "lam-5")):
            run = folder / method / lam / "fold-0" / "seed-0"
            assert {"run.json", "epochs.csv", "predictions.csv", "weights.safetensors"} <= {
                file.name for file in run.iterdir()
            }
            assert not (run / "resume.pt").exists()
        for figure in ("contact_sheet", "neutral_to_apex", "confusion_matrices", "learning_curves", "folds"):
            for kind in ("pdf", "svg", "png", "csv", "tex"):
                assert (folder / "figures" / f"{figure}.{kind}").stat().st_size > 0
        for kind in ("tex", "md", "csv"):
            assert (folder / "tables" / f"table1.{kind}").is_file()
    epochs = pd.read_csv(tiny_study / "ckplus" / "gndl" / "lam-5" / "fold-0" / "seed-0" / "epochs.csv")
    assert list(epochs.columns) == ["epoch", "loss", "loss_cls", "loss_neu", "accuracy_train", "accuracy_test"]


def test_rendered_results_are_labelled_everywhere(tiny_study: Path) -> None:
    """Every row of every CSV says rendered; every table and notebook says stand-in."""
    files = sorted(tiny_study.rglob("*.csv"))
    assert len(files) > 30
    for file in files:
        if file.name not in ("epochs.csv", "predictions.csv", "frames.csv"):  # columns fixed by contract
            table = results.read_csv(file, ("source",))
            assert set(table["source"]) <= {"rendered", "reported by the paper"}, file
    for database in DATABASES:
        assert "rendered stand-in" in (tiny_study / database / "tables" / "table1.md").read_text()
        for source in EACH:
            assert "rendered stand-in" in (tiny_study / database / "notebooks" / source.name).read_text()
    assert "rendered stand-in" in (tiny_study / "notebooks" / "7_report.ipynb").read_text()


def test_notebooks_ran_whole_and_show_their_figures(tiny_study: Path) -> None:
    """papermill executed every cell, none failed, the figures are pictures in them, and all stay below 10 MB."""
    least = {"1_databases": 5, "2_training": 2, "6_explore": 1, "7_report": 20}
    paths = [tiny_study / database / "notebooks" / source.name for database in DATABASES for source in EACH]
    for path in (*paths, tiny_study / "notebooks" / "7_report.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in code)
        outputs = [output for cell in code for output in cell.outputs]
        assert not [output for output in outputs if output.output_type == "error"]
        pictures = [output for output in outputs if {"image/png", "image/jpeg"} & set(output.get("data", {}))]
        assert len(pictures) >= least.get(path.stem, 0), path
        said = [line for output in outputs if output.get("name") == "stderr" for line in output.text.splitlines()]
        assert not [line for line in said if "%|" not in line], path  # plain lines of progress on a slow machine alone
        assert path.stat().st_size < 10_000_000


def test_a_second_batch_would_run_no_notebook(tiny_study: Path, rendered_trees: dict[str, Path]) -> None:
    """Nothing that a notebook was made from has changed; with another seed all would be run."""
    request = study_request(options(tiny_study, rendered_trees["ckplus"].parent))
    request = joined(request, read_study_json(tiny_study)["asked"])
    batch, other = (Batch(asked, 1, Sweep()) for asked in (request, dataclasses.replace(request, seeds=(1,))))
    for database in (*DATABASES, ""):
        assert all(task.is_done() for task in batch.tasks(database)), database
        assert not any(task.is_done() for task in other.tasks(database)), database


def test_papermill_runs_a_notebook_by_itself(tiny_study: Path, rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """The documented papermill command works on a study that is there, and trains nothing again."""
    run = tiny_study / "mmi" / "gndl" / "lam-5" / "fold-0" / "seed-0" / "run.json"
    before = run.read_bytes()
    notebook = Path(cli.__file__).parent.parent / "notebooks" / "2_training.ipynb"
    command = [sys.executable, "-m", "papermill", str(notebook), str(tmp_path / "out.ipynb"), "--no-progress-bar"]
    parameters = {"database": "mmi", "data_root": rendered_trees["mmi"], "profile": "smoke", "out": tiny_study}
    for name, value in parameters.items():
        command += ["-p", name, str(value)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert run.read_bytes() == before


def test_the_audit_finds_nothing_wrong(tiny_study: Path) -> None:
    """`gndl check RUN` derives again what follows from the files."""
    assert check_study(tiny_study) == []


def test_a_second_call_trains_nothing(tiny_study: Path, rendered_trees: dict[str, Path]) -> None:
    """Every run that is planned is found finished, with the very identity that is asked for."""
    request = study_request(options(tiny_study, rendered_trees["ckplus"].parent))
    for database in DATABASES:
        study = prepare(request, database)
        assert [find_finished(study, run) is not None for run in plan_runs(study)] == [True, True]


def test_no_subject_trains_and_is_tested(tiny_study: Path, rendered_trees: dict[str, Path]) -> None:
    """Predictions of fold 0 name only subjects of fold 0, whom no other fold tests."""
    for database in DATABASES:
        folds = json.loads((tiny_study / database / "folds.json").read_text())
        everyone = [subject for subjects in folds.values() for subject in subjects]
        assert len(everyone) == len(set(everyone))
        for method, lam in (("baseline", "lam-none"), ("gndl", "lam-5")):
            predictions = pd.read_csv(tiny_study / database / method / lam / "fold-0" / "seed-0" / "predictions.csv")
            assert set(predictions["subject"].astype(str)) == set(folds["0"])


def test_probabilities_are_probabilities(tiny_study: Path) -> None:
    """Each row of predictions.csv sums to one and predicts its largest class."""
    predictions = pd.read_csv(tiny_study / "ckplus" / "gndl" / "lam-5" / "fold-0" / "seed-0" / "predictions.csv")
    probabilities = predictions.filter(like="p_")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert list(probabilities.idxmax(axis=1).str.removeprefix("p_")) == list(predictions["predicted"])


@pytest.fixture
def copy_of_study(tiny_study: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(tiny_study, tmp_path / "study")
    return tmp_path / "study"


def test_epochs_grow_and_nothing_else_may_change(copy_of_study: Path, rendered_trees: dict[str, Path]) -> None:
    """One more epoch continues the study; another precision or profile, or fewer epochs, are refused by name."""
    trees = rendered_trees["ckplus"].parent
    with pytest.raises(GndlError, match="precision"):
        cli.run(options(copy_of_study, trees, precision="bf16"))
    with pytest.raises(GndlError, match="belongs to another study"):
        cli.run(options(copy_of_study, trees, profile="quick"))
    trained = cli.Train(
        profile="smoke", databases=("ckplus",), data=str(trees), out=str(copy_of_study), jobs=1, epochs=2
    )
    assert cli.run(trained) == 0
    epochs = pd.read_csv(copy_of_study / "ckplus" / "gndl" / "lam-5" / "fold-0" / "seed-0" / "epochs.csv")
    assert list(epochs["epoch"]) == [1, 2]
    with pytest.raises(GndlError, match="may only grow"):
        cli.run(options(copy_of_study, trees))
    assert read_study_json(copy_of_study)["asked"]["settings"]["train"]["epochs"] == 2


def test_licensed_and_rendered_faces_never_mix(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """Beside a copy without the stand-in's label, neither a stand-in to be rendered nor a labelled copy is taken."""
    copies = tmp_path / "copies"
    shutil.copytree(rendered_trees["ckplus"], copies / "ckplus", ignore=shutil.ignore_patterns(STAND_IN_LABEL))

    def asked(name: str, **where: str) -> cli.Prepare:
        return cli.Prepare(profile="smoke", databases=(name,), out=str(tmp_path / "study"), jobs=1, **where)

    assert cli.run(asked("ckplus", data=str(copies))) == 0
    words = "reads licensed faces and oulu_casia holds rendered ones; they never mix"
    with pytest.raises(GndlError, match=words):
        cli.run(asked("oulu_casia"))
    with pytest.raises(GndlError, match=words):
        cli.run(asked("oulu_casia", oulu_casia=str(rendered_trees["oulu_casia"])))


def test_folds_that_do_not_exist_or_disagree_are_refused(tiny_study: Path, rendered_trees: dict[str, Path]) -> None:
    """--only-folds 99 and another fold file than the study's are errors, not silently ignored."""
    trees = rendered_trees["ckplus"].parent
    request = study_request(options(tiny_study, trees, only_folds=("0", "99")))
    with pytest.raises(GndlError, match="no fold 99"):
        prepare(request, "ckplus")
    folds = json.loads((tiny_study / "ckplus" / "folds.json").read_text())
    swapped = {**folds, "0": folds["1"], "1": folds["0"]}
    other = tiny_study.parent / "other_folds.json"
    other.write_text(json.dumps(swapped))
    request = study_request(options(tiny_study, trees, folds=str(other)))
    with pytest.raises(GndlError, match="other folds"):
        prepare(request, "ckplus")


def test_one_run_that_fails_stops_no_other(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """A run whose folder holds something else fails by name; the others are finished all the same."""
    study = open_study(
        "mmi", data_root=str(rendered_trees["mmi"]), profile="smoke", out=tmp_path / "study", device="cpu", jobs=1
    )
    baseline = next(run for run in plan_runs(study) if run.variant == "baseline")
    baseline.folder.mkdir(parents=True)
    (baseline.folder / "resume.pt").write_bytes(b"no checkpoint")
    with pytest.raises(GndlError, match=r"1 of 2 runs failed.*resume\.pt"):
        train_missing(study, jobs=1)
    assert list(results.accuracy_table(tmp_path / "study")["method"]) == ["gndl"]


def test_precision_that_is_slow_here_is_refused_until_it_is_named(
    rendered_trees: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without bf16 instructions a bf16 study does not start, not even the second time; --precision insists."""
    monkeypatch.setattr("gndl.device.has_fast_bf16", lambda device: False)
    root, out = str(rendered_trees["ckplus"]), tmp_path / "study"
    for _ in range(2):
        with pytest.raises(GndlError, match="--precision"):
            open_study("ckplus", data_root=root, profile="standard", out=out, device="cpu", jobs=1)
    assert not (out / "study.json").exists()
    cli.run(
        cli.Prepare(
            profile="standard", databases=("ckplus",), ckplus=root, out=str(out), precision="bf16", device="cpu"
        )
    )
    open_study("ckplus", data_root=root, profile="standard", out=out, device="cpu", jobs=1)


def test_a_lam_sweep_adds_runs_of_its_own(copy_of_study: Path, rendered_trees: dict[str, Path]) -> None:
    """Another λ trains GNDL alone, in a folder of its own, and accuracy.csv gains its row."""
    trees = rendered_trees["ckplus"].parent
    sweep = cli.Train(
        profile="smoke", databases=("oulu_casia",), data=str(trees), out=str(copy_of_study), epochs=1, lams=("0.5",)
    )
    assert cli.run(sweep) == 0
    accuracy = results.read_csv(copy_of_study / "accuracy.csv", ())
    own = accuracy[accuracy["database"] == "oulu_casia"]
    assert sorted(own["lam"]) == ["0.5", "5", "none"]
    cli.run(cli.Report(run=str(copy_of_study)))
    assert "0.5" not in (copy_of_study / "oulu_casia" / "tables" / "table1.md").read_text().split("Recognition")[0]


def test_a_report_is_written_again_from_csv_alone(copy_of_study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`gndl report` needs neither weights nor pictures, and draws the same bytes."""
    folder = copy_of_study / "ckplus"
    drawn = [folder / "figures" / f"{name}.{kind}" for name in ("confusion_matrices", "learning_curves")
             for kind in ("png", "pdf", "svg", "csv", "tex")]  # fmt: skip
    drawn += [folder / "figures" / f"folds.{kind}" for kind in ("png", "pdf", "svg", "tex")]  # from the CSV behind it
    files = [*drawn, *(place / "tables" / f"table1.{kind}" for kind in ("tex", "md", "csv")
                       for place in (folder, copy_of_study))]  # fmt: skip
    files += [copy_of_study / "tables" / "numbers.tex", copy_of_study / "preview.tex"]
    before = [file.read_bytes() for file in files]
    for file in (*files, *copy_of_study.rglob("weights.safetensors")):
        file.unlink()
    assert cli.run(cli.Report(run=str(copy_of_study))) == 0
    assert "CK+ stand-in" in capsys.readouterr().out
    assert [file.read_bytes() for file in files] == before


def test_a_notebook_takes_over_what_the_study_was_asked(tiny_study: Path, rendered_trees: dict[str, Path]) -> None:
    """The study ran one epoch where its profile says two: a notebook opened on it sees one."""
    request = request_for_notebook(
        "ckplus", data_root=str(rendered_trees["ckplus"]), profile="smoke", out=tiny_study, device="cpu", seed=0
    )
    assert request.settings.train.epochs == 1
    with pytest.raises(GndlError, match="profile 'smoke', not 'quick'"):
        request_for_notebook("ckplus", data_root="", profile="quick", out=tiny_study, device="cpu", seed=0)


def test_a_notebook_trains_what_is_missing(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """Without a study, opening one prepares the data, and train_missing trains in front of the reader."""
    study = open_study(
        "mmi", data_root=str(rendered_trees["mmi"]), profile="smoke", out=tmp_path / "study", device="cpu", jobs=1
    )
    accuracy = train_missing(study, methods=["gndl"], jobs=1)
    assert list(accuracy["method"]) == ["gndl"]
    assert accuracy["accuracy_last"].between(0, 1).all()
    assert read_study_json(tmp_path / "study")["profile"] == "smoke"


def test_corrected_frames_override_the_rule(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """A frames.csv in the study's folder changes which frames make the pairs, and only those."""
    root = rendered_trees["ckplus"]
    first = open_study("ckplus", data_root=str(root), profile="smoke", out=tmp_path / "a", device="cpu", jobs=1)
    lines = write_frames_for_correction(first).read_text().splitlines()
    target = first.database.sequences[0]
    earlier = target.frames[-4].path.name
    changed = [line.replace(target.examined[-1].path.name, earlier) for line in lines]
    assert changed != lines
    (tmp_path / "b" / "ckplus").mkdir(parents=True)
    (tmp_path / "b" / "ckplus" / "frames.csv").write_text("\n".join(changed) + "\n")
    second = open_study("ckplus", data_root=str(root), profile="smoke", out=tmp_path / "b", device="cpu", jobs=1)
    assert earlier in [frame.path.name for frame in second.database.sequences[0].examined]
    assert second.database.sequences[1:] == first.database.sequences[1:]


def test_an_untouched_frames_csv_is_not_obeyed(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """As notebook 1 wrote it, the file changes nothing: a copy that grew later is read by the rule again."""
    root, out = str(rendered_trees["oulu_casia"]), tmp_path / "study"
    first = open_study("oulu_casia", data_root=root, profile="smoke", out=out, device="cpu", jobs=1)
    write_frames_for_correction(first)
    again = open_study("oulu_casia", data_root=root, profile="smoke", out=out, device="cpu", jobs=1)
    assert again.database == first.database


def test_a_failing_notebook_is_kept_and_named(tmp_path: Path) -> None:
    """A notebook that raises is left as NAME.failed.ipynb with its error, and no success takes its place."""
    from gndl.execute import execute_notebook

    source = tmp_path / "9_broken.ipynb"
    cell = nbformat.v4.new_code_cell("raise ValueError('no such face')")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, source)
    done = execute_notebook(source, tmp_path / "out", {})
    assert done.error == "ValueError: no such face"
    assert done.path.name == "9_broken.failed.ipynb"
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["9_broken.failed.ipynb"]


def test_dry_run_touches_nothing(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """The plan is printed and no file appears."""
    trees = rendered_trees["ckplus"].parent
    assert cli.run(options(tmp_path / "nothing", trees, dry_run=True, jobs=1)) == 0
    assert not (tmp_path / "nothing").exists()


def test_two_profiles_of_one_size_share_a_tree(
    rendered_trees: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that another profile has rendered at the same size is linked, not rendered again."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path))
    there = tmp_path / "standins" / "other" / "ckplus"
    shutil.copytree(rendered_trees["ckplus"], there)
    settings = dataclasses.replace(profile_named("smoke"), standins=TREE_SIZES)
    request = StudyRequest(out=tmp_path / "study", settings=settings, data_roots={"ckplus": ""})
    root = database_root(request, "ckplus")
    assert root == tmp_path / "standins" / "smoke" / "ckplus"
    assert root.resolve() == there.resolve()
    assert (root / STAND_IN_LABEL).is_file()
