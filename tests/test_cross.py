"""Across databases: subjects by database, classes by name, nothing on both sides, and what falls out counted."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from written_runs import predictions, write_run

from gndl import cli
from gndl.checking.study import audit_study
from gndl.cross import cross_pairs, databases_of, finished_across, train_across
from gndl.errors import GndlError
from gndl.figures.across import across_databases
from gndl.files import write_json
from gndl.pairs import FacePairs
from gndl.request import profile_named
from gndl.study_commands import ways_asked
from gndl.sweeping.stopping import Stopped, heeding_signals
from gndl.tables.across import cross_table, readable_cross
from gndl.variants.built_in import MethodSettings

RIGHT, WRONG = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1)


def some(expressions: tuple[str, ...], labels: list[int], *, colour: bool = False, value: int = 0) -> FacePairs:
    """One pair per label, each of a subject of its own, every crop of one value."""
    count = len(labels)
    shape = (2 * count, 8, 8, 3) if colour else (2 * count, 8, 8)
    images = np.full(shape, value, np.uint8)
    return FacePairs(
        images, np.arange(count), count + np.arange(count), np.array(labels), [f"S{i}" for i in range(count)],
        [f"S{i}_1" for i in range(count)], [f"{i}.png" for i in range(count)], expressions,
    )  # fmt: skip


def test_classes_are_matched_by_name_and_what_falls_out_is_counted() -> None:
    """Contempt is CK+'s alone: its two pairs are left out; the others keep their names under other numbers."""
    ckplus = some(("anger", "contempt", "fear"), [0, 1, 2, 1, 0])
    mmi = some(("fear", "anger"), [0, 1, 1])
    cross = cross_pairs([("ckplus", ckplus)], [("mmi", mmi)])
    pairs = cross.pairs
    assert cross.name == "ckplus-to-mmi" and pairs.expressions == ("anger", "fear")
    assert [pairs.expressions[i] for i in pairs.label] == ["anger", "fear", "anger", "fear", "anger", "anger"]
    assert pairs.subject == ["ckplus/S0", "ckplus/S2", "ckplus/S4", "mmi/S0", "mmi/S1", "mmi/S2"]
    assert cross.train_index.tolist() == [0, 1, 2] and cross.test_index.tolist() == [3, 4, 5]
    assert cross.left_out.to_numpy().tolist() == [["ckplus", "contempt", 2, 2]]
    assert pairs.neutral_index.tolist() == [5, 7, 9, 13, 14, 15], "the second database's crops lie behind the first's"


def test_all_become_grey_where_one_is() -> None:
    """Pure colours become their luma, grey stays; where all have colour it is kept."""
    grey, colour = some(("anger", "fear"), [0, 1], value=7), some(("anger", "fear"), [0, 1], colour=True)
    colour.images[..., 0] = 255
    mixed = cross_pairs([("ckplus", grey)], [("mmi", colour)]).pairs.images
    assert mixed.shape == (8, 8, 8) and set(mixed[:4].ravel()) == {7} and set(mixed[4:].ravel()) == {76}
    both = cross_pairs([("oulu_casia", colour)], [("mmi", colour)]).pairs.images
    assert both.shape == (8, 8, 8, 3)


def test_a_database_on_both_sides_and_too_few_classes_are_refused() -> None:
    """Its subjects would be in training and test; one class in common is nothing to tell apart."""
    one, other = some(("anger", "fear"), [0, 1]), some(("anger", "surprise"), [0, 1])
    with pytest.raises(GndlError, match="MMI is to be trained on and tested on"):
        cross_pairs([("ckplus", one), ("mmi", one)], [("mmi", one)])
    with pytest.raises(GndlError, match="1 classes in common"):
        cross_pairs([("ckplus", one)], [("mmi", other)])
    with pytest.raises(GndlError, match="no database 'fer'"):
        databases_of("ckplus+fer", "--train-on")
    with pytest.raises(GndlError, match="different databases"):
        databases_of("mmi+mmi", "--train-on")


def test_the_table_sets_folds_beside_what_was_run_across(tmp_path: Path) -> None:
    """By hand: 12 of 20 right across; within the database 10 of 10 in each of two folds."""
    for fold in (0, 1):
        frames = [(f"T{fold}{i}", f"T{fold}{i}_1", "anger", RIGHT) for i in range(10)]
        write_run(tmp_path, "gndl", "5", fold, predictions(frames), database="mmi")
    frames = [(f"mmi/T{i}", f"mmi/T{i}_1", "anger", RIGHT if i < 12 else WRONG) for i in range(20)]
    folder = write_run(tmp_path / "across", "gndl", "5", 0, predictions(frames), database="ckplus-to-mmi")
    for run in (*tmp_path.glob("mmi/*/*/*/*/run.json"), folder / "run.json"):
        content = pd.read_json(run, typ="series").to_dict()
        write_json(run, content | {"expressions": ["anger", "happiness", "surprise"], "seed": 0})
    assert [run.folder for run in finished_across(tmp_path)] == [folder]
    table = cross_table(tmp_path, 5.0)
    assert list(zip(table["train_on"], table["test_on"], strict=True)) == [("ckplus", "mmi"), ("mmi", "mmi")]
    assert table["accuracy"].tolist() == [0.6, 1.0] and table["n_test"].tolist() == [20, 20]
    assert table["low"].iloc[0] < 0.6 < table["high"].iloc[0] and table["subjects"].tolist() == [20, 20]
    assert readable_cross(table)["Trained on"].tolist() == ["CK+", "MMI (folds)"]


def test_the_square_keeps_its_diagonal_where_nothing_was_run_within_a_database() -> None:
    """Rows and columns stand in one order, whichever pair comes first in the table."""
    names = ("ckplus", "oulu_casia", "mmi")
    rows = [
        {"train_on": one, "test_on": other, "method": "gndl", "lam": "5", "accuracy": 0.5, "low": 0.4, "high": 0.6}
        for one in names
        for other in names
        if one != other
    ]
    figure = across_databases(pd.DataFrame(rows).assign(source="rendered"))
    axes = figure.axes[0]
    ticks = [[label.get_text() for label in axis.get_ticklabels()] for axis in (axes.xaxis, axes.yaxis)]
    assert ticks[0] == ticks[1] == ["CK+", "Oulu-CASIA", "MMI"]
    assert {text.get_position() for text in axes.texts} == {(i, j) for i in range(3) for j in range(3) if i != j}


def test_options_that_mean_nothing_across_are_refused_and_the_pairs_are_listed() -> None:
    """Nothing that was asked for is passed over in silence."""
    for option in ({"sweep": True}, {"lams": ("5",)}, {"only_folds": ("0",)}, {"shard": "1/2"}, {"engine": "ray"},
                   {"runs_per_gpu": 2}, {"checkpoint_every": 1}):  # fmt: skip
        with pytest.raises(GndlError, match="not for runs across databases"):
            ways_asked(cli.Train(across=True, **option))
    with pytest.raises(GndlError, match="belong together"):
        ways_asked(cli.Train(train_on="ckplus"))
    with pytest.raises(GndlError, match="at least two"):
        ways_asked(cli.Train(across=True, databases=("mmi",)))
    assert ways_asked(cli.Train(across=True, databases=("ckplus,mmi",))) == [
        (("ckplus",), ("mmi",)),
        (("mmi",), ("ckplus",)),
    ]
    assert ways_asked(cli.Train(train_on="ckplus+mmi", test_on="oulu_casia")) == [(("ckplus", "mmi"), ("oulu_casia",))]


def test_weights_that_are_asked_for_are_started_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are given to every run, and part of its folder's name as within a database."""
    weights, asked = tmp_path / "face.pt", []
    weights.write_bytes(b"")
    settings = profile_named("smoke")
    request = SimpleNamespace(out=tmp_path, settings=settings, weights=str(weights), seeds=(0,), device="cpu")
    sides = [
        SimpleNamespace(database=SimpleNamespace(name=name, source="rendered"), pairs=pairs, request=request)
        for name, pairs in (("ckplus", some(("anger", "fear"), [0, 1, 0])), ("mmi", some(("anger", "fear"), [0, 1])))
    ]

    def training(method: MethodSettings, *_: object, **options: Any) -> str:
        asked.append((method.name, options))
        return "its result"

    monkeypatch.setattr("gndl.cross.fit_naming_the_step", training)
    assert train_across(sides[:1], sides[1:], methods=("gndl",)) == ["its result"]  # type: ignore[arg-type, comparison-overlap]
    name, options = asked[0]
    assert (name, options["weights"], options["lam"]) == ("gndl", weights, settings.lam)
    assert options["run_folder"] == tmp_path / "across/ckplus-to-mmi/gndl-face/lam-5/fold-0/seed-0"


def test_a_signal_ends_the_epoch_of_a_run_across(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two epochs, so that a checkpoint is left; the sign is taken down and no further run begins."""
    request = SimpleNamespace(out=tmp_path, settings=profile_named("smoke"), weights=None, seeds=(0,), device="cpu")
    sides = [
        SimpleNamespace(database=SimpleNamespace(name=name, source="rendered"), pairs=pairs, request=request)
        for name, pairs in (("ckplus", some(("anger", "fear"), [0, 1, 0])), ("mmi", some(("anger", "fear"), [0, 1])))
    ]
    epochs = []

    def training(method: MethodSettings, *_: object, on_epoch: Any, **__: object) -> None:
        epochs.append(method.name)
        on_epoch({})
        os.kill(os.getpid(), signal.SIGTERM)
        epochs.append("the signal stopped nothing at once")
        on_epoch({})
        epochs.append("one epoch too many")

    monkeypatch.setattr("gndl.cross.fit_naming_the_step", training)
    with heeding_signals(), pytest.raises(Stopped):
        train_across(sides[:1], sides[1:])  # type: ignore[arg-type]
    assert epochs == ["baseline", "the signal stopped nothing at once"]
    assert not list(tmp_path.glob(".stop-*"))


def test_a_study_runs_across_and_reports_it(rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    """`gndl train --train-on ckplus --test-on mmi`: both methods, a second call trains nothing, the report shows it."""
    train = cli.Train(
        profile="smoke", data=str(rendered_trees["ckplus"].parent), out=str(tmp_path / "study"), epochs=1,
        train_on="ckplus", test_on="mmi",
    )  # fmt: skip
    assert cli.run(train) == 0
    folders = [run.folder for run in finished_across(tmp_path / "study")]
    assert [folder.parents[2].name for folder in folders] == ["baseline", "gndl"]
    tested = pd.read_csv(folders[0] / "predictions.csv")
    assert tested["subject"].str.startswith("mmi/").all() and "p_contempt" not in tested
    times = [(folder / "run.json").stat().st_mtime_ns for folder in folders]
    assert cli.run(train) == 0
    assert [(folder / "run.json").stat().st_mtime_ns for folder in folders] == times
    assert (tmp_path / "study" / "across" / "ckplus-to-mmi" / "left_out.csv").exists()
    audit = audit_study(tmp_path / "study")
    assert audit.problems == () and any("training and test sets of 2 runs" in line for line in audit.verified)
    assert any("ckplus-to-mmi: pixels of the cached crops" in line for line in audit.verified)
    assert cli.run(cli.Report(run=str(tmp_path / "study"))) == 0
    assert (tmp_path / "study" / "figures" / "across.pdf").exists()
    assert audit_study(tmp_path / "study").problems == ()
