"""Those with glasses, beard, fringe or deep wrinkles, and those without, on votes counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gndl.analysis import worn
from gndl.analysis.variants import Variant
from gndl.analysis.worn import right_by_trait, traits_of
from gndl.databases import read_database
from gndl.narrative import sample_words
from gndl.sequences import Database

TRAITS = pd.DataFrame({"subject": ["S1", "S2", "S3"], "glasses": [True, False, False], "beard": [False] * 3})
VOTES = pd.DataFrame(
    {
        "subject": ["S1", "S1", "S2", "S3"],
        "right_a": [False, True, True, False],
        "right_b": [True, True, False, False],
    }
)


def test_methods_are_compared_with_and_without_a_trait() -> None:
    """S1 wears glasses: 1 of 2 by a, 2 of 2 by b. Of the others' two sequences a has one right and b none."""
    found = right_by_trait(VOTES, TRAITS).set_index(["trait", "has"])
    assert found.loc[("glasses", True), ["subjects", "sequences", "right_a", "right_b"]].tolist() == [1, 2, 0.5, 1.0]
    assert found.loc[("glasses", False), ["subjects", "sequences", "right_a", "right_b"]].tolist() == [2, 2, 0.5, 0.0]
    assert found.loc[("glasses", True), "difference"] == pytest.approx(0.5)
    assert found.loc[("glasses", False), "difference"] == pytest.approx(-0.5)
    assert np.isnan(found.loc[("glasses", True), "low"])  # one subject


def test_a_trait_that_nobody_has_is_an_empty_row() -> None:
    """No share is made up, in numbers or in words."""
    found = right_by_trait(VOTES, TRAITS)
    nobody = found[(found["trait"] == "beard") & found["has"]].iloc[0]
    assert (nobody["subjects"], nobody["sequences"]) == (0, 0)
    assert np.isnan(nobody["right_a"])
    shown = sample_words.readable_traits(found, Variant("baseline"), Variant("gndl", "5"))
    assert "nan" not in shown.to_string()
    assert shown["GNDL, λ = 5"].tolist() == ["100 %", "0 %", "–", "50 %"]
    assert shown["difference, points"].tolist()[:2] == ["+50", "-50"]


def test_traits_are_read_from_the_ground_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Glasses and beard are said, a fringe is one that hangs, wrinkles are deep above the median."""
    subjects = pd.DataFrame(
        {
            "name": ["S1", "S2", "S3"],
            "glasses": ["yes", "no", "no"],
            "beard": ["no", "yes", "no"],
            "hair.fringe": [0, 0.7, 0],
            "wrinkle_depth": [0.2, 0.3, 0.9],
        }
    )
    monkeypatch.setattr(worn, "read_truth", lambda _: type("Truth", (), {"subjects": subjects}))
    found = traits_of(Database("ckplus", Path("tree"), "rendered", ("anger",), ()))
    assert found.drop(columns="subject").to_numpy().tolist() == [
        [True, False, False, False],
        [False, True, True, False],
        [False, False, False, True],
    ]
    assert tuple(found.columns[1:]) == worn.TRAITS
    assert traits_of(Database("ckplus", Path("tree"), "licensed", ("anger",), ())).empty


def test_a_rendered_tree_says_who_has_what(rendered_trees: dict[str, Path]) -> None:
    """Every subject of the tree has a row."""
    database = read_database("oulu_casia", rendered_trees["oulu_casia"])
    assert set(database.subjects) <= set(traits_of(database)["subject"])
