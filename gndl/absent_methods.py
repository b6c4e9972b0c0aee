"""Methods of a study whose class is not at hand in this process: their finished runs are read, none can be trained."""

from __future__ import annotations

from typing import Any

from gndl.errors import GndlError
from gndl.imported import is_imported
from gndl.methods import method_names
from gndl.outside_methods import VARIABLE, find_method
from gndl.prepare import Prepared
from gndl.results import finished_runs
from gndl.runs import weights_path
from gndl.weights import weights_name


def is_at_hand(name: str) -> bool:
    """Whether a method can be built here: it is registered, or ``GNDL_METHODS`` or an installed package has it."""
    return name in method_names() or find_method(name)


def methods_at_hand(study: Prepared) -> tuple[str, ...]:
    """Return the study's methods but for those whose class is not at hand and whose headline runs are all finished.

    Raises
    ------
    GndlError
        Where the class of a method is not at hand and a run of it is missing; the run is named.
    """
    absent = absent_methods(study)
    return tuple(name for name in study.request.settings.methods if name not in absent)


def absent_methods(study: Prepared) -> dict[str, dict[str, Any]]:
    """Return the study's methods whose class is not at hand, each with the ``run.json`` of its first headline run.

    Raises
    ------
    GndlError
        As `methods_at_hand`.
    """
    names = [name for name in study.request.settings.methods if not is_imported(name) and not is_at_hand(name)]
    return {name: _first_of_finished(study, name) for name in names}


def absent_note(study: Prepared) -> str:
    """Say in one sentence which methods are read alone, since their class is not at hand; "" where there is none."""
    names = list(absent_methods(study))
    if not names:
        return ""
    return (
        f"The code of {' and '.join(names)} is not at hand here, so finished runs are read and none is trained; "
        f"{VARIABLE}=FILE.py:CLASS in the environment gives it."
    )


def _first_of_finished(study: Prepared, name: str) -> dict[str, Any]:
    weights, database = weights_path(study), study.database.name
    variant = name if weights is None else f"{name}-{weights_name(weights)}"
    lams = ("none", f"{study.request.settings.lam:g}")  # which of them, only its class could say
    found = {
        (run.fold, run.seed): run.record
        for run in finished_runs(study.request.out)
        if (run.database, run.method) == (database, variant)
        and run.lam in lams
        and run.record["epochs"] >= study.train.epochs
    }
    for fold in study.run_folds:
        for seed in study.request.seeds:
            if (fold, seed) not in found:
                raise GndlError(
                    f"{study.folder / variant}: the run of fold {fold}, seed {seed} is not finished, and method "
                    f'"{name}" is unknown here. Say where its class is, by {VARIABLE}=FILE.py:CLASS in the environment '
                    "of this process, or finish it by `gndl study --method FILE.py:CLASS`."
                )
    return found[study.run_folds[0], study.request.seeds[0]]
