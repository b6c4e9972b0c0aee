"""``gndl …``: the commands of the study. Each does its work elsewhere; options are in `gndl.options`."""

from __future__ import annotations

import dataclasses
import os
import sys

import tyro

from gndl import bench_commands
from gndl.ending import in_words, stop_once
from gndl.errors import GndlError
from gndl.machine import commands as machine_commands
from gndl.options import (
    Check,
    Command,
    Compare,
    ExportFolds,
    FetchWeights,
    Figures,
    Methods,
    Names,
    Predict,
    Prepare,
    Render,
    Report,
    Study,
    StudyOptions,
    Train,
)
from gndl.request import StudyRequest
from gndl.sharing import commands as sharing_commands
from gndl.sweeping.stopping import EXIT_STOPPED, Stopped, heeding_signals


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
    from gndl.methods import method_settings, methods_meant
    from gndl.outside_methods import use_method
    from gndl.paper import DATABASE_TITLES
    from gndl.paths import resolve
    from gndl.request import profile_named, with_overrides

    names = _words(options.databases)
    for name in names:
        if name not in DATABASE_TITLES:
            raise GndlError(f"There is no database {name!r}; choose among {', '.join(DATABASE_TITLES)}.")
    profile = profile_named(options.profile)
    methods = None if options.methods is None else methods_meant(_words(options.methods))
    if options.method:
        own = tuple(use_method(text) for text in options.method)
        methods = tuple(dict.fromkeys((*(profile.methods if methods is None else methods), *own)))
    for method in methods or ():
        method_settings(method)
    only = None if options.only_folds is None else _numbers("--only-folds", options.only_folds, int)
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
    from gndl.paths import resolve

    if file and not resolve(file).is_file():
        raise GndlError(f"{resolve(file)}: there is no such file ({option}).")
    return str(resolve(file)) if file else ""


def _study(options: Study) -> int:
    from gndl.batch import run_study
    from gndl.runs import runs_of_study
    from gndl.sweeping.commands import sweep_asked, train_plan
    from gndl.sweeping.planning import plan_text

    request, jobs, how = study_request(options), _jobs(options.jobs), sweep_asked(options)
    if options.dry_run:
        print(plan_text(request, how))
        return 0
    with heeding_signals():
        if how.shard is None:
            return run_study(request, jobs, how)
        train_plan(request, jobs, how, runs_of_study)
    print("Notebooks, figures and tables: the same command without --shard, once every share is trained.")
    return 0


def _prepare(options: Prepare) -> int:
    from gndl.narrative.describe import found_beside_paper
    from gndl.prepare import prepare
    from gndl.request import save_request

    request = save_request(study_request(options))
    for name in request.data_roots:
        study = prepare(request, name, _jobs(options.jobs))
        print(found_beside_paper(study).to_string(index=False))
        print(f"crops: {study.crops.folder}\nfolds: {study.folder / 'folds.json'}")
    return 0


def _train(options: Train) -> int:
    from gndl.prepare import Prepared
    from gndl.runs import Run, plan_runs, sweep_folds
    from gndl.sweeping.commands import sweep_asked, train_plan

    if options.across or options.train_on or options.test_on:
        return _train_across(options)
    request, how = study_request(options), sweep_asked(options)
    lams = None if options.lams is None else _numbers("--lams", options.lams, float)
    if options.sweep:
        lams = (*request.settings.lams, *(lams or ()))

    def plan(study: Prepared) -> list[Run]:
        return plan_runs(study, lams=lams, folds=sweep_folds(study) if options.sweep else None)

    with heeding_signals():
        train_plan(request, _jobs(options.jobs), how, plan)
    return 0


def _train_across(options: Train) -> int:
    from gndl.cross import databases_of, train_across
    from gndl.prepare import prepare
    from gndl.request import save_request
    from gndl.study import default_jobs
    from gndl.tables.across import cross_table, readable_cross

    if options.across:
        names = _words(options.databases)
        ways: list[tuple[tuple[str, ...], tuple[str, ...]]]
        ways = [((one,), (other,)) for one in names for other in names if one != other]
    elif not (options.train_on and options.test_on):
        raise GndlError("--train-on and --test-on belong together, such as --train-on ckplus+mmi --test-on oulu_casia.")
    else:
        ways = [(databases_of(options.train_on, "--train-on"), databases_of(options.test_on, "--test-on"))]
    involved = tuple(dict.fromkeys(name for train, test in ways for name in (*train, *test)))
    request = save_request(study_request(dataclasses.replace(options, databases=involved)))
    jobs = _jobs(options.jobs)
    prepared = {name: prepare(request, name, jobs) for name in involved}
    for train, test in ways:
        train_across(
            [prepared[name] for name in train], [prepared[name] for name in test],
            jobs=options.jobs or default_jobs(request.device),
        )  # fmt: skip
    print(readable_cross(cross_table(request.out, request.settings.lam)).to_string(index=False))
    print(f"Runs: {request.out / 'across'}; the table and its figure: gndl report {request.out}")
    return 0


def _render(options: Render) -> int:
    from gndl.paper import DATABASES
    from gndl.paths import resolve, standin_folder
    from gndl.request import profile_named
    from gndl.standins import render_database, subjects_sheet

    if options.counterfactual:
        return _render_counterfactual(options)
    profile = profile_named(options.profile)
    for name in _words(options.databases):
        if name not in DATABASES:
            raise GndlError(f"There is no stand-in of {name!r}; choose among {', '.join(DATABASES)}.")
        if options.sheets:
            path = resolve(options.out or "figures") / f"standin_{name}.jpg"
            print(subjects_sheet(name, path, size=profile.standins[name], seed=options.seed))
            continue
        folder = resolve(options.out) / name if options.out else standin_folder(profile.name, name)
        size = profile.standins[name]
        title = f"Rendering {name}"
        print(render_database(name, folder, size=size, seed=options.seed, jobs=_jobs(options.jobs), description=title))
    return 0


def _render_counterfactual(options: Render) -> int:
    from gndl.paths import data_folder, resolve
    from gndl.standins.counterfactual import Counterfactual, render_counterfactual
    from gndl.standins.truth import truth_folder

    root = resolve(options.out) if options.out else data_folder() / "standins" / "counterfactual"
    asked = Counterfactual(options.counterfactual, options.size, options.seed, options.strength)
    print(render_counterfactual(root, asked))
    print(f"sheet: {root / 'sheet.png'}; ground truth: {truth_folder(root)}")
    return 0


def _report(options: Report) -> int:
    from gndl.paths import resolve
    from gndl.report import report_study
    from gndl.tables.results_table import readable

    out = resolve(options.run)
    print(readable(report_study(out)).to_string(index=False))
    print(f"written: {out / 'accuracy.csv'}, {out / 'tables'}, and figures and tables of each database")
    print(f"for a manuscript: {out / 'tables' / 'numbers.tex'}, references.bib beside it; see {out / 'preview.tex'}")
    return 0


def _figures(options: Figures) -> int:
    from gndl.figures_of_record import draw_figures_of_record
    from gndl.paths import resolve

    print(f"gallery: {draw_figures_of_record(resolve(options.run), resolve(options.out))}")
    return 0


def _predict(options: Predict) -> int:
    from gndl.checkpoint import read_record
    from gndl.paths import resolve
    from gndl.photograph import predict_photographs

    if not options.run:
        raise GndlError("Say which trained run is to be asked: --run runs/quick/ckplus/gndl/lam-5/fold-0/seed-0")
    if not options.photographs:
        raise GndlError("Name at least one photograph.")
    table = predict_photographs([resolve(name) for name in options.photographs], resolve(options.run), options.device)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    record = read_record(resolve(options.run)) or {}
    if record.get("identity", {}).get("extra", {}).get("source") == "rendered":
        print("Rendered stand-in: this run has seen rendered faces only; what it says of a photograph means little.")
    return 0


def _methods() -> int:
    from gndl.methods import METHOD_GROUPS, method_names, method_settings
    from gndl.outside_methods import installed_methods

    for name in (*method_names(), *installed_methods()):
        apart = " (needs the neutral face at test)" if method_settings(name).needs_neutral_at_test else ""
        print(f"{name:24} {method_settings(name).purpose}{apart}")
    for group, names in METHOD_GROUPS.items():
        print(f"{group:24} all of: {', '.join(names)}")
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
        case Figures():
            return _figures(command)
        case Check():
            from gndl.checking.commands import check

            return check(command)
        case Compare():
            from gndl.checking.commands import compare

            return compare(command)
        case ExportFolds():
            from gndl.checking.commands import export_folds

            return export_folds(command)
        case Predict():
            return _predict(command)
        case Methods():
            return _methods()
        case FetchWeights():
            return _fetch_weights()
        case bench_commands.Bench():
            return bench_commands.bench(command)
        case bench_commands.Export():
            return bench_commands.export(command)
        case machine_commands.Doctor():
            return machine_commands.doctor(command)
        case machine_commands.Lab():
            return machine_commands.lab(command)
        case sharing_commands.Share():
            return sharing_commands.share(command)
        case sharing_commands.ExportData():
            return sharing_commands.export_data(command)
        case sharing_commands.ImportPredictions():
            return sharing_commands.import_predictions(command)


def main() -> None:
    """Entry point of ``gndl``: an error that the user can mend is one message, without a traceback."""
    command: Command = tyro.cli(
        Command, prog="gndl", description="The study of facial expression through neutral faces (GNDL, ACM MM 2023)."
    )
    stop_once()
    try:
        sys.exit(run(command))
    except GndlError as error:
        print(f"gndl: {error}", file=sys.stderr)
        sys.exit(1)
    except Stopped:
        print("gndl: stopped by a signal, checkpoints are kept; call it again to go on from here.", file=sys.stderr)
        sys.exit(EXIT_STOPPED)
    except KeyboardInterrupt:
        print("gndl: stopped; call it again to go on from here.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # who reads the output wants no more of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        print(f"gndl: {in_words(error)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
