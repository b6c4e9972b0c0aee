"""Every benchmark runs, at the smallest sizes, and says what it is meant to say; no time is tested."""

from __future__ import annotations

import json
import mmap
import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from gndl import cli
from gndl.bench import faster, growth, latency, notebook_times, preparation
from gndl.bench.asked import TINY, Asked
from gndl.bench.every import MODULES, measure_some
from gndl.bench.gap import difference_of_operations, largest_gap
from gndl.bench.memory import peak_memory
from gndl.bench.plots import ratios
from gndl.bench.record import folder_name, markdown_table, write_result
from gndl.bench.repeats import NotMeasured, Result, interleaved, spread, verdicts
from gndl.bench.trainings import Way, WayTrainer, noise_pairs, ways
from gndl.bench.usual_way import two_passes, write_faces
from gndl.bench_commands import Bench
from gndl.databases import read_database
from gndl.errors import GndlError
from gndl.methods import build_method
from gndl.model import GNDL
from gndl.profiles import Augmentation, TrainSettings

ASKED = Asked(**TINY)  # type: ignore[arg-type]
PLAIN = Augmentation(flip_probability=0.0, noise_probability=0.0)


def test_ways_take_turns_in_both_directions_and_the_first_turn_does_not_count() -> None:
    """Neighbours in time are compared, and nobody always goes first."""
    order: list[str] = []

    def turn(way: str) -> float:
        order.append(way)
        return float(len(order))

    found = interleaved({"a": lambda: turn("a"), "b": lambda: turn("b")}, repeats=2)
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert found.to_dict("list") == {"way": ["a", "a", "b", "b"], "repeat": [1, 2, 1, 2], "value": [3, 6, 4, 5]}


def test_a_bar_counts_every_turn_and_says_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that do not count take their time as well."""
    drawn: list[tuple[str, int]] = []

    def bar(order: list[Any], description: str, unit: str) -> list[Any]:
        drawn.append((f"{description}, {unit}", len(order)))
        return order

    monkeypatch.setattr("gndl.bench.repeats.progress", bar)
    interleaved({"a": lambda: 1.0, "b": lambda: 2.0}, repeats=3, description="64 pixels")
    assert drawn == [("64 pixels, turn", 8)]


def test_ratios_are_taken_within_a_repeat_before_their_median() -> None:
    """Hand-computed: the ratios are 2, 1 and 3, whose median no ratio of medians (20/10) need be."""
    rows = [("ours", 10.0), ("ours", 20.0), ("ours", 90.0), ("limit", 5.0), ("limit", 20.0), ("limit", 30.0)]
    repeats = pd.DataFrame([{"way": way, "value": value, "repeat": at % 3} for at, (way, value) in enumerate(rows)])
    table = spread(repeats, "limit", goals={"ours": 2.5}).set_index("way")
    ours = table.loc["ours"]
    assert (ours["median"], ours["low"], ours["high"]) == (20, 10, 90)
    assert (ours["ratio"], ours["ratio_low"], ours["ratio_high"], ours["repeats"]) == (2, 1, 3, 3)
    assert ours["reached"] == "no" and table.loc["limit", "ratio"] == 1 and table.loc["limit", "reached"] == ""
    assert verdicts(table.reset_index()) == ["ours: 2.00 × limit MISSES the goal of 2.5."]


def test_trainings_of_all_ways_take_their_steps_on_the_same_pairs() -> None:
    """Contiguous, unfused and compiled by torch's tracer, a step in fp32 gives the losses of the study's own."""
    pairs, index = noise_pairs(2, 32), np.arange(6)
    settings = TrainSettings(image_size=32, batch_size=6, augmentation=PLAIN)
    rows = {}
    named = ways("bf16", "eager")
    for name in ("fp32", "fp32, contiguous", "fp32, Adam not fused", "fp32, compiled", "bf16, by sequence"):
        trainer = WayTrainer(named[name], pairs, index, index, settings, 0, torch.device("cpu"))
        with trainer.settings_hold():
            rows[name] = trainer.optimise()
    for name in ("fp32, contiguous", "fp32, Adam not fused", "fp32, compiled"):
        assert rows[name]["loss"] == pytest.approx(rows["fp32"]["loss"], rel=1e-3), name
    assert np.isfinite(rows["bf16, by sequence"]["loss"])
    assert named["bf16, by sequence"] == Way("bf16", by_sequence=True)


def test_the_usual_way_computes_the_same_equations_in_two_passes() -> None:
    """In evaluation, where statistics are fixed, one pass and two give the same features and logits."""
    network = build_method("gndl", 7, 5.0).eval()
    assert isinstance(network, GNDL)
    faces = torch.randn(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        usual, ours = two_passes(network, faces[0], faces[1]), network(faces[0])
        assert torch.allclose(usual.logits, ours.logits, atol=1e-5)
        assert usual.f_neu is not None and torch.allclose(usual.f_neu, network.neutral_features(faces[1]), atol=1e-5)


def test_files_of_the_usual_way_are_scaled_to_the_training_size(tmp_path: Path) -> None:
    """Both faces of a pair, as tensors; the same pictures lie in memory for the package's own training."""
    pairs, files = write_faces(tmp_path / "faces", 3, 48, 32)
    examined, neutral, label = files[2]
    assert examined.shape == neutral.shape == (3, 32, 32) and label == 2 and len(files) == 3
    assert pairs.images.shape == (6, 48, 48) and len(list((tmp_path / "faces").glob("*.jpg"))) == 6


@pytest.mark.parametrize("name", ["throughput", "usual_way", "faster", "gap", "gpu"])
def test_trainings_are_measured_and_kept(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV, every repeat, Markdown and plot lie in one folder; each row has a ratio to something of the same run."""
    said: list[str] = []
    if name == "gap":  # one of them by the command line
        assert cli.run(Bench((name,), tiny=True, out=str(tmp_path))) == 0
        said = capsys.readouterr().out.splitlines()
    else:
        assert measure_some([name], ASKED, tmp_path, said.append) == 0
    (folder,) = tmp_path.iterdir()
    table = pd.read_csv(folder / f"{name}.csv")
    assert (table["ratio"] > 0).all() and {"ratio_low", "ratio_high", "reference", "repeats"} <= set(table.columns)
    for ending in (".md", ".png", ".svg", "-repeats.csv"):
        assert (folder / f"{name}{ending}").stat().st_size > 30
    assert f"[{name}]({name}.md)" in (folder / "README.md").read_text(encoding="utf-8")
    if name == "gap":
        assert (folder / "gap-operations.csv").exists() and any("gap is not named" in line for line in said)
    if name == "usual_way":
        for kind in ("files of 32 pixels", "files of 48 pixels"):  # the training size, and that of the kept crops
            own = table[table["reference"] == kind]
            assert own["way"].tolist().count("gndl") == 1 and {"random tensors in memory", kind} < set(own["way"])
        assert (folder / "usual_way-tried.csv").exists()
    if name == "gpu":
        assert any("No GPU was asked for (--device cuda)" in line for line in said)


def test_nothing_that_is_kept_names_the_machine(tmp_path: Path) -> None:
    """Processor and cores are there, the machine's name and the user's paths are not."""
    about = {
        "date": "2026-11-24", "commit": "4448081" + "0" * 33, "changed": True, "processor": "AMD EPYC(TM) 9V45 CPU",
        "cores": 2, "gpu": None, "versions": {"torch": "2.14.1", "python": "3.11.7"},
    }  # fmt: skip
    assert folder_name(about) == "2026-11-24-4448081-amd-epyc-9v45-2-cores"
    repeats = interleaved({"a": lambda: 1.0, "b": lambda: 2.0}, 2)
    table = spread(repeats, "a")
    result = Result("one", "One", "Read it so.", table, repeats, ("Said.",), ratios(table, "One", "s"))
    page = write_result(result, tmp_path / "kept", about).read_text(encoding="utf-8")
    assert "changes that were not committed" in page and "AMD EPYC" in page and "| b | a | 2 |" in page
    for file in (tmp_path / "kept").iterdir():
        text = file.read_bytes().decode("utf-8", "replace")
        assert str(tmp_path) not in text and (len(platform.node()) < 3 or platform.node() not in text)


def test_tables_in_markdown_leave_out_empty_columns() -> None:
    """A number that is none is a blank; thousands are whole."""
    table = pd.DataFrame({"way": ["a|b", "c"], "goal": [np.nan, np.nan], "median": [0.01234, 12345.6]})
    assert markdown_table(table).splitlines() == [
        "| way | median |",
        "|---|---|",
        "| a\\|b | 0.0123 |",
        "| c | 12,346 |",
    ]


def test_the_largest_gap_is_that_of_the_operations_medians() -> None:
    """Hand-computed: flips cost 2 ms more in the middle repeat; what the limit does more of comes last."""
    ours = [{"flip": 3.0, "conv": 9.0}, {"flip": 4.0, "conv": 9.0}, {"flip": 9.0, "conv": 9.0}]
    limit = [{"flip": 2.0, "conv": 9.5}] * 3
    table = difference_of_operations(ours, limit)
    assert table["operation"].tolist() == ["flip", "conv"]
    assert table.loc[0, ["gndl_ms", "limit_ms", "more_ms", "more_low_ms", "more_high_ms"]].tolist() == [
        4,
        2,
        2,
        1.5,
        4.5,
    ]
    said = largest_gap(table, 20.0, 5)
    assert "flip: +2.000 ms a step (+10.00 % of the limit's step); quartiles over repeats +1.500 to +4.500" in said
    noisy = difference_of_operations([{"conv": 12.0}, {"conv": 8.0}, {"conv": 9.0}], [{"conv": 9.0}] * 3)
    assert "no remaining gap is shown" in largest_gap(noisy, 20.0, 5)


def test_preparation_and_latency_are_measured_on_a_rendered_tree(
    rendered_trees: dict[str, Path], tmp_path: Path
) -> None:
    """Frames a second of each way, a cached second run, and every stage from a photograph to probabilities."""
    pytest.importorskip("onnxruntime", reason="the extra gndl[export]")
    asked = replace(ASKED, databases=("ckplus",), data=str(rendered_trees["ckplus"].parent), scratch=tmp_path)
    found = preparation.measure(asked)
    ways = [preparation.DETECTOR, preparation.CEILING, preparation.WHOLE, preparation.LANDMARKS]
    assert found.table["way"].tolist() == ways
    cached = found.further["cached"].set_index("way")
    assert cached.loc["cached second run", "ratio"] < 1 and "rendered" in cached["database"].iloc[0]
    stages = latency.measure(asked).table.set_index("way")
    assert stages.loc[latency.WHOLE, "median"] > stages.loc["network, PyTorch", "median"] > 0
    database = read_database("ckplus", rendered_trees["ckplus"])
    assert len(preparation.some_sequences(database, 9)) == 3  # of four frames each


def test_growth_is_measured_both_ways_and_its_memory_watched(tmp_path: Path) -> None:
    """Both numbers of pairs in both ways; time of a pair is compared within a repeat."""
    found = growth.measure(replace(ASKED, scratch=tmp_path), isolated=lambda do, *arguments: do(*arguments))
    assert found.table[["way", "pairs"]].to_numpy().tolist() == [[way, n] for way in growth.WAYS for n in (6, 12)]
    assert (found.table.loc[found.table["pairs"] == 6, "per_pair"] == 1).all()
    assert len(found.notes) == 2 and not list(tmp_path.iterdir())
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with mmap.mmap(-1, 4096 * 5000, flags=flags) as kept, peak_memory() as peak:
        for start in range(0, len(kept), 4096):
            kept[start] = 1
    assert 0.9 * 4096 * 5000 < peak.anonymous < 10 * 4096 * 5000


def test_growth_takes_ratios_within_each_repeat() -> None:
    """Hand-computed: 10 times the pairs in 12 times the time is 1.2 times the time of a pair."""
    rows = [
        {"way": way, "pairs": pairs, "repeat": 1, "seconds": took, "loading": 0.0, "anonymous_mb": 5.0,
         "files_mb": 0.0, "crops_mb": 1.0}
        for way, pairs, took in (("on the device", 10, 1.0), ("on the device", 100, 12.0), ("streamed", 10, 2.0),
                                 ("streamed", 100, 18.0))
    ]  # fmt: skip
    table = growth.summary(pd.DataFrame(rows)).set_index(["way", "pairs"])
    assert table["per_pair"].tolist() == pytest.approx([1, 1.2, 1, 0.9])
    assert table["against_device"].tolist() == pytest.approx([1, 1, 2, 1.5])


def test_notebooks_are_run_on_a_copy_of_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook is given the copy and may write into it; the study itself stays as it was."""
    study = tmp_path / "study"
    python = {"language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(metadata=python)
    run = study / "ckplus" / "gndl" / "lam-5" / "fold-0" / "seed-0"
    run.mkdir(parents=True)
    (run / "weights.safetensors").write_bytes(b"weights")
    asked = {
        "asked": {"data_roots": {"ckplus": ""}, "settings": {"train": {"epochs": 1}}},
        "profile": "smoke",
        "device": "cpu",
        "seeds": [0],
    }
    (study / "study.json").write_text(json.dumps(asked))
    parameters = nbformat.v4.new_code_cell("out = ''", metadata={"tags": ["parameters"]})
    write = nbformat.v4.new_code_cell("from pathlib import Path\nPath(out, 'figure').write_text(database)")
    notebook.cells = [parameters, write]
    nbformat.write(notebook, tmp_path / "2_own.ipynb")
    plain = nbformat.v4.new_notebook(metadata=python, cells=[nbformat.v4.new_code_cell("1 + 1")])
    nbformat.write(plain, tmp_path / "plain.ipynb")  # in place of the one that imports the package, to be quick
    monkeypatch.setattr(notebook_times, "empty_notebook", lambda folder: tmp_path / "plain.ipynb")
    monkeypatch.setattr(notebook_times, "notebook_sources", lambda numbers: [tmp_path / "2_own.ipynb"])
    monkeypatch.setattr(notebook_times, "finished_runs", lambda out: [1])
    sized = replace(ASKED, study=str(study), databases=("ckplus",), scratch=tmp_path)
    table = notebook_times.measure(sized).table
    assert table["way"].tolist() == [notebook_times.IMPORTS, "2_own, ckplus"]
    assert not (study / "figure").exists() and (run / "weights.safetensors").read_bytes() == b"weights"


def test_a_benchmark_that_lacks_its_input_says_so_and_is_listed_as_not_measured(tmp_path: Path) -> None:
    """Named, it makes the call fail; what would make it run is said."""
    with pytest.raises(GndlError, match="choose among throughput"):
        measure_some(["speed"], ASKED, tmp_path)
    asked = replace(ASKED, study=str(tmp_path / "none"))
    assert measure_some(["notebooks"], asked, tmp_path / "kept", lambda line: None) == 1
    (folder,) = (tmp_path / "kept").iterdir()
    kept = (folder / "README.md").read_text(encoding="utf-8")
    assert "notebooks: **not measured**. none: holds no finished study" in kept and str(tmp_path) not in kept
    with pytest.raises(GndlError, match="no way 'fast' of training; choose among fp32"):
        faster.measure(replace(ASKED, ways=("fast",)))
    with pytest.raises(GndlError, match="what the others are compared with"):
        faster.measure(replace(ASKED, ways=("fp32",)))
    with pytest.raises(NotMeasured, match="gndl render"):
        preparation.root_of(replace(ASKED, profile="standard"), "mmi")
    assert set(MODULES) >= {"throughput", "usual_way", "faster", "accuracy", "growth"}


def test_what_is_measured_is_kept_where_a_later_benchmark_fails_or_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages and the list of them lie there after each benchmark; one that fails is named and stops no other."""

    def measured(asked: Asked) -> Result:
        repeats = interleaved({"a": lambda: 1.0, "b": lambda: 2.0}, 1)
        table = spread(repeats, "a")
        return Result("gap", "Gap", "Read it so.", table, repeats, ("Said.",), ratios(table, "Gap", "ms"))

    def failing(asked: Asked) -> Result:
        raise ZeroDivisionError("no rate")

    def stopped(asked: Asked) -> Result:
        raise KeyboardInterrupt

    for module, measure in (("throughput", failing), ("gap", measured), ("growth", stopped)):
        monkeypatch.setattr(f"gndl.bench.{module}.measure", measure)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        measure_some(["throughput", "gap", "growth"], ASKED, tmp_path, said.append)
    (folder,) = tmp_path.iterdir()
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert "[gap](gap.md)" in index
    assert re.search(r"throughput: \*\*not measured\*\*\. It failed after .* \(ZeroDivisionError\)\.", index)
    assert re.search(r"Measuring took \d+ (s|min)\.", (folder / "gap.md").read_text(encoding="utf-8"))
    assert any("FAILED: no rate" in line for line in said) and any(re.search(r"\(took \d", line) for line in said)
    assert measure_some(["throughput"], ASKED, tmp_path, said.append) == 1

    monkeypatch.setattr("gndl.bench.gap.measure", failing)
    assert measure_some(["gap"], ASKED, tmp_path, said.append) == 1
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert "[gap](gap.md), of an earlier call" in index and "- gap: **not measured**. It failed" in index
    assert "- throughput: **not measured**" in index, "what an earlier call left out is still said"
    monkeypatch.setattr("gndl.bench.gap.measure", measured)
    assert measure_some(["gap"], ASKED, tmp_path, said.append) == 0
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert "- [gap](gap.md)\n" in index and "- gap: **not" not in index
