"""Two notebooks that are opened at once want the same stand-in."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gndl.files import locked
from gndl.profiles import StandInSize
from gndl.sequences import STAND_IN_LABEL
from gndl.standins import render

SIZE = StandInSize(subjects=3, sequences=18, labelled=18, frames=(8, 8))


def test_of_two_at_once_one_renders_and_the_other_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds the tree complete, and nothing but the tree is left."""
    rendered = []

    def slowly(name: str, root: Path, label: str, *_: object) -> None:
        rendered.append(name)
        partial = root.with_name(f".{root.name}.partial")
        partial.mkdir()  # fails where another is at it
        time.sleep(0.3)
        (partial / STAND_IN_LABEL).write_text(label, encoding="utf-8")
        partial.rename(root)

    monkeypatch.setattr(render, "_render", slowly)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(render.render_database, "oulu_casia", tmp_path / "tree", size=SIZE) for _ in range(3)]
    assert {future.result() for future in asked} == {tmp_path / "tree"} and rendered == ["oulu_casia"]
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_no_two_hold_a_lock_although_its_file_is_removed(tmp_path: Path) -> None:
    """Whoever waited on the removed file waits on its successor; a block that fails gives the lock back too."""
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count(number: int) -> None:
        with locked(counter):
            value = int(counter.read_text())
            time.sleep(0.005)
            counter.write_text(str(value + 1))
            if number % 2:
                raise ValueError

    with ThreadPoolExecutor(8) as pool:
        failed = sum(future.exception() is not None for future in [pool.submit(count, n) for n in range(24)])
    assert (failed, counter.read_text()) == (12, "24")
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]
