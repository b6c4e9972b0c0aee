"""Two studies side by side: which runs they share, and what becomes of every claim of ARTIFACT.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.checking.claims import (
    CLAIMS,
    HOW_TO_MEASURE,
    OF_FEATURES_AND_SAMPLES,
    ClaimCompared,
    Tolerance,
    accuracies_agree,
    accuracies_follow,
    files_follow,
    measured_tolerance,
    same_bytes,
    whole_path_runs,
)
from gndl.cross import finished_across
from gndl.errors import GndlError
from gndl.identity import differences
from gndl.results import RUN_KEY, FinishedRun, finished_runs


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
        A study whose folds have several seeds, by which differences are judged; by default a or b where they have. It
        is asked only of runs on the same faces and with the same training as those judged.

    Raises
    ------
    GndlError
        Where one holds no finished run, they share none, or ``reseeded`` has no fold with two seeds that was trained as
        theirs were.
    """
    of_a, of_b = ({_key(run): run for run in _runs(out)} for out in (a, b))
    shared = [key for key in of_a if key in of_b]
    if not shared:
        raise GndlError(f"{a} and {b} share no run: no database, method, λ, fold and seed is in both.")
    runs = pd.DataFrame([_matched(of_a[key], of_b[key]) for key in shared])
    settings = dict.fromkeys(line for key in shared for line in _trained_differently(of_a[key], of_b[key]))
    judged: dict[str, list[tuple[FinishedRun, FinishedRun]]] = {}
    for key in shared:
        judged.setdefault(of_a[key].database, []).append((of_a[key], of_b[key]))
    sources = [reseeded] if reseeded is not None else [a, b]
    tolerances = {database: _tolerance(sources, database, pairs) for database, pairs in judged.items()}
    if reseeded is not None and not any(isinstance(found, Tolerance) for found in tolerances.values()):
        why = dict.fromkeys(str(found) for found in tolerances.values() if found != HOW_TO_MEASURE)
        raise GndlError(
            f"--reseeded {reseeded} judges nothing: {'; '.join(why)}. Name a study with several seeds that was trained "
            f"as {a} and {b} were."
            if why
            else f"{reseeded}: no fold of these databases has two seeds; {HOW_TO_MEASURE}."
        )
    same_runs = set(of_a) == set(of_b) and _all_alike(runs)
    claims = [
        whole_path_runs(a, b, set(of_a), set(of_b)),
        ClaimCompared(2, CLAIMS[2], "not in these studies", "`make test` says it."),
        files_follow(a, b, same_runs),
        accuracies_follow(a, b),
        *accuracies_agree(runs, tolerances),
        files_follow(a, b, same_runs, 10, OF_FEATURES_AND_SAMPLES),
    ]
    return StudiesCompared(a, b, runs, len(of_a) - len(shared), len(of_b) - len(shared), tuple(settings), tuple(claims))


def _tolerance(sources: list[Path], database: str, judged: list[tuple[FinishedRun, FinishedRun]]) -> Tolerance | str:
    """What the first study that can tell says; else why none can."""
    found = [measured_tolerance(out, database, judged) for out in sources]
    return next((one for one in found if isinstance(one, Tolerance)), found[0])


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
        row[f"same_{Path(what).stem}"] = same_bytes(a.folder / what, b.folder / what)
    return row


def _all_alike(runs: pd.DataFrame) -> bool:
    """Whether every matched run has the same predictions, epochs and, where both keep them, weights."""
    return all(bool(runs[name].dropna().all()) for name in runs.columns if name.startswith("same_"))


def _trained_differently(a: FinishedRun, b: FinishedRun) -> list[str]:
    """Fields of the identities that differ, and versions of the libraries."""
    one, other = (
        {**run.record["identity"], "epochs": run.record["epochs"], "versions": run.record.get("versions", {})}
        for run in (a, b)
    )
    return differences(one, other)
