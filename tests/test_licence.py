"""Whose faces may be printed, what galleries of a licensed copy draw from, and what a shared bundle holds."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.pylabtools import print_figure
from layouts import write_ckplus
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from gndl import figures, gallery, results
from gndl.errors import GndlError
from gndl.figures.shown import declare_faces, declared_like, faces_shown, read_declaration
from gndl.files import write_json
from gndl.licence import CKPLUS_SUBJECTS, LICENSED_FACES, enter, publishable, read_publishable
from gndl.narrative.figure_album import album
from gndl.prepare import Prepared
from gndl.request import read_study_json
from gndl.sharing.notebook_faces import without_faces
from gndl.sharing.share import MANIFEST, share
from gndl.study import open_study

PRINTED, KEPT = "S055", ("S010", "S011", "S005")
"""One subject whom CK+'s agreement lets be printed, and three whom it does not."""

FORBIDDEN, ALLOWED = (255, 0, 255), (0, 200, 0)
"""The marks: their pictures are magenta, those of the subject who may be printed are green."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A made-up licensed copy in CK+'s own layout, every picture marked by whether it may be printed."""
    folder = tmp_path_factory.mktemp("licensed")
    root = write_ckplus(folder / "CK+", (PRINTED, *KEPT))
    for path in (root / "cohn-kanade-images").rglob("*.png"):
        colour = ALLOWED if path.name.startswith(PRINTED) else FORBIDDEN
        Image.new("RGB", (64, 64), colour).save(path)
    return open_study("ckplus", data_root=str(root), profile="smoke", out=folder / "study", jobs=1)


def marked(picture: bytes, colour: tuple[int, int, int]) -> bool:
    """Whether a picture has a pixel near a mark."""
    with Image.open(io.BytesIO(picture)) as opened:
        pixels = np.asarray(opened.convert("RGB"), dtype=int)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    if colour == FORBIDDEN:
        return bool(((red - green > 80) & (blue - green > 80)).any())
    return bool(((green - red > 120) & (green - blue > 120)).any())


def pictures_of_pdf(content: bytes) -> list[bytes]:
    """The pages of a PDF as PNG: a picture in a palette of its own keeps its colours only when it is drawn."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "figure.pdf").write_bytes(content)
        subprocess.run(["pdftoppm", "-r", "100", "-png", "figure.pdf", "page"], cwd=folder, check=True)
        return [path.read_bytes() for path in sorted(Path(folder).glob("page*.png"))]


needs_poppler = pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm (poppler-utils) is missing")


def pictures_in(name: str, content: bytes) -> list[bytes]:
    """Every raster picture that a file holds, however it holds it."""
    if name.endswith((".png", ".jpg", ".jpeg")):
        return [content]
    if name.endswith(".pdf"):
        return pictures_of_pdf(content)
    text = re.sub(r'\\n",\s*"|\\n|\n', "", content.decode("utf-8", "replace"))
    found = []
    for run in re.findall(r"[A-Za-z0-9+/]{80,}={0,2}", text):
        decoded = base64.b64decode(run + "=" * (-len(run) % 4))
        if decoded[:8] == b"\x89PNG\r\n\x1a\n" or decoded[:2] == b"\xff\xd8":
            found.append(decoded)
    return found


def png(colour: tuple[int, int, int], side: int = 40) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(written, "PNG")
    return written.getvalue()


def test_ckplus_lets_eleven_subjects_be_printed_and_the_others_none(tmp_path: Path) -> None:
    """The lists by database and source; a stand-in has no rule."""
    ckplus = publishable(tmp_path, "ckplus", "licensed")
    assert len(CKPLUS_SUBJECTS) == 11
    assert [ckplus.may_show(name) for name in ("S052", "S132", "S005", "S52")] == [True, True, False, False]
    assert ckplus.credit == "©Jeffrey Cohn"
    for name, source in (("oulu_casia", "licensed"), ("mmi", "licensed"), ("manifest", "own")):
        assert publishable(tmp_path, name, source).subjects == frozenset()
    assert publishable(tmp_path, "ckplus", "rendered").subjects is None


def test_a_licensee_enters_subjects_and_consent(tmp_path: Path) -> None:
    """A file replaces what an earlier one entered; consent stays; rows that cannot be meant are refused by line."""
    file = tmp_path / "may.csv"
    file.write_text("database,subject\noulu_casia,P002\noulu_casia,P001\n")
    content: dict[str, object] = {}
    enter(content, str(file), consent=True)
    write_json(tmp_path / "study.json", content)
    assert publishable(tmp_path, "oulu_casia", "licensed").subjects == {"P001", "P002"}
    assert publishable(tmp_path, "mmi", "licensed").subjects == frozenset()
    assert publishable(tmp_path, "manifest", "own").subjects is None
    file.write_text("database,subject\nmmi,S003\n")
    enter(content, str(file), consent=False)
    assert content["publishable"] == {"mmi": ["S003"], "manifest": ["*"]}
    for row, words in (("ckplus,S005", "row 2: CK\\+'s subjects"), ("fer,1", "row 2: 'fer'"), ("mmi,*", "name one")):
        file.write_text(f"database,subject\n{row}\n")
        with pytest.raises(GndlError, match=words):
            read_publishable(file)


def test_a_note_counts_who_is_left_out_and_why() -> None:
    """Two of three, the reason and the credit; no credit where nobody is shown; nothing for a stand-in."""
    rule = publishable(Path("nowhere"), "ckplus", "licensed")
    assert rule.note(["S055", "S005", "S010", "S010"]) == (
        "2 of 3 subjects left out: CK+'s agreement names 11 subjects who may be printed. ©Jeffrey Cohn"
    )
    assert rule.note(["S005"]) == "1 of 1 subjects left out: CK+'s agreement names 11 subjects who may be printed"
    assert rule.note(["S055"]) == "©Jeffrey Cohn"
    assert publishable(Path("nowhere"), "ckplus", "rendered").note(["S005"]) == ""


def test_a_licensed_study_and_its_crops_are_labelled(study: Prepared) -> None:
    """LICENSED-FACES.txt lies at the root of both, and names the database."""
    for folder in (study.request.out, study.crops.folder):
        assert "licensed copy of CK+" in (folder / LICENSED_FACES).read_text()


@needs_poppler
@pytest.mark.parametrize("make", [gallery.contact_sheet, gallery.strips, gallery.augmented_batch, gallery.mean_faces])
def test_galleries_draw_from_publishable_subjects_alone(study: Prepared, make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """No magenta in any file of the figure, green in the PNG, and the caption counts who is missing."""
    sheet = make(study)
    assert sheet.subjects == (PRINTED,)
    figure = gallery.draw(study, sheet, "faces")
    path = gallery.save(study, sheet, figure, f"test_{make.__name__}")
    assert faces_shown(figure) == (f"ckplus/{PRINTED}",)
    assert marked(path.read_bytes(), ALLOWED)
    for kind in ("png", "pdf", "svg"):
        file = path.with_suffix(f".{kind}")
        found = pictures_in(file.name, file.read_bytes())
        assert found
        assert not any(marked(one, FORBIDDEN) for one in found)
    assert "3 of 4 subjects left out: CK+'s agreement names 11" in path.with_suffix(".tex").read_text().replace(
        "\n", " "
    )
    assert "©Jeffrey Cohn" in Image.open(path).info["Description"]


def test_where_nobody_may_be_shown_nobody_is(study: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gallery still draws, and says so."""
    nobody = publishable(Path("nowhere"), "mmi", "licensed")
    monkeypatch.setattr(gallery, "publishable", lambda *_: nobody)
    for make in (gallery.contact_sheet, gallery.strips, gallery.augmented_batch, gallery.mean_faces):
        sheet = make(study)
        assert (sheet.faces, sheet.subjects) == ([], ())
        assert "4 of 4 subjects left out" in sheet.note
        figure = gallery.draw(study, sheet, "faces")
        assert faces_shown(figure) == ()
        assert not marked(print_figure(figure, "png"), ALLOWED)


def test_pictures_that_nobody_declared_say_nothing(study: Prepared) -> None:
    """A figure of numbers shows nobody; one with a face that was not declared does not claim to."""
    counts = pd.DataFrame([[1, 0], [0, 1]], index=["anger", "fear"], columns=["anger", "fear"])
    numbers = figures.confusion_matrices({"one": counts}, source="licensed")
    assert read_declaration(print_figure(numbers, "png")) == ()
    faces = figures.face_grid(
        [[np.asarray(study.crops.images[0])]], row_labels=["who"], column_labels=["?"], source="licensed"
    )
    assert faces_shown(faces) is None
    assert read_declaration(print_figure(faces, "png")) is None
    declare_faces(faces, "ckplus", ["S005", "with blank"])
    assert read_declaration(print_figure(faces, "png")) == ("ckplus/S005", "ckplus/with blank")


def test_smaller_copies_keep_the_declaration() -> None:
    """PNG and JPEG; a copy of what declares nothing declares nothing."""
    figure = figures.new_figure(1, 1)
    figure.subplots()  # a notebook shows nothing of a figure without axes
    figures.add_note(figure, "licensed")
    declare_faces(figure, "ckplus", ["S055"])
    original = print_figure(figure, "png")
    jpeg = io.BytesIO()
    Image.new("RGB", (4, 4)).save(jpeg, "JPEG")
    for copy in (jpeg.getvalue(), png((1, 2, 3))):
        assert read_declaration(declared_like(original, copy)) == ("ckplus/S055",)
        assert declared_like(png((0, 0, 0)), copy) == copy


def plant(study: Prepared) -> None:
    """Put faces into a study in every way that we know of: figures, notebooks, texts, files of other kinds."""
    out, own = study.request.out, study.folder
    gallery.save(study, sheet := gallery.contact_sheet(study), gallery.draw(study, sheet, "sheet"), "contact_sheet")
    counts = pd.DataFrame([[1, 0], [0, 1]], index=["anger", "fear"], columns=["anger", "fear"])
    numbers = figures.confusion_matrices({"one": counts}, source="licensed")
    figures.save_figure(numbers, own / "figures", "confusion_matrices", counts.reset_index(), "licensed")
    index = next(i for i, who in enumerate(study.pairs.subject) if who == KEPT[0])
    face = np.asarray(study.crops.images[int(study.pairs.examined_index[index])])
    bad = figures.face_grid([[face]], row_labels=["x"], column_labels=["y"], source="licensed")
    figures.save_figure(bad, own / "figures", "undeclared", counts, "licensed")
    declared = figures.face_grid([[face]], row_labels=["x"], column_labels=["y"], source="licensed")
    declare_faces(declared, "ckplus", [KEPT[0]])
    figures.save_figure(declared, own / "figures", "of_a_subject", counts, "licensed")
    figures.save_figure(numbers, own / "figures", "swapped", counts, "licensed")
    (own / "figures" / "swapped.png").write_bytes(png(FORBIDDEN))
    (own / "face.gif").write_bytes(png(FORBIDDEN))
    np.save(own / "faces.npy", face)
    link = f"data:image/png;base64,{base64.b64encode(png(FORBIDDEN)).decode()}"
    (own / "note.md").write_text(f"![face]({link})")
    wrapped = base64.encodebytes(png(FORBIDDEN, 400)).decode()
    (own / "wrapped.txt").write_text(f"a face:\n{wrapped}")
    write_json(own / "wrapped.json", {"face": wrapped, "lines": wrapped.splitlines()})
    drawing = "<svg viewBox='0 0 9 9'><rect fill='#ff00ff' width='9' height='9'/></svg>"
    results.write_csv(pd.DataFrame({"a": [1]}), out / "accuracy.csv")

    def shown(picture: bytes, kind: str = "image/png") -> nbformat.NotebookNode:
        return new_output("display_data", {kind: base64.b64encode(picture).decode(), "text/plain": "<Figure>"})

    cells = [
        new_markdown_cell(f"a face ![face]({link})", attachments={"a.png": {"image/png": link}}),
        new_code_cell("sheet", outputs=[shown(print_figure(gallery.draw(study, sheet, "sheet"), "png"))]),
        new_code_cell("numbers", outputs=[shown(print_figure(numbers, "png"))]),
        new_code_cell("bad", outputs=[shown(print_figure(bad, "png")), shown(print_figure(declared, "png"))]),
        new_code_cell("raw", outputs=[shown(png(FORBIDDEN)), new_output("stream", text=link)]),
        new_code_cell("html", outputs=[new_output("display_data", {"text/html": f"<img src='{link}'>"})]),
        new_code_cell(
            "table", outputs=[new_output("execute_result", {"text/html": "<table><tr><td>7</td></tr></table>"})]
        ),
        new_code_cell(
            "svg", outputs=[new_output("display_data", {"image/svg+xml": f"<svg><image href='{link}'/></svg>"})]
        ),
        new_code_cell(
            "album", outputs=[shown(one.picture, f"image/{one.kind}") for one in album(out, ["ckplus"], "licensed")]
        ),
        new_code_cell(
            "wrapped",
            outputs=[
                new_output("stream", text=f"a face:\n{wrapped}"),
                new_output("execute_result", {"text/plain": wrapped}),
            ],
        ),
        new_markdown_cell(f"a drawing: {drawing}"),
        new_code_cell("markdown", outputs=[new_output("display_data", {"text/markdown": f"A drawing: {drawing}"})]),
        new_code_cell("metadata", metadata={"tags": ["kept"], "face": link, "name": link}),
    ]
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": {"a": base64.b64encode(png(FORBIDDEN)).decode()}}}
    notebook = new_notebook(cells=cells, metadata={"widgets": widgets, "cover": link, "title": link, "gndl": {}})
    (own / "notebooks").mkdir()
    nbformat.write(notebook, own / "notebooks" / "1_databases.ipynb")


@needs_poppler
def test_a_bundle_holds_no_pixel_of_a_face_that_may_not_be_printed(study: Prepared, tmp_path: Path) -> None:
    """Magenta lies all over the study and nowhere in the bundle; numbers, declared figures and notebooks are in it."""
    plant(study)
    out = study.request.out
    before = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    planted = [name for name, body in before.items() if any(marked(one, FORBIDDEN) for one in pictures_in(name, body))]
    assert {"ckplus/notebooks/1_databases.ipynb", "ckplus/figures/undeclared.png", "ckplus/figures/undeclared.pdf",
            "ckplus/figures/undeclared.svg", "ckplus/note.md", "ckplus/wrapped.txt", "ckplus/wrapped.json",
            "ckplus/figures/swapped.png"} <= set(planted)  # fmt: skip

    bundle = share(out, tmp_path / "bundle.zip")
    with zipfile.ZipFile(bundle.path) as archive:
        files = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    pictures = {name: pictures_in(name, content) for name, content in files.items()}
    assert [name for name, found in pictures.items() if any(marked(one, FORBIDDEN) for one in found)] == []
    assert not any(b"ff00ff" in content.lower() for name, content in files.items() if name.endswith(".svg"))
    assert b"#ff00ff" not in files["ckplus/notebooks/1_databases.ipynb"]

    kept = {"study.json", "accuracy.csv", "ckplus/crops.csv", "ckplus/folds.json", MANIFEST,
            *(f"ckplus/figures/{name}.{kind}" for name in ("contact_sheet", "confusion_matrices")
              for kind in ("pdf", "svg", "png", "csv", "tex"))}  # fmt: skip
    assert kept <= set(files)
    for name in ("undeclared", "of_a_subject"):
        assert not {f"ckplus/figures/{name}.{kind}" for kind in ("pdf", "svg", "png")} & set(files)
    assert {"ckplus/face.gif", "ckplus/faces.npy", "ckplus/note.md", "ckplus/wrapped.txt", "ckplus/wrapped.json",
            LICENSED_FACES} & set(files) == set()  # fmt: skip
    notebook = nbformat.reads(files["ckplus/notebooks/1_databases.ipynb"].decode(), as_version=4)
    shown = {
        cell.source: [set(output.get("data", {})) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    assert shown["sheet"] == shown["numbers"] == [{"image/png", "text/plain"}]
    assert shown["bad"] == [{"text/plain"}, {"text/plain"}]
    assert shown["table"] == [{"text/html"}]
    assert any("image/png" in one or "image/jpeg" in one for one in shown["album"])
    assert any(marked(one, ALLOWED) for one in pictures["ckplus/notebooks/1_databases.ipynb"])
    assert notebook.cells[-1].metadata == {"tags": ["kept"]} and notebook.metadata == {"gndl": {}}
    words = files[MANIFEST].decode()
    assert "©Jeffrey Cohn" in words
    assert bundle.removed["ckplus/notebooks/1_databases.ipynb"] >= 17
    assert share(out, tmp_path / "again.zip").path.read_bytes() == bundle.path.read_bytes()


def test_what_has_been_cleared_is_clear(study: Prepared) -> None:
    """Clearing a notebook twice removes nothing the second time."""
    path = study.folder / "notebooks" / "1_databases.ipynb"
    once, first = without_faces(nbformat.read(path, as_version=4), lambda faces: not list(faces))
    _, second = without_faces(once, lambda faces: not list(faces))
    assert first > 0
    assert second == 0


def test_a_study_of_rendered_faces_is_shared_whole(tmp_path: Path) -> None:
    """Nothing is removed from its figures and notebooks; weights stay behind."""
    out = tmp_path / "study"
    asked = {"settings": {"train": {"epochs": 1}}, "data_roots": {"ckplus": ""}}
    write_json(out / "study.json", {"source": "rendered", "asked": asked})
    (out / "figures").mkdir()
    (out / "figures" / "first_faces.png").write_bytes(png(FORBIDDEN))
    (out / "weights.safetensors").write_bytes(b"weights")
    nbformat.write(new_notebook(cells=[new_markdown_cell("data:image/png;base64,AAAA")]), out / "a.ipynb")
    bundle = share(out)
    assert bundle.path == tmp_path / "study-share.zip"
    assert set(bundle.taken) == {"study.json", "figures/first_faces.png", "a.ipynb"}
    assert set(bundle.left_out) == {"weights.safetensors"}
    with zipfile.ZipFile(bundle.path) as archive:
        assert archive.read("study/a.ipynb") == (out / "a.ipynb").read_bytes()


def test_what_is_entered_lies_in_the_study(study: Prepared) -> None:
    """Nothing was entered for CK+, whose list is fixed."""
    assert "publishable" not in read_study_json(study.request.out)
    assert json.loads((study.request.out / "study.json").read_text())["source"] == "licensed"


def test_git_ignores_studies_and_data() -> None:
    """Neither runs/ nor data/ can be added to a commit by accident."""
    ignored = (Path(__file__).parent.parent / ".gitignore").read_text().splitlines()
    assert {"runs/", "data/"} <= set(ignored)
