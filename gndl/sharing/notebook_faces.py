"""A notebook without the faces that may not be passed on: every picture that does not say whose it is goes too.

Kept are texts, tables, and pictures whose own declaration (`gndl.figures.shown`) names nobody but people who may be
shown. Widgets, attachments, pictures hidden in a text, and all metadata but what is known to hold none are removed,
since they declare nothing.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
from collections.abc import Callable, Iterable
from typing import Any

import nbformat
from nbformat import NotebookNode

from gndl.figures.shown import read_declaration
from gndl.sharing.hidden_pictures import REMOVED, hides_pixels, without_pictures

MayShow = Callable[[Iterable[str]], bool]
"""Whether all faces, named ``DATABASE/SUBJECT``, may be shown."""

TEXTS = ("text/plain", "text/markdown", "text/latex", "text/html")
SHOWN_AS_MARKUP = ("text/markdown", "text/html")
PICTURES = ("image/png", "image/jpeg")

NOTEBOOK_METADATA = ("kernelspec", "language_info", "gndl", "papermill", "title", "authors")
CELL_METADATA = (
    "tags", "papermill", "execution", "name", "collapsed", "scrolled", "editable", "deletable", "jupyter", "slideshow",
)  # fmt: skip
OUTPUT_METADATA = ("width", "height", "needs_background", "isolated", "expanded")
"""Entries of metadata that are kept; whatever else a program has put there may be a picture."""

_MARKUP_MAGICS = ("%%html", "%%svg", "%%markdown", "%%javascript", "%%js")


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
    notebook.metadata, removed = _kept(notebook.metadata, NOTEBOOK_METADATA)
    for cell in notebook.cells:
        removed += len(cell.pop("attachments", {}))
        cell.metadata, count = _kept(cell.metadata, CELL_METADATA)
        removed += count
        markup = cell.cell_type != "code" or cell.source.lstrip().lower().startswith(_MARKUP_MAGICS)
        cell.source, count = without_pictures(cell.source, markup)
        removed += count
        for output in cell.get("outputs", ()):
            removed += _clear(output, may_show)
    return notebook, removed


def still_holds_a_picture(notebook: NotebookNode, may_show: MayShow) -> bool:
    """Whether a notebook that was cleared holds a picture all the same, wherever in the file it may be."""
    rest, removed = without_faces(notebook, may_show)
    for output in (output for cell in rest.cells for output in cell.get("outputs", ())):
        for kind in PICTURES:  # those left are pictures that may be shown
            output.get("data", {}).pop(kind, None)
    return removed > 0 or hides_pixels(nbformat.writes(rest))


def _clear(output: NotebookNode, may_show: MayShow) -> int:
    """Take out of one output what may show a face; the number of pictures removed."""
    if "data" not in output:
        removed = 0
        for key in ("text", "ename", "evalue", "traceback"):
            if key in output:
                between = "\n" if key == "traceback" else ""
                text, count = without_pictures(_joined(output[key], between), markup=False)
                if count:
                    output[key] = text.split("\n") if key == "traceback" else text
                removed += count
        return removed
    kept: dict[str, Any] = {}
    removed = 0
    for kind, value in output["data"].items():
        if kind in PICTURES and _may_stay(_joined(value), may_show):
            kept[kind] = value
        elif kind in TEXTS:
            text, count = without_pictures(_joined(value), kind in SHOWN_AS_MARKUP)
            removed += count
            if not count or kind != "text/html":  # what is left of HTML without its pictures need not make sense
                kept[kind] = text
        else:
            removed += 1
    if removed and not set(kept) & set(PICTURES):
        kept["text/plain"] = REMOVED
    output["data"] = NotebookNode(kept)
    if "metadata" in output:
        about = {kind: _kept(output["metadata"][kind], OUTPUT_METADATA) for kind in output["metadata"] if kind in kept}
        removed += sum(count for _, count in about.values())
        output["metadata"] = NotebookNode({kind: entries for kind, (entries, _) in about.items() if entries})
    return removed


def _kept(metadata: Any, names: tuple[str, ...]) -> tuple[NotebookNode, int]:
    """The entries of metadata that are known to hold no picture and do not, and how many of the others held one."""
    if not isinstance(metadata, dict):
        return NotebookNode(), 0
    pictures = {name: hides_pixels(json.dumps(value)) for name, value in metadata.items()}
    kept = {name: value for name, value in metadata.items() if name in names and not pictures[name]}
    return NotebookNode(kept), sum(pictures.values())


def _may_stay(value: str, may_show: MayShow) -> bool:
    try:
        faces = read_declaration(base64.b64decode(value))
    except (binascii.Error, ValueError):
        return False
    return faces is not None and may_show(faces)


def _joined(value: Any, between: str = "") -> str:
    return between.join(value) if isinstance(value, list) else str(value)
