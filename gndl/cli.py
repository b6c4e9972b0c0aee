"""``gndl …``: the commands. Each option is an argument; the work is done by the modules imported in the functions."""

from __future__ import annotations

import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from gndl.files import GndlError, counted, did_you_mean, resolve
from gndl.paper import DATABASE_TITLES, DATABASES
from gndl.sequences import ReadOptions
from gndl.stopping import EXIT_STOPPED, Stopped, heeding_signals

if TYPE_CHECKING:
    from gndl.engines import Sharing
    from gndl.profiles import StudyConfig
    from gndl.runs import Run
    from gndl.study import Study

Names = tuple[str, ...]


OfCopy = Annotated[ReadOptions, tyro.conf.arg(name="")]
AS_PAPER = ReadOptions()


@dataclass(frozen=True)
class StudyOptions:
    """Options of ``study`` and ``train``."""

    profile: str = "quick"
    """smoke, quick, standard or paper."""
    databases: Names = DATABASES
    """ckplus, oulu_casia, mmi; or manifest, for your own faces."""
    data: str = ""
    """Folder of licensed copies (with ckplus, oulu_casia, mmi in it), or a manifest.csv; '' for stand-ins."""
    ckplus: str = ""
    """Folder of CK+, if it is elsewhere."""
    oulu_casia: str = ""
    """Folder of Oulu-CASIA, if it is elsewhere."""
    mmi: str = ""
    """Folder of MMI, if it is elsewhere."""
    out: str = ""
    """Folder of the study; '' for runs/PROFILE."""
    jobs: int = 0
    """Parallel processes, 0 for one per core (on GPUs, see --runs-per-gpu). Does not change results."""
    device: str = "auto"
    """auto, cpu or cuda."""
    seed: int = 0
    """Seed of the runs."""
    epochs: int | None = None
    """Number of epochs, instead of the profile's. May be raised later."""
    precision: Literal["fp32", "tf32", "bf16"] | None = None
    """Precision, instead of the profile's. Fixed once the study exists."""
    methods: Names | None = None
    """Methods or groups of methods, instead of the profile's; `gndl train --help` lists them."""
    method: Names = ()
    """Your own method, in addition: FILE.py:CLASS. Executes the file."""
    n_folds: int | None = None
    """Number of folds; None for min(10, subjects)."""
    folds: str = ""
    """Fold file to use (folds.json, or a CSV with columns subject,fold)."""
    only_folds: Names | None = None
    """Run only these folds, such as 0,1."""
    select_on: Literal["nothing", "dev"] | None = None
    """dev: hold out development subjects in every fold and choose λ and the epoch on them. Otherwise both are fixed."""
    weights: str = ""
    """Backbone weights to start from: torchvision's ResNet-18, or MS-Celeb-1M's."""
    weights_partial: bool = False
    """Leave layers that the weights lack, or have in another shape, as initialised."""
    allow_missing_faces: bool = False
    """Leave out (and count) sequences in which no face is found."""
    copy: OfCopy = AS_PAPER
    publishable: str = ""
    """CSV (database,subject) of the Oulu-CASIA and MMI subjects whose faces your agreements allow to be printed."""
    consent: bool = False
    """The people in your manifest agreed to be shown in figures and in bundles of `gndl share`."""
    shard: str = ""
    """Train one share of the runs, such as 1/8, so that several calls can work on one study. No notebooks."""
    engine: Literal["joblib", "ray"] = "joblib"
    """Processes on this machine, or a Ray cluster (at RAY_ADDRESS, or started here)."""
    runs_per_gpu: int = 1
    """Parallel runs on each GPU."""
    checkpoint_every: int | None = None
    """Epochs between checkpoints; None for the profile's, or 1 with --shard or --engine ray."""


Options = Annotated[StudyOptions, tyro.conf.arg(name="")]
DEFAULT = StudyOptions()


def words(values: Iterable[str]) -> Names:
    """Split at commas and blanks: ``0,1``, ``0 1`` and ``"0, 1"`` are the same."""
    return tuple(word for value in values for word in value.replace(",", " ").split())


def numbers(option: str, values: Names, kind: Callable[[str], Any]) -> tuple[Any, ...]:
    try:
        return tuple(map(kind, words(values)))
    except ValueError:
        raise GndlError(f"{option} takes numbers such as 0,1, got {' '.join(values)!r}") from None


def processes(jobs: int) -> int:
    """Read --jobs: 0 stands for one process per core that this process may use."""
    from joblib import cpu_count

    if jobs < 0:
        raise GndlError(f"--jobs must be >= 0 (0 = one per core), got {jobs}")
    return jobs or int(cpu_count())


def known(what: str, values: Iterable[str], choices: Iterable[str]) -> Names:
    """The names in ``values``; `GndlError` with the nearest choice for one that is not among ``choices``."""
    choices = list(choices)
    for name in words(values):
        if name not in choices:
            near = did_you_mean(name, choices)
            raise GndlError(f"Unknown {what} {name!r}.{near} Choose from {', '.join(choices)}.")
    return words(values)


def study_config(options: StudyOptions) -> tuple[Path, StudyConfig]:
    """Turn options into the study's folder and its configuration, with every name and file checked."""
    from gndl.databases import locate_databases
    from gndl.methods import METHOD_GROUPS, expand_groups, load_method_file, method_names
    from gndl.profiles import StudyConfig, profile_named, with_overrides
    from gndl.record import is_packed

    profile = profile_named(options.profile)
    out = resolve(options.out or f"runs/{profile.name}")
    if is_packed(out):
        raise GndlError(f"{out} is a packed record, which is read only: `gndl study --only notebooks` draws it again.")
    databases = known("database", options.databases, DATABASE_TITLES)
    if not databases:
        raise GndlError("No database given; name some with --databases")
    own = tuple(load_method_file(text).name for text in options.method)
    methods = profile.methods
    if options.methods is not None:
        methods = expand_groups(known("method", options.methods, (*method_names(), *METHOD_GROUPS)))
    overrides: dict[str, Any] = {
        **{name: getattr(options, name) for name in ("epochs", "precision", "n_folds", "select_on")},
        "only_folds": None if options.only_folds is None else numbers("--only-folds", options.only_folds, int),
        "methods": tuple(dict.fromkeys((*methods, *own))),
    }
    files = {name: getattr(options, name) for name in ("folds", "weights", "publishable")}
    for name, file in files.items():
        if file and not resolve(file).is_file():
            raise GndlError(f"{resolve(file)}: no such file (--{name})")
    processes(options.jobs)
    folders = {name: resolve(path) for name in DATABASES if (path := getattr(options, name))}
    roots = dict.fromkeys(databases, "")
    if options.data or folders:
        found = locate_databases(databases, resolve(options.data) if options.data else None, folders)
        roots = {name: str(root) for name, root in found.items()}
    elif "manifest" in databases:
        raise GndlError("--databases manifest needs --data MANIFEST.csv")
    return out, StudyConfig(
        with_overrides(profile, **overrides),
        seeds=(options.seed,),
        folds_file=str(resolve(options.folds)) if options.folds else "",
        weights=str(resolve(options.weights)) if options.weights else "",
        weights_partial=options.weights_partial,
        allow_missing_faces=options.allow_missing_faces,
        read_options=vars(options.copy),
        precision_explicit=options.precision is not None,
        data_roots=roots,
        device=options.device,
    )


def saved_studies(options: StudyOptions) -> list[Study]:
    """The databases of `study_config`, which is written to study.json, or added to the one of an existing study."""
    from gndl.opening import save_config
    from gndl.study import Study

    out, config = study_config(options)
    publishable = str(resolve(options.publishable)) if options.publishable else ""
    config = save_config(out, config, publishable=publishable, consent=options.consent)
    return [Study(out, name, config, options.jobs or None) for name in config.data_roots]


def sharing(options: StudyOptions) -> Sharing:
    """Turn options into how the runs are shared."""
    from gndl.engines import Sharing, read_shard, require_ray

    if options.engine == "ray":
        require_ray()  # before anything is rendered
    shard = read_shard(options.shard) if options.shard else None
    return Sharing(options.jobs or None, options.engine, options.runs_per_gpu, shard, options.checkpoint_every)


def open_databases(out: Path, databases: Names) -> list[Study]:
    """Open databases of an existing study, or of a packed record, with its own settings; all where none is named."""
    from gndl.profiles import StudyConfig, read_study_json
    from gndl.study import Study

    config = StudyConfig.from_json(read_study_json(out)["asked"], out / "study.json")
    names = known(f"database in {out}:", databases, config.data_roots) or config.data_roots
    return [Study(out, name, replace(config, device="cpu")) for name in names]


def study(
    options: Options = DEFAULT,
    only: Literal["crops", "runs", "notebooks"] | None = None,
    dry_run: bool = False,
    notebook_timeout: float = 0,
) -> int:
    """Read the databases, crop, train, and execute the notebooks. Resumes where it was stopped.

    Args:
        only: One stage only: crops (with folds), runs (crops if needed), or notebooks (of a record, only these).
        dry_run: Print the plan and stop.
        notebook_timeout: Seconds after which a notebook is stopped and counts as failed, 0 for none.
    """
    from gndl.batch import Pipeline
    from gndl.engines import planned_runs, train_all
    from gndl.opening import joined
    from gndl.record import is_packed
    from gndl.study import Study, runs_of_study

    how, jobs, timeout = sharing(options), processes(options.jobs), notebook_timeout or None
    if notebook_timeout < 0:
        raise GndlError(f"--notebook-timeout must be >= 0 (0 = none), got {notebook_timeout:g}")
    if dry_run:
        out, config = study_config(options)
        config = replace(config, settings=joined(out, config).settings)
        table = planned_runs([Study(out, name, config) for name in config.data_roots], runs_of_study, how.shard)
        print(f"{out}, profile {config.settings.name}: {config.settings.purpose}")
        groups = table.groupby(["database", "method", "lam", "state"], dropna=False, sort=False)
        print(groups["fold"].agg(folds=lambda folds: " ".join(map(str, folds))).reset_index().to_string(index=False))
        states = ", ".join(f"{number} {state}" for state, number in table["state"].value_counts().items())
        print(f"{counted(len(table), 'run')}: {states}")
        return 0
    is_record = only == "notebooks" and is_packed(resolve(options.out))
    studies = open_databases(resolve(options.out), ()) if is_record else saved_studies(options)
    if how.shard is None:
        return Pipeline(studies[0].out, studies[0].config, how, jobs, timeout).run(only)
    train_all(studies, runs_of_study, how)
    print("Once all shares are trained, run the same command without --shard for the notebooks.")
    return 0


def train(
    options: Options = DEFAULT,
    lams: Names | None = None,
    sweep: bool = False,
    train_on: str = "",
    test_on: str = "",
    across: bool = False,
) -> int:
    """Train what is missing, without notebooks.

    Args:
        lams: Values of λ, such as 0.5,5,50; None for the profile's λ.
        sweep: All values of λ that the profile lists for Fig. 7, on the folds of its sweep.
        train_on: Train on all subjects of this database (several: ckplus+mmi) and test on --test-on; no folds.
        test_on: The database to test on, with --train-on.
        across: Train on each of the databases and test on each other one; no folds.
    """
    from gndl import results
    from gndl.engines import train_all

    if across or train_on or test_on:
        return _train_across(options, {"sweep": sweep, "lams": lams}, train_on, test_on, across)
    how, values = sharing(options), numbers("--lams", lams or (), float)

    def plan(one: Study) -> list[Run]:
        swept = dict.fromkeys((*one.settings.lams, *values) if sweep else values)
        return one.plan(lams=tuple(swept) or None, folds=one.sweep_folds if sweep else None)

    studies = saved_studies(options)
    train_all(studies, plan, how)
    print(results.accuracy_table(results.read(studies[0].out)).to_string(index=False))
    print(f"Accuracies: {studies[0].out / 'accuracy.csv'}")
    return 0


def _train_across(options: StudyOptions, only_within: dict[str, Any], train_on: str, test_on: str, across: bool) -> int:
    from gndl import results
    from gndl.analysis.across import across_table, train_across

    only_within |= {"only-folds": options.only_folds, "select-on": options.select_on == "dev", "shard": options.shard}
    for option, given in only_within.items():
        if given:
            raise GndlError(f"--{option} cannot be used across databases: there are no folds, one λ and no shares.")
    if across:
        names = known("database", options.databases, DATABASE_TITLES)
        pairs: list[tuple[Names, Names]] = [((one,), (other,)) for one, other in permutations(names, 2)]
    elif train_on and test_on:
        one, other = (known("database", names.split("+"), DATABASE_TITLES) for names in (train_on, test_on))
        pairs = [(one, other)]
    else:
        raise GndlError("--train-on and --test-on go together, such as --train-on ckplus+mmi --test-on oulu_casia")
    if not pairs:
        raise GndlError("--across needs at least two --databases")
    involved = tuple(dict.fromkeys(name for one, other in pairs for name in (*one, *other)))
    how, studies = sharing(options), {one.name: one for one in saved_studies(replace(options, databases=involved))}
    for one, other in pairs:
        train_across([studies[name] for name in one], [studies[name] for name in other], how=how)
    out = studies[involved[0]].out
    print(across_table(results.read(out)).round(3).to_string(index=False))
    print(f"Runs: {out / 'across'}")
    return 0


def render(
    profile: str = "quick",
    databases: Names = DATABASES,
    jobs: int = 0,
    out: str = "",
    seed: int = 0,
    counterfactual: int = 0,
    sheets: bool = False,
) -> int:
    """Render synthetic stand-in databases (no real people) in the official layouts, with their ground truth.

    Args:
        profile: Profile that sets the dataset sizes.
        databases: ckplus, oulu_casia, mmi.
        jobs: Parallel processes, 0 for one per core. Does not change the output.
        out: Folder for DATABASE/…; '' for data/standins/PROFILE.
        seed: Another seed gives other identities.
        counterfactual: Instead, render this many identities with every expression, all else equal.
        sheets: Instead, write standin_DATABASE.jpg with 20 random identities of each database to --out (or figures).
    """
    import standins
    from gndl.files import data_folder, standin_folder
    from gndl.profiles import profile_named

    if counterfactual:
        root = resolve(out) if out else data_folder() / "standins" / "counterfactual"
        print(standins.render_factorial(root, subjects=counterfactual, seed=seed))
        return 0
    sizes = profile_named(profile).standins
    for name in known("stand-in", databases, DATABASES):
        if sheets:
            path = resolve(out or "figures") / f"standin_{name}.jpg"
            print(standins.subjects_sheet(name, path, size=sizes[name], seed=seed))
        else:
            folder = resolve(out) / name if out else standin_folder(profile, name)
            title, parallel = f"Rendering {name}", processes(jobs)
            print(standins.render_database(name, folder, size=sizes[name], seed=seed, jobs=parallel, description=title))
    return 0


def check(path: tyro.conf.Positional[str] = "", database: str = "", folds: str = "", copy: OfCopy = AS_PAPER) -> int:
    """Audit a study or a packed record; with --database, a copy of a database; with --folds, any fold list.

    Args:
        path: Folder of the study, or of the copy.
        database: ckplus, oulu_casia, mmi or manifest.
        folds: Fold list: JSON, CSV, or a folder with train_ids_K.csv and test_ids_K.csv. Checked by itself.
    """
    if bool(path) == bool(folds) or (folds and database):
        raise GndlError("Name what to check: the folder of a study, a copy with --database, or --folds FILE by itself")
    found: Any
    if folds:
        from gndl.folds_audit import audit_folds

        found = audit_folds(resolve(folds))
    elif database:
        from gndl.databases import audit

        known("database", (database,), DATABASE_TITLES)
        found = audit(database, resolve(path), copy)
    else:
        from gndl.check import audit_study

        found = audit_study(resolve(path))
    print(found)
    return 0 if found.ok else 1


def predict(photos: tyro.conf.Positional[Names], run: str, device: str = "auto") -> int:
    """Predict the expression in photos with a trained run.

    Args:
        photos: Picture files, one face each.
        run: Folder of the run, such as runs/quick/ckplus/gndl/lam-5/fold-0/seed-0.
        device: auto, cpu or cuda.
    """
    from gndl.predict import predict_photographs
    from gndl.runs import read_run

    table = predict_photographs(resolve(run), [resolve(name) for name in photos], device)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    if ((read_run(resolve(run)) or {})["identity"]["extra"].get("source")) == "rendered":
        print("This run has seen synthetic faces only (no real people); its predictions for photos mean little.")
    return int((table["predicted"] == "").any())  # some photo could not be used


def share(study: tyro.conf.Positional[str], out: str = "") -> int:
    """Bundle a study as a zip file to share, without weights and without faces that may not be printed.

    Args:
        study: Folder of the study.
        out: The zip file; '' for STUDY-share.zip.
    """
    from gndl.exchange import share as share_study

    bundle = share_study(resolve(study), resolve(out) if out else None)
    print("\n".join(f"left out: {line}" for line in bundle.left_out_in_words()))
    print(f"{bundle.path}: {len(bundle.taken)} files; SHARE.md in it describes them")
    return 0


def export(run: tyro.conf.Positional[str], out: str = "") -> int:
    """Export a trained run as safetensors, ONNX and a model card.

    Args:
        run: Folder of the run, such as runs/quick/ckplus/gndl/lam-5/fold-0/seed-0.
        out: Folder to write; '' for exports/STUDY-DATABASE-METHOD-… next to the study.
    """
    from gndl.export import export_run

    done = export_run(resolve(run), resolve(out) if out else None)
    print(f"{done.folder}: ONNX Runtime and PyTorch differ by at most {done.difference:.1g}\n{done.warning}")
    return 0


def export_data(study: tyro.conf.Positional[str], databases: Names = (), out: str = "") -> int:
    """Export a study's crops, pairs and folds as PNG and CSV, for training with other code.

    Args:
        study: Folder of the study; `gndl study --only crops` makes one without training.
        databases: Databases to export; none for all of the study.
        out: Folder to create; '' for STUDY-data.
    """
    from gndl.exchange import export_data as export_studies

    folder = resolve(study)
    studies = open_databases(folder, databases)
    written = export_studies(studies, resolve(out) if out else folder.with_name(f"{folder.name}-data"))
    for one in studies:
        print(f"{one.title}: {len(one.pairs)} samples in {len(one.folds)} folds")
    print(f"{written}: see README.txt for how to read it, and how to import predictions")
    return 0


def import_predictions(
    file: tyro.conf.Positional[str],
    method: str,
    run: str,
    database: str = "ckplus",
    subject_disjoint: bool = False,
    needs_neutral_at_test: bool = False,
    seed: int = 0,
) -> int:
    """Check predictions of other code against a study's folds, and store them next to its runs.

    Args:
        file: CSV with sample, truth, predicted and p_CLASS for every class; `gndl export-data` writes a form.
        method: Name of the method; tables call it imported-NAME.
        run: Folder of the study.
        database: Database of the samples.
        subject_disjoint: Declare that nothing of a fold's test subjects was used to train or choose anything. Required.
        needs_neutral_at_test: The method was given the neutral face at test time.
        seed: Seed that the method was trained with.
    """
    from gndl import exchange, results
    from gndl.tables import IMPORTED

    out = resolve(run)
    (study,) = open_databases(out, (database,))
    declared: dict[str, Any] = {"subject_disjoint": subject_disjoint, "needs_neutral_at_test": needs_neutral_at_test}
    exchange.import_predictions(study, resolve(file), method, seed=seed, **declared)
    runs = results.read(out, database).only(methods=f"imported-{method}").runs
    print(runs[["method", "fold", "seed", "accuracy_last", "n_test"]].to_string(index=False))
    print(f"{IMPORTED}. Notebook 5 with method=imported-{method} compares it.")
    return 0


def doctor(out: str = "runs") -> int:
    """Check this machine: Python, packages and device, and show free disk space. Exit status 1 on a problem.

    Args:
        out: Folder for studies.
    """
    from gndl.doctor import examine

    found = examine(resolve(out))
    print(found)
    return 0 if found.ok else 1


COMMANDS: dict[str, Callable[..., int]] = {
    command.__name__.replace("_", "-"): command
    for command in (study, render, train, check, predict, share, export, export_data, import_predictions, doctor)
}


def list_methods() -> None:
    """Put all methods and groups into the help of ``gndl train``."""
    from gndl.methods import METHOD_GROUPS, method_names, method_settings

    lines = [f"{name}: {method_settings(name).purpose}" for name in method_names()]
    lines += [f"{name}: all of {', '.join(own)}" for name, own in METHOD_GROUPS.items()]
    text = "\n    ".join(["\n\nMethods:", *lines])
    train.__doc__ = inspect.cleandoc(train.__doc__ or "").replace("\n\nArgs:", f"{text}\n\nArgs:")


def in_words(error: OSError) -> str:
    """What the system refused, for which file, and what to do."""
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
    reason = error.strerror or " ".join(map(str, error.args))
    # numpy reports how many values it could write, without an error number
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or " requested and " in reason:
        reason = f"the disk is full ({reason}). Finished work is kept. Free some space, or choose another --out"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        reason = f"not permitted ({reason}). Choose another --out"
    else:
        return f"{place}: {reason}"
    return f"{place}: {reason} (GNDL_DATA for pictures and crops), and run the same command again."


def main() -> None:
    """Entry point of ``gndl``: an error that the user can fix is one message, without a traceback."""
    from standins import StandInError

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # λ on a Latin-1 or ASCII terminal
    if sys.argv[1:2] == ["train"] and {"-h", "--help"} & set(sys.argv):
        list_methods()
    title = "Facial expression recognition through neutral faces (GNDL, ACM MM 2023)."
    said, status = "", 0
    try:
        with heeding_signals():
            status = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="gndl", description=title)
    except (GndlError, StandInError) as error:
        said, status = str(error), 1
    except Stopped:
        said, status = "stopped; checkpoints are kept. Run the same command again to resume.", EXIT_STOPPED
    except KeyboardInterrupt:
        said, status = "stopped. Run the same command again to resume.", 130
    except BrokenPipeError:  # the reader of the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except OSError as error:
        said, status = in_words(error), 1
    if said:
        print(f"gndl: {said}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
