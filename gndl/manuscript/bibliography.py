"""The references that a manuscript needs: methods of Table 1, databases, software and statistics, as BibTeX."""

from __future__ import annotations

from pathlib import Path

from gndl.files import write_text

REFERENCE_KEYS = {
    8: "ding2017fn2en",
    11: "he2016resnet",
    13: "jung2015dtagn",
    14: "kim2017gcnet",
    19: "li2019dlpcnn",
    21: "liu2014dap",
    22: "liu2014stme",
    24: "lucey2010ckplus",
    26: "meng2017iacnn",
    29: "pantic2005mmi",
    32: "ruan2020ddl",
    33: "ruan2021fdrl",
    37: "vandermaaten2008tsne",
    39: "yang2018derl",
    41: "zhang2017destn",
    43: "zhao2011oulucasia",
}
"""Keys in ``references.bib`` by the number in the paper's own list of references."""


def bibliography() -> str:
    """Return ``references.bib``, which is part of the package."""
    return (Path(__file__).parents[1] / "assets" / "references.bib").read_text(encoding="utf-8")


def write_bibliography(folder: Path) -> Path:
    """Write ``references.bib`` into ``folder`` and return its path."""
    write_text(folder / "references.bib", bibliography())
    return folder / "references.bib"
