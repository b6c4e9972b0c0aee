"""Pictures in texts are found however they are written, and texts without any stay as they are."""

from __future__ import annotations

import base64
import hashlib
import io
import json

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from gndl.sharing.hidden_pictures import REMOVED, hides_pixels, holds_a_picture, without_pictures
from gndl.sharing.notebook_faces import still_holds_a_picture, without_faces


def picture(kind: str, side: int = 40) -> bytes:
    """A picture of noise."""
    written = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(written, kind)
    return written.getvalue()


def wrapped(content: bytes, width: int, between: str = "\n") -> str:
    """Base64 in lines of ``width`` characters."""
    whole = base64.b64encode(content).decode()
    return between.join(whole[start : start + width] for start in range(0, len(whole), width))


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
@pytest.mark.parametrize("width", [10, 60, 76, 10_000])
@pytest.mark.parametrize("between", ["\n", "\r\n", "\\n", '",\n        "', "\\n\\\n"])
def test_base64_is_found_however_it_is_wrapped(kind: str, width: int, between: str) -> None:
    """In lines of any width, also as JSON and Python write them, short pictures too; and all of it is taken out."""
    for side in (4, 40):
        text = f"a face: {wrapped(picture(kind, side), width, between)}"
        assert hides_pixels(text) and holds_a_picture(text)
        cleared, count = without_pictures(text, markup=False)
        assert count and not hides_pixels(cleared) and len(cleared) < 110


def test_pixels_that_are_no_picture_of_a_kind_are_found_by_their_length() -> None:
    """An array in base64, in lines; and a picture as Python shows bytes."""
    noise = np.random.default_rng(1).bytes(900)
    assert hides_pixels(wrapped(noise, 76)) and hides_pixels(json.dumps({"a": wrapped(noise, 76)}))
    assert hides_pixels(repr(picture("png"))) and hides_pixels(json.dumps(repr(picture("jpeg"))))
    assert without_pictures(repr(picture("png")), markup=False) == (REMOVED, 1)


def test_numbers_hashes_and_prose_are_no_picture() -> None:
    """Tables of whole numbers, lists of hashes, long words and a sentence about data stay as they are."""
    table = "\n".join("anger    12  3  4567890123456789 11" for _ in range(99))
    hashes = json.dumps([hashlib.sha256(bytes([i])).hexdigest() for i in range(99)], indent=1)
    prose = "Training data: image/label pairs of CK+/MMI, incomprehensibilities notwithstanding. " * 9
    for text in (table, hashes, prose, "a < b, image > c; see <https://example.org>"):
        assert not hides_pixels(text)
        assert without_pictures(text, markup=True) == without_pictures(text, markup=False) == (text, 0)


def test_a_drawing_in_markdown_goes_and_the_words_around_it_stay() -> None:
    """The element whole; tags that load something too; the same tags as words in code are left."""
    text = "before <svg viewBox='0 0 1 1'>\n<path d='M0 0'/></svg> between <IMG src=x.png> after"
    assert without_pictures(text, markup=True) == (f"before {REMOVED} between {REMOVED} after", 2)
    assert without_pictures("<svg><path/>", markup=True)[0] == f"{REMOVED}<path/>"
    assert without_pictures("tag = '<img src=x.png>'", markup=False) == ("tag = '<img src=x.png>'", 0)
    assert without_pictures("<svg><path/></svg>", markup=False) == (REMOVED, 1)


def test_no_part_of_a_notebook_keeps_a_picture() -> None:
    """Sources, streams, tracebacks, outputs and metadata of cells, outputs and the notebook; what is meant stays."""
    lines = wrapped(picture("png"), 76)
    link = "data:image/png;base64," + wrapped(picture("png"), 10_000)
    traceback = ["Traceback", *lines.splitlines(), "ValueError"]
    shown = new_output("display_data", {"text/plain": "7"}, metadata={"text/plain": {"width": 3, "face": link}})
    cells = [
        new_code_cell(f"face = '''{lines}'''", outputs=[new_output("stream", text=lines), shown]),
        new_code_cell("1", outputs=[new_output("error", ename="E", evalue=lines, traceback=traceback)]),
        new_code_cell("%%html\n<svg><path/>", outputs=[new_output("display_data", {"text/latex": lines})]),
        new_markdown_cell(f"<svg><path/></svg> {lines}", metadata={"tags": ["a"], "execution": {"x": link}}),
        new_code_cell("counted", metadata={"thumbnail": link, "name": "x"}),
    ]
    notebook = new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}, "cover": lines}
    )

    def nobody(faces: object) -> bool:
        return not list(faces)  # type: ignore[call-overload]

    assert still_holds_a_picture(notebook, nobody)
    cleared, count = without_faces(notebook, nobody)
    assert count >= 11 and not still_holds_a_picture(cleared, nobody)
    assert "iVBOR" not in json.dumps(cleared) and "<svg" not in json.dumps(cleared)
    assert cleared.metadata == {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    assert [cell.metadata for cell in cleared.cells[3:]] == [{"tags": ["a"]}, {"name": "x"}]
    assert cleared.cells[0].outputs[1].metadata == {"text/plain": {"width": 3}}
    assert cleared.cells[-1].source == "counted"
    assert cleared.cells[1].outputs[0].traceback[0] == "Traceback"


def test_a_picture_where_no_notebook_has_one_is_noticed() -> None:
    """The second look goes over the whole file, entries that the format does not know too."""
    notebook = new_notebook(cells=[new_code_cell("1")])
    notebook.cells[0]["preview"] = wrapped(picture("jpeg"), 76)
    assert still_holds_a_picture(notebook, lambda faces: False)
