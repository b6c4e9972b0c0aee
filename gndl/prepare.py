"""From what was asked to pairs and folds: read one database, crop its faces, deal its subjects to folds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gndl.crop import Crops, pairs_from_crops, prepare_crops
from gndl.databases import read_database, write_frames_csv
from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.folds import Folds, deal_folds, read_folds, write_folds
from gndl.pairs import FacePairs
from gndl.paper import DATABASE_TITLES
from gndl.paths import crops_folder, resolve, standin_folder
from gndl.profiles import TrainSettings
from gndl.request import StudyRequest, fix_source
from gndl.results import write_csv
from gndl.sequences import STAND_IN_LABEL, Database
from gndl.standins import is_standin_of, render_database
from gndl.train import raise_epochs

STAND_IN_SEED = 0


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
    train : TrainSettings
        The profile's, with the number of epochs that this database needs for ``min_steps``.
    """

    request: StudyRequest
    database: Database
    crops: Crops
    pairs: FacePairs
    folds: Folds
    train: TrainSettings

    @property
    def folder(self) -> Path:
        """The database's folder in the study."""
        return self.request.out / self.database.name

    @property
    def run_folds(self) -> tuple[int, ...]:
        """The folds that this study runs."""
        asked = self.request.settings.only_folds
        if asked is None:
            return tuple(range(len(self.folds)))
        return tuple(fold for fold in asked if fold < len(self.folds))

    def identity(self, fold: int) -> dict[str, Any]:
        """What the data contribute to the identity of a run of one fold."""
        return {
            "database": self.database.name,
            "source": self.database.source,
            "crops": self.crops.hash,
            "pairs": self.pairs.content_hash,
            "test_subjects": hash_json(sorted(self.folds.test_subjects[fold])),
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
    if not folder.exists():
        for other in sorted(folder.parent.parent.glob(f"*/{name}/{STAND_IN_LABEL}")):
            if is_standin_of(other.parent, name, size=size, seed=STAND_IN_SEED):
                folder.parent.mkdir(parents=True, exist_ok=True)
                folder.symlink_to(Path("..") / other.parent.parent.name / name, target_is_directory=True)
                return folder
    title = f"Rendering the {DATABASE_TITLES[name]} stand-in"
    return render_database(name, folder, size=size, seed=STAND_IN_SEED, jobs=jobs, description=title)


def prepare(request: StudyRequest, name: str, jobs: int = 1) -> Prepared:
    """Read a database, crop its faces and deal its folds; write crops.csv and folds.json into the study.

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
    frames_csv = folder / "frames.csv"
    database = read_database(
        name, root, frames_csv=frames_csv if frames_csv.exists() else None, options=request.read_options
    )
    fix_source(request.out, name, database.source)
    crops = prepare_crops(
        database,
        request.settings.crop,
        crops_folder(),
        allow_missing_faces=request.allow_missing_faces,
        jobs=jobs,
    )
    pairs = pairs_from_crops(database, crops)
    folds = _folds(request, folder, pairs)
    write_csv(crops.table, folder / "crops.csv")
    fewest = _fewest_training_pairs(pairs, folds, request.settings.only_folds)
    train = raise_epochs(request.settings.train, fewest)
    return Prepared(request, database, crops, pairs, folds, train)


def _folds(request: StudyRequest, folder: Path, pairs: FacePairs) -> Folds:
    """The folds that lie in the study, else those of the file that was named, else new ones (ledger L13)."""
    path = folder / "folds.json"
    asked = request.settings.n_folds
    if path.exists():
        folds = read_folds(path, pairs.subject)
        if asked is not None and asked != len(folds):
            raise GndlError(f"{path} has {len(folds)} folds and {asked} are asked for; choose another OUT directory.")
        return folds
    if request.folds_file:
        folds = read_folds(resolve(request.folds_file), pairs.subject)
        if asked is not None and asked != len(folds):
            raise GndlError(f"{request.folds_file} has {len(folds)} folds and --n-folds asks for {asked}.")
    else:
        folds = deal_folds(pairs.subject, pairs.label.tolist(), n_folds=asked, seed=0)
    write_folds(path, folds)
    return folds


def _fewest_training_pairs(pairs: FacePairs, folds: Folds, only_folds: tuple[int, ...] | None) -> int:
    """Size of the smallest training set among the folds that are run."""
    run = range(len(folds)) if only_folds is None else [fold for fold in only_folds if fold < len(folds)]
    if not run:
        raise GndlError(f"None of the folds {only_folds} exists: there are {len(folds)}, numbered from 0.")
    return min(len(folds.train_test(fold, pairs.subject)[0]) for fold in run)


def write_frames_for_correction(prepared: Prepared) -> Path:
    """Write frames.csv, the frames taken of every sequence, unless it is there; what is changed in it counts."""
    path = prepared.folder / "frames.csv"
    if not path.exists():
        write_frames_csv(prepared.database, path)
    return path
