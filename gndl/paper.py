"""What the paper states, as data: protocol, Table 1, class orders, counts and the ledger of our choices.

Wu, Ren, Pu, Hao, He: *Generative Neutral Features-Disentangled Learning for Facial Expression Recognition*,
ACM Multimedia 2023, doi:10.1145/3581783.3612014. Facts and figures only, each with its place in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

DATABASES = ("ckplus", "oulu_casia", "mmi")

DATABASE_TITLES = {
    "ckplus": "CK+",
    "oulu_casia": "Oulu-CASIA",
    "mmi": "MMI",
    "manifest": "Own faces",
}

_SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")

EXPRESSIONS = {
    "ckplus": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "oulu_casia": _SIX,
    "mmi": _SIX,
}
"""Classes of each database (section 4.1), in alphabetical order, which is the order of label numbers."""

FIGURE_6_ORDER = ("happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""Order of the classes in the caption of Fig. 6, used by every confusion matrix."""

ABBREVIATIONS = {
    "anger": "An",
    "contempt": "Co",
    "disgust": "Di",
    "fear": "Fe",
    "happiness": "Ha",
    "sadness": "Sa",
    "surprise": "Su",
}
"""Fig. 6's abbreviations of the class names."""


def figure_order(expressions: tuple[str, ...]) -> tuple[str, ...]:
    """Put classes in Fig. 6's order; classes that the paper does not have follow in the order given."""
    known = [name for name in FIGURE_6_ORDER if name in expressions]
    return tuple(known + [name for name in expressions if name not in FIGURE_6_ORDER])


@dataclass(frozen=True)
class DatabaseCounts:
    """What the paper counts in one database (section 4.1).

    Parameters
    ----------
    sequences, subjects : int
        In the whole database.
    labelled, labelled_subjects : int
        The sequences and subjects that take part in the study. MMI's 32 subjects are of all 213 videos; how many
        of them the 205 frontal ones show is not stated (ledger L9).
    pairs : int
        Pairs of an examined and a neutral frame.
    frames : str
        Frames taken from each sequence.
    per_class : dict of str to int or None
        Labelled sequences of each class, where the paper or the database's own paper states them.
    """

    sequences: int
    subjects: int
    labelled: int
    labelled_subjects: int
    pairs: int
    frames: str
    per_class: dict[str, int] | None


COUNTS = {
    "ckplus": DatabaseCounts(
        sequences=593,
        subjects=123,
        labelled=327,
        labelled_subjects=118,
        pairs=981,
        frames="first (neutral) and last three",
        # Lucey et al. 2010, Table 1; the 327 of the GNDL paper.
        per_class={
            "anger": 45,
            "contempt": 18,
            "disgust": 59,
            "fear": 25,
            "happiness": 69,
            "sadness": 28,
            "surprise": 83,
        },
    ),
    "oulu_casia": DatabaseCounts(
        sequences=480,
        subjects=80,
        labelled=480,
        labelled_subjects=80,
        pairs=1440,
        frames="first (neutral) and last three",
        per_class={name: 80 for name in _SIX},
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
    """One row of Table 1: accuracies in percent as printed; None where the paper prints a dash."""

    method: str
    year: int | None
    reference: int | None
    setting: str
    ckplus: float | None
    oulu_casia: float | None
    mmi: float | None

    @property
    def neutral_in_training(self) -> bool:
        """Whether the row uses neutral faces in training but not at validation (the asterisk of Table 1)."""
        return self.setting.endswith("*")


TABLE_1 = (
    ReportedRow("STM-E", 2014, 22, "sequence-based", 94.19, 74.59, 75.12),
    ReportedRow("3DCNN-DAP", 2014, 21, "sequence-based", 92.40, None, 63.40),
    ReportedRow("DTAGN", 2015, 13, "sequence-based", 97.25, 81.46, None),
    ReportedRow("IACNN", 2017, 26, "image-based", 95.37, None, 71.55),
    ReportedRow("DLP-CNN", 2017, 19, "image-based", 95.78, None, 78.46),
    ReportedRow("FN2EN", 2017, 8, "image-based", 98.60, 87.71, None),
    ReportedRow("DESTN", 2017, 41, "sequence-based", 98.50, 86.25, 81.18),
    ReportedRow("GCNet-S1R1", 2017, 14, "image-based*", 97.93, 86.11, 81.53),
    ReportedRow("DeRL", 2018, 39, "image-based*", 97.30, 88.00, 73.23),
    ReportedRow("DDL", 2020, 32, "image-based", 99.16, 88.26, 83.67),
    ReportedRow("FDRL", 2021, 33, "image-based", 99.54, 88.26, 85.23),
    ReportedRow("Baseline (ResNet-18)", None, None, "image-based", 97.55, 87.57, 82.56),
    ReportedRow("GNDL", None, None, "image-based*", 99.69, 90.07, 86.46),
)

PAPER_ROW_OF_METHOD = {"baseline": "Baseline (ResNet-18)", "gndl": "GNDL"}
"""The rows of Table 1 that stand for methods of this package."""


def reported_accuracy(method: str, database: str) -> float | None:
    """Table 1's accuracy of one of our methods as a fraction; None where the paper reports none."""
    name = PAPER_ROW_OF_METHOD.get(method)
    for row in TABLE_1:
        if row.method == name and database in DATABASES:
            percent = getattr(row, database)
            return None if percent is None else round(percent / 100, 6)
    return None


CONTRIBUTION_LIST_ACCURACY = {"ckplus": 99.69, "oulu_casia": 90.14, "mmi": 89.08}
"""GNDL in the list of contributions (section 1), which disagrees with Table 1 (ledger L11)."""


@dataclass(frozen=True)
class Choice:
    """One ambiguity or slip of the paper with our reading of it."""

    number: str
    paper: str
    default: str
    option: str


LEDGER = (
    Choice(
        "L1",
        "Eq. 8 prints the distance between F_exam and F_neu; the text and Fig. 2 define it between F_neu and F'_neu",
        "the distance between F_neu and F'_neu",
        "none: the printed form would not train G",
    ),
    Choice(
        "L2",
        "Eq. 8 sums over samples; with λ = 5 a sum over 512 channels would swamp Eq. 9",
        "mean over samples and channels",
        'reduction="channel-sum" or "sum"',
    ),
    Choice("L3", "does the gradient of the reconstruction loss reach F_neu?", "yes", 'stop_gradient="target"'),
    Choice(
        "L4",
        "Eq. 4–5 divide by M, not 2M, and name no positions",
        "batch-norm over the concatenated 2M images and all positions",
        "joint_norm=False: each group by its own statistics",
    ),
    Choice("L5", "no normalisation at validation", "batch-norm in evaluation mode, running statistics", "–"),
    Choice(
        "L6",
        "Fig. 5 says fully connected layers, plural, after the upsampling",
        "two layers, each with LeakyReLU",
        "decoder_layers",
    ),
    Choice(
        "L7",
        "slope of LeakyReLU, initialisation, weight decay and schedule are not stated",
        "0.01, torchvision's, 0, constant learning rate",
        "each a parameter",
    ),
    Choice(
        "L8", "pre-training of the backbone is not stated", "random initialisation", "weights from a file or ImageNet"
    ),
    Choice(
        "L9",
        "MMI: 213 videos of 32 subjects, 205 used; other papers count 30 or 31 subjects in the 205",
        "what is on disk is counted and reported beside the paper's number",
        "–",
    ),
    Choice(
        "L10",
        "accuracy of the last epoch or of the best epoch on the test fold? Not stated",
        "the last epoch is the headline",
        "the best epoch is reported beside it, named optimistic",
    ),
    Choice(
        "L11",
        "the list of contributions gives 90.14 and 89.08 for Oulu-CASIA and MMI, Table 1 gives 90.07 and 86.46",
        "Table 1",
        "both recorded",
    ),
    Choice(
        "L12",
        "mean of the folds' accuracies, or pooled over samples?",
        "mean of folds",
        "pooled accuracy reported beside it",
    ),
    Choice(
        "L13",
        "how subjects are dealt to folds is not stated",
        "sorted, stratified by the labels they show, balanced in samples, seeded; min(10, subjects) folds",
        "a fold file is read",
    ),
    Choice(
        "L14",
        "noise level and flip probability are not stated; the same noise, or the same σ?",
        "probability 0.5 each, independently; σ in the profile; the same noise for both faces of a pair",
        "parameters; independent noise",
    ),
    Choice(
        "L15",
        "crop margin and detector are not stated",
        "stated in the profile and stored with the crops",
        "parameters",
    ),
    Choice(
        "L16",
        "Fig. 9 says Angry, Happy, Sad; the text says anger, happiness, sadness",
        "anger, contempt, disgust, fear, happiness, sadness, surprise",
        "–",
    ),
    Choice(
        "L17",
        "CK+ and Oulu-CASIA in Table 1 read as pooled counts (978/981, 957/981, 1297/1440, 1261/1440); no count out "
        "of 615 gives MMI's 86.46 or 82.56",
        "mean of folds (L12), pooled beside it",
        "–",
    ),
    Choice(
        "L18",
        "future work: neutral features of other granularities",
        "vector level (512 channels), as published",
        "later: feature-map levels",
    ),
    Choice(
        "L19",
        "λ = 5 was chosen on the test folds themselves (section 4.4)",
        "λ = 5 fixed beforehand for every headline",
        'the best of our own sweep is labelled "chosen on the test folds" and never enters Table 1',
    ),
    Choice(
        "L20",
        "input scaling, grey to three channels, classifier bias and the last partial batch are not stated",
        "ImageNet mean and deviation on repeated grey; bias kept; partial batch kept unless it holds one pair",
        "parameters",
    ),
    Choice(
        "L21",
        "GNDL sees two images a pair and its batch-norm sees neutral faces: a gain need not come from disentangling",
        "images per epoch and parameters reported beside every accuracy",
        "baseline-joint-norm: a baseline whose batch-norm sees the neutral faces too",
    ),
)
"""Where the paper leaves a choice or slips, and what this package does about it."""
