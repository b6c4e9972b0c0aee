"""``gndl bench`` and ``gndl export``: measure what things cost, and give a trained run to other programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Bench:
    """Measure throughput, latency, memory and more, each beside something measured in the same run."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """throughput, usual_way, faster, gap, gpu, preparation, latency, growth, notebooks: all by default; accuracy."""
    repeats: int = 5
    """Turns of every way."""
    device: Literal["cpu", "cuda"] = "cpu"
    """cpu or cuda."""
    image_sizes: tuple[int, ...] = (64, 112, 224)
    """Sides of the crops that are trained on, in pixels."""
    batch_size: int = 16
    """Pairs in a batch."""
    cores: int = 0
    """Cores that the comparison with the usual way may use; 0 for all."""
    profile: str = "quick"
    """Whose stand-ins are prepared, and whose training and folds `accuracy` takes."""
    data: str = ""
    """Folder of licensed copies in place of the stand-ins."""
    databases: tuple[str, ...] = ("ckplus", "oulu_casia", "mmi")
    """Databases that are prepared; `latency` and `accuracy` take the first."""
    study: str = "runs/quick"
    """A finished study, for `notebooks`; `accuracy` reads the runs that it holds, and does not train them again."""
    run: str = ""
    """A finished run with weights, for `latency`; GNDL before training by default, which costs the same."""
    folds: int = 10
    """Folds of `accuracy` at most."""
    epochs: int = 0
    """Epochs of `accuracy`; the profile's by default."""
    ways: tuple[str, ...] = ()
    """Ways of `accuracy` and `faster`, such as bf16 "bf16, by sequence"; all by default."""
    jobs: int = 1
    """Trainings of `accuracy` at once."""
    out: str = "benchmarks"
    """Folder for DATE-COMMIT-MACHINE."""
    tiny: bool = False
    """Smallest sizes, to see that everything runs; the numbers mean nothing."""


@dataclass(frozen=True)
class Export:
    """Write a trained run for other programs: safetensors, ONNX (checked against PyTorch) and a model card."""

    run: Annotated[str, tyro.conf.Positional]
    """Folder of a run, such as runs/quick/ckplus/gndl/lam-5/fold-0/seed-0."""
    out: str = ""
    """Folder to write to; one in `exports` beside the study by default."""


def bench(options: Bench) -> int:
    """Measure, print and keep; 1 where a benchmark that was named could not be measured."""
    from joblib import cpu_count

    from gndl.bench.asked import GPU_SIZES, TINY, Asked
    from gndl.bench.every import measure_some
    from gndl.errors import GndlError
    from gndl.paths import resolve

    if options.repeats < 1 or options.batch_size < 3:
        raise GndlError("--repeats takes a number of at least 1, --batch-size one of at least 3.")
    cores = options.cores or cpu_count()
    settings: dict[str, object] = {
        "device": options.device,
        "repeats": options.repeats,
        "image_sizes": options.image_sizes,
        "batch_size": options.batch_size,
        "cores": cores,
        "workers": tuple(range(cores + 1)) if cores < 5 else (0, 1, 2, cores // 2, cores),
        "profile": options.profile,
        "data": options.data,
        "databases": tuple(word for value in options.databases for word in value.replace(",", " ").split()),
        "study": options.study,
        "run": options.run,
        "folds": options.folds,
        "epochs": options.epochs,
        "ways": options.ways,
        "jobs": options.jobs,
    }
    if options.device == "cuda":
        settings |= GPU_SIZES
    if options.tiny:
        settings |= TINY
    return measure_some(options.names, Asked(**settings), resolve(options.out))  # type: ignore[arg-type]


def export(options: Export) -> int:
    """Export one run and say where it lies, and whose faces it was trained on."""
    from gndl.paths import resolve
    from gndl.sharing.export import CARD, export_run
    from gndl.sharing.export_card import warning_line

    run = resolve(options.run)
    done = export_run(run, resolve(options.out) if options.out else None)
    print(f"written: {done.folder} (ONNX Runtime and PyTorch differ by {done.difference:.1g} at most)")
    print(f"model card: {done.folder / CARD}")
    print(warning_line(done.source, run.parents[3].name).replace("**", ""))
    return 0
