"""Files and folders: where they are, how they are written atomically, locked and hashed."""

from __future__ import annotations

import difflib
import errno
import glob
import gzip
import hashlib
import json
import os
import shutil
import sys
import time
import uuid
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    import pandas as pd
    from tqdm import tqdm

Item = TypeVar("Item")


class GndlError(Exception):
    """An error meant for the user: what went wrong, in which file, and what to do. Printed without a traceback."""


def repository_root() -> Path:
    """Folder that relative paths refer to: the repository in a checkout, else the working folder."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def resolve(path: str | Path) -> Path:
    """Absolute form of a path: ``~`` expanded, relative paths taken from `repository_root`."""
    return (repository_root() / Path(path).expanduser()).resolve()


def shown_path(path: Path) -> str:
    """The path as a reader would type it: relative to `repository_root` where it lies inside, else absolute."""
    root = repository_root()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def data_folder() -> Path:
    """Folder of rendered databases and crops: ``GNDL_DATA``, else ``data/``."""
    return resolve(os.environ.get("GNDL_DATA") or "data")


def standin_folder(profile: str, database: str) -> Path:
    """Folder of one rendered database."""
    return data_folder() / "standins" / profile / database


def crops_folder() -> Path:
    """Folder of all cached crops: ``GNDL_CROPS`` (such as a node's local disk), else ``crops/`` in `data_folder`."""
    return resolve(os.environ.get("GNDL_CROPS") or data_folder() / "crops")


LEFT_BEHIND = 24 * 3600.0
"""Seconds after which a temporary file belongs to a process that was killed; the next write of its file removes it."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path``, for a file or a new folder; it takes that name only without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.stem)}.????????{path.suffix}"):
        with suppress(FileNotFoundError):  # another process may be removing it
            if left.stat().st_mtime < time.time() - LEFT_BEHIND:
                _remove(left)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # the error of a full disk names no file
        raise
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8 with ``\\n`` line ends."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically; file names that are not UTF-8 are read back unchanged."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with atomic_write(path) as temporary:
        # Python holds a byte that is not UTF-8 as a lone surrogate; \udcXX is how JSON writes one.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_csv(table: pd.DataFrame, path: Path) -> Path:
    """Write a table (``.csv`` or ``.csv.gz``) without its index, with the same bytes every time; return ``path``."""
    content = table.to_csv(index=False, lineterminator="\n").encode("utf-8", "surrogateescape")
    with atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


TEXTS = frozenset(
    {
        *("database", "source", "method", "a_method", "b_method", "reference", "reference_method", "run", "code"),
        *("train_on", "test_on", "subject", "sequence", "frame", "neutral", "examined", "role", "how", "half"),
        *("truth", "predicted", "predicted_a", "predicted_b", "expression", "emotion", "class"),
        *("file", "name", "source_file", "source_sha256", "folder"),
    }
)
"""Columns that name something, in every CSV file of a study; "5", "021", "NA" and "1e5" in them are names too."""


def read_csv(path: Path, columns: Collection[str] = (), *, all_text: bool = False) -> pd.DataFrame:
    """Read a CSV file (``.csv`` or ``.csv.gz``) that a study, an export or a rendering has written.

    The columns in `TEXTS` stay text, or all of them; the others are numbers where they can be. Only a blank cell is
    missing (NaN). ``lam`` is NaN for methods without λ. Raises GndlError, naming the file, where it is missing, is not
    CSV, or lacks one of ``columns``.
    """
    import pandas as pd

    damaged = "fetch the file again, or delete it and run `gndl study` again"
    if not path.exists():
        raise GndlError(f"{path} is missing; run `gndl study` again.")
    try:
        table = pd.read_csv(
            path,
            dtype=str if all_text else {**dict.fromkeys(TEXTS, str), "lam": str},
            keep_default_na=False,
            na_values=[""],
            encoding_errors="surrogateescape",  # names of files may be in any encoding
            low_memory=False,
        )
    except (OSError, EOFError, zlib.error, ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise GndlError(f"{path} cannot be read as CSV ({reason}); {damaged}.") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise GndlError(f"{path}: rows have more cells than the header; {damaged}.")
    if missing := [name for name in columns if name not in table]:
        raise GndlError(f"{path} lacks the column {missing[0]!r}; {damaged}.")
    if "lam" in table and not all_text:
        table["lam"] = pd.to_numeric(table["lam"].replace("none", None), errors="coerce").astype(float)
    return table


def read_table(
    path: Path, columns: Sequence[str], optional: Sequence[str] = (), *, others: bool = True
) -> pd.DataFrame:
    """Read a CSV file written by hand or by a spreadsheet: text without blanks around it, indexed by line number.

    Every one of ``columns`` must be there once, in any case of letters; of ``optional`` those that are there follow.
    Further columns are left out, or refused without ``others``.
    """
    import pandas as pd

    try:
        table = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except (OSError, ValueError) as error:  # ValueError: empty, not UTF-8, or rows of different lengths
        raise GndlError(f"{path}: cannot be read as CSV ({str(error).strip()}); save it as CSV UTF-8") from error
    table = table.fillna("").apply(lambda column: column.str.strip())
    table.index += 1
    table = table[table.ne("").any(axis=1)]
    if any("\0" in cell for column in table for cell in table[column]):
        raise GndlError(f"{path}: zero bytes; the file is damaged or not text, save it as CSV UTF-8")
    spelled = {name.lower(): name for name in (*columns, *optional)}
    header = [spelled.get(name.lower(), name) for name in table.iloc[0]] if len(table) else []
    present = [name for name in optional if name in header]
    if wrong := [name for name in (*columns, *present) if header.count(name) != 1]:
        raise GndlError(
            f"{path}: no column {', '.join(wrong)}, or several; the columns {','.join(columns)} are expected, "
            f"separated by commas, found {','.join(header)}"
        )
    further = [name for name in header if name and name not in (*columns, *present)]
    if further and not others:
        raise GndlError(f"{path}: column {', '.join(further)} is not understood; keep {','.join(columns)}")
    return table.iloc[1:].set_axis(header, axis=1)[[*columns, *present]]


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Let one process at a time write ``path`` (a file or a folder); yield whether the lock is held.

    The others wait, or get False without ``wait``. A lock file ``.NAME.lock`` left by a killed process is harmless.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=-1 if wait else 0)
    while not lock.is_locked:
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except OSError as error:
            if error.errno != errno.ESTALE:  # another node of an NFS disk removed the file: open it again
                raise
    try:
        yield True
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()  # a process that waits on the removed file opens it again (filelock >= 3.24)
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock of ``path``."""
    if not path.with_name(f".{path.name}.lock").exists():
        return False
    with locked(path, wait=False) as free:
        return not free


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(content: Any) -> str:
    """SHA-256 of the canonical JSON of ``content`` (sorted keys, no blanks), in hexadecimal."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def counted(number: int, noun: str) -> str:
    """A count in words: "3 frames", "1 clip"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The choice that is nearest to a misspelt name, as a question; "" where none is near."""
    near = difflib.get_close_matches(name, list(choices), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def progress(items: Iterable[Item], description: str, *, total: int | None = None, unit: str = "it") -> tqdm[Item]:
    """Wrap ``items`` in a progress bar that appears after a second; in a log it prints a line every ten seconds."""
    from tqdm import tqdm

    options: dict[str, Any] = {"desc": description, "total": total, "unit": unit, "delay": 1.0}
    if sys.stderr.isatty():
        return tqdm(items, **options, mininterval=0.2, dynamic_ncols=True)
    return tqdm(items, **options, mininterval=10.0, ascii=True, file=cast(TextIO, _LogLines()))


class _LogLines:
    """Standard error of a log: every state of a progress bar is a line of its own."""

    def write(self, text: str) -> None:
        if line := text.replace("\r", "").strip():
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        sys.stderr.flush()
