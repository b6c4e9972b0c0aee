"""Two studies side by side: which runs they share, and what becomes of every claim of ARTIFACT.md.

Numbers that are not equal are judged by how far another seed moves them, and by nothing else. That is measured: the
standard deviation s of a fold's accuracy between seeds, pooled over folds, of a study whose folds have several seeds.
Means over k folds with m and n seeds are within the tolerance where they differ by at most

    t · s · √((1/m + 1/n) / k),

t being the 97.5 % point of Student's t with the degrees of freedom of s. Where nothing was run with several seeds there
is no tolerance, and numbers that are not equal are not judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from gndl.checking.study import check_study
from gndl.comparison import CONFIDENCE, sd_between_seeds
from gndl.cross import finished_across
from gndl.errors import GndlError
from gndl.figures.redraw import CSV_FOLDERS
from gndl.files import hash_file
from gndl.identity import differences
from gndl.results import RUN_KEY, FinishedRun, finished_runs
from gndl.tables.results_table import measured_on
from gndl.tables.study import points

Verdict = Literal["equal", "within the measured tolerance", "different", "not judged", "not in these studies"]

CLAIMS = {
    1: "the whole path runs",
    2: "the suite passes",
    3: "figures and tables follow from the CSV files",
    4: "accuracies follow from the predictions",
    5: "the accuracies",
    6: "the paper's Table 1",
}
"""The claims of ARTIFACT.md, by number."""

HOW_TO_MEASURE = (
    "how far another seed moves it was not measured: `gndl train --seed 1` with the study's other options adds a "
    "second seed to its folds, and `--reseeded` names a study that has several"
)


@dataclass(frozen=True)
class Tolerance:
    """How far another seed moves a fold's accuracy.

    ``sd`` is the standard deviation between seeds of one fold, pooled over folds and methods, as a fraction,
    ``freedom`` its degrees of freedom, and ``measured_in`` says in which study.
    """

    sd: float
    freedom: int
    measured_in: str

    def of_means(self, folds: int, seeds: int, other_seeds: int) -> float:
        """Largest difference of two means over ``folds`` folds that reseeding explains."""
        t = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom))
        return t * self.sd * float(np.sqrt((1 / seeds + 1 / other_seeds) / folds))


@dataclass(frozen=True)
class ClaimCompared:
    """One claim, or one number of it, in two studies."""

    number: int
    what: str
    verdict: Verdict
    words: str


@dataclass(frozen=True, eq=False)
class StudiesCompared:
    """Two studies side by side.

    Parameters
    ----------
    a, b : Path
    runs : DataFrame
        The runs that both have: the key of a run, ``accuracy_a``, ``accuracy_b``, ``difference`` (b less a) and what is
        the same to the byte: ``same_predictions``, ``same_epochs``, ``same_weights`` (None where one has none).
    only_a, only_b : int
        Runs that the other has not.
    settings : tuple of str
        Fields in which matched runs were trained differently, such as ``"train.precision: bf16, now fp32"``.
    claims : tuple of ClaimCompared
    """

    a: Path
    b: Path
    runs: pd.DataFrame
    only_a: int
    only_b: int
    settings: tuple[str, ...]
    claims: tuple[ClaimCompared, ...]

    @property
    def ok(self) -> bool:
        """Whether no claim differs."""
        return not any(claim.verdict == "different" for claim in self.claims)

    def report(self) -> str:
        """The comparison as plain text, claim by claim."""
        same = int(self.runs["same_predictions"].sum())
        lines = [
            f"{self.a} and {self.b}: {len(self.runs)} runs in both, {self.only_a} only in the first, {self.only_b} "
            f"only in the second; predictions are the same to the byte in {same} of {len(self.runs)}.",
        ]
        weights = self.runs["same_weights"].dropna()
        if len(weights):
            lines.append(f"Weights are the same to the byte in {int(weights.sum())} of {len(weights)} that both keep.")
        lines += [f"trained differently: {line}" for line in self.settings] or ["trained alike, as far as runs say"]
        lines += [f"claim {one.number}, {one.what}: {one.verdict.upper()}. {one.words}" for one in self.claims]
        return "\n".join(lines)


def compare_studies(a: Path, b: Path, reseeded: Path | None = None) -> StudiesCompared:
    """Match the runs of two studies, within and across databases, and judge every claim of ARTIFACT.md.

    Both are only read.

    Parameters
    ----------
    a, b : Path
        Directories of studies.
    reseeded : Path, optional
        A study whose folds have several seeds, by which differences are judged; by default a or b where they have.

    Raises
    ------
    GndlError
        Where one holds no finished run, they share none, or ``reseeded`` has no fold with two seeds.
    """
    of_a, of_b = ({_key(run): run for run in _runs(out)} for out in (a, b))
    shared = [key for key in of_a if key in of_b]
    if not shared:
        raise GndlError(f"{a} and {b} share no run: no database, method, λ, fold and seed is in both.")
    runs = pd.DataFrame([_matched(of_a[key], of_b[key]) for key in shared])
    settings = dict.fromkeys(line for key in shared for line in _trained_differently(of_a[key], of_b[key]))
    sources = [reseeded] if reseeded is not None else [a, b]
    tolerances = {
        database: next(filter(None, (measured_tolerance(out, database) for out in sources)), None)
        for database in dict.fromkeys(runs["database"])
    }
    if reseeded is not None and not any(tolerances.values()):
        raise GndlError(f"{reseeded}: no fold of these databases has two seeds; {HOW_TO_MEASURE}.")
    claims = [
        _claim_1(a, b, set(of_a), set(of_b)),
        ClaimCompared(2, CLAIMS[2], "not in these studies", "`make test` says it."),
        _claim_3(a, b, set(of_a) == set(of_b) and _all_alike(runs)),
        _claim_4(a, b),
        *_accuracies(runs, of_a, tolerances),
    ]
    return StudiesCompared(a, b, runs, len(of_a) - len(shared), len(of_b) - len(shared), tuple(settings), tuple(claims))


def measured_tolerance(out: Path, database: str) -> Tolerance | None:
    """Measure how far another seed moves a fold's last accuracy; None where no fold has two seeds."""
    runs = [run for run in (*finished_runs(out), *finished_across(out)) if run.database == database]
    rows = [
        {"fold": f"{run.method} {run.lam} {run.fold}", "seed": run.seed, "accuracy": run.record["accuracy_last"]}
        for run in runs
    ]
    if not rows:
        return None
    table = pd.DataFrame(rows)
    table = table[table.groupby("fold")["fold"].transform("size") > 1]
    sd = sd_between_seeds(table, "accuracy") if len(table) else np.nan
    if np.isnan(sd):
        return None
    folds = int(table["fold"].nunique())
    where = f"{out}, {database}: {len(table)} runs of {folds} folds and methods with several seeds"
    return Tolerance(sd, len(table) - folds, where)


def _runs(out: Path) -> list[FinishedRun]:
    runs = [*finished_runs(out), *finished_across(out)]
    if not runs:
        raise GndlError(f"{out} holds no finished run, so there is nothing to compare.")
    return runs


def _key(run: FinishedRun) -> tuple[Any, ...]:
    return tuple(getattr(run, name) for name in RUN_KEY)


def _matched(a: FinishedRun, b: FinishedRun) -> dict[str, Any]:
    row = dict(zip(RUN_KEY, _key(a), strict=True)) | {"source_a": a.source, "source_b": b.source}
    row |= {"accuracy_a": a.record["accuracy_last"], "accuracy_b": b.record["accuracy_last"]}
    row["difference"] = row["accuracy_b"] - row["accuracy_a"]
    for what in ("predictions.csv", "epochs.csv", "weights.safetensors"):
        row[f"same_{Path(what).stem}"] = _same_bytes(a.folder / what, b.folder / what)
    return row


def _all_alike(runs: pd.DataFrame) -> bool:
    """Whether every matched run has the same predictions, epochs and, where both keep them, weights."""
    return all(bool(runs[name].dropna().all()) for name in runs.columns if name.startswith("same_"))


def _same_bytes(a: Path, b: Path) -> bool | None:
    return hash_file(a) == hash_file(b) if a.exists() and b.exists() else None


def _trained_differently(a: FinishedRun, b: FinishedRun) -> list[str]:
    """Fields of the identities that differ, and versions of the libraries."""
    one, other = (
        {**run.record["identity"], "epochs": run.record["epochs"], "versions": run.record.get("versions", {})}
        for run in (a, b)
    )
    return differences(one, other)


def _claim_1(a: Path, b: Path, of_a: set[Any], of_b: set[Any]) -> ClaimCompared:
    """The same runs finished, the same notebooks executed; what only one was asked for proves nothing of the other."""
    notebooks = [{file.relative_to(out).as_posix() for file in out.glob("**/notebooks/*.ipynb")} for out in (a, b)]
    failed = sorted(name for names in notebooks for name in names if name.endswith(".failed.ipynb"))
    words = f"{len(of_a)} and {len(of_b)} finished runs, {len(notebooks[0])} and {len(notebooks[1])} executed notebooks"
    if failed:
        return ClaimCompared(1, CLAIMS[1], "different", f"{words}; {failed[0]} failed.")
    if of_a == of_b and notebooks[0] == notebooks[1]:
        return ClaimCompared(1, CLAIMS[1], "equal", f"{words}.")
    return ClaimCompared(1, CLAIMS[1], "not judged", f"{words}; one holds what the other was perhaps never asked for.")


def _claim_3(a: Path, b: Path, same_runs: bool) -> ClaimCompared:
    """The CSV files behind figures and tables, byte for byte, where the runs that they follow from are the same."""
    files = [
        {
            file.relative_to(out).as_posix(): file
            for pattern in (*(f"*/{part}/*.csv" for part in CSV_FOLDERS), "*/tables/*.csv", "tables/*.csv")
            for file in out.glob(pattern)
        }
        for out in (a, b)
    ]
    shared = sorted(files[0].keys() & files[1].keys())
    if not shared:
        return ClaimCompared(3, CLAIMS[3], "not in these studies", "No CSV file of a figure or table is in both.")
    differ = [name for name in shared if not _same_bytes(files[0][name], files[1][name])]
    words = f"{len(shared) - len(differ)} of {len(shared)} CSV files that both have are the same to the byte"
    if not differ:
        return ClaimCompared(3, CLAIMS[3], "equal", f"{words}.")
    words += f"; the first that is not: {differ[0]}"
    if same_runs:
        return ClaimCompared(3, CLAIMS[3], "different", f"{words}, though the runs are the same.")
    return ClaimCompared(3, CLAIMS[3], "not judged", f"{words}. They follow from runs that differ, see claim 5.")


def _claim_4(a: Path, b: Path) -> ClaimCompared:
    """The audit of both."""
    problems = {out: check_study(out) for out in (a, b)}
    wrong = [f"{len(found)} problems in {out}, first: {found[0]}" for out, found in problems.items() if found]
    words = "; ".join(wrong) if wrong else "`gndl check` finds that everything agrees in both"
    return ClaimCompared(4, CLAIMS[4], "different" if wrong else "equal", f"{words}.")


def _accuracies(
    runs: pd.DataFrame, of_a: dict[Any, FinishedRun], tolerances: dict[str, Tolerance | None]
) -> Iterable[ClaimCompared]:
    """Claim 5 on rendered faces, claim 6 on licensed ones: the mean over folds of every variant."""
    licensed = False
    for (database, method, lam), own in runs.groupby(["database", "method", "lam"], sort=False):
        sources = {*own["source_a"], *own["source_b"]}
        on = measured_on(str(database), str(own["source_a"].iloc[0]))
        what = f"{method}{'' if lam == 'none' else f', λ = {lam}'} on {on}"
        if len(sources) > 1:
            words = f"one study has seen {' and the other '.join(sorted(sources))} faces."
            yield ClaimCompared(5, what, "not judged", words.capitalize())
            continue
        licensed |= sources == {"licensed"}
        number = 6 if sources == {"licensed"} else 5
        yield _judged(number, what, own, tolerances[str(database)])
    if not licensed:
        yield ClaimCompared(6, CLAIMS[6], "not in these studies", "Neither was run on licensed copies.")


def _judged(number: int, what: str, own: pd.DataFrame, tolerance: Tolerance | None) -> ClaimCompared:
    folds = own.groupby("fold")[["accuracy_a", "accuracy_b"]].mean()
    means = folds.mean()
    difference = float(means["accuracy_b"] - means["accuracy_a"])
    seeds = int(own.groupby("fold").size().min())
    words = (
        f"{100 * means['accuracy_a']:.2f} and {100 * means['accuracy_b']:.2f} %, {points(difference)} points over "
        f"{len(folds)} fold{'' if len(folds) == 1 else 's'}"
    )
    if (own["difference"].abs() <= 1e-9).all():
        same = bool(own["same_predictions"].all())
        tail = "" if same else ", though not every probability is the same"
        return ClaimCompared(number, what, "equal", f"{words}; every run is equal{tail}.")
    if tolerance is None:
        return ClaimCompared(number, what, "not judged", f"{words}; {HOW_TO_MEASURE}.")
    largest = tolerance.of_means(len(folds), seeds, seeds)
    words += (
        f"; reseeding moves such a difference by up to {100 * largest:.2f} (sd between seeds {100 * tolerance.sd:.2f} "
        f"points, {tolerance.freedom} degrees of freedom; {tolerance.measured_in})."
    )
    within = abs(difference) <= largest + 1e-9
    return ClaimCompared(number, what, "within the measured tolerance" if within else "different", words)
