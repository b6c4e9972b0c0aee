"""Kill every stage of a tiny study at random moments (kill -9), start it again, and compare with an undisturbed run.

``python tools/faults.py --kills 30`` renders, crops, trains and executes the notebooks once undisturbed, by commands of
``gndl``. Then each stage is started again and again from what was there before it, killed at a moment drawn over its
whole length (all of its processes, or the main one alone), and started once more. A kill is survived if the second call
ends well, every file has the bytes of the undisturbed run (except for times and the commit) and nothing half-written is
left. The campaign ends if the package's code changes meanwhile. One line a kill goes to ``record/faults.csv``; the exit
status is 1 if a kill was not survived, or fewer were made than asked for.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import tyro

import gndl
from gndl.files import hash_file, hash_json, resolve, write_csv

STAGES = ("render", "crops", "runs", "notebooks")
NOT_COMPARED = ("time", "seconds", "written", "git")
"""Keys of study.json and run.json that say when and how long; and the commit, another of which changes no code."""


@dataclass(frozen=True)
class Options:
    """Kill -9 at random moments; nothing may be lost."""

    kills: int = 30
    """Kills that must reach a running stage, dealt over the stages."""
    out: Path = Path("runs/faults")
    """Folder of the tiny study, which is made anew."""
    table: Path = Path("record/faults.csv")
    """Where the kills are listed."""
    seed: int = 0
    """Seed of the moments."""
    only: tuple[str, ...] = STAGES
    """Stages that are killed."""


def command(stage: str, work: Path) -> list[str]:
    """The ``gndl`` command of one stage of the tiny study in ``work``."""
    options = ["--profile", "smoke", "--databases", "ckplus", "--jobs", "2"]
    if stage == "render":
        return ["render", *options, "--out", str(work / "trees")]
    options += ["--data", str(work / "trees"), "--out", str(work / "study"), "--device", "cpu"]
    options += ["--only-folds", "0", "1", "--epochs", "12", "--checkpoint-every", "5"]
    return ["study", "--only", stage, *options]


def start(stage: str, work: Path) -> subprocess.Popen[bytes]:
    """Start a stage in a session of its own; its output goes to ``STAGE.log``."""
    environment = {**os.environ, "GNDL_DATA": str(work / "data"), "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "gndl.cli", *command(stage, work)]
    with (work.parent / f"{stage}.log").open("ab") as log:
        return subprocess.Popen(call, stdout=log, stderr=log, env=environment, start_new_session=True)


def run_whole(stage: str, work: Path, patience: float = 3600) -> tuple[int, float]:
    """Run a stage to its end, or at most ``patience`` seconds; return exit status and seconds."""
    started = time.monotonic()
    process = start(stage, work)
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired:
        end_all(process.pid)
        status = process.wait()
    return status, time.monotonic() - started


def members(session: int) -> list[psutil.Process]:
    """The living processes of a session."""
    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_all(session: int) -> None:
    """Kill what is left of a session."""
    for process in members(session):
        with suppress(psutil.Error):
            process.kill()


def code() -> str:
    """Hash of the package's code as it is now."""
    return hash_json([hash_file(path) for path in sorted(Path(gndl.__file__).parent.rglob("*.py"))])


def snapshot(work: Path) -> dict[str, Any]:
    """Every file below ``work`` but locks, which may stay: the system releases them."""
    files = (path for path in sorted(work.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(work).as_posix(): content(path) for path in files}


def content(path: Path) -> Any:
    """What a file holds, without times and the commit; of a notebook, which prints times, code and kinds of outputs."""
    if path.name in ("study.json", "run.json"):
        held = json.loads(path.read_text(encoding="utf-8"))
        return {key: value for key, value in held.items() if key not in NOT_COMPARED}
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        kinds = [[each["output_type"] for each in cell.get("outputs", []) if "name" not in each] for cell in cells]
        return [[cell["source"], kind] for cell, kind in zip(cells, kinds, strict=True)]
    if path.name == "source-hashes.json":  # holds times of files
        return None
    return path.read_bytes()


def difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """The first differences in words, "" for none."""
    missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    other = [name for name in sorted(expected.keys() & found.keys()) if expected[name] != found[name]]
    named = [(missing, "missing"), (more, "left over"), (other, "different")]
    return "; ".join(f"{what}: {', '.join(names[:3])} ({len(names)})" for names, what in named if names)


def restore(kept: Path, work: Path) -> None:
    """Make ``work`` a copy of ``kept``."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(kept, work, symlinks=True)


def try_kill(
    stage: str, number: int, work: Path, before: Path, expected: dict[str, Any], length: float, chance: random.Random
) -> dict[str, Any] | None:
    """Start, kill, start again, compare; None if the stage had ended before the kill.

    Returns one row of the table; ``went_on`` counts processes that outlived their main one.
    """
    restore(before, work)
    moment, whole_group = chance.uniform(0, length), chance.random() < 0.5
    process = start(stage, work)
    try:
        process.wait(moment)
        return None
    except subprocess.TimeoutExpired:
        pass
    if whole_group:
        end_all(process.pid)
    else:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    went_on = len(members(process.pid))
    status, seconds = run_whole(stage, work, patience=20 * length + 600)
    end_all(process.pid)
    wrong = f"exit status {status}" if status else difference(expected, snapshot(work))
    return {
        "stage": stage,
        "number": number,
        "after_seconds": round(moment, 2),
        "whole_length": round(length, 2),
        "killed": "all processes" if whole_group else "the main process",
        "survived": not wrong,
        "what": wrong,
        "recovery_seconds": round(seconds, 2),
        "went_on": went_on,
    }


def campaign(options: Options) -> int:
    """Run the whole campaign, one row a kill, written after each; return the exit status."""
    out, table, chance = resolve(options.out), resolve(options.table), random.Random(options.seed)
    shutil.rmtree(out, ignore_errors=True)
    work, before, after = out / "work", out / "before", out / "after"
    work.mkdir(parents=True)
    code_before, kills = code(), list[dict[str, Any]]()
    stages = [stage for stage in STAGES if stage in options.only]
    shares = {stage: len(range(number, options.kills, len(stages))) for number, stage in enumerate(stages)}
    for stage in STAGES[: STAGES.index(stages[-1]) + 1]:
        restore(work, before)
        status, length = run_whole(stage, work)
        if status:
            raise SystemExit(f"{stage} failed undisturbed; see {out / f'{stage}.log'}")
        expected, done, tried = snapshot(work), 0, 0
        restore(work, after)
        print(f"{stage}: {length:.0f} s undisturbed, {len(expected)} files, {shares.get(stage, 0)} kills", flush=True)
        while done < shares.get(stage, 0) and tried < 4 * shares[stage] + 4:
            tried += 1
            kill = try_kill(stage, done, work, before, expected, length, chance)
            if code() != code_before:
                raise SystemExit("the code of gndl changed during the campaign, so files cannot be compared")
            if kill is None:
                continue
            done += 1
            kills.append(kill)
            write_csv(pd.DataFrame(kills), table)
            state = "survived" if kill["survived"] else f"NOT SURVIVED: {kill['what']}"
            print(f"  killed {kill['killed']} after {kill['after_seconds']} s: {state}", flush=True)
        restore(after, work)
    for folder in (work, before, after):
        shutil.rmtree(folder, ignore_errors=True)
    survived = sum(kill["survived"] for kill in kills)
    print(f"Kills survived: {survived} of {options.kills} asked for; {table}")
    return int(survived < options.kills)


if __name__ == "__main__":
    sys.exit(campaign(tyro.cli(Options, description=__doc__)))
