"""CSV files that people write by hand or in a spreadsheet: read strictly, with the row in every message."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from gndl.errors import GndlError


@dataclass(frozen=True)
class Row:
    """One row: its line in the file, counted from 1, and its cells by column, without blanks around them."""

    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


def read_table(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """Read a CSV file in UTF-8 (a byte-order mark and empty lines are tolerated) with at least these columns.

    Raises
    ------
    GndlError
        Where the file cannot be read, is no UTF-8, holds a zero byte, lacks a column, has one twice, or has a row of
        another length.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GndlError(f"{path}: not in UTF-8 ({error.reason} at byte {error.start}); save it as CSV UTF-8") from error
    except OSError as error:
        raise GndlError(f"{path}: cannot be read ({error.strerror})") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise GndlError(f"{path}, line {line}: a zero byte; the file is damaged or no text, save it as CSV UTF-8")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if header is None:
                header = [cell.lower() for cell in stripped]
                _check_header(path, header, columns)
            elif len(stripped) != len(header):
                raise GndlError(
                    f"{path}, row {reader.line_num}: {len(stripped)} cells, {len(header)} expected "
                    f"({','.join(header)}); put cells that contain a comma in quotes"
                )
            else:
                rows.append(Row(reader.line_num, dict(zip(header, stripped, strict=True))))
    except csv.Error as error:
        raise GndlError(f"{path}, row {reader.line_num}: not readable as CSV ({error})") from error
    if header is None:
        raise GndlError(f"{path}: empty; the columns {','.join(columns)} are expected")
    return rows


def _check_header(path: Path, header: list[str], columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        hint = "; separate cells by commas, not semicolons" if any(";" in cell for cell in header) else ""
        raise GndlError(
            f"{path}: no column {', '.join(missing)}; the columns {','.join(columns)} are expected, "
            f"found {','.join(header)}{hint}"
        )
    if len(set(header)) < len(header):
        raise GndlError(f"{path}: a column occurs twice in the header: {','.join(header)}")
