"""How a study was made, as tables for its report: command, versions, machine, seeds, and how long everything took."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gndl.paper import DATABASE_TITLES
from gndl.results import FinishedRun

STAGES = {"render": "rendering", "crop": "reading and cropping", "train": "training", "notebooks": "notebooks"}


def provenance_table(content: dict[str, Any]) -> pd.DataFrame:
    """List command, commit, versions, machine and seeds from a study's ``study.json``; empty where there is none."""
    if not content:
        return pd.DataFrame(columns=["what", "this study"])
    git, machine, asked = content.get("git", {}), content.get("machine", {}), content["asked"]
    changed = {True: ", with changes not committed", False: "", None: ""}[git.get("changed")]
    rows = [
        ("command", content.get("command", "–")),
        ("profile", f"{content['profile']}: {content['purpose']}"),
        ("precision", content.get("precision", "–")),
        ("seeds of the runs", ", ".join(map(str, content["seeds"]))),
        ("folds run", "all" if asked["settings"]["only_folds"] is None else _listed(asked["settings"]["only_folds"])),
        ("fold file", asked["folds_file"] or "none: subjects dealt here"),
        ("starting weights", asked["weights"] or "none: random initialisation"),
        ("commit", f"{git.get('commit') or 'no repository'}{changed}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in content.get("versions", {}).items())),
        (
            "machine",
            f"{machine.get('processor', '–')}, {machine.get('cores', '–')} cores, "
            f"{machine.get('memory_gib', '–')} GiB of memory, {machine.get('system', '–')}",
        ),
        ("GPU", machine.get("gpu") or "none"),
        ("written", content.get("written", "–")),
    ]
    return pd.DataFrame(rows, columns=["what", "this study"]).astype(str)


def stage_times(content: dict[str, Any]) -> pd.DataFrame:
    """List how long each stage of `gndl study` took, over all its calls and in the last one."""
    last, total = content.get("seconds_of_last_call", {}), content.get("seconds", {})
    rows = [
        (title, duration(total.get(stage)), duration(last.get(stage)))
        for stage, title in STAGES.items()
        if stage in total or stage in last
    ]
    return pd.DataFrame(rows, columns=["stage", "all calls", "last call"])


def run_times(runs: list[FinishedRun]) -> pd.DataFrame:
    """Summarise finished runs by database, method and λ: how many, epochs, seconds, parameters, device, versions."""
    groups: dict[tuple[str, str, str], list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault((run.database, run.method, run.lam), []).append(run)
    rows = []
    for (database, method, lam), own in groups.items():
        seconds = [run.record["time"]["seconds"] for run in own if "time" in run.record]
        versions = sorted({str(run.record["versions"]["torch"]) for run in own if "versions" in run.record})
        rows.append(
            {
                "database": DATABASE_TITLES.get(database, database),
                "method": method,
                "λ": lam,
                "runs": len(own),
                "folds": _listed(sorted({run.fold for run in own})),
                "seeds": _listed(sorted({run.seed for run in own})),
                "epochs": _listed(sorted({int(run.record["epochs"]) for run in own})),
                "one run": duration(sum(seconds) / len(seconds) if seconds else None),
                "all runs": duration(sum(seconds) if seconds else None),
                "parameters": "–" if own[0].imported else f"{int(own[0].record['parameters']):,}",
                "trained on": own[0].record["identity"].get("device", "elsewhere" if own[0].imported else "–"),
                "torch": ", ".join(versions) or "–",
            }
        )
    return pd.DataFrame(rows)


def duration(seconds: float | None) -> str:
    """Print a duration in seconds, minutes or hours; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _listed(values: list[int]) -> str:
    """Numbers as text, runs of them as a range: ``0–9``, ``0, 2``."""
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]}–{values[-1]}"
    return ", ".join(map(str, values))
