"""Whose faces a figure shows: declared by what draws them, and written into its files so that it can be audited.

A figure of a licensed copy, or of faces of one's own, says in its PNG (also as a notebook shows it) and in
``.NAME.faces.json`` beside its files whose faces it holds. One with a picture in it that nobody has declared says
nothing, and is no part of what `gndl share` passes on.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import _ImageBase
from PIL import Image

from gndl.files import hash_file, write_json

MARK = "gndl-faces"
"""Name of the text in a PNG; in a JPEG its comment begins with it."""

LARGEST_PLOT = 600
"""Cells of the largest image that is a plot, such as a strip of 512 channels; a larger one is a picture."""

KINDS = ("pdf", "svg", "png")

_DECLARED: WeakKeyDictionary[Figure, frozenset[str]] = WeakKeyDictionary()


def declare_faces(figure: Figure, database: str, subjects: Iterable[str]) -> None:
    """Say whose faces all pictures in a figure are; nobody's for an empty list."""
    _DECLARED[figure] = _DECLARED.get(figure, frozenset()) | {f"{database}/{subject}" for subject in subjects}


def faces_shown(figure: Figure) -> tuple[str, ...] | None:
    """Whose faces a figure shows, as ``DATABASE/SUBJECT``; None where it holds a picture that nobody has declared."""
    if figure in _DECLARED:
        return tuple(sorted(_DECLARED[figure]))
    images: list[Any] = figure.findobj(_ImageBase)
    arrays = [image.get_array() for image in images]
    return None if any(a is not None and a.shape[0] * a.shape[1] > LARGEST_PLOT for a in arrays) else ()


class DeclaringCanvas(FigureCanvasAgg):
    """A canvas whose PNG says whose faces the figure shows; notebooks print figures through it."""

    def print_png(self, filename_or_obj: Any, *, metadata: Any = None, pil_kwargs: Any = None, **_: Any) -> None:
        """Write the PNG, with the declaration among its texts where everything in the figure is declared.

        matplotlib hands canvases that are not its own a few words for other renderers, which are not needed.
        """
        shown = faces_shown(self.figure)
        declaration = {} if shown is None else {MARK: written(shown)}
        super().print_png(filename_or_obj, metadata={**(metadata or {}), **declaration}, pil_kwargs=pil_kwargs)


def written(shown: Iterable[str]) -> str:
    """The declaration as text: names with blanks between them, ``nobody`` for none."""
    return " ".join(name.replace(" ", "%20") for name in shown) or "nobody"


def read_declaration(picture: bytes) -> tuple[str, ...] | None:
    """Read whose faces a PNG or JPEG shows; None where it does not say."""
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            text = opened.info.get(MARK)
            comment = opened.info.get("comment", b"")
    except (OSError, ValueError, SyntaxError):
        return None
    if text is None and isinstance(comment, bytes) and comment.startswith(f"{MARK}: ".encode()):
        text = comment.decode("utf-8", "replace").removeprefix(f"{MARK}: ")
    if not isinstance(text, str):
        return None
    return () if text == "nobody" else tuple(name.replace("%20", " ") for name in text.split(" "))


def declared_like(original: bytes, copy: bytes) -> bytes:
    """Give a smaller copy of a picture, PNG or JPEG, the declaration of its original; as it is where there is none."""
    shown = read_declaration(original)
    if shown is None:
        return copy
    if copy.startswith(b"\xff\xd8"):  # a JPEG: a comment segment after its first marker
        comment = f"{MARK}: {written(shown)}".encode()[:65000]
        return copy[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + copy[2:]
    from PIL.PngImagePlugin import PngInfo

    texts, target = PngInfo(), io.BytesIO()
    texts.add_text(MARK, written(shown))
    with Image.open(io.BytesIO(copy)) as opened:
        opened.save(target, "PNG", pnginfo=texts, optimize=True)
    return target.getvalue()


def declaration_file(folder: Path, name: str) -> Path:
    """The file that says whose faces the files of one figure show, each by its hash."""
    return folder / f".{name}.faces.json"


def write_declaration(figure: Figure, folder: Path, name: str) -> None:
    """Write whose faces the saved files of a figure show; remove what an earlier one said where nobody has declared."""
    path, shown = declaration_file(folder, name), faces_shown(figure)
    if shown is None:
        path.unlink(missing_ok=True)
        return
    hashes = {f"{name}.{kind}": hash_file(folder / f"{name}.{kind}") for kind in KINDS}
    write_json(path, {"faces": list(shown), "sha256": hashes})
