"""Settings of a study as data: the paper's values, and the smaller profiles that make everything run on a laptop.

A profile is an instance of a frozen dataclass. Nothing in the package asks which profile it is in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Precision = Literal["fp32", "tf32", "bf16"]


@dataclass(frozen=True)
class CropSettings:
    """How a face is cut from its frame (ledger L15: the paper states only 224 × 224).

    Both eyes of every crop come to lie on the same two points, whatever the mouth does.
    """

    size: int = 224
    """Side of the square crop in pixels (section 4.2)."""
    eye_distance: float = 0.37
    """Distance between the two eye centres, as a fraction of the crop's side."""
    eye_height: float = 0.35
    """Height of the eyes below the crop's upper edge, as a fraction of its side."""


@dataclass(frozen=True)
class Augmentation:
    """Flip and noise, the same draw for both faces of a pair (section 4.2, ledger L14)."""

    flip_probability: float = 0.5
    noise_probability: float = 0.5
    noise_sigma: float = 0.03
    """Standard deviation of the Gaussian noise, on pixels in [0, 1]."""
    independent_noise: bool = False
    """Draw the two faces' noise independently (ledger L14); flips stay the same."""


@dataclass(frozen=True)
class TrainSettings:
    """Everything about one training that is not the method itself (section 4.2, ledger L7, L20)."""

    image_size: int = 224
    epochs: int = 150
    min_steps: int = 0
    """Epochs are raised until every fold of the database trains for at least this many optimiser steps."""
    batch_size: int = 128
    """Pairs in a batch."""
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    precision: Precision = "fp32"
    threads: int = 1
    """Threads of one run on a CPU; part of the run's identity, since other numbers give other bits."""
    checkpoint_every: int = 1
    """Epochs between two checkpoints; 0 for none."""
    keep_state: bool = False
    """Keep what a finished run needs to continue for more epochs (90 MB a run); without it they are trained again."""
    input_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    input_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class StandInSize:
    """How much of a stand-in database is rendered.

    Parameters
    ----------
    subjects : int
        Subjects in all.
    sequences : int
        Sequences (CK+, Oulu-CASIA) or clips (MMI) in all.
    labelled : int
        Of these, the ones with an expression label (CK+), or in frontal view (MMI).
    frames : tuple of int
        Least and largest number of frames in a sequence.
    in_all_lights : int
        Subjects of Oulu-CASIA who are filmed by both cameras in all three illuminations, not in strong visible light
        alone; their further frames come on top.
    """

    subjects: int
    sequences: int
    labelled: int
    frames: tuple[int, int]
    in_all_lights: int = 0


FULL_SIZE = {
    "ckplus": StandInSize(subjects=123, sequences=593, labelled=327, frames=(10, 14)),
    "oulu_casia": StandInSize(subjects=80, sequences=480, labelled=480, frames=(8, 10), in_all_lights=8),
    "mmi": StandInSize(subjects=32, sequences=213, labelled=205, frames=(28, 36)),
}
"""The paper's counts (section 4.1)."""

QUICK_SIZE = {
    "ckplus": StandInSize(subjects=12, sequences=38, labelled=36, frames=(8, 8)),
    "oulu_casia": StandInSize(subjects=7, sequences=42, labelled=42, frames=(8, 8)),
    "mmi": StandInSize(subjects=6, sequences=12, labelled=12, frames=(24, 24)),
}
"""928 frames in all."""

SMOKE_SIZE = {
    "ckplus": StandInSize(subjects=4, sequences=15, labelled=14, frames=(6, 6)),
    "oulu_casia": StandInSize(subjects=2, sequences=12, labelled=12, frames=(6, 6)),
    "mmi": StandInSize(subjects=2, sequences=6, labelled=6, frames=(20, 20)),
}
"""282 frames in all."""


@dataclass(frozen=True)
class Profile:
    """One complete set of settings.

    Parameters
    ----------
    name : str
        ``smoke``, ``quick``, ``standard`` or ``paper``.
    purpose : str
        One sentence that reports print, so that nobody takes a demonstration for a result.
    methods : tuple of str
        Methods that ``gndl study`` trains.
    lams : tuple of float
        Values of λ of the sensitivity sweep (Fig. 7).
    lam : float
        λ of every headline, fixed beforehand (section 4.2, ledger L19).
    n_folds : int or None
        None: min(10, subjects).
    only_folds : tuple of int or None
        The folds that are run; None for all.
    train, crop : TrainSettings, CropSettings
    standins : dict of str to StandInSize
        Size of each rendered database.
    sweep_folds : tuple of int or None
        Of the folds that are run, those of the sensitivity sweep; None for all of them.
    select_on : {"nothing", "dev"}
        What λ and the epoch are chosen on: nothing, both are fixed beforehand; or development subjects, who are held
        out of training and test of every fold (`gndl.selection`).
    """

    name: str
    purpose: str
    methods: tuple[str, ...] = ("baseline", "gndl")
    lams: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    lam: float = 5.0
    n_folds: int | None = None
    only_folds: tuple[int, ...] | None = None
    train: TrainSettings = field(default_factory=TrainSettings)
    crop: CropSettings = field(default_factory=CropSettings)
    standins: dict[str, StandInSize] = field(default_factory=lambda: dict(FULL_SIZE))
    sweep_folds: tuple[int, ...] | None = None
    select_on: Literal["nothing", "dev"] = "nothing"


PAPER = Profile(
    name="paper",
    purpose="sections 4.1 and 4.2 of the paper to the letter; meant for a GPU",
    train=TrainSettings(keep_state=True),
)

STANDARD = Profile(
    name="standard",
    purpose="the study of record on the full-size stand-ins, on a processor",
    sweep_folds=(0, 1, 2, 3),
    train=TrainSettings(
        image_size=64,
        epochs=12,
        min_steps=400,
        batch_size=32,
        schedule="cosine",
        precision="bf16",
        checkpoint_every=5,
    ),
)

QUICK = Profile(
    name="quick",
    purpose="a demonstration on a few rendered subjects: it shows that everything works, not how well",
    lams=(0.5, 5.0, 50.0),
    only_folds=(0, 1, 2),
    train=TrainSettings(image_size=64, epochs=20, min_steps=100, batch_size=16, checkpoint_every=10),
    standins=QUICK_SIZE,
)

SMOKE = Profile(
    name="smoke",
    purpose="a check that every part runs; its accuracies mean nothing",
    lams=(5.0,),
    only_folds=(0,),
    train=TrainSettings(image_size=32, epochs=2, batch_size=16, checkpoint_every=0),
    standins=SMOKE_SIZE,
)

PROFILES = {profile.name: profile for profile in (SMOKE, QUICK, STANDARD, PAPER)}
