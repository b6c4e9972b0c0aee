"""``gndl share``, ``export-data`` and ``import-predictions``: what leaves a study, and what comes in from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gndl.errors import GndlError

if TYPE_CHECKING:
    from gndl.prepare import Prepared


@dataclass(frozen=True)
class Share:
    """Bundle a study's numbers, figures and notebooks, with every face removed that may not be printed."""

    run: Annotated[str, tyro.conf.Positional]
    """The study's directory, which is only read."""
    out: str = ""
    """The zip file; STUDY-share.zip by default."""


@dataclass(frozen=True)
class ExportData:
    """Write a study's crops, pairs and folds as PNG and CSV, for another code base."""

    run: Annotated[str, tyro.conf.Positional]
    """The study's directory; `gndl prepare` makes one without training."""
    databases: tuple[str, ...] = ()
    """Which of the study's; all by default."""
    out: str = ""
    """Folder to be made; STUDY-data by default."""


@dataclass(frozen=True)
class ImportPredictions:
    """Check another code base's predictions against a study's folds, and put them beside its runs."""

    file: Annotated[str, tyro.conf.Positional]
    """CSV with sample, truth, predicted and a p_CLASS for every class; `gndl export-data` writes a form."""
    method: str
    """Name of the method; tables call it imported-NAME."""
    run: str
    """The study's directory."""
    database: str = "ckplus"
    """Whose samples these are."""
    subject_disjoint: bool = False
    """Declare that nothing of a fold's test subjects was used in training or to choose anything; needed."""
    needs_neutral_at_test: bool = False
    """The method was given the neutral face at test time too."""
    seed: int = 0
    """Of its training."""


def share(options: Share) -> int:
    """Write the bundle and say what it lacks."""
    from gndl.paths import resolve
    from gndl.sharing import share as sharing

    bundle = sharing.share(resolve(options.run), resolve(options.out) if options.out else None)
    for name, count in bundle.removed.items():
        print(f"{name}: {count} pictures or widgets removed")
    for reason in dict.fromkeys(bundle.left_out.values()):
        names = [name for name, why in bundle.left_out.items() if why == reason]
        print(f"left out: {len(names)} files, {reason} (such as {names[0]})")
    print(f"{bundle.path}: {len(bundle.taken)} files; {sharing.MANIFEST} in it says whose faces it may show")
    return 0


def export_data(options: ExportData) -> int:
    """Write the export and say where it lies."""
    from gndl.paths import resolve
    from gndl.sharing import export_data as exporting

    out = resolve(options.run)
    names = [word for value in options.databases for word in value.replace(",", " ").split()]
    studies = [_prepared(out, name) for name in names or _databases(out)]
    if not studies:
        raise GndlError(f"{out}: names no database; run `gndl prepare --out {out}` first.")
    folder = exporting.export_data(studies, resolve(options.out) if options.out else out.with_name(f"{out.name}-data"))
    for study in studies:
        print(f"{study.database.title}: {len(study.pairs)} samples in {len(study.folds)} folds")
    print(f"{folder}: README.txt says how to read it, and how to bring predictions back")
    return 0


def import_predictions(options: ImportPredictions) -> int:
    """Check and import a file, and say what its folds come to."""
    from gndl import results
    from gndl.imported import MARK, PREFIX
    from gndl.paths import resolve
    from gndl.sharing import import_predictions as importing

    file, out = resolve(options.file), resolve(options.run)
    if options.database not in _databases(out):
        raise GndlError(f"{out} has no database {options.database!r}; it has {', '.join(_databases(out))}.")
    study = _prepared(out, options.database)
    importing.import_predictions(
        study,
        file,
        options.method,
        subject_disjoint=options.subject_disjoint,
        seed=options.seed,
        needs_neutral_at_test=options.needs_neutral_at_test,
    )
    table = results.accuracy_table(out, options.database)
    own = table[table["method"] == f"{PREFIX}{options.method}"]
    print(own[["method", "fold", "seed", "accuracy_last", "n_test"]].to_string(index=False))
    print(f"{PREFIX}{options.method} ({MARK}): {len(own)} of {len(study.folds)} folds")
    print(
        f"`gndl report {options.run}` puts it into tables; notebook 5 with method={PREFIX}{options.method} compares it."
    )
    return 0


def _databases(out: Path) -> list[str]:
    from gndl.request import read_study_json

    return list(read_study_json(out)["asked"]["data_roots"])


def _prepared(out: Path, database: str) -> Prepared:
    """Open one database of a study as it was asked for; nothing is trained."""
    from gndl.request import read_study_json
    from gndl.study import open_study

    content = read_study_json(out)
    roots = content["asked"]["data_roots"]
    if database not in roots:
        raise GndlError(f"{out} has no database {database!r}; it has {', '.join(roots)}.")
    return open_study(
        database,
        data_root=roots[database],
        profile=content["profile"],
        out=out,
        device="cpu",
        seed=content["seeds"][0],
    )
