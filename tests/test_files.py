"""Files appear whole or not at all, hashes never change, and no file name is too odd for either."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from gndl import files
from gndl.files import (
    GndlError,
    atomic_write,
    hash_json,
    is_locked,
    locked,
    read_csv,
    read_table,
    write_csv,
    write_json,
    write_text,
)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "old")
    with pytest.raises(ValueError, match="interrupted"), atomic_write(tmp_path / "a.csv") as temporary:
        temporary.write_text("half")
        raise ValueError("interrupted")
    assert (tmp_path / "a.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_appears_as_one(tmp_path: Path) -> None:
    for fails in (True, False):
        try:
            with atomic_write(tmp_path / "crops") as temporary:
                temporary.mkdir()
                (temporary / "images.npy").touch()
                assert not (tmp_path / "crops").exists()
                if fails:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            assert not list(tmp_path.iterdir())
    assert [path.name for path in (tmp_path / "crops").iterdir()] == ["images.npy"]


def test_a_full_disk_is_reported_with_the_file(tmp_path: Path) -> None:
    """The system's own error names none."""
    with pytest.raises(OSError, match=r"No space left on device: '.*run\.json'"), atomic_write(tmp_path / "run.json"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_hashes_of_json_are_those_of_version_1() -> None:
    """Runs, crops and pairs keep their hashes; keys are sorted, text is UTF-8."""
    known = "c9b2b6002b8c97c946e35b88d5d09bcd8a726671f0891c105823948dfca3e1bd"
    assert hash_json({"b": [1, 0.5, None], "a": "anger"}) == known
    assert hash_json({"λ": "Müller"}) == "32d7dc30cf90b15d45220e3d3dd8e3756cd2acdd3393236607e64a43cfcafcec"


def test_a_name_that_is_not_utf8_is_hashed_and_read_back(tmp_path: Path) -> None:
    one, other = os.fsdecode(b"M\xfcller"), os.fsdecode(b"M\xf6ller")
    assert hash_json([one]) != hash_json([other])
    write_json(tmp_path / "names.json", [one, "Müller, λ"])
    text = (tmp_path / "names.json").read_text(encoding="utf-8")
    assert json.loads(text) == [one, "Müller, λ"] and "Müller, λ" in text
    write_csv(pd.DataFrame({"frame": [one]}), tmp_path / "names.csv")
    assert (tmp_path / "names.csv").read_bytes() == b"frame\nM\xfcller\n"


def test_a_lock_that_is_held_is_seen_and_not_waited_for(tmp_path: Path) -> None:
    with locked(tmp_path / "run", wait=False) as first, locked(tmp_path / "run", wait=False) as second:
        assert (first, second) == (True, False)
        assert is_locked(tmp_path / "run") and not is_locked(tmp_path / "other")
    assert not is_locked(tmp_path / "run") and not list(tmp_path.iterdir())


def test_a_lock_file_left_by_a_killed_process_is_harmless(tmp_path: Path) -> None:
    (tmp_path / ".run.lock").touch()
    assert not is_locked(tmp_path / "run")
    with locked(tmp_path / "run"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_file_removed_by_another_node_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS calls its handle stale; the second try succeeds, and other errors are not swallowed."""
    errors = [OSError(errno.ESTALE, "Stale file handle"), OSError(errno.EIO, "Input/output error")]
    acquire = FileLock.acquire

    def stale(lock: FileLock) -> object:
        if errors:
            raise errors.pop(0)
        return acquire(lock)

    monkeypatch.setattr(FileLock, "acquire", stale)
    with pytest.raises(OSError, match="Input/output error"), locked(tmp_path / "run"):
        raise AssertionError("the lock is not held")
    with locked(tmp_path / "run"):
        assert (tmp_path / ".run.lock").exists()


def test_data_and_crops_follow_their_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GNDL_CROPS", raising=False)
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "data"))
    assert files.standin_folder("quick", "mmi") == tmp_path / "data" / "standins" / "quick" / "mmi"
    assert files.crops_folder() == tmp_path / "data" / "crops"
    monkeypatch.setenv("GNDL_CROPS", str(tmp_path / "node"))
    assert files.crops_folder() == tmp_path / "node"
    monkeypatch.delenv("GNDL_DATA")
    assert files.shown_path(files.data_folder()) == "data", "relative to the repository"
    assert files.shown_path(tmp_path) == str(tmp_path)


def test_progress_in_a_log_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """pytest's standard error is not a terminal; nothing is drawn over."""
    assert sum(files.progress(range(5), "Counting")) == 10
    assert "\r" not in capsys.readouterr().err
    assert files.counted(1, "clip") == "1 clip" and files.counted(3000, "frame") == "3,000 frames"


def test_what_a_killed_process_left_is_removed_by_the_next_write_and_nothing_else(tmp_path: Path) -> None:
    path, left = tmp_path / "run.json", tmp_path / ".run.0123abcd.json"
    for file in (left, tmp_path / ".run.4567cdef.json", tmp_path / ".others.0123abcd.json"):
        file.write_text("half")
    for old in (left, tmp_path / ".others.0123abcd.json"):
        os.utime(old, (0, 0))
    write_text(path, "whole")
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == [".others.0123abcd.json", ".run.4567cdef.json", "run.json"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_names_in_a_csv_of_a_study_stay_text(tmp_path: Path, suffix: str) -> None:
    """Classes that are numbers, "NA" and "None", subjects with leading zeros and file names in any encoding."""
    odd = os.fsdecode(b"M\xfcller.png")
    names = {"subject": ["021", "NA"], "truth": ["5", "NA"], "predicted": ["1e5", "None"], "run": ["12345678", "1e99"]}
    numbers = {"lam": ["none", "0.5"], "p_5": [0.25, None], "epoch": [1, 2]}
    written = pd.DataFrame({**names, "frame": [odd, None], **numbers})
    path = write_csv(written, tmp_path / f"some{suffix}")
    assert suffix == ".csv" or path.read_bytes()[4:8] == bytes(4), "no time is written"
    table = read_csv(path, ("subject", "epoch"))
    assert {name: list(table[name]) for name in names} == names and table["frame"][0] == odd
    assert table["frame"].isna().tolist() == table["p_5"].isna().tolist() == [False, True]
    assert table["lam"].isna().tolist() == [True, False] and table["lam"][1] == 0.5
    assert table["p_5"][0] == 0.25 and table["epoch"].dtype == int
    assert list(read_csv(path, all_text=True).iloc[0]) == ["021", "5", "1e5", "12345678", odd, "none", "0.25", "1"]


def test_a_csv_that_no_study_wrote_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "epochs.csv"
    for content, said in ((None, "is missing"), ("", "cannot be read as CSV"), ("a,b\n1,2,3\n", "more cells than the")):
        if content is not None:
            path.write_text(content)
        with pytest.raises(GndlError, match=rf"epochs\.csv.*{said}"):
            read_csv(path)
    path.write_text("epoch,loss\n1,2\n")
    with pytest.raises(GndlError, match="lacks the column 'accuracy_test'"):
        read_csv(path, ("epoch", "accuracy_test"))
    (tmp_path / "cut.csv.gz").write_bytes(write_csv(pd.DataFrame({"a": range(999)}), path).read_bytes()[:40])
    with pytest.raises(GndlError, match=r"cut\.csv\.gz cannot be read as CSV"):
        read_csv(tmp_path / "cut.csv.gz")


def test_a_table_written_by_hand_keeps_its_lines_and_the_case_of_its_classes(tmp_path: Path) -> None:
    """Columns are found in any case of letters and any order; optional ones may lack, others are left out."""
    path = tmp_path / "own.csv"
    path.write_text("\ufeffP_Freude ,Sample,note,FRAME\n\n 0.5, 007 ,x,NA\n", encoding="utf-8")
    table = read_table(path, ("sample", "p_Freude"), ("frame", "subject"))
    assert table.to_dict("index") == {3: {"sample": "007", "p_Freude": "0.5", "frame": "NA"}}
    path.write_text("sample,frame,frame\n1,a,b\n")
    with pytest.raises(GndlError, match=r"own\.csv: no column frame, or several"):
        read_table(path, ("sample",), ("frame",))
