"""The options of every command of ``gndl``: a dataclass each, from which tyro makes flags and help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from gndl.bench_commands import Bench, Export
from gndl.machine.commands import Doctor, Lab
from gndl.sharing.commands import ExportData, ImportPredictions, Share

Names = tuple[str, ...]


@dataclass(frozen=True)
class StudyOptions:
    """What ``study``, ``prepare`` and ``train`` have in common."""

    profile: str = "quick"
    """smoke, quick, standard or paper."""
    databases: Names = ("ckplus", "oulu_casia", "mmi")
    """ckplus, oulu_casia, mmi; or manifest, for faces of your own."""
    data: str = ""
    """Folder of licensed copies (ckplus, oulu_casia, mmi inside), or a manifest.csv; none: rendered stand-ins."""
    ckplus: str = ""
    """Folder of CK+, where it lies elsewhere."""
    oulu_casia: str = ""
    """Folder of Oulu-CASIA, where it lies elsewhere."""
    mmi: str = ""
    """Folder of MMI, where it lies elsewhere."""
    out: str = ""
    """The study's directory; runs/PROFILE by default."""
    jobs: int = 0
    """Processes at once; 0 for one per core (runs on GPUs: --runs-per-gpu on each). It changes no number."""
    device: str = "auto"
    """auto, cpu or cuda."""
    seed: int = 0
    """Seed of the runs."""
    epochs: int | None = None
    """Epochs instead of the profile's; they may grow later."""
    precision: Literal["fp32", "tf32", "bf16"] | None = None
    """Precision instead of the profile's, fixed from a study's first call on."""
    methods: Names | None = None
    """Methods instead of the profile's; `gndl methods` lists them, and groups such as `ablations`."""
    method: Names = ()
    """A method of your own beside these: FILE.py:CLASS. Its code is executed."""
    n_folds: int | None = None
    """Folds; min(10, subjects) by default."""
    folds: str = ""
    """Folds to use instead of dealing them: folds.json, a CSV, or another form that `gndl check --folds` reads."""
    only_folds: Names | None = None
    """Run these folds only, such as 0,1."""
    select_on: Literal["nothing", "dev"] | None = None
    """dev: hold development subjects out of every fold and choose λ and epoch on them; by default both are fixed."""
    weights: str = ""
    """Backbone weights to start from: torchvision's ResNet-18, or those trained on MS-Celeb-1M."""
    allow_missing_faces: bool = False
    """Leave out, and count, sequences in which no face is found."""
    oulu_camera: Literal["VL", "NI"] = "VL"
    """Oulu-CASIA's camera: visible light or near infrared."""
    oulu_light: Literal["Strong", "Weak", "Dark"] = "Strong"
    """Oulu-CASIA's illumination."""
    oulu_pictures: Literal["original", "cropped"] = "original"
    """Oulu-CASIA's whole frames, or the faces its authors have cut out."""
    mmi_views: Literal["frontal", "frontal+dual"] = "frontal"
    """MMI's frontal clips alone, or the frontal half of its dual clips too."""
    publishable: str = ""
    """CSV (database,subject) of those whom the agreements for Oulu-CASIA and MMI let be printed; none by default."""
    consent: bool = False
    """The people on a manifest's pictures have agreed to be shown, in figures and in what `gndl share` makes."""


@dataclass(frozen=True)
class TrainingOptions(StudyOptions):
    """What ``study`` and ``train`` have in common: how runs are shared. Nothing of it changes a number."""

    shard: str = ""
    """A share of the runs, such as 1/8 to 8/8, for several calls on one study; with it only training is done."""
    engine: Literal["joblib", "ray"] = "joblib"
    """Processes of this machine, or a Ray cluster: the one at RAY_ADDRESS, or one started here."""
    runs_per_gpu: int = 1
    """Runs at once on each GPU."""
    checkpoint_every: int | None = None
    """Epochs between two checkpoints; the profile's by default, 1 with --shard or --engine ray."""


@dataclass(frozen=True)
class Study(TrainingOptions):
    """Render or read the databases, train, and execute the notebooks."""

    dry_run: bool = False
    """Print the plan and stop."""


@dataclass(frozen=True)
class Prepare(StudyOptions):
    """Read (or render) and crop the databases and deal the folds; train nothing."""


@dataclass(frozen=True)
class Train(TrainingOptions):
    """Train what is missing, without executing notebooks; --lams or --sweep for other values of λ."""

    lams: Names | None = None
    """Values of λ, such as 0.5,5,50; the profile's λ by default."""
    sweep: bool = False
    """All values of λ that the profile lists for Fig. 7, on the profile's folds for it."""
    train_on: str = ""
    """Train on all subjects of this database (several: ckplus+mmi), and test on those of --test-on; no folds."""
    test_on: str = ""
    """The database to test on, with --train-on."""
    across: bool = False
    """Train on each of the databases and test on each other one; no folds."""


@dataclass(frozen=True)
class Render:
    """Render stand-in databases in the official layouts, with their ground truth beside them.

    With --counterfactual S, render instead S subjects with every expression in one light and one pose (with --size and
    --strength); with --sheets, instead a contact sheet of 20 random subjects of each database.
    """

    profile: str = "quick"
    """Whose sizes: smoke, quick, standard or paper."""
    databases: Names = ("ckplus", "oulu_casia", "mmi")
    """Which of the three."""
    jobs: int = 0
    """Processes at once; 0 for one per core. It changes no byte."""
    out: str = ""
    """Folder for DATABASE/…; data/standins/PROFILE by default."""
    seed: int = 0
    """Other seeds give other people."""
    counterfactual: int = 0
    """Subjects of a counterfactual set, written to --out (data/standins/counterfactual by default)."""
    size: int = 224
    """Side of a counterfactual picture in pixels."""
    strength: float = 0.9
    """Strength of every counterfactual expression, in (0, 1]."""
    sheets: bool = False
    """Write standin_DATABASE.jpg for each database to --out (figures by default), and render no database."""


@dataclass(frozen=True)
class Report:
    """Write a finished study's tables and figures again from its CSV files."""

    run: Annotated[str, tyro.conf.Positional]
    """The study's directory."""
    width: float | None = None
    """Of every figure, in inches; by default each has its own: one column of acmart (3.33) or two (7.0)."""


@dataclass(frozen=True)
class Figures:
    """Draw the figures of record again from a study's committed CSV files; nothing is trained."""

    run: Annotated[str, tyro.conf.Positional] = "record/standard"
    """The study's directory, which is only read."""
    out: str = "figures"
    """Folder for DATABASE/NAME.pdf, tables and the gallery README.md; with --width it has to be another."""
    width: float | None = None
    """Of every figure, in inches; by default each has its own: one column of acmart (3.33) or two (7.0)."""


@dataclass(frozen=True)
class Check:
    """Audit a study; with --database, a copy of a database; with --folds, a fold file of anybody's."""

    path: Annotated[str, tyro.conf.Positional] = ""
    """The study's directory, or the folder of the copy."""
    folds: str = ""
    """A fold file (JSON, CSV, a headed list) or a folder of train_ids_K.csv and test_ids_K.csv, audited alone."""
    cut: int = 0
    """With --folds and plain names (or a folder of class folders): cut each class into so many folds, in order."""
    database: str = ""
    """ckplus, oulu_casia, mmi or manifest."""
    oulu_camera: Literal["VL", "NI"] = "VL"
    """Oulu-CASIA's camera."""
    oulu_light: Literal["Strong", "Weak", "Dark"] = "Strong"
    """Oulu-CASIA's illumination."""
    oulu_pictures: Literal["original", "cropped"] = "original"
    """Oulu-CASIA's pictures."""
    mmi_views: Literal["frontal", "frontal+dual"] = "frontal"
    """MMI's views."""


@dataclass(frozen=True)
class Compare:
    """Match the runs of two studies, and say claim by claim whether they are equal, within reseeding, or different."""

    a: Annotated[str, tyro.conf.Positional]
    """A study's directory, such as record/standard."""
    b: Annotated[str, tyro.conf.Positional]
    """Another one."""
    reseeded: str = ""
    """A study whose folds have several seeds, to measure how far another seed moves a number."""


@dataclass(frozen=True)
class Bias:
    """Measure accuracy by skin tone, age and gender, where a stand-in's ground truth knows them."""

    study: Annotated[str, tyro.conf.Positional]
    """The study's directory, on rendered stand-ins."""
    databases: Names = ()
    """Which of the study's; all by default."""
    methods: Names = ()
    """Which methods, at the fixed λ; those that the study was asked for by default."""
    truth: str = ""
    """Folder of the ground truth, such as data/standins/standard/ckplus.truth; beside the study's tree by default."""
    out: str = ""
    """Folder for DATABASE/bias.csv and bias.md; DATABASE/tables in the study by default."""


@dataclass(frozen=True)
class ExportFolds:
    """Write a study's folds in the forms that public code reads: CSV, a headed list, and id files."""

    run: Annotated[str, tyro.conf.Positional]
    """The study's directory."""
    database: str = ""
    """One of its databases; all by default."""
    out: str = ""
    """Folder for DATABASE/…; DATABASE/folds in the study by default."""


@dataclass(frozen=True)
class Predict:
    """Recognise the expression in photographs with one trained run."""

    photographs: Annotated[Names, tyro.conf.Positional]
    """Photographs with a face."""
    run: str = ""
    """Folder of a run, such as runs/quick/ckplus/gndl/lam-5/fold-0/seed-0."""
    device: str = "auto"
    """auto, cpu or cuda."""


@dataclass(frozen=True)
class Methods:
    """List the methods that can be trained."""


@dataclass(frozen=True)
class FetchWeights:
    """Download backbone weights; nothing else ever downloads."""

    name: Annotated[Literal["imagenet"], tyro.conf.Positional]
    """torchvision's ResNet-18, trained on ImageNet."""


Command = (
    Annotated[Study, tyro.conf.subcommand("study")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Prepare, tyro.conf.subcommand("prepare")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Figures, tyro.conf.subcommand("figures")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Bias, tyro.conf.subcommand("bias")]
    | Annotated[ExportFolds, tyro.conf.subcommand("export-folds")]
    | Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Methods, tyro.conf.subcommand("methods")]
    | Annotated[FetchWeights, tyro.conf.subcommand("fetch-weights")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
    | Annotated[Lab, tyro.conf.subcommand("lab")]
    | Annotated[Share, tyro.conf.subcommand("share")]
    | Annotated[ExportData, tyro.conf.subcommand("export-data")]
    | Annotated[ImportPredictions, tyro.conf.subcommand("import-predictions")]
)
"""Every command, by its name on the command line."""
