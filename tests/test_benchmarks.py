"""The benchmarks run, at tiny sizes, and their README states the ratios of the tables it names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
TWICE = [str(ROOT), str(ROOT), "--python-old", sys.executable, "--python-new", sys.executable]
WAYS = {
    "throughput": ([], {"gndl", "bare network", "fp32", "fp32, by sequence"}),
    "gpu": (["--device", "cpu"], {"matrix product", "fp32, eager", "bf16, eager"}),
    "latency": ([], {"detector alone", "photo to probabilities", "the same, ONNX Runtime"}),
    "notebooks": ([], {"imports only"}),
    "step_versus": (TWICE, {"OLD", "NEW"}),
}


@pytest.mark.parametrize("script", WAYS)
def test_a_benchmark_measures_every_way_against_its_reference(script: str, tmp_path: Path) -> None:
    options, ways = WAYS[script]
    command = [sys.executable, f"benchmarks/{script}.py", *options, "--tiny", "--out", str(tmp_path / "table.csv")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "table.csv")
    assert ways <= set(table["way"]) and (table["median"] > 0).all()
    assert (table.loc[table["way"] == table["reference"], "ratio"] == 1).all()


def test_the_readme_states_the_ratios_of_its_tables() -> None:
    text = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| ([^|]+) \| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| `(\w+)\.csv` \|", text)
    assert len(rows) == 7
    for title, *stated, name in rows:
        found = pd.read_csv(ROOT / f"benchmarks/results/{name}.csv").sort_values("pixels")
        found = found[found["way"] == ("gndl" if title.startswith("GNDL") else title)]
        if name == "throughput":
            found = found[found["precision"] == title.removeprefix("GNDL's training, ")]
        if name == "usual_way":  # versus files of the training size
            found = found[found["reference"] == "files of " + found["pixels"].astype(str) + " pixels"]
        assert [f"{ratio:.2f}" for ratio in found["ratio"]] == stated, title
