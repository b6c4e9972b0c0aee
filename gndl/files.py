"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it takes ``path``'s name only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        with naming(path):
            yield aside
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the file system that names no file, such as that of a full disk, name ``path``."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def aside_of(path: Path) -> Path:
    """Name a file or folder beside ``path`` to write to first, and remove what killed processes left there for it.

    The name holds the machine and the process, so that what another process writes just now is left alone.
    """
    left = re.compile(rf"\.{re.escape(path.stem)}\.{_machine()}-(\d+)-[0-9a-f]{{6}}{re.escape(path.suffix)}")
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            match = left.fullmatch(entry.name)
            if match and not _is_alive(int(match[1])):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)
    return path.with_name(f".{path.stem}.{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:6]}{path.suffix}")


def whole(files: Iterable[Path]) -> Iterator[Path]:
    """Leave out what a killed process was just writing: such files, which `aside_of` names, begin with a dot."""
    return (file for file in files if not file.name.startswith("."))


@cache
def _machine() -> str:
    """Six digits that tell this machine, since it was started, from others that write to the same disk."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    started = boot.read_text(encoding="ascii") if boot.is_file() else ""
    return hashlib.sha256(f"{platform.node()} {started}".encode()).hexdigest()[:6]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time write ``path``, be it a file or a folder; the others wait for the block's end.

    The lock file lies beside ``path`` as ``.NAME.lock`` and goes with the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _lock_file(path)
    lock = FileLock(file)
    _acquire(lock)
    try:
        yield
    finally:
        # Who waits on the removed file sees that and takes the lock anew (filelock, since 3.24).
        with suppress(OSError):
            file.unlink()
        lock.release()


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """As `locked`, but never wait: yield whether the lock was free and is held now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _lock_file(path)
    lock = FileLock(file, timeout=0)
    try:
        _acquire(lock)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            file.unlink()
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock of ``path`` just now.

    The system frees the lock of a process that was killed, so a lock file that it left behind is none.
    """
    if not _lock_file(path).exists():
        return False
    with locked_if_free(path) as free:
        return not free


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _acquire(lock: FileLock) -> None:
    """Take the lock; a file that another node of a shared disk (NFS) removed meanwhile is opened again."""
    while True:
        try:
            lock.acquire()
            return
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise


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
