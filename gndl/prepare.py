"""From what was asked to pairs and folds: read one database, crop its faces, deal its subjects to folds."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gndl.crop import Crops, pairs_from_crops, prepare_crops
from gndl.databases import read_database, write_frames_csv
from gndl.errors import GndlError
from gndl.files import hash_file, hash_json, naming
from gndl.folds import Folds, classes_without_training, deal_folds, read_folds, with_development, write_folds
from gndl.licence import label_licensed
from gndl.pairs import FacePairs
from gndl.paper import DATABASE_TITLES
from gndl.paths import crops_folder, resolve, standin_folder
from gndl.profiles import PROFILES, Profile, TrainSettings
from gndl.request import StudyRequest, changing_study_json, fix_source, read_study_json
from gndl.results import write_csv
from gndl.sequences import STAND_IN_LABEL, Database
from gndl.standins.label import is_standin_of
from gndl.train import raise_epochs

STAND_IN_SEED = 0
FOLD_SEED = 0
"""Folds are dealt by a seed of their own: another seed of the runs leaves them as they are."""


@dataclass(frozen=True)
class Prepared:
    """One database of a study, ready to train on.

    Parameters
    ----------
    request : StudyRequest
    database : Database
        As found on disk.
    crops : Crops
        Its faces, aligned.
    pairs : FacePairs
        Pairs of examined and neutral crops.
    folds : Folds
        Test subjects of each fold.
    run_folds : tuple of int
        The folds that this study runs.
    train : TrainSettings
        The profile's, with the number of epochs that this database needs for ``min_steps``.
    """

    request: StudyRequest
    database: Database
    crops: Crops
    pairs: FacePairs
    folds: Folds
    run_folds: tuple[int, ...]
    train: TrainSettings

    @property
    def folder(self) -> Path:
        """The database's folder in the study."""
        return self.request.out / self.database.name

    def identity(self, fold: int) -> dict[str, Any]:
        """What a run of one fold is told apart by, beside its pairs, whose hash covers every pixel and label."""
        folds = self.folds
        held = {"dev_subjects": hash_json(sorted(folds.dev_subjects[fold]))} if folds.dev_subjects else {}
        return {
            "database": self.database.name,
            "source": self.database.source,
            "test_subjects": hash_json(sorted(folds.test_subjects[fold])),
            **held,
        }


def database_root(request: StudyRequest, name: str, jobs: int = 1) -> Path:
    """Folder that a database is read from: the copy that was named, else the stand-in, rendered where it is missing.

    Two profiles whose stand-ins are the same share one tree: the second is a link to the first.
    """
    if name not in request.data_roots:
        raise GndlError(f"{request.out / 'study.json'} does not say where {name} is to be read from.")
    root = request.data_roots[name]
    if root:
        return Path(root)
    if name not in request.settings.standins:
        raise GndlError(f"There is no stand-in for {name!r}; say where it lies with --data (or data_root).")
    folder, size = standin_folder(request.settings.name, name), request.settings.standins[name]
    if folder.is_symlink() and not folder.exists():  # the tree that it stood for was removed
        folder.unlink()
    if not folder.exists():
        for other in sorted(folder.parent.parent.glob(f"*/{name}/{STAND_IN_LABEL}")):
            if is_standin_of(other.parent, name, size=size, seed=STAND_IN_SEED):
                folder.parent.mkdir(parents=True, exist_ok=True)
                folder.symlink_to(Path("..") / other.parent.parent.name / name, target_is_directory=True)
                return folder
    if is_standin_of(folder, name, size=size, seed=STAND_IN_SEED):
        return folder
    from gndl.standins import render_database  # the renderer takes a second to import

    title = f"Rendering the {DATABASE_TITLES[name]} stand-in"
    with naming(folder):
        return render_database(name, folder, size=size, seed=STAND_IN_SEED, jobs=jobs, description=title)


def prepare(request: StudyRequest, name: str, jobs: int = 1) -> Prepared:
    """Read a database, crop its faces and deal its folds; write crops.csv and folds.json into the study.

    Of a licensed copy, the study and the crops get a ``LICENSED-FACES.txt``.

    Parameters
    ----------
    request : StudyRequest
    name : str
        ``"ckplus"``, ``"oulu_casia"``, ``"mmi"`` or ``"manifest"``.
    jobs : int
        Processes for rendering and cropping; the number changes no byte.

    Raises
    ------
    GndlError
        Where the copy cannot be used, a sequence shows no face, or the folds do not fit.
    """
    root = database_root(request, name, jobs)
    folder = request.out / name
    database = read_database(name, root, frames_csv=_corrected_frames(request, name), options=request.read_options)
    fix_source(request.out, name, database.source)
    crops = prepare_crops(
        database,
        request.settings.crop,
        crops_folder(),
        allow_missing_faces=request.allow_missing_faces,
        jobs=jobs,
    )
    if database.source == "licensed":
        for holder in (request.out, crops.folder):
            label_licensed(holder, database.title)
    pairs = pairs_from_crops(database, crops)
    dealt_before = (folder / "folds.json").exists()
    folds = _folds(request, folder, pairs)
    if not dealt_before:  # said once; every notebook opens the study again
        _say_what_is_not_trained(folder / "folds.json", folds, pairs)
    write_csv(crops.table, folder / "crops.csv")
    run_folds = _run_folds(request.settings, len(folds))
    fewest = min(len(folds.train_test(fold, pairs.subject)[0]) for fold in range(len(folds)))
    train = raise_epochs(request.settings.train, fewest)
    return Prepared(request, database, crops, pairs, folds, run_folds, train)


def _folds(request: StudyRequest, folder: Path, pairs: FacePairs) -> Folds:
    """The folds that lie in the study, else those of the file that was named, else new ones (ledger L13).

    Where choices are to be made on development subjects, each fold gets some, unless the file names its own.
    """
    path = folder / "folds.json"
    asked = request.settings.n_folds
    select = request.settings.select_on == "dev"
    given = read_folds(resolve(request.folds_file), pairs.subject) if request.folds_file else None
    if given is not None and select and not given.dev_subjects:
        given = with_development(given)
    kept = read_folds(path, pairs.subject) if path.exists() else None
    if kept is not None and given is not None and kept != given:
        raise GndlError(f"{request.folds_file} holds other folds than {path}; choose another OUT directory.")
    folds = kept or given
    if folds is None:
        dealt = deal_folds(pairs.subject, pairs.label.tolist(), n_folds=asked, seed=FOLD_SEED)
        folds = with_development(dealt) if select else dealt
    if select and not folds.dev_subjects:
        raise GndlError(f"{path}: holds no development subjects to choose on; choose another OUT directory.")
    if asked is not None and asked != len(folds):
        raise GndlError(f"{path if kept else request.folds_file} has {len(folds)} folds and {asked} are asked for.")
    if kept is None:
        write_folds(path, folds)
    return folds


def _say_what_is_not_trained(path: Path, folds: Folds, pairs: FacePairs) -> None:
    """Say which folds test a class that none of their training subjects shows: nobody could get it right."""
    shown = [pairs.expressions[int(label)] for label in pairs.label]
    for fold, classes in classes_without_training(folds, pairs.subject, shown).items():
        print(
            f"{path}: fold {fold} is trained without {', '.join(classes)}, which its test subjects alone show, so that "
            "none of it can be recognised; ask for other folds (--n-folds or --folds) or add subjects who show it.",
            file=sys.stderr,
        )


def _run_folds(settings: Profile, n_folds: int) -> tuple[int, ...]:
    """The folds that are run: those asked for, or the profile's own choice as far as there are so many.

    A fold that was asked for by number and does not exist raises `GndlError`.
    """
    asked = settings.only_folds
    if asked is None:
        return tuple(range(n_folds))
    missing = [fold for fold in asked if not 0 <= fold < n_folds]
    own_choice = asked == PROFILES[settings.name].only_folds
    if missing and (not own_choice or len(missing) == len(asked)):
        raise GndlError(f"There is no fold {missing[0]}: there are {n_folds}, numbered 0 to {n_folds - 1}.")
    return tuple(fold for fold in asked if fold < n_folds)


def _corrected_frames(request: StudyRequest, name: str) -> Path | None:
    """The database's frames.csv where somebody has written or changed it; None where it is as notebook 1 wrote it."""
    path = request.out / name / "frames.csv"
    if not path.exists():
        return None
    as_written = read_study_json(request.out).get("frames_csv_as_written", {}).get(name)
    return None if hash_file(path) == as_written else path


def write_frames_for_correction(prepared: Prepared) -> Path:
    """Write frames.csv, the frames taken of every sequence, unless it is there; once it is changed, it counts.

    Its hash goes into study.json: as long as nobody has changed the file, the rule stays in force and not the file.
    """
    path = prepared.folder / "frames.csv"
    if not path.exists():
        write_frames_csv(prepared.database, path)
        with changing_study_json(prepared.request.out) as content:
            content.setdefault("frames_csv_as_written", {})[prepared.database.name] = hash_file(path)
    return path
