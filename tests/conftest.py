"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gndl.profiles import StandInSize

# One thread for every numerical library in this process and its children: the machine's cores go to the test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TREE_SIZES = {
    "ckplus": StandInSize(subjects=6, sequences=16, labelled=14, frames=(10, 11)),
    "oulu_casia": StandInSize(subjects=3, sequences=18, labelled=18, frames=(8, 8)),
    "mmi": StandInSize(subjects=4, sequences=8, labelled=7, frames=(40, 40)),
}
"""Sizes of the databases of `rendered_trees`."""


@pytest.fixture(scope="session")
def rendered_trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Root of a tiny rendered CK+, Oulu-CASIA and MMI, by name; not to be written to."""
    from gndl.standins import render_database

    folder = tmp_path_factory.mktemp("standins")
    return {name: render_database(name, folder / name, size=size, jobs=2) for name, size in TREE_SIZES.items()}
