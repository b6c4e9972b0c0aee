"""Show that changed code still gives the bytes and numbers of record. Nothing is trained, rendered or drawn for it.

``python tools/referee.py`` runs the golden tests (two-epoch trainings, crops, renders: equal to the byte).
``python tools/referee.py OLD NEW`` compares every CSV file of two folders, such as ``figures`` at an earlier commit and
now: the same columns and rows in the same order, texts equal, numbers within 1e-9, relative or absolute
(``--tolerance``). ``--ignore source`` leaves a column out. Each difference is printed, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 5
"""Cells of one column that are printed."""


def compare_folders(old: Path, new: Path, tolerance: float = 1e-9, ignore: Sequence[str] = ()) -> Iterator[str]:
    """Every difference between the CSV files (also ``.csv.gz``) below two folders, in words."""
    files = [{path.relative_to(folder): path for path in folder.rglob("*.csv*")} for folder in (old, new)]
    for name in sorted(files[0].keys() | files[1].keys()):
        if name not in files[1] or name not in files[0]:
            yield f"{name}: only in {old if name in files[0] else new}"
        else:
            yield from (f"{name}: {one}" for one in compare(files[0][name], files[1][name], tolerance, ignore))


def compare(old: Path, new: Path, tolerance: float = 1e-9, ignore: Sequence[str] = ()) -> Iterator[str]:
    """Every difference between two CSV files, in words."""
    before, after = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (old, new))
    before, after = (table.drop(columns=[name for name in ignore if name in table]) for table in (before, after))
    before, after = (table.replace("none", "") for table in (before, after))  # λ of a method without one
    if list(before.columns) != list(after.columns):
        removed, added = before.columns.difference(after.columns), after.columns.difference(before.columns)
        changed = f"removed {', '.join(removed) or 'none'}; added {', '.join(added) or 'none'}"
        yield f"columns differ: {changed if len(removed) or len(added) else 'another order'}"
    if len(before) != len(after):
        yield f"{len(before)} rows before, {len(after)} now"
        return
    for name in (name for name in before.columns if name in after.columns):
        left, right = before[name], after[name]
        numbers = [pd.to_numeric(column, errors="coerce").to_numpy(float) for column in (left, right)]
        close = np.isclose(numbers[0], numbers[1], rtol=tolerance, atol=tolerance)  # False where one is no number
        different = np.flatnonzero((left != right).to_numpy() & ~close)
        for row in different[:SHOWN]:
            yield f"{name}, row {row + 2}: {left[row]!r} before, {right[row]!r} now"
        if len(different) > SHOWN:
            yield f"{name}: {len(different)} cells differ"


def main() -> int:
    """Run the golden tests, or compare two folders; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="OLD NEW")
    parser.add_argument("--tolerance", type=float, default=1e-9)
    parser.add_argument("--ignore", nargs="*", default=[], metavar="COLUMN")
    asked = parser.parse_args()
    if not asked.folders:
        golden = sorted(str(path) for path in (ROOT / "tests").glob("test_*golden.py"))
        return subprocess.run([sys.executable, "-m", "pytest", "-q", *golden], cwd=ROOT, check=False).returncode
    if len(asked.folders) != 2 or not all(folder.is_dir() for folder in asked.folders):
        parser.error("name two folders")
    old, new = asked.folders
    found = list(compare_folders(old, new, asked.tolerance, asked.ignore))
    print("\n".join([*found, f"{len(found)} differences"]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
