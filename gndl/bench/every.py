"""All benchmarks by name, and one call that measures some of them and keeps what they say."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from gndl.bench.asked import Asked
from gndl.bench.record import about, folder_name, write_index, write_result
from gndl.bench.repeats import NotMeasured, Result
from gndl.errors import GndlError
from gndl.paths import resolve
from gndl.sweeping.estimate import duration

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


def without_folders(text: str) -> str:
    """Shorten absolute paths in a text: relative to the repository where it lies inside, else its last part alone."""
    return re.sub(r"(?<![\w.…])/(?:[^\s/:;,()]+/)+(?=[^\s/:;,()])", "", text.replace(f"{resolve('.')}/", ""))


def measure_some(names: Sequence[str], asked: Asked, out: Path, say: Callable[[str], None] = print) -> int:
    """Measure benchmarks, by default all but the `LONG` ones, and write them into a folder of ``out``.

    Each is written as soon as it is measured, and the folder's README.md with it, so that a call that is stopped keeps
    what it finished; one that fails is named there and stops no other.

    Returns
    -------
    int
        1 where one failed, or one that was named could not be measured, else 0.

    Raises
    ------
    GndlError
        Where a name is none.
    """
    for name in names:
        if name not in MODULES:
            raise GndlError(f"There is no benchmark {name!r}; choose among {', '.join(MODULES)}.")
    here = about(asked.device)
    folder = out / folder_name(here)
    measured: list[str] = []
    left_out: dict[str, str] = {}
    failed = False
    started_all = time.monotonic()
    for name in names or [name for name in MODULES if name not in LONG]:
        say(f"{name} ...")
        started = time.monotonic()
        try:
            measure: Callable[[Asked], Result] = import_module(f"gndl.bench.{MODULES[name]}").measure
            result = measure(asked)
        except NotMeasured as reason:
            left_out[name] = without_folders(str(reason))
            say(f"  not measured: {reason}")
        except Exception as error:  # whatever one of them runs into, the others are measured
            failed = True
            left_out[name] = f"It failed after {duration(time.monotonic() - started)} ({type(error).__name__})."
            if not isinstance(error, GndlError):
                say("".join(traceback.format_exception(error)))
            say(f"  FAILED: {error}")
        else:
            seconds = time.monotonic() - started
            path = write_result(result, folder, here, seconds)
            measured.append(name)
            say(result.table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
            for note in result.notes:
                say(f"  {note}")
            say(f"  {path} (took {duration(seconds)})")
        folder.mkdir(parents=True, exist_ok=True)
        index = write_index(folder, here, measured, left_out)
    say(f"Benchmarks: {index} (in all {duration(time.monotonic() - started_all)})")
    return 1 if failed or (names and left_out) else 0
