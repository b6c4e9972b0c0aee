"""Kill every stage of a tiny study at random moments (kill -9), start it again, and compare with an undisturbed run.

``make faults`` (``python campaigns/faults.py --kills 30``) renders, crops, trains, executes a notebook and reports once
undisturbed. Then each stage is started again and again from what lay there before it, killed at a moment drawn over its
whole length, all of its processes or its main one alone, and called once more. Survived is a kill after which the same
call ends well, every file has the bytes of the undisturbed run (but for noted times) and nothing half-written is left.
One line of ``faults.csv`` for each kill; exit status 1 where one was not survived or fewer were tried than asked for.
Where the package's code changes meanwhile, the campaign ends and says so: other code rightly writes other files.
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import tyro

import gndl
from gndl.files import hash_file, hash_json

STAGES = ("render", "crop", "train", "notebook", "report")
NOTED_TIMES = ("time", "seconds", "seconds_of_last_call", "written")
"""Keys of study.json and run.json that say when and how long."""

NOT_COMPARED = (*NOTED_TIMES, "git")
"""Beside times the commit: another one of the same code, made while the campaign runs, is nothing that was lost."""


@dataclass(frozen=True)
class Options:
    """Kill -9 at random moments; nothing may be lost."""

    kills: int = 30
    """Kills that must reach a running stage, dealt over the stages."""
    out: Path = Path("runs/faults")
    """Folder for faults.csv and the tiny study, which is made anew."""
    seed: int = 0
    """Of the moments."""
    only: tuple[str, ...] = STAGES
    """Stages that are killed."""
    do: str = ""
    """Run this one stage undisturbed in --out, and nothing else (what the campaign itself calls)."""


@dataclass(frozen=True)
class Kill:
    """One kill and what became of it."""

    stage: str
    number: int
    after_seconds: float
    whole_length: float
    killed: str
    survived: bool
    what: str
    recovery_seconds: float
    went_on: int
    """Processes that outlived their main one; the second call shares the work with them."""


# The stages, each in a process of its own


def do(stage: str, work: Path) -> int:
    """Run one stage of the tiny study in ``work``."""
    from gndl import cli
    from gndl.execute import Task, execute_missing, inputs_of, notebook_sources
    from gndl.profiles import StandInSize
    from gndl.standins import render_database

    trees, study = work / "trees", work / "study"
    asked: dict[str, Any] = {
        "profile": "quick",  # which keeps a checkpoint of the tenth epoch
        "only_folds": ("0", "1"),
        "databases": ("ckplus",),
        "data": str(trees),
        "out": str(study),
        "jobs": 2,
        "epochs": 12,
    }
    if stage == "render":
        size = StandInSize(subjects=6, sequences=16, labelled=14, frames=(6, 7))
        render_database("ckplus", trees / "ckplus", size=size, jobs=2)
        return 0
    if stage == "crop":
        return cli.run(cli.Prepare(**asked))
    if stage == "train":
        return cli.run(cli.Train(**asked))
    if stage == "report":
        return cli.run(cli.Report(run=str(study)))
    parameters = {"database": "ckplus", "data_root": str(trees / "ckplus"), "profile": "quick", "out": str(study)}
    tasks = [
        Task(source, study / "ckplus/notebooks", parameters, lambda: inputs_of(study, "ckplus"))
        for source in notebook_sources("1")
    ]
    return int(any(done.error for done in execute_missing(tasks, 1)))


def start(stage: str, work: Path) -> subprocess.Popen[bytes]:
    """Start a stage as a process group of its own; what it says goes to ``STAGE.log``."""
    environment = {**os.environ, "GNDL_DATA": str(work / "data"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--do", stage, "--out", str(work)]
    with (work.parent / f"{stage}.log").open("ab") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )


def run_whole(stage: str, work: Path, patience: float = 3600) -> tuple[int, float]:
    """Run a stage to its end; exit status and seconds. It is ended where it takes longer than ``patience``."""
    started = time.monotonic()
    process = start(stage, work)
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired:
        end_all(process.pid)
        status = process.wait()
    return status, time.monotonic() - started


def members(session: int) -> list[psutil.Process]:
    """The processes of a session that are alive."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, PermissionError):
            continue
    return found


def end_all(session: int) -> None:
    """Kill what is left of a session."""
    for process in members(session):
        try:
            process.kill()
        except psutil.Error:
            continue


# What lies there


def snapshot(work: Path) -> dict[str, Any]:
    """Every file below ``work`` as what it must be again: its bytes, or its content without noted times.

    A lock's file may stay where a process was killed: the system frees the lock itself, and a call that would wait for
    it for ever does not end.
    """
    found: dict[str, Any] = {}
    for path in sorted(work.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            found[path.relative_to(work).as_posix()] = content(path)
    return found


def content(path: Path) -> Any:
    """What a file says, but for when, how long and at which commit."""
    if path.name in ("study.json", "run.json"):
        said = json.loads(path.read_text(encoding="utf-8"))
        return {key: value for key, value in said.items() if key not in NOT_COMPARED}
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [[cell["source"], [without_times(output) for output in cell.get("outputs", [])]] for cell in cells]
    if path.name == "source-hashes.json":  # holds times of files
        return None
    return path.read_bytes()


def code() -> str:
    """Hash of the code of the package, as it lies there now."""
    files = sorted(Path(gndl.__file__).parent.rglob("*.py"))
    return hash_json([hash_file(path) for path in files])


def without_times(output: dict[str, Any]) -> dict[str, Any] | None:
    """One output of a cell; progress bars, which show times, are left out."""
    return None if output.get("name") == "stderr" or "widget-view+json" in str(output.get("data")) else output


def difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """The first differences in words; "" where there is none."""
    missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    other = [name for name in sorted(expected.keys() & found.keys()) if expected[name] != found[name]]
    said = [(missing, "missing"), (more, "left over"), (other, "different")]
    return "; ".join(f"{what}: {', '.join(names[:3])} ({len(names)})" for names, what in said if names)


# The campaign


def try_kill(
    stage: str, number: int, work: Path, before: Path, expected: dict[str, Any], length: float, chance: random.Random
) -> Kill | None:
    """Start, kill, start again, compare; None where the stage had ended before the kill."""
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
    killed = "all processes" if whole_group else "the main process"
    times = round(moment, 2), round(length, 2), round(seconds, 2)
    return Kill(stage, number, times[0], times[1], killed, not wrong, wrong, times[2], went_on)


def restore(kept: Path, work: Path) -> None:
    """Put what lay there before a stage back in its place."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(kept, work, symlinks=True)


def campaign(options: Options) -> pd.DataFrame:
    """Run the whole campaign; one row a kill, also written to ``faults.csv`` after each."""
    out, chance = options.out.resolve(), random.Random(options.seed)
    shutil.rmtree(out, ignore_errors=True)
    work, before = out / "work", out / "before"
    work.mkdir(parents=True)
    code_before = code()
    kills: list[Kill] = []
    stages = [stage for stage in STAGES if stage in options.only]
    shares = {stage: len(range(number, options.kills, len(stages))) for number, stage in enumerate(stages)}
    for stage in STAGES:
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(work, before, symlinks=True)
        status, length = run_whole(stage, work)
        if status:
            raise SystemExit(f"faults: {stage} failed undisturbed; see {out / f'{stage}.log'}")
        expected, done, tried = snapshot(work), 0, 0
        print(f"{stage}: {length:.0f} s undisturbed, {len(expected)} files, {shares.get(stage, 0)} kills", flush=True)
        shutil.rmtree(out / "after", ignore_errors=True)
        shutil.copytree(work, out / "after", symlinks=True)
        while done < shares.get(stage, 0) and tried < 4 * shares[stage] + 4:
            tried += 1
            kill = try_kill(stage, done, work, before, expected, length, chance)
            if code() != code_before:
                raise SystemExit(
                    "faults: the code of gndl was changed while the campaign ran, so its files cannot be compared; "
                    "start it again and leave the code alone"
                )
            if kill is None:
                continue
            done += 1
            kills.append(kill)
            pd.DataFrame([asdict(each) for each in kills]).to_csv(out / "faults.csv", index=False)
            state = "survived" if kill.survived else f"NOT SURVIVED: {kill.what}"
            print(f"  killed {kill.killed} after {kill.after_seconds} s: {state}", flush=True)
        restore(out / "after", work)
        if stages and stage == stages[-1]:
            break
    for folder in (work, before, out / "after"):
        shutil.rmtree(folder, ignore_errors=True)
    return pd.DataFrame([asdict(kill) for kill in kills])


def main(options: Options) -> int:
    """Run the campaign, say how many kills were survived, and return the exit status."""
    if options.do:
        return do(options.do, options.out.resolve())
    table = campaign(options)
    survived = int(table["survived"].sum()) if len(table) else 0
    print(f"Kills survived: {survived} of {len(table)} tried ({options.kills} asked for); {options.out / 'faults.csv'}")
    return int(survived < options.kills)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
