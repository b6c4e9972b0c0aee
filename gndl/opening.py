"""What a study is opened from: study.json, the folder of each database, and its folds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gndl import licence
from gndl.files import GndlError, did_you_mean, locked, resolve, standin_folder, write_json
from gndl.folds import (
    Folds,
    classes_without_training,
    deal_folds,
    listed_sides,
    read_folds,
    with_development,
    write_folds,
)
from gndl.paper import DATABASE_TITLES
from gndl.profiles import StudyConfig, merged, read_study_json
from gndl.record import is_packed
from gndl.runs import check_seed, git_state, machine, versions

if TYPE_CHECKING:
    from gndl.pairs import FacePairs

STAND_IN_SEED = 0
FOLD_SEED = 0
"""Seed of the folds alone: another seed of the runs leaves the folds as they are."""


def save_config(out: Path, config: StudyConfig, *, publishable: str = "", consent: bool = False) -> StudyConfig:
    """Write study.json, or add to it, and return what is asked now with the epochs that the study has reached.

    Everything is checked before anything is written: `GndlError` where the folder holds another study or packed
    records, a seed cannot be one, the fold file is none, a stand-in would be mixed with other faces, or the device
    cannot do the precision. ``publishable`` and ``consent`` are those of `gndl.licence.enter`.
    """
    joined(out, config)
    require_device(config)
    if config.weights:
        from gndl.methods.weights import require_weights

        require_weights(resolve(config.weights), partial=config.weights_partial)
    with changing_study_json(out) as content:
        kept = joined(out, config)
        config = replace(config, settings=kept.settings)
        standins = [name for name, root in config.data_roots.items() if not root]
        if standins and content.get("source", "rendered") != "rendered":
            raise GndlError(_never_mix(out, content["source"], standins[0], "rendered"))
        settings, by_command = config.settings, Path(sys.argv[0]).stem == "gndl"
        licence.enter(content, publishable, consent)
        content |= {
            "profile": settings.name,
            "purpose": settings.purpose,
            "precision": settings.train.precision,
            "seeds": list(kept.seeds),
            "asked": kept.as_json(),
            "command": " ".join(["gndl", *sys.argv[1:]]) if by_command else "a notebook or script",
            "device": config.device,
            "versions": versions(),
            "git": git_state(),
            "machine": machine(),
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
    return config


def joined(out: Path, config: StudyConfig) -> StudyConfig:
    """What study.json asks for together with ``config``; `GndlError` naming the setting that makes it another study.

    A new study next to packed records is refused, and one in a folder whose name is nearly that of a record's:
    ``out`` must be a record's mistyped name.
    """
    for seed in config.seeds:
        check_seed(seed)
    if config.folds_file:
        listed_sides(resolve(config.folds_file))
    path = out / "study.json"
    if path.exists():
        return merged(StudyConfig.from_json(read_study_json(out)["asked"], path), config, path)
    if records := sorted(other.name for other in out.parent.glob("*") if is_packed(other)):
        raise GndlError(
            f"{out} does not exist.{did_you_mean(out.name, records)} {out.parent} holds packed records "
            f"({', '.join(records)}); choose another OUT directory for a new study."
        )
    folders = [] if out.parent.exists() else out.parent.parent.glob("*")
    if hint := did_you_mean(out.parent.name, [other.name for other in folders if is_packed(other / out.name)]):
        raise GndlError(
            f"{out.parent} does not exist.{hint} It holds the packed record {out.name}; for a new study, make the "
            "folder yourself, or choose another OUT directory."
        )
    return config


def require_device(config: StudyConfig) -> None:
    """Raise `GndlError` where the device is missing or slow at the precision, or "paper" would leave a GPU unused."""
    import torch

    from gndl.device import check_precision, choose_device

    gpu = any(Path("/dev").glob("nvidia[0-9]*"))
    if config.settings.name == "paper" and config.device != "cpu" and gpu and not torch.cuda.is_available():
        raise GndlError(
            f"Profile paper is meant for a GPU. One is there, but torch {torch.__version__} cannot use it; "
            "`gndl doctor` says more. To train on the processor all the same: --device cpu."
        )
    settings = config.settings.train
    check_precision(settings.precision, choose_device(config.device), explicit=config.precision_explicit)


@contextmanager
def changing_study_json(out: Path) -> Iterator[dict[str, Any]]:
    """Yield the content of study.json ({} where there is none) and write it back if changed; one process at a time."""
    with locked(out / "study.json"):
        content = read_study_json(out) if (out / "study.json").exists() else {}
        before = json.dumps(content)
        yield content
        if json.dumps(content) != before:
            write_json(out / "study.json", content)


def fix_source(out: Path, database: str, source: str) -> None:
    """Record whether a study reads rendered, licensed or own faces; `GndlError` for a database of another kind."""
    with changing_study_json(out) as content:
        known = content.setdefault("source", source)
    if known != source:
        raise GndlError(_never_mix(out, known, database, source))


def _never_mix(out: Path, known: str, database: str, source: str) -> str:
    return (
        f"{out / 'study.json'}: this study reads {known} faces and {database} holds {source} ones; they never mix "
        "in one study. Choose another OUT directory for it, or other DATABASES."
    )


def database_root(config: StudyConfig, name: str, jobs: int = 1) -> Path:
    """Folder of a database: the copy that was named, else the stand-in, rendered where it is missing."""
    if root := config.data_roots[name]:
        return Path(root)
    if name not in config.settings.standins:
        raise GndlError(f"There is no stand-in for {name!r}; say where it lies with --data (or data_root).")
    from standins import is_standin_of, render_database

    folder, size = standin_folder(config.settings.name, name), config.settings.standins[name]
    if is_standin_of(folder, name, size=size, seed=STAND_IN_SEED):
        return folder
    title = f"Rendering the {DATABASE_TITLES[name]} stand-in"
    try:
        return render_database(name, folder, size=size, seed=STAND_IN_SEED, jobs=jobs, description=title)
    except ModuleNotFoundError as error:
        raise GndlError(
            f"{title} needs the package {error.name}: pip install 'gndl[standins]', or name a copy of the database "
            "(--data, or data_root)."
        ) from error


def study_folds(folder: Path, config: StudyConfig, pairs: FacePairs | None = None) -> Folds:
    """The folds kept in the database's folder, else those of the file that was named, else new ones (ledger L13).

    Where choices are made on development subjects, each fold gets some, unless the file names its own. ``pairs`` may be
    left out where folds are kept.
    """
    path, settings = folder / "folds.json", config.settings
    if pairs is None:
        subjects = [subject for tested in listed_sides(path)[0].values() for subject in tested]
    else:
        subjects = list(pairs.subject)
    select = settings.select_on == "dev"
    kept = read_folds(path, subjects) if path.exists() else None
    given = read_folds(resolve(config.folds_file), subjects) if config.folds_file else None
    if given is not None and select and not given.dev_subjects:
        given = with_development(given)
    if kept is not None and given is not None and kept != given:
        raise GndlError(f"{config.folds_file} holds other folds than {path}; choose another OUT directory.")
    folds = kept or given
    if folds is None:
        assert pairs is not None
        dealt = deal_folds(pairs.subject, pairs.label.tolist(), n_folds=settings.n_folds, seed=FOLD_SEED)
        folds = with_development(dealt) if select else dealt
    if select and not folds.dev_subjects:
        raise GndlError(f"{path}: holds no development subjects to choose on; choose another OUT directory.")
    if settings.n_folds not in (None, len(folds)):
        source = path if kept else config.folds_file
        raise GndlError(f"{source} has {len(folds)} folds and {settings.n_folds} are asked for.")
    if kept is None and pairs is not None:
        write_folds(path, folds)  # what follows is said once: every notebook opens the study again
        shown = [pairs.expressions[int(label)] for label in pairs.label]
        for fold, classes in classes_without_training(folds, pairs.subject, shown).items():
            print(
                f"{path}: fold {fold} tests {', '.join(classes)}, which no training subject shows, so none of it "
                "can be recognised; ask for other folds (--n-folds or --folds) or add subjects who show it.",
                file=sys.stderr,
            )
    return folds
