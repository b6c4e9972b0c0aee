"""What becomes of every claim of ARTIFACT.md in two studies.

Numbers that are not equal are judged by how far another seed moves them, and by nothing else. That is measured: the
standard deviation s of a fold's accuracy between seeds, pooled over folds, of a study whose folds have several seeds.
Means over k folds with m and n seeds are within the tolerance where they differ by at most

    t · s · √((1/m + 1/n) / k),

t being the 97.5 % point of Student's t with the degrees of freedom of s. Only runs on the same kind of faces and with
the same training as the runs judged can say it: a profile that trains for less is noisier, and would pass anything.
Where no such runs have several seeds there is no tolerance, and numbers that are not equal are not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from gndl.checking.study import check_study
from gndl.comparison import CONFIDENCE, sd_between_seeds
from gndl.cross import finished_across
from gndl.figures.redraw import CSV_FOLDERS
from gndl.files import hash_file, hash_json
from gndl.identity import differences
from gndl.methods import METHOD_GROUPS
from gndl.profiles import PAPER
from gndl.results import FinishedRun, finished_runs
from gndl.tables.across import title_of
from gndl.tables.results_table import measured_on
from gndl.tables.study import points
from gndl.tables.variants import REFERENCES

Verdict = Literal["equal", "within the measured tolerance", "different", "not judged", "not in these studies"]

CLAIMS = {
    1: "the whole path runs",
    2: "the suite passes",
    3: "figures and tables follow from the CSV files",
    4: "accuracies follow from the predictions",
    5: "the accuracies",
    6: "the paper's Table 1",
    7: "across databases",
    8: "finer grains",
    9: "the sweep over λ",
    10: "features and hard samples",
    11: "ablations",
}
"""The claims of ARTIFACT.md, by number."""

CLAIMS_OF_RUNS = {
    5: "They share no run on one database's stand-in.",
    6: "Neither was run on licensed copies.",
    7: "They share no run across databases.",
    8: "They share no run of a finer grain.",
    9: "They share no run at another λ than the paper's.",
    11: "They share no run of an ablation.",
}
"""Claims that runs decide, and what is said where two studies share none."""

CLAIMS_OF_GROUPS = {8: "granularity", 11: "ablations"}
"""Claims about the variants of one group of `gndl.methods.METHOD_GROUPS`."""

HOW_TO_MEASURE = (
    "how far another seed moves it was not measured: `gndl train --seed 1` with the study's other options adds a "
    "second seed to its folds, and `--reseeded` names a study that has several"
)

NOT_THE_PAPER = "The two studies were held against each other, not against the paper's Table 1."
"""What is said of runs on licensed copies: that two agree is not yet that they give the paper's numbers."""


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


def measured_tolerance(out: Path, database: str, judged: Iterable[tuple[FinishedRun, FinishedRun]]) -> Tolerance | str:
    """Measure how far another seed moves a fold's last accuracy, by runs that were trained as those judged were.

    Parameters
    ----------
    out : Path
        The study whose folds have several seeds.
    database : str
        Or two, ``"ckplus-to-mmi"``.
    judged : iterable of two FinishedRun
        The same run of two studies, for each that the tolerance is for. A run of ``out`` is looked at where its kind of
        faces, its training settings, its epochs and its first weights are those of one of them. Pairs that were
        themselves trained differently, in more than precision, count for nothing: no seed explains their difference.

    Returns
    -------
    Tolerance or str
        Where there is none, why, as the middle of a sentence: no fold has two seeds, or what has them was trained
        otherwise, with what differs.
    """
    known: dict[str, dict[str, Any]] = {}
    unlike: list[str] = []
    for pair in judged:
        one, other = map(_training, pair)
        named = [line for line in differences(one, other) if not line.startswith("train.precision:")]
        known |= {} if named else {hash_json(each): each for each in (one, other)}
        unlike += named
    if not known:
        return f"the two were trained differently ({'; '.join(dict.fromkeys(unlike))}), which no other seed explains"
    alike: list[FinishedRun] = []
    otherwise: list[FinishedRun] = []
    for run in (*finished_runs(out), *finished_across(out)):
        if run.database == database:
            same = any(not differences(one, _training(run)) for one in known.values())
            (alike if same else otherwise).append(run)
    measured = _between_seeds(alike)
    if measured is not None:
        sd, folds, count = measured
        where = f"{out}, {database}: {count} runs of {folds} folds and methods with several seeds"
        return Tolerance(sd, count - folds, where)
    if _between_seeds(otherwise) is None:
        return HOW_TO_MEASURE
    named = differences(next(iter(known.values())), _training(otherwise[0]))
    return (
        f"how far another seed moves it cannot be taken from {out}, whose runs with several seeds on {database} differ "
        f"from those judged ({'; '.join(named)})"
    )


def _training(run: FinishedRun) -> dict[str, Any]:
    """What decides how far another seed moves an accuracy, but for the method and the fold."""
    identity = run.record["identity"]
    return {
        "source": run.source,
        "train": identity.get("train"),
        "epochs": run.record.get("epochs"),
        "weights": identity.get("weights"),
    }


def _between_seeds(runs: Iterable[FinishedRun]) -> tuple[float, int, int] | None:
    """Standard deviation between seeds, of how many folds and methods, and of how many runs; None without two seeds."""
    rows = [
        {"fold": f"{run.method} {run.lam} {run.fold}", "seed": run.seed, "accuracy": run.record["accuracy_last"]}
        for run in runs
    ]
    if not rows:
        return None
    table = pd.DataFrame(rows)
    table = table[table.groupby("fold")["fold"].transform("size") > 1]
    sd = sd_between_seeds(table, "accuracy") if len(table) else np.nan
    return None if np.isnan(sd) else (sd, int(table["fold"].nunique()), len(table))


def same_bytes(a: Path, b: Path) -> bool | None:
    return hash_file(a) == hash_file(b) if a.exists() and b.exists() else None


def whole_path_runs(a: Path, b: Path, of_a: set[Any], of_b: set[Any]) -> ClaimCompared:
    """The same runs finished, the same notebooks executed; what only one was asked for proves nothing of the other."""
    notebooks = [{file.relative_to(out).as_posix() for file in out.glob("**/notebooks/*.ipynb")} for out in (a, b)]
    failed = sorted(name for names in notebooks for name in names if name.endswith(".failed.ipynb"))
    words = f"{len(of_a)} and {len(of_b)} finished runs, {len(notebooks[0])} and {len(notebooks[1])} executed notebooks"
    if failed:
        return ClaimCompared(1, CLAIMS[1], "different", f"{words}; {failed[0]} failed.")
    if not any(notebooks):  # the path ends with its notebooks, so that equal runs are not the whole of it
        return ClaimCompared(1, CLAIMS[1], "not judged", f"{words}; neither says whether the path was run to its end.")
    if of_a == of_b and notebooks[0] == notebooks[1]:
        return ClaimCompared(1, CLAIMS[1], "equal", f"{words}.")
    return ClaimCompared(1, CLAIMS[1], "not judged", f"{words}; one holds what the other was perhaps never asked for.")


OF_ALL = ("*/{part}/*.csv", "*/tables/*.csv", "tables/*.csv")
OF_FEATURES_AND_SAMPLES = tuple(
    f"*/{{part}}/{name}.csv" for name in ("deviation_features", "deviation_measures", "hard_samples*", "sample_cells")
)
"""Where in a study the CSV files lie that two claims are about; ``part`` is one of `CSV_FOLDERS`."""


def files_follow(a: Path, b: Path, same_runs: bool, number: int = 3, patterns: Iterable[str] = OF_ALL) -> ClaimCompared:
    """The CSV files behind figures and tables, byte for byte, where the runs that they follow from are the same."""
    files = [
        {
            file.relative_to(out).as_posix(): file
            for pattern in dict.fromkeys(one.format(part=part) for one in patterns for part in CSV_FOLDERS)
            for file in out.glob(pattern)
        }
        for out in (a, b)
    ]
    shared, what = sorted(files[0].keys() & files[1].keys()), CLAIMS[number]
    if not shared:
        return ClaimCompared(number, what, "not in these studies", "No CSV file of it is in both.")
    differ = [name for name in shared if not same_bytes(files[0][name], files[1][name])]
    words = f"{len(shared) - len(differ)} of {len(shared)} CSV files that both have are the same to the byte"
    if not differ:
        return ClaimCompared(number, what, "equal", f"{words}.")
    words += f"; the first that is not: {differ[0]}"
    if same_runs:
        return ClaimCompared(number, what, "different", f"{words}, though the runs are the same.")
    return ClaimCompared(number, what, "not judged", f"{words}. They follow from runs that differ, see claim 5.")


def accuracies_follow(a: Path, b: Path) -> ClaimCompared:
    """The audit of both."""
    problems = {out: check_study(out) for out in (a, b)}
    wrong = [f"{len(found)} problems in {out}, first: {found[0]}" for out, found in problems.items() if found]
    words = "; ".join(wrong) if wrong else "`gndl check` finds that everything agrees in both"
    return ClaimCompared(4, CLAIMS[4], "different" if wrong else "equal", f"{words}.")


def accuracies_agree(runs: pd.DataFrame, tolerances: Mapping[str, Tolerance | str]) -> Iterable[ClaimCompared]:
    """Judge the mean over folds of every variant: claim 6 on licensed faces, the others on rendered ones."""
    spoken_of = set()
    for (database, method, lam), own in runs.groupby(["database", "method", "lam"], sort=False):
        sources = {*own["source_a"], *own["source_b"]}
        on = measured_on(" to ".join(map(title_of, str(database).split("-to-"))), str(own["source_a"].iloc[0]))
        what = f"{method}{'' if lam == 'none' else f', λ = {lam}'} on {on}"
        number = 6 if sources == {"licensed"} else _number_of(str(database), str(method), str(lam))
        spoken_of.add(number)
        if len(sources) > 1:
            words = f"one study has seen {' and the other '.join(sorted(sources))} faces."
            yield ClaimCompared(number, what, "not judged", words.capitalize())
            continue
        yield _judged(number, what, own, tolerances[str(database)])
    for number in sorted({*CLAIMS_OF_RUNS} - spoken_of):
        yield ClaimCompared(number, CLAIMS[number], "not in these studies", CLAIMS_OF_RUNS[number])


def _number_of(database: str, method: str, lam: str) -> int:
    """The claim on stand-ins that an accuracy belongs to."""
    if "-to-" in database:
        return 7
    for number, group in CLAIMS_OF_GROUPS.items():
        if method in {*METHOD_GROUPS[group]} - {*REFERENCES}:
            return number
    return 5 if lam in ("none", f"{PAPER.lam:g}") else 9


def _judged(number: int, what: str, own: pd.DataFrame, tolerance: Tolerance | str) -> ClaimCompared:
    folds = own.groupby("fold")[["accuracy_a", "accuracy_b"]].mean()
    means = folds.mean()
    difference = float(means["accuracy_b"] - means["accuracy_a"])
    seeds = int(own.groupby("fold").size().min())
    words = (
        f"{100 * means['accuracy_a']:.2f} and {100 * means['accuracy_b']:.2f} %, {points(difference)} points over "
        f"{len(folds)} fold{'' if len(folds) == 1 else 's'}"
    )
    held = f" {NOT_THE_PAPER}" if number == 6 else ""
    if (own["difference"].abs() <= 1e-9).all():
        same = bool(own["same_predictions"].all())
        tail = "" if same else ", though not every probability is the same"
        return ClaimCompared(number, what, "equal", f"{words}; every run is equal{tail}.{held}")
    if isinstance(tolerance, str):
        return ClaimCompared(number, what, "not judged", f"{words}; {tolerance}.{held}")
    largest = tolerance.of_means(len(folds), seeds, seeds)
    words += (
        f"; reseeding moves such a difference by up to {100 * largest:.2f} (sd between seeds {100 * tolerance.sd:.2f} "
        f"points, {tolerance.freedom} degrees of freedom; {tolerance.measured_in}).{held}"
    )
    within = abs(difference) <= largest + 1e-9
    return ClaimCompared(number, what, "within the measured tolerance" if within else "different", words)
