"""What the paper states is kept as printed, and importing the package costs little."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gndl import paper

CLASSES = paper.EXPRESSIONS["ckplus"]


def test_the_counts_of_the_paper_add_up() -> None:
    """Three pairs a sequence; class counts sum to the labelled sequences."""
    for name, stated in paper.COUNTS.items():
        assert stated.pairs == 3 * stated.labelled
        if stated.per_class is not None:
            assert sum(stated.per_class.values()) == stated.labelled
            assert set(stated.per_class) == set(paper.EXPRESSIONS[name])
    assert paper.COUNTS["ckplus"].per_class is not None and paper.COUNTS["ckplus"].per_class["contempt"] == 18


def test_table_1_has_the_thirteen_rows_of_the_paper() -> None:
    table = paper.table_1().set_index("method")
    assert len(table) == 13
    assert table.loc["GNDL", ["ckplus", "oulu_casia", "mmi"]].tolist() == [99.69, 90.07, 86.46]
    assert table["oulu_casia"].isna().sum() == 3, "dashes of 3DCNN-DAP, IACNN and DLP-CNN"
    assert table["setting"].str.endswith("*").sum() == 3


def test_table_1_says_what_each_figure_rests_on() -> None:
    """Sequence-based rows saw the neutral face at test; FN2EN's CK+ has six classes."""
    table = paper.table_1().set_index("method")
    assert table["neutral_at_test"].equals(table["setting"].eq("sequence-based").rename("neutral_at_test"))
    assert table.loc["FN2EN", "classes"] == 6 and table.loc["FDRL", "external"] == "MS-Celeb-1M"
    facts = {"neutral_at_test", "classes", "external"}
    assert all("neutral_at_test" in read and set(read) <= facts for read in table["verified"])


def test_the_ledger_names_every_open_choice_once() -> None:
    ledger = paper.ledger()
    own = ledger[ledger["basis"] == "read in the paper"]
    assert own["number"].tolist() == [f"L{number}" for number in range(1, 22)] and ledger["number"].is_unique
    assert set(ledger["basis"]) == {"read in the paper", "read in the authors' code", "from memory, not verified"}
    assert ledger.notna().all(axis=None) and ledger["paper"].is_unique


@given(st.lists(st.sampled_from([*CLASSES, "boredom"]), min_size=1, unique=True))
def test_the_order_of_figure_6_loses_no_class(classes: list[str]) -> None:
    assert sorted(paper.figure_order(classes)) == sorted(classes)
    assert paper.figure_order(["boredom", "anger", "fear"]) == ("fear", "anger", "boredom")


@pytest.mark.parametrize(
    ("statement", "at_most"), [("import gndl", 1), ("import gndl.results", 20), ("import gndl.tables", 21)]
)
def test_importing_loads_neither_torch_nor_warp_nor_matplotlib(statement: str, at_most: int) -> None:
    ask = "import sys; print(*(name for name in sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", f"{statement}; {ask}"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "warp", "matplotlib", "dlib", "sklearn", "IPython"} & set(loaded)
    own = [name for name in loaded if name == "gndl" or name.startswith("gndl.")]
    assert len(own) <= at_most, own
    if statement == "import gndl":
        assert "pandas" not in loaded


def test_the_package_offers_its_doors_lazily() -> None:
    import gndl

    assert gndl.results.read is not None and "open_study" in dir(gndl)
    with pytest.raises(AttributeError, match="no attribute 'opne_study'"):
        gndl.opne_study  # noqa: B018
