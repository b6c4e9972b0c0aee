"""The batch of notebooks: what has changed is run again, what has not is left, and what failed is kept by name."""

from __future__ import annotations

import base64
import io
import os
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from written_runs import CLASSES, predictions, write_run

from gndl import execute
from gndl.batch import Batch
from gndl.execute import FOR_EACH_DATABASE, FOR_THE_STUDY, Task, execute_missing, inputs_of, notebook_sources
from gndl.files import write_json
from gndl.notebook_size import keep_small, size_of
from gndl.request import StudyRequest, profile_named, save_request
from gndl.sweeping.sweep import Sweep


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook with these code cells, the first of them tagged ``parameters``."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def task(source: Path, folder: Path, parameters: dict[str, Any] | None = None, inputs: Any = 0) -> Task:
    """A task that reads ``inputs``."""
    return Task(source, folder, parameters or {}, lambda: inputs)


def finished(of: Task) -> Task:
    """Write the executed notebook of a task by hand."""
    notebook = nbformat.read(of.source, as_version=4)
    notebook.metadata["gndl"] = {"fingerprint": of.fingerprint()}
    of.folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, of.target)
    return of


def test_tutorials_belong_to_no_study() -> None:
    """Per database the batch takes 1 to 6, once per study 7; nobody's tour and nobody's own method."""
    each = [path.name for path in notebook_sources(FOR_EACH_DATABASE)]
    assert {"1_databases.ipynb", "2_training.ipynb", "6_explore.ipynb"} <= set(each)
    assert not [name for name in each if name[0] in "078"]
    assert [path.name for path in notebook_sources(FOR_THE_STUDY)] == ["7_report.ipynb"]
    assert set(each) < {path.name for path in notebook_sources()}


def test_a_notebook_is_done_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another cell, parameter, input or version runs it again; outputs and cell numbers do not."""
    source = write_notebook(tmp_path / "1_x.ipynb", "a = 1", "print(a)")
    done = finished(task(source, tmp_path / "out", {"a": 2}, {"run": "hash 2"}))
    assert done.is_done()
    assert not task(source, tmp_path / "out", {"a": 3}, {"run": "hash 2"}).is_done()
    assert not task(source, tmp_path / "out", {"a": 2}, {"run": "hash 3"}).is_done()
    assert not task(source, tmp_path / "elsewhere", {"a": 2}, {"run": "hash 2"}).is_done()
    with monkeypatch.context() as patch:
        patch.setattr(execute, "__version__", "99")
        assert not done.is_done()
    notebook = nbformat.read(source, as_version=4)
    notebook.cells[1].update(execution_count=7, outputs=[nbformat.v4.new_output("stream", text="2")])
    nbformat.write(notebook, source)
    assert done.is_done()
    write_notebook(source, "a = 1", "print(a + 1)")
    assert not done.is_done()


def test_a_figure_that_is_gone_is_drawn_again(tmp_path: Path) -> None:
    """What appeared in figures and tables while a notebook ran has to be there for it to count as done."""
    source = write_notebook(
        tmp_path / "1_x.ipynb", f"out = {str(tmp_path / 'out')!r}",
        "from pathlib import Path\n(Path(out) / 'figures').mkdir()\n(Path(out) / 'figures' / 'a.csv').write_text('1')",
    )  # fmt: skip
    (tmp_path / "out" / "tables").mkdir(parents=True)
    older = tmp_path / "out" / "tables" / "older.csv"
    older.write_text("")
    os.utime(older, (0, 0))
    one = task(source, tmp_path / "out" / "notebooks")
    assert not [found.error for found in execute_missing([one], 1) if found.error] and one.is_done()
    assert nbformat.read(one.target, as_version=4).metadata["gndl"]["wrote"] == ["figures/a.csv"]
    older.unlink()
    assert one.is_done(), "it was not its own"
    (tmp_path / "out" / "figures" / "a.csv").unlink()
    assert not one.is_done()


def test_a_run_that_comes_while_a_notebook_runs_is_not_taken_for_seen(tmp_path: Path) -> None:
    """Imported meanwhile by another process; what the notebook changes otherwise is its own work and counts."""
    source = write_notebook(tmp_path / "1_x.ipynb", "a = 1")
    for new, done in (("mmi/gndl/lam-5/fold-1/seed-0", False), ("mmi/tables/table1.csv", True)):
        seen = iter([{}, {new: "hash"}, {new: "hash"}, {new: "hash"}])
        one = Task(source, tmp_path / str(done), {}, lambda seen=seen, new=new: next(seen, {new: "hash"}))
        assert not [found.error for found in execute_missing([one], 1) if found.error]
        assert one.is_done() == done


def test_a_damaged_notebook_is_not_done(tmp_path: Path) -> None:
    """Half a file is run again, not believed."""
    done = finished(task(write_notebook(tmp_path / "1_x.ipynb", "1"), tmp_path / "out"))
    done.target.write_text(done.target.read_text()[:40])
    assert not done.is_done()


def test_a_second_batch_runs_only_what_is_missing(tmp_path: Path) -> None:
    """One notebook is there, one fails, one runs: each is reported; the next batch runs the failed one alone."""
    out, ran = tmp_path / "out", tmp_path / "ran.txt"
    write = f"with open({str(ran)!r}, 'a') as file: file.write('once ')"
    there = finished(task(write_notebook(tmp_path / "1_there.ipynb", "1 / 0"), out))
    runs = Task(write_notebook(tmp_path / "2_runs.ipynb", "a = 1", write), out, {"a": 2},
                lambda: ran.read_text() if ran.exists() else "")  # fmt: skip
    fails = task(write_notebook(tmp_path / "3_fails.ipynb", "raise ValueError('no such face')"), out)
    found = {done.path.name: done for done in execute_missing([there, runs, fails], jobs=2)}
    assert found["1_there.ipynb"].there
    assert not found["2_runs.ipynb"].error and found["2_runs.ipynb"].seconds > 0
    assert found["3_fails.failed.ipynb"].error == "ValueError: no such face"
    assert sorted(file.name for file in out.iterdir()) == ["1_there.ipynb", "2_runs.ipynb", "3_fails.failed.ipynb"]
    # The notebook has changed its own input, as one does that trains a missing run: that alone makes it no older.
    assert ran.read_text() == "once "
    assert runs.is_done() and not fails.is_done()
    write_notebook(fails.source, "print('found')")
    again = list(execute_missing([there, runs, fails], jobs=1))
    assert [done.there for done in again] == [True, True, False]
    assert sorted(file.name for file in out.iterdir()) == ["1_there.ipynb", "2_runs.ipynb", "3_fails.ipynb"]
    assert all(done.there for done in execute_missing([there, runs, fails], jobs=1))


def test_one_failed_notebook_makes_the_batch_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are counted, the failed one is named, and the exit status is 1."""
    broken, fine = tmp_path / "1_broken.ipynb", write_notebook(tmp_path / "2_fine.ipynb", "1")
    broken.write_text("{")
    sources = {FOR_EACH_DATABASE: [broken, fine], FOR_THE_STUDY: []}
    monkeypatch.setattr("gndl.batch.notebook_sources", sources.get)
    monkeypatch.setattr(Batch, "_one_database", Batch._notebooks)
    request = StudyRequest(tmp_path / "study", profile_named("smoke"), {"mmi": str(tmp_path)}, device="cpu")
    batch = Batch(save_request(request), 1, Sweep())
    for of in batch.tasks("mmi"):
        if of.source == fine:
            finished(of)
    assert batch.run() == 1
    said = capsys.readouterr().out
    assert "FAILED: notebook" in said and "1_broken" in said
    assert "Notebooks: 0 executed, 1 there already, 1 failed." in said


def test_the_inputs_are_the_runs_folds_and_crops(tmp_path: Path) -> None:
    """A run more, or one of another identity, changes them; another database's or one across does not."""
    table = predictions([("S1", "S1_1", "anger", (0.8, 0.1, 0.1))], CLASSES)
    write_run(tmp_path, "baseline", "none", 0, table)
    first = inputs_of(tmp_path, "ckplus")
    assert list(first) == ["ckplus/baseline/lam-none/fold-0/seed-0"]
    write_run(tmp_path, "baseline", "none", 0, table, database="mmi")
    assert inputs_of(tmp_path, "ckplus") == first
    (tmp_path / "ckplus" / "folds.json").write_text("{}")
    assert set(inputs_of(tmp_path, "ckplus")) == {*first, "ckplus/folds.json"}
    (tmp_path / "ckplus" / "figures").mkdir()
    (tmp_path / "ckplus" / "figures" / "a.png").write_bytes(b"a picture")
    assert "ckplus/figures/a.png" in inputs_of(tmp_path)
    assert "ckplus/figures/a.png" not in inputs_of(tmp_path, "ckplus")
    pd.DataFrame().to_csv(tmp_path / "ckplus" / "baseline" / "x.csv")
    assert "mmi/baseline/lam-none/fold-0/seed-0" in inputs_of(tmp_path)
    own = inputs_of(tmp_path, "mmi")
    write_run(tmp_path / "across", "baseline", "none", 0, table, database="ckplus-to-mmi")
    assert "across/ckplus-to-mmi/baseline/lam-none/fold-0/seed-0" in inputs_of(tmp_path)
    assert inputs_of(tmp_path, "mmi") == own


def test_entering_or_withdrawing_a_subject_runs_notebooks_again(tmp_path: Path) -> None:
    """Those of the database whose list it is and those of the study; of rendered faces none."""
    asked = {"settings": {"train": {"epochs": 1}}, "data_roots": {"mmi": "/mmi", "oulu_casia": "/oulu", "manifest": ""}}

    def now(source: str, **entered: list[str]) -> list[Task]:
        write_json(tmp_path / "study.json", {"asked": asked, "source": source, "publishable": entered})
        of = [partial(inputs_of, tmp_path, name) for name in ("mmi", "oulu_casia", "manifest", "")]
        return [Task(notebook, tmp_path / str(i), {}, inputs) for i, inputs in enumerate(of)]

    notebook = write_notebook(tmp_path / "1_x.ipynb", "1")
    for made in now("licensed", mmi=["S001", "S002"]):
        finished(made)
    assert [task.is_done() for task in now("licensed", mmi=["S001", "S002"])] == [True] * 4
    assert [task.is_done() for task in now("licensed", mmi=["S001"])] == [False, True, True, False]
    assert [task.is_done() for task in now("licensed")] == [False, True, True, False]
    assert [task.is_done() for task in now("licensed", mmi=["S001", "S002"], oulu_casia=["P001"])] == [
        True, False, True, False,
    ]  # fmt: skip
    for made in now("own"):
        finished(made)
    assert [task.is_done() for task in now("own", manifest=["*"])] == [True, True, False, False]
    for made in now("rendered"):
        finished(made)
    assert [task.is_done() for task in now("rendered", mmi=["S001"], manifest=["*"])] == [True] * 4


def test_an_executed_notebook_stays_small() -> None:
    """Pictures shrink, the largest first, and only as far as it takes; a small notebook is left as it is."""
    noise = np.random.default_rng(0).integers(0, 255, (700, 1400, 3), dtype=np.uint8)
    pictures = []
    for shape in (noise, noise[:100, :100]):
        written = io.BytesIO()
        Image.fromarray(shape).save(written, "PNG")
        pictures.append(base64.b64encode(written.getvalue()).decode())
    outputs = [nbformat.v4.new_output("display_data", data={"image/png": picture}) for picture in pictures]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=outputs)])
    assert size_of(notebook) > 1_000_000
    small = keep_small(notebook, 1_000_000)
    assert size_of(small) < 1_000_000
    first, second = (output["data"] for output in small.cells[0].outputs)
    with Image.open(io.BytesIO(base64.b64decode(first["image/jpeg"]))) as image:
        assert image.size == (1000, 500)
    assert second == {"image/png": pictures[1]}
    assert keep_small(notebook, 10_000_000) is notebook
