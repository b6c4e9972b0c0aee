"""Executed notebooks that any viewer opens whole: pictures in them are made smaller where they would pass 10 MB."""

from __future__ import annotations

import base64
import io
import json

from nbformat import NotebookNode
from PIL import Image

from gndl.figures.shown import declared_like

LARGEST = 10_000_000
"""Bytes that an executed notebook stays below."""


def size_of(notebook: NotebookNode) -> int:
    """Bytes of a notebook on disk."""
    return len(json.dumps(notebook, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def keep_small(notebook: NotebookNode, largest: int = LARGEST) -> NotebookNode:
    """Make the pictures of a notebook smaller, the largest first, until it stays below ``largest`` bytes; return it.

    Pictures become JPEG of at most 1000 and then 600 pixels across. The figures on disk stay as they are.
    """
    for width in (1000, 600):
        for data in _pictures(notebook):
            if size_of(notebook) < largest:
                return notebook
            whole = base64.b64decode(data.get("image/png") or data["image/jpeg"])
            small = declared_like(whole, smaller(whole, width))
            data.pop("image/png", None)
            data["image/jpeg"] = base64.b64encode(small).decode("ascii")
    return notebook


def smaller(picture: bytes, width: int, quality: int = 80) -> bytes:
    """Return a picture as JPEG, at most ``width`` pixels across, on white."""
    with Image.open(io.BytesIO(picture)) as opened:
        image = Image.new("RGBA", opened.size, "white")
        image.alpha_composite(opened.convert("RGBA"))
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.convert("RGB").save(written, "JPEG", quality=quality, optimize=True)
    return written.getvalue()


def _pictures(notebook: NotebookNode) -> list[NotebookNode]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    bundles = [output["data"] for output in outputs if {"image/png", "image/jpeg"} & set(output.get("data", ()))]
    return sorted(bundles, key=lambda data: -len(data.get("image/png") or data["image/jpeg"]))
