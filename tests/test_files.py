"""Files appear whole, hashes stay what they are, and no name of a file is too odd for either."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from gndl.files import hash_file, hash_json, write_json
from gndl.source_hashes import hash_sources

NO_UTF8 = os.fsdecode(b"M\xfcller") if sys.platform == "linux" else "Müller"
"""A folder's name in Latin-1, as old archives hold them; elsewhere the system does not let it be made."""


def test_hashes_of_json_are_what_they_always_were() -> None:
    """Runs, crops and pairs of earlier versions keep their hashes; keys are sorted, text is UTF-8."""
    assert hash_json({"b": [1, 0.5, None], "a": "anger"}) == (
        "c9b2b6002b8c97c946e35b88d5d09bcd8a726671f0891c105823948dfca3e1bd"
    )
    assert hash_json({"λ": "Müller"}) == ("32d7dc30cf90b15d45220e3d3dd8e3756cd2acdd3393236607e64a43cfcafcec")


def test_a_name_that_is_no_utf8_can_be_hashed_and_written(tmp_path: Path) -> None:
    """Two such names have two hashes, and JSON gives them back; other text is written as it reads."""
    one, other = os.fsdecode(b"M\xfcller"), os.fsdecode(b"M\xf6ller")
    assert hash_json([one]) != hash_json([other])
    write_json(tmp_path / "names.json", [one, "Müller, λ"])
    assert json.loads((tmp_path / "names.json").read_text(encoding="utf-8")) == [one, "Müller, λ"]
    assert "Müller, λ" in (tmp_path / "names.json").read_text(encoding="utf-8")


def test_sources_in_a_folder_whose_name_is_no_utf8_are_hashed_and_remembered(tmp_path: Path) -> None:
    """The second time nothing is read again."""
    picture = tmp_path / NO_UTF8 / "face.png"
    picture.parent.mkdir()
    picture.write_bytes(b"pixels")
    memory = tmp_path / "memory.json"
    assert hash_sources([picture], memory) == {picture: hash_file(picture)}
    before = memory.stat().st_mtime_ns
    assert hash_sources([picture], memory) == {picture: hash_file(picture)}
    assert memory.stat().st_mtime_ns == before
