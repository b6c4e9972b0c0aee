"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gndl.files import locked
from gndl.profiles import StandInSize

# One thread for every numerical library in this process and its children: the machine's cores go to the test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TREE_SIZES = {
    "ckplus": StandInSize(subjects=6, sequences=16, labelled=14, frames=(6, 7)),
    "oulu_casia": StandInSize(subjects=3, sequences=18, labelled=18, frames=(6, 6)),
    "mmi": StandInSize(subjects=4, sequences=8, labelled=7, frames=(16, 16)),
}
"""Sizes of the databases of `rendered_trees`."""


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Folder that ``make`` fills, once for all test processes: the first makes it, the others wait and read."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with locked(folder):
        if not (folder / "made").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def rendered_trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Root of a tiny rendered CK+, Oulu-CASIA and MMI, by name; not to be written to."""
    from gndl.standins import render_database

    def make(folder: Path) -> None:
        for name, size in TREE_SIZES.items():
            render_database(name, folder / name, size=size, jobs=2)

    folder = made_once(tmp_path_factory, "rendered_trees", make)
    return {name: folder / name for name in TREE_SIZES}


@pytest.fixture(scope="session")
def tiny_study(rendered_trees: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of one whole study of the three rendered trees, made by the command line; not to be written to."""
    from gndl import cli

    trees = rendered_trees["ckplus"].parent

    def make(folder: Path) -> None:
        status = cli.run(cli.Study(profile="smoke", data=str(trees), out=str(folder / "study"), jobs=2, epochs=1))
        assert status == 0

    return made_once(tmp_path_factory, "tiny_study", make) / "study"


@pytest.fixture(autouse=True, scope="session")
def data_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the data folder of the checkout."""
    os.environ["GNDL_DATA"] = str(tmp_path_factory.mktemp("data"))


MAY_SKIP = ("real_faces", "cuda")
"""Markers of the tests that continuous integration may skip: what they need is not there."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with one file that needs the tiny study and end with the others: nobody waits while it is being made."""
    needing = {item.path for item in items if "tiny_study" in getattr(item, "fixturenames", ())}
    first = next((item.path for item in items if item.path in needing), None)
    items.sort(key=lambda item: 0 if item.path == first else 1 + (item.path in needing))  # stable


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In continuous integration (GNDL_CI) a skipped test is a failure, but for the few that may be."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if os.environ.get("GNDL_CI") and report.skipped and not any(item.get_closest_marker(name) for name in MAY_SKIP):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped where nothing may be: {report.longrepr}"
