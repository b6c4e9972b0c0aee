"""``figures/``: the figures of record, drawn from the CSV files of the study of record, and their gallery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gndl.figures.captions import read_caption
from gndl.figures.redraw import in_order
from gndl.figures.style import STAND_IN_NOTE
from gndl.files import whole, write_text
from gndl.methods import METHOD_GROUPS
from gndl.paper import DATABASE_TITLES
from gndl.report import report_study
from gndl.request import read_study_json

GALLERY_COMMAND = (
    "gndl train --profile standard --out runs/again; "
    "papermill notebooks/5_hard_samples.ipynb 5.ipynb -p database {database} -p profile standard -p out runs/again"
)
COMMANDS = {
    "first_faces": "make study",
    "standin_ckplus": "gndl render --profile standard --sheets",
    "standin_oulu_casia": "gndl render --profile standard --sheets",
    "standin_mmi": "gndl render --profile standard --sheets",
    "hard_samples": GALLERY_COMMAND,
    "hard_samples_reverse": GALLERY_COMMAND,
}
"""Commands for pictures of faces, which no CSV gives back; all others are drawn by ``make figures``.

Galleries of hard samples need weights, which the record is kept without; they come to lie in
``runs/again/DATABASE/figures``.
"""

KINDS = ("pdf", "svg", "csv", "tex")


def draw_figures_of_record(record: Path, folder: Path, width: float | None = None) -> Path:
    """Draw every figure and table that the CSV files of a study give into ``folder``; return its gallery.

    Nothing is trained, rendered or read from a database, and the study itself is left as it is.

    Parameters
    ----------
    record : Path
        A study's directory; its runs may be without weights. Beside it may lie a study of each group of variants,
        ``ablations`` and ``granularity``.
    folder : Path
        ``folder/DATABASE/NAME.pdf``, ``folder/tables`` and ``folder/README.md`` are written.
    width : float, optional
        Of every figure, in inches; by default each has its own.
    """
    beside = [record.parent / group for group in METHOD_GROUPS if (record.parent / group / "study.json").exists()]
    report_study(record, folder, beside, width)
    source = str(read_study_json(record).get("source", "rendered"))
    write_text(folder / "README.md", gallery(folder, source))
    return folder / "README.md"


def gallery(folder: Path, source: str) -> str:
    """Show every picture (PNG, JPEG) below ``folder`` in Markdown: caption, what it was made from, and its command."""
    rendered = source == "rendered"
    lines = ["# Figures of record", ""]
    if rendered:
        lines += [
            f"> **Every picture and number here comes from a {STAND_IN_NOTE}**: faces of nobody, rendered in the "
            "layouts of CK+, Oulu-CASIA and MMI. None is a result on these databases or on people.",
            "",
        ]
    lines += [
        "Drawn from the CSV files of the study of record by `make figures`, which trains nothing. Beside each picture "
        "lie PDF (TrueType) and, but for faces, SVG for print, the CSV behind it, and a `.tex` with caption, label and "
        "description; "
        "`tables/numbers.tex` has a macro for every number, `preview.tex` shows all of it in acmart.",
        "",
    ]
    for heading, pictures in _groups(folder):
        lines += [f"## {heading}{f' ({STAND_IN_NOTE})' if rendered and heading != 'Faces' else ''}", ""]
        for picture in pictures:
            lines += [*_entry(picture, folder, source), ""]
    return "\n".join(lines)


def _groups(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Headings with their pictures: faces, then database by database, then what spans the databases."""
    spanning = _pictures(folder)
    faces = {name: picture for name, picture in spanning.items() if name in COMMANDS}
    parts = [
        ("Faces", faces),
        *((title, _pictures(folder / name)) for name, title in DATABASE_TITLES.items()),
        ("Beyond Table 1", {name: picture for name, picture in spanning.items() if name not in COMMANDS}),
    ]
    for heading, pictures in parts:
        if pictures:
            yield heading, [pictures[name] for name in in_order(pictures)]


def _pictures(folder: Path) -> dict[str, Path]:
    """Pictures of one folder by name."""
    return {picture.stem: picture for kind in ("png", "jpg") for picture in whole(folder.glob(f"*.{kind}"))}


def _entry(picture: Path, folder: Path, source: str) -> Iterator[str]:
    caption, description = read_caption(picture, source)
    mark = (
        f"{STAND_IN_NOTE[0].upper()}{STAND_IN_NOTE[1:]}. "
        if source == "rendered" and STAND_IN_NOTE not in caption.lower()
        else ""
    )
    files = [f"[{kind}]({_link(picture.with_suffix(f'.{kind}'), folder)})" for kind in KINDS
             if picture.with_suffix(f".{kind}").exists()]  # fmt: skip
    command = COMMANDS.get(picture.stem, "make figures").format(database=picture.parent.name)
    yield f"### {heading_of(picture.stem)}"
    yield ""
    yield f"![{_one_line(description)}]({_link(picture, folder)})"
    yield ""
    yield f"*{mark}{_one_line(caption)}*"
    yield ""
    yield f"Command: `{command}`" + (f" · {' · '.join(files)}" if files else "")


def heading_of(name: str) -> str:
    """A figure's name as a heading: "Confusion matrices", "CK+ stand-in"."""
    title = DATABASE_TITLES.get(name.removeprefix("standin_"))
    return f"{title} stand-in" if title else name.replace("_", " ").capitalize()


def _link(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("*", r"\*").replace("[", r"\[").replace("]", r"\]")
