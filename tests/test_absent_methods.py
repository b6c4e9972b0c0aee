"""A study trained with a method from a file is opened where nobody has that file: what is finished is read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from planted_study import planted_study, quick, written

from gndl import methods
from gndl.errors import GndlError
from gndl.narrative import describe
from gndl.outside_methods import VARIABLE
from gndl.prepare import Prepared
from gndl.runs import plan_runs
from gndl.study import train_missing
from gndl.sweeping import background
from gndl.sweeping.sweep import Sweep, train_runs


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """Two finished runs of a method whose class this process has forgotten, as any that is started anew."""
    own = quick("theirs-alone")
    made = planted_study(tmp_path, own, epochs=1)
    train_runs(made, plan_runs(made), Sweep(jobs=1))
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delitem(methods._REGISTRY, own.name)
    return made


def test_a_notebook_reads_finished_runs_of_a_method_whose_class_is_not_at_hand(study: Prepared) -> None:
    """Notebook 2: the table of methods has its row from the runs, nothing is trained, and a sentence says so."""
    with pytest.raises(GndlError, match="GNDL_METHODS=FILE"):
        methods.method_settings("theirs-alone")
    (row,) = describe.methods_table(study).to_dict("records")
    assert row["method"] == "theirs-alone" and "not at hand" in row["what it is"] and row["parameters"] > 0
    of_disk = [path.read_bytes() for path in sorted(study.folder.rglob("run.json"))]
    standing = background.train(study, wait=True)
    assert "code of theirs-alone is not at hand" in standing.words and not standing.running
    assert set(train_missing(study, jobs=1)["method"]) == {"theirs-alone"}
    assert of_disk == [path.read_bytes() for path in sorted(study.folder.rglob("run.json"))]


def test_the_known_methods_of_such_a_study_are_trained_as_ever(study: Prepared) -> None:
    """What is missing of them is trained, and the words tell of both."""
    other = quick("known-beside")
    settings = replace(study.request.settings, methods=(other.name, "theirs-alone"))
    both = replace(study, request=replace(study.request, settings=settings))
    words = background.train(both, wait=True, jobs=1).words
    assert words.startswith("2 of 2 runs were missing") and "theirs-alone" in words
    assert written(plan_runs(both, [other]))
    assert list(describe.methods_table(both)["method"]) == ["known-beside", "theirs-alone"]


def test_a_missing_run_of_an_unknown_method_is_named_with_what_to_do(study: Prepared) -> None:
    """It cannot be trained without its class, and a table without it would be silent about that."""
    (study.folder / "theirs-alone" / "lam-5" / "fold-1" / "seed-0" / "run.json").unlink()
    for read in (describe.methods_table, background.train, train_missing):
        with pytest.raises(GndlError, match=r"fold 1, seed 0 is not finished.* GNDL_METHODS=FILE\.py:CLASS"):
            read(study)


def test_the_environment_brings_the_class_to_a_notebook(
    study: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the documents say: then it is a method as any other."""
    file = tmp_path / "brought_by_environment.py"
    file.write_text(
        "from gndl.model import ResNetBaseline\n\n\nclass Brought(ResNetBaseline):\n    name = 'theirs-alone'\n"
    )
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv(VARIABLE, f"{file}:Brought")
    assert "not at hand" not in describe.methods_table(study)["what it is"].item()
    monkeypatch.delitem(methods._REGISTRY, "theirs-alone")
