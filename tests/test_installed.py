"""What ``pip install`` puts on a machine is enough, from any folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

SCRIPT = """
import gndl, standins
from pathlib import Path
from gndl.eyes import PREDICTOR
from gndl.files import resolve
from gndl.paper import ledger
assert Path.cwd().parent in Path(gndl.__file__).parents
assert PREDICTOR.is_file() and len(ledger()) >= 21
assert len(standins.Studio(seed=0).recipes) >= 7
assert resolve("runs/quick") == Path.cwd() / "runs/quick"
"""


def test_an_installed_package_has_its_data_and_works_in_the_current_folder(tmp_path: Path) -> None:
    source, site, here = tmp_path / "source", tmp_path / "site", tmp_path / "here"
    for name in ("gndl", "standins"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(source)]
    subprocess.run(install, check=True)
    here.mkdir()
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=here, env={"PYTHONPATH": str(site)}, check=True)
