"""What is asked of a study: a profile with overrides, kept in ``study.json`` so that every later call asks the same."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from gndl.databases import ReadOptions
from gndl.device import check_precision, choose_device
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.licence import enter
from gndl.machine.gpu_check import require_usable_gpu
from gndl.paths import resolve
from gndl.profiles import PROFILES, Augmentation, CropSettings, Precision, Profile, StandInSize, TrainSettings
from gndl.provenance import git_state, machine, versions

MAY_GROW = tuple(
    f"settings.{name}"
    for name in ("train.epochs", "train.min_steps", "methods", "lams", "only_folds", "sweep_folds", "purpose")
)
"""Settings that a later call may change: they add runs or epochs, or only what is printed."""


@dataclass(frozen=True)
class StudyRequest:
    """Everything that a study was asked to do.

    Parameters
    ----------
    out : Path
        The study's directory.
    settings : Profile
        The profile with all overrides applied.
    data_roots : dict of str to str
        Database to the folder it is read from; ``""`` for the rendered stand-in.
    seeds : tuple of int
        Seeds of every run.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    folds_file : str
        Fold file to use, ``""`` to deal folds (ledger L13).
    weights : str
        Backbone weights, ``""`` for random initialisation (ledger L8).
    allow_missing_faces : bool
        Leave out, and count, sequences in which no face is found.
    read_options : ReadOptions
        Which part of a database is taken (camera, light, views).
    precision_explicit : bool
        The precision was named by the user, not by the profile.
    publishable : str
        File of subjects who may be printed (`gndl.licence`), ``""`` for those entered before.
    consent : bool
        The people of a manifest have agreed to be shown.
    """

    out: Path
    settings: Profile
    data_roots: dict[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    folds_file: str = ""
    weights: str = ""
    allow_missing_faces: bool = False
    read_options: ReadOptions = field(default_factory=ReadOptions)
    precision_explicit: bool = False
    publishable: str = ""
    consent: bool = False


def profile_named(name: str) -> Profile:
    """Look a profile up by name; a name that there is not raises `GndlError` with the names that there are."""
    if name not in PROFILES:
        raise GndlError(f"There is no profile {name!r}; choose one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def with_overrides(
    profile: Profile,
    *,
    epochs: int | None = None,
    precision: Precision | None = None,
    n_folds: int | None = None,
    only_folds: tuple[int, ...] | None = None,
    methods: tuple[str, ...] | None = None,
    select_on: str | None = None,
) -> Profile:
    """Replace what the user named; explicit epochs are taken as they are, whatever number of steps they make.

    Raises
    ------
    GndlError
        Where a number cannot be meant.
    """
    if epochs is not None and epochs < 1:
        raise GndlError(f"--epochs takes a number of at least 1; it was given {epochs}.")
    if n_folds is not None and n_folds < 2:
        raise GndlError(f"--n-folds takes a number of at least 2; it was given {n_folds}.")
    if only_folds is not None and (not only_folds or min(only_folds) < 0):
        raise GndlError(f"--only-folds takes folds counted from 0; it was given {only_folds}.")
    train = profile.train
    if epochs is not None:
        train = dataclasses.replace(train, epochs=epochs, min_steps=0)
    if precision is not None:
        train = dataclasses.replace(train, precision=precision)
    given = {"n_folds": n_folds, "only_folds": only_folds, "methods": methods, "select_on": select_on}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(profile, train=train, **changes)


def profile_from_json(content: dict[str, Any]) -> Profile:
    """Rebuild a profile from the form that ``study.json`` keeps.

    A study of before there were ``sweep_folds`` has those of the profile that it names.
    """
    train = dict(content["train"])
    train["augmentation"] = Augmentation(**train["augmentation"])
    for name in ("betas", "input_mean", "input_std"):
        train[name] = tuple(train[name])
    standins = {
        name: StandInSize(**{**size, "frames": tuple(size["frames"])}) for name, size in content["standins"].items()
    }
    only_folds = content["only_folds"]
    named = PROFILES.get(content["name"])
    sweep_folds = content.get("sweep_folds", named.sweep_folds if named else None)
    return Profile(
        **{
            **content,
            "train": TrainSettings(**train),
            "crop": CropSettings(**content["crop"]),
            "standins": standins,
            "methods": tuple(content["methods"]),
            "lams": tuple(content["lams"]),
            "only_folds": None if only_folds is None else tuple(only_folds),
            "sweep_folds": None if sweep_folds is None else tuple(sweep_folds),
        }
    )


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _difference(kept: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """Name the first setting that differs and may not, in words; None where all agree."""
    before, now = _flat(kept), _flat(asked)
    for name in sorted(before.keys() | now.keys()):
        if any(name == free or name.startswith(f"{free}.") for free in MAY_GROW):
            continue
        if before.get(name) != now.get(name):
            return f"{name} is {before.get(name)!r} there and {now.get(name)!r} now"
    return None


def save_request(request: StudyRequest) -> StudyRequest:
    """Write ``study.json``, or add to the one that lies there, and return what is asked now.

    Epochs that an earlier call has raised stay raised where this call names none.

    Raises
    ------
    GndlError
        Where the directory holds a study that asked for something else (the setting that differs is named), the
        device cannot do the precision at speed, or profile paper would leave a GPU unused (`gndl.machine.gpu_check`).
    """
    require_usable_gpu(request.settings.name, request.device)
    check_precision(
        request.settings.train.precision, choose_device(request.device), explicit=request.precision_explicit
    )
    with changing_study_json(request.out) as content:
        if content:
            request = joined(request, content["asked"])
            standins = [name for name, root in request.data_roots.items() if not root]
            if standins and content.get("source", "rendered") != "rendered":
                raise GndlError(_never_mix(request.out, content["source"], standins[0], "rendered"))
        asked = {
            "settings": _as_json(dataclasses.asdict(request.settings)),
            "seeds": sorted({*request.seeds, *(content["asked"]["seeds"] if content else ())}),
            "folds_file": request.folds_file,
            "weights": request.weights,
            "allow_missing_faces": request.allow_missing_faces,
            "read_options": dataclasses.asdict(request.read_options),
            "precision_explicit": request.precision_explicit,
            "data_roots": {**(content["asked"]["data_roots"] if content else {}), **request.data_roots},
        }
        from_command_line = Path(sys.argv[0]).stem in ("gndl", "cli")
        content |= {
            "profile": request.settings.name,
            "purpose": request.settings.purpose,
            "precision": request.settings.train.precision,
            "seeds": asked["seeds"],
            "asked": asked,
            "command": " ".join(["gndl", *sys.argv[1:]]) if from_command_line else "a notebook or script",
            "device": request.device,
            "versions": versions(),
            "git": git_state(),
            "machine": machine(),
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        enter(content, request.publishable, request.consent)
    return request


def joined(request: StudyRequest, kept: dict[str, Any]) -> StudyRequest:
    """Check that a request fits the study that is there; return it with the epochs that the study has reached.

    Only what holds for every run of a study is compared here. Weights, fold files and folders are told apart by their
    content, where they are used.
    """
    path = request.out / "study.json"
    asked = {
        "settings": _as_json(dataclasses.asdict(request.settings)),
        "allow_missing_faces": request.allow_missing_faces,
        "read_options": dataclasses.asdict(request.read_options),
    }
    before = {name: kept[name] for name in asked}
    before["settings"] = _as_json(dataclasses.asdict(profile_from_json(kept["settings"])))  # an older one lacks some
    difference = _difference(before, asked)
    if difference is not None:
        raise GndlError(
            f"{path} belongs to another study: {difference}. "
            f"Choose another OUT directory, or remove {path.parent} if it is no longer wanted."
        )
    train = request.settings.train
    kept_train = profile_from_json(kept["settings"]).train
    own = PROFILES[request.settings.name].train
    if (train.epochs, train.min_steps) == (own.epochs, own.min_steps):  # none were named in this call
        train = dataclasses.replace(
            train, epochs=max(train.epochs, kept_train.epochs), min_steps=max(train.min_steps, kept_train.min_steps)
        )
    elif train.epochs < kept_train.epochs:
        raise GndlError(
            f"{path}: train.epochs is {kept_train.epochs} there and {train.epochs} now; epochs may only grow."
        )
    return dataclasses.replace(request, settings=dataclasses.replace(request.settings, train=train))


@contextmanager
def changing_study_json(out: Path) -> Iterator[dict[str, Any]]:
    """Yield the content of ``study.json`` (empty where there is none) and write it back; one process at a time."""
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / ".study.lock"):
        content = read_study_json(out) if (out / "study.json").exists() else {}
        before = json.dumps(content)
        yield content
        if json.dumps(content) != before:
            write_json(out / "study.json", content)


def fix_source(out: Path, database: str, source: str) -> None:
    """Record whether a study reads rendered, licensed or own faces; a database of another kind raises `GndlError`."""
    with changing_study_json(out) as content:
        known = content.setdefault("source", source)
    if known != source:
        raise GndlError(_never_mix(out, known, database, source))


def _never_mix(out: Path, known: str, database: str, source: str) -> str:
    return (
        f"{out / 'study.json'}: this study reads {known} faces and {database} holds {source} ones; they never mix "
        "in one study. Choose another OUT directory for it, or other DATABASES."
    )


def read_study_json(out: Path) -> dict[str, Any]:
    """Read ``study.json``; a directory without one, or with a broken one, raises `GndlError`."""
    path = out / "study.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content["asked"]["settings"]["train"]["epochs"]
    except FileNotFoundError:
        raise GndlError(f"{out} holds no study: {path} is missing. Run `gndl study --out {out}` first.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GndlError(
            f"{path} is not a study's record ({error!r}). Remove it or choose another directory."
        ) from error
    return content


def request_for_notebook(
    database: str, *, data_root: str, profile: str, out: str | Path, device: str, seed: int
) -> StudyRequest:
    """Make the request of a notebook: the study that lies in ``out``, or a new one of ``profile``.

    Where a study is there its own settings are taken over, so that a notebook that `gndl study` runs with other
    epochs or folds than the profile's sees just what was asked.
    """
    out = resolve(out)
    root = str(resolve(data_root)) if data_root else ""
    settings = profile_named(profile)
    if not (out / "study.json").exists():
        return save_request(
            StudyRequest(out=out, settings=settings, data_roots={database: root}, seeds=(seed,), device=device)
        )
    content = read_study_json(out)
    if content["profile"] != profile:
        raise GndlError(
            f"{out} holds a study of profile {content['profile']!r}, not {profile!r}. "
            "Choose another out directory, or the same profile."
        )
    asked = content["asked"]
    request = StudyRequest(
        out=out,
        settings=profile_from_json(asked["settings"]),
        data_roots={database: root},
        seeds=(seed,),
        device=device,
        folds_file=asked["folds_file"],
        weights=asked["weights"],
        allow_missing_faces=asked["allow_missing_faces"],
        read_options=ReadOptions(**asked["read_options"]),
        precision_explicit=asked["precision_explicit"],
    )
    known = asked["data_roots"].get(database)
    if known is None or known != root or seed not in asked["seeds"]:
        return save_request(request)
    require_usable_gpu(request.settings.name, device)
    check_precision(request.settings.train.precision, choose_device(device), explicit=request.precision_explicit)
    return request
