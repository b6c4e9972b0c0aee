"""Two versions of the code are one only where they were shown to give the same bytes."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from gndl import identity
from gndl.checking import equal_numbers
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.identity import EQUAL_NUMBERS, SHARED_CODE, differences, shared_code_version

CODE = {name: f"{number:064x}" for number, name in enumerate(sorted(SHARED_CODE))}
OTHER = CODE | {"trainer": "f" * 64}


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty list of equal versions in place of the package's own."""
    file = tmp_path / "equal_numbers.json"
    write_json(file, {"versions": []})
    monkeypatch.setattr(identity, "EQUAL_NUMBERS", file)
    return file


def run(folder: Path, code: dict[str, str], predictions: str = "sample\n1\n") -> Path:
    """A finished run of which nothing but its code and its numbers matters."""
    folder.mkdir(parents=True)
    (folder / "epochs.csv").write_text("epoch\n1\n")
    (folder / "predictions.csv").write_text(predictions)
    write_json(folder / "run.json", {"identity": {"code": code}})
    return folder


def test_a_changed_module_is_named_until_its_numbers_were_shown_to_be_equal(noted: Path, tmp_path: Path) -> None:
    """Before: the module differs. After: nothing does, and a method's own code still counts."""
    one, other = {"code": CODE, "lam": 5.0}, {"code": OTHER, "lam": 5.0}
    assert [text.split(":")[0] for text in differences(one, other)] == ["code.trainer"]
    was, now = equal_numbers.note_equal(run(tmp_path / "a", CODE), run(tmp_path / "b", OTHER), noted)
    assert was != now and shared_code_version(OTHER) == was
    assert differences(one, other) == []
    changed = copy.deepcopy(other)
    changed["code"]["method"] = "e" * 64
    assert [text.split(":")[0] for text in differences(one, changed)] == ["code.method"]
    third = CODE | {"pairs": "d" * 64}
    equal_numbers.note_equal(run(tmp_path / "c", OTHER), run(tmp_path / "d", third), noted)
    assert len(json.loads(noted.read_text())["versions"]) == 1 and shared_code_version(third) == was


def test_other_bytes_are_never_noted_as_equal(noted: Path, tmp_path: Path) -> None:
    """The file that differs is named."""
    with pytest.raises(GndlError, match=r"predictions\.csv: today's code gives other bytes"):
        equal_numbers.note_equal(run(tmp_path / "a", CODE), run(tmp_path / "b", OTHER, "sample\n2\n"), noted)
    assert json.loads(noted.read_text()) == {"versions": []}


def test_the_list_holds_whole_hashes_and_each_once() -> None:
    """A version in two groups would make three versions equal without having been compared."""
    versions = [version for group in json.loads(EQUAL_NUMBERS.read_text())["versions"] for version in group]
    assert len(versions) == len(set(versions)) and all(len(version) == 64 for version in versions)
