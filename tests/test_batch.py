"""The notebook run: what is out of date is executed, what fails or hangs is kept by name, a misspelt name stops."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from planted_runs import CLASSES, planted_settings, predictions, write_planted_study, write_run

from gndl import batch, cli
from gndl.batch import FOR_EACH_DATABASE, FOR_THE_STUDY, Pipeline, Task, check_parameters, execute_all, execute_notebook
from gndl.engines import Sharing
from gndl.files import GndlError, write_json
from gndl.profiles import StudyConfig, read_study_json
from gndl.record import pack


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook with these code cells, the first of them tagged ``parameters``."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def task(source: Path, out: Path, **parameters: Any) -> Task:
    return Task(source, out / "notebooks", parameters, out)


def finished(of: Task) -> Task:
    """Write the executed notebook of a task by hand, a second later than everything there is."""
    notebook = nbformat.read(of.source, as_version=4)
    notebook.metadata["gndl"] = of.stamp
    of.folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, of.target)
    later = of.source.stat().st_mtime + 1
    os.utime(of.target, (later, later))
    return of


def test_a_notebook_is_current_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer source or run, another parameter, another list of publishable subjects, another version, half a file."""
    source = write_notebook(tmp_path / "1_x.ipynb", "a = 1", "print(a)")
    done = finished(task(source, tmp_path / "out", a=2))
    assert done.is_current()
    assert not task(source, tmp_path / "out", a=3).is_current()
    assert not task(source, tmp_path / "elsewhere", a=2).is_current()
    assert not done._replace(may_show={"mmi": ["S001"]}).is_current()
    with monkeypatch.context() as patch:
        patch.setattr(batch, "__version__", "99")
        assert not done.is_current()
    made = done.target.stat().st_mtime
    run = write_run(tmp_path / "out", "baseline", "none", 0, predictions([("S1", "S1_1", "anger", (1, 0, 0))], CLASSES))
    os.utime(run / "run.json", (made - 1, made - 1))
    assert done.is_current()
    os.utime(run / "run.json", (made + 1, made + 1))
    assert not done.is_current()
    os.utime(run / "run.json", (made - 1, made - 1))
    os.utime(source, (made + 1, made + 1))
    assert not done.is_current()
    finished(done).target.write_text(done.target.read_text()[:40])
    assert not done.is_current()


def test_only_what_is_missing_is_executed(tmp_path: Path) -> None:
    """One is current, one fails, one hangs, one runs; once mended, only the failed ones are executed again."""
    out = tmp_path / "out"
    there = finished(task(write_notebook(tmp_path / "1_there.ipynb", "1 / 0"), out))
    runs = task(write_notebook(tmp_path / "2_runs.ipynb", "a = 1", "assert a == 2"), out, a=2)
    fails = task(write_notebook(tmp_path / "3_fails.ipynb", "x = 0", "raise ValueError('no such face')"), out)
    hangs = task(write_notebook(tmp_path / "4_hangs.ipynb", "x = 0", "import time", "time.sleep(600)"), out)
    found = {done.path.name: done for done in execute_all([there, runs, fails], jobs=2)}
    hung = execute_notebook(hangs, timeout=1)
    assert found["1_there.ipynb"].skipped
    assert not found["2_runs.ipynb"].error and found["2_runs.ipynb"].seconds > 0
    assert found["3_fails.failed.ipynb"].error == "ValueError: no such face"
    assert hung.path.name == "4_hangs.failed.ipynb" and "--notebook-timeout" in hung.error
    names = ["1_there.ipynb", "2_runs.ipynb", "3_fails.failed.ipynb", "4_hangs.failed.ipynb"]
    assert sorted(file.name for file in runs.folder.iterdir()) == names
    for broken in (fails, hangs):
        write_notebook(broken.source, "x = 0")
    again = list(execute_all([there, runs, fails, hangs], jobs=1))
    assert [done.skipped for done in again] == [True, True, False, False]
    assert not [file.name for file in runs.folder.iterdir() if "failed" in file.name or file.name.startswith(".")]
    assert all(done.skipped for done in execute_all([there, runs, fails, hangs], jobs=1))


def test_giving_up_ends_the_kernels(tmp_path: Path) -> None:
    """As Ctrl-C does: no kernel runs on, and the interrupted notebook is not kept as one that failed."""
    quick = task(write_notebook(tmp_path / "1_quick.ipynb", "x = 0"), tmp_path / "out")
    slow = task(write_notebook(tmp_path / "2_slow.ipynb", "x = 0", "import time", "time.sleep(600)"), tmp_path / "out")
    executing = execute_all([slow, quick], jobs=2)
    assert next(executing).path == quick.target
    executing.close()  # type: ignore[attr-defined]
    kernels = [child for child in psutil.Process().children(recursive=True) if child.status() != "zombie"]
    assert not [child for child in kernels if any("ipykernel" in word for word in child.cmdline())]
    assert [file.name for file in quick.folder.iterdir()] == ["1_quick.ipynb"]


def test_parameters_are_compared_with_the_first_values_of_their_names() -> None:
    """Lists with lists; whatever ran since, a magic among it; without papermill's cell there is nothing to compare."""
    own = 'database = "ckplus"\nfurther = []\nseed = 0'
    later = ["%time pass", "seed = further = None", "a, b = 1, 2"]
    check_parameters({"In": ["", own, '# Parameters\nfurther = ["x"]\nseed = 3\n', *later]})
    check_parameters({"In": ["", own, *later, "# Parameters\nseed = 4\n"]})
    check_parameters({"In": ["", own, "sead = 3"]})
    check_parameters({})
    with pytest.raises(GndlError, match=r"Parameter further takes a list such as \[\], got 'x'"):
        check_parameters({"In": ["", own, *later, '# Parameters\nfurther = "x"\n']})
    with pytest.raises(GndlError, match=r"no parameter 'quite_other'\. It has database, further, seed\.$"):
        check_parameters({"In": ["", own, "# Parameters\nquite_other = 1\n"]})


def test_a_study_has_six_notebooks_a_database_and_one_of_its_own(tmp_path: Path) -> None:
    """In order, with the study's parameters and whom it may show; 1 to 6 in the database's folder, 7 in the study's."""
    config = replace(planted_settings(), data_roots={"mmi": "/copies/mmi"}, seeds=(3, 4), device="cpu")
    out = write_planted_study(tmp_path / "study", ["mmi"])
    write_json(out / "study.json", read_study_json(out) | {"publishable": {"mmi": ["S001"]}})
    pipeline = Pipeline(out, config, Sharing(), 1, None)
    asked = {"profile": "smoke", "out": str(tmp_path / "study"), "device": "cpu", "seed": 3}
    for database, root, digits in (("mmi", "/copies/mmi", "123456"), ("", "", "7")):
        tasks = pipeline.tasks(database)
        assert [one.source.name[0] for one in tasks] == list(digits)
        assert all(one.parameters == {"database": database, "data_root": root} | asked for one in tasks)
        assert {one.folder for one in tasks} == {tmp_path / "study" / database / "notebooks"}
        assert {one.runs for one in tasks} == {tmp_path / "study" / database}
        assert all(one.may_show == {"mmi": ["S001"]} for one in tasks)


def test_one_failed_notebook_fails_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are counted, the failed one is named, the seconds are kept, and the exit status is 1."""
    parameters = "database = data_root = profile = out = device = ''\nseed = 0"
    fine = write_notebook(tmp_path / "2_fine.ipynb", parameters)
    broken = write_notebook(tmp_path / "1_broken.ipynb", parameters, "raise ValueError('no such face')")
    sources = {FOR_EACH_DATABASE: [broken, fine], FOR_THE_STUDY: []}
    monkeypatch.setattr("gndl.batch.notebook_sources", sources.get)
    out = write_planted_study(tmp_path / "study", ["mmi"])
    config = replace(planted_settings(), data_roots={"mmi": ""})
    pipeline = Pipeline(out, config, Sharing(jobs=1), 1, None)
    for of in pipeline.tasks("mmi"):
        if of.source == fine:
            finished(of)
            os.utime(of.target)
    assert pipeline.run("notebooks") == 1
    said = capsys.readouterr().out
    assert "FAILED: notebook" in said and "1_broken.failed.ipynb: ValueError: no such face" in said
    assert "1 of 2 notebooks up to date" in said
    assert "GNDL" in said and "94.44" in said  # 17 of 18 right
    assert "seconds" in (out / "study.json").read_text()


def test_a_record_is_drawn_again_and_never_written_to(
    planted_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notebooks 2 to 5 once a database and 7 once, every time; they go to runs/figures of the repository."""
    pack(planted_study, tmp_path / "record")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "record").iterdir()}
    parameters = "database = data_root = profile = out = device = ''\nseed = 0\nprint(database)"
    for number in range(9):
        write_notebook(tmp_path / "notebooks" / f"{number}_x.ipynb", parameters)
    monkeypatch.setattr(batch, "repository_root", lambda: tmp_path)
    called: list[Task] = []
    monkeypatch.setattr(
        batch, "execute_notebook", lambda task, _: (called.append(task), batch.Executed(task.target, 1))[1]
    )
    options = cli.StudyOptions(out=str(tmp_path / "record"))
    for _ in range(2):
        assert cli.study(options, only="notebooks") == 0
    names = [f"{name}/{number}" for name in ("ckplus", "mmi") for number in "2345"] + ["figures/7"]
    assert sorted(f"{task.folder.name}/{task.source.name[0]}" for task in called) == sorted(2 * names)
    assert called[0].parameters["out"] == str(tmp_path / "record") and called[0].folder.parent.parent.name == "runs"
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "record").iterdir()} == before
    for refused in (lambda: cli.study(options), lambda: cli.train(options)):
        with pytest.raises(GndlError, match="is a packed record, which is read only"):
            refused()


def test_a_study_trains_what_is_missing_and_nothing_else(
    trained_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of four runs one was deleted; it comes back with the same predictions, and `--only crops` trains nothing."""
    out = shutil.copytree(trained_study / "study", tmp_path / "study")
    run = Path("ckplus/baseline/lam-none/fold-1/seed-0")
    shutil.rmtree(out / run)
    config = StudyConfig.from_json(read_study_json(out)["asked"], out / "study.json")
    assert Pipeline(out, config, Sharing(jobs=1), 1, None).run("crops") == 0
    said = capsys.readouterr().out
    assert "18 sequences, 6 subjects, 54 pairs, 3 folds" in said and not (out / run).exists()
    assert "first faces" in said and (out / "ckplus/figures/contact_sheet.png").exists()
    assert Pipeline(out, config, Sharing(jobs=1), 1, None).run("runs") == 0
    assert "4 runs, 3 finished before" in capsys.readouterr().out
    for name in ("predictions.csv", "epochs.csv"):
        assert (out / run / name).read_bytes() == (trained_study / "study" / run / name).read_bytes()
