"""Give the readers what nobody would write, for as long as asked: each answers, or refuses in words; nothing else.

``make fuzz`` (``python campaigns/fuzz.py --minutes 10``) lets hypothesis build and damage the files of every kind that
comes from outside. A finding is any exception but `GndlError`, a process that dies or that does not answer. The
smallest example of each is kept below ``--out``, for a test; ``fuzz.csv`` has one line per target; exit status 1 where
there was a finding.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import pandas as pd
import tyro
from damaging import write
from fuzz_targets import ACCEPTED, TARGETS
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

CHUNK = 50
"""Examples that one process tries."""
PATIENCE = 120.0
"""Seconds after which a process of one chunk is taken to hang."""


@dataclass(frozen=True)
class Options:
    """Fuzz the readers of everything that comes from outside."""

    minutes: float = 10.0
    """In all, shared evenly by the targets."""
    out: Path = Path("runs/fuzz")
    """Folder for fuzz.csv and the findings."""
    only: tuple[str, ...] = ()
    """Targets to fuzz; all by default."""
    seed: int = 0
    """Other seeds try other examples."""


def try_examples(name: str, number: int, count: int) -> tuple[int, int, str]:
    """Try ``count`` examples of a target: (tried, refused in words, the smallest finding's traceback or "")."""
    tried = refused = 0

    @seed(number)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    @given(st.data())
    def one(data: st.DataObject) -> None:
        nonlocal tried, refused
        tried += 1
        with tempfile.TemporaryDirectory(prefix="gndl-fuzz-") as folder:
            try:
                TARGETS[name](data.draw, Path(folder))
            except ACCEPTED:
                refused += 1
            except Exception:
                shutil.rmtree(_example(name), ignore_errors=True)
                shutil.copytree(folder, _example(name), symlinks=True)
                raise

    try:
        one()
    except BaseException:
        return tried, refused, traceback.format_exc()
    return tried, refused, ""


def _example(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"gndl-fuzz-finding-{name}"


def _chunk(name: str, number: int, queue: Any) -> None:
    queue.put(try_examples(name, number, CHUNK))


def fuzz(name: str, seconds: float, number: int, out: Path) -> dict[str, Any]:
    """Fuzz one target for a while, chunk by chunk in processes of their own, which may die or hang."""
    row = {"target": name, "examples": 0, "refused": 0, "findings": 0, "seconds": 0.0}
    started = time.monotonic()
    context = multiprocessing.get_context("fork")
    while time.monotonic() - started < seconds:
        queue = context.Queue()
        process = context.Process(target=_chunk, args=(name, number, queue))
        process.start()
        try:
            tried, refused, said = _answer(process, queue)
        finally:
            process.kill()
            process.join()
        row["examples"] += tried
        row["refused"] += refused
        if said:
            row["findings"] += 1
            kept = out / f"{name}-{number}"
            shutil.rmtree(kept, ignore_errors=True)
            if _example(name).exists():
                shutil.move(_example(name), kept)
            write(out / f"{name}-{number}.txt", said)
            print(f"{name}: {said.strip().splitlines()[-1]} (seed {number}, {kept})", flush=True)
        number += 1
    row["seconds"] = round(time.monotonic() - started, 1)
    return row


def _answer(process: Any, queue: Any) -> tuple[int, int, str]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            return queue.get(timeout=0.5)
        except Empty:
            if not process.is_alive():
                with suppress(Empty):  # it may have answered and ended in between
                    return queue.get(timeout=1)
                return 0, 0, f"the process died with exit status {process.exitcode}"
    return 0, 0, f"no answer within {PATIENCE:.0f} s"


def main(options: Options) -> int:
    """Fuzz every target, write fuzz.csv, and return the exit status."""
    names = options.only or tuple(TARGETS)
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in names:
        rows.append(fuzz(name, 60 * options.minutes / len(names), 1_000_000 * options.seed, out))
        pd.DataFrame(rows).to_csv(out / "fuzz.csv", index=False)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    print(f"{int(table['findings'].sum())} findings in {table['seconds'].sum() / 60:.1f} minutes; {out / 'fuzz.csv'}")
    return int(table["findings"].sum() > 0)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
