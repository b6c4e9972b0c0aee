"""A notebook without the faces that may not be passed on: every picture that does not say whose it is goes too.

Kept are texts, tables, and pictures whose own declaration (`gndl.figures.shown`) names nobody but people who may be
shown. Widgets, attachments, and pictures hidden in HTML or Markdown are removed, since they declare nothing.
"""

from __future__ import annotations

import base64
import binascii
import copy
import re
from collections.abc import Callable, Iterable
from typing import Any

from nbformat import NotebookNode

from gndl.figures.shown import read_declaration

MayShow = Callable[[Iterable[str]], bool]
"""Whether all faces, named ``DATABASE/SUBJECT``, may be shown."""

REMOVED = "(picture removed: it may show a face that is not to be passed on)"

TEXTS = ("text/plain", "text/markdown", "text/latex", "text/html")
PICTURES = ("image/png", "image/jpeg")

_HOLDS_A_PICTURE = re.compile(
    r"data:\s*[a-z]+/|<\s*(img|svg|image|video|canvas|iframe|object|embed|picture|script)\b|url\(", re.IGNORECASE
)
_DATA = re.compile(r"data:[a-z]+/[^\s\"')>]*|[A-Za-z0-9+/]{400,}={0,2}", re.IGNORECASE)


def holds_a_picture(text: str) -> bool:
    """Whether a text has a picture in it: as a data address, a tag, or a long run of base64."""
    return bool(_HOLDS_A_PICTURE.search(text) or _DATA.search(text))


def without_faces(notebook: NotebookNode, may_show: MayShow) -> tuple[NotebookNode, int]:
    """Return a copy of a notebook without pictures that may show a face, and how many were removed.

    Parameters
    ----------
    notebook : NotebookNode
        Of format 4.
    may_show : callable
        Says of the faces that a picture declares whether all of them may be shown.
    """
    notebook = copy.deepcopy(notebook)
    removed = 0
    state = notebook.metadata.pop("widgets", None)
    removed += len(_DATA.findall(str(state))) if state else 0
    for cell in notebook.cells:
        removed += len(cell.pop("attachments", {}))
        cell.source, count = _DATA.subn(REMOVED, cell.source)
        removed += count
        for output in cell.get("outputs", ()):
            removed += _clear(output, may_show)
    return notebook, removed


def _clear(output: NotebookNode, may_show: MayShow) -> int:
    """Take out of one output what may show a face; the number of pictures removed."""
    if "data" not in output:
        removed = 0
        for key in ("text", "evalue"):
            if key in output:
                output[key], count = _DATA.subn(REMOVED, _joined(output[key]))
                removed += count
        if "traceback" in output:
            output["traceback"] = [_DATA.sub(REMOVED, line) for line in output["traceback"]]
        return removed
    kept: dict[str, Any] = {}
    removed = 0
    for kind, value in output["data"].items():
        if kind in PICTURES and _may_stay(_joined(value), may_show):
            kept[kind] = value
        elif kind == "text/html" and holds_a_picture(_joined(value)):
            removed += 1
        elif kind in TEXTS:
            kept[kind], count = _DATA.subn(REMOVED, _joined(value))
            removed += count
        else:
            removed += 1
    if removed and not set(kept) & set(PICTURES):
        kept["text/plain"] = REMOVED
    output["data"] = NotebookNode(kept)
    about = output.get("metadata", {})
    output["metadata"] = NotebookNode({kind: about[kind] for kind in about if kind in kept})
    return removed


def _may_stay(value: str, may_show: MayShow) -> bool:
    try:
        faces = read_declaration(base64.b64decode(value))
    except (binascii.Error, ValueError):
        return False
    return faces is not None and may_show(faces)


def _joined(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)
