"""Settings of a study as data: the paper's values, smaller profiles that run on a laptop, and what study.json keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from gndl.files import GndlError

Precision = Literal["fp32", "tf32", "bf16"]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class CropSettings:
    """How a face is cut from its frame (ledger L15: the paper states only 224 × 224).

    Both eyes of every crop lie on the same two points, whatever the mouth does.
    """

    size: int = 224
    """Side of the square crop in pixels (section 4.2)."""
    eye_distance: float = 0.37
    """Distance between the eye centres, as a fraction of the crop's side."""
    eye_height: float = 0.35
    """Distance of the eyes from the crop's upper edge, as a fraction of its side."""


@dataclass(frozen=True, config=_STRICT)
class Augmentation:
    """Flip and noise, drawn once for both faces of a pair (section 4.2, ledger L14)."""

    flip_probability: float = 0.5
    noise_probability: float = 0.5
    noise_sigma: float = 0.03
    """Standard deviation of the Gaussian noise, on pixels in [0, 1]."""
    independent_noise: bool = False
    """Draw the noise of the two faces independently (ledger L14); flips stay the same."""


@dataclass(frozen=True, config=_STRICT)
class TrainSettings:
    """Everything about one training run that is not the method itself (section 4.2, ledger L7, L20)."""

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
    """CPU threads of one run; part of the run's identity, since another number gives other bits."""
    checkpoint_every: int = 1
    """Epochs between two checkpoints; 0 for none."""
    input_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    input_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, config=_STRICT)
class StandInSize:
    """How much of a stand-in database is rendered."""

    subjects: int
    sequences: int
    """All sequences (CK+, Oulu-CASIA) or clips (MMI)."""
    labelled: int
    """Of these, the ones with an expression label (CK+) or in frontal view (MMI)."""
    frames: tuple[int, int]
    """Smallest and largest number of frames in a sequence."""
    in_all_lights: int = 0
    """Oulu-CASIA subjects filmed by both cameras in all three illuminations; their further frames come on top."""


FULL_SIZE = {
    "ckplus": StandInSize(subjects=123, sequences=593, labelled=327, frames=(10, 14)),
    "oulu_casia": StandInSize(subjects=80, sequences=480, labelled=480, frames=(8, 10), in_all_lights=8),
    "mmi": StandInSize(subjects=32, sequences=213, labelled=205, frames=(28, 36)),
}
"""The paper's counts (section 4.1)."""

SMOKE_SIZE = {
    "ckplus": StandInSize(subjects=4, sequences=15, labelled=14, frames=(6, 6)),
    "oulu_casia": StandInSize(subjects=2, sequences=12, labelled=12, frames=(6, 6)),
    "mmi": StandInSize(subjects=2, sequences=6, labelled=6, frames=(20, 20)),
}
"""282 frames in all."""


@dataclass(frozen=True, config=_STRICT)
class Profile:
    """One complete set of settings."""

    name: str
    purpose: str
    """Printed with every result, so that a demonstration is not mistaken for one."""
    methods: tuple[str, ...] = ("baseline", "gndl")
    lams: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    """Values of λ of the sensitivity sweep (Fig. 7)."""
    lam: float = 5.0
    """λ of every headline, fixed in advance (section 4.2, ledger L19)."""
    n_folds: int | None = None
    """None: min(10, subjects)."""
    only_folds: tuple[int, ...] | None = None
    """Folds that are run; None for all."""
    train: TrainSettings = field(default_factory=TrainSettings)
    crop: CropSettings = field(default_factory=CropSettings)
    standins: dict[str, StandInSize] = field(default_factory=lambda: dict(FULL_SIZE))
    sweep_folds: tuple[int, ...] | None = None
    """Folds of the sensitivity sweep, among those that are run; None for all of them."""
    select_on: Literal["nothing", "dev"] = "nothing"
    """Choose λ and the epoch on development subjects, held out of training and test; "nothing": both are fixed."""


PAPER = Profile(name="paper", purpose="sections 4.1 and 4.2 of the paper; meant for a GPU")

STANDARD = Profile(
    name="standard",
    purpose="the study of record on the full-size stand-ins, on a processor",
    sweep_folds=(0, 1, 2, 3),
    train=TrainSettings(
        image_size=64, epochs=12, min_steps=400, batch_size=32, schedule="cosine", precision="bf16", checkpoint_every=5
    ),
)

QUICK = Profile(
    name="quick",
    purpose="two folds at 40 pixels with shorter training; the study of record stands in record/standard",
    lams=(0.5, 5.0, 50.0),
    only_folds=(0, 1),
    sweep_folds=(0,),
    train=TrainSettings(image_size=40, epochs=4, min_steps=220, batch_size=16, schedule="cosine", checkpoint_every=5),
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


def profile_named(name: str) -> Profile:
    """Look up a profile; `GndlError` where there is none of that name."""
    if name not in PROFILES:
        raise GndlError(f"Unknown profile {name!r}; choose one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def with_overrides(
    profile: Profile, *, epochs: int | None = None, precision: Precision | None = None, **others: Any
) -> Profile:
    """Replace what the user named (not None). Explicit epochs are taken as they are, however few steps they make."""
    train, given = profile.train, {name: value for name, value in others.items() if value is not None}
    if epochs is not None and epochs < 1:
        raise GndlError(f"--epochs must be >= 1, got {epochs}")
    if given.get("n_folds", 2) < 2:
        raise GndlError(f"--n-folds must be >= 2, got {given['n_folds']}")
    if min(given.get("only_folds", (0,)), default=-1) < 0:
        raise GndlError(f"--only-folds takes fold numbers (folds start at 0), got {given['only_folds']}")
    if epochs is not None:
        train = replace(train, epochs=epochs, min_steps=0)
    return replace(profile, train=replace(train, precision=precision or train.precision), **given)


@dataclass(frozen=True, config=_STRICT)
class StudyConfig:
    """What a study was asked to do: ``asked`` in study.json."""

    settings: Profile
    """The profile with all overrides applied."""
    seeds: tuple[int, ...] = (0,)
    folds_file: str = ""
    """Fold file, "" to assign subjects to folds here (ledger L13)."""
    weights: str = ""
    """Weights of the backbone, "" for random initialisation (ledger L8)."""
    weights_partial: bool = False
    """Layers that ``weights`` lacks, or has in another shape, stay as initialised."""
    allow_missing_faces: bool = False
    read_options: dict[str, str] = field(default_factory=dict)
    """Fields of `gndl.databases.ReadOptions`: camera, light and views."""
    precision_explicit: bool = False
    """The precision was named by the user, not by the profile."""
    data_roots: dict[str, str] = field(default_factory=dict)
    """Database to its folder, "" for the rendered stand-in."""
    device: str = "auto"

    def as_json(self) -> dict[str, Any]:
        """The form that study.json keeps under ``asked``."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, asked: dict[str, Any], path: Path) -> StudyConfig:
        """Read ``asked`` of the study.json at ``path``, also of earlier versions; `GndlError` where it is damaged."""
        try:
            settings, named = asked["settings"], PROFILES.get(asked["settings"]["name"])
            train = {name: value for name, value in settings["train"].items() if name not in _DROPPED}
            added = {"sweep_folds": named.sweep_folds if named else None}  # studies from before the sweep lack it
            return cls(**{**asked, "settings": Profile(**{**added, **settings, "train": TrainSettings(**train)})})
        except (ValidationError, KeyError, TypeError, AttributeError) as error:
            first = error.errors()[0] if isinstance(error, ValidationError) else None
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else repr(error)
            raise GndlError(
                f"{path}: its settings are not a study's ({reason}). Restore it, or choose another directory."
            ) from error


_DROPPED = ("keep_state",)
"""Settings of earlier versions that changed no number; ignored in an old study.json."""

_MAY_CHANGE = ("train.epochs", "train.min_steps", "methods", "lams", "only_folds", "sweep_folds", "purpose")
"""Settings that a later call may change: they add runs or epochs, or only what is printed."""


def merged(kept: StudyConfig, asked: StudyConfig, path: Path) -> StudyConfig:
    """Combine what study.json at ``path`` keeps with what is asked now; epochs raised by an earlier call stay raised.

    Raises `GndlError` naming the setting in which the two are different studies. Weights, fold files and folders are
    told apart by content, where they are used.
    """
    before, now = (flatten(one.as_json()) for one in (kept, asked))
    for name in sorted(before.keys() | now.keys()):
        own = name.removeprefix("settings.")
        compared = name.startswith(("settings.", "allow_missing_faces", "read_options.")) and own not in _MAY_CHANGE
        if compared and before.get(name) != now.get(name):
            raise GndlError(
                f"{path} belongs to another study: {name} is {before.get(name)!r} there and {now.get(name)!r} now. "
                f"Choose another OUT directory, or remove {path.parent} if you no longer need it."
            )
    train, had, own_train = asked.settings.train, kept.settings.train, profile_named(asked.settings.name).train
    if (train.epochs, train.min_steps) == (own_train.epochs, own_train.min_steps):  # this call names no epochs
        train = replace(train, epochs=max(train.epochs, had.epochs), min_steps=max(train.min_steps, had.min_steps))
    elif train.epochs < had.epochs:
        raise GndlError(f"{path}: train.epochs is {had.epochs} there and {train.epochs} now; epochs may only grow.")
    settings, seeds = replace(asked.settings, train=train), tuple(sorted({*kept.seeds, *asked.seeds}))
    return replace(asked, settings=settings, seeds=seeds, data_roots=kept.data_roots | asked.data_roots)


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names, such as ``train.epochs``."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def read_study_json(out: Path) -> dict[str, Any]:
    """Read study.json of a study or a packed record; `GndlError` where it is missing or damaged."""
    path = out / "study.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["asked"]["settings"]["train"]["epochs"]
    except FileNotFoundError:
        raise GndlError(f"{out} is not a study: {path} is missing. Run `gndl study --out {out}` first.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GndlError(f"{path} is damaged ({error!r}). Restore it, or choose another directory.") from error
    return content
