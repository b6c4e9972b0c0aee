"""Files appear whole, hashes stay what they are, and no name of a file is too odd for either."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from gndl.files import hash_file, hash_json, is_locked, locked, locked_if_free, write_json
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


def test_a_lock_that_is_taken_is_not_waited_for(tmp_path: Path) -> None:
    """Of two that ask at once one has it; what a lock leaves behind is nothing."""
    with locked_if_free(tmp_path / "run") as first, locked_if_free(tmp_path / "run") as second:
        assert (first, second) == (True, False)
        assert is_locked(tmp_path / "run") and not is_locked(tmp_path / "other")
    assert not is_locked(tmp_path / "run") and not list(tmp_path.iterdir())


def test_a_lock_file_that_lies_about_holds_nobody(tmp_path: Path) -> None:
    """As a killed process leaves it; asking whether it is locked removes it."""
    (tmp_path / ".run.lock").touch()
    assert not is_locked(tmp_path / "run") and not list(tmp_path.iterdir())


def test_a_lock_file_that_another_node_removed_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On NFS the system calls its handle stale; the second try has the lock, and other errors are not swallowed."""
    errors = [OSError(errno.ESTALE, "Stale file handle"), OSError(errno.EIO, "Input/output error")]
    acquire = FileLock.acquire

    def stale(lock: FileLock, *words: object, **options: object) -> object:
        if errors:
            raise errors.pop(0)
        return acquire(lock, *words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FileLock, "acquire", stale)
    with pytest.raises(OSError, match="Input/output error"), locked(tmp_path / "run"):
        raise AssertionError("the lock is not held")
    with locked(tmp_path / "run"):
        assert (tmp_path / ".run.lock").exists()
