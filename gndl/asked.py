"""What was asked on the command line, as a request: options are read here and nowhere else."""

from __future__ import annotations

from joblib import cpu_count

from gndl.databases import ReadOptions, locate_databases
from gndl.errors import GndlError
from gndl.methods import method_settings, methods_meant
from gndl.options import Names, StudyOptions
from gndl.outside_methods import use_method
from gndl.paper import DATABASE_TITLES
from gndl.paths import resolve
from gndl.request import StudyRequest, profile_named, with_overrides


def words(values: Names) -> tuple[str, ...]:
    """Split at commas and blanks: ``0,1``, ``0 1`` and ``"0, 1"`` say the same."""
    return tuple(word for value in values for word in value.replace(",", " ").split())


def numbers(option: str, values: Names, kind: type[int] | type[float]) -> tuple[float, ...]:
    """Read numbers such as ``0,1``; what is none raises `GndlError`."""
    try:
        return tuple(kind(word) for word in words(values))
    except ValueError:
        raise GndlError(f"{option} takes numbers such as 0,1; it was given {' '.join(values)!r}.") from None


def processes(asked: int) -> int:
    """Read ``--jobs``: a number of processes, 0 for one per core that this process may use."""
    if asked < 0:
        raise GndlError(f"--jobs takes a number of processes, 0 for one per core; it was given {asked}.")
    return asked or cpu_count()


def study_request(options: StudyOptions) -> StudyRequest:
    """Turn options into a request: profile with overrides, and where each database is read from."""
    names = words(options.databases)
    for name in names:
        if name not in DATABASE_TITLES:
            raise GndlError(f"There is no database {name!r}; choose among {', '.join(DATABASE_TITLES)}.")
    profile = profile_named(options.profile)
    methods = None if options.methods is None else methods_meant(words(options.methods))
    if options.method:
        own = tuple(use_method(text) for text in options.method)
        methods = tuple(dict.fromkeys((*(profile.methods if methods is None else methods), *own)))
    for method in methods or ():
        method_settings(method)
    only = None if options.only_folds is None else numbers("--only-folds", options.only_folds, int)
    settings = with_overrides(
        profile,
        epochs=options.epochs,
        precision=options.precision,
        n_folds=options.n_folds,
        only_folds=None if only is None else tuple(int(fold) for fold in only),
        methods=methods,
        select_on=options.select_on,
    )
    for option, file in (("--weights", options.weights), ("--folds", options.folds)):
        if file and not (resolve(file).is_file() or (option == "--folds" and resolve(file).is_dir())):
            raise GndlError(f"{resolve(file)}: there is no such file ({option}).")
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
        publishable=_named_file("--publishable", options.publishable),
        consent=options.consent,
    )


def _named_file(option: str, file: str) -> str:
    if file and not resolve(file).is_file():
        raise GndlError(f"{resolve(file)}: there is no such file ({option}).")
    return str(resolve(file)) if file else ""
