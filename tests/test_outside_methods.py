"""Methods from a file or an installed package: found by name everywhere, and never taken from what a study says."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_ablations import some_pairs

from gndl import cli, methods
from gndl.errors import GndlError
from gndl.methods import build_method, method_settings, register_method
from gndl.model import GNDL, Method, ResNetBaseline
from gndl.outside_methods import VARIABLE, method_class, method_name, use_method
from gndl.pairs import FacePairs
from gndl.paths import repository_root
from gndl.variants.ablations import shuffled_neutral
from gndl.variants.built_in import MethodSettings

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


def test_a_method_of_ones_own_can_ask_for_all_that_the_packages_methods_ask_for() -> None:
    """No back door: every setting is a parameter of register_method, or an attribute that a class may bring."""
    asked = {field.name for field in dataclasses.fields(MethodSettings) if field.init} - {"base"}
    assert asked <= set(inspect.signature(register_method).parameters)
    by_attribute = asked - {"name", "factory", "options", "purpose"}
    assert all(hasattr(Method, name) for name in by_attribute)
    text = (repository_root() / "notebooks" / "8_your_own_method.ipynb").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in by_attribute)


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., MethodSettings]:
    """Registers GNDL on pairs put together anew, and is forgotten after the test."""
    monkeypatch.setattr(methods, "_REGISTRY", dict(methods._REGISTRY))
    return lambda rearrange=None: register_method("mine-of-tests", GNDL, rearrange=rearrange)


REARRANGING = """
from gndl.model import GNDL
from gndl.variants.ablations import shuffled_neutral

SEED = 3


class Shuffled(GNDL):
    @staticmethod
    def rearrange(pairs, train_index):
        return shuffled_neutral(pairs, train_index, seed=SEED)
"""


def test_a_method_of_ones_own_may_put_the_pairs_of_its_training_together(
    file: Path, mine: Callable[..., MethodSettings]
) -> None:
    """By an attribute or by registering; what it does is part of the runs' identity."""
    pairs, train_index = some_pairs(), np.arange(9)
    file.write_text(REARRANGING)
    settings = method_settings(use_method(f"{file}:Shuffled"))
    rearranged = settings.pairs_for(pairs, train_index)
    assert rearranged.neutral_index.tolist() == shuffled_neutral(pairs, train_index, seed=3).neutral_index.tolist()
    assert rearranged.neutral_index.tolist() != pairs.neutral_index.tolist()

    def unchanged(pairs: FacePairs, train_index: object) -> FacePairs:
        return pairs

    assert mine(unchanged).code is not None and mine().code is None
    assert mine(shuffled_neutral).code is None  # the package's own, whose module is hashed by name


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("neutral_index", lambda pairs: np.roll(pairs.neutral_index, 1), "to samples that do not train"),
        ("label", lambda pairs: np.roll(pairs.label, 1), "rearrange changed label"),
        ("subject", lambda pairs: [*pairs.subject[1:], pairs.subject[0]], "rearrange changed subject"),
    ],
)
def test_rearranging_may_not_change_what_is_tested_or_whose_face_it_is(
    part: str, value: Any, said: str, mine: Callable[..., MethodSettings]
) -> None:
    """Neutral faces of test samples, truths and names stay."""
    pairs, train_index = some_pairs(), np.arange(9)
    settings = mine(lambda pairs, _: dataclasses.replace(pairs, **{part: value(pairs)}))
    with pytest.raises(GndlError, match=f"mine-of-tests: .*{said}"):
        settings.pairs_for(pairs, train_index)


def test_rearranging_may_not_take_a_face_that_does_not_train(mine: Callable[..., MethodSettings]) -> None:
    """Where only training samples change, but to a test subject's neutral face."""
    pairs, train_index = some_pairs(), np.arange(9)

    def leak(pairs: FacePairs, train_index: Any) -> FacePairs:
        neutral = np.array(pairs.neutral_index)
        neutral[train_index] = neutral[-1]
        return dataclasses.replace(pairs, neutral_index=neutral)

    with pytest.raises(GndlError, match="perhaps a test subject's"):
        mine(leak).pairs_for(pairs, train_index)


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
