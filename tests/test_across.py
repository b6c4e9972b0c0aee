"""Across databases: subjects by database, classes by name, nothing on both sides, and what falls out counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import planted_pairs
from planted_runs import predictions, write_run
from quick import quick, quick_study

from gndl import results
from gndl.analysis.across import across_table, cross_pairs, train_across
from gndl.engines import Sharing
from gndl.files import GndlError
from gndl.pairs import FacePairs
from gndl.study import Study

RIGHT, WRONG = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1)


def some(expressions: tuple[str, ...], labels: list[int], *, colour: bool = False, value: int = 0) -> FacePairs:
    """One pair per label, each of a subject of its own, every crop of one value."""
    count = len(labels)
    return FacePairs(
        images=np.full((2 * count, 8, 8, 3) if colour else (2 * count, 8, 8), value, np.uint8),
        examined_index=np.arange(count),
        neutral_index=count + np.arange(count),
        label=np.array(labels),
        subject=[f"S{i}" for i in range(count)],
        sequence=[f"S{i}_1" for i in range(count)],
        frame=[f"{i}.png" for i in range(count)],
        expressions=expressions,
    )


def test_classes_are_matched_by_name_and_what_falls_out_is_counted() -> None:
    """Contempt is CK+'s alone: its two pairs are left out; the others keep their names under other numbers."""
    ckplus = some(("anger", "contempt", "fear"), [0, 1, 2, 1, 0])
    mmi = some(("fear", "anger"), [0, 1, 1])
    pairs, left_out = cross_pairs([("ckplus", ckplus), ("mmi", mmi)])
    assert pairs.expressions == ("anger", "fear")
    assert [pairs.expressions[i] for i in pairs.label] == ["anger", "fear", "anger", "fear", "anger", "anger"]
    assert pairs.subject == ["ckplus/S0", "ckplus/S2", "ckplus/S4", "mmi/S0", "mmi/S1", "mmi/S2"]
    assert left_out.to_numpy().tolist() == [["ckplus", "contempt", 2, 2]]
    assert pairs.neutral_index.tolist() == [5, 7, 9, 13, 14, 15], "the second database's crops come after the first's"


def test_all_become_grey_where_one_is() -> None:
    """Pure colours become their luma, grey stays; where all have colour it is kept."""
    grey, colour = some(("anger", "fear"), [0, 1], value=7), some(("anger", "fear"), [0, 1], colour=True)
    colour.images[..., 0] = 255
    mixed = cross_pairs([("ckplus", grey), ("mmi", colour)])[0].images
    assert mixed.shape == (8, 8, 8) and set(mixed[:4].ravel()) == {7} and set(mixed[4:].ravel()) == {76}
    both = cross_pairs([("oulu_casia", colour), ("mmi", colour)])[0].images
    assert both.shape == (8, 8, 8, 3)


def test_the_table_sets_folds_next_to_what_was_run_across(tmp_path: Path) -> None:
    """By hand: 12 of 15 of anger and 0 of 5 of surprise right across; within the database 10 of 10 in each fold."""
    for fold in (0, 1):
        frames = [(f"T{fold}{i}", f"T{fold}{i}_1", "anger", RIGHT) for i in range(10)]
        write_run(tmp_path, "gndl", "5", fold, predictions(frames), database="mmi", n_train=30 + fold)
    frames = [
        (f"mmi/T{i}", f"mmi/T{i}_1", "anger" if i < 15 else "surprise", RIGHT if i < 12 else WRONG) for i in range(20)
    ]
    for database in ("ckplus-to-mmi", "ckplus+oulu_casia-to-mmi"):
        for lam, seed in (("5", 0), ("5", 1), ("0.5", 0)):  # only the fixed λ is shown
            write_run(tmp_path / "across", "gndl", lam, 0, predictions(frames), database=database, seed=seed)
    write_run(tmp_path, "baseline", "none", 0, predictions(frames), database="mmi")  # was not run across
    table = across_table(results.read(tmp_path)).set_index(["train_on", "test_on"])
    assert table.index.tolist() == [("ckplus", "mmi"), ("mmi", "mmi"), ("ckplus+oulu_casia", "mmi")]
    assert table["accuracy"].tolist() == [0.6, 1.0, 0.6] and table["n_test"].tolist() == [20] * 3
    counts = ["seeds", "n_train", "subjects", "classes"]
    assert table[counts].to_numpy().tolist() == [[2, 30, 20, 3], [1, 30, 20, 3], [2, 30, 20, 3]]
    row = table.loc[("ckplus", "mmi")]
    assert (row["macro_recall"], row["chance"], row["source"]) == (0.4, 0.75, "rendered")
    assert row["low"] < 0.6 < row["high"]
    assert across_table(results.read(tmp_path / "mmi")).empty, "nothing was run across"


@pytest.fixture
def sides(tmp_path: Path) -> list[Study]:
    """CK+ and MMI of one study, with planted pairs."""
    ckplus = quick_study(tmp_path, quick())
    mmi = replace(ckplus, name="mmi")
    mmi.pairs, mmi.source = planted_pairs(n_pairs=12, seed=1), "rendered"
    return [ckplus, mmi]


def test_runs_across_are_trained_once_on_one_side_and_tested_on_the_other(tmp_path: Path, sides: list[Study]) -> None:
    """The second call trains nothing; what falls out is written next to the runs."""
    found = train_across(sides[:1], sides[1:], how=Sharing(jobs=1))
    (folder,) = found.runs["folder"]
    assert folder == tmp_path / "across/ckplus-to-mmi/quick/lam-5/fold-0/seed-0"
    assert found.runs[["database", "n_train", "n_test"]].to_numpy().tolist() == [["ckplus-to-mmi", 24, 12]]
    assert found.predictions["subject"].str.startswith("mmi/").all()
    assert pd.read_csv(folder.parents[3] / "left_out.csv").empty
    written = (folder / "run.json").stat().st_mtime_ns
    assert len(train_across(sides[:1], sides[1:], how=Sharing(jobs=1)).runs) == 1
    assert (folder / "run.json").stat().st_mtime_ns == written
    assert set(found.records[next(iter(found.records))]["identity"]["extra"]) == {"database", "source"}


def test_a_database_named_twice_and_too_few_classes_are_refused(sides: list[Study]) -> None:
    """Its subjects would be in training and test; one class in common leaves nothing to tell apart."""
    with pytest.raises(GndlError, match="MMI is named twice"):
        train_across(sides, sides[1:])
    one, other = some(("anger", "fear"), [0, 1]), some(("anger", "surprise"), [0, 1])
    larger = replace(one, images=np.zeros((4, 16, 16), np.uint8))
    with pytest.raises(GndlError, match="differ in size"):
        cross_pairs([("ckplus", one), ("mmi", larger)])
    with pytest.raises(GndlError, match="1 classes in common"):
        cross_pairs([("ckplus", one), ("mmi", other)])
