"""Measure the features of every fold of a study: agreement, retrieval, silhouettes and probes, each fold once.

What a run gave is kept in ``analysis/deviation_folds.csv`` of the database's folder, named by the run's key and by the
code that measured it. It is read from there where both are the same, and also where the weights are not at hand: a
study that was committed without weights keeps its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gndl.analysis.agreement import measure_agreement, measure_deviations
from gndl.analysis.embedding import deviation_embedding, measure_silhouettes
from gndl.analysis.ensure import ensure_run, has_weights, one_run, run_key
from gndl.analysis.factors import face_factors
from gndl.analysis.features import FoldFeatures, features_of_run
from gndl.analysis.measurement import RUN, measurements_table, over_folds
from gndl.analysis.probes import measure_probes
from gndl.analysis.retrieval import measure_retrieval
from gndl.files import hash_json
from gndl.method_code import code_hash
from gndl.methods import MethodSettings
from gndl.prepare import Prepared
from gndl.progress import progress
from gndl.results import write_csv
from gndl.runs import Run, find_finished

MEASURED_BY = ("agreement", "deviation", "embedding", "factors", "features", "measurement", "probes", "retrieval")
"""Modules whose code decides every number."""

FOLDS, MAP = "deviation_folds", "deviation_features"
"""Files in the folder ``analysis``: measurements per fold, and the plane of Fig. 8."""

HOW = ["code", "weights", "source"]
"""Columns that say how kept rows came about: hash of the code, note on a second training, kind of faces."""

TEXTS = {name: str for name in ("lam", "sequence", "subject", "frame", "note", "weights", "code")}

Variants = Iterable[tuple[str | MethodSettings, float | None]]


@dataclass(frozen=True)
class Measured:
    """What was measured on several folds.

    Parameters
    ----------
    folds : DataFrame
        One row per run and number (:func:`gndl.analysis.measurement.measurements_table`).
    notes : tuple of str
        What a reader must know: second trainings, and folds that could not be measured.
    """

    folds: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def numbers(self) -> pd.DataFrame:
        """Joined over folds (:func:`gndl.analysis.measurement.over_folds`)."""
        return over_folds(self.folds)


def measure_features(features: FoldFeatures, factors: pd.DataFrame) -> pd.DataFrame:
    """Measure everything that one fold's features can tell; ``factors`` as for :func:`measure_probes`."""
    found = [
        *measure_agreement(features),
        *measure_deviations(features),
        *measure_retrieval(features),
        *measure_silhouettes(features),
        *measure_probes(features, factors),
    ]
    return measurements_table(features.about, found)


def deviation_measurements(study: Prepared, variants: Variants, folds: Iterable[int] | None = None) -> Measured:
    """Measure the features of several runs, or read what was measured before; nothing is trained.

    Parameters
    ----------
    study : Prepared
    variants : iterable of (method, λ)
        λ None for the profile's, or for methods without it.
    folds : iterable of int, optional
        By default all that the study runs. Those without a finished run are left out, and named in the notes; so are
        those whose weights are not at hand, unless they were measured before.
    """
    path = study.folder / "analysis" / f"{FOLDS}.csv"
    kept, code = _read_kept(path), _code()
    runs = [one_run(study, *variant, fold) for variant in variants for fold in folds or study.run_folds]
    measured, notes, missing = list[pd.DataFrame](), list[str](), list[str]()
    factors: pd.DataFrame | None = None
    for run in progress(runs, "Measuring features", unit="run"):
        known = _kept_of(study, run, kept)
        fresh = known is not None and set(known["code"]) == {code}
        if not fresh and has_weights(study, run):
            factors = face_factors(study) if factors is None else factors
            ensured = ensure_run(study, run.method, run.lam, run.fold, run.seed)
            known = measure_features(features_of_run(study, ensured), factors)
            known = known.assign(code=code, weights=ensured.note)
        if known is None:
            missing.append(f"{run.variant} fold {run.fold}")
        else:
            measured.append(known)
            notes += dict.fromkeys(known["weights"])
    if missing:
        notes.append(f"Not measured, for want of a finished run with its weights: {', '.join(missing)}.")
    table = pd.concat(measured, ignore_index=True) if measured else pd.DataFrame()
    if len(table):
        _keep(table, kept, study, path)
    return Measured(table.drop(columns=HOW, errors="ignore"), tuple(note for note in notes if note))


def deviation_map(
    study: Prepared, method: str | MethodSettings = "gndl", lam: float | None = None, fold: int = 0, seed: int = 0
) -> tuple[pd.DataFrame, str]:
    """Lay one fold's deviations out in a plane (Fig. 8), or read the plane that was made before.

    The run is trained where it is missing or its weights are not at hand (:func:`gndl.analysis.ensure.ensure_run`).

    Returns
    -------
    DataFrame
        Of :func:`gndl.analysis.embedding.deviation_embedding`.
    str
        What a reader must know of a second training; "" without one.
    """
    run = one_run(study, method, lam, fold)
    path = study.folder / "analysis" / f"{map_name(study, run)}.csv"
    code, known = _code(), _kept_of(study, run, _read_kept(path))
    asked = known is not None and set(known["tsne_seed"]) == {seed}
    if known is not None and asked and (set(known["code"]) == {code} or not has_weights(study, run)):
        return known.drop(columns=HOW).reset_index(drop=True), str(known["weights"].iloc[0])
    ensured = ensure_run(study, run.method, run.lam, run.fold, run.seed)
    plane = deviation_embedding(features_of_run(study, ensured), seed).assign(tsne_seed=seed)
    if len(plane):
        write_csv(plane.assign(code=code, weights=ensured.note, source=study.database.source), path)
    return plane, ensured.note


def agreement_numbers(study: Prepared) -> pd.DataFrame:
    """All numbers on the features of GNDL, and of the baseline beside it, joined over the folds at hand.

    Nothing is trained. Empty where nothing can be measured.
    """
    methods: Variants = [(method, None) for method in ("gndl", "baseline")]
    measured = deviation_measurements(study, methods)
    return measured.numbers if len(measured.folds) else measured.folds


def map_name(study: Prepared, run: Run) -> str:
    """Name that a run's plane is saved under: ``deviation_features``, with what is not the headline's behind it."""
    headline = one_run(study, "gndl", None, run.fold)
    if (run.variant, run.lam) == (headline.variant, headline.lam):
        return MAP
    return f"{MAP}_{run.variant}" + ("" if run.lam in (None, study.request.settings.lam) else f"_lam-{run.lam_text}")


def _code() -> str:
    """Hash of the code that measures."""
    folder = Path(__file__).parent
    return hash_json([code_hash((folder / f"{name}.py").read_text(encoding="utf-8")) for name in MEASURED_BY])[:12]


def _read_kept(path: Path) -> pd.DataFrame:
    """What was kept; nothing where the file does not say how it came about, as the CSV behind a figure does not."""
    nothing = pd.DataFrame(columns=[*RUN, *HOW])
    if not path.exists():
        return nothing
    # Python's own parser gives back every float as it was written.
    table = pd.read_csv(path, dtype=TEXTS, keep_default_na=False, na_values=[""], engine="python")
    if not {*RUN, *HOW} <= set(table.columns):
        return nothing
    return table.fillna({name: "" for name in ("note", "weights") if name in table.columns})


def _kept_of(study: Prepared, run: Run, kept: pd.DataFrame) -> pd.DataFrame | None:
    """The kept rows of one run as it lies in the study now; None where there are none."""
    finished = find_finished(study, run)
    if finished is None or kept.empty:
        return None
    rows = kept[kept["run"] == run_key(finished)]
    return rows if len(rows) else None


def _keep(table: pd.DataFrame, kept: pd.DataFrame, study: Prepared, path: Path) -> None:
    """Write new rows, and after them those of other runs that were kept before."""
    places = [pd.MultiIndex.from_frame(rows[RUN[:5]].astype(str)) for rows in (table, kept)]
    others = kept[~places[1].isin(places[0])]
    both = pd.concat([table, others], ignore_index=True) if len(others) else table
    write_csv(both.assign(source=study.database.source), path)
