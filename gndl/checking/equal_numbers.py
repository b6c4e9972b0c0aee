"""Show that the code of today gives the bytes that a finished run has, although it was changed since.

``python -m gndl.checking.equal_numbers record/standard/ckplus/gndl/lam-5/fold-0/seed-0`` trains that run again, on the
same kind of processor, and compares ``epochs.csv``, ``predictions.csv`` and, where they are kept, the weights byte by
byte. Only where all agree are both versions noted as equal (``gndl/assets/equal_numbers.json``), so that runs of the
one are reused by the other and never trained anew for a change that changes no number.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from gndl.checkpoint import WEIGHTS, read_record
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.identity import EQUAL_NUMBERS, differences, shared_code_version
from gndl.paths import resolve
from gndl.request import read_study_json
from gndl.runs import fit_run, plan_runs
from gndl.study import open_study

COMPARED = ("epochs.csv", "predictions.csv", WEIGHTS)


def retrain(folder: Path, into: Path) -> Path:
    """Train the finished run in ``folder`` again, into ``into``; return the new run's folder.

    Raises
    ------
    GndlError
        Where there is no such run, or it was asked for in another way than its study would ask today.
    """
    record = read_record(folder)
    if record is None:
        raise GndlError(f"{folder}: holds no finished run.")
    out, database = folder.parents[4], folder.parents[3].name
    asked = read_study_json(out)
    study = open_study(
        database,
        data_root=asked["asked"]["data_roots"][database],
        profile=asked["profile"],
        out=out,
        device=record["identity"]["device"],
        seed=record["seed"],
    )
    lams = None if record["lam"] is None else [record["lam"]]
    runs = plan_runs(study, [record["method"]["name"]], lams, [record["fold"]], [record["seed"]])
    again = fit_run(study, dataclasses.replace(runs[0], folder=into))
    was, now = (
        {key: value for key, value in one["identity"].items() if key != "code"} for one in (record, again.record)
    )
    named = differences(was, now)
    if named:
        raise GndlError(f"{folder}: was trained on or with something else ({'; '.join(named)}).")
    return again.folder


def note_equal(folder: Path, again: Path, file: Path = EQUAL_NUMBERS) -> tuple[str, str]:
    """Note that the code of both runs gives the same numbers; return the two versions.

    Raises
    ------
    GndlError
        Naming the first file that differs; nothing is noted then.
    """
    for name in COMPARED:
        if name == WEIGHTS and not (folder / name).exists():
            continue
        if (folder / name).read_bytes() != (again / name).read_bytes():
            raise GndlError(f"{folder / name}: today's code gives other bytes; nothing was noted.")
    records = [read_record(folder), read_record(again)]
    versions = [shared_code_version(record["identity"]["code"]) for record in records if record is not None]
    was, now = versions
    if was != now:
        content = json.loads(file.read_text(encoding="utf-8"))
        groups: list[list[str]] = content["versions"]
        known = next((group for group in groups if was in group), None)
        if known is None:
            groups.append([was, now])
        else:
            known.append(now)
        write_json(file, content)
    return was, now


def main() -> None:
    """Train the run named on the command line again, compare and note."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m gndl.checking.equal_numbers STUDY/DATABASE/METHOD/lam-L/fold-K/seed-S")
    folder = resolve(sys.argv[1])
    try:
        with tempfile.TemporaryDirectory() as aside:
            was, now = note_equal(folder, retrain(folder, Path(aside) / "seed"))
    except GndlError as error:
        sys.exit(f"gndl: {error}")
    same = "the code is the same" if was == now else f"noted in {EQUAL_NUMBERS.name}: {was[:12]} and {now[:12]}"
    print(f"{folder}: equal, byte by byte; {same}")


if __name__ == "__main__":
    main()
