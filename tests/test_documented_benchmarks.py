"""Numbers of benchmarks that benchmarks/README.md states are those of the CSV files in the folder that it names."""

import re

import pandas as pd

from gndl.paths import repository_root

BENCHMARKS = repository_root() / "benchmarks"
TEXT = " ".join((BENCHMARKS / "README.md").read_text(encoding="utf-8").split())
SIZES = (64, 112, 224)


def table(name: str) -> pd.DataFrame:
    (folder,) = set(re.findall(r"\[[^]]+\]\((\d{4}-\d\d-\d\d-[0-9a-f]{7}-[a-z0-9.-]+)/", TEXT))
    return pd.read_csv(BENCHMARKS / folder / f"{name}.csv").set_index("way")


def ratios(name: str, way: str, **where: str) -> str:
    """The medians of a way at 64, 112 and 224 pixels, as the text gives them."""
    found = table(name).loc[[way]]
    for column, value in where.items():
        found = found[found[column] == value]
    return listed([found.set_index("pixels").loc[size, "ratio"] for size in SIZES], 2)


def listed(values: list[float], decimals: int) -> str:
    *first, last = (f"{value:.{decimals}f}" for value in values)
    return f"{', '.join(first)} and {last}"


def test_training_stands_beside_its_limit_as_measured() -> None:
    fp32, bf16 = (ratios("throughput", "gndl", precision=name) for name in ("fp32", "bf16"))
    assert f"{fp32} of its limit in fp32, {bf16} in bf16" in TEXT
    assert set(table("throughput").loc["gndl", "reached"]) == {"yes"}


def test_training_stands_beside_the_usual_way_as_measured() -> None:
    ours, limit = ratios("usual_way", "gndl"), ratios("usual_way", "random tensors in memory")
    assert f"{ours} times the usual way" in TEXT and f"the bare network has {limit}" in TEXT
    found = table("usual_way").loc["gndl"].set_index("pixels")
    assert found.loc[112, "reached"] == "no" and "misses 1.5 at 112 pixels" in TEXT


def test_ways_of_training_are_as_fast_as_measured() -> None:
    faster = {way: ratios("faster", way) for way in set(table("faster").index)}
    assert f"bf16 {faster['bf16']} times fp32" in TEXT
    assert f"by sequence {faster['fp32, by sequence']} in fp32, {faster['bf16, by sequence']} in bf16" in TEXT
    assert f"compiled {faster['fp32, compiled']}, and {faster['bf16, compiled']} in bf16" in TEXT
    assert f"contiguous tensors {faster['fp32, contiguous']}" in TEXT
    assert f"Adam that is not fused {faster['fp32, Adam not fused']}" in TEXT


def test_what_faster_ways_do_to_accuracy_is_as_measured() -> None:
    for way, row in table("accuracy").iterrows():
        said = f"{way} {row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]".replace("-", "−")
        assert said in TEXT and row["inside"] == "not shown" and row["folds"] == 10


def test_preparation_and_latency_are_as_measured() -> None:
    found = table("preparation")
    whole = listed(list(found.loc["read + detect + crop", "ratio"]), 2)
    ceiling = listed(list(found.loc["read + detect", "ratio"]), 2)
    landmarks = found.loc["read + crop by landmarks", "ratio"]
    assert f"{whole} of the detector alone" in TEXT and f"reading and detecting alone {ceiling}" in TEXT
    assert f"by its landmark files {landmarks:.2f}" in TEXT and set(found["reached"].dropna()) == {"no"}
    cached = table("preparation-cached").loc["cached second run", "median"]
    assert f"{listed(list(cached), 2)} s" in TEXT
    latency = table("latency")["median"]
    names = ("photograph to probabilities", "photograph to probabilities, ONNX Runtime")
    assert f"{latency[names[0]]:.0f} ms; with ONNX Runtime {latency[names[1]]:.0f} ms" in TEXT


def test_growth_and_notebooks_are_as_measured() -> None:
    found = table("growth")
    most = found[found["pairs"] == found["pairs"].max()]
    for way in ("on the device", "streamed"):
        assert f"{way} {most.loc[way, 'per_pair']:.2f}" in TEXT
    few = found[found["pairs"] == found["pairs"].min()]
    streamed = (few.loc["streamed", "anonymous_mb"], most.loc["streamed", "anonymous_mb"])
    assert f"from {streamed[0]:.0f} to {streamed[1]:.0f} MB" in TEXT
    notebooks = table("notebooks")["median"].drop("a notebook that imports gndl")
    assert f"{notebooks.min():.0f} to {notebooks.max():.0f} s" in TEXT
