"""docs/study-folder.md names every file that a study leaves behind."""

import re
from pathlib import Path

import pytest

from gndl.paths import repository_root

DOCUMENT = "docs/study-folder.md"
STANDS_FOR = {
    "DATABASE": "(?:ckplus|oulu_casia|mmi)",
    "METHOD": r"[\w-]+",
    "NOTEBOOK": r"[1-6]_\w+",
    "lam-L": r"lam-[\w.]+",
    "fold-K": r"fold-\d+",
    "seed-S": r"seed-\d+",
    "RUN": r"[\w.-]+",
}


def rows(heading: str) -> list[list[str]]:
    """Cells of every row of the tables whose first column has this heading."""
    text = (repository_root() / DOCUMENT).read_text(encoding="utf-8")
    tables = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for table in tables for row in table.splitlines()]


def figures() -> dict[str, str]:
    """Names of the figures, and when each is there."""
    return {name: there.strip("| ") for names, _, there in rows("figure") for name in re.findall(r"`(\w+)`", names)}


def patterns() -> list[str]:
    """A regular expression for every file that the document names."""
    named = [name for cells in rows("file") for name in re.findall(r"`([^`]+)`", cells[0])]
    kinds = [name for name in named if re.fullmatch(r"\.(?:pdf|svg|png|csv|tex)", name)]
    named = [name for name in named if name not in kinds]
    named += [f"DATABASE/figures/FIGURE{kind}" for kind in kinds]
    found = []
    for name in named:
        pattern = re.escape(name).replace(r"\-", "-")
        for word, meaning in (STANDS_FOR | {"FIGURE": f"(?:{'|'.join(figures())})"}).items():
            pattern = pattern.replace(word, meaning)
        found.append(pattern)
    return found


def unnamed(paths: list[str]) -> list[str]:
    """Paths within a study that the document does not name."""
    known = re.compile("|".join(f"(?:{pattern})" for pattern in patterns()))
    return [path for path in paths if known.fullmatch(path) is None]


def paths_of(study: Path) -> list[str]:
    return sorted(path.relative_to(study).as_posix() for path in study.rglob("*") if path.is_file())


def test_a_file_that_the_document_does_not_name_is_found():
    strange = ["mmi/tables/unheard_of.csv", "mmi/figures/unheard_of.pdf", "mmi/gndl/lam-5/fold-0/seed-0/notes.txt"]
    known = ["study.json", "mmi/figures/folds.svg", "mmi/gndl-no-neutral/lam-0.5/fold-10/seed-1/run.json"]
    assert unnamed([*known, *strange]) == strange


def test_every_file_of_a_study_is_named(tiny_study):
    assert unnamed(paths_of(tiny_study)) == []


@pytest.mark.parametrize("database", ["ckplus", "oulu_casia", "mmi"])
def test_figures_that_are_always_there_are_there(tiny_study, database):
    always = [name for name, there in figures().items() if there == "always"]
    folder = tiny_study / database / "figures"
    assert len(always) == 14
    assert [name for name in always if not (folder / f"{name}.pdf").exists()] == []
