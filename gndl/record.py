"""Files of finished runs, in a folder each or packed into a few tables; what no run writes is refused by file and row.

A packed record is ``record/NAME/{study.json, runs.csv, epochs.csv.gz, predictions.csv.gz, folds.csv, crops.csv.gz,
accuracy.csv, analysis/*.csv}``. runs.csv holds one run.json a row: dotted columns, cells as JSON except for plain text;
its columns ``epochs.csv`` and ``predictions.csv`` hold the header of the run's own files. λ is "none" for methods
without one.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gndl.files import TEXTS, GndlError, read_csv, write_csv
from gndl.folds import listed_sides
from gndl.runs import read_run

RUN = ["database", "method", "lam", "fold", "seed"]
"""What names a run, as columns. λ is NaN for methods without one: group with ``dropna=False``."""

RunKey = tuple[str, str, str, int, int]
"""The same with λ as text, as folders print it."""

_NUMBER = "(0|[1-9][0-9]{0,9})"
_RUN_FOLDER = re.compile(rf"([^/]+)/([^/]+)/lam-(none|[0-9][0-9.e+-]*)/fold-{_NUMBER}/seed-{_NUMBER}")
_DAMAGED = "no run writes that. Fetch the file again, or delete its folder and run `gndl study` again."

_WHOLE = ("sample", "epoch")
COLUMNS = {
    "epochs": ("epoch", "loss", "accuracy_train", "accuracy_test"),
    "predictions": ("sample", "subject", "sequence", "truth", "predicted"),
}


def run_key(row: Any) -> RunKey:
    """Name the run of a row of `Results.runs`, with λ as text."""
    return (row["database"], row["method"], lam_text(row["lam"]), int(row["fold"]), int(row["seed"]))


def lam_text(lam: float | None) -> str:
    """λ as folders print it, "none" for methods without one."""
    return "none" if pd.isna(lam) else f"{lam:g}"


def run_key_of(folder: Path) -> RunKey | None:
    """Name a run by the last five parts of its folder; None where `gndl.runs.run_folder` gives no such name."""
    if match := _RUN_FOLDER.fullmatch("/".join(folder.parts[-5:])):
        database, method, lam, fold, seed = match.groups()
        with suppress(ValueError):  # a λ such as 1.2.3
            if lam == "none" or lam_text(float(lam)) == lam:
                return database, method, lam, int(fold), int(seed)
    return None


def is_packed(out: Path) -> bool:
    """Whether ``out`` is a packed record, without a folder a run."""
    return (out / "runs.csv").exists()


def finished_runs(out: Path, *, across: bool) -> Iterator[tuple[Path, RunKey, dict[str, Any]]]:
    """Yield the folder, name and run.json of every finished run; of a packed record, the folder that a run was in."""
    if not is_packed(out):
        for path in sorted((out / "across" if across else out).glob("*/*/lam-*/fold-*/seed-*/run.json")):
            folder, key = path.parent, run_key_of(path.parent)
            if key and all((folder / f"{name}.csv").exists() for name in COLUMNS) and (record := read_run(folder)):
                yield folder, key, record
        return
    for cells in read_cached(out / "runs.csv", read_texts).fillna("").to_dict("records"):
        row = {str(name): str(cell) for name, cell in cells.items()}
        place = row.pop("folder", "")
        key = run_key_of(out / place)
        if key is None or not all(row.pop(f"{name}.csv", "") for name in COLUMNS):
            raise GndlError(f"{out / 'runs.csv'}: the row of {place!r} is cut off; fetch the file again.")
        if place.startswith("across/") == across:
            yield out / place, key, _nested(row)


def _of_run(path: Path) -> pd.DataFrame:
    """Read epochs.csv or predictions.csv; `GndlError` for a cell that is blank or not a number where one must be."""
    columns = COLUMNS[path.name.partition(".")[0]]
    table = read_csv(path, columns)
    probabilities = [str(name) for name in table if str(name).startswith("p_")]
    if "predicted" in columns and (table.empty or not probabilities):
        raise GndlError(f"{path} has no {'row' if table.empty else 'probabilities'}; {_DAMAGED}")
    packed = path.suffix == ".gz"  # then a run of other classes has blank probabilities
    for name in map(str, table):
        required = name in columns or (name in probabilities and not packed)
        cells, wrong = table[name], table[name].isna() & required
        if name not in TEXTS and (required or name.startswith(("loss_", "accuracy_", "p_"))):
            numbers = pd.to_numeric(cells, errors="coerce")
            wrong |= cells.notna() & ~np.isfinite(numbers)
            wrong |= (name in _WHOLE) & (numbers % 1 != 0)
        if wrong.any():
            place = int(wrong.to_numpy().argmax())
            cell = "blank" if pd.isna(cells.iloc[place]) else repr(str(cells.iloc[place])[:40])
            raise GndlError(f"{path}, row {place + 2}: {name} is {cell}; {_DAMAGED}")
    return table


read_texts = partial(read_csv, all_text=True)


def read_cached(path: Path, read: Any = _of_run) -> pd.DataFrame:
    """Read a table, by default of a run or of a packed record, once for each state of the file; do not change it."""
    state = path.stat() if path.exists() else None
    return _read_cached(path, read, state and (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=4096)
def _read_cached(path: Path, read: Any, state: Any) -> pd.DataFrame:
    return read(path)


def fold_table(path: Path) -> pd.DataFrame:
    """Read folds.json as a table: ``fold``, ``subject``, ``role``."""
    test, dev = listed_sides(path)
    everybody = sorted({subject for tested in test.values() for subject in tested})
    rows = []
    for fold in test:
        train = [subject for subject in everybody if subject not in {*test[fold], *dev[fold]}]
        for role, subjects in (("test", test[fold]), ("dev", dev[fold]), ("train", train)):
            rows += [(fold, subject, role) for subject in subjects]
    return pd.DataFrame(rows, columns=["fold", "subject", "role"])


def of_databases(out: Path, pattern: str, read: Any = read_csv) -> pd.DataFrame:
    """The files ``OUT/DATABASE/PATTERN`` as one table, with a column ``database``."""
    tables = []
    for path in sorted(out.glob(f"*/{pattern}")):
        tables.append(read(path))
        if "database" not in tables[-1]:
            tables[-1].insert(0, "database", path.relative_to(out).parts[0])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["database"])


def pack(study: Path, record: Path) -> None:
    """Pack a study's finished runs, its runs across databases, folds, crops and analyses; weights stay behind.

    Every cell of epochs.csv and predictions.csv keeps its text, and every value of run.json its type.
    """
    runs: list[dict[str, Any]] = []
    gathered: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
    for folder, key, content in [*finished_runs(study, across=False), *finished_runs(study, across=True)]:
        row: dict[str, Any] = {"folder": folder.relative_to(study).as_posix(), **_flat(content)}
        for name, tables in gathered.items():
            path = folder / f"{name}.csv"
            table = read_texts(path)
            row[path.name] = path.read_text("utf-8", "surrogateescape").partition("\n")[0]
            named = dict(zip(RUN, map(str, key), strict=True))
            tables.append(pd.DataFrame(named, index=table.index).join(table))
        runs.append(row)
    write_csv(pd.DataFrame(runs), record / "runs.csv")
    for name, tables in gathered.items():
        write_csv(pd.concat(tables), record / f"{name}.csv.gz")

    write_csv(of_databases(study, "crops.csv", read_texts), record / "crops.csv.gz")
    write_csv(of_databases(study, "folds.json", fold_table), record / "folds.csv")
    for name in sorted({path.name for path in study.glob("*/analysis/*.csv")}):
        write_csv(of_databases(study, f"analysis/{name}", read_texts), record / "analysis" / name)
    for name in ("study.json", "accuracy.csv"):
        shutil.copyfile(study / name, record / name)


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """An object of JSON as cells under dotted names; text that would be read as something else is quoted."""
    cells: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, dict) and value and not any("." in key for key in value):
            cells |= _flat(value, f"{prefix}{name}.")
        else:
            plain = isinstance(value, str) and _value(value) == value and value
            cells[f"{prefix}{name}"] = value if plain else json.dumps(value, ensure_ascii=False)
    return cells


@lru_cache(maxsize=4096)
def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _nested(cells: dict[str, str]) -> dict[str, Any]:
    """The object that `_flat` took apart; blank cells are absent keys."""
    content: dict[str, Any] = {}
    for name, cell in cells.items():
        if cell:
            *parents, last = name.split(".")
            inner = content
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = _value(cell)
    return content
