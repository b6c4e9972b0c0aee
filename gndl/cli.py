"""``gndl …``: the commands of the study. Each does its work elsewhere; here are only its options and its words."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from gndl.errors import GndlError
from gndl.request import StudyRequest

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
    """Processes at once; 0 for one per core (one on a GPU). It changes no number."""
    device: str = "auto"
    """auto, cpu or cuda."""
    seed: int = 0
    """Seed of the runs."""
    epochs: int | None = None
    """Epochs instead of the profile's; they may grow later."""
    precision: Literal["fp32", "tf32", "bf16"] | None = None
    """Precision instead of the profile's, fixed from a study's first call on."""
    methods: Names | None = None
    """Methods instead of the profile's; `gndl methods` lists them."""
    n_folds: int | None = None
    """Folds; min(10, subjects) by default."""
    folds: str = ""
    """A folds.json to use instead of dealing folds."""
    only_folds: Names | None = None
    """Run these folds only, such as 0,1."""
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


@dataclass(frozen=True)
class Study(StudyOptions):
    """Render or read the databases, train, and execute the notebooks."""

    dry_run: bool = False
    """Print the plan and stop."""


@dataclass(frozen=True)
class Prepare(StudyOptions):
    """Read (or render) and crop the databases and deal the folds; train nothing."""


@dataclass(frozen=True)
class Train(StudyOptions):
    """Train what is missing, without executing notebooks; --lams sweeps λ."""

    lams: Names | None = None
    """Values of λ, such as 0.5,5,50; the profile's λ by default."""


@dataclass(frozen=True)
class Render:
    """Render stand-in databases in the official layouts."""

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


@dataclass(frozen=True)
class Report:
    """Write a finished study's tables and figures again from its CSV files."""

    run: Annotated[str, tyro.conf.Positional]
    """The study's directory."""


@dataclass(frozen=True)
class Check:
    """Audit a copy of a database (with --database), or a study."""

    path: Annotated[str, tyro.conf.Positional]
    """Folder of the copy, or the study's directory."""
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
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Methods, tyro.conf.subcommand("methods")]
    | Annotated[FetchWeights, tyro.conf.subcommand("fetch-weights")]
)


def _words(values: Names) -> tuple[str, ...]:
    """Split at commas and blanks: ``0,1``, ``0 1`` and ``"0, 1"`` say the same."""
    return tuple(word for value in values for word in value.replace(",", " ").split())


def _numbers(option: str, values: Names, kind: type[int] | type[float]) -> tuple[float, ...]:
    try:
        return tuple(kind(word) for word in _words(values))
    except ValueError:
        raise GndlError(f"{option} takes numbers such as 0,1; it was given {' '.join(values)!r}.") from None


def _jobs(asked: int) -> int:
    if asked < 0:
        raise GndlError(f"--jobs takes a number of processes, 0 for one per core; it was given {asked}.")
    return asked or os.cpu_count() or 1


def study_request(options: StudyOptions) -> StudyRequest:
    """Turn options into a request: profile with overrides, and where each database is read from."""
    from gndl.databases import ReadOptions, locate_databases
    from gndl.methods import method_settings
    from gndl.paper import DATABASE_TITLES
    from gndl.paths import resolve
    from gndl.request import profile_named, with_overrides

    names = _words(options.databases)
    for name in names:
        if name not in DATABASE_TITLES:
            raise GndlError(f"There is no database {name!r}; choose among {', '.join(DATABASE_TITLES)}.")
    methods = None if options.methods is None else _words(options.methods)
    for method in methods or ():
        method_settings(method)
    only = None if options.only_folds is None else _numbers("--only-folds", options.only_folds, int)
    settings = with_overrides(
        profile_named(options.profile),
        epochs=options.epochs,
        precision=options.precision,
        n_folds=options.n_folds,
        only_folds=None if only is None else tuple(int(fold) for fold in only),
        methods=methods,
    )
    given = {"ckplus": options.ckplus, "oulu_casia": options.oulu_casia, "mmi": options.mmi}
    overrides = {name: resolve(path) for name, path in given.items() if path}
    if options.data or overrides:
        data = resolve(options.data) if options.data else None
        roots = {name: str(root) for name, root in locate_databases(names, data, overrides).items()}
    else:
        if "manifest" in names:
            raise GndlError("Faces of your own need --data MANIFEST.csv beside --databases manifest.")
        roots = {name: "" for name in names}
    return StudyRequest(
        out=resolve(options.out or f"runs/{settings.name}"),
        settings=settings,
        data_roots=roots,
        seeds=(options.seed,),
        device=options.device,
        folds_file=str(resolve(options.folds)) if options.folds else "",
        weights=str(resolve(options.weights)) if options.weights else "",
        allow_missing_faces=options.allow_missing_faces,
        read_options=ReadOptions(
            oulu_camera=options.oulu_camera,
            oulu_light=options.oulu_light,
            oulu_pictures=options.oulu_pictures,
            mmi_views=options.mmi_views,
        ),
        precision_explicit=options.precision is not None,
    )


def _study(options: Study) -> int:
    from gndl.batch import plan_text, run_study
    from gndl.study import default_jobs

    request = study_request(options)
    jobs = _jobs(options.jobs) if options.jobs else default_jobs(options.device)
    if options.dry_run:
        print(plan_text(request, jobs))
        return 0
    return run_study(request, jobs)


def _prepare(options: Prepare) -> int:
    from gndl.describe import found_beside_paper
    from gndl.prepare import prepare
    from gndl.request import save_request

    request = study_request(options)
    save_request(request)
    for name in request.data_roots:
        study = prepare(request, name, _jobs(options.jobs))
        print(found_beside_paper(study).to_string(index=False))
        print(f"crops: {study.crops.folder}\nfolds: {study.folder / 'folds.json'}")
    return 0


def _train(options: Train) -> int:
    from gndl.device import check_precision, choose_device
    from gndl.prepare import prepare
    from gndl.request import save_request
    from gndl.study import train_missing

    request = study_request(options)
    check_precision(request.settings.train.precision, choose_device(request.device), request.precision_explicit)
    save_request(request)
    lams = None if options.lams is None else _numbers("--lams", options.lams, float)
    for name in request.data_roots:
        study = prepare(request, name, _jobs(options.jobs))
        accuracy = train_missing(study, lams=lams, jobs=options.jobs or None)
        print(accuracy.to_string(index=False))
    print(f"Accuracies: {request.out / 'accuracy.csv'}")
    return 0


def _render(options: Render) -> int:
    from gndl.paper import DATABASES
    from gndl.paths import resolve, standin_folder
    from gndl.request import profile_named
    from gndl.standins import render_database

    profile = profile_named(options.profile)
    for name in _words(options.databases):
        if name not in DATABASES:
            raise GndlError(f"There is no stand-in of {name!r}; choose among {', '.join(DATABASES)}.")
        folder = resolve(options.out) / name if options.out else standin_folder(profile.name, name)
        size = profile.standins[name]
        title = f"Rendering {name}"
        print(render_database(name, folder, size=size, seed=options.seed, jobs=_jobs(options.jobs), description=title))
    return 0


def _report(options: Report) -> int:
    from gndl.batch import refresh_report
    from gndl.paths import resolve

    for path in refresh_report(resolve(options.run)):
        print(path)
    return 0


def _check(options: Check) -> int:
    from gndl.paths import resolve

    path = resolve(options.path)
    if options.database:
        from gndl.databases import ReadOptions, audit

        copy = audit(
            path,
            options.database,
            ReadOptions(options.oulu_camera, options.oulu_light, options.oulu_pictures, options.mmi_views),
        )
        print(copy.report())
        return 0 if copy.ok else 1
    from gndl.check_study import check_study

    problems = check_study(path)
    for problem in problems:
        print(problem)
    print(f"{path}: " + (f"{len(problems)} problems" if problems else "everything agrees"))
    return 1 if problems else 0


def _predict(options: Predict) -> int:
    from gndl.paths import resolve
    from gndl.photograph import predict_photographs

    if not options.run:
        raise GndlError("Say which trained run is to be asked: --run runs/quick/ckplus/gndl/lam-5/fold-0/seed-0")
    if not options.photographs:
        raise GndlError("Name at least one photograph.")
    table = predict_photographs([resolve(name) for name in options.photographs], resolve(options.run), options.device)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    return 0


def _methods() -> int:
    from gndl.methods import method_names, method_settings

    for name in method_names():
        print(f"{name:24} {method_settings(name).purpose}")
    return 0


def _fetch_weights() -> int:
    from gndl.paths import data_folder
    from gndl.weights import fetch_imagenet_weights

    print(fetch_imagenet_weights(data_folder() / "weights"))
    return 0


def run(command: Command) -> int:
    """Run one command and return its exit status."""
    match command:
        case Study():
            return _study(command)
        case Prepare():
            return _prepare(command)
        case Train():
            return _train(command)
        case Render():
            return _render(command)
        case Report():
            return _report(command)
        case Check():
            return _check(command)
        case Predict():
            return _predict(command)
        case Methods():
            return _methods()
        case FetchWeights():
            return _fetch_weights()


def main() -> None:
    """Entry point of ``gndl``: an error that the user can mend is one message, without a traceback."""
    command: Command = tyro.cli(Command, prog="gndl", description=__doc__)
    try:
        sys.exit(run(command))
    except GndlError as error:
        print(f"gndl: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("gndl: stopped; call it again to go on from here.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
