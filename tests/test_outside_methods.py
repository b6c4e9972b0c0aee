"""Methods from a file or an installed package: found by name everywhere, and never taken from what a study says."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from gndl import cli
from gndl.errors import GndlError
from gndl.methods import build_method, method_settings
from gndl.model import ResNetBaseline
from gndl.outside_methods import VARIABLE, method_class, method_name, use_method
from gndl.paths import repository_root
from gndl.variants.built_in import BUILT_IN

SOURCE = '''
"""A method of one's own with a neighbour."""
from gndl.model import ResNetBaseline
from neighbour_of_mine import BIAS


class PlainClassifier(ResNetBaseline):
    """Baseline without a bias.

    More words.
    """

    def __init__(self, n_classes):
        super().__init__(n_classes, bias=BIAS)


class NoMethod:
    pass
'''


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with a method, and its neighbour; afterwards this process has forgotten both."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "method_of_mine.py"
    path.write_text(SOURCE)
    (tmp_path / "neighbour_of_mine.py").write_text("BIAS = False\n")
    yield path
    for name in ("method_of_mine", "neighbour_of_mine"):
        sys.modules.pop(name, None)


def test_a_class_has_the_name_that_it_says_or_its_own_with_hyphens() -> None:
    """Capitals begin words, several in a row are one."""
    for own, expected in (("CosineGNDL", "cosine-gndl"), ("GNDLWithTwist", "gndl-with-twist"), ("My_Net2", "my-net2")):
        assert method_name(type(own, (ResNetBaseline,), {})) == expected
    assert method_name(type("Anything", (ResNetBaseline,), {"name": "mine"})) == "mine"


def test_a_method_from_a_file_is_known_here_and_in_every_process_started_here(file: Path) -> None:
    """Its neighbours are imported, its code is part of its identity, its first line is its purpose."""
    assert use_method(f"{file}:PlainClassifier") == "plain-classifier"
    settings = method_settings("plain-classifier")
    assert settings.purpose == "Baseline without a bias" and settings.images_per_pair == 1 and settings.code
    assert build_method(settings, 7).classifier.bias is None
    script = "from gndl.methods import method_settings; print(method_settings('plain-classifier').code)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=file.parent)
    assert done.stdout.strip() == settings.code
    (file.parent / "neighbour_of_mine.py").write_text("BIAS = True\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=file.parent)
    assert done.stdout.strip() != settings.code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("method_of_mine.py", "takes FILE.py:CLASS"),
        ("absent.py:Mine", r"absent\.py: there is no such file"),
        ("method_of_mine.py:NoMethod", "no class derived from gndl.model.Method"),
        ("method_of_mine.py:Absent", "no class derived from gndl.model.Method"),
        ("json.py:Mine", "another module has the name json; rename the file"),
        ("broken_of_mine.py:Mine", r"broken_of_mine\.py: cannot be imported \(ZeroDivisionError"),
        ("two words.py:Mine", "cannot be imported; use letters"),
    ],
)
def test_what_is_no_method_is_refused_by_name(file: Path, text: str, said: str) -> None:
    """Each message names the file and says what is wrong."""
    for name, content in (("json.py", ""), ("broken_of_mine.py", "1 / 0\n"), ("two words.py", "")):
        (file.parent / name).write_text(content)
    with pytest.raises(GndlError, match=said):
        method_class(str(file.parent / text))


def test_installed_packages_bring_methods_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the entry's name; what is no method is refused, and unknown names list what there is."""
    entries = [
        importlib.metadata.EntryPoint("theirs", "gndl.model:ResNetBaseline", "gndl.methods"),
        importlib.metadata.EntryPoint("wrong", "gndl.errors:GndlError", "gndl.methods"),
        importlib.metadata.EntryPoint("broken", "gndl.nowhere:Thing", "gndl.methods"),
    ]

    def installed(group: str, name: str | None = None) -> list[importlib.metadata.EntryPoint]:
        assert group == "gndl.methods"
        return [entry for entry in entries if name in (None, entry.name)]

    monkeypatch.setattr(importlib.metadata, "entry_points", installed)
    assert method_settings("theirs").images_per_pair == 1
    with pytest.raises(GndlError, match="wrong"):
        method_settings("wrong")
    with pytest.raises(GndlError, match=r"broken of gndl\.nowhere:Thing cannot be loaded"):
        method_settings("broken")
    with pytest.raises(GndlError, match=r"known are baseline, .*theirs"):
        method_settings("absent")


def test_the_tutorial_names_every_method_that_asks_for_more_than_one_of_ones_own_can() -> None:
    """Other pairs than the database's are part of a built-in method's settings, not of its class."""
    text = (repository_root() / "notebooks" / "8_your_own_method.ipynb").read_text(encoding="utf-8")
    privileged = [settings.name for settings in BUILT_IN if settings.rearrange is not None]
    assert privileged and all(f"needs more: `{name}`" in text for name in privileged)


def test_a_study_trains_it_beside_the_others_and_gives_it_a_row(
    file: Path, tiny_study: Path, rendered_trees: dict[str, Path], tmp_path: Path
) -> None:
    """`gndl train --method`: same folds, its own folder, its row in accuracy.csv and Table 1; the others are reused."""
    out = shutil.copytree(tiny_study, tmp_path / "study")
    train = cli.Train(
        profile="smoke", databases=("ckplus",), data=str(rendered_trees["ckplus"].parent), out=str(out), epochs=1,
        method=(f"{file}:PlainClassifier",),
    )  # fmt: skip
    before = (out / "ckplus/gndl/lam-5/fold-0/seed-0/run.json").stat().st_mtime_ns
    assert cli.run(train) == 0
    assert (out / "ckplus/gndl/lam-5/fold-0/seed-0/run.json").stat().st_mtime_ns == before
    accuracy = pd.read_csv(out / "accuracy.csv")
    rows = accuracy[(accuracy["database"] == "ckplus") & (accuracy["method"] == "plain-classifier")]
    assert rows["fold"].tolist() == [0]
    cli.run(cli.Report(run=str(out)))
    assert "plain-classifier" in (out / "ckplus" / "tables" / "table1.md").read_text()
