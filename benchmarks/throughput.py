"""Cost of a training step: GNDL as the study trains it, versus the bare network (its limit) and versus fp32.

``python benchmarks/throughput.py`` prints images a second (two a pair) on one thread.
"""

from __future__ import annotations

from collections.abc import Callable

from measuring import CPU, Limit, Training, interleaved, options, seconds, show, spread

from gndl.device import has_fast_bf16
from gndl.profiles import Precision, TrainSettings


def rate(training: Training) -> Callable[[], float]:
    """A turn that returns images a second."""
    turn = seconds(training.steps)
    return lambda: training.images / turn()


def main() -> None:
    """Measure each size in each precision that the processor has instructions for."""
    parser = options(__doc__)
    parser.add_argument("--pixels", type=int, nargs="+", default=[64, 112, 224])
    parser.add_argument("--compiled", action="store_true", help="torch.compile too, which takes a minute to start")
    asked = parser.parse_args()
    repeats, sizes, batch_size = (1, [32], 4) if asked.tiny else (asked.repeats, asked.pixels, 16)
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if has_fast_bf16(CPU) else ("fp32",)
    tables = []
    for size in sizes:
        batches = 1 if asked.tiny else max(1, 256 // size)  # about as long at every size
        settings = TrainSettings(image_size=size, batch_size=batch_size)
        trainings: dict[str, Training] = {}
        for precision in precisions:
            trainings[precision] = training = Training(settings, batches, precision=precision)
            limits = {"gndl": rate(training), "bare network": rate(Limit(settings, batches, precision=precision))}
            table = spread(interleaved(limits, repeats), "bare network")
            tables.append(table.assign(pixels=size, precision=precision, question="limit"))
            name = f"{precision}, by sequence"
            trainings[name] = Training(settings, batches, precision=precision, method="gndl-by-sequence")
            if asked.compiled:
                trainings[f"{precision}, compiled"] = Training(settings, batches, precision=precision, compiled=True)
        table = spread(interleaved({name: rate(one) for name, one in trainings.items()}, repeats), "fp32")
        tables.append(table.assign(pixels=size, question="precision"))
    show(tables, asked.out)


if __name__ == "__main__":
    main()
