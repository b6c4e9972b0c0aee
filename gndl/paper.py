"""What the paper states, as data: protocol, Table 1, class orders, counts and the ledger of our choices.

Wu, Ren, Pu, Hao, He: *Generative Neutral Features-Disentangled Learning for Facial Expression Recognition*,
ACM Multimedia 2023, doi:10.1145/3581783.3612014. Facts and figures only, each with its place in the paper.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DATABASES = ("ckplus", "oulu_casia", "mmi")

DATABASE_TITLES = {"ckplus": "CK+", "oulu_casia": "Oulu-CASIA", "mmi": "MMI", "manifest": "Own faces"}

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

EXPRESSIONS = {
    "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "oulu_casia": _SIX,
    "mmi": _SIX,
}
"""Classes of each database (section 4.1) in alphabetical order, which is the order of label numbers."""

FIGURE_6_ORDER = ("happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""Order of the classes in Fig. 6, used by every confusion matrix."""

ABBREVIATIONS = {
    "anger": "An",
    "contempt": "Co",
    "disgust": "Di",
    "fear": "Fe",
    "happiness": "Ha",
    "sadness": "Sa",
    "surprise": "Su",
}
"""Abbreviations of the class names in Fig. 6."""


def figure_order(classes: Iterable[str]) -> tuple[str, ...]:
    """Classes in the order of Fig. 6; others follow in the order given, and numbers by their size."""
    given = tuple(classes)
    further = [name for name in given if name not in FIGURE_6_ORDER]
    if all(name.isdecimal() for name in further):
        further.sort(key=int)
    return (*(name for name in FIGURE_6_ORDER if name in given), *further)


@dataclass(frozen=True)
class DatabaseCounts:
    """What the paper counts in one database (section 4.1)."""

    sequences: int
    """Sequences in the whole database."""
    subjects: int
    """Subjects in the whole database."""
    labelled: int
    """Sequences that take part in the study."""
    labelled_subjects: int
    """Their subjects. MMI's 32 are those of all 213 videos; how many the 205 frontal ones show is not stated (L9)."""
    pairs: int
    """Pairs of an examined and a neutral frame."""
    frames: str
    """Frames taken from each sequence."""
    per_class: dict[str, int] | None
    """Labelled sequences of each class, where the paper or the database's own paper states them."""


COUNTS = {
    "ckplus": DatabaseCounts(
        sequences=593,
        subjects=123,
        labelled=327,
        labelled_subjects=118,
        pairs=981,
        frames="first (neutral) and last three",
        # Lucey et al. 2010, Table 1; the 327 of the GNDL paper.
        per_class=dict(zip(EXPRESSIONS["ckplus"], (45, 18, 59, 25, 69, 28, 83), strict=True)),
    ),
    "oulu_casia": DatabaseCounts(
        sequences=480,
        subjects=80,
        labelled=480,
        labelled_subjects=80,
        pairs=1440,
        frames="first (neutral) and last three",
        per_class=dict.fromkeys(_SIX, 80),
    ),
    "mmi": DatabaseCounts(
        sequences=213,
        subjects=32,
        labelled=205,
        labelled_subjects=32,
        pairs=615,
        frames="one neutral and three at the peak",
        per_class=None,
    ),
}


@dataclass(frozen=True)
class ReportedRow:
    """One row of Table 1: accuracies in percent as printed, None where the paper prints a dash.

    An asterisk after the setting marks neutral faces in training but not at validation; ``reference`` is the number in
    the paper's own list.
    """

    method: str
    year: int | None
    reference: int | None
    setting: str
    ckplus: float | None
    oulu_casia: float | None
    mmi: float | None
    neutral_at_test: bool = False
    """Whether the face was classified with its neutral face, which a whole sequence begins with."""
    classes: int | None = None
    """Number of CK+ classes behind the figure; None where not known. Oulu-CASIA and MMI have six."""
    external: str = "not known"
    """What training saw besides the fold's own faces."""
    verified: tuple[str, ...] = ()
    """Which of these three were read in a public source; the others are from memory. None was read in the method's own
    paper."""


_FRAMES, _COUNTED, _EXTERNAL = (("neutral_at_test", *more) for more in ((), ("classes",), ("external",)))
_ALL = (*_COUNTED, "external")
TABLE_1 = (
    ReportedRow("STM-E", 2014, 22, "sequence-based", 94.19, 74.59, 75.12, True, 7, "none", _FRAMES),
    ReportedRow("3DCNN-DAP", 2014, 21, "sequence-based", 92.40, None, 63.40, True, 7, "none", _FRAMES),
    ReportedRow("DTAGN", 2015, 13, "sequence-based", 97.25, 81.46, None, True, 7, "none", _COUNTED),
    ReportedRow("IACNN", 2017, 26, "image-based", 95.37, None, 71.55, False, 7, "FER2013", _FRAMES),
    ReportedRow("DLP-CNN", 2017, 19, "image-based", 95.78, None, 78.46, False, 7, "RAF-DB", _FRAMES),
    ReportedRow("FN2EN", 2017, 8, "image-based", 98.60, 87.71, None, False, 6, "a face-recognition network", _ALL),
    ReportedRow("DESTN", 2017, 41, "sequence-based", 98.50, 86.25, 81.18, True, 7, "not known", _COUNTED),
    ReportedRow("GCNet-S1R1", 2017, 14, "image-based*", 97.93, 86.11, 81.53, False, None, "none stated", _FRAMES),
    ReportedRow("DeRL", 2018, 39, "image-based*", 97.30, 88.00, 73.23, False, 7, "BU-4DFE and BP4D", _ALL),
    ReportedRow("DDL", 2020, 32, "image-based", 99.16, 88.26, 83.67, False, 7, "Multi-PIE and RAF-DB", _ALL),
    ReportedRow("FDRL", 2021, 33, "image-based", 99.54, 88.26, 85.23, False, None, "MS-Celeb-1M", _EXTERNAL),
    ReportedRow("Baseline (ResNet-18)", None, None, "image-based", 97.55, 87.57, 82.56, False, 7, "not stated", _ALL),
    ReportedRow("GNDL", None, None, "image-based*", 99.69, 90.07, 86.46, False, 7, "not stated", _ALL),
)


def table_1() -> pd.DataFrame:
    """Table 1 as printed: one row a method, accuracies in percent, NaN where the paper prints a dash."""
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in TABLE_1]).astype(
        dict.fromkeys(("year", "reference", "classes"), "Int64")
    )


def ledger() -> pd.DataFrame:
    """Where a paper leaves a choice open or slips: ``number``, ``paper``, ``default`` (ours), ``option`` and ``basis``.

    ``basis`` says where ``paper`` was read: L1 to L21 in GNDL's own; of the methods that Table 1 compares, most are
    from memory.
    """
    import pandas as pd

    with (Path(__file__).parent / "ledger.toml").open("rb") as file:
        choices = tomllib.load(file)["choice"]
    columns = ["number", "paper", "default", "option", "basis"]
    return pd.DataFrame(choices, columns=columns).fillna({"basis": "read in the paper"})
