"""How the fuzz campaign damages what comes from outside: bytes of a file, and files of a tree."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

WORDS = st.sampled_from(
    [
        *"\0\n\r,;\"'<>&%[]{}/\\.-_ ",
        "..",
        "//",
        "\ufeff",
        "\udc80",
        "é",
        "9" * 5000,
        "-1",
        "nan",
        "1e999",
        "0x10",
        "NaN",
    ]
)
TEXT = st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=6).map("".join)


@st.composite
def damaged(draw: Draw, valid: bytes) -> bytes:
    """A file with a few of its bytes changed, cut out, doubled, moved, or its end cut off."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(0, 6))):
        if not content:
            break
        at = draw(st.integers(0, len(content) - 1))
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 64, 1000]))
        kind = draw(st.sampled_from(["set", "set", "cut", "double", "end", "insert"]))
        if kind == "set":
            content[at : at + length] = draw(st.binary(min_size=1, max_size=8))[:length]
        elif kind == "cut":
            del content[at : at + length]
        elif kind == "double":
            content[at:at] = content[at : at + length]
        elif kind == "insert":
            content[at:at] = draw(TEXT).encode("utf-8", "surrogateescape")
        else:
            del content[at:]
    return bytes(content)


def write(path: Path, content: bytes | str) -> Path:
    """Write a file with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
    return path


_made: dict[str, Path] = {}


def made(kind: str, make: Callable[[Path], object]) -> Path:
    """A valid tree of a kind, made once in each process; it is copied before it is damaged."""
    if kind not in _made:
        _made[kind] = Path(tempfile.mkdtemp(prefix="gndl-fuzz-"))
        make(_made[kind])
    return _made[kind]


def damaged_copy(draw: Draw, folder: Path, kind: str, make: Callable[[Path], object], pattern: str = "*") -> Path:
    """A copy of a valid tree of which up to three files are damaged, emptied, renamed, linked or made folders."""
    root = folder / kind
    shutil.copytree(made(kind, make), root, symlinks=True)
    files = sorted(path for path in root.rglob(pattern) if path.is_file())
    for path in draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True)):
        if not path.is_file():  # a change before has moved or replaced it
            continue
        change = draw(st.sampled_from(["damage", "damage", "damage", "text", "rename", "link", "folder", "loop"]))
        if change == "damage":
            path.write_bytes(draw(damaged(path.read_bytes())))
        elif change == "text":
            write(path, draw(TEXT))
        elif change == "rename":
            new = draw(TEXT.filter(lambda name: name not in ("", ".", "..") and not set(name) & {"/", "\0"}))
            try:
                path.rename(path.with_name(new))
            except (OSError, UnicodeEncodeError):
                continue
        else:
            path.unlink()
            if change == "folder":
                path.mkdir()
            else:
                path.symlink_to(path.name if change == "loop" else draw(st.sampled_from(files)))
    return root
