"""Cost of two checkouts of this repository, in turns in one run: an optimiser step, one crop, one rendered frame.

``python benchmarks/step_versus.py OLD NEW`` starts each checkout in its own ``.venv`` (or ``--python-old``,
``--python-new``) and lets them take turns, so that what else the machine does falls on both. It prints CPU seconds on
one thread, and the ratio of NEW to OLD within each repeat: below 1, NEW is cheaper. Both render the same face with
seed 0, and both crop the picture that OLD renders. OLD may be version 1, whose renderer was `gndl.standins`.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SIZES = {"pixels": 64, "batch": 16, "steps": 4, "side": 320, "crops": 3}
TINY = {"pixels": 32, "batch": 4, "steps": 1, "side": 320, "crops": 1}


def step(pixels: int, batch: int, steps: int, **_: Any) -> tuple[Callable[[], object], int]:
    """GNDL's optimiser steps on noise in fp32, and how many; the same code runs in both checkouts."""
    import numpy as np
    import torch

    from gndl.device import computing_on
    from gndl.methods import method_settings
    from gndl.pairs import FacePairs
    from gndl.profiles import TrainSettings
    from gndl.trainer import Trainer

    count, cpu = batch * steps, torch.device("cpu")
    images = np.random.default_rng(0).integers(0, 256, (2 * count, pixels, pixels), dtype=np.uint8)
    index, names = np.arange(count), [str(number) for number in range(count)]
    pairs = FacePairs(images, index, count + index, index % 7, names, names, names, tuple("abcdefg"))
    settings = TrainSettings(image_size=pixels, batch_size=batch)
    trainer = Trainer(method_settings("gndl"), pairs, index, index, settings, lam=5.0, seed=0, device=cpu, weights=None)
    epoch = (1,) if inspect.signature(trainer.optimise).parameters else ()  # version 1 took none

    def optimise() -> None:
        with computing_on(cpu, "fp32", 1, 0):
            trainer.optimise(*epoch)

    return optimise, steps


def frame(side: int, picture: str, **_: Any) -> tuple[Callable[[], object], int]:
    """One rendered frame of a face that exists already; OLD keeps the picture for the crops."""
    import numpy as np

    package = "standins" if find_spec("standins") else "gndl.standins"  # of version 1
    faces, head, identity = (import_module(f"{package}.{name}") for name in ("faces", "head", "identity"))
    face = faces.Face(identity.draw_identity(head.load_head(), np.random.default_rng(0)))

    def render() -> Any:
        return faces.render_training_face(np.random.default_rng(1), side, face)[0]

    if not Path(picture).exists():
        np.save(picture, render())
    return render, 1


def crop(picture: str, crops: int, **_: Any) -> tuple[Callable[[], object], int]:
    """Detect, find the eyes and cut, several times."""
    import numpy as np

    from gndl.eyes import find_eyes
    from gndl.profiles import CropSettings

    align = import_module("gndl.align" if find_spec("gndl.align") else "gndl.eyes")  # the first in version 1
    grey, settings = np.load(picture).mean(axis=2).astype(np.uint8), CropSettings()

    def crop_again() -> None:
        for _ in range(crops):
            found = find_eyes(grey)
            assert found is not None, "no face found in the rendered frame"
            align.cut(grey, align.geometry_from_eyes(found.eyes, settings))

    return crop_again, crops


KINDS: dict[str, Callable[..., tuple[Callable[[], object], int]]] = {"frame": frame, "step": step, "crop": crop}


def work(sizes: dict[str, Any]) -> None:
    """In a checkout's own process: for every kind read, answer with the CPU seconds of one unit."""
    prepared = cache(lambda kind: KINDS[kind](**sizes))
    for line in sys.stdin:
        do, units = prepared(line.strip())
        started = time.process_time()
        do()
        print(f"CPU {(time.process_time() - started) / units!r}", flush=True)


def checkout(folder: Path, python: Path, sizes: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a checkout's process, in whose folder the checkout's own packages come first."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [str(python), str(Path(__file__).resolve()), "--work", json.dumps(sizes)]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ask(process: subprocess.Popen[str], kind: str) -> float:
    """CPU seconds of one unit in a checkout's process; lines that libraries print are passed over."""
    assert process.stdin is not None and process.stdout is not None
    print(kind, file=process.stdin, flush=True)
    for line in process.stdout:
        if line.startswith("CPU "):
            return float(line.removeprefix("CPU "))
    raise SystemExit(f"{process.args!r} ended while measuring {kind}")


def main() -> None:
    """Let the two checkouts take turns."""
    from measuring import interleaved, options, show, spread

    parser = options(__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    for option in ("--python-old", "--python-new"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gndl-versus-") as folder:
        sizes = {**(TINY if asked.tiny else SIZES), "picture": str(Path(folder) / "frame.npy")}
        processes = {
            name: checkout(root.resolve(), python or root.resolve() / ".venv/bin/python", sizes)
            for name, root, python in (("OLD", asked.old, asked.python_old), ("NEW", asked.new, asked.python_new))
        }
        try:
            ask(processes["OLD"], "frame")  # the picture to crop
            tables = []
            for kind in asked.kinds:
                turns = {name: partial(ask, process, kind) for name, process in processes.items()}
                repeats = interleaved(turns, 1 if asked.tiny else asked.repeats)
                tables.append(spread(repeats, "OLD").assign(kind=kind, unit="CPU s"))
            show(tables, asked.out)
        finally:
            for process in processes.values():
                process.kill()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(json.loads(sys.argv[2]))
    else:
        main()
