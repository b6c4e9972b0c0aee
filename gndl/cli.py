"""``gndl …``: the commands of the study. Each does its work elsewhere; options are in `gndl.options`."""

from __future__ import annotations

import os
import sys

import tyro

from gndl import bench_commands
from gndl.ending import in_words, stop_once
from gndl.errors import GndlError
from gndl.machine import commands as machine_commands
from gndl.options import (
    Bias,
    Check,
    Command,
    Compare,
    ExportFolds,
    FetchWeights,
    Figures,
    Methods,
    Predict,
    Prepare,
    Render,
    Report,
    Study,
    Train,
)
from gndl.sharing import commands as sharing_commands
from gndl.sweeping.stopping import EXIT_STOPPED, Stopped


def _report(options: Report) -> int:
    from gndl.paths import resolve
    from gndl.report import report_study
    from gndl.tables.results_table import readable

    out = resolve(options.run)
    table = report_study(out, width=options.width)
    if table.empty:
        print(f"written: {out / 'tables' / 'across.md'} and its figure; nothing was trained within a database")
        return 0
    print(readable(table).to_string(index=False))
    print(f"written: {out / 'accuracy.csv'}, {out / 'tables'}, and figures and tables of each database")
    print(f"for a manuscript: {out / 'tables' / 'numbers.tex'}, references.bib beside it; see {out / 'preview.tex'}")
    return 0


def _figures(options: Figures) -> int:
    from gndl.figures_of_record import draw_figures_of_record
    from gndl.paths import resolve

    if options.width is not None and resolve(options.out) == resolve(Figures.out):
        raise GndlError("--width: say --out FOLDER too, so that the figures of record keep their own widths.")
    gallery = draw_figures_of_record(resolve(options.run), resolve(options.out), options.width)
    print(f"gallery: {gallery}")
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
            from gndl.study_commands import run_the_study

            return run_the_study(command)
        case Prepare():
            from gndl.study_commands import prepare_databases

            return prepare_databases(command)
        case Train():
            from gndl.study_commands import train

            return train(command)
        case Render():
            from gndl.standins.commands import render

            return render(command)
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
        case Bias():
            from gndl.analysis.commands import bias

            return bias(command)
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
