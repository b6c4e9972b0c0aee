"""What ``gndl study``, ``gndl prepare`` and ``gndl train`` do, within each database and across databases."""

from __future__ import annotations

import dataclasses

from gndl.asked import numbers, processes, study_request, words
from gndl.batch import run_study
from gndl.cross import databases_of, train_across
from gndl.errors import GndlError
from gndl.narrative.describe import found_beside_paper
from gndl.options import Names, Prepare, Study, Train
from gndl.prepare import Prepared, prepare
from gndl.request import save_request
from gndl.runs import Run, plan_runs, runs_of_study, sweep_folds
from gndl.study import default_jobs
from gndl.sweeping.commands import sweep_asked, train_plan
from gndl.sweeping.planning import plan_text
from gndl.sweeping.stopping import heeding_signals
from gndl.tables.across import cross_table, readable_cross


def run_the_study(options: Study) -> int:
    """Train and execute the notebooks; print the plan alone with --dry-run, train a share alone with --shard."""
    request, jobs, how = study_request(options), processes(options.jobs), sweep_asked(options)
    if options.dry_run:
        print(plan_text(request, how))
        return 0
    with heeding_signals():
        if how.shard is None:
            return run_study(request, jobs, how)
        train_plan(request, jobs, how, runs_of_study)
    print("Notebooks, figures and tables: the same command without --shard, once every share is trained.")
    return 0


def prepare_databases(options: Prepare) -> int:
    """Read or render, crop, deal the folds, and print what was found beside what the paper counts."""
    request = save_request(study_request(options))
    for name in request.data_roots:
        study = prepare(request, name, processes(options.jobs))
        print(found_beside_paper(study).to_string(index=False))
        print(f"crops: {study.crops.folder}\nfolds: {study.folder / 'folds.json'}")
    return 0


def train(options: Train) -> int:
    """Train what is missing of the study's λ, of --lams, of the sweep, or across databases."""
    if options.across or options.train_on or options.test_on:
        return _train_across(options)
    request, how = study_request(options), sweep_asked(options)
    lams = None if options.lams is None else numbers("--lams", options.lams, float)
    if options.sweep:
        lams = (*request.settings.lams, *(lams or ()))

    def plan(study: Prepared) -> list[Run]:
        return plan_runs(study, lams=lams, folds=sweep_folds(study) if options.sweep else None)

    with heeding_signals():
        train_plan(request, processes(options.jobs), how, plan)
    return 0


def ways_asked(options: Train) -> list[tuple[Names, Names]]:
    """List what is to be trained on and tested on, pair by pair.

    Raises
    ------
    GndlError
        Where one side is missing, there is nothing to pair, or an option has no meaning where there are no folds.
    """
    for option, given in (
        ("--sweep", options.sweep),
        ("--lams", options.lams is not None),
        ("--only-folds", options.only_folds is not None),
        ("--select-on", options.select_on == "dev"),
        ("--shard", bool(options.shard)),
        ("--engine ray", options.engine == "ray"),
        ("--runs-per-gpu", options.runs_per_gpu != 1),
        ("--checkpoint-every", options.checkpoint_every is not None),
    ):
        if given:
            raise GndlError(
                f"{option} is not for runs across databases, which have no folds and one λ, and are trained side by "
                "side on this machine (--jobs) with the profile's checkpoints; leave it out."
            )
    if options.across:
        names = words(options.databases)
        if len(names) < 2:
            raise GndlError("--across takes at least two --databases, to train on each and test on each other one.")
        return [((one,), (other,)) for one in names for other in names if one != other]
    if not (options.train_on and options.test_on):
        raise GndlError("--train-on and --test-on belong together, such as --train-on ckplus+mmi --test-on oulu_casia.")
    return [(databases_of(options.train_on, "--train-on"), databases_of(options.test_on, "--test-on"))]


def _train_across(options: Train) -> int:
    ways = ways_asked(options)
    involved = tuple(dict.fromkeys(name for trained, tested in ways for name in (*trained, *tested)))
    jobs = processes(options.jobs)
    request = save_request(study_request(dataclasses.replace(options, databases=involved)))
    with heeding_signals():
        prepared = {name: prepare(request, name, jobs) for name in involved}
        for trained, tested in ways:
            train_across(
                [prepared[name] for name in trained], [prepared[name] for name in tested],
                jobs=options.jobs or default_jobs(request.device),
            )  # fmt: skip
    print(readable_cross(cross_table(request.out, request.settings.lam)).to_string(index=False))
    print(f"Runs: {request.out / 'across'}; the table and its figure: gndl report {request.out}")
    return 0
