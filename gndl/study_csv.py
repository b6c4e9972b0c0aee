"""Read the CSV files of a study, which may be somebody else's: what no run writes is refused by file and row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from gndl.errors import GndlError

TEXT = ("lam", "subject", "sequence", "frame", "truth", "predicted")
NEVER_BLANK = ("lam", "subject", "sequence", "truth", "predicted")
WHOLE = ("sample", "epoch", "fold", "seed")
FRACTIONS = ("accuracy_", "epoch_", "n_", "p_")
"""How columns of numbers begin; a cell may be blank, as of an imported run, which has no best epoch."""

_LARGEST = 2.0**53


def read_csv(path: Path, columns: tuple[str, ...], *, encoding_errors: str = "strict") -> pd.DataFrame:
    """Read one of the study's CSV files; text such as the λ ``none`` stays text.

    ``encoding_errors`` is ``"surrogateescape"`` for a file that holds names of files, which need not be in UTF-8.

    Raises
    ------
    GndlError
        Naming the file, where it is missing, cannot be read as CSV or lacks a column; and the row, where a column that
        was asked for, or one of probabilities, holds what it cannot.
    """
    if not path.exists():
        raise GndlError(f"{path} is missing; run `gndl study` again to train what is not there.")
    try:
        table = pd.read_csv(
            path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT, str), encoding_errors=encoding_errors
        )
    except (OSError, ValueError, OverflowError) as error:  # pandas' own are ValueErrors, and so is UnicodeDecodeError
        raise GndlError(f"{path}: cannot be read as CSV ({_one_line(error)}); {_WHAT_TO_DO}") from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise GndlError(f"{path} lacks the column {missing[0]!r}; it is not what a run writes.")
    if not isinstance(table.index, pd.RangeIndex):
        raise GndlError(f"{path}: rows have more cells than the header; {_WHAT_TO_DO}")
    probabilities = [name for name in table.columns if name.startswith("p_")]
    _require_cells(path, table, dict.fromkeys([*columns, *probabilities]))
    return table


_WHAT_TO_DO = "fetch the file again, or delete its folder and run `gndl study` again."


def _one_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _require_cells(path: Path, table: pd.DataFrame, names: Iterable[str]) -> None:
    for name in names:
        column = table[name]
        if name in NEVER_BLANK:
            wrong = column.isna().to_numpy()
        elif name in WHOLE:
            number = _numbers(column)
            wrong = ~(np.isfinite(number) & (np.abs(number) < _LARGEST) & (number == np.floor(number)))
        elif name == "loss" or name.startswith(FRACTIONS):
            wrong = np.isnan(_numbers(column)) & column.notna().to_numpy()
        else:
            continue
        if wrong.any():
            row = int(wrong.argmax())
            said = "blank" if pd.isna(column.iloc[row]) else f"{str(column.iloc[row])[:40]!r}"
            raise GndlError(f"{path}, row {row + 2}: {name} is {said}, which no run writes; {_WHAT_TO_DO}")


def _numbers(column: pd.Series) -> np.ndarray:
    """Cells as floats, NaN where a cell is none; a column of numbers as it was read."""
    if pd.api.types.is_bool_dtype(column):
        return np.full(len(column), np.nan)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(float)
    # A cell of text makes the whole column text, so every cell of it is looked at.
    return np.array([_number(cell) for cell in column], dtype=float)


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except (ValueError, OverflowError):
        return float("nan")
