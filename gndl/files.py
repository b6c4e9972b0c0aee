"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it takes ``path``'s name only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time write ``path``, be it a file or a folder; the others wait for the block's end.

    The lock file lies beside ``path`` as ``.NAME.lock`` and goes with the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    with FileLock(file):
        try:
            yield
        finally:
            # Who waits on the removed file sees that and takes the lock anew (filelock, since 3.24).
            with suppress(OSError):
                file.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8 with ``\\n`` line ends."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON atomically; names of files that are no UTF-8 are read back as they were."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with written_aside(path) as aside:
        # The system gives a byte that is no UTF-8 as a lone surrogate; \udcXX is how JSON writes one.
        aside.write_bytes(text.encode("utf-8", "backslashreplace"))


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(content: Any) -> str:
    """SHA-256 of ``content``'s canonical JSON (sorted keys, no blanks), in hexadecimal."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
