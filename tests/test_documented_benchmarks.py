"""Numbers of benchmarks that benchmarks/README.md states are those of the CSV files in the folders that it links."""

import re
from pathlib import Path

import pandas as pd

from gndl.bench.trainings import ways
from gndl.paths import repository_root

BENCHMARKS = repository_root() / "benchmarks"
TEXT = " ".join((BENCHMARKS / "README.md").read_text(encoding="utf-8").split())
SIZES = (64, 112, 224)


def path_of(name: str) -> Path:
    """A benchmark's table: that of the last linked folder that has it."""
    linked = re.findall(r"\]\((\d{4}-\d\d-\d\d-[0-9a-f]{7}-[a-z0-9.-]+)/", TEXT)
    holding = [folder for folder in linked if (BENCHMARKS / folder / f"{name}.csv").exists()]
    assert holding, f"benchmarks/README.md links no folder with {name}.csv"
    return BENCHMARKS / holding[-1] / f"{name}.csv"


def table(name: str, index: str = "way") -> pd.DataFrame:
    """Read `path_of` a table."""
    return pd.read_csv(path_of(name)).set_index(index)


def ratios(name: str, way: str, reference: str | None = None, **where: str) -> str:
    """The medians of a way at 64, 112 and 224 pixels, as the text gives them; ``{}`` in a reference is the pixels."""
    found = table(name).loc[[way]]
    for column, value in where.items():
        found = found[found[column] == value]
    if reference is not None:
        wanted = found["pixels"].map(reference.format)
        found = found[found["reference"] == wanted]
    return listed([found.set_index("pixels").loc[size, "ratio"] for size in SIZES], 2)


def listed(values: list[float], decimals: int) -> str:
    """Numbers in a row, as the text writes them."""
    *first, last = (f"{value:.{decimals}f}" for value in values)
    return f"{', '.join(first)} and {last}"


def test_training_stands_beside_its_limit_as_measured() -> None:
    """At all six conditions, and what the profile names."""
    fp32, bf16 = (ratios("throughput", "gndl", precision=name) for name in ("fp32", "bf16"))
    assert f"**Training** reaches {fp32} of its limit in fp32, {bf16} in bf16 (goal 0.97)" in TEXT
    step = table("gap")
    operations = table("gap-operations", "operation")
    more = operations[operations["more_low_ms"] > 0].iloc[0]
    share = 100 * more["more_ms"] / step.loc["random tensors in memory", "median"]
    assert f"beyond the noise is `{more.name}`, {share:.1f} % of a step" in TEXT
    assert step.loc["gndl", "ratio_low"] < 1, "a step is not shown to be slower"


def test_training_stands_beside_the_usual_way_as_measured() -> None:
    """Beside both kinds of files; the goal is said to be missed where it is."""
    scaled, kept = (ratios("usual_way", "gndl", f"files of {pixels} pixels") for pixels in ("{}", "224"))
    assert f"it trains {scaled} times as many images a second where the files have the training size" in TEXT
    assert f"and {kept} times where they have 224 pixels" in TEXT
    limit = ratios("usual_way", "random tensors in memory", "files of {} pixels")
    assert f"The bare network has {limit} beside files of the training size" in TEXT
    judged = table("usual_way")["reached"].dropna().tolist()
    assert len(judged) == 2
    assert ("**misses 1.5 at 112 pixels** against both" in TEXT) == (judged == ["no", "no"])


def test_ways_of_training_are_as_fast_as_measured() -> None:
    """Each way at each size, and where bf16 misses its goal."""
    faster = {way: ratios("faster", way) for way in set(table("faster").index)}
    bf16 = table("faster").loc["bf16"].set_index("pixels")["reached"]
    missed = [str(size) for size in SIZES if bf16[size] == "no"]
    goal = f"(goal 1.6, missed at {' and '.join(missed)} pixels)" if missed else "(goal 1.6)"
    assert f"bf16 {faster['bf16']} times fp32 {goal}" in TEXT
    assert f"by sequence {faster['fp32, by sequence']} in fp32, {faster['bf16, by sequence']} in bf16" in TEXT
    assert f"compiled {faster['fp32, compiled']}, and {faster['bf16, compiled']} in bf16" in TEXT
    assert f"contiguous tensors {faster['fp32, contiguous']}" in TEXT
    assert f"Adam that is not fused {faster['fp32, Adam not fused']}" in TEXT


def test_what_faster_ways_do_to_accuracy_is_as_measured() -> None:
    """Every way that was trained, in the order of the table, and what the intervals show."""
    found = table("accuracy")
    points = found[["difference", "low", "high"]].round(2) + 0.0  # no -0.00
    said = ", ".join(
        f"{way} {row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]".replace("-", "−")
        for way, row in points.iterrows()
    )
    assert f"points on ten folds of the CK+ stand-in with 95 % intervals: {said}." in TEXT
    assert set(found["folds"]) == {10}
    assert set(ways("bf16", "inductor")) == {"fp32", *found.index}, "every way that changes numbers was trained"
    before = BENCHMARKS / "2026-11-25-c4360dd-amd-epyc-2-cores" / "accuracy-repeats.csv"
    twice = (
        pd.read_csv(path).set_index(["way", "fold"])["accuracy_last"] for path in (before, path_of("accuracy-repeats"))
    )
    first, again = next(twice).align(next(twice), join="inner")
    differing = first[first != again].index.get_level_values("way").value_counts()
    assert differing.to_dict() == {"bf16, compiled": 2}
    assert f"in {differing['bf16, compiled']} of ten folds" in TEXT
    undecided = set(found["inside"]) == {"not shown"} and ((found["low"] < 0) & (found["high"] > 0)).all()
    assert ("None is shown to be inside ± 1 point, and none to differ" in TEXT) == undecided


def test_preparation_and_latency_are_as_measured() -> None:
    """Each database, the cached second run, and one photograph."""
    found = table("preparation")
    whole = listed(list(found.loc["read + detect + crop", "ratio"]), 2)
    ceiling = listed(list(found.loc["read + detect", "ratio"]), 2)
    missed = set(found["reached"].dropna()) == {"no"}
    goal = " and **misses 0.8**" if missed else ""
    assert f"reaches {whole} of the detector alone{goal}; reading and detecting alone {ceiling}." in TEXT
    assert f"by its landmark files {found.loc['read + crop by landmarks', 'ratio']:.2f} times as fast" in TEXT
    cached = table("preparation-cached").loc["cached second run", "median"]
    assert f"A cached second run takes {listed(list(cached), 2)} s." in TEXT
    latency = table("latency")["median"]
    torch, onnx = (latency[f"photograph to probabilities{end}"] for end in ("", ", ONNX Runtime"))
    assert f"probabilities in {torch:.0f} ms; with ONNX Runtime {onnx:.0f} ms" in TEXT


def test_growth_and_notebooks_are_as_measured() -> None:
    """Time of a pair and memory from the fewest to the most pairs; the fastest and the slowest notebook."""
    found = table("growth")
    few, most = (found[found["pairs"] == edge] for edge in (found["pairs"].min(), found["pairs"].max()))
    device, streamed = "on the device", "streamed"
    time = f"{device} {most.loc[device, 'per_pair']:.2f}, {streamed} {most.loc[streamed, 'per_pair']:.2f}"
    assert f"the time of a pair becomes, as a factor, {time}" in TEXT
    memory = {
        way: f"from {few.loc[way, 'anonymous_mb']:.0f} to {most.loc[way, 'anonymous_mb']:.0f} MB"
        for way in (device, streamed)
    }
    assert f"memory of a streamed training goes {memory[streamed]}, of crops {device} {memory[device]}." in TEXT
    notebooks = table("notebooks")["median"]
    start = notebooks.pop("a notebook that imports gndl")
    assert f"{notebooks.min():.0f} to {notebooks.max():.0f} s each, of which {start:.0f} s start a kernel" in TEXT
