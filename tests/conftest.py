"""Fixtures that several test files share; each is made once for all test processes, and not to be written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

# One thread for every numerical library in this process and its children: the cores go to the test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings as hypothesis_settings
from layouts import write_ckplus
from planted_runs import write_planted_study

import gndl
from gndl.files import locked
from gndl.opening import save_config
from gndl.profiles import SMOKE, CropSettings, StandInSize, StudyConfig
from gndl.sequences import STAND_IN_LABEL

hypothesis_settings.register_profile("gndl", max_examples=25, deadline=None)
hypothesis_settings.load_profile("gndl")

TREE_SIZES = {
    "ckplus": StandInSize(subjects=6, sequences=16, labelled=14, frames=(6, 7)),
    "oulu_casia": StandInSize(subjects=3, sequences=18, labelled=18, frames=(6, 6)),
    "mmi": StandInSize(subjects=4, sequences=8, labelled=7, frames=(16, 16)),
}
"""Sizes of the databases of `rendered_trees`."""

MAY_SKIP = ("real_faces", "cuda", "bf16", "golden")
"""Markers of the tests that continuous integration may skip, since what they need is missing there."""


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Folder that ``make`` fills, once for all test processes: the first makes it, the others wait and read."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with locked(folder):
        if not (folder / "made").exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def rendered_trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Root of a tiny rendered CK+, Oulu-CASIA and MMI, by name."""
    from standins import render_database

    def make(folder: Path) -> None:
        for name, size in TREE_SIZES.items():
            render_database(name, folder / name, size=size, jobs=2)

    folder = made_once(tmp_path_factory, "rendered_trees", make)
    return {name: folder / name for name in TREE_SIZES}


@pytest.fixture(scope="session")
def planted_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished study of CK+ and MMI that was written by hand: `planted_runs.ANSWERS` says its answers."""
    return made_once(tmp_path_factory, "planted_study", lambda folder: write_planted_study(folder / "study")) / "study"


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``ckplus`` (six subjects, pictures of noise, labelled a stand-in) and ``study``, trained on it.

    One epoch of baseline and GNDL at 16 pixels on folds 0 and 1 of three, with weights. `open_trained` opens it.
    """

    def make(folder: Path) -> None:
        write_ckplus(folder / "ckplus", tuple(f"S{number:03}" for number in range(6)))
        (folder / "ckplus" / STAND_IN_LABEL).write_text("Pictures of a test.\n")
        train = replace(SMOKE.train, image_size=16, epochs=1)
        settings = replace(SMOKE, train=train, crop=CropSettings(size=48), n_folds=3, only_folds=(0, 1))
        roots = {"ckplus": str(folder / "ckplus")}
        save_config(folder / "study", StudyConfig(settings, data_roots=roots, device="cpu"))
        open_trained(folder).train(jobs=1)

    return made_once(tmp_path_factory, "trained_study", make)


def open_trained(folder: Path) -> gndl.Study:
    """Open the study of `trained_study`, or of a copy of its ``study`` next to its ``ckplus``."""
    roots = {"data_root": folder / "ckplus", "out": folder / "study"}
    return gndl.open_study("ckplus", profile="smoke", device="cpu", jobs=1, **roots)


@pytest.fixture(scope="session")
def tiny_study(rendered_trees: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a real study: all three rendered trees up to trained runs, the notebooks on CK+ only."""
    from gndl import cli
    from gndl.cli import StudyOptions

    trees = str(rendered_trees["ckplus"].parent)

    def make(folder: Path) -> None:
        out = str(folder / "study")
        options = StudyOptions(profile="smoke", data=trees, out=out, jobs=2, epochs=1, device="cpu")
        assert cli.study(options, only="runs") == 0
        assert cli.study(replace(options, databases=("ckplus",)), only="notebooks") == 0

    return made_once(tmp_path_factory, "tiny_study", make) / "study"


@pytest.fixture(autouse=True, scope="session")
def data_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the data folder of the checkout."""
    os.environ["GNDL_DATA"] = str(tmp_path_factory.mktemp("data"))


def pytest_configure(config: pytest.Config) -> None:
    """Register what only some tests need."""
    config.addinivalue_line("markers", "bf16: needs a processor with bfloat16 instructions")
    config.addinivalue_line("markers", "golden: needs a processor that rounds as the one of the golden bytes")


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
