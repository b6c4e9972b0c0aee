"""All benchmarks by name, and one call that measures some of them and keeps what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from gndl.bench.asked import Asked
from gndl.bench.record import about, folder_name, write_index, write_result
from gndl.bench.repeats import NotMeasured, Result
from gndl.errors import GndlError

MODULES = {
    "throughput": "throughput",
    "usual_way": "usual_way",
    "faster": "faster",
    "gap": "gap",
    "gpu": "gpu",
    "preparation": "preparation",
    "latency": "latency",
    "growth": "growth",
    "notebooks": "notebook_times",
    "accuracy": "accuracy",
}
"""Benchmark to its module; each has one function ``measure``."""

LONG = ("accuracy",)
"""Benchmarks that train for hours, and are measured only where they are named."""


def measure_some(names: Sequence[str], asked: Asked, out: Path, say: Callable[[str], None] = print) -> int:
    """Measure benchmarks, by default all but the `LONG` ones, and write them into a folder of ``out``.

    Returns
    -------
    int
        1 where one that was named could not be measured, else 0. What could not is named in the folder's README.md.

    Raises
    ------
    GndlError
        Where a name is none.
    """
    for name in names:
        if name not in MODULES:
            raise GndlError(f"There is no benchmark {name!r}; choose among {', '.join(MODULES)}.")
    here = about()
    folder = out / folder_name(here)
    measured, left_out = [], {}
    for name in names or [name for name in MODULES if name not in LONG]:
        say(f"{name} ...")
        measure: Callable[[Asked], Result] = import_module(f"gndl.bench.{MODULES[name]}").measure
        try:
            result = measure(asked)
        except NotMeasured as reason:
            left_out[name] = str(reason)
            say(f"  not measured: {reason}")
            continue
        path = write_result(result, folder, here)
        measured.append(name)
        say(result.table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
        for note in result.notes:
            say(f"  {note}")
        say(f"  {path}")
    if measured or left_out:
        folder.mkdir(parents=True, exist_ok=True)
        say(f"Benchmarks: {write_index(folder, here, measured, left_out)}")
    return 1 if names and left_out else 0
