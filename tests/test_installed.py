"""What `pip install .` puts into an environment, and what relative paths refer to without a repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ASK = """
import json
from gndl import paths
where = [paths.is_repository(), paths.notebooks_folder(), paths.repository_root(), paths.resolve("runs/x")]
print(json.dumps([str(one) for one in where]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel holds it."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def ask(installed: Path, cwd: Path, **environment: str) -> list[str]:
    kept = {key: value for key, value in os.environ.items() if key != "GNDL_HOME"}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(installed), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout))


def test_an_installed_package_has_its_notebooks(installed: Path) -> None:
    """The very ones of the repository, beside the assets."""
    names = sorted(path.name for path in (ROOT / "notebooks").glob("[0-9]_*.ipynb"))
    assert len(names) == 9
    for name in names:
        assert (installed / "gndl" / "notebooks" / name).read_bytes() == (ROOT / "notebooks" / name).read_bytes()
    assert (installed / "gndl" / "assets" / "eyes5.dat").is_file()


def test_relative_paths_refer_to_the_working_folder(installed: Path, tmp_path: Path) -> None:
    """To the folder above for notebooks that `gndl lab` has copied, and to GNDL_HOME where that is set."""
    tmp_path = tmp_path.resolve()
    notebooks = str(installed.resolve() / "gndl" / "notebooks")
    assert ask(installed, tmp_path) == ["False", notebooks, str(tmp_path), str(tmp_path / "runs" / "x")]
    copied = tmp_path / "notebooks"
    copied.mkdir()
    (copied / "0_tour.ipynb").touch()
    assert ask(installed, copied)[2] == str(tmp_path)
    assert ask(installed, copied, GNDL_HOME=str(tmp_path / "home"))[2] == str(tmp_path / "home")
