"""What ``gndl render`` does: databases, contact sheets, counterfactual sets."""

from __future__ import annotations

from gndl.asked import processes, words
from gndl.errors import GndlError
from gndl.options import Render
from gndl.paper import DATABASES
from gndl.paths import data_folder, resolve, standin_folder
from gndl.request import profile_named
from gndl.standins import render_database, subjects_sheet
from gndl.standins.truth import truth_folder


def render(options: Render) -> int:
    """Render the databases asked for, or a sheet of each, or a counterfactual set, and print where they lie."""
    if options.counterfactual:
        return _render_counterfactual(options)
    profile = profile_named(options.profile)
    names = words(options.databases)
    for name in names:
        if name not in DATABASES:
            raise GndlError(f"There is no stand-in of {name!r}; choose among {', '.join(DATABASES)}.")
    for name in names:
        if options.sheets:
            path = resolve(options.out or "figures") / f"standin_{name}.jpg"
            print(subjects_sheet(name, path, size=profile.standins[name], seed=options.seed))
            continue
        folder = resolve(options.out) / name if options.out else standin_folder(profile.name, name)
        size, jobs, title = profile.standins[name], processes(options.jobs), f"Rendering {name}"
        print(render_database(name, folder, size=size, seed=options.seed, jobs=jobs, description=title))
    return 0


def _render_counterfactual(options: Render) -> int:
    from gndl.standins.counterfactual import Counterfactual, render_counterfactual

    root = resolve(options.out) if options.out else data_folder() / "standins" / "counterfactual"
    asked = Counterfactual(options.counterfactual, options.size, options.seed, options.strength)
    print(render_counterfactual(root, asked))
    print(f"sheet: {root / 'sheet.png'}; ground truth: {truth_folder(root)}")
    return 0
