"""What the documents tell a reader to type exists, and the numbers they state are those of the record."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import tomllib

import pandas as pd
import pytest

import gndl
from gndl.analysis.compare import compare, compare_variants
from gndl.cli import COMMANDS
from gndl.files import repository_root
from gndl.methods import METHOD_GROUPS
from gndl.paper import DATABASE_TITLES, DATABASES

ROOT = repository_root()
PAGES = ("*.md", "docs/*.md", "benchmarks/*.md", "cluster/*.sbatch", "Makefile", "notebooks/*.ipynb")
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern))
CURRENT = [name for name in DOCUMENTS if name != "CHANGELOG.md"]


def text_of(document: str) -> str:
    text = (ROOT / document).read_text(encoding="utf-8")
    if document.endswith(".ipynb"):
        text = "\n".join("".join(cell["source"]) + "\n" for cell in json.loads(text)["cells"])
    return text.replace("\\\n", " ")


def options_of(command: str) -> set[str]:
    """Options of a command, from its function and the dataclass of the options that it shares."""
    names = {"help"}
    for name, parameter in inspect.signature(COMMANDS[command]).parameters.items():
        names |= set(vars(parameter.default)) if dataclasses.is_dataclass(parameter.default) else {name}
    return {f"--{prefix}{name.replace('_', '-')}" for name in names for prefix in ("", "no-")}


def unknown_commands(text: str) -> list[str]:
    """Calls of ``gndl`` whose command, or an option of it, does not exist."""
    wrong = []
    for command, rest in re.findall(r"(?:^|[\s`/\"(])gndl ([a-z][a-z-]+)([^`\n#|;]*)", text):
        named = re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest)
        if command in COMMANDS:
            wrong += [f"gndl {command} {option}" for option in named if option not in options_of(command)]
        elif named:  # without options it may be a sentence: "gndl reads …"
            wrong.append(f"gndl {command}")
    return wrong


def test_the_reading_finds_what_does_not_exist() -> None:
    assert unknown_commands("`gndl study --speed 3`, then gndl chek --folds x") == ["gndl study --speed", "gndl chek"]


@pytest.mark.parametrize("document", CURRENT)
def test_every_command_option_and_make_target_exists(document: str) -> None:
    text = text_of(document)
    assert unknown_commands(text) == []
    every = {option for command in COMMANDS for option in options_of(command)}
    assert set(re.findall(r"`(--[a-z][a-z-]+)", text)) - {"--out", "--tiny"} <= every, "an option named by itself"
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


@pytest.mark.parametrize("document", CURRENT)
def test_every_link_file_and_notebook_parameter_exists(document: str) -> None:
    text, folder = text_of(document), (ROOT / document).parent
    links = [link.split("#")[0] for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)]
    assert [link for link in links if link and not (folder / link).exists()] == []
    kinds = "gndl|standins|docs|figures|tests|tools|cluster|benchmarks|record|notebooks"
    files = re.findall(rf"(?:`|python )((?:{kinds})/[\w./-]*\w)", text)
    assert [file for file in files if not re.search(r"[A-Z]{4}", file) and not (ROOT / file).exists()] == []
    for notebook, rest in re.findall(r"(notebooks/\w+\.ipynb) ([^`\n]*-p [^`\n]*)", text):
        assert set(re.findall(r"-p (\w+)", rest)) <= set(re.findall(r"^(\w+) =", text_of(notebook), re.M))


def test_the_documents_stay_short() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "ARTIFACT.md"]
    assert sum(len(page.read_text(encoding="utf-8").split()) for page in pages) <= 5000


def test_conda_and_the_citation_follow_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    conda = (ROOT / "environment.yml").read_text(encoding="utf-8").replace("pytorch-cpu", "torch")
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["standins"]):
        assert f"- {requirement}\n" in conda
    assert f"\nversion: {gndl.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def three(values: pd.Series, form: str = ".2f", factor: float = 100) -> str:
    """Numbers of the three databases as the text gives them: `1.00, 2.00 and 3.00`."""
    first, second, third = (f"{factor * values[name]:{form}}".replace("-", "−") for name in DATABASES)
    return f"{first}, {second} and {third}"


def test_the_numbers_of_the_record_are_stated_as_they_are() -> None:
    readme, artifact = (" ".join(text_of(name).split()) for name in ("README.md", "ARTIFACT.md"))
    record = gndl.results.read(ROOT / "record/standard")
    summary = gndl.results.summarise(record.headline).set_index(["database", "method"])
    found = compare(record.headline.runs).set_index("database")
    for name, row in found.iterrows():
        baseline, own = (summary.loc[(name, method)] for method in ("baseline", "gndl"))
        cells = [f"{100 * one['accuracy']:.2f} ± {100 * one['sd']:.2f} %" for one in (baseline, own)]
        low, high = (f"{100 * row[end]:+.2f}".replace("-", "−") for end in ("low", "high"))
        cells += [f"{100 * row['difference']:+.2f} [{low}, {high}]", f"{row['p_adjusted']:.3f}"]
        assert f"| {DATABASE_TITLES[str(name)]} stand-in | {' | '.join(cells)} |" in readme
    assert f"ahead by {three(found['difference'])} points, p = {three(found['p'], '.3f', 1)}" in artifact
    assert f"adjusted (Holm) {three(found['p_adjusted'], '.3f', 1)}" in artifact
    assert f"give {found['p_signed_rank']['ckplus']:.3f} on CK+" in artifact
    sweep = record.runs[record.runs["fold"].isin(range(4))].groupby(["database", "method", "lam"], dropna=False)
    accuracy = sweep["accuracy_last"].mean()
    assert f"is {three(accuracy.xs(('gndl', 50.0), level=(1, 2)), '.1f')} %" in artifact
    baseline = record.runs.query("method == 'baseline' and fold < 4").groupby("database")["accuracy_last"].mean()
    assert f"baseline has {three(baseline, '.1f')} %" in artifact


def test_the_findings_of_the_artifact_are_those_of_the_record() -> None:
    artifact = " ".join(text_of("ARTIFACT.md").split())
    table = pd.read_csv(ROOT / "record/standard/analysis/deviation_measures.csv")
    table = table.set_index(["measure", "feature", "condition", "database"]).sort_index()
    found = [("relative L1", "G(F_exam)", "all"), ("relative L1", "mean neutral", "all")]
    found += [("top-1", name, "whole database, another sequence") for name in ("G(F_exam)", "F_exam", "F_neu")]
    for one in (*found, ("identity", "F_exam", "all"), ("identity", "deviation", "all")):
        form, factor = (".3f", 1) if one[0] == "relative L1" else (".1f", 100)
        assert three(table["value"][one], form, factor) in artifact, one
    assert f"(chance {three(table['chance']['identity', 'F_exam', 'all'], '.1f')} %)" in artifact
    before, after = (table["value"]["silhouette by class", name, "all"] for name in ("F_exam", "deviation"))
    assert (before - after).abs().max() < 0.005
    groups = {"granularity": ("gndl-layer-1", "gndl-layer-4"), "ablations": ("gndl-lam-0", "gndl-shuffled-neutral")}
    for group, methods in groups.items():
        runs = gndl.results.read(ROOT / "record" / group).headline.runs
        changed = compare_variants(runs, METHOD_GROUPS[group]).set_index(["method", "database"])["to_gndl_difference"]
        for method in methods:
            assert f"by {three(changed[method], '+.2f')}" in artifact, method
